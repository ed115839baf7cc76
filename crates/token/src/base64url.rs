//! Strict base64url without padding (RFC 7515 §2, RFC 4648 §5): one text per byte string.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The text is not the one canonical unpadded base64url form of any bytes, or not of as many as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Base64UrlError {
    /// A character outside the alphabet, padding, an impossible length or non-zero trailing bits.
    #[error("not canonical unpadded base64url")]
    NotCanonical,
    /// Canonical, but of another number of bytes than the field has.
    #[error("base64url of the wrong length")]
    Length,
}

/// Decodes `text`.
///
/// # Errors
/// [`Base64UrlError::NotCanonical`] for whitespace, padding, `+`, `/`, and for trailing bits that are not
/// zero: several texts for one value would bypass whatever is keyed by the text (G25).
pub fn decode(text: &str) -> Result<Vec<u8>, Base64UrlError> {
    URL_SAFE_NO_PAD.decode(text).or(Err(Base64UrlError::NotCanonical))
}

/// Decodes `text` to exactly `N` bytes.
///
/// # Errors
/// [`Base64UrlError`], the length being judged last.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], Base64UrlError> {
    decode(text)?.try_into().or(Err(Base64UrlError::Length))
}

/// Encodes `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The length of the text of `bytes` bytes, so that a limit can be applied before decoding.
pub(crate) const fn encoded_len(bytes: usize) -> usize {
    bytes.saturating_mul(4).div_ceil(3)
}
