use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::testing::{NOW, at, with};

const US: &str = "https://api.example.com";

fn verified(claims: &Json) -> Arc<VerifiedToken> {
    Arc::new(with_claims(claims).unwrap())
}

// J03, A-18, G32: exactly a member, of the token and of the profile.
#[test]
fn j03_audience() {
    let outcome = |aud: Json, wanted: &str| {
        let token = verified(&with(&token_claims(), "aud", aud));
        token.current(now(), wanted, &profile()).map(|_current| ())
    };
    let mismatch = Err(TokenError::AudienceMismatch);
    assert_eq!(outcome(json!(US), US), Ok(()));
    assert_eq!(outcome(json!(["https://other.example", US]), US), Ok(()));
    for aud in [
        "https://api.example.co",
        "https://api.example.com/",
        "https://API.example.com",
        "https://api.example.com.evil.org",
        "https://sts.example.com",
        "*",
    ] {
        assert_eq!(outcome(json!(aud), US), mismatch, "{aud}");
        assert_eq!(outcome(json!([aud]), US), mismatch, "{aud}");
    }
    // Another resource of ours, which the token is not for.
    assert_eq!(outcome(json!(US), "https://files.example.com"), mismatch);
    // A resource that this issuer may not issue for, though the token says so.
    assert_eq!(outcome(json!("https://hr.example.com"), "https://hr.example.com"), mismatch);
    assert_eq!(outcome(json!(US), ""), mismatch);
}

// J05: at every use, however long ago the signature was verified.
#[test]
fn j05_dates_at_every_use() {
    let token = verified(&with(&token_claims(), "nbf", json!(NOW)));
    let outcome = |seconds: i64| token.current(at(seconds), US, &profile()).map(|_current| ());
    assert_eq!(outcome(304), Ok(()));
    assert_eq!(outcome(305), Err(TokenError::Expired));
    assert_eq!(outcome(-5), Ok(()));
    assert_eq!(outcome(-6), Err(TokenError::NotYetValid));
}

#[test]
fn another_issuers_profile_does_not_count() {
    let mut other = profile();
    other.name = "other".parse().unwrap();
    let token = verified(&token_claims());
    assert_eq!(token.current(now(), US, &other).unwrap_err(), TokenError::IssuerUnknown);
}

#[test]
fn the_current_token_is_the_verified_one() {
    let token = verified(&token_claims());
    let current = token.current(now(), US, &profile()).unwrap();
    assert!(std::ptr::eq(current.token(), &*token));
}
