//! One stream of events, as configured.

use std::path::PathBuf;
use std::time::Duration;

use exequatur_issuers::KeysConfig;
use jiff::SignedDuration;

use crate::mapping::{Response, Speaker};
use crate::set::Expected;

/// Most sets that are asked for in one poll.
pub const POLL_MOST: u32 = 100;

/// One stream of one transmitter.
#[derive(Debug, Clone)]
pub struct StreamConfig {
    /// Its transmitter's keys, and how it is reached. The name is the stream's.
    pub keys: KeysConfig,
    /// What sets have to be to belong to it.
    pub expected: Expected,
    /// The stream's id at the transmitter, if it is known.
    pub stream_id: Option<String>,
    /// The issuers that the transmitter may speak for; at least one.
    pub speakers: Vec<Speaker>,
    /// To a credential that was revoked, changed or deleted.
    pub credential_change: Response,
    /// To a claim that has changed.
    pub token_claims_change: Response,
    /// How long what is said of a subject holds.
    pub attributes_for: SignedDuration,
    /// How sets arrive.
    pub delivery: Delivery,
    /// A file with the bearer token for questions to the transmitter.
    pub token_file: Option<PathBuf>,
    /// A file with the secret of states, if it is not one of the others.
    pub state_secret_file: Option<PathBuf>,
}

impl StreamConfig {
    /// The stream's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.keys.name.as_str()
    }

    /// The file whose secret the states of verification requests are made with.
    #[must_use]
    pub fn secret_of_states(&self) -> Option<&PathBuf> {
        self.own_secret_of_states().or(self.token_file.as_ref())
    }

    /// The same, if it is not the token for polls, which comes and goes by itself.
    #[must_use]
    pub fn own_secret_of_states(&self) -> Option<&PathBuf> {
        let pushed = match &self.delivery {
            Delivery::Push(Push { authorization: PushAuthorization::File(file), .. }) => Some(file),
            Delivery::Push(Push { authorization: PushAuthorization::NotAsked, .. }) | Delivery::Poll(_) => {
                None
            }
        };
        self.state_secret_file.as_ref().or(pushed)
    }
}

/// How sets arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The transmitter posts them (RFC 8935).
    Push(Push),
    /// They are fetched (RFC 8936).
    Poll(Poll),
}

/// Where sets are posted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The path at the public listener.
    pub path: String,
    /// What the transmitter shows.
    pub authorization: PushAuthorization,
}

/// What a transmitter shows when it posts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushAuthorization {
    /// The `Authorization` header that this file holds.
    File(PathBuf),
    /// Nothing: the signature alone tells whose sets they are.
    NotAsked,
}

/// Where sets are fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// The transmitter's endpoint; nothing is fetched while it is not known.
    pub url: Option<String>,
    /// From the begin of a poll to the next, unless there is more at once.
    pub every: Duration,
    /// How long the transmitter may wait for events before it answers; it answers at once if `None`.
    pub long_poll: Option<Duration>,
    /// Sets in one answer; 1 to [`POLL_MOST`].
    pub max_events: u32,
}
