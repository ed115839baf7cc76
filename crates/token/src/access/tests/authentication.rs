use serde_json::json;

use super::*;
use crate::testing::{NOW, at, fractional, with};

fn outcome(name: &str, value: Json) -> Result<VerifiedToken, TokenError> {
    with_claims(&with(&token_claims(), name, value))
}

// S01: what a token does not say is not known.
#[test]
fn s01_absent_claims_say_nothing() {
    let token = verify(&good_token()).unwrap();
    let authentication = token.authentication();
    assert_eq!((authentication.context(), authentication.at()), (None, None));
    assert_eq!(authentication.methods().count(), 0);
}

// S01
#[test]
fn s01_class_methods_and_time() {
    let claims = with(&token_claims(), "acr", json!("urn:example:gold"));
    let claims = with(&claims, "amr", json!(["pwd", "otp"]));
    let token = with_claims(&with(&claims, "auth_time", json!(NOW - 40))).unwrap();
    let authentication = token.authentication();
    assert_eq!(authentication.context(), Some("urn:example:gold"));
    assert_eq!(authentication.methods().collect::<Vec<_>>(), ["pwd", "otp"]);
    assert_eq!(authentication.at(), Some(at(-40)));
}

// S01: a claim of another type is never taken for an absent one.
#[test]
fn s01_types_are_exact() {
    let long = "a".repeat(257);
    for acr in
        [json!(1), json!(null), json!(true), json!(["1"]), json!({}), json!(""), json!("a\n"), json!(long)]
    {
        let error = outcome("acr", acr.clone()).unwrap_err();
        assert_eq!(error, TokenError::ClaimInvalid(Claim::Acr), "{acr}");
    }
    for amr in [
        json!("pwd"),
        json!(null),
        json!({ "pwd": true }),
        json!(["pwd", 1]),
        json!(["pwd", ""]),
        json!(["pwd", "a\0"]),
        json!([["pwd"]]),
        json!([long]),
        json!(vec!["pwd"; 17]),
    ] {
        let error = outcome("amr", amr.clone()).unwrap_err();
        assert_eq!(error, TokenError::ClaimInvalid(Claim::Amr), "{amr}");
    }
    for time in [json!("1800000000"), json!(null), json!(true), json!([NOW]), json!(-1), json!(1e300)] {
        let error = outcome("auth_time", time.clone()).unwrap_err();
        assert_eq!(error, TokenError::ClaimInvalid(Claim::AuthTime), "{time}");
    }
    assert!(outcome("acr", json!("a".repeat(256))).is_ok());
    assert!(outcome("amr", json!([])).is_ok());
    assert!(outcome("amr", json!(vec!["pwd"; 16])).is_ok());
    assert!(outcome("auth_time", fractional(-0.5)).is_ok());
    assert!(outcome("auth_time", json!(0)).is_ok());
}

// S01: nobody was authenticated in the future, but clocks differ.
#[test]
fn s01_no_authentication_to_come() {
    assert!(outcome("auth_time", json!(NOW + 60)).is_ok());
    let error = outcome("auth_time", json!(NOW + 61)).unwrap_err();
    assert_eq!(error, TokenError::ClaimInvalid(Claim::AuthTime));
}

// S01: nor after the clock was set back, for a token that was verified before.
#[test]
fn s01_no_authentication_to_come_at_a_later_use() {
    let claims = with(&token_claims(), "auth_time", json!(NOW + 60));
    let token = std::sync::Arc::new(with_claims(&claims).unwrap());
    let audience = "https://api.example.com";
    assert!(token.current(now(), audience, &profile()).is_ok());
    let error = token.current(at(-1), audience, &profile()).unwrap_err();
    assert_eq!(error, TokenError::ClaimInvalid(Claim::AuthTime));
}
