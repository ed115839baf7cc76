//! What is remembered between requests: which proofs were used.
//!
//! A store knows opaque keys and times to live. It knows neither what a proof is nor why its key exists, and it
//! reads no clock: every call is told the time.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod admission;
pub mod contract;
mod embedded;
mod live;
mod redis;
mod replay;

pub use admission::{AdmissionStore, Scope, StoreError, StoreFuture, Unfit};
pub use embedded::EmbeddedReplay;
pub use redis::{Address, AddressError, Prefix, RedisConfig, RedisStore, WindowBounds};
pub use replay::{Bound, Claim, ClaimOutcome, Claimed, Epoch, ReplayHealth, ReplayKey, ReplayLimits};
