//! Receives security events of identity providers (OpenID Shared Signals Framework 1.0, CAEP 1.0): stops what they
//! say is to be stopped, and tells policies what they say of somebody.
//!
//! What is pure stands by itself: a set is verified in [`VerifiedSet`], what it means is decided by [`Rules`]. A
//! [`Receiver`] does it: durably, and recorded, before a transmitter is told that it was taken. How sets arrive is
//! another's business: pushed to the server's public listener (RFC 8935), or fetched by a [`Poller`] (RFC 8936).

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod authorization;
mod config;
mod event;
mod management;
mod mapping;
mod poll;
mod receiver;
mod secret;
mod set;
mod state;
mod subject;
mod tally;
#[cfg(test)]
mod testing;

pub use authorization::Authorization;
pub use config::{Delivery, POLL_MOST, Poll, Push, PushAuthorization, StreamConfig};
pub use event::{CredentialChange, Event, EventKind, Principal, StreamState};
pub use management::{Agreed, Created, Management, ManagementError, StreamStatus};
pub use mapping::{Effect, Idle, Meaning, Response, Rules, Said, Speaker};
pub use poll::{PollError, Poller};
pub use receiver::{Clock, Receiver, ReceiverParts, Refusal, Unavailable};
pub use secret::{Secret, SecretError};
pub use set::{ErrorCode, Expected, MAX_SET_BYTES, Member, SetError, SetId, UnverifiedSet, VerifiedSet};
pub use state::{MAX_STATE_AGE, StateSecret};
pub use subject::{Identifier, Members, Subject};
pub use tally::{EventOutcome, PollOutcome, PushRefusal, Tally, TallyStatus};
