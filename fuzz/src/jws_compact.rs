//! The compact serialisation: what is taken can be put together again, byte for byte.

use exequatur_token::{CompactJws, JwsLimits, base64url};

const LIMITS: JwsLimits = JwsLimits { bytes: 8 * 1024, header_bytes: 1024, depth: 16, members: 128 };

/// The laws.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(jws) = CompactJws::parse(text, &LIMITS) else { return };
    assert_eq!(format!("{}.{}", jws.signing_input(), jws.signature()), text);
    assert!(text.len() <= LIMITS.bytes);
    assert!(!jws.header().contains("crit") && !jws.header().contains("b64"));
    let parts: Vec<_> = text.split('.').collect();
    assert_eq!(parts.len(), 3);
    for part in parts {
        // Canonical: there is one text for these bytes.
        assert_eq!(base64url::encode(&base64url::decode(part).expect("was decoded")), part);
    }
}
