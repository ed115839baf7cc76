//! `routes[].record`: which parts of requests are recorded.

use std::fmt;

use exequatur_decide::{MAX_RECORDED_PARTS, PartForm, RecordedPart, RecordedParts};

use super::keys::{Key, Shape, either, list, map, optional, required, text, words};
use super::reader::{Fields, Node, Notes, Value};

const KEYS: &[Key] = &[
    optional("headers", "Header fields.", || list(part()).some()),
    optional("query", "Parameters of the query, as sent.", || list(part()).some()),
    optional("path_parameters", "Parameters of the path.", || list(part()).some()),
];
const PART_KEYS: &[Key] = &[
    required("name", "What it is called.", text),
    optional("as", "A digest with the key of `records.redaction`, or as it came.", || {
        words(&PartForm::WORDS).default("digest")
    }),
];

pub(super) fn shape() -> Shape {
    map(KEYS)
}

fn part() -> Shape {
    either([text(), map(PART_KEYS)])
}

pub(super) fn read(node: &Node, notes: &Notes) -> Option<RecordedParts> {
    let fields = Fields::open(node, KEYS, notes)?;
    let read = |key, lower| fields.or(key, Vec::new(), |node| parts(node, lower, notes));
    let (headers, query, path) =
        (read("headers", true), read("query", false), read("path_parameters", false));
    let parts = RecordedParts { headers: headers?, query: query?, path_parameters: path? };
    match parts.iter().count() {
        0 => {
            notes.add(node.place, "at least one part is needed");
            None
        }
        1..=MAX_RECORDED_PARTS => Some(parts),
        _ => {
            notes.add(node.place, format!("at most {MAX_RECORDED_PARTS} parts of one route are recorded"));
            None
        }
    }
}

/// A name, or `{ name: …, as: … }`. Names of header fields have no case.
fn parts(node: &Node, lower: bool, notes: &Notes) -> Option<Vec<RecordedPart>> {
    let mut seen: Vec<String> = Vec::new();
    node.some(notes, |item| {
        let (named, form) = match &item.value {
            Value::Map(_) => {
                let fields = Fields::open(item, PART_KEYS, notes)?;
                let form = fields.or("as", PartForm::Digest, |node| node.word(&PartForm::WORDS, notes));
                (fields.required("name")?, form?)
            }
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float
            | Value::Text(_)
            | Value::List(_)
            | Value::Unusable => (item, PartForm::Digest),
        };
        let name = named.text(notes)?;
        let name = if lower { name.to_ascii_lowercase() } else { name.to_owned() };
        let part = RecordedPart::new(&name, form);
        let part = part.map_err(|error| {
            notes.hint(
                named.place,
                error.to_string(),
                "`arguments` in records covers all of it by one digest",
            );
        });
        super::reader::once(&name, &mut seen, named.place, notes).then_some(part.ok()?)
    })
}

/// In the file's own form.
pub(super) fn show(parts: Option<&RecordedParts>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(RecordedParts { headers, query, path_parameters }) = parts else { return Ok(()) };
    writeln!(f, "    record:")?;
    for (key, parts) in [("headers", headers), ("query", query), ("path_parameters", path_parameters)] {
        if !parts.is_empty() {
            let parts: Vec<_> =
                parts.iter().map(|part| format!("{{ name: {:?}, as: {} }}", part.name, part.form)).collect();
            writeln!(f, "      {key}: [{}]", parts.join(", "))?;
        }
    }
    Ok(())
}
