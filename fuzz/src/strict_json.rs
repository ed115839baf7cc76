//! Our JSON reader beside `serde_json`: what ours takes means the same there, and what only ours refuses
//! it refuses for one of its own rules.

use exequatur_token::json::{self, JsonError, Limits, Number, Value};

const LIMITS: Limits = Limits { bytes: 65_536, depth: 16, members: 128 };

/// The laws.
pub fn run(data: &[u8]) {
    let theirs = serde_json::from_slice::<serde_json::Value>(data);
    match (json::parse(data, LIMITS), theirs) {
        (Ok(ours), Ok(theirs)) => assert_same(&ours, &theirs),
        // A number beyond all doubles is theirs to refuse; ours keeps the text.
        (Ok(ours), Err(error)) => assert!(too_large_a_number(&ours), "only ours takes it: {error}"),
        (Err(error), Ok(_)) => assert_own_rule(error),
        (Err(_), Err(_)) => {}
    }
}

fn assert_same(ours: &Value, theirs: &serde_json::Value) {
    use serde_json::Value as Theirs;
    match (ours, theirs) {
        (Value::Null, Theirs::Null) => {}
        (Value::Bool(ours), Theirs::Bool(theirs)) => assert_eq!(ours, theirs),
        (Value::String(ours), Theirs::String(theirs)) => assert_eq!(ours, theirs),
        (Value::Number(ours), Theirs::Number(theirs)) => assert_same_number(ours, theirs),
        (Value::Array(ours), Theirs::Array(theirs)) => {
            assert_eq!(ours.len(), theirs.len());
            ours.iter().zip(theirs).for_each(|(ours, theirs)| assert_same(ours, theirs));
        }
        (Value::Object(ours), Theirs::Object(theirs)) => {
            // Theirs keeps one of two members of a name; the same count means that no name stands twice.
            assert_eq!(ours.len(), theirs.len(), "a name stands twice");
            for (name, value) in ours.iter() {
                assert_same(value, &theirs[name]);
            }
        }
        _ => panic!("{ours:?} is not {theirs:?}"),
    }
}

fn assert_same_number(ours: &Number, theirs: &serde_json::Number) {
    if let Some(theirs) = theirs.as_i64() {
        assert_eq!(ours.as_i64(), Some(theirs), "{}", ours.as_str());
    }
    let (ours, theirs) = (ours.as_f64().expect("theirs is finite"), theirs.as_f64().expect("a number"));
    // Theirs is not always the nearest double.
    assert!((ours - theirs).abs() <= theirs.abs() * 1e-15, "{ours} is not {theirs}");
}

fn too_large_a_number(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_none(),
        Value::Array(elements) => elements.iter().any(too_large_a_number),
        Value::Object(object) => object.iter().any(|(_, value)| too_large_a_number(value)),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn assert_own_rule(error: JsonError) {
    let own = matches!(
        error,
        JsonError::TooLong
            | JsonError::TooDeep
            | JsonError::TooManyMembers
            | JsonError::NulInName
            | JsonError::DuplicateName
    );
    assert!(own, "only ours refuses it: {error}");
}
