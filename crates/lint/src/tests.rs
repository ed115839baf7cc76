//! The shipped examples, changed in one place at a time.

mod astray;
mod examples;
mod families;
mod gateways;
mod istio;
mod manifests;
mod mesh;
mod reading;
mod unasked;

use std::fmt::Write as _;
use std::time::Duration;

use crate::reader;
use crate::tree::{Entry, Node, Value};
use crate::{Finding, Options, Report, lint};

pub(super) const HARDENED: &str = include_str!("../../../envoy/hardened.yaml");
pub(super) const PLAIN: &str = include_str!("../../../envoy/plain.yaml");

/// Names like those that a permit writes; the command takes them from the server, and the end-to-end test
/// lints the examples with those.
pub(super) fn options() -> Options {
    let mut headers: Vec<String> = [
        "authorization",
        "dpop",
        "x-envoy-auth-partial-body",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-method",
    ]
    .map(str::to_owned)
    .to_vec();
    for first in ['-', '_', '.'] {
        for second in ['-', '_', '.'] {
            headers.extend(["decision", "user"].map(|part| format!("x{first}exequatur{second}{part}")));
        }
    }
    let overrides = headers.iter().filter(|name| name.contains("method")).cloned().collect();
    Options { deadline: Duration::from_millis(150), headers, overrides, largest_check: 256 * 1024 }
}

pub(super) fn hardened() -> Node {
    reader::read(HARDENED).unwrap()
}

/// Through the text again, so that what is judged is what was read.
pub(super) fn judged(tree: &Node) -> Report {
    let mut text = String::new();
    json(tree, &mut text);
    lint(&text, &options()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub(super) fn ids(findings: &[Finding]) -> Vec<&'static str> {
    let mut ids: Vec<_> = findings.iter().map(|finding| finding.rule.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The value at a path of keys and indices, separated by slashes.
pub(super) fn at<'n>(tree: &'n mut Node, path: &str) -> &'n mut Node {
    path.split('/').filter(|step| !step.is_empty()).fold(tree, |node, step| match &mut node.value {
        Value::List(items) => &mut items[step.parse::<usize>().unwrap()],
        Value::Map(entries) => {
            &mut entries
                .iter_mut()
                .find(|entry| entry.key == step)
                .unwrap_or_else(|| panic!("{step} of {path}"))
                .value
        }
        other @ (Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Text(_)) => {
            panic!("{step} of {path}: {other:?}")
        }
    })
}

/// Puts a value there: a key is added or replaced, an item of a list is inserted before that index.
pub(super) fn put(tree: &mut Node, path: &str, yaml: &str) {
    let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
    let value = reader::read(&format!("value: {yaml}")).unwrap().entries()[0].value.clone();
    let parent = at(tree, parent);
    match &mut parent.value {
        Value::List(items) => items.insert(last.parse().unwrap(), value),
        Value::Map(entries) => {
            entries.retain(|entry| entry.key != last);
            entries.push(Entry { key: last.to_owned(), place: value.place, value });
        }
        other @ (Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Text(_)) => {
            panic!("{path}: {other:?}")
        }
    }
}

pub(super) fn remove(tree: &mut Node, path: &str) {
    let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
    match &mut at(tree, parent).value {
        Value::List(items) => drop(items.remove(last.parse().unwrap())),
        Value::Map(entries) => entries.retain(|entry| entry.key != last),
        other @ (Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Text(_)) => {
            panic!("{path}: {other:?}")
        }
    }
}

fn json(node: &Node, text: &mut String) {
    match &node.value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => write!(text, "{value}").unwrap(),
        Value::Integer(value) => write!(text, "{value}").unwrap(),
        Value::Text(value) => quoted(value, text),
        Value::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ",\n" });
                json(item, text);
            }
            text.push(']');
        }
        Value::Map(entries) => {
            text.push('{');
            for (index, entry) in entries.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ",\n" });
                quoted(&entry.key, text);
                text.push_str(": ");
                json(&entry.value, text);
            }
            text.push('}');
        }
    }
}

fn quoted(value: &str, text: &mut String) {
    text.push('"');
    for letter in value.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text.push('"');
}
