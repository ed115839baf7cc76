//! Key sets: bounds, order, and no key of a kind that was not asked for.

use exequatur_token::{Algorithm, KeySet};
use serde_json::Value;

/// The laws.
pub fn run(data: &[u8]) {
    let Ok(set) = KeySet::parse(data, &Algorithm::ALL) else { return };
    assert!((1..=256).contains(&set.len()));
    let document: Value = match serde_json::from_slice(data) {
        Ok(document) => document,
        // A number is kept as it is written; `serde_json` has no room for every one.
        Err(error) if error.to_string().starts_with("number out of range") => return,
        Err(error) => panic!("strict JSON is JSON: {error}"),
    };
    let entries = document["keys"].as_array().expect("an array of keys");
    assert_eq!(set.len() + set.skipped().len(), entries.len());
    for algorithm in Algorithm::ALL {
        let candidates: Vec<_> = set.candidates(None, algorithm).collect();
        assert!(candidates.len() <= 4);
        assert!(candidates.iter().all(|key| key.algorithm() == algorithm));
    }
    for (index, entry) in entries.iter().enumerate() {
        let skipped = set.skipped().iter().any(|skipped| skipped.index == index);
        let secret = entry["kty"] == "oct" || entry.get("d").is_some();
        assert!(skipped || !secret, "key {index} is a secret");
    }
    let mut reversed = document.clone();
    reversed["keys"].as_array_mut().expect("an array of keys").reverse();
    let again = KeySet::parse(reversed.to_string().as_bytes(), &Algorithm::ALL).expect("the same keys");
    assert_eq!(set.id(), again.id(), "the order changes the id");
}
