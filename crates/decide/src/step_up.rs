//! How, and how recently, the user must have been authenticated (RFC 9470).

use exequatur_token::Authentication;
use jiff::{SignedDuration, Timestamp};

/// What a route asks of the authentication that a token rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepUp {
    /// `acr` must be one of these, which have no order here: each that suffices is named. Any if empty.
    pub acr_values: Vec<String>,
    /// `auth_time` must be no longer ago than this: whole seconds, no tolerance. Any time if absent.
    pub max_age: Option<SignedDuration>,
}

impl StepUp {
    /// Whether `authentication` meets it at `now` (S01). What the token does not say meets nothing. An `auth_time` that
    /// is ahead of `now`, as far as the token's dates may be, is one of now.
    pub(crate) fn is_met_by(&self, authentication: &Authentication, now: Timestamp) -> bool {
        let class = |known: &String| authentication.context() == Some(known.as_str());
        let classed = self.acr_values.is_empty() || self.acr_values.iter().any(class);
        let recent = self
            .max_age
            .is_none_or(|most| authentication.at().is_some_and(|at| now.duration_since(at) <= most));
        classed && recent
    }
}
