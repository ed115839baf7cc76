use proptest::prelude::*;

use super::*;

fn claim(htu: &str) -> Result<TargetUri, HtuError> {
    TargetUri::parse_claim(htu)
}

fn same(left: &str, right: &str) -> bool {
    claim(left).unwrap() == claim(right).unwrap()
}

// D11, D12, A-31, G33: what names the same target.
#[test]
fn d12_equal_targets() {
    for (left, right) in [
        ("HTTPS://API.Example:443/a/%7eb", "https://api.example/a/~b"),
        ("https://api.example", "https://api.example/"),
        ("https://api.example?q", "https://api.example/"),
        ("http://api.example:80/a", "http://api.example/a"),
        ("https://api.example:0443/a", "https://api.example/a"),
        ("https://api.example/a?q=1#f", "https://api.example/a"),
        ("https://api.example/a#f?q", "https://api.example/a"),
        ("https://api.example/%2f%3b", "https://api.example/%2F%3B"),
        ("https://api.example/%41%2D%5F%7A%39", "https://api.example/A-_z9"),
        ("https://api.example./a", "https://api.example/a"),
        ("https://[2001:DB8:0::1]:443/", "https://[2001:db8::1]"),
        ("https://XN--BCHER-KVA.example/", "https://xn--bcher-kva.example/"),
    ] {
        assert!(same(left, right), "{left} {right}");
    }
}

// D12, A-31: what does not.
#[test]
fn d12_different_targets() {
    for (left, right) in [
        ("https://api.example/a", "http://api.example/a"),
        ("https://api.example/a", "https://api.example/a/"),
        ("https://api.example/a", "https://api.example/A"),
        ("https://api.example/a", "https://api.example/b"),
        ("https://api.example/a", "https://api.example:8443/a"),
        ("https://api.example/a", "https://api.example:80/a"),
        ("https://api.example/a", "https://api.example.org/a"),
        ("https://api.example/a/b", "https://api.example/a%2Fb"),
        ("https://api.example/a;b", "https://api.example/a%3Bb"),
        ("https://api.example/a//b", "https://api.example/a/b"),
        ("https://api.example//", "https://api.example/"),
        ("https://api.example/%257e", "https://api.example/%7e"),
        ("https://api.example/a+b", "https://api.example/a%20b"),
    ] {
        assert!(!same(left, right), "{left} {right}");
    }
}

// D12 (ours, stricter): refused, not resolved.
#[test]
fn d12_refused_targets() {
    for (htu, error) in [
        ("", HtuError::Scheme),
        ("/a", HtuError::Scheme),
        ("//api.example/a", HtuError::Scheme),
        ("api.example/a", HtuError::Scheme),
        ("ftp://api.example/a", HtuError::Scheme),
        (" https://api.example/a", HtuError::Scheme),
        ("https:/api.example/a", HtuError::Scheme),
        ("https://", HtuError::Host),
        ("https:///a", HtuError::Host),
        ("https://:443/a", HtuError::Host),
        ("https://./a", HtuError::Host),
        ("https://api..example/a", HtuError::Host),
        ("https://api.example../a", HtuError::Host),
        ("https://api%2eexample/a", HtuError::Host),
        ("https://bücher.example/a", HtuError::Host),
        ("https://api.example\\a", HtuError::Host),
        ("https://api .example/a", HtuError::Host),
        ("https://[::1/a", HtuError::Host),
        ("https://[::1]x/a", HtuError::Host),
        ("https://[api]/a", HtuError::Host),
        ("https://2001:db8::1/a", HtuError::Host),
        ("https://user@api.example/a", HtuError::UserInfo),
        ("https://user:pass@api.example/a", HtuError::UserInfo),
        ("https://@api.example/a", HtuError::UserInfo),
        ("https://api.example:/a", HtuError::Port),
        ("https://api.example:0/a", HtuError::Port),
        ("https://api.example:65536/a", HtuError::Port),
        ("https://api.example:+443/a", HtuError::Port),
        ("https://api.example:44a/a", HtuError::Port),
        ("https://api.example/./a", HtuError::DotSegment),
        ("https://api.example/b/../a", HtuError::DotSegment),
        ("https://api.example/a/..", HtuError::DotSegment),
        ("https://api.example/a/%2e%2E/b", HtuError::DotSegment),
        ("https://api.example/a/.%2e", HtuError::DotSegment),
        ("https://api.example/a b", HtuError::Character),
        ("https://api.example/a ", HtuError::Character),
        ("https://api.example/a\t", HtuError::Character),
        ("https://api.example/a\\b", HtuError::Character),
        ("https://api.example/ä", HtuError::Character),
        ("https://api.example/a\"", HtuError::Character),
        ("https://api.example/%", HtuError::Escape),
        ("https://api.example/%2", HtuError::Escape),
        ("https://api.example/%2/", HtuError::Escape),
        ("https://api.example/%+1", HtuError::Escape),
        ("https://api.example/%zz", HtuError::Escape),
        ("https://api.example/%ä", HtuError::Escape),
    ] {
        assert_eq!(claim(htu), Err(error), "{htu}");
    }
    assert_eq!(claim(&format!("https://api.example/{}", "a".repeat(4096))), Err(HtuError::TooLong));
    assert!(claim("https://api.example/a/...").is_ok());
    assert!(claim("https://api.example/.well-known/a..b").is_ok());
}

#[test]
fn origins() {
    for (text, normal) in [
        ("https://API.example.com", "https://api.example.com"),
        ("https://api.example.com:443", "https://api.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://api_1.local:80", "http://api_1.local"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ] {
        assert_eq!(Origin::parse(text).unwrap().as_str(), normal);
    }
    for text in ["https://api.example.com/", "https://api.example.com?q", "https://api.example.com#f"] {
        assert_eq!(Origin::parse(text), Err(HtuError::NotAnOrigin), "{text}");
    }
}

// D11: the request's side is normalised in the same way.
#[test]
fn d11_request_targets() {
    let origin = Origin::parse("https://api.example").unwrap();
    let target = |path| TargetUri::new(&origin, path);
    assert_eq!(target("/a/%7Eb?q=https://x/..").unwrap().as_str(), "https://api.example/a/~b");
    assert_eq!(target("").unwrap().as_str(), "https://api.example/");
    assert_eq!(target("a"), Err(HtuError::RelativePath));
    assert_eq!(target("*"), Err(HtuError::RelativePath));
    assert_eq!(target("http://evil/a"), Err(HtuError::RelativePath));
    assert_eq!(target("/a/../b"), Err(HtuError::DotSegment));
    assert_eq!(target(".evil.org/a"), Err(HtuError::RelativePath));
}

proptest! {
    #[test]
    fn normal_forms_stay_as_they_are(
        host in "[a-zA-Z0-9]{1,8}(\\.[a-zA-Z0-9]{1,8}){0,2}\\.?",
        port in proptest::option::of(1_u16..),
        path in "(/([a-zA-Z0-9~;=+:@-]|%[0-9a-fA-F]{2}){0,6}){0,4}",
    ) {
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        if let Ok(target) = claim(&format!("https://{host}{port}{path}")) {
            prop_assert_eq!(claim(target.as_str()), Ok(target));
        }
    }

    #[test]
    fn never_panics(text in "(https?://)?\\PC{0,40}") {
        let _outcome = claim(&text);
    }
}
