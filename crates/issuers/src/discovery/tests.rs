use std::fmt::Write as _;

use super::*;

const ISSUER: &str = "https://sts.example.com";

fn place(document: &str, issuer: &str) -> Result<KeysPlace, MetadataError> {
    let home = Discovery::OAuth.metadata_url(issuer).unwrap();
    keys_place(document.as_bytes(), issuer, &home)
}

fn keys_at(url: &str, issuer: &str) -> Result<Reach, MetadataError> {
    let found = place(&format!(r#"{{"issuer":"{issuer}","jwks_uri":"{url}"}}"#), issuer)?;
    assert_eq!(found.url, Url::parse(url).unwrap());
    Ok(found.reach)
}

/// RFC 8414 §3.1, OpenID Connect Discovery 1.0 §4.1: with a path, and with a slash at the end.
#[test]
fn metadata_is_at_its_well_known_place() {
    let cases = [
        (ISSUER, "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"),
        (
            "https://sts.example.com/",
            "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",
        ),
        (
            "https://sts.example.com/realms/a",
            "/.well-known/oauth-authorization-server/realms/a",
            "/realms/a/.well-known/openid-configuration",
        ),
        (
            "https://sts.example.com/realms/a/",
            "/.well-known/oauth-authorization-server/realms/a",
            "/realms/a/.well-known/openid-configuration",
        ),
    ];
    for (issuer, oauth, openid) in cases {
        for (by, path) in [(Discovery::OAuth, oauth), (Discovery::OpenId, openid)] {
            let url = by.metadata_url(issuer).unwrap();
            assert_eq!(url.as_str(), format!("{ISSUER}{path}"), "{issuer} {by:?}");
        }
    }
    for (issuer, path) in [(ISSUER, ""), ("https://sts.example.com/realms/a/", "/realms/a")] {
        let url = Discovery::SharedSignals.metadata_url(issuer).unwrap();
        assert_eq!(url.as_str(), format!("{ISSUER}/.well-known/ssf-configuration{path}"), "{issuer}");
    }
    let port = Discovery::OpenId.metadata_url("http://127.0.0.1:8080").unwrap();
    assert_eq!(port.as_str(), "http://127.0.0.1:8080/.well-known/openid-configuration");
}

/// An issuer that is no URL, or one that would be asked for under another name than its own.
#[test]
fn an_issuer_that_is_no_usual_url_is_not_discovered() {
    use AddressProblem::{Insecure, Malformed};
    for (issuer, problem) in [
        ("corp", Malformed),
        ("http://sts.example.com", Insecure),
        ("https://sts.example.com?a=b", Malformed),
        ("https://sts.example.com#a", Malformed),
        ("https://me@sts.example.com", Malformed),
        ("https://STS.example.com", Malformed),
        ("https://sts.example.com:443", Malformed),
        ("https://sts.example.com/a/../b", Malformed),
        ("https://sts.example.com/a b", Malformed),
        (" https://sts.example.com", Malformed),
        ("urn:example:sts", Insecure),
    ] {
        assert_eq!(Discovery::OAuth.metadata_url(issuer).err(), Some(problem), "{issuer}");
    }
}

/// J02, A-19: the metadata must be this issuer's, byte for byte.
#[test]
fn metadata_of_another_issuer_is_refused() {
    assert_eq!(keys_at("https://sts.example.com/jwks", ISSUER), Ok(Reach::Anywhere));
    for other in [
        "https://sts.example.com/",
        "https://STS.example.com",
        "https://sts.example.com:443",
        "https://sts.example.co",
        "https://sts.example.com.evil.example",
        "https://evil.example",
        "http://sts.example.com",
        "",
    ] {
        let document = format!(r#"{{"issuer":"{other}","jwks_uri":"https://sts.example.com/jwks"}}"#);
        assert_eq!(place(&document, ISSUER), Err(MetadataError::IssuerMismatch), "{other}");
    }
    for document in [r#"{"jwks_uri":"https://sts.example.com/jwks"}"#, r#"{"issuer":7}"#, "[]", "7"] {
        assert_eq!(place(document, ISSUER), Err(MetadataError::IssuerMismatch), "{document}");
    }
}

/// G24: two readings of one document are none.
#[test]
fn metadata_that_is_no_strict_json_is_refused() {
    let twice =
        format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"https://a.example","jwks_uri":"https://b.example"}}"#);
    assert_eq!(place(&twice, ISSUER), Err(MetadataError::Json(JsonError::DuplicateName)));
    let mut wide = format!(r#"{{"issuer":"{ISSUER}""#);
    (0..MAX_MEMBERS).for_each(|n| write!(wide, r#","m{n}":0"#).unwrap());
    assert_eq!(place(&format!("{wide}}}"), ISSUER), Err(MetadataError::Json(JsonError::TooManyMembers)));
    for document in ["<!doctype html>", "", "{"] {
        assert!(matches!(place(document, ISSUER), Err(MetadataError::Json(_))), "{document}");
    }
}

/// J18, G23: https; on the issuer's own host, or at a public address.
#[test]
fn keys_are_where_the_issuer_may_point() {
    use AddressProblem::{Insecure, Malformed};
    let elsewhere = [
        ("https://sts.example.com:8443/jwks", Ok(Reach::Anywhere)),
        ("https://keys.example.net/jwks", Ok(Reach::PublicOnly)),
        ("https://1.1.1.1/jwks", Ok(Reach::PublicOnly)),
        ("https://[2606:4700::1111]/jwks", Ok(Reach::PublicOnly)),
        ("https://sts.example.com.internal/jwks", Ok(Reach::PublicOnly)),
        ("https://169.254.169.254/latest", Err(MetadataError::NotPublic)),
        ("https://10.0.0.1/jwks", Err(MetadataError::NotPublic)),
        ("https://[::ffff:10.0.0.1]/jwks", Err(MetadataError::NotPublic)),
        ("https://[fd00::1]/jwks", Err(MetadataError::NotPublic)),
        ("https://127.0.0.1/jwks", Err(MetadataError::NotPublic)),
        ("https://localhost/jwks", Err(MetadataError::NotPublic)),
        ("http://localhost/jwks", Err(Insecure.into())),
        ("http://127.0.0.1/jwks", Err(Insecure.into())),
        ("http://sts.example.com/jwks", Err(Insecure.into())),
        ("http://169.254.169.254/latest", Err(Insecure.into())),
        ("file:///etc/jwks", Err(Insecure.into())),
        ("https://me@sts.example.com/jwks", Err(Malformed.into())),
        ("/jwks", Err(Malformed.into())),
    ];
    for (url, expected) in elsewhere {
        assert_eq!(keys_at(url, ISSUER), expected, "{url}");
    }
    let local = "http://127.0.0.1:8080";
    assert_eq!(keys_at("http://localhost:8081/jwks", local), Ok(Reach::Anywhere));
    assert_eq!(keys_at("https://[::1]/jwks", local), Ok(Reach::Anywhere));
    assert_eq!(keys_at("https://10.0.0.1/jwks", local), Err(MetadataError::NotPublic));
    assert_eq!(keys_at("http://10.0.0.1/jwks", local), Err(Insecure.into()));
    let private = "https://10.0.0.1";
    assert_eq!(keys_at("https://10.0.0.1:8443/jwks", private), Ok(Reach::Anywhere));
    assert_eq!(keys_at("https://10.0.0.2/jwks", private), Err(MetadataError::NotPublic));
    for missing in
        [r#""jwks":"https://sts.example.com""#, r#""jwks_uri":null"#, r#""jwks_uri":["https://a.example"]"#]
    {
        let document = format!(r#"{{"issuer":"{ISSUER}",{missing}}}"#);
        assert_eq!(place(&document, ISSUER), Err(MetadataError::NoKeys), "{missing}");
    }
}
