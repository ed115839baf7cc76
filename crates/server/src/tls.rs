//! The certificates of listeners: read at the start, and again when their files change.

mod clients;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use self::clients::NamedClients;
pub(crate) use self::clients::has_other_name;
use crate::config::TlsFiles;
use crate::metrics;
use crate::validity::Validity;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// What is wrong with a file that trusts nobody.
pub(crate) const NO_AUTHORITIES: &str = "no certificates of authorities in PEM that can be read";

/// Whether a client without a certificate gets in, to say otherwise who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WithoutCertificate {
    LetIn,
    TurnAway,
}

/// Why a listener has no certificate.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file has something else than what it should.
    #[error("{}: {what}", file.display())]
    Unfit {
        /// Which.
        file: PathBuf,
        /// What it should have.
        what: &'static str,
    },
    /// They do not fit each other.
    #[error("{}: certificate and key do not fit: {source}", file.display())]
    Pair {
        /// The certificate's file.
        file: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authorities of clients cannot be used.
    #[error("{}: {source}", file.display())]
    Authorities {
        /// Their file.
        file: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
}

/// What handshakes are made with.
#[derive(Debug)]
pub(crate) struct Certificates {
    listener: &'static str,
    files: TlsFiles,
    without: WithoutCertificate,
    protocols: &'static [&'static [u8]],
    current: ArcSwap<ServerConfig>,
    read: ArcSwap<[u8; 32]>,
}

/// What the files say.
struct Read {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    authorities: Option<Vec<u8>>,
}

impl Certificates {
    /// For the listener of this name, that speaks `protocols` (RFC 7301); any if there is none. Tells when its certificate ends.
    ///
    /// # Errors
    /// [`TlsError`]
    pub(crate) fn load(
        listener: &'static str,
        files: TlsFiles,
        without: WithoutCertificate,
        protocols: &'static [&'static [u8]],
    ) -> Result<Self, TlsError> {
        let read = Read::from(&files)?;
        let current = ArcSwap::from_pointee(read.config(&files, without, protocols)?);
        let digest = ArcSwap::from_pointee(read.digest());
        let loaded = Self { listener, without, protocols, current, read: digest, files };
        loaded.tell(&read);
        metrics::certificate_refused(listener, false);
        Ok(loaded)
    }

    /// When the first of the chain ends, and for how long it is valid in all.
    fn tell(&self, read: &Read) {
        let chain = certificates(&read.certificate).unwrap_or_default();
        let ends = chain.iter().filter_map(|der| Validity::of(der)).min_by_key(|one| one.until);
        if let Some(validity) = ends {
            metrics::certificate(self.listener, &validity);
        }
    }

    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Goes over to what the files say whenever it changes; what cannot be used is told, and the last goes on.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut told = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let renewed = self.renew();
            metrics::certificate_refused(self.listener, renewed.is_err());
            match renewed {
                Ok(Renewed::Yes) => {
                    told = false;
                    tracing::info!(certificate = %self.files.certificate.display(), "a listener's certificate was renewed");
                }
                Ok(Renewed::Same) => told = false,
                Err(error) if !told => {
                    told = true;
                    tracing::error!(%error, "a listener goes on with the certificate that it has");
                }
                Err(_told) => {}
            }
        }
    }

    fn renew(&self) -> Result<Renewed, TlsError> {
        let read = Read::from(&self.files)?;
        let digest = read.digest();
        if digest == **self.read.load() {
            return Ok(Renewed::Same);
        }
        self.current.store(Arc::new(read.config(&self.files, self.without, self.protocols)?));
        self.read.store(Arc::new(digest));
        self.tell(&read);
        Ok(Renewed::Yes)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Renewed {
    Yes,
    Same,
}

impl Read {
    fn from(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: Zeroizing::new(read(&files.key)?),
            authorities: files.client_authority.as_deref().map(read).transpose()?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let parts = [Some(&self.certificate), Some(&*self.key), self.authorities.as_ref()];
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part.map_or([0; 32], |part| Sha256::digest(part).into()));
        }
        digest.finalize().into()
    }

    fn config(
        &self,
        files: &TlsFiles,
        without: WithoutCertificate,
        protocols: &[&[u8]],
    ) -> Result<ServerConfig, TlsError> {
        let unfit = |file: &Path, what| TlsError::Unfit { file: file.to_owned(), what };
        let chain = certificates(&self.certificate).filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| unfit(&files.certificate, "no certificates in PEM"))?;
        let key =
            PrivateKeyDer::from_pem_slice(&self.key).or(Err(unfit(&files.key, "no private key in PEM")))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pair = |source| TlsError::Pair { file: files.certificate.clone(), source };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(pair)?;
        let builder = match (&self.authorities, &files.client_authority) {
            (Some(pem), Some(file)) => {
                let roots = authorities(pem).ok_or_else(|| unfit(file, NO_AUTHORITIES))?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match without {
                    WithoutCertificate::LetIn => verifier.allow_unauthenticated(),
                    WithoutCertificate::TurnAway => verifier,
                };
                let verifier = verifier.build();
                let verifier =
                    verifier.map_err(|source| TlsError::Authorities { file: file.clone(), source })?;
                builder.with_client_cert_verifier(NamedClients::among(&files.clients, verifier))
            }
            (None, _) | (_, None) => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
        // A session that is taken up again would not show its certificate again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(config)
    }
}

/// Those whose certificates are trusted; `None` if there is no certificate that can be, or what is no certificate in one's place.
pub(crate) fn authorities(pem: &[u8]) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (added, _refused) = roots.add_parsable_certificates(certificates(pem).unwrap_or_default());
    (added > 0).then_some(roots)
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { file: file.to_owned(), source };
    if std::fs::metadata(file).map_err(unreadable)?.len() > MAX_BYTES {
        return Err(TlsError::Unfit { file: file.to_owned(), what: "larger than 1 MiB" });
    }
    std::fs::read(file).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn write(folder: &Path, name: &str) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        std::fs::write(folder.join("tls.crt"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(folder.join("ca.crt"), made.cert.pem()).unwrap();
        std::fs::set_permissions(folder.join("tls.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn files(folder: &Path) -> TlsFiles {
        TlsFiles {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
            client_authority: Some(folder.join("ca.crt")),
            clients: Vec::new(),
        }
    }

    #[test]
    fn a_new_certificate_is_gone_over_to_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.example.com");
        let held = Certificates::load("grpc", files(folder.path()), WithoutCertificate::LetIn, &[]).unwrap();
        let first = held.current();
        assert_eq!(held.renew().unwrap(), Renewed::Same);
        write(folder.path(), "b.example.com");
        assert_eq!(held.renew().unwrap(), Renewed::Yes);
        let second = held.current();
        assert!(!Arc::ptr_eq(&first, &second));
        // A key that does not fit, as while both are replaced; then nothing at all.
        let other = rcgen::generate_simple_self_signed(vec!["c".to_owned()]).unwrap();
        std::fs::write(folder.path().join("tls.key"), other.signing_key.serialize_pem()).unwrap();
        assert!(matches!(held.renew(), Err(TlsError::Pair { .. })));
        for file in ["tls.crt", "ca.crt"] {
            write(folder.path(), "d.example.com");
            std::fs::write(folder.path().join(file), "").unwrap();
            assert!(matches!(held.renew(), Err(TlsError::Unfit { .. })), "{file}");
        }
        assert!(Arc::ptr_eq(&second, &held.current()));
        std::fs::remove_file(folder.path().join("tls.key")).unwrap();
        assert!(matches!(held.renew(), Err(TlsError::Unreadable { .. })));
    }

    /// What is asked of `/metrics` while a listener follows its files.
    #[tokio::test(start_paused = true)]
    async fn it_is_told_when_a_certificate_ends_and_that_one_was_refused() {
        let recorder = metrics::recorder().unwrap();
        let handle = recorder.handle();
        let _recording = ::metrics::set_default_local_recorder(&recorder);
        let folder = tempfile::tempdir().unwrap();
        let until = |year| {
            let mut made = rcgen::CertificateParams::new(vec!["a.example.com".to_owned()]).unwrap();
            (made.not_before, made.not_after) =
                (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(year, 1, 1));
            let key = rcgen::KeyPair::generate().unwrap();
            std::fs::write(folder.path().join("tls.key"), key.serialize_pem()).unwrap();
            std::fs::write(folder.path().join("tls.crt"), made.self_signed(&key).unwrap().pem()).unwrap();
        };
        let said = |seconds: u64, refused: u8| {
            let text = handle.render();
            let line = |name: &str, value: &str| {
                assert!(
                    text.contains(&format!("exequatur_certificate_{name}{{listener=\"grpc\"}} {value}\n")),
                    "{text}"
                );
            };
            line("expires_timestamp_seconds", &seconds.to_string());
            line("refused", &refused.to_string());
        };
        until(2030);
        std::fs::write(folder.path().join("ca.crt"), std::fs::read(folder.path().join("tls.crt")).unwrap())
            .unwrap();
        let held = Certificates::load("grpc", files(folder.path()), WithoutCertificate::LetIn, &[]).unwrap();
        said(1_893_456_000, 0);
        assert!(
            handle.render().contains("exequatur_certificate_lifetime_seconds{listener=\"grpc\"} 315619200\n")
        );
        let stop = CancellationToken::new();
        let mut following = std::pin::pin!(Arc::new(held).follow(stop.clone()));
        let mut for_a_while = async || {
            assert!(tokio::time::timeout(LOOK_EVERY * 2, &mut following).await.is_err());
        };
        until(2031);
        for_a_while().await;
        said(1_924_992_000, 0);
        std::fs::write(folder.path().join("tls.crt"), "broken").unwrap();
        for_a_while().await;
        said(1_924_992_000, 1);
        until(2032);
        for_a_while().await;
        said(1_956_528_000, 0);
    }
}
