//! Certificates for a listener on localhost and for a client, made by `openssl`.

use std::path::Path;
use std::process::{Command, Stdio};

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
