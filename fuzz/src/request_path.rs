//! Request paths: one reading, which the reader of proofs shares.

use exequatur_decide::RequestPath;
use exequatur_token::{Origin, TargetUri};

use super::signed::HOST;

/// The laws.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(path) = RequestPath::parse(text) else { return };
    assert!(text.starts_with(path.raw()));
    let (last, inner) = path.segments().split_last().expect("at least one segment");
    assert!(inner.iter().all(|segment| !segment.is_empty()));
    for segment in inner.iter().chain([last]) {
        let clean =
            !segment.contains(['/', '\\', ';', '%', '?', '#']) && !segment.chars().any(char::is_control);
        assert!(clean && segment != "." && segment != "..", "{segment:?}");
    }
    let _named = path.query_names("access_token");
    let origin = Origin::parse(&format!("https://{HOST}")).expect("an origin");
    let target = TargetUri::new(&origin, path.raw()).expect("a proof can name it");
    let named = target.as_str().strip_prefix(origin.as_str()).expect("the origin");
    let named: Vec<_> = named.split('/').skip(1).map(decode).collect();
    assert_eq!(named, path.segments(), "the reader of proofs reads another path");
}

fn decode(segment: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let digits = str::from_utf8(&tail[..2]).expect("two digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}
