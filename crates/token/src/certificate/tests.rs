use super::*;

/// RFC 8705 appendix A.
const DER_BASE64: &str = "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=";
const THUMBPRINT: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";

fn pem(base64: &str) -> String {
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
}

/// As Envoy writes it: only what would end a header value or an element is escaped.
fn encode(pem: &str) -> String {
    pem.replace('\n', "%0A").replace(' ', "%20").replace('=', "%3D").replace('/', "%2F")
}

fn thumbprint(text: &str) -> Result<String, CertificateError> {
    ClientCertificate::from_envoy(text).map(|certificate| certificate.thumbprint().to_string())
}

// M01; M02: `+` is there both as it is and escaped.
#[test]
fn m01_m02_rfc_8705_certificate() {
    assert!(DER_BASE64.contains('+'));
    let encoded = encode(&pem(DER_BASE64));
    assert_eq!(thumbprint(&encoded).as_deref(), Ok(THUMBPRINT));
    assert_eq!(thumbprint(&encoded.replace('+', "%2b")).as_deref(), Ok(THUMBPRINT));
    assert_eq!(thumbprint(&encoded.replace("%0A", "%0D%0A")).as_deref(), Ok(THUMBPRINT));
    assert_eq!(thumbprint(&pem(DER_BASE64)).as_deref(), Ok(THUMBPRINT));
}

// M02: the first block is the leaf.
#[test]
fn m02_first_block_only() {
    let chain = format!("{}{}", pem(DER_BASE64), pem("MAA="));
    assert_eq!(thumbprint(&encode(&chain)).as_deref(), Ok(THUMBPRINT));
    let other_first = format!("{}{}", pem("MAA="), pem(DER_BASE64));
    assert_ne!(thumbprint(&encode(&other_first)).as_deref(), Ok(THUMBPRINT));
}

#[test]
fn refuses_what_is_no_certificate() {
    let good = encode(&pem(DER_BASE64));
    let private = pem(DER_BASE64).replace("CERTIFICATE", "PRIVATE KEY");
    for (text, error) in [
        (String::new(), CertificateError::Pem),
        (DER_BASE64.to_owned(), CertificateError::Pem),
        (encode(&private), CertificateError::Pem),
        (format!("x{good}"), CertificateError::Pem),
        (good.replace("END", "FIN"), CertificateError::Pem),
        (format!("{good}%"), CertificateError::UrlEncoding),
        (format!("{good}%0"), CertificateError::UrlEncoding),
        (format!("{good}%0g"), CertificateError::UrlEncoding),
        (format!("{good}%+0"), CertificateError::UrlEncoding),
        (format!("{good}%ff"), CertificateError::UrlEncoding),
        (format!("{good}é"), CertificateError::UrlEncoding),
        (good.replace("%3D", ""), CertificateError::Base64),
        (good.replace('+', "%20"), CertificateError::Base64),
        (good.replace('+', "-"), CertificateError::Base64),
        (encode(&pem("")), CertificateError::Der),
        (encode(&pem("AAAA")), CertificateError::Der),
        (encode(&pem("MAAA")), CertificateError::Der),
        (encode(&pem("MIAA")), CertificateError::Der),
        ("a".repeat(128 * 1024 + 1), CertificateError::TooLarge),
        (pem(&STANDARD.encode(vec![0x30; 16 * 1024 + 1])), CertificateError::TooLarge),
    ] {
        assert_eq!(thumbprint(&text), Err(error), "{text:.80}");
    }
}

// M01: what is exactly as long as allowed is read, with a length in one byte, two and three.
#[test]
fn bounds_are_inclusive() {
    let sequence = |head: &[u8], length: usize| {
        let mut der = head.to_vec();
        der.resize(head.len() + length, 0);
        der
    };
    let largest = sequence(&[0x30, 0x82, 0x3F, 0xFC], 0x3FFC);
    assert_eq!(largest.len(), 16 * 1024);
    for der in [sequence(&[0x30, 0x7F], 0x7F), sequence(&[0x30, 0x81, 0x80], 0x80), largest] {
        let expected = CertificateThumbprint::of_der(&der).to_string();
        assert_eq!(thumbprint(&pem(&STANDARD.encode(&der))), Ok(expected), "{}", der.len());
    }
    let good = encode(&pem(DER_BASE64));
    let padded = format!("{good}{}", "A".repeat(128 * 1024 - good.len()));
    assert_eq!(thumbprint(&padded).as_deref(), Ok(THUMBPRINT));
}
