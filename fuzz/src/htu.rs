//! Targets: normal forms are normal, spellings of one target are equal, and an independent reader finds the
//! same host and port.

use exequatur_token::{Origin, TargetUri};

/// The laws.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(target) = TargetUri::parse_claim(text) else { return };
    let normal = target.as_str();
    assert_eq!(TargetUri::parse_claim(normal).as_ref(), Ok(&target), "the normal form is not");
    let end = text.find(['?', '#']).unwrap_or(text.len());
    for ending in ["?a=b", "#c", "?a#c?"] {
        let other = format!("{}{ending}", &text[..end]);
        if other.len() <= 4096 {
            assert_eq!(TargetUri::parse_claim(&other).as_ref(), Ok(&target), "{ending}");
        }
    }
    let (scheme, rest) = normal.split_once("://").expect("a scheme");
    let (authority, path) = rest.split_once('/').expect("a path");
    let louder = format!("{}://{}/{path}", scheme.to_uppercase(), authority.to_uppercase());
    assert_eq!(TargetUri::parse_claim(&louder).as_ref(), Ok(&target), "case of the host");
    let origin = Origin::parse(&format!("{scheme}://{authority}")).expect("an origin");
    assert_eq!(TargetUri::new(&origin, &format!("/{path}")).as_ref(), Ok(&target));
    assert_ne!(TargetUri::new(&origin, &format!("/{path}x")).as_ref(), Ok(&target));
    let theirs: http::Uri = normal.parse().expect("a URI");
    assert_eq!(theirs.authority().map(http::uri::Authority::as_str), Some(authority));
    assert_eq!(theirs.path(), format!("/{path}"));
    let dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
    assert!(!dots && normal.is_ascii() && !authority.contains('@'), "{normal}");
}
