//! The JSON Schema of the file, for editors and for checks that do not run this program.

use serde_json::{Map, Value, json};

use super::{Parts, keys, routes};

/// The JSON Schema (draft 2020-12) of the configuration, made from the tables that the reader uses.
///
/// Whatever [`super::load`] takes is valid under it. The reverse does not hold: what a schema cannot say is
/// said by `exequatur config check` alone.
#[must_use]
pub fn schema() -> Value {
    let head = [
        ("$schema", json!("https://json-schema.org/draft/2020-12/schema")),
        ("title", json!("Configuration of Exequatur")),
        (
            "description",
            json!(
                "One YAML file. `exequatur config check` also checks what a schema cannot say: ranges of \
                 durations, names that are unique, and whether routes and policies fit each other."
            ),
        ),
        ("$defs", json!({ routes::ATTRIBUTE_DEFINITION: routes::attribute_shape().into_value() })),
    ];
    let mut schema: Map<String, Value> =
        head.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    if let Value::Object(keys) = keys::map(Parts::KEYS).into_value() {
        schema.extend(keys);
    }
    Value::Object(schema)
}

#[cfg(test)]
mod tests;
