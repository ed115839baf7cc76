//! Wycheproof's vectors through the reader of keys, the reader of JWS and the verifier that tokens and proofs
//! use. Where the verdict here is another than the label there, the reason is in this file.
//!
//! Only one thing is left out: that a token's payload is a JSON object. The vectors' payloads are not, and
//! would all be refused for that.

mod json_web;
mod signatures;

use serde_json::Value as Json;

/// The groups of a file below `tests/vectors/wycheproof`.
fn groups(name: &str) -> Vec<Json> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/wycheproof");
    let text = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
    let document: Json = serde_json::from_str(&text).unwrap();
    document["groups"].as_array().unwrap().clone()
}

/// Each test of a file with the key of its group.
fn tests(name: &str) -> Vec<(Json, Json)> {
    let with_key = |group: Json| {
        let key = group["key"].clone();
        let tests = group["tests"].as_array().unwrap().clone();
        tests.into_iter().map(move |test| (key.clone(), test))
    };
    groups(name).into_iter().flat_map(with_key).collect()
}

fn id(test: &Json) -> u64 {
    test["tcId"].as_u64().unwrap()
}

fn is_valid(test: &Json) -> bool {
    test["result"] == "valid"
}
