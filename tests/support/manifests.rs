//! The manifests of `examples/`, as data, and the stack behind what a mesh or gateway makes of them.

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};

use crate::binaries;
use crate::stack::Options;

/// The documents of a file, named from the root of the repository.
///
/// # Panics
/// When it is not there, or no YAML.
#[must_use]
pub fn documents(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(binaries::repository().join(file)).expect(file);
    Yaml::load_from_str(&text).expect(file).iter().map(value).collect()
}

fn value(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(truth)) => json!(truth),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => json!(number.0),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(items) => Value::Array(items.iter().map(value).collect()),
        Yaml::Mapping(entries) => {
            let pair = |(key, entry): (&Yaml<'_>, &Yaml<'_>)| Some((key.as_str()?.to_owned(), value(entry)));
            Value::Object(entries.iter().filter_map(pair).collect::<Map<_, _>>())
        }
        other => panic!("{other:?}"),
    }
}

/// The first document of a kind.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn of_kind<'v>(documents: &'v [Value], kind: &str) -> &'v Value {
    documents.iter().find(|document| document["kind"] == kind).expect(kind)
}

/// Lays one message over another as Protobuf merges: lists grow, messages merge, the rest is replaced.
pub fn merge(into: &mut Value, over: &Value) {
    match (into, over) {
        (Value::Object(mine), Value::Object(theirs)) => {
            for (key, value) in theirs {
                merge(mine.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(mine), Value::Array(theirs)) => mine.extend(theirs.iter().cloned()),
        (mine, other) => *mine = other.clone(),
    }
}

/// An `Any`.
#[must_use]
pub fn any(kind: &str, mut fields: Value) -> Value {
    fields["@type"] = json!(format!("type.googleapis.com/{kind}"));
    fields
}

/// Two listeners with these connection managers: the main one, and the other at `stack.ports.second[0]`.
#[must_use]
pub fn behind(main: &Value, other: &Value) -> Options {
    let written = |manager: &Value| -> &'static str { manager.to_string().leak() };
    Options {
        example: Some("../tests/mesh/listeners.yaml"),
        envoy: vec![
            ("typed_config: MAIN", typed(written(main))),
            ("typed_config: OTHER", typed(written(other))),
        ],
        ..Options::default()
    }
}

fn typed(manager: &str) -> &'static str {
    format!("typed_config: {manager}").leak()
}
