//! A tenant that the client's certificate says: the one that the token is bound to, by an authority that is named for it.
//!
//! A proxy that reports a certificate need not have verified who issued it (an Envoy may accept any for the sake of RFC 8705
//! §3, where the thumbprint is enough). So whose word it is, is judged here.

mod pattern;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

pub use self::pattern::{PatternProblem, TenantUri};
use crate::certificate::ClientCertificate;

/// How long a certificate that was looked at counts, if it is still valid then.
pub(crate) const COUNTS_FOR: SignedDuration = SignedDuration::from_secs(60);
/// Most authorities of one issuer: each certificate may be compared with all of them.
const MAX_AUTHORITIES: usize = 16;

/// By whose word, and where in a certificate, a tenant is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifiedTenants {
    /// Who has to have signed the certificate.
    pub authorities: ClientAuthorities,
    /// Where its one URI has the tenant.
    pub uri: TenantUri,
}

/// Authorities that sign clients' certificates, each by itself: a chain that is longer is not reported by the proxy. They may be replaced by
/// others of the same file between two looks. Clones share them. Shown is the file alone.
#[derive(Clone)]
pub struct ClientAuthorities {
    file: PathBuf,
    held: Arc<ArcSwap<Held>>,
}

#[derive(PartialEq, Eq)]
struct Held {
    anchors: Vec<TrustAnchor<'static>>,
    /// Of what they were read from.
    digest: [u8; 32],
}

impl ClientAuthorities {
    /// Reads certificates of authorities, the PEM that `file` holds.
    ///
    /// # Errors
    /// [`AuthoritiesProblem`]
    pub fn from_pem(file: PathBuf, pem: &[u8]) -> Result<Self, AuthoritiesProblem> {
        let mut anchors = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.or(Err(AuthoritiesProblem::Pem))?;
            let anchor = anchor_from_trusted_cert(&certificate).or(Err(AuthoritiesProblem::Certificate))?;
            anchors.push(anchor.to_owned());
        }
        match anchors.len() {
            0 => Err(AuthoritiesProblem::None),
            1..=MAX_AUTHORITIES => {
                let held = Held { anchors, digest: Sha256::digest(pem).into() };
                Ok(Self { file, held: Arc::new(ArcSwap::from_pointee(held)) })
            }
            _ => Err(AuthoritiesProblem::TooMany),
        }
    }

    /// Where they stood.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// SHA-256 of what the file said: what was judged by other authorities is to be judged anew.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.held.load().digest
    }

    /// Goes over to those that `other` has. Whether its file said something else.
    pub fn renew(&self, other: &Self) -> bool {
        let differs = self.digest() != other.digest();
        if differs {
            self.held.store(other.held.load_full());
        }
        differs
    }

    /// Whether one of them signed this for a client, and it is valid at `when`.
    fn vouch_for(&self, leaf: &EndEntityCert<'_>, when: Timestamp) -> bool {
        let Ok(seconds) = u64::try_from(when.as_second()) else { return false };
        let when = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let usage = KeyUsage::client_auth();
        let held = self.held.load();
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &held.anchors, &[], when, usage, None, None).is_ok()
    }
}

impl PartialEq for ClientAuthorities {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file && *self.held.load_full() == *other.held.load_full()
    }
}

impl Eq for ClientAuthorities {}

/// The file alone: what it says may change while the configuration stays the same.
impl fmt::Debug for ClientAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuthorities").field("file", &self.file).finish_non_exhaustive()
    }
}

/// What a certificate says, and until when that counts without another look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertifiedTenant {
    pub(crate) tenant: String,
    pub(crate) until: Timestamp,
}

impl CertifiedTenants {
    /// The tenant in a certificate that one of the authorities signed for a client and that is valid at `now`.
    ///
    /// It is a leaf with exactly one URI among its names, as an X.509-SVID has it (W01).
    ///
    /// # Errors
    /// [`CertificateUntrusted`]
    pub(crate) fn tenant(
        &self,
        certificate: &ClientCertificate,
        now: Timestamp,
    ) -> Result<CertifiedTenant, CertificateUntrusted> {
        let der = CertificateDer::from(certificate.der());
        let leaf = EndEntityCert::try_from(&der).or(Err(CertificateUntrusted))?;
        let mut names = leaf.valid_uri_names();
        let (Some(name), None) = (names.next(), names.next()) else { return Err(CertificateUntrusted) };
        // The signature last: all that is cheaper comes first.
        let tenant = self.uri.tenant(name).ok_or(CertificateUntrusted)?;
        if !self.authorities.vouch_for(&leaf, now) {
            return Err(CertificateUntrusted);
        }
        // It is valid from one instant to another; so what is valid now and then, is so in between.
        let later = now.checked_add(COUNTS_FOR).unwrap_or(now);
        let until = if self.authorities.vouch_for(&leaf, later) { later } else { now };
        Ok(CertifiedTenant { tenant: tenant.to_owned(), until })
    }
}

/// The certificate says no tenant that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client certificate is by no authority for tenants, not valid now, or names no tenant")]
pub(crate) struct CertificateUntrusted;

/// Why a file of authorities cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesProblem {
    /// A block that is no PEM.
    #[error("not PEM")]
    Pem,
    /// A block that is no X.509 certificate.
    #[error("not a certificate")]
    Certificate,
    /// No certificate in it.
    #[error("no certificate in it")]
    None,
    /// More than there may be.
    #[error("more than {MAX_AUTHORITIES} certificates in it")]
    TooMany,
}

#[cfg(test)]
mod tests;
