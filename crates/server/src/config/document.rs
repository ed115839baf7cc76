//! The text of the file as a tree of values with their places.

use exequatur_policy::yaml_extent;
use saphyr::{LoadableYamlNode, MarkedYaml, Marker, Scalar, YamlData};

use super::problems::Place;
use super::reader::{Entry, Node, Notes, Value};

/// What the loader says of a second key of one name.
const DUPLICATE: &str = "duplicated key in mapping";
/// So many keys that stand twice are told at once.
const MAX_DUPLICATES: u32 = 64;
/// Private-use characters begin here.
const STAND_IN: u32 = 0xE000;

/// Parses the text; what YAML itself forbids is noted.
///
/// The loader ends at the first key that stands twice. So that the rest can be read too, such a key gets
/// a first letter of its own in a copy of the text, as long as the other one, and its entry is left out.
pub(super) fn parse(text: &str, notes: &Notes) -> Option<Node> {
    let places = Places::of(text);
    if let Err((excess, marker)) = yaml_extent(text) {
        notes.add(places.at(marker, marker.index()), excess.to_string());
        return None;
    }
    let mut chars: Vec<char> = text.chars().collect();
    let mut renamed = Vec::new();
    for stand_in in (STAND_IN..).take(usize::try_from(MAX_DUPLICATES).unwrap_or_default()) {
        let copy: String = chars.iter().collect();
        let error = match MarkedYaml::load_from_str(&copy) {
            Ok(documents) => return only(&documents, &places, &renamed, notes),
            Err(error) => error,
        };
        if error.info() != DUPLICATE {
            notes.add(
                places.at(*error.marker(), error.marker().index()),
                format!("not YAML: {}", error.info()),
            );
            return None;
        }
        let start = error.marker().index();
        let place = places.at(*error.marker(), start + word_length(&chars, start));
        notes.add(place, "this key stands here a second time");
        renamed.push(start);
        let quoted = chars.get(start).is_some_and(|first| matches!(first, '"' | '\''));
        let first = chars.get_mut(start + usize::from(quoted)).filter(|c| c.is_alphanumeric() || **c == '_');
        let (first, letter) = first.zip(char::from_u32(stand_in))?;
        *first = letter;
    }
    None
}

fn word_length(chars: &[char], start: usize) -> usize {
    chars.iter().skip(start).take_while(|c| !c.is_whitespace() && !matches!(c, ':' | ',' | '}')).count()
}

fn only(documents: &[MarkedYaml<'_>], places: &Places, renamed: &[usize], notes: &Notes) -> Option<Node> {
    match documents {
        [] => {
            notes.add(places.at(Marker::new(0, 1, 0), 0), "the file is empty");
            None
        }
        [document] => Some(convert(document, places, renamed, notes)),
        [_, second, ..] => {
            notes.add(
                places.of_node(second),
                "a second document begins here: one file holds one configuration",
            );
            None
        }
    }
}

fn convert(yaml: &MarkedYaml<'_>, places: &Places, renamed: &[usize], notes: &Notes) -> Node {
    let place = places.of_node(yaml);
    let value = match &yaml.data {
        YamlData::Value(Scalar::Null) => Value::Null,
        YamlData::Value(Scalar::Boolean(value)) => Value::Bool(*value),
        YamlData::Value(Scalar::Integer(value)) => Value::Integer(*value),
        YamlData::Value(Scalar::FloatingPoint(_)) => Value::Float,
        YamlData::Value(Scalar::String(text)) => Value::Text(text.to_string()),
        YamlData::Sequence(items) => {
            Value::List(items.iter().map(|item| convert(item, places, renamed, notes)).collect())
        }
        YamlData::Mapping(map) => {
            let kept = map.iter().filter(|(key, _)| !renamed.contains(&key.span.start.index()));
            Value::Map(kept.filter_map(|(key, value)| entry(key, value, places, renamed, notes)).collect())
        }
        YamlData::Representation(..) | YamlData::Tagged(..) | YamlData::Alias(_) | YamlData::BadValue => {
            notes.add(place, "tags and unknown aliases are not used here");
            Value::Unusable
        }
    };
    Node { place, value }
}

fn entry(
    key: &MarkedYaml<'_>,
    value: &MarkedYaml<'_>,
    places: &Places,
    renamed: &[usize],
    notes: &Notes,
) -> Option<Entry> {
    let Node { place, value: name } = convert(key, places, renamed, notes);
    let Value::Text(key) = name else {
        notes.hint(place, "a key is text", "put it in quotes");
        return None;
    };
    Some(Entry { key, key_place: place, value: convert(value, places, renamed, notes) })
}

/// From the loader's characters to bytes.
struct Places {
    /// The byte at which each character begins, and the end.
    bytes: Vec<usize>,
    /// The character after the last of each line.
    ends: Vec<usize>,
}

impl Places {
    fn of(text: &str) -> Self {
        let bytes = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
        let count = text.chars().count();
        let breaks = text.chars().enumerate().filter(|(_, c)| *c == '\n').map(|(index, _)| index);
        Self { bytes, ends: breaks.chain([count]).collect() }
    }

    fn of_node(&self, yaml: &MarkedYaml<'_>) -> Place {
        self.at(yaml.span.start, yaml.span.end.index())
    }

    /// From `start` to the character `end`, and at most to the end of the line.
    fn at(&self, start: Marker, end: usize) -> Place {
        let index = start.index();
        let line_end = self.ends.iter().find(|end| **end >= index).copied().unwrap_or(index);
        let byte =
            |index: usize| self.bytes.get(index).or_else(|| self.bytes.last()).copied().unwrap_or_default();
        let offset = byte(index);
        let length = byte(end.clamp(index, line_end.max(index))).saturating_sub(offset);
        Place { offset, length, line: start.line(), column: start.col() + 1 }
    }
}
