//! The certificate that Envoy reports: the thumbprint is over exactly the bytes of the first block.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use exequatur_token::{CertificateThumbprint, ClientCertificate};
use sha2::{Digest as _, Sha256};

use super::signed::encode;

/// The laws.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(certificate) = ClientCertificate::from_envoy(text) else { return };
    let pem = decode(text);
    let start = pem.find("CERTIFICATE-----").expect("a first line") + "CERTIFICATE-----".len();
    let end = pem[start..].find("-----").expect("a last line") + start;
    let body: String = pem[start..end].chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(body).expect("base64");
    assert_eq!(der.first(), Some(&0x30));
    let thumbprint = CertificateThumbprint::from_base64url(&encode(&Sha256::digest(&der)));
    assert_eq!(Ok(certificate.thumbprint()), thumbprint);
    // The same certificate as Envoy itself would write it.
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&der));
    let written: String = pem.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let again = ClientCertificate::from_envoy(&written).expect("the same certificate");
    assert_eq!(again.thumbprint(), certificate.thumbprint());
}

/// Undoes the URL encoding of a text that is known to be encoded well.
fn decode(text: &str) -> String {
    let mut decoded = String::new();
    let mut parts = text.split('%');
    decoded.push_str(parts.next().expect("split has a first part"));
    for part in parts {
        let byte = u8::from_str_radix(&part[..2], 16).expect("hexadecimal");
        decoded.push(char::from(byte));
        decoded.push_str(&part[2..]);
    }
    decoded
}
