//! Security event tokens (RFC 8417, as OpenID Shared Signals Framework 1.0 §4.1 profiles them): from text to evidence.
//!
//! Pure: bytes, keys and `now` go in. What a set says is read only once its transmitter is known to have signed it, so
//! that nobody else learns what is wrong with a subject or an event.

mod error;
#[cfg(test)]
mod tests;

use exequatur_token::json::{Object, Value};
use exequatur_token::{
    Algorithm, CompactJws, JwsError, JwsLimits, KeySet, MAX_ISSUED_AHEAD, SignatureVerified, base64url,
    numeric_date,
};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::event::{Event, EventKind, Occurred};
use crate::subject::Subject;

pub use self::error::{ErrorCode, Member, SetError};

/// Longest text of a set, in bytes.
pub const MAX_SET_BYTES: usize = 64 * 1024;
/// Longest `jti`, in characters.
const MAX_JTI: usize = 256;
/// Most audiences of one set.
const MAX_AUDIENCES: usize = 16;

const LIMITS: JwsLimits = JwsLimits { bytes: MAX_SET_BYTES, header_bytes: 2048, depth: 16, members: 128 };

/// What a set has to be to belong to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The exact `iss`; compared byte by byte.
    pub issuer: String,
    /// A member of `aud`; compared byte by byte.
    pub audience: String,
    /// The signatures that are accepted: a list of its own, since the interoperability profile demands RS256 (V09).
    pub algorithms: Vec<Algorithm>,
}

/// A well-formed set. Nothing in it is to be believed.
#[derive(Debug)]
pub struct UnverifiedSet<'a> {
    jws: CompactJws<'a>,
    algorithm: Algorithm,
    id: SetId,
    issued_at: Timestamp,
}

/// The digest of a set's `jti`: what logs and records name it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetId(String);

impl SetId {
    fn of(jti: &str) -> Self {
        let digest = Sha256::digest(jti.as_bytes());
        let mut text = base64url::encode(&digest);
        // 132 bits of it, as with the digests of tokens' ids.
        text.truncate(22);
        Self(text)
    }

    /// 22 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A set that the transmitter of the stream signed for us.
#[derive(Debug)]
pub struct VerifiedSet {
    id: SetId,
    issued_at: Timestamp,
    subject: Subject,
    event: Event,
    occurred: Occurred,
    _signature: SignatureVerified,
}

impl<'a> UnverifiedSet<'a> {
    /// Reads a set as it was sent.
    ///
    /// # Errors
    /// Everything that can be said without knowing the stream (V01).
    pub fn parse(raw: &'a str) -> Result<Self, SetError> {
        let jws = CompactJws::parse(raw, &LIMITS)?;
        check_type(jws.header())?;
        let algorithm = jws.algorithm().ok_or(SetError::AlgNotAllowed)?;
        let payload = jws.payload();
        for (member, name) in [(Member::Sub, "sub"), (Member::Exp, "exp")] {
            if payload.contains(name) {
                return Err(SetError::Forbidden(member));
            }
        }
        let id = SetId::of(text(payload, Member::Jti)?);
        if payload.get("jti").and_then(Value::as_str).is_some_and(|jti| jti.chars().count() > MAX_JTI) {
            return Err(SetError::Invalid(Member::Jti));
        }
        let issued_at = payload.get("iat").ok_or(SetError::Missing(Member::Iat))?;
        let issued_at = numeric_date(issued_at).or(Err(SetError::Invalid(Member::Iat)))?;
        Ok(Self { jws, algorithm, id, issued_at })
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &SetId {
        &self.id
    }

    /// `jti` as it was sent.
    #[must_use]
    pub fn jti(&self) -> &str {
        self.jws.payload().get("jti").and_then(Value::as_str).unwrap_or_default()
    }

    /// The id of the key that the header names, if it names one. A word to look a key up by, nothing more.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.jws.key_id()
    }

    /// The algorithm that the header names.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Verifies that the transmitter made this set for us with one of `keys`, and reads what it says.
    ///
    /// # Errors
    /// [`SetError`]: whose it is and for whom before the signature, what it says after it.
    pub fn verify(
        &self,
        expected: &Expected,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<VerifiedSet, SetError> {
        let payload = self.jws.payload();
        if text(payload, Member::Iss)? != expected.issuer {
            return Err(SetError::IssuerMismatch);
        }
        check_audience(payload, &expected.audience)?;
        // Watermarks are bounded by it, so that a set that is sent again can do nothing new.
        if self.issued_at.duration_since(now) > MAX_ISSUED_AHEAD {
            return Err(SetError::IssuedAhead);
        }
        let signature = self.jws.verify(keys, &expected.algorithms)?;
        let (kind, content) = only_event(payload)?;
        let subject = payload.get("sub_id").ok_or(SetError::Missing(Member::SubId))?;
        Ok(VerifiedSet {
            id: self.id.clone(),
            issued_at: self.issued_at,
            subject: Subject::read(subject)?,
            event: Event::read(kind, content)?,
            occurred: Occurred::read(content)?,
            _signature: signature,
        })
    }
}

impl VerifiedSet {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &SetId {
        &self.id
    }

    /// What happened.
    #[must_use]
    pub const fn event(&self) -> &Event {
        &self.event
    }

    /// To whom.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// When it happened: `event_timestamp`, if that can be, else `iat` (V05). A time that is yet to come cannot be;
    /// milliseconds in place of seconds are such a time.
    #[must_use]
    pub fn happened_at(&self, now: Timestamp) -> Timestamp {
        let plausible = |at: &Timestamp| at.duration_since(now) <= MAX_ISSUED_AHEAD;
        self.occurred.at().filter(plausible).unwrap_or(self.issued_at)
    }

    /// Whether it says when, and that cannot be.
    #[must_use]
    pub fn is_untimely(&self, now: Timestamp) -> bool {
        self.occurred.is_said()
            && self.occurred.at().is_none_or(|at| at.duration_since(now) > MAX_ISSUED_AHEAD)
    }
}

/// RFC 8417 §2.3, required by SSF §4.1.1: no other kind of JWT is taken for a set.
fn check_type(header: &Object) -> Result<(), SetError> {
    let name = header.get("typ").and_then(Value::as_str).ok_or(SetError::TypeInvalid)?;
    let known = ["secevent+jwt", "application/secevent+jwt"];
    if known.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        Ok(())
    } else {
        Err(SetError::TypeInvalid)
    }
}

fn text(payload: &Object, member: Member) -> Result<&str, SetError> {
    let value = payload.get(member.as_str()).ok_or(SetError::Missing(member))?;
    value.as_str().filter(|text| !text.is_empty()).ok_or(SetError::Invalid(member))
}

fn check_audience(payload: &Object, audience: &str) -> Result<(), SetError> {
    let value = payload.get("aud").ok_or(SetError::Missing(Member::Aud))?;
    let members = value.as_array().unwrap_or_else(|| std::slice::from_ref(value));
    if !(1..=MAX_AUDIENCES).contains(&members.len()) || members.iter().any(|member| member.as_str().is_none())
    {
        return Err(SetError::Invalid(Member::Aud));
    }
    if members.iter().any(|member| member.as_str() == Some(audience)) {
        Ok(())
    } else {
        Err(SetError::AudienceMismatch)
    }
}

/// CAEP interoperability profile: a set has one event.
fn only_event(payload: &Object) -> Result<(EventKind, &Object), SetError> {
    let events = payload.get("events").ok_or(SetError::Missing(Member::Events))?;
    let events = events.as_object().ok_or(SetError::Invalid(Member::Events))?;
    let mut each = events.iter();
    match (each.next(), each.next()) {
        (Some((uri, content)), None) => {
            let content = content.as_object().ok_or(SetError::Invalid(Member::Events))?;
            Ok((EventKind::of(uri), content))
        }
        (None, _) => Err(SetError::Invalid(Member::Events)),
        (Some(_), Some(_)) => Err(SetError::SeveralEvents),
    }
}

impl From<JwsError> for SetError {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::TooLarge | JwsError::HeaderTooLarge => Self::TooLarge,
            JwsError::CritUnsupported => Self::CritUnsupported,
            JwsError::Parts
            | JwsError::Encrypted
            | JwsError::EmptyPart
            | JwsError::Base64
            | JwsError::Header(_)
            | JwsError::Payload(_)
            | JwsError::NotAnObject
            | JwsError::KeyId => Self::Malformed(error),
        }
    }
}
