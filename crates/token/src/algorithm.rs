//! Signature algorithms: a closed list, without a symmetric one and without `none`.

use std::fmt;

/// A signature algorithm that can be allowed for an issuer or for proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256 (RFC 7518 §3.4).
    Es256,
    /// Ed25519 (RFC 8037; named `Ed25519` by RFC 9864).
    EdDsa,
}

impl Algorithm {
    /// The algorithm that a JOSE `alg` names, case-sensitively. `EdDSA` and `Ed25519` are one (J19).
    #[must_use]
    pub fn from_jose(name: &str) -> Option<Self> {
        match name {
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// The registered JOSE name.
    #[must_use]
    pub const fn jose_name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.jose_name())
    }
}
