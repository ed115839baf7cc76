//! The client certificate of the connection, as Envoy reports it (RFC 8705).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::digest::CertificateThumbprint;

/// Longest URL-encoded text that is read.
const MAX_ENCODED_BYTES: usize = 128 * 1024;
/// Longest certificate.
const MAX_DER_BYTES: usize = 16 * 1024;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A client certificate that a trusted peer reported. Binding needs its thumbprint alone and no chain, and identity is not
/// taken from it (M06). What else it says counts only by an authority's word ([`crate::CertifiedTenants`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    thumbprint: CertificateThumbprint,
    der: Vec<u8>,
}

impl ClientCertificate {
    /// Reads `source.certificate` of a check request: URL-encoded PEM, of which the first block is the
    /// leaf. `+` is base64's and stays (M02).
    ///
    /// # Errors
    /// [`CertificateError`], for anything but a certificate at the very start.
    pub fn from_envoy(url_encoded_pem: &str) -> Result<Self, CertificateError> {
        if url_encoded_pem.len() > MAX_ENCODED_BYTES {
            return Err(CertificateError::TooLarge);
        }
        let pem = percent_decode(url_encoded_pem)?;
        let (body, _) = pem
            .trim_ascii_start()
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.split_once(END))
            .ok_or(CertificateError::Pem)?;
        let base64: String = body.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
        let der = STANDARD.decode(base64).or(Err(CertificateError::Base64))?;
        Self::read(der)
    }

    /// Takes the leaf of a connection that this process made itself, after its chain was verified.
    ///
    /// # Errors
    /// [`CertificateError::TooLarge`], [`CertificateError::Der`]
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        Self::read(der.to_vec())
    }

    fn read(der: Vec<u8>) -> Result<Self, CertificateError> {
        if der.len() > MAX_DER_BYTES {
            return Err(CertificateError::TooLarge);
        }
        if !is_one_sequence(&der) {
            return Err(CertificateError::Der);
        }
        Ok(Self { thumbprint: CertificateThumbprint::of_der(&der), der })
    }

    /// The SHA-256 of its DER form.
    #[must_use]
    pub const fn thumbprint(&self) -> CertificateThumbprint {
        self.thumbprint
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }
}

fn percent_decode(text: &str) -> Result<String, CertificateError> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, tail)) = rest.split_once('%') {
        decoded.push_str(plain);
        let (digits, tail) = tail.split_at_checked(2).ok_or(CertificateError::UrlEncoding)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(CertificateError::UrlEncoding);
        }
        let byte = u8::from_str_radix(digits, 16).or(Err(CertificateError::UrlEncoding))?;
        decoded.push(char::from(byte));
        rest = tail;
    }
    decoded.push_str(rest);
    if decoded.is_ascii() { Ok(decoded) } else { Err(CertificateError::UrlEncoding) }
}

/// Whether `der` is exactly one DER SEQUENCE, nothing before or after it: the thumbprint is over the
/// certificate, not over whatever else a block may hold.
fn is_one_sequence(der: &[u8]) -> bool {
    let (declared, content): (usize, &[u8]) = match der {
        [0x30, length @ 0..=0x7F, content @ ..] => (usize::from(*length), content),
        [0x30, 0x81, length @ 0x80..=0xFF, content @ ..] => (usize::from(*length), content),
        [0x30, 0x82, high @ 1..=0xFF, low, content @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), content)
        }
        _ => return false,
    };
    content.len() == declared
}

/// Why a reported certificate was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Longer than a certificate may be.
    #[error("certificate too large")]
    TooLarge,
    /// A malformed percent escape, or not ASCII.
    #[error("certificate is not url-encoded text")]
    UrlEncoding,
    /// Does not begin with a PEM block of a certificate.
    #[error("certificate is not pem")]
    Pem,
    /// The block is not base64.
    #[error("certificate is not base64")]
    Base64,
    /// The block is not one DER sequence.
    #[error("certificate is not der")]
    Der,
}

#[cfg(test)]
mod tests;
