//! The configuration as a tree whose every value knows its place.

use std::time::Duration;

/// Where something stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// In which of the texts that were given, from 0.
    pub text: usize,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A value, as Envoy reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    /// Anything else that is one value; fractions too, which are kept as written.
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value. No map has a key twice, in either of its spellings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

/// `max_stream_duration` → `maxStreamDuration`: Envoy takes both.
pub(crate) fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' {
            upper = true;
        } else if upper {
            camel.push(letter.to_ascii_uppercase());
            upper = false;
        } else {
            camel.push(letter);
        }
    }
    camel
}

impl Node {
    /// The entries of a map; none for anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The items of a list; none for anything else.
    pub(crate) fn items(&self) -> &[Self] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// The field of a message, in either spelling; a null counts as absent, as it does to Envoy.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let spelt = camel(key);
        let entry = self.entries().iter().find(|entry| entry.key == key || entry.key == spelt)?;
        (entry.value.value != Value::Null).then_some(&entry.value)
    }

    /// The field at the end of a path of keys, separated by dots.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, key| node.get(key))
    }

    /// The deepest part of the path that is there.
    pub(crate) fn nearest(&self, path: &str) -> &Self {
        let mut node = self;
        for key in path.split('.') {
            let Some(next) = node.get(key) else { break };
            node = next;
        }
        node
    }

    /// The items of a list field; none if it is absent.
    pub(crate) fn list(&self, key: &str) -> &[Self] {
        self.get(key).map(Self::items).unwrap_or_default()
    }

    /// The text of a text field; empty if there is none.
    pub(crate) fn text_of(&self, key: &str) -> &str {
        self.get(key).and_then(Self::text).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// A truth value; `None` for anything else. In quotes, or in mixed case, it is one too: Envoy's JSON reader
    /// takes these words as text.
    pub(crate) fn truth(&self) -> Option<bool> {
        match &self.value {
            Value::Bool(value) => Some(*value),
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "t" | "yes" | "y" | "1" => Some(true),
                "false" | "f" | "no" | "n" | "0" => Some(false),
                _ => None,
            },
            Value::Null | Value::Integer(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Whether a field says true.
    pub(crate) fn says(&self, path: &str) -> bool {
        self.at(path).and_then(Self::truth) == Some(true)
    }

    /// A whole number, in quotes or not.
    pub(crate) fn integer(&self) -> Option<i64> {
        match &self.value {
            Value::Integer(value) => Some(*value),
            Value::Text(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// A member of an enumeration, by name in any case, or by number.
    pub(crate) fn is_member(&self, members: &[(&str, i64)]) -> bool {
        match &self.value {
            Value::Text(text) => members
                .iter()
                .any(|(name, number)| name.eq_ignore_ascii_case(text) || number.to_string() == *text),
            Value::Integer(value) => members.iter().any(|(_, number)| number == value),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => false,
        }
    }

    /// `0.25s`: the only form of a duration that Envoy takes.
    pub(crate) fn duration(&self) -> Option<Duration> {
        let seconds: f64 = self.text()?.strip_suffix('s')?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// The message in a field of type `Any`: the last part of its type, and its fields. A `TypedStruct` is
    /// looked into, as Envoy does.
    pub(crate) fn typed(&self) -> Option<(&str, &Self)> {
        let name = type_name(self.get("@type")?.text()?);
        if !matches!(name, "xds.type.v3.TypedStruct" | "udpa.type.v1.TypedStruct") {
            return Some((name, self));
        }
        let inner = type_name(self.text_of("type_url"));
        Some((inner, self.get("value").unwrap_or(self)))
    }

    /// Moves every place to this text, and down by so many lines; not beyond its last one, where text in quotes has lines
    /// of its own.
    pub(crate) fn moved(mut self, text: usize, lines: usize, last: usize) -> Self {
        let place = |place: Place| Place { text, line: place.line.saturating_add(lines).min(last), ..place };
        self.place = place(self.place);
        self.value = match self.value {
            Value::List(items) => {
                Value::List(items.into_iter().map(|item| item.moved(text, lines, last)).collect())
            }
            Value::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|Entry { key, place: at, value }| Entry {
                        key,
                        place: place(at),
                        value: value.moved(text, lines, last),
                    })
                    .collect(),
            ),
            one @ (Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Text(_)) => one,
        };
        self
    }

    /// Lays another message over this one, as Protobuf merges: lists grow, messages merge, the rest is replaced.
    pub(crate) fn merge(&mut self, over: &Self) {
        match (&mut self.value, &over.value) {
            (Value::Map(mine), Value::Map(theirs)) => {
                for entry in theirs {
                    let spelt = camel(&entry.key);
                    match mine.iter_mut().find(|known| camel(&known.key) == spelt) {
                        Some(known) => known.value.merge(&entry.value),
                        None => mine.push(entry.clone()),
                    }
                }
            }
            (Value::List(mine), Value::List(theirs)) => mine.extend(theirs.iter().cloned()),
            _ => *self = over.clone(),
        }
    }

    /// The value as it is quoted in a message: in one line, and short.
    pub(crate) fn shown(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Text(text) => shortened(text),
            Value::List(_) => "[…]".to_owned(),
            Value::Map(_) => "{…}".to_owned(),
        }
    }
}

/// At most 80 characters, without control characters.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown: String =
        text.chars().take(MOST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

fn type_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}
