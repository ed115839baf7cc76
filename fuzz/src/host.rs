//! Hosts: one normal form, the same that the reader of proofs has.

use exequatur_decide::Host;
use exequatur_token::Origin;

/// The laws.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(host) = Host::parse(text) else { return };
    let name = host.as_str();
    assert_eq!(Host::parse(name).as_ref(), Some(&host), "the normal form is not");
    assert_eq!(Host::parse(&text.to_ascii_uppercase()).as_ref(), Some(&host), "case");
    assert!(name.is_ascii() && !name.contains(['@', '/', ',', ' ', '%']) && !name.is_empty());
    // An address in brackets has several spellings, which Origin makes one.
    if let (Ok(origin), false) = (Origin::parse(&format!("https://{text}")), name.starts_with('[')) {
        let theirs = origin.as_str().strip_prefix("https://").expect("the scheme");
        assert_eq!(theirs.split(':').next(), Some(name), "the reader of proofs reads another host");
    }
}
