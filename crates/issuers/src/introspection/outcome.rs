//! How questions about tokens end.

use std::time::Duration;

use exequatur_token::{AnswerError, TokenError};
use jiff::{SignedDuration, Timestamp};

use crate::discovery::MetadataError;
use crate::download::DownloadError;
use crate::kept_keys::MAX_AHEAD;

/// Why a token does not pass by what its issuer says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntrospectionProblem {
    /// The issuer says that it is not active.
    #[error("the token is not active")]
    Inactive,
    /// It is active, and what is said of it is refused.
    #[error("{0}")]
    Token(TokenError),
    /// Nothing is known of it.
    #[error("{0}")]
    Unavailable(IntrospectionUnavailable),
}

/// Why nothing is known of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntrospectionUnavailable {
    /// There was no answer to the question.
    #[error("{0}")]
    Failed(IntrospectionError),
    /// No answer has come within the time that a decision waits.
    #[error("the answer has not come in time")]
    NotYet,
    /// As many questions are under way as may be.
    #[error("too many questions are under way")]
    TooMany,
    /// Questions have failed, and the next one is yet to come.
    #[error("the issuer is not asked for now, since it did not answer")]
    BackingOff,
    /// As many questions that somebody caused are under way as may be, or were in vain.
    #[error("too many questions of this source are under way, or were in vain")]
    Source,
}

impl IntrospectionUnavailable {
    /// Whether it may be what somebody's token alone has brought about.
    pub(super) const fn is_of_token(self) -> bool {
        match self {
            Self::Failed(error) => error.is_of_token(),
            Self::NotYet | Self::TooMany | Self::BackingOff | Self::Source => false,
        }
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntrospectionError {
    /// No whole answer came, or one of another status than 200.
    #[error("{0}")]
    Download(#[from] DownloadError),
    /// What came is not said to be in the form that was asked for.
    #[error("the answer is of another content type")]
    ContentType,
    /// What came is no answer to the question.
    #[error("{0}")]
    Answer(#[from] AnswerError),
    /// There are no keys to verify the answer with.
    #[error("the issuer's keys are not known")]
    Keys,
    /// The issuer's metadata has not been loaded, or does not name the place.
    #[error("the introspection endpoint is not known")]
    Endpoint,
    /// The question could not be signed.
    #[error("the client's key cannot sign")]
    Key,
    /// It was cut short, by the end of the process or a mistake of ours.
    #[error("the question was cut short")]
    CutShort,
}

impl IntrospectionError {
    /// Whether it tells of the server's state, whatever was asked: then the next question would fare no better. What one
    /// token alone can bring about does not, so that nobody stops the questions about others by one.
    pub(super) const fn is_of_server(self) -> bool {
        match self {
            Self::Download(error) => match error {
                DownloadError::Timeout | DownloadError::Connect | DownloadError::Transfer => true,
                DownloadError::Status(status) => matches!(status, 401 | 403 | 429 | 502 | 503 | 504),
                DownloadError::Redirected(_)
                | DownloadError::Encoded
                | DownloadError::TooLarge
                | DownloadError::NotPublic => false,
            },
            Self::ContentType
            | Self::Answer(_)
            | Self::Keys
            | Self::Endpoint
            | Self::Key
            | Self::CutShort => false,
        }
    }

    /// Whether it may be what one token alone has brought about; that there was no question is our fault.
    const fn is_of_token(self) -> bool {
        match self {
            Self::Download(DownloadError::NotPublic)
            | Self::Keys
            | Self::Endpoint
            | Self::Key
            | Self::CutShort => false,
            Self::Download(_) | Self::ContentType | Self::Answer(_) => !self.is_of_server(),
        }
    }

    const fn outcome(self) -> IntrospectionOutcome {
        match self {
            Self::Download(DownloadError::Timeout) => IntrospectionOutcome::Timeout,
            Self::Download(DownloadError::Connect | DownloadError::NotPublic) => {
                IntrospectionOutcome::Connect
            }
            Self::Download(DownloadError::Transfer) | Self::CutShort => IntrospectionOutcome::Transfer,
            Self::Download(DownloadError::Redirected(_) | DownloadError::Status(_)) => {
                IntrospectionOutcome::Status
            }
            Self::Download(DownloadError::Encoded | DownloadError::TooLarge) | Self::ContentType => {
                IntrospectionOutcome::Unacceptable
            }
            Self::Answer(_) => IntrospectionOutcome::Answer,
            Self::Keys | Self::Endpoint | Self::Key => IntrospectionOutcome::NotAsked,
        }
    }
}

/// How long what an issuer said counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    asked_at: Timestamp,
    lasts: SignedDuration,
}

impl Validity {
    pub(super) fn new(asked_at: Timestamp, lasts: Duration) -> Self {
        Self { asked_at, lasts: SignedDuration::try_from(lasts).unwrap_or(SignedDuration::ZERO) }
    }

    /// Whether it counts at `now`; not where the clock was set back since the question, whose age is not known then.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        (-MAX_AHEAD..self.lasts).contains(&now.duration_since(self.asked_at))
    }
}

/// What an issuer said of a token, and how long it counts.
#[derive(Debug, Clone)]
pub struct Believed<T> {
    /// What was said.
    pub what: T,
    /// How long.
    pub validity: Validity,
}

/// How a question ended, or why there was none, in few words: what metrics count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntrospectionOutcome {
    /// The token is active, and what was said of it holds.
    Active,
    /// The token is not active.
    Inactive,
    /// The token is active, and what was said of it does not hold.
    Refused,
    /// No whole answer in time.
    Timeout,
    /// No connection, or no trust in the other end.
    Connect,
    /// The answer broke off or is no HTTP.
    Transfer,
    /// Another status than 200.
    Status,
    /// Too large, compressed, or of another content type.
    Unacceptable,
    /// What came is no answer to the question.
    Answer,
    /// There was no question: place, keys or our own key are missing.
    NotAsked,
    /// There was no question: too many were under way.
    TooMany,
    /// There was no question: too many of its source were under way, or were in vain.
    Source,
    /// There was no question: the server had not answered others.
    BackingOff,
}

impl IntrospectionOutcome {
    /// Every outcome.
    pub const ALL: [Self; 13] = [
        Self::Active,
        Self::Inactive,
        Self::Refused,
        Self::Timeout,
        Self::Connect,
        Self::Transfer,
        Self::Status,
        Self::Unacceptable,
        Self::Answer,
        Self::NotAsked,
        Self::TooMany,
        Self::Source,
        Self::BackingOff,
    ];

    /// A stable word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Transfer => "transfer",
            Self::Status => "status",
            Self::Unacceptable => "unacceptable",
            Self::Answer => "answer",
            Self::NotAsked => "not_asked",
            Self::TooMany => "too_many",
            Self::Source => "source",
            Self::BackingOff => "backing_off",
        }
    }

    pub(super) const fn of(problem: IntrospectionProblem) -> Self {
        match problem {
            IntrospectionProblem::Inactive => Self::Inactive,
            IntrospectionProblem::Token(_) => Self::Refused,
            IntrospectionProblem::Unavailable(IntrospectionUnavailable::Failed(error)) => error.outcome(),
            IntrospectionProblem::Unavailable(IntrospectionUnavailable::NotYet) => Self::Timeout,
            IntrospectionProblem::Unavailable(IntrospectionUnavailable::TooMany) => Self::TooMany,
            IntrospectionProblem::Unavailable(IntrospectionUnavailable::Source) => Self::Source,
            IntrospectionProblem::Unavailable(IntrospectionUnavailable::BackingOff) => Self::BackingOff,
        }
    }
}

/// How many questions ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IntrospectionCounts([u64; IntrospectionOutcome::ALL.len()]);

impl IntrospectionCounts {
    /// Each outcome and how often there was one.
    pub fn iter(&self) -> impl Iterator<Item = (IntrospectionOutcome, u64)> {
        IntrospectionOutcome::ALL.into_iter().zip(self.0)
    }

    pub(super) fn count(&mut self, outcome: IntrospectionOutcome) {
        let counts = IntrospectionOutcome::ALL.into_iter().zip(&mut self.0);
        for (_, count) in counts.filter(|(counted, _)| *counted == outcome) {
            *count = count.saturating_add(1);
        }
    }
}

/// What the operator sees of the questions to one issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntrospectionStatus {
    /// How many questions ended in which way, since the start.
    pub questions: IntrospectionCounts,
    /// How many are under way.
    pub in_flight: usize,
    /// How long those took that ended since this was asked last; of the latest of them, if there were very many.
    pub took: Vec<Duration>,
    /// Whether the issuer is not asked for now, since it did not answer.
    pub backing_off: bool,
}

impl From<MetadataError> for IntrospectionError {
    fn from(_: MetadataError) -> Self {
        Self::Endpoint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn what_was_said_counts_for_its_time() {
        let validity = Validity::new(at(0), Duration::from_secs(30));
        for (seconds, holds) in [(0, true), (29, true), (30, false), (31, false), (-10, true), (-11, false)] {
            assert_eq!(validity.holds(at(seconds)), holds, "{seconds}");
        }
        let none = Validity::new(at(0), Duration::ZERO);
        assert!(!none.holds(at(0)));
    }

    /// What a stranger can bring about with a token does not stop the questions about others.
    #[test]
    fn the_server_is_spared_for_what_it_is_in() {
        let download = |error| IntrospectionError::Download(error).is_of_server();
        for error in [DownloadError::Timeout, DownloadError::Connect, DownloadError::Status(503)] {
            assert!(download(error), "{error}");
        }
        for error in [DownloadError::Status(400), DownloadError::Status(500), DownloadError::TooLarge] {
            assert!(!download(error), "{error}");
        }
        for error in [DownloadError::Timeout, DownloadError::Connect, DownloadError::NotPublic] {
            assert!(!IntrospectionError::Download(error).is_of_token(), "{error}");
        }
        for ours in [
            IntrospectionError::Keys,
            IntrospectionError::Endpoint,
            IntrospectionError::Key,
            IntrospectionError::CutShort,
        ] {
            assert!(!ours.is_of_server() && !ours.is_of_token(), "{ours}");
        }
        for error in [DownloadError::Status(400), DownloadError::Status(500), DownloadError::TooLarge] {
            assert!(IntrospectionError::Download(error).is_of_token(), "{error}");
        }
        assert!(IntrospectionError::Answer(AnswerError::TypeInvalid).is_of_token());
        assert!(!IntrospectionError::ContentType.is_of_server());
        assert!(!IntrospectionError::Answer(AnswerError::TypeInvalid).is_of_server());
    }
}
