//! Status List Tokens (Token Status List, draft-ietf-oauth-status-list): from text to a list, and from a list to the word
//! about one token.
//!
//! A list is one signed document for many tokens. Nothing of it is inflated before its signature was verified, and never
//! more than a bound, so that neither a stranger nor a careless issuer can fill the memory.

mod error;
mod size;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};

use crate::access::MAX_ISSUED_AHEAD;
use crate::claims::Claim;
use crate::issuer::IssuerProfile;
use crate::json::{Object, Value};
use crate::jws::{CompactJws, JwsError, JwsLimits};
use crate::key::SignatureVerified;
use crate::key_set::{KeySet, KeySetId, KeySetRefusal};
use crate::numeric_date::numeric_date;
use crate::status::StatusReference;
use crate::{Thumbprint, base64url};

pub use self::error::{StatusListError, StatusRefusal};
pub use self::size::StatusListSize;

/// A certificate chain may stand in the header, which is not looked at.
const MAX_HEADER_BYTES: usize = 16 * 1024;
const MAX_DEPTH: usize = 8;
const MAX_MEMBERS: usize = 64;

/// A list that its issuer signed, inflated.
#[derive(Debug)]
pub struct StatusList {
    uri: Arc<str>,
    bits: Bits,
    octets: Box<[u8]>,
    issued_at: Timestamp,
    expires_at: Option<Timestamp>,
    time_to_live: Option<SignedDuration>,
    key_set: KeySetId,
    signer: Thumbprint,
    _signature: SignatureVerified,
}

/// How many bits a status takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bits {
    One,
    Two,
    Four,
    Eight,
}

/// Evidence that a list says VALID of a token. Only [`StatusList::judge`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusValid(());

impl StatusList {
    /// Verifies that `raw` is the list at `uri`, made by the issuer of `profile` with one of `keys`, and inflates it.
    ///
    /// `iss` may be absent, as the draft has it; if it is there, it is the issuer's.
    ///
    /// # Errors
    /// [`StatusListError`]; the signature is judged after the claims, and nothing is inflated before it.
    pub fn verify(
        raw: &[u8],
        uri: &Arc<str>,
        profile: &IssuerProfile,
        keys: &KeySet,
        size: StatusListSize,
        now: Timestamp,
    ) -> Result<Self, StatusListError> {
        // A document may end in a line break that no token has.
        let raw =
            str::from_utf8(raw.trim_ascii_end()).or(Err(StatusListError::Malformed(JwsError::Base64)))?;
        let jws = CompactJws::parse(raw, &limits(size)).map_err(|error| match error {
            JwsError::TooLarge => StatusListError::TooLarge,
            JwsError::Parts
            | JwsError::Encrypted
            | JwsError::EmptyPart
            | JwsError::Base64
            | JwsError::HeaderTooLarge
            | JwsError::Header(_)
            | JwsError::Payload(_)
            | JwsError::NotAnObject
            | JwsError::KeyId
            | JwsError::CritUnsupported => StatusListError::Malformed(error),
        })?;
        check_type(jws.header())?;
        let algorithm = jws.envelope().algorithm().filter(|named| profile.algorithms.contains(named));
        let algorithm = algorithm.ok_or(StatusListError::AlgNotAllowed)?;
        let payload = jws.payload();
        check_names(payload, uri, &profile.issuer)?;
        let dates = Dates::read(payload)?;
        dates.check(profile, now)?;
        let (bits, packed) = list(payload)?;
        let (signature, key) =
            keys.verify_by(jws.envelope(), algorithm).map_err(|refusal| match refusal {
                KeySetRefusal::KeyId => StatusListError::Malformed(JwsError::KeyId),
                KeySetRefusal::KeyUnknown => StatusListError::KeyUnknown,
                KeySetRefusal::SignatureInvalid => StatusListError::SignatureInvalid,
            })?;
        let octets = inflate(packed, size)?;
        let Dates { issued_at, expires_at, time_to_live } = dates;
        Ok(Self {
            uri: Arc::clone(uri),
            bits,
            octets,
            issued_at,
            expires_at,
            time_to_live,
            key_set: keys.id(),
            signer: key.thumbprint(),
            _signature: signature,
        })
    }

    /// What the list says of the token that has this `reference`. Whether the list may still be used is another question:
    /// [`Self::usable_until`].
    ///
    /// # Errors
    /// [`StatusRefusal`]: everything but the word VALID.
    pub fn judge(&self, reference: &StatusReference) -> Result<StatusValid, StatusRefusal> {
        if *reference.uri() != self.uri {
            return Err(StatusRefusal::AnotherList);
        }
        match self.status(reference.index()).ok_or(StatusRefusal::OutOfRange)? {
            0 => Ok(StatusValid(())),
            1 => Err(StatusRefusal::Invalid),
            2 => Err(StatusRefusal::Suspended),
            _ => Err(StatusRefusal::Unknown),
        }
    }

    /// Statuses are counted from the least significant bit of the first octet (§4.1 of the draft).
    fn status(&self, index: u64) -> Option<u8> {
        let (octet, place, mask) = match self.bits {
            Bits::One => (index / 8, index % 8, 0b1),
            Bits::Two => (index / 4, (index % 4).checked_mul(2)?, 0b11),
            Bits::Four => (index / 2, (index % 2).checked_mul(4)?, 0b1111),
            Bits::Eight => (index, 0, 0xff),
        };
        let octet = self.octets.get(usize::try_from(octet).ok()?)?;
        Some(octet.checked_shr(u32::try_from(place).ok()?)? & mask)
    }

    /// How many statuses there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a list without entries is one like any other")]
    pub fn len(&self) -> usize {
        let in_an_octet = match self.bits {
            Bits::One => 8,
            Bits::Two => 4,
            Bits::Four => 2,
            Bits::Eight => 1,
        };
        self.octets.len().saturating_mul(in_an_octet)
    }

    /// The end of its time, if it was asked for at `asked_at` and no list may be used for more than `longest`: what `ttl`
    /// and `exp` say, whichever is first. `leeway` is for `exp`, as with tokens.
    #[must_use]
    pub fn usable_until(
        &self,
        asked_at: Timestamp,
        longest: SignedDuration,
        profile: &IssuerProfile,
    ) -> Timestamp {
        let time = self.time_to_live.map_or(longest, |said| said.min(longest));
        let kept = asked_at.saturating_add(time).unwrap_or(asked_at);
        let expires = self.expires_at.map(|at| at.saturating_add(profile.effective_leeway()).unwrap_or(at));
        expires.map_or(kept, |expires| expires.min(kept))
    }

    /// `iat`.
    #[must_use]
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// Whether `other`, of the same address, was issued so long before this one that no difference of clocks explains it:
    /// then somebody serves an old list again.
    #[must_use]
    pub fn is_superseded_by(&self, other: &Self) -> bool {
        other.issued_at.duration_since(self.issued_at) > MAX_ISSUED_AHEAD
    }

    /// Whether the key that signed it is still one of the issuer's: a list by a key that was withdrawn is nobody's (G17).
    #[must_use]
    pub fn is_signed_by(&self, keys: &KeySet) -> bool {
        self.key_set == keys.id() || keys.has(self.signer)
    }
}

const fn limits(size: StatusListSize) -> JwsLimits {
    JwsLimits {
        bytes: size.document_bytes(),
        header_bytes: MAX_HEADER_BYTES,
        depth: MAX_DEPTH,
        members: MAX_MEMBERS,
    }
}

/// RFC 8725 §3.11: nothing else that the issuer signs is taken for a list.
fn check_type(header: &Object) -> Result<(), StatusListError> {
    let name = header.get("typ").and_then(Value::as_str).ok_or(StatusListError::TypeInvalid)?;
    let known = ["statuslist+jwt", "application/statuslist+jwt"];
    if known.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        Ok(())
    } else {
        Err(StatusListError::TypeInvalid)
    }
}

/// `sub` is the address that was asked for: another list of the same issuer says nothing here.
fn check_names(payload: &Object, uri: &str, issuer: &str) -> Result<(), StatusListError> {
    let subject = payload.get("sub").ok_or(StatusListError::ClaimMissing(Claim::Sub))?;
    if subject.as_str() != Some(uri) {
        return Err(StatusListError::SubjectMismatch);
    }
    match payload.get("iss") {
        Some(named) if named.as_str() != Some(issuer) => Err(StatusListError::IssuerMismatch),
        Some(_) | None => Ok(()),
    }
}

#[derive(Debug, Clone, Copy)]
struct Dates {
    issued_at: Timestamp,
    expires_at: Option<Timestamp>,
    time_to_live: Option<SignedDuration>,
}

impl Dates {
    fn read(payload: &Object) -> Result<Self, StatusListError> {
        let date = |claim: Claim| {
            let value = payload.get(claim.as_str());
            value.map(numeric_date).transpose().or(Err(StatusListError::ClaimInvalid(claim)))
        };
        let issued_at = date(Claim::Iat)?.ok_or(StatusListError::ClaimMissing(Claim::Iat))?;
        let expires_at = date(Claim::Exp)?;
        // A number of seconds is read as a date is, and is the time from the first one.
        let time_to_live = date(Claim::Ttl)?.map(|end| end.duration_since(Timestamp::UNIX_EPOCH));
        if time_to_live.is_some_and(|time| time <= SignedDuration::ZERO) {
            return Err(StatusListError::ClaimInvalid(Claim::Ttl));
        }
        Ok(Self { issued_at, expires_at, time_to_live })
    }

    fn check(&self, profile: &IssuerProfile, now: Timestamp) -> Result<(), StatusListError> {
        if self.issued_at.duration_since(now) > MAX_ISSUED_AHEAD {
            return Err(StatusListError::NotYetValid);
        }
        let leeway = profile.effective_leeway();
        if self.expires_at.is_some_and(|expires_at| now.duration_since(expires_at) >= leeway) {
            return Err(StatusListError::Expired);
        }
        Ok(())
    }
}

/// `status_list` of the payload: the number of bits, and the list as it was packed.
fn list(payload: &Object) -> Result<(Bits, &str), StatusListError> {
    let invalid = StatusListError::ClaimInvalid(Claim::StatusList);
    let list = payload.get("status_list").ok_or(StatusListError::ClaimMissing(Claim::StatusList))?;
    let list = list.as_object().ok_or(invalid)?;
    let bits = match list.get("bits").and_then(Value::as_number).and_then(|number| number.as_i64()) {
        Some(1) => Bits::One,
        Some(2) => Bits::Two,
        Some(4) => Bits::Four,
        Some(8) => Bits::Eight,
        Some(_) | None => return Err(invalid),
    };
    Ok((bits, list.get("lst").and_then(Value::as_str).ok_or(invalid)?))
}

/// DEFLATE in the zlib format (RFC 1950), with its checksum.
fn inflate(packed: &str, size: StatusListSize) -> Result<Box<[u8]>, StatusListError> {
    let packed = base64url::decode(packed).or(Err(StatusListError::NotZlib))?;
    match decompress_to_vec_zlib_with_limit(&packed, size.bytes()) {
        Ok(octets) => Ok(octets.into_boxed_slice()),
        Err(error) if error.status == TINFLStatus::HasMoreOutput => Err(StatusListError::ListTooLarge),
        Err(_) => Err(StatusListError::NotZlib),
    }
}
