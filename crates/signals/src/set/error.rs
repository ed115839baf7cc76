//! Why a set is refused: one cause each, and the one word of RFC 8935 that tells it.

use std::fmt;

use exequatur_token::{JwsError, SignerError};

/// Why a set is refused. Its text says nothing that the set said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// Not a compact JWS of strict JSON objects.
    #[error("the set is malformed: {0}")]
    Malformed(JwsError),
    /// Longer than 64 KiB, or its header than 2 KiB.
    #[error("the set is too large")]
    TooLarge,
    /// The header asks for an extension.
    #[error("the header asks for an extension that is not understood")]
    CritUnsupported,
    /// `typ` is not `secevent+jwt`.
    #[error("`typ` is not `secevent+jwt`")]
    TypeInvalid,
    /// `alg` is unknown or not accepted for this stream.
    #[error("`alg` is not accepted here")]
    AlgNotAllowed,
    /// Something is missing.
    #[error("`{0}` is missing")]
    Missing(Member),
    /// Something is not what it has to be.
    #[error("`{0}` is malformed")]
    Invalid(Member),
    /// Something is there that makes it another kind of JWT.
    #[error("`{0}` must not be in a security event token")]
    Forbidden(Member),
    /// More than one event.
    #[error("`events` has more than one event")]
    SeveralEvents,
    /// `iat` is more than 60 s ahead.
    #[error("`iat` lies in the future")]
    IssuedAhead,
    /// `iss` is not the transmitter of the stream.
    #[error("`iss` is not the transmitter of this stream")]
    IssuerMismatch,
    /// `aud` does not name us.
    #[error("`aud` does not name the receiver of this stream")]
    AudienceMismatch,
    /// `kid` is malformed.
    #[error("`kid` is malformed")]
    KeyId,
    /// The transmitter has no such key.
    #[error("the transmitter publishes no such key")]
    KeyUnknown,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    SignatureInvalid,
    /// The subject is of an issuer that the transmitter may not speak for.
    #[error("the transmitter may not speak for the subject's issuer")]
    SubjectForeign,
    /// The event is about another stream.
    #[error("`sub_id` names another stream")]
    OtherStream,
    /// The state is not one that was sent lately.
    #[error("`state` is not one that was sent lately")]
    StateInvalid,
    /// Polled for under another id than its own.
    #[error("`jti` is not the one that the set was delivered under")]
    OtherId,
}

/// A member that errors name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// `iss`
    Iss,
    /// `aud`
    Aud,
    /// `sub`
    Sub,
    /// `exp`
    Exp,
    /// `iat`
    Iat,
    /// `jti`
    Jti,
    /// `events`
    Events,
    /// `sub_id`
    SubId,
    /// `event_timestamp`
    EventTimestamp,
    /// `change_type`
    ChangeType,
    /// `credential_type`
    CredentialType,
    /// `claims`
    Claims,
    /// `state`
    State,
    /// `status`
    Status,
    /// `namespace`
    Namespace,
    /// `current_level`
    CurrentLevel,
    /// `previous_status`
    PreviousStatus,
    /// `current_status`
    CurrentStatus,
    /// `principal`
    Principal,
}

impl Member {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Iss => "iss",
            Self::Aud => "aud",
            Self::Sub => "sub",
            Self::Exp => "exp",
            Self::Iat => "iat",
            Self::Jti => "jti",
            Self::Events => "events",
            Self::SubId => "sub_id",
            Self::EventTimestamp => "event_timestamp",
            Self::ChangeType => "change_type",
            Self::CredentialType => "credential_type",
            Self::Claims => "claims",
            Self::State => "state",
            Self::Status => "status",
            Self::Namespace => "namespace",
            Self::CurrentLevel => "current_level",
            Self::PreviousStatus => "previous_status",
            Self::CurrentStatus => "current_status",
            Self::Principal => "principal",
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The words of RFC 8935 §2.4, and the one of SSF §8.1.4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// It cannot be read, or is not what a set or its event has to be.
    InvalidRequest,
    /// Signed with a key, or an algorithm, that is not accepted.
    InvalidKey,
    /// Of another transmitter.
    InvalidIssuer,
    /// For another receiver.
    InvalidAudience,
    /// Who sent it did not show that he is the transmitter.
    AuthenticationFailed,
    /// The transmitter may not say this.
    AccessDenied,
    /// The state is not ours.
    InvalidState,
}

impl ErrorCode {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::InvalidRequest,
        Self::InvalidKey,
        Self::InvalidIssuer,
        Self::InvalidAudience,
        Self::AuthenticationFailed,
        Self::AccessDenied,
        Self::InvalidState,
    ];

    /// `err`
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidKey => "invalid_key",
            Self::InvalidIssuer => "invalid_issuer",
            Self::InvalidAudience => "invalid_audience",
            Self::AuthenticationFailed => "authentication_failed",
            Self::AccessDenied => "access_denied",
            Self::InvalidState => "invalid_state",
        }
    }
}

impl SetError {
    /// The word that the transmitter is told.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Malformed(_)
            | Self::TooLarge
            | Self::CritUnsupported
            | Self::TypeInvalid
            | Self::Missing(_)
            | Self::Invalid(_)
            | Self::Forbidden(_)
            | Self::SeveralEvents
            | Self::IssuedAhead
            | Self::OtherStream
            | Self::OtherId => ErrorCode::InvalidRequest,
            Self::AlgNotAllowed | Self::KeyId | Self::KeyUnknown | Self::SignatureInvalid => {
                ErrorCode::InvalidKey
            }
            Self::IssuerMismatch => ErrorCode::InvalidIssuer,
            Self::AudienceMismatch => ErrorCode::InvalidAudience,
            Self::SubjectForeign => ErrorCode::AccessDenied,
            Self::StateInvalid => ErrorCode::InvalidState,
        }
    }
}

impl From<SignerError> for SetError {
    fn from(error: SignerError) -> Self {
        match error {
            SignerError::AlgNotAllowed => Self::AlgNotAllowed,
            SignerError::KeyId => Self::KeyId,
            SignerError::KeyUnknown => Self::KeyUnknown,
            SignerError::SignatureInvalid => Self::SignatureInvalid,
        }
    }
}
