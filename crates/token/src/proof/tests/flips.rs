//! Exhaustive: no bit of a proof can be changed.

use super::*;
use crate::testing::{TestKey, flipped_parts, flipped_text};

// D06, G25
#[test]
fn no_bit_of_the_text_can_be_flipped() {
    let good = good_proof();
    let mut tried = 0;
    for changed in flipped_text(&good) {
        assert!(verify(&changed).is_err(), "{changed}");
        tried += 1;
    }
    assert_eq!(tried, good.len() * 8);
}

// D06: every bit of header (the key in it too), payload and signature, the text being canonical again.
#[test]
fn no_bit_of_the_content_can_be_flipped() {
    for key in TestKey::of_each_algorithm() {
        let limits = ProofLimits { algorithms: vec![key.algorithm()], ..ProofLimits::default() };
        let good = key.sign(&proof_header(&key), &proof_claims());
        assert!(verify_at(&good, &limits, now()).is_ok());
        for changed in flipped_parts(&good, &[0, 1, 2]) {
            assert!(verify_at(&changed, &limits, now()).is_err(), "{changed}");
        }
    }
}

// one text for one proof.
#[test]
fn a14_one_text_for_one_proof() {
    let good = good_proof();
    let ends: Vec<usize> =
        good.match_indices('.').map(|(dot, _)| dot).chain(std::iter::once(good.len())).collect();
    assert_eq!(ends.len(), 3);
    for end in ends {
        let (before, after) = good.split_at(end);
        for junk in
            ["=", "==", " ", "\t", "\r\n", "\n", "+", "/", ".", "A", "AA", "AAA", "%3D", "\u{feff}", "\0"]
        {
            assert!(verify(&format!("{before}{junk}{after}")).is_err(), "{junk:?} at {end}");
        }
        let (shorter, last) = before.split_at(end - 1);
        for c in crate::testing::ALPHABET.chars().filter(|c| !last.starts_with(*c)) {
            assert!(verify(&format!("{shorter}{c}{after}")).is_err(), "{c} at {end}");
        }
        assert!(verify(&format!("{shorter}{after}")).is_err());
    }
}
