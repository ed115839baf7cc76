//! `status`: where a token's issuer says that its status is kept (Token Status List, draft-ietf-oauth-status-list §6).

use std::sync::Arc;

use crate::json::{Object, Value};

/// Longest address of a status list, in bytes. It is looked up under this text and fetched by it.
const MAX_URI_BYTES: usize = 1024;

/// A place in a status list, as a token names it. Whether lists may come from there is another's question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReference {
    // INVARIANT: 1 to 1024 bytes of printable ASCII without space.
    uri: Arc<str>,
    index: u64,
}

impl StatusReference {
    /// Reads `status` of `payload`. A token without it has no status to be looked up.
    ///
    /// The draft lets members of `status_list` other than `idx` and `uri` be ignored, and other mechanisms stand beside
    /// `status_list`: what it says is enough. A `status` of other mechanisms alone asks for something that is not done
    /// here, and leaving it out would take a revoked token for a good one.
    pub(crate) fn from_payload(payload: &Object) -> Result<Option<Self>, StatusClaimError> {
        let Some(status) = payload.get("status") else { return Ok(None) };
        let mechanisms = status.as_object().ok_or(StatusClaimError::Malformed)?;
        if mechanisms.is_empty() {
            return Err(StatusClaimError::Malformed);
        }
        let place = mechanisms.get("status_list").ok_or(StatusClaimError::Unsupported)?;
        let place = place.as_object().ok_or(StatusClaimError::Malformed)?;
        let index = place.get("idx").and_then(index).ok_or(StatusClaimError::Malformed)?;
        let uri = place.get("uri").and_then(Value::as_str).ok_or(StatusClaimError::Malformed)?;
        Self::new(uri, index).ok_or(StatusClaimError::Malformed).map(Some)
    }

    fn new(uri: &str, index: u64) -> Option<Self> {
        let fits =
            (1..=MAX_URI_BYTES).contains(&uri.len()) && uri.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self { uri: uri.into(), index })
    }

    /// The list's address as written: 1 to 1024 bytes of printable ASCII without space.
    #[must_use]
    pub const fn uri(&self) -> &Arc<str> {
        &self.uri
    }

    /// The position in the list, from 0.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }
}

/// A whole number from 0, without sign, fraction and exponent.
fn index(value: &Value) -> Option<u64> {
    value.as_number().and_then(|number| number.as_str().parse().ok())
}

/// Why `status` cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusClaimError {
    /// Not an object, empty, or `status_list` is not an object of a whole number `idx` and an address `uri`.
    Malformed,
    /// No member of it is understood.
    Unsupported,
}
