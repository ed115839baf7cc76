//! Two client certificates, as Envoy writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::keys::digest;

/// RFC 8705 appendix A.
const DER: &str = "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=";
/// Where its serial number is; each certificate here has another one.
const SERIAL: usize = 9;

fn der(number: u8) -> Vec<u8> {
    let mut der = STANDARD.decode(DER).expect("written here");
    der[SERIAL] += number;
    der
}

/// The leaf as PEM.
pub(crate) fn pem(number: u8) -> String {
    let text = STANDARD.encode(der(number));
    let lines: Vec<_> =
        text.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("base64").to_owned()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// URL-encoded PEM; `+` stays (M02).
pub(crate) fn encoded(number: u8) -> String {
    encode(&pem(number))
}

pub(crate) fn encode(pem: &str) -> String {
    pem.replace('\n', "%0A").replace(' ', "%20").replace('=', "%3D").replace('/', "%2F")
}

pub(crate) fn thumbprint(number: u8) -> String {
    digest(&der(number))
}
