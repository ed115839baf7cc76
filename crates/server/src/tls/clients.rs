//! Which of the certificates that an authority signed are let in.
//!
//! The authority of a mesh signs for agents too, and who may ask may learn what a policy says of others' tokens (B-14).

use std::io;
use std::sync::Arc;

use exequatur_token::CertificateName;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
};

/// Whether a handshake failed because none of a certificate's names is let in, though an authority vouches for it: the judgement of
/// authorities never ends so.
pub(crate) fn has_other_name(failure: &io::Error) -> bool {
    let cause = failure.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    matches!(cause, Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)))
}

/// Lets in whom the authorities vouch for, if one of his names is among these. Compared byte by byte.
#[derive(Debug)]
pub(super) struct NamedClients {
    vouched: Arc<dyn ClientCertVerifier>,
    names: Vec<CertificateName>,
}

impl NamedClients {
    /// As `vouched` has it where there are no names.
    pub(super) fn among(
        names: &[CertificateName],
        vouched: Arc<dyn ClientCertVerifier>,
    ) -> Arc<dyn ClientCertVerifier> {
        if names.is_empty() { vouched } else { Arc::new(Self { vouched, names: names.to_vec() }) }
    }
}

impl ClientCertVerifier for NamedClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.vouched.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let vouched = self.vouched.verify_client_cert(leaf, between, now)?;
        if CertificateName::all_in(leaf).iter().any(|name| self.names.contains(name)) {
            return Ok(vouched);
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.vouched.verify_tls12_signature(message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.vouched.verify_tls13_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.vouched.supported_verify_schemes()
    }

    fn offer_client_auth(&self) -> bool {
        self.vouched.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.vouched.client_auth_mandatory()
    }
}
