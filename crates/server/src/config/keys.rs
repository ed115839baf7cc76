//! The keys of the file: what the reader knows, and what the JSON Schema says of them. One table for both.
//!
//! A section opens its map with its table ([`super::reader::Fields::open`]), so a key that is not in the table
//! is refused, and one that is in it is in the schema. What a JSON Schema cannot say (ranges of durations,
//! names that are unique, what depends on another key) only the reader checks: a file that the reader takes,
//! the schema takes too.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::duration::format;

/// A key of a map.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    required: bool,
    meaning: &'static str,
    shape: fn() -> Shape,
}

/// A key that must be there.
pub(super) const fn required(name: &'static str, meaning: &'static str, shape: fn() -> Shape) -> Key {
    Key { name, required: true, meaning, shape }
}

/// A key that may be left out; its shape says what it is then ([`Shape::default`]).
pub(super) const fn optional(name: &'static str, meaning: &'static str, shape: fn() -> Shape) -> Key {
    Key { name, required: false, meaning, shape }
}

/// What a value may be: a JSON Schema under construction.
#[derive(Debug)]
pub(super) struct Shape {
    schema: Map<String, Value>,
    /// What only the reader checks, in words.
    note: Option<String>,
}

impl Shape {
    /// From a schema that is an object.
    pub(super) fn of(schema: Value) -> Self {
        let schema = if let Value::Object(schema) = schema { schema } else { Map::new() };
        Self { schema, note: None }
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.schema.insert(name.to_owned(), value);
        self
    }

    /// What the key is when it is left out.
    pub(super) fn default(self, value: impl Into<Value>) -> Self {
        self.with("default", value.into())
    }

    /// The greatest number that it may be.
    pub(super) fn at_most(self, most: u32) -> Self {
        self.with("maximum", most.into())
    }

    /// What it is when it is left out, for a duration.
    pub(super) fn default_duration(self, value: Duration) -> Self {
        self.default(format(value))
    }

    /// At least one item.
    pub(super) fn some(self) -> Self {
        self.with("minItems", json!(1))
    }

    /// Of these keys, each of which can be left out, one has to be there and no other.
    pub(super) fn exactly_one(self, keys: &[&str]) -> Self {
        self.with("oneOf", keys.iter().map(|key| json!({ "required": [key] })).collect())
    }

    /// Not more items than so many.
    pub(super) fn at_most_items(self, most: usize) -> Self {
        self.with("maxItems", most.into())
    }

    /// No item twice.
    pub(super) fn unique(self) -> Self {
        self.with("uniqueItems", json!(true))
    }

    /// The finished schema of a value that means `meaning`.
    fn describe(self, meaning: &str) -> Value {
        let description = match self.note {
            Some(note) => format!("{meaning} {note}"),
            None => meaning.to_owned(),
        };
        let mut schema = Map::from_iter([("description".to_owned(), description.into())]);
        schema.extend(self.schema);
        Value::Object(schema)
    }

    pub(super) fn into_value(self) -> Value {
        Value::Object(self.schema)
    }
}

/// Text that is not empty.
pub(super) fn text() -> Shape {
    Shape::of(json!({ "type": "string", "minLength": 1 }))
}

/// Text that matches a regular expression.
pub(super) fn pattern(regex: &str) -> Shape {
    Shape::of(json!({ "type": "string", "pattern": regex }))
}

/// One of the words of a table that the reader uses too.
pub(super) fn words<T>(words: &[(&str, T)]) -> Shape {
    let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    Shape::of(json!({ "type": "string", "enum": words }))
}

/// One of a few words.
pub(super) fn one_of(words: &[&str]) -> Shape {
    Shape::of(json!({ "type": "string", "enum": words }))
}

pub(super) fn boolean() -> Shape {
    Shape::of(json!({ "type": "boolean" }))
}

/// A whole number from 1.
pub(super) fn count() -> Shape {
    Shape::of(json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX }))
}

/// A whole number in a range.
pub(super) fn number(range: &RangeInclusive<usize>) -> Shape {
    Shape::of(json!({ "type": "integer", "minimum": range.start(), "maximum": range.end() }))
}

/// A count and its default.
pub(super) fn count_or(default: NonZeroU32) -> Shape {
    count().default(default.get())
}

/// Digits and a unit. The range is the reader's.
pub(super) fn duration(range: &RangeInclusive<Duration>) -> Shape {
    let (least, most) = (format(*range.start()), format(*range.end()));
    let mut shape = pattern("^[0-9]+(ms|s|m|h)$");
    shape.note = Some(format!("From {least} to {most}."));
    shape
}

/// A list of any length.
pub(super) fn list(item: Shape) -> Shape {
    Shape::of(json!({ "type": "array", "items": item.into_value() }))
}

/// Texts, at least one, none twice.
pub(super) fn texts() -> Shape {
    list(text()).some().unique()
}

/// One of several shapes.
pub(super) fn either(shapes: impl IntoIterator<Item = Shape>) -> Shape {
    Shape::of(json!({ "oneOf": shapes.into_iter().map(Shape::into_value).collect::<Vec<_>>() }))
}

/// A map with the keys of a table and no others.
pub(super) fn map(keys: &[Key]) -> Shape {
    let mut properties = Map::new();
    for key in keys {
        properties.insert(key.name.to_owned(), (key.shape)().describe(key.meaning));
    }
    let required: Vec<_> = keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if let Value::Object(schema) = &mut schema
        && !required.is_empty()
    {
        schema.insert("required".to_owned(), json!(required));
    }
    Shape::of(schema)
}
