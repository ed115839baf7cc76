//! The bytes of a connection, whatever they come over.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::Accept;
use tokio_rustls::server::TlsStream;

use super::TurnedAway;
use crate::tls::has_other_name;

/// A byte stream. One with TLS makes its handshake when it is first read from or written to, so that a client that is slow
/// with it holds up nobody.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
    Handshake(Box<Handshake>),
    /// The handshake has failed.
    Failed,
}

/// A handshake that is under way.
pub(super) struct Handshake {
    accept: Accept<TcpStream>,
    failed: TurnedAway,
}

impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshake").finish_non_exhaustive()
    }
}

impl Stream {
    /// One whose handshake is still to be made; `failed` counts it if it fails.
    pub(super) fn handshake(accept: Accept<TcpStream>, failed: TurnedAway) -> Self {
        Self::Handshake(Box::new(Handshake { accept, failed }))
    }

    /// Until bytes can be read and written.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self::Handshake(handshake) = self else { return Poll::Ready(Ok(())) };
        match ready!(Pin::new(&mut handshake.accept).poll(context)) {
            Ok(stream) => {
                *self = Self::Tls(Box::new(stream));
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                if has_other_name(&error) {
                    handshake.failed.count_name();
                } else {
                    handshake.failed.count_handshake();
                }
                tracing::debug!(%error, "a gRPC connection without its handshake");
                *self = Self::Failed;
                Poll::Ready(Err(error))
            }
        }
    }

    /// INVARIANT: asked for after [`Self::poll_open`] alone, so that no handshake is among them.
    fn bytes(&mut self) -> io::Result<Pin<&mut dyn Bytes>> {
        match self {
            Self::Tcp(stream) => Ok(Pin::new(stream)),
            Self::Unix(stream) => Ok(Pin::new(stream)),
            Self::Tls(stream) => Ok(Pin::new(&mut **stream)),
            Self::Handshake(_) | Self::Failed => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// What can be read from and written to.
trait Bytes: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Bytes for S {}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_open(context))?;
        this.bytes()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_open(context))?;
        this.bytes()?.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_open(context))?;
        this.bytes()?.poll_flush(context)
    }

    /// Who has not made his handshake is told nothing.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut().bytes() {
            Ok(stream) => stream.poll_shutdown(context),
            Err(_unopened) => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::path::Path;
    use std::sync::Arc;

    use exequatur_token::CertificateName;
    use rcgen::{CertifiedKey, KeyPair};
    use rustls_pki_types::{PrivateKeyDer, ServerName};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::rustls::crypto::aws_lc_rs;
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;
    use crate::config::TlsFiles;
    use crate::tls::{Certificates, WithoutCertificate};

    fn make(folder: &Path, name: &str) -> CertifiedKey<KeyPair> {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        std::fs::write(folder.join(format!("{name}.crt")), made.cert.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
        made
    }

    fn shows(client: Option<&CertifiedKey<KeyPair>>, server: &CertifiedKey<KeyPair>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(server.cert.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let key = PrivateKeyDer::try_from(client.signing_key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![client.cert.der().clone()], key).unwrap()
            }
        };
        Arc::new(config).into()
    }

    /// B-14: who is vouched for under a name that is not let in is told apart from whom nobody vouches for, and counted once.
    #[tokio::test]
    async fn a_certificate_of_another_name_is_counted_apart() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name| make(folder.path(), name);
        let (server, named, other, stranger) = (
            make("server.example.com"),
            make("envoy.example.com"),
            make("agent.example.com"),
            make("stranger"),
        );
        let authorities = folder.path().join("authorities");
        std::fs::write(&authorities, format!("{}{}", named.cert.pem(), other.cert.pem())).unwrap();
        let files = TlsFiles {
            certificate: folder.path().join("server.example.com.crt"),
            key: folder.path().join("server.example.com.key"),
            client_authority: Some(authorities),
            clients: vec![CertificateName::Dns("envoy.example.com".to_owned())],
        };
        let certificates = Certificates::load("grpc", files, WithoutCertificate::TurnAway, &[]).unwrap();
        let away = TurnedAway::default();
        for (shown, served, counted) in [
            (Some(&named), true, (0, 0)),
            (Some(&other), false, (1, 0)),
            (Some(&stranger), false, (1, 1)),
            (None, false, (1, 2)),
        ] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let connecting = TcpStream::connect(listener.local_addr().unwrap());
            let (theirs, ours) = tokio::join!(connecting, listener.accept());
            let acceptor = TlsAcceptor::from(certificates.current());
            let mut ours = Stream::handshake(acceptor.accept(ours.unwrap().0), away.clone());
            let connector = shows(shown, &server);
            let asking = async {
                let name = ServerName::try_from("server.example.com").unwrap();
                let mut stream = connector.connect(name, theirs.unwrap()).await?;
                stream.write_all(b"?").await?;
                Ok::<_, io::Error>(stream)
            };
            let (_asking, read) = tokio::join!(asking, ours.read_u8());
            assert_eq!(read.is_ok(), served, "{read:?}");
            assert_eq!((away.names(), away.handshakes()), counted);
        }
    }
}
