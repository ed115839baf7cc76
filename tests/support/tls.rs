//! Certificates for a listener on localhost and for a client, made by `openssl`.

use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Certificate, Identity};
use sha2::{Digest as _, Sha256};

use crate::jwt::base64url;

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
    for (name, extension) in
        [("server", "subjectAltName=DNS:localhost"), ("client", "extendedKeyUsage=clientAuth")]
    {
        openssl(
            &folder,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name} \
                 -addext basicConstraints=critical,CA:FALSE -addext {extension} -CA ca.crt -CAkey ca.key \
                 -keyout {name}.key -out {name}.crt"
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
    let pem = String::from_utf8(read(folder, "client.crt")?).map_err(|error| error.to_string())?;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body).map_err(|error| error.to_string())?;
    Ok(base64url(&Sha256::digest(der)))
}

fn read(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    std::fs::read(folder.join("tls").join(name)).map_err(|error| format!("{name}: {error}"))
}
