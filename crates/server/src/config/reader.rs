//! Values of the document, read with a note of each that will not do.

use std::cell::RefCell;
use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::duration;
use super::keys::Key;
use super::problems::{Place, Problem};
use super::spelling;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A value of the document.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// An unresolvable alias, or a tag of someone's own. Noted when the document was parsed.
    Unusable,
}

/// A key and its value. No two entries of a map have one key.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) value: Node,
}

/// The mistakes noted so far.
#[derive(Debug, Default)]
pub(super) struct Notes(RefCell<Vec<Problem>>);

impl Notes {
    pub(super) fn add(&self, place: Place, message: impl Into<String>) {
        self.push(place, message.into(), None);
    }

    pub(super) fn hint(&self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.push(place, message.into(), Some(hint.into()));
    }

    fn push(&self, place: Place, message: String, hint: Option<String>) {
        self.0.borrow_mut().push(Problem { place: Some(place), message, hint });
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}

impl Node {
    fn what(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Integer(_) | Value::Float => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Unusable => "an unusable value",
        }
    }

    pub(super) fn mismatch<T>(&self, expected: &str, notes: &Notes) -> Option<T> {
        match self.value {
            Value::Unusable => {}
            Value::Bool(_) | Value::Integer(_) | Value::Float if expected.starts_with("text") => {
                notes.hint(
                    self.place,
                    format!("{expected} expected, {} found", self.what()),
                    "put it in quotes",
                );
            }
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_) => {
                notes.add(self.place, format!("{expected} expected, {} found", self.what()));
            }
        }
        None
    }

    /// Text that is not empty.
    pub(super) fn text(&self, notes: &Notes) -> Option<&str> {
        match &self.value {
            Value::Text(text) if text.is_empty() => {
                notes.add(self.place, "must not be empty");
                None
            }
            Value::Text(text) => Some(text),
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float
            | Value::List(_)
            | Value::Map(_)
            | Value::Unusable => self.mismatch("text", notes),
        }
    }

    /// Text that `parse` takes.
    pub(super) fn parsed<T, E: fmt::Display>(
        &self,
        notes: &Notes,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(self.text(notes)?) {
            Ok(value) => Some(value),
            Err(error) => {
                notes.add(self.place, error.to_string());
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)], notes: &Notes) -> Option<T> {
        let text = self.text(notes)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        notes.hint(self.place, format!("`{text}` is not known here"), spelling::hint(text, &known));
        None
    }

    pub(super) fn boolean(&self, notes: &Notes) -> Option<bool> {
        if let Value::Bool(value) = self.value { Some(value) } else { self.mismatch("true or false", notes) }
    }

    pub(super) fn count(&self, notes: &Notes) -> Option<NonZeroU32> {
        let Value::Integer(value) = self.value else { return self.mismatch("a whole number", notes) };
        let count = u32::try_from(value).ok().and_then(NonZeroU32::new);
        if count.is_none() {
            notes.add(self.place, format!("must be between 1 and {}", u32::MAX));
        }
        count
    }

    pub(super) fn number(&self, range: &RangeInclusive<usize>, notes: &Notes) -> Option<usize> {
        let Value::Integer(value) = self.value else { return self.mismatch("a whole number", notes) };
        let number = usize::try_from(value).ok().filter(|number| range.contains(number));
        if number.is_none() {
            notes.add(self.place, format!("must be between {} and {}", range.start(), range.end()));
        }
        number
    }

    pub(super) fn duration(&self, range: &RangeInclusive<Duration>, notes: &Notes) -> Option<Duration> {
        let Value::Text(text) = &self.value else {
            return self.mismatch("a duration such as 500ms, 60s or 15m", notes);
        };
        let Some(value) = duration::parse(text) else {
            notes.hint(self.place, format!("`{text}` is no duration"), "write 500ms, 60s, 15m or 24h");
            return None;
        };
        if range.contains(&value) {
            return Some(value);
        }
        let (least, most) = (duration::format(*range.start()), duration::format(*range.end()));
        notes.add(self.place, format!("must be between {least} and {most}"));
        None
    }

    pub(super) fn list(&self, notes: &Notes) -> Option<&[Self]> {
        if let Value::List(items) = &self.value { Some(items) } else { self.mismatch("a list", notes) }
    }

    pub(super) fn map(&self, notes: &Notes) -> Option<&[Entry]> {
        if let Value::Map(entries) = &self.value { Some(entries) } else { self.mismatch("a map", notes) }
    }

    /// Each item read by `read`; `None` if one of them will not do, after all were read.
    pub(super) fn each<T>(&self, notes: &Notes, mut read: impl FnMut(&Self) -> Option<T>) -> Option<Vec<T>> {
        let items: Vec<_> = self.list(notes)?.iter().map(&mut read).collect();
        items.into_iter().collect()
    }

    /// Like [`Node::each`], and at least one.
    pub(super) fn some<T>(&self, notes: &Notes, read: impl FnMut(&Self) -> Option<T>) -> Option<Vec<T>> {
        let items = self.each(notes, read)?;
        if items.is_empty() {
            notes.add(self.place, "at least one is needed");
            return None;
        }
        Some(items)
    }

    /// Texts, none of them twice, at least one.
    pub(super) fn texts(&self, notes: &Notes) -> Option<Vec<String>> {
        let mut seen = Vec::new();
        self.some(notes, |item| {
            let text = item.text(notes)?;
            once(text, &mut seen, item.place, notes).then(|| text.to_owned())
        })
    }
}

/// Notes a second one of the same name.
pub(super) fn once(name: &str, seen: &mut Vec<String>, place: Place, notes: &Notes) -> bool {
    let new = !seen.iter().any(|other| other == name);
    if new {
        seen.push(name.to_owned());
    } else {
        notes.add(place, format!("`{name}` stands here a second time"));
    }
    new
}

/// A map whose keys are known: they are in a table that the JSON Schema is made from too.
pub(super) struct Fields<'n> {
    place: Place,
    entries: &'n [Entry],
    notes: &'n Notes,
}

impl<'n> Fields<'n> {
    /// Notes every key that is not known.
    pub(super) fn open(node: &'n Node, keys: &[Key], notes: &'n Notes) -> Option<Self> {
        let entries = node.map(notes)?;
        let known: Vec<_> = keys.iter().map(|key| key.name).collect();
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let message = format!("key `{}` is not known here", entry.key);
            notes.hint(entry.key_place, message, spelling::hint(&entry.key, &known));
        }
        Some(Self { place: node.place, entries, notes })
    }

    pub(super) fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(super) fn optional(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Notes the key if it is missing.
    pub(super) fn required(&self, key: &str) -> Option<&'n Node> {
        let node = self.optional(key);
        if node.is_none() {
            self.notes.add(self.place, format!("key `{key}` is missing"));
        }
        node
    }

    /// The value, `default` if the key is absent, `None` if the value will not do.
    pub(super) fn or<T>(&self, key: &str, default: T, read: impl FnOnce(&'n Node) -> Option<T>) -> Option<T> {
        self.optional(key).map_or(Some(default), read)
    }

    pub(super) fn duration(
        &self,
        key: &str,
        default: Duration,
        range: &RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.or(key, default, |node| node.duration(range, self.notes))
    }
}
