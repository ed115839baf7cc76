//! A strict JSON reader (RFC 8259) for text that an attacker may have written.
//!
//! Stricter than the RFC asks: names are unique at every level, also after unescaping (RFC 7515 §4 leaves
//! the choice; two readers that choose differently are an attack, G24), no byte order mark, no lone
//! surrogate, nothing after the value. Numbers stay text until someone says what they mean.

mod parser;
#[cfg(test)]
mod tests;

pub use parser::parse;

/// `text` as a JSON string, quotes included.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// What a text may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Length of the text in bytes.
    pub bytes: usize,
    /// Nesting of objects and arrays; a lone scalar has depth 0.
    pub depth: usize,
    /// Members of any one object. Arrays are bounded by `bytes` alone.
    pub members: usize,
}

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as written.
    Number(Number),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Self>),
    /// An object.
    Object(Object),
}

impl Value {
    /// The string, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The object, if it is one.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The elements, if it is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(elements) = self { Some(elements) } else { None }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<&Number> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }
}

/// A number exactly as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    // INVARIANT: matches the grammar of RFC 8259 §6; only the parser makes one.
    text: String,
}

impl Number {
    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The nearest double, unless it is too large for one.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.text.parse::<f64>().ok().filter(|number| number.is_finite())
    }

    /// The integer, if it is written without fraction and exponent and fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.text.parse().ok()
    }
}

/// An object: members in the order written, each name once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    // INVARIANT: names are unique; only the parser makes one.
    members: Vec<(String, Value)>,
}

impl Object {
    /// The value of the member `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value)
    }

    /// Whether there is a member `name`.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The members in the order written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.members.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// Why a text was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Longer than [`Limits::bytes`].
    #[error("text too long")]
    TooLong,
    /// Nested deeper than [`Limits::depth`].
    #[error("nested too deep")]
    TooDeep,
    /// An object with more than [`Limits::members`].
    #[error("too many members")]
    TooManyMembers,
    /// Not UTF-8.
    #[error("not utf-8")]
    NotUtf8,
    /// Begins with a byte order mark.
    #[error("byte order mark")]
    ByteOrderMark,
    /// Ends before the value does.
    #[error("unexpected end")]
    UnexpectedEnd,
    /// A character where the grammar has none.
    #[error("unexpected character")]
    UnexpectedCharacter,
    /// A malformed number.
    #[error("malformed number")]
    Number,
    /// A malformed escape, or half of a surrogate pair.
    #[error("malformed escape")]
    Escape,
    /// An unescaped control character in a string.
    #[error("control character in a string")]
    ControlCharacter,
    /// U+0000 in a name.
    #[error("nul in a name")]
    NulInName,
    /// A name occurs twice in an object.
    #[error("duplicate name")]
    DuplicateName,
    /// Something other than whitespace after the value.
    #[error("trailing data")]
    TrailingData,
}
