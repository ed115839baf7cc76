//! Whether the caller holds what the token is bound to: decided by the token's `cnf`, never by the scheme
//! that the caller chose (G03).

use crate::access::CurrentToken;
use crate::certificate::ClientCertificate;
use crate::confirmation::Confirmation;
use crate::digest::CertificateThumbprint;
use crate::proof::VerifiedProof;

/// The scheme of the `Authorization` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `Bearer` (RFC 6750)
    Bearer,
    /// `DPoP` (RFC 9449 §7.1)
    Dpop,
}

/// What came with the token.
#[derive(Debug)]
pub struct PresentedSender<'a> {
    /// The scheme it was sent under.
    pub scheme: Scheme,
    /// The proof, if one was sent and verified.
    pub proof: Option<VerifiedProof>,
    /// The client certificate of the connection, if there is one.
    pub certificate: Option<&'a ClientCertificate>,
}

/// How a token is tied to its sender.
#[derive(Debug)]
pub enum Constraint {
    /// Not at all: whoever has the token may use it.
    Bearer,
    /// By a proof with the token's key.
    Dpop(VerifiedProof),
    /// By the client certificate.
    Certificate(CertificateThumbprint),
    /// By both.
    Both(VerifiedProof, CertificateThumbprint),
}

/// A sender who holds what the token is bound to, by the way in which the binding was shown.
#[derive(Debug)]
pub enum Bound {
    /// By the token's own `cnf`. A chain of delegation grants that starts at it would be another way.
    ByToken(TokenBinding),
}

/// A token whose every sender constraint is satisfied. Only [`bind`] makes one.
#[derive(Debug)]
pub struct TokenBinding {
    token: CurrentToken,
    constraint: Constraint,
}

impl Bound {
    /// The token.
    #[must_use]
    pub const fn token(&self) -> &CurrentToken {
        let Self::ByToken(binding) = self;
        &binding.token
    }

    /// How it is tied to its sender.
    #[must_use]
    pub const fn constraint(&self) -> &Constraint {
        let Self::ByToken(binding) = self;
        &binding.constraint
    }

    /// The proof, if the token is bound to a key.
    #[must_use]
    pub const fn proof(&self) -> Option<&VerifiedProof> {
        match self.constraint() {
            Constraint::Dpop(proof) | Constraint::Both(proof, _) => Some(proof),
            Constraint::Bearer | Constraint::Certificate(_) => None,
        }
    }

    /// The certificate, if the token is bound to one.
    #[must_use]
    pub const fn certificate(&self) -> Option<CertificateThumbprint> {
        match self.constraint() {
            Constraint::Certificate(certificate) | Constraint::Both(_, certificate) => Some(*certificate),
            Constraint::Bearer | Constraint::Dpop(_) => None,
        }
    }
}

/// Checks every sender constraint of `token` against what was presented.
///
/// # Errors
/// [`BindingError`]. A certificate that no constraint asks for is ignored; a proof that none asks for is
/// refused, since its sender takes the token for a bound one.
pub fn bind(token: CurrentToken, presented: PresentedSender<'_>) -> Result<Bound, BindingError> {
    let PresentedSender { scheme, proof, certificate } = presented;
    let confirmation = token.token().confirmation();
    let proof = check_key(confirmation, scheme, proof)?;
    let certificate = check_certificate(confirmation, certificate)?;
    // Nobody may use a token of an unknown tenant.
    if token.token().is_uncertified() {
        return Err(BindingError::CertificateUntrusted);
    }
    let constraint = match (proof, certificate) {
        (None, None) => Constraint::Bearer,
        (Some(proof), None) => Constraint::Dpop(proof),
        (None, Some(certificate)) => Constraint::Certificate(certificate),
        (Some(proof), Some(certificate)) => Constraint::Both(proof, certificate),
    };
    Ok(Bound::ByToken(TokenBinding { token, constraint }))
}

fn check_key(
    confirmation: &Confirmation,
    scheme: Scheme,
    proof: Option<VerifiedProof>,
) -> Result<Option<VerifiedProof>, BindingError> {
    match (confirmation.jkt(), scheme, proof) {
        (None, Scheme::Bearer, None) => Ok(None),
        (None, Scheme::Dpop, _) | (None, Scheme::Bearer, Some(_)) => Err(BindingError::NotDpopBound),
        (Some(_), Scheme::Bearer, _) => Err(BindingError::DpopBoundAsBearer),
        (Some(_), Scheme::Dpop, None) => Err(BindingError::ProofMissing),
        (Some(jkt), Scheme::Dpop, Some(proof)) if jkt == proof.key() => Ok(Some(proof)),
        (Some(_), Scheme::Dpop, Some(_)) => Err(BindingError::KeyMismatch),
    }
}

fn check_certificate(
    confirmation: &Confirmation,
    certificate: Option<&ClientCertificate>,
) -> Result<Option<CertificateThumbprint>, BindingError> {
    match (confirmation.x5t(), certificate) {
        (None, _) => Ok(None),
        (Some(_), None) => Err(BindingError::CertificateMissing),
        (Some(x5t), Some(certificate)) if x5t == certificate.thumbprint() => Ok(Some(x5t)),
        (Some(_), Some(_)) => Err(BindingError::CertificateMismatch),
    }
}

/// Why a token is not its sender's to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// A token that is bound to no key came with the DPoP scheme or with a proof (D21).
    #[error("token is not bound to a key")]
    NotDpopBound,
    /// A token that is bound to a key came as a bearer token, with a proof or without (D22).
    #[error("token is bound to a key, but sent as bearer token")]
    DpopBoundAsBearer,
    /// No proof (D28).
    #[error("no proof")]
    ProofMissing,
    /// The proof is signed with another key (D17).
    #[error("proof is signed with another key")]
    KeyMismatch,
    /// No client certificate (M01).
    #[error("no client certificate")]
    CertificateMissing,
    /// Another client certificate (M01).
    #[error("another client certificate")]
    CertificateMismatch,
    /// The client certificate is to say the tenant, and is by no authority for that, not valid now, or says none.
    #[error("the client certificate says no tenant that counts")]
    CertificateUntrusted,
}

#[cfg(test)]
mod tests;
