//! What events say: those of CAEP 1.0 that stop somebody or say something of him, and the two of a stream itself.

use exequatur_store::{Assurance, DeviceCompliance, RiskLevel};
use exequatur_token::json::{Object, Value};
use exequatur_token::{NumericDateError, numeric_date};
use jiff::Timestamp;

use crate::set::{Member, SetError};

/// The kind of an event, by its type's URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A session was revoked.
    SessionRevoked,
    /// A credential was created, changed, revoked or deleted.
    CredentialChange,
    /// A claim that tokens carry has changed.
    TokenClaimsChange,
    /// Somebody authenticated more or less strongly than before.
    AssuranceLevelChange,
    /// A device complies, or does not any more.
    DeviceComplianceChange,
    /// Somebody is more or less of a risk than before.
    RiskLevelChange,
    /// Shows that events arrive.
    Verification,
    /// The transmitter has paused, disabled or enabled the stream.
    StreamUpdated,
    /// Any other.
    Other,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::SessionRevoked,
        Self::CredentialChange,
        Self::TokenClaimsChange,
        Self::AssuranceLevelChange,
        Self::DeviceComplianceChange,
        Self::RiskLevelChange,
        Self::Verification,
        Self::StreamUpdated,
        Self::Other,
    ];

    /// Those that a stream is asked for: what has an effect here, and nothing else.
    pub const REQUESTED: [Self; 6] = [
        Self::SessionRevoked,
        Self::CredentialChange,
        Self::TokenClaimsChange,
        Self::AssuranceLevelChange,
        Self::DeviceComplianceChange,
        Self::RiskLevelChange,
    ];

    pub(crate) fn of(uri: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.uri() == Some(uri)).unwrap_or(Self::Other)
    }

    /// The URI of its type.
    #[must_use]
    pub const fn uri(self) -> Option<&'static str> {
        Some(match self {
            Self::SessionRevoked => "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
            Self::CredentialChange => "https://schemas.openid.net/secevent/caep/event-type/credential-change",
            Self::TokenClaimsChange => {
                "https://schemas.openid.net/secevent/caep/event-type/token-claims-change"
            }
            Self::AssuranceLevelChange => {
                "https://schemas.openid.net/secevent/caep/event-type/assurance-level-change"
            }
            Self::DeviceComplianceChange => {
                "https://schemas.openid.net/secevent/caep/event-type/device-compliance-change"
            }
            Self::RiskLevelChange => "https://schemas.openid.net/secevent/caep/event-type/risk-level-change",
            Self::Verification => "https://schemas.openid.net/secevent/ssf/event-type/verification",
            Self::StreamUpdated => "https://schemas.openid.net/secevent/ssf/event-type/stream-updated",
            Self::Other => return None,
        })
    }

    /// A word for it, in logs, records and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SessionRevoked => "session_revoked",
            Self::CredentialChange => "credential_change",
            Self::TokenClaimsChange => "token_claims_change",
            Self::AssuranceLevelChange => "assurance_level_change",
            Self::DeviceComplianceChange => "device_compliance_change",
            Self::RiskLevelChange => "risk_level_change",
            Self::Verification => "verification",
            Self::StreamUpdated => "stream_updated",
            Self::Other => "other",
        }
    }
}

/// An event, as far as it is read here. Members that are not known are ignored (SSF §4.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// CAEP §3.1.
    SessionRevoked,
    /// CAEP §3.3.
    CredentialChange(CredentialChange),
    /// CAEP §3.2.
    TokenClaimsChange,
    /// CAEP §3.4: how sure it is who the subject is.
    AssuranceLevelChange(Assurance),
    /// CAEP §3.5: the state of the subject's device.
    DeviceComplianceChange(DeviceCompliance),
    /// CAEP §3.8: how risky something is.
    RiskLevelChange(RiskLevel, Principal),
    /// SSF §8.1.4.1; the state that was asked with, if it was asked for.
    Verification(Option<String>),
    /// SSF §8.1.5.
    StreamUpdated(StreamState),
    /// One that has no effect here, and is not read.
    Unsupported(EventKind),
}

/// What a risk is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// The user.
    User,
    /// The session.
    Session,
    /// Something that nothing is known of here: a device, a tenant, a group.
    Other,
}

/// What became of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialChange {
    /// There is a new one.
    Create,
    /// It counts no more.
    Revoke,
    /// It is another.
    Update,
    /// It is gone.
    Delete,
}

/// The state of a stream, as the transmitter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamState {
    /// Events come.
    Enabled,
    /// Events are held back.
    Paused,
    /// Events are lost.
    Disabled,
}

impl StreamState {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Enabled, Self::Paused, Self::Disabled].into_iter().find(|state| state.word() == word)
    }
}

impl Event {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::SessionRevoked => EventKind::SessionRevoked,
            Self::CredentialChange(_) => EventKind::CredentialChange,
            Self::TokenClaimsChange => EventKind::TokenClaimsChange,
            Self::AssuranceLevelChange(_) => EventKind::AssuranceLevelChange,
            Self::DeviceComplianceChange(_) => EventKind::DeviceComplianceChange,
            Self::RiskLevelChange(..) => EventKind::RiskLevelChange,
            Self::Verification(_) => EventKind::Verification,
            Self::StreamUpdated(_) => EventKind::StreamUpdated,
            Self::Unsupported(kind) => *kind,
        }
    }

    pub(crate) fn read(kind: EventKind, content: &Object) -> Result<Self, SetError> {
        Ok(match kind {
            EventKind::SessionRevoked => Self::SessionRevoked,
            EventKind::CredentialChange => {
                // V06: which credential makes no difference here, and yet has to be said.
                required(content, Member::CredentialType)?;
                Self::CredentialChange(match required(content, Member::ChangeType)? {
                    "create" => CredentialChange::Create,
                    "revoke" => CredentialChange::Revoke,
                    "update" => CredentialChange::Update,
                    "delete" => CredentialChange::Delete,
                    _ => return Err(SetError::Invalid(Member::ChangeType)),
                })
            }
            EventKind::TokenClaimsChange => {
                let claims = content.get("claims").ok_or(SetError::Missing(Member::Claims))?;
                let some = claims.as_object().is_some_and(|claims| !claims.is_empty());
                if !some {
                    return Err(SetError::Invalid(Member::Claims));
                }
                Self::TokenClaimsChange
            }
            EventKind::Verification => Self::Verification(match content.get("state").map(Value::as_str) {
                None => None,
                Some(Some(state)) => Some(state.to_owned()),
                Some(None) => return Err(SetError::Invalid(Member::State)),
            }),
            EventKind::StreamUpdated => {
                let state = StreamState::from_word(required(content, Member::Status)?);
                Self::StreamUpdated(state.ok_or(SetError::Invalid(Member::Status))?)
            }
            EventKind::AssuranceLevelChange => {
                let namespace = required(content, Member::Namespace)?;
                let level = Assurance::new(namespace, required(content, Member::CurrentLevel)?);
                Self::AssuranceLevelChange(level.ok_or(SetError::Invalid(Member::CurrentLevel))?)
            }
            EventKind::DeviceComplianceChange => {
                compliance(content, Member::PreviousStatus)?;
                Self::DeviceComplianceChange(compliance(content, Member::CurrentStatus)?)
            }
            EventKind::RiskLevelChange => {
                let level = match required(content, Member::CurrentLevel)? {
                    "LOW" => RiskLevel::Low,
                    "MEDIUM" => RiskLevel::Medium,
                    "HIGH" => RiskLevel::High,
                    _ => return Err(SetError::Invalid(Member::CurrentLevel)),
                };
                let principal = match required(content, Member::Principal)? {
                    "USER" => Principal::User,
                    "SESSION" => Principal::Session,
                    _ => Principal::Other,
                };
                Self::RiskLevelChange(level, principal)
            }
            EventKind::Other => Self::Unsupported(kind),
        })
    }
}

fn compliance(content: &Object, member: Member) -> Result<DeviceCompliance, SetError> {
    match required(content, member)? {
        "compliant" => Ok(DeviceCompliance::Compliant),
        "not-compliant" => Ok(DeviceCompliance::NotCompliant),
        _ => Err(SetError::Invalid(member)),
    }
}

fn required(content: &Object, member: Member) -> Result<&str, SetError> {
    let value = content.get(member.as_str()).ok_or(SetError::Missing(member))?;
    value.as_str().filter(|text| !text.is_empty()).ok_or(SetError::Invalid(member))
}

/// What `event_timestamp` says, in seconds (CAEP §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occurred {
    NotSaid,
    /// No instant that this program can name: negative, or microseconds.
    Never,
    At(Timestamp),
}

impl Occurred {
    pub(crate) fn read(content: &Object) -> Result<Self, SetError> {
        let Some(value) = content.get("event_timestamp") else { return Ok(Self::NotSaid) };
        match numeric_date(value) {
            Ok(at) => Ok(Self::At(at)),
            Err(NumericDateError::OutOfRange) => Ok(Self::Never),
            Err(NumericDateError::NotANumber) => Err(SetError::Invalid(Member::EventTimestamp)),
        }
    }

    pub(crate) const fn at(self) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(at),
            Self::NotSaid | Self::Never => None,
        }
    }

    pub(crate) fn is_said(self) -> bool {
        self != Self::NotSaid
    }
}
