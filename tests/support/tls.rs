//! Certificates for a listener on localhost and for a client, made by `openssl`.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use reqwest::{Certificate, Identity};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::binaries;
use crate::jwt::base64url;
use crate::raw::Version;

/// Writes `tls/{ca,server,client}.{crt,key}` below `folder`.
///
/// # Errors
/// When `openssl` is missing or fails.
pub fn write(folder: &Path) -> Result<(), String> {
    let folder = folder.join("tls");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let authority = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=exequatur-tests \
                     -keyout ca.key -out ca.crt";
    openssl(&folder, authority)?;
    issue(&folder, ".")?;
    // For configurations whose certificates change: a link to the folder that counts.
    let first = folder.join("first");
    std::fs::create_dir_all(&first).map_err(|error| error.to_string())?;
    for name in ["server.crt", "server.key", "client.crt", "client.key"] {
        std::fs::copy(folder.join(name), first.join(name)).map_err(|error| format!("{name}: {error}"))?;
    }
    std::os::unix::fs::symlink("first", folder.join("current")).map_err(|error| error.to_string())
}

/// Writes `tls/sds/{server,client}.yaml` as they are shipped, with this folder in them.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write_secrets(folder: &Path) -> Result<(), String> {
    let tls = folder.join("tls");
    std::fs::create_dir_all(tls.join("sds")).map_err(|error| error.to_string())?;
    for name in ["sds/server.yaml", "sds/client.yaml"] {
        let shipped = std::fs::read_to_string(binaries::repository().join("envoy").join(name));
        let shipped = shipped.map_err(|error| format!("{name}: {error}"))?;
        let text = shipped.replace(": tls", &format!(": {}", tls.display()));
        std::fs::write(tls.join(name), text).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// Makes another `{server,client}.{crt,key}` of the same authority, in a folder of their own below `tls`.
///
/// # Errors
/// When `openssl` fails.
pub fn write_set(tls: &Path, folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    issue(tls, &folder.display().to_string())
}

fn issue(tls: &Path, to: &str) -> Result<(), String> {
    for (name, extension) in
        [("server", "subjectAltName=DNS:localhost"), ("client", "extendedKeyUsage=clientAuth")]
    {
        openssl(
            tls,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name} \
                 -addext basicConstraints=critical,CA:FALSE -addext {extension} -CA ca.crt -CAkey ca.key \
                 -keyout {to}/{name}.key -out {to}/{name}.crt"
            ),
        )?;
    }
    Ok(())
}

fn openssl(folder: &Path, arguments: &str) -> Result<(), String> {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("openssl: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// What a listener on localhost needs that shows the certificate of [`write`].
///
/// # Errors
/// When a file cannot be read.
pub fn acceptor(folder: &Path) -> Result<TlsAcceptor, String> {
    let read =
        |name: &str| std::fs::read(folder.join("tls").join(name)).map_err(|error| format!("{name}: {error}"));
    let certificate =
        CertificateDer::from_pem_slice(&read("server.crt")?).map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(&read("server.key")?).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(|error| error.to_string())?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The authority of the listener's certificate.
///
/// # Errors
/// When its file cannot be read.
pub fn authority(folder: &Path) -> Result<Certificate, String> {
    Certificate::from_pem(&read(folder, "ca.crt")?).map_err(|error| error.to_string())
}

/// The client's certificate and key.
///
/// # Errors
/// When their files cannot be read.
pub fn client_identity(folder: &Path) -> Result<Identity, String> {
    let pem = [read(folder, "client.crt")?, read(folder, "client.key")?].concat();
    Identity::from_pem(&pem).map_err(|error| error.to_string())
}

/// `x5t#S256` of the client's certificate (RFC 8705 §3.1).
///
/// # Errors
/// When its file cannot be read.
pub fn client_thumbprint(folder: &Path) -> Result<String, String> {
    Shown::named(folder, "client").thumbprint()
}

/// A client certificate and its key, by their files.
#[derive(Clone, Debug)]
pub struct Shown {
    certificate: PathBuf,
    key: PathBuf,
}

/// How a client certificate comes about.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Signed by its own key, not by the authority that the listener trusts.
    pub self_signed: bool,
    /// `subjectAltName`
    pub name: Option<&'a str>,
    /// With the key of this certificate instead of a new one.
    pub key_of: Option<&'a str>,
}

impl Shown {
    /// The certificate `tls/<name>.crt` below `folder`.
    #[must_use]
    pub fn named(folder: &Path, name: &str) -> Self {
        let tls = folder.join("tls");
        Self { certificate: tls.join(format!("{name}.crt")), key: tls.join(format!("{name}.key")) }
    }

    /// Makes one, and calls its file `name`.
    ///
    /// # Errors
    /// When `openssl` fails.
    pub fn make(folder: &Path, name: &str, wanted: Wanted<'_>) -> Result<Self, String> {
        let tls = folder.join("tls");
        let key = match wanted.key_of {
            Some(other) => {
                let copied = std::fs::copy(tls.join(format!("{other}.key")), tls.join(format!("{name}.key")));
                copied.map_err(|error| format!("{other}.key: {error}"))?;
                format!("-key {name}.key")
            }
            None => format!("-newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout {name}.key"),
        };
        let issuer = if wanted.self_signed { "" } else { "-CA ca.crt -CAkey ca.key" };
        let san = wanted.name.map(|san| format!("-addext subjectAltName={san}")).unwrap_or_default();
        let arguments = format!(
            "req -x509 {key} {issuer} -nodes -days 2 -subj /CN={name} -out {name}.crt {san} \
             -addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage=clientAuth"
        );
        openssl(&tls, &arguments)?;
        Ok(Self::named(folder, name))
    }

    /// Its `x5t#S256` (RFC 8705 §3.1).
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn thumbprint(&self) -> Result<String, String> {
        Ok(base64url(&Sha256::digest(self.der()?)))
    }

    /// SHA-256 of its DER form in hexadecimal digits, and its PEM form: what a forged header would say.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn forwarded(&self) -> Result<String, String> {
        let hash: String = Sha256::digest(self.der()?).iter().map(|byte| format!("{byte:02x}")).collect();
        let pem = std::fs::read_to_string(&self.certificate).map_err(|error| error.to_string())?;
        let pem: String = pem.bytes().map(|byte| format!("%{byte:02X}")).collect();
        Ok(format!("Hash={hash};Cert=\"{pem}\""))
    }

    fn der(&self) -> Result<CertificateDer<'static>, String> {
        CertificateDer::from_pem_file(&self.certificate)
            .map_err(|error| format!("{}: {error}", self.certificate.display()))
    }
}

/// A byte stream to a listener.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection to a listener, over TLS or not.
pub type Connection = Box<dyn Stream>;

/// Connects to a port of the loopback; over TLS if there is a `folder` with the listener's authority.
///
/// # Errors
/// When there is nobody, or no handshake.
pub async fn connect(
    port: u16,
    folder: Option<&Path>,
    version: Version,
    shown: Option<&Shown>,
) -> Result<Connection, String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let Some(folder) = folder else { return Ok(Box::new(stream)) };
    let config = client_config(folder, version, shown).map_err(|error| format!("TLS: {error}"))?;
    let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    Ok(Box::new(stream.map_err(|error| format!("TLS: {error}"))?))
}

fn client_config(
    folder: &Path,
    version: Version,
    shown: Option<&Shown>,
) -> Result<ClientConfig, Box<dyn std::error::Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("tls/ca.crt"))?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let key = PrivateKeyDer::from_pem_file(&shown.key)?;
            builder.with_client_auth_cert(vec![shown.der()?], key)?
        }
    };
    config.alpn_protocols = match version {
        Version::Http1 => vec![b"http/1.1".to_vec()],
        Version::Http2 => vec![b"h2".to_vec()],
    };
    Ok(config)
}

fn read(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    std::fs::read(folder.join("tls").join(name)).map_err(|error| format!("{name}: {error}"))
}
