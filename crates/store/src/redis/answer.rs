//! What a server answers, read strictly: whatever has another form is none.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use redis::Value;

use crate::admission::StoreError;

/// What an answer is known by: it is told with the question, and stands in the answer to that and in no other (C-04). 24 random
/// bytes in base64url.
///
/// # Errors
/// [`StoreError::NoRandomness`].
pub(super) fn draw() -> Result<String, StoreError> {
    let mut random = [0; 24];
    getrandom::fill(&mut random).or(Err(StoreError::NoRandomness))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random))
}

pub(super) fn list(value: &Value) -> Option<&[Value]> {
    if let Value::Array(items) = value { Some(items) } else { None }
}

pub(super) fn bytes(value: &Value) -> Option<&[u8]> {
    if let Value::BulkString(bytes) = value { Some(bytes) } else { None }
}

pub(super) fn text(value: &Value) -> Option<&str> {
    std::str::from_utf8(bytes(value)?).ok()
}

/// An integer, or one that is written as text.
pub(super) fn number(value: &Value) -> Option<u64> {
    if let Value::Int(number) = value {
        return u64::try_from(*number).ok();
    }
    text(value)?.parse().ok()
}
