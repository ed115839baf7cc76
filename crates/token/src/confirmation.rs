//! `cnf`: what the caller must prove to possess (RFC 7800 §3.1, RFC 9449 §6.1, RFC 8705 §3.1).

use crate::digest::{CertificateThumbprint, Thumbprint};
use crate::json::{Object, Value};

/// The sender constraints of a token. Each that is there must be satisfied (D29).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmation {
    jkt: Option<Thumbprint>,
    x5t: Option<CertificateThumbprint>,
}

impl Confirmation {
    /// Reads `cnf` of `payload`. Without it the token is a bearer token.
    pub(crate) fn from_payload(payload: &Object) -> Result<Self, BindingUnsupported> {
        let Some(cnf) = payload.get("cnf") else { return Ok(Self::default()) };
        let cnf = cnf.as_object().ok_or(BindingUnsupported)?;
        let mut confirmation = Self::default();
        for (name, value) in cnf.iter() {
            match name {
                "jkt" => confirmation.jkt = Some(read(value, Thumbprint::from_base64url)?),
                "x5t#S256" => confirmation.x5t = Some(read(value, CertificateThumbprint::from_base64url)?),
                // RFC 7800 would have unknown members ignored; a constraint that is not understood cannot
                // be checked.
                _ => return Err(BindingUnsupported),
            }
        }
        if confirmation.is_bound() { Ok(confirmation) } else { Err(BindingUnsupported) }
    }

    /// The thumbprint of the key that proofs must be signed with.
    #[must_use]
    pub const fn jkt(&self) -> Option<Thumbprint> {
        self.jkt
    }

    /// The thumbprint of the client certificate.
    #[must_use]
    pub const fn x5t(&self) -> Option<CertificateThumbprint> {
        self.x5t
    }

    /// Whether there is any sender constraint.
    #[must_use]
    pub const fn is_bound(&self) -> bool {
        self.jkt.is_some() || self.x5t.is_some()
    }
}

fn read<T, E>(value: &Value, parse: fn(&str) -> Result<T, E>) -> Result<T, BindingUnsupported> {
    value.as_str().and_then(|text| parse(text).ok()).ok_or(BindingUnsupported)
}

/// `cnf` is not an object of members that are understood, or is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sender constraint not supported")]
pub struct BindingUnsupported;
