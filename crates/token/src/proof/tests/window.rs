use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::testing::{NOW, at, fractional, with};

fn outcome(name: &str, value: Json) -> Result<(), ProofError> {
    with_claims(&with(&proof_claims(), name, value)).map(|_proof| ())
}

const OUT: Result<(), ProofError> = Err(ProofError::IatOutOfWindow);

// D14: 60 s and 5 s back, 10 s ahead, both inclusive.
#[test]
fn d14_window() {
    for (iat, expected) in [
        (-66, OUT),
        (-65, Ok(())),
        (-1, Ok(())),
        (0, Ok(())),
        (9, Ok(())),
        (10, Ok(())),
        (11, OUT),
        (61, OUT),
    ] {
        assert_eq!(outcome("iat", json!(NOW + iat)), expected, "{iat}");
    }
    assert_eq!(outcome("iat", fractional(-65.5)), OUT);
    assert_eq!(outcome("iat", fractional(9.5)), Ok(()));
}

// D14, G13
#[test]
fn d14_impossible_dates() {
    for iat in [json!(1e308), json!(-1), json!(NOW * 1000), json!(0), json!(9_007_199_254_740_993_i64)] {
        assert_eq!(outcome("iat", iat.clone()), OUT, "{iat}");
    }
}

// D14: whatever is configured, 300 s and 60 s back, 60 s ahead at most.
#[test]
fn d14_bounds_of_the_configuration() {
    let day = SignedDuration::from_hours(24);
    let wide = ProofLimits { max_age: day, skew: day, future: day, ..ProofLimits::default() };
    let shut = ProofLimits { max_age: -day, skew: -day, future: -day, ..ProofLimits::default() };
    let raw = good_proof();
    let outcome = |limits: &ProofLimits, seconds| verify_at(&raw, limits, at(seconds)).map(|_proof| ());
    assert_eq!(outcome(&wide, 360), Ok(()));
    assert_eq!(outcome(&wide, 361), OUT);
    assert_eq!(outcome(&wide, -60), Ok(()));
    assert_eq!(outcome(&wide, -61), OUT);
    assert_eq!(outcome(&shut, 0), Ok(()));
    assert_eq!(outcome(&shut, 1), OUT);
    assert_eq!(outcome(&shut, -1), OUT);
}

// D15: honoured where they are there.
#[test]
fn d15_expiry_and_not_before() {
    for (exp, expected) in [(10, Ok(())), (0, Ok(())), (-4, Ok(())), (-5, OUT), (-6, OUT)] {
        assert_eq!(outcome("exp", json!(NOW + exp)), expected, "{exp}");
    }
    for (nbf, expected) in [(-10, Ok(())), (0, Ok(())), (10, Ok(())), (11, OUT)] {
        assert_eq!(outcome("nbf", json!(NOW + nbf)), expected, "{nbf}");
    }
    assert_eq!(outcome("exp", json!(1e308)), OUT);
    assert_eq!(outcome("nbf", json!(-1)), OUT);
}

// G08: the use of a proof is remembered until the last instant at which it passes, and not a moment less.
#[test]
fn g08_passable_until_is_the_last_instant() {
    let limits = ProofLimits::default();
    for iat in [json!(NOW), json!(NOW + 10), fractional(0.25), json!(NOW - 65)] {
        let raw = good_proof_of(&with(&proof_claims(), "iat", iat.clone()));
        let last = verify(&raw).unwrap().passable_until(&limits);
        assert!(verify_at(&raw, &limits, last).is_ok(), "{iat}");
        let after = last.checked_add(SignedDuration::from_nanos(1)).unwrap();
        assert_eq!(verify_at(&raw, &limits, after).map(|_proof| ()), OUT, "{iat}");
    }
}
