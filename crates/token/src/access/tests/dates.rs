use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::testing::{NOW, fractional, with};

fn outcome(dates: &[(&str, Json)]) -> Result<(), TokenError> {
    let claims =
        dates.iter().fold(token_claims(), |claims, (name, value)| with(&claims, name, value.clone()));
    with_claims(&claims).map(|_token| ())
}

// A-16, J05: a date that cannot be read is never taken for an absent one.
#[test]
fn a16_date_types() {
    for (name, claim) in [("iat", Claim::Iat), ("exp", Claim::Exp), ("nbf", Claim::Nbf)] {
        for value in [
            json!("9999999999"),
            json!("never"),
            json!(null),
            json!(true),
            json!([NOW]),
            json!(1e300),
            json!(-1),
            json!(9_007_199_254_740_993_i64),
        ] {
            let expected = Err(TokenError::ClaimInvalid(claim));
            assert_eq!(outcome(&[(name, value.clone())]), expected, "{name} {value}");
        }
    }
    // What is no number at all, or not as JSON writes one, is no JSON.
    for number in ["NaN", "Infinity", "+1", "01", "1.", ".5", "0x10", "1_000", "1e", "--1", "\u{661}"] {
        for name in ["exp", "nbf", "iat"] {
            let mut claims = token_claims();
            claims.as_object_mut().unwrap().remove(name);
            let claims = claims.to_string().replacen('{', &format!("{{\"{name}\":{number},"), 1);
            let raw = issuer_key().sign_raw(&token_header().to_string(), &claims);
            let error = verify(&raw).unwrap_err();
            assert!(matches!(error, TokenError::Malformed(JwsError::Payload(_))), "{name} {number}: {error}");
        }
    }
    let overflow = token_claims().to_string().replacen('{', "{\"nbf\":1e400,", 1);
    let raw = issuer_key().sign_raw(&token_header().to_string(), &overflow);
    assert_eq!(verify(&raw).unwrap_err(), TokenError::ClaimInvalid(Claim::Nbf));
    assert_eq!(outcome(&[("exp", fractional(1.5))]), Ok(()));
    assert_eq!(outcome(&[("nbf", fractional(5.5))]), Err(TokenError::NotYetValid));
    assert_eq!(outcome(&[("exp", fractional(-4.5))]), Ok(()));
    assert_eq!(outcome(&[("exp", fractional(-5.5))]), Err(TokenError::Expired));
}

// each boundary, with a leeway of 5 s.
#[test]
fn a17_expiry() {
    for (exp, expected) in [
        (1, Ok(())),
        (0, Ok(())),
        (-4, Ok(())),
        (-5, Err(TokenError::Expired)),
        (-6, Err(TokenError::Expired)),
    ] {
        assert_eq!(outcome(&[("exp", json!(NOW + exp))]), expected, "{exp}");
    }
}

#[test]
fn a17_not_before() {
    for (nbf, expected) in [(-1, Ok(())), (0, Ok(())), (5, Ok(())), (6, Err(TokenError::NotYetValid))] {
        assert_eq!(outcome(&[("nbf", json!(NOW + nbf))]), expected, "{nbf}");
    }
}

// J05
#[test]
fn j05_issued_ahead() {
    for (iat, expected) in [(0, Ok(())), (60, Ok(())), (61, Err(TokenError::NotYetValid))] {
        assert_eq!(outcome(&[("iat", json!(NOW + iat))]), expected, "{iat}");
    }
}

// J05, A-17: exp after iat, and not longer than the profile allows (15 min).
#[test]
fn a17_lifetime() {
    let dates = |iat: i64, exp: i64| outcome(&[("iat", json!(NOW + iat)), ("exp", json!(NOW + exp))]);
    assert_eq!(dates(-10, 890), Ok(()));
    assert_eq!(dates(-10, 891), Err(TokenError::ClaimInvalid(Claim::Exp)));
    assert_eq!(dates(10, 10), Err(TokenError::ClaimInvalid(Claim::Exp)));
    assert_eq!(dates(10, 9), Err(TokenError::ClaimInvalid(Claim::Exp)));
    assert_eq!(dates(10, 11), Ok(()));
}

// A profile cannot open the window beyond a minute, nor close it below zero.
#[test]
fn leeway_is_bounded() {
    let expired_for = |seconds: i64, leeway: i64| {
        let mut profile = profile();
        profile.leeway = SignedDuration::from_secs(leeway);
        // Issued early enough to be expired since then.
        let claims = with(&with(&token_claims(), "exp", json!(NOW - seconds)), "iat", json!(NOW - 300));
        let signed = issuer_key().sign(&token_header(), &claims);
        UnverifiedToken::parse(&signed)?.verify(&profile, &issuer_keys(), now()).map(|_token| ())
    };
    assert_eq!(expired_for(59, 3600), Ok(()));
    assert_eq!(expired_for(60, 3600), Err(TokenError::Expired));
    assert_eq!(expired_for(-1, -3600), Ok(()));
    assert_eq!(expired_for(0, -3600), Err(TokenError::Expired));
}
