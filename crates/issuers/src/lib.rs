//! The issuers' keys: loaded, refreshed, kept.
//!
//! Each issuer has a background task that loads its keys, so that a decision never waits for the network: it takes
//! the last good set or fails. An unknown key id can hasten the next load, at most once per cooldown.

mod config;
mod fetch;
mod issuer;
mod issuers;
mod refresh;
#[cfg(test)]
mod testing;
mod unknown_keys;

pub use config::{ConfigProblem, HttpConfig, IssuerConfig, KeySource};
pub use fetch::FetchError;
pub use issuer::{Issuer, IssuerStatus, KeysUnavailable};
pub use issuers::{Clock, Issuers, IssuersError};
pub use unknown_keys::SoughtKey;
