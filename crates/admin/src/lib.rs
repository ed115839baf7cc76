//! The admin socket: revocations, suspensions, the kill switch and limits, over HTTP/1 on a Unix socket.
//!
//! [`Socket`] says who is there, by the credentials of the connection; [`Desk`] does what is ordered and records it. An
//! order that widens what is permitted is recorded before it is done, one that narrows it is done first: whatever is to be
//! stopped is stopped even where no record can be kept, and the answer says so.

mod api;
mod caller;
mod connection;
mod description;
mod desk;
mod gate;
mod limits;
mod listener;
mod operation;
mod order;
mod role;
mod socket;
pub mod status;
pub mod wire;

pub use caller::{Actor, Caller, Reach};
pub use description::description;
pub use desk::{Clock, Desk, DeskParts, Tally};
pub use gate::{CertificateRule, Gate, GateParts, TokenReach, TokenRule};
pub use listener::{Listener, Tls};
pub use operation::{Described, operations};
pub use role::{Role, Roles};
pub use socket::{Socket, SocketError};
