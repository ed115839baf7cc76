//! Text → tree, read as Envoy reads it.
//!
//! The events of the parser are taken one by one, so that neither nesting nor aliases can exhaust stack or
//! memory: both are bounded while the tree grows.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use thiserror::Error;

use crate::tree::{Entry, Node, Place, Value, camel};

/// Longest text, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Deepest nesting.
pub const MAX_DEPTH: usize = 100;
/// Most values, those that aliases repeat counted each time.
pub const MAX_VALUES: usize = 200_000;

/// Why the text could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}:{}: {cause}", place.line, place.column)]
pub struct Unreadable {
    /// Where it stopped.
    pub place: Place,
    /// Why.
    pub cause: Cause,
}

/// What is wrong with the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Cause {
    /// The parser's own words.
    #[error("neither YAML nor JSON: {0}")]
    Syntax(String),
    /// Above [`MAX_BYTES`].
    #[error("longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Above [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// Above [`MAX_VALUES`].
    #[error("more than {MAX_VALUES} values, aliases counted each time")]
    TooMany,
    /// Envoy would silently take one of them.
    #[error("key `{0}` stands here a second time")]
    DuplicateKey(String),
    /// Envoy refuses it.
    #[error("`<<` is not merged by Envoy: write the keys out")]
    MergeKey,
    /// A map or list as a key.
    #[error("a key is text")]
    KeyNotText,
    /// An alias without its anchor before it.
    #[error("this alias has no anchor before it")]
    UnknownAlias,
    /// What it means to Envoy is not judged here.
    #[error("tag `{0}` is not understood here: leave it out")]
    Tag(String),
    /// Envoy would read only the first.
    #[error("a second document begins here: Envoy reads the first only")]
    SecondDocument,
    /// Nothing, or nothing with keys.
    #[error("no configuration: a map is expected")]
    NoMap,
}

/// Reads the text, as the one document that Envoy reads.
pub(crate) fn read(text: &str) -> Result<Node, Unreadable> {
    let read = events(text, false)?;
    read.into_iter().next().ok_or(Unreadable { place: START, cause: Cause::NoMap })
}

/// Reads each of the documents in the text; empty ones are left out.
pub(crate) fn read_all(text: &str) -> Result<Vec<Node>, Unreadable> {
    events(text, true)
}

const START: Place = Place { text: 0, line: 1, column: 1 };

fn events(text: &str, many: bool) -> Result<Vec<Node>, Unreadable> {
    let fail = |place, cause| Err(Unreadable { place, cause });
    if text.len() > MAX_BYTES {
        return fail(START, Cause::TooLong);
    }
    let mut builder = Builder { many, ..Builder::default() };
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    while let Some(next) = parser.next_event() {
        match next {
            Ok((event, span)) => builder.take(event, place(span))?,
            Err(error) => {
                let marker = error.marker();
                let place =
                    Place { text: 0, line: marker.line().max(1), column: marker.col().saturating_add(1) };
                return fail(place, Cause::Syntax(error.info().to_owned()));
            }
        }
    }
    let mut roots = builder.roots;
    if many {
        roots.retain(|root| root.value != Value::Null);
    }
    match roots.iter().find(|root| !matches!(root.value, Value::Map(_))) {
        Some(other) => fail(other.place, Cause::NoMap),
        None if roots.is_empty() => fail(START, Cause::NoMap),
        None => Ok(roots),
    }
}

fn place(span: Span) -> Place {
    Place { text: 0, line: span.start.line().max(1), column: span.start.col().saturating_add(1) }
}

/// A finished value, with how many values are in it.
#[derive(Clone)]
struct Built {
    node: Node,
    values: usize,
    depth: usize,
}

/// A map or list that is not finished.
struct Open {
    place: Place,
    anchor: usize,
    content: Content,
    depth: usize,
    values: usize,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Key> },
}

struct Key {
    name: String,
    place: Place,
    /// Tagged `!ignore`: Envoy leaves the entry out.
    ignored: bool,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Built>,
    /// One for each finished document.
    roots: Vec<Node>,
    /// Whether there may be more than one.
    many: bool,
    documents: usize,
    values: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Unreadable> {
        let fail = |cause| Err(Unreadable { place, cause });
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents = self.documents.saturating_add(1);
                // An anchor ends with its document.
                self.anchors.clear();
                if self.documents > 1 && !self.many { fail(Cause::SecondDocument) } else { Ok(()) }
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(built) => {
                    self.values = self.values.saturating_add(built.values);
                    self.put(built, place)
                }
                None => fail(Cause::UnknownAlias),
            },
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), place)
            }
            Event::SequenceStart(anchor, tag) => {
                untagged(tag.as_deref(), place)?;
                self.begin(Content::List(Vec::new()), anchor, place)
            }
            Event::MappingStart(anchor, tag) => {
                untagged(tag.as_deref(), place)?;
                self.begin(Content::Map { entries: Vec::new(), key: None }, anchor, place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(place),
        }
    }

    fn begin(&mut self, content: Content, anchor: usize, place: Place) -> Result<(), Unreadable> {
        let is_key = matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }));
        if is_key {
            return Err(Unreadable { place, cause: Cause::KeyNotText });
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Unreadable { place, cause: Cause::TooDeep });
        }
        self.count(place)?;
        self.open.push(Open { place, anchor, content, depth: 0, values: 1 });
        Ok(())
    }

    fn end(&mut self, place: Place) -> Result<(), Unreadable> {
        let Some(open) = self.open.pop() else {
            return Err(Unreadable { place, cause: Cause::Syntax("an end without a beginning".to_owned()) });
        };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        let node = Node { place: open.place, value };
        let built = Built { node, values: open.values, depth: open.depth.saturating_add(1) };
        self.remember(open.anchor, &built);
        self.put(built, place)
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        place: Place,
    ) -> Result<(), Unreadable> {
        self.count(place)?;
        if let Some(Open { content: Content::Map { entries, key: key @ None }, .. }) = self.open.last_mut() {
            let ignored = tag.is_some_and(|tag| tag.handle == "!" && tag.suffix == "ignore");
            if !ignored {
                untagged(tag, place)?;
                admissible(text, entries, place)?;
            }
            *key = Some(Key { name: text.to_owned(), place, ignored });
            return Ok(());
        }
        untagged(tag, place)?;
        let value = if style == ScalarStyle::Plain { plain(text) } else { Value::Text(text.to_owned()) };
        let built = Built { node: Node { place, value }, values: 1, depth: 0 };
        self.remember(anchor, &built);
        self.put(built, place)
    }

    fn remember(&mut self, anchor: usize, built: &Built) {
        // The parser numbers anchors from 1. What is kept counts too: anchors can nest.
        if anchor > 0 {
            self.values = self.values.saturating_add(built.values);
            self.anchors.insert(anchor, built.clone());
        }
    }

    /// Hands a finished value to what it stands in.
    fn put(&mut self, built: Built, place: Place) -> Result<(), Unreadable> {
        let fail = |cause| Err(Unreadable { place, cause });
        if self.values > MAX_VALUES {
            return fail(Cause::TooMany);
        }
        let outside = self.open.len();
        let Some(open) = self.open.last_mut() else {
            self.roots.push(built.node);
            return Ok(());
        };
        if outside.saturating_add(built.depth) > MAX_DEPTH {
            return fail(Cause::TooDeep);
        }
        open.depth = open.depth.max(built.depth);
        open.values = open.values.saturating_add(built.values);
        match &mut open.content {
            Content::List(items) => items.push(built.node),
            Content::Map { entries, key } => match key.take() {
                Some(Key { ignored: true, .. }) => {}
                Some(Key { name, place, ignored: false }) => {
                    entries.push(Entry { key: name, place, value: built.node });
                }
                // An alias in the place of a key.
                None => return fail(Cause::KeyNotText),
            },
        }
        Ok(())
    }

    fn count(&mut self, place: Place) -> Result<(), Unreadable> {
        self.values = self.values.saturating_add(1);
        if self.values > MAX_VALUES { Err(Unreadable { place, cause: Cause::TooMany }) } else { Ok(()) }
    }
}

fn untagged(tag: Option<&Tag>, place: Place) -> Result<(), Unreadable> {
    match tag {
        None => Ok(()),
        Some(tag) => Err(Unreadable { place, cause: Cause::Tag(tag.to_string()) }),
    }
}

/// A key that stands once: `a_b` and `aB` are one field to Envoy.
fn admissible(key: &str, entries: &[Entry], place: Place) -> Result<(), Unreadable> {
    let spelt = camel(key);
    if entries.iter().any(|entry| entry.key == key || camel(&entry.key) == spelt) {
        return Err(Unreadable { place, cause: Cause::DuplicateKey(key.to_owned()) });
    }
    if key == "<<" {
        return Err(Unreadable { place, cause: Cause::MergeKey });
    }
    Ok(())
}

/// What a value without quotes is to Envoy: truth values are those of YAML 1.1.
fn plain(text: &str) -> Value {
    const TRUE: [&str; 4] = ["true", "yes", "on", "y"];
    const FALSE: [&str; 4] = ["false", "no", "off", "n"];
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    let lower = text.to_ascii_lowercase();
    let mut letters = text.chars();
    letters.next();
    let rest = letters.as_str();
    let regular = text == lower
        || text.chars().all(|c| c.is_ascii_uppercase())
        || rest.chars().all(|c| c.is_ascii_lowercase());
    if regular && TRUE.contains(&lower.as_str()) {
        return Value::Bool(true);
    }
    if regular && FALSE.contains(&lower.as_str()) {
        return Value::Bool(false);
    }
    number(text).map_or_else(|| Value::Text(text.to_owned()), Value::Integer)
}

/// Decimal, `0x…`, and octal by a leading zero.
fn number(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let value = if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        i64::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with(['+', '-']))
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8).ok()
    } else {
        digits.parse().ok()
    };
    value?.checked_mul(sign)
}
