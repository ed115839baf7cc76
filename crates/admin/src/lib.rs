//! The admin socket: revocations, suspensions, the kill switch and limits, over HTTP/1 on a Unix socket.
//!
//! [`Socket`] says who is there, by the credentials of the connection; [`Desk`] does what is ordered and records it. An
//! order that widens what is permitted is recorded before it is done, one that narrows it is done first: whatever is to be
//! stopped is stopped even where no record can be kept, and the answer says so.

mod api;
mod desk;
mod limits;
mod order;
mod socket;
pub mod wire;

pub use desk::{Clock, Desk, DeskParts};
pub use socket::{Actor, Socket, SocketError};
