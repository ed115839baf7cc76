//! `routes[].authorization_details`: what must have been granted in detail (RFC 9396).

use std::fmt;
use std::sync::Arc;

use exequatur_decide::{DetailTemplate, Locations, Template};

use super::keys::{Key, Shape, list, map, optional, required, text, texts, words};
use super::reader::{Fields, Node, Notes, once};

const KEYS: &[Key] = &[
    required("type", "The detail's type.", text),
    optional("actions", "Actions that the detail must all name.", texts),
    optional("datatypes", "Data types that it must all name.", texts),
    optional("privileges", "Privileges that it must all name.", texts),
    optional("identifier", "The identifier that it must have: a template.", text),
    optional(
        "locations",
        "Whether it must have `locations`. Where it has, the audience that the route asks for must be one of them.",
        || words(LOCATIONS).default("optional"),
    ),
    optional(
        "unjudged",
        "Members that it may have and that the route does not judge: the upstream has to. A detail with any other \
         meets nothing.",
        texts,
    ),
];
const LOCATIONS: &[(&str, Locations)] =
    &[("optional", Locations::Optional), ("required", Locations::Required)];
/// Longest string of a detail, in characters, as in tokens.
const MAX_CHARS: usize = 256;

pub(super) fn shape() -> Shape {
    list(map(KEYS)).default(Vec::<String>::new())
}

/// The entries, and the identifier of each as it was written.
pub(super) fn read(
    node: &Node,
    identifiers: &mut Vec<Option<String>>,
    notes: &Notes,
) -> Option<Vec<Arc<DetailTemplate>>> {
    node.each(notes, |item| entry(item, identifiers, notes).map(Arc::new))
}

fn entry(node: &Node, identifiers: &mut Vec<Option<String>>, notes: &Notes) -> Option<DetailTemplate> {
    let fields = Fields::open(node, KEYS, notes)?;
    let kind = fields.required("type").and_then(|node| string(node, notes));
    let strings = |key: &str| {
        let mut seen = Vec::new();
        fields.or(key, Vec::new(), |node| {
            node.some(notes, |item| {
                let text = string(item, notes)?;
                once(text, &mut seen, item.place, notes).then(|| text.to_owned())
            })
        })
    };
    let (actions, datatypes, privileges) = (strings("actions"), strings("datatypes"), strings("privileges"));
    let identifier = fields.or("identifier", None, |node| node.parsed(notes, Template::parse).map(Some));
    let written = fields.optional("identifier").filter(|_| identifier.is_some());
    identifiers.push(written.and_then(|node| node.text(notes)).map(ToOwned::to_owned));
    let locations = fields.or("locations", Locations::Optional, |node| node.word(LOCATIONS, notes));
    let unjudged = fields.or("unjudged", Vec::new(), |list| {
        let mut seen = Vec::new();
        list.some(notes, |item| {
            let member = item.text(notes)?;
            if matches!(member, "type" | "locations") || fields.entry(member).is_some() {
                notes.add(item.place, format!("`{member}` is judged here"));
                return None;
            }
            once(member, &mut seen, item.place, notes).then(|| member.to_owned())
        })
    });
    Some(DetailTemplate {
        kind: kind?.to_owned(),
        actions: actions?,
        datatypes: datatypes?,
        privileges: privileges?,
        identifier: identifier?,
        locations: locations?,
        unjudged: unjudged?,
    })
}

/// What no token can have is asked of none.
fn string<'n>(node: &'n Node, notes: &Notes) -> Option<&'n str> {
    let text = node.text(notes)?;
    if text.chars().nth(MAX_CHARS).is_some() || text.chars().any(char::is_control) {
        notes.add(node.place, format!("1 to {MAX_CHARS} characters are needed, without control characters"));
        return None;
    }
    Some(text)
}

/// `identifiers` are those that [`read`] gave.
pub(super) fn show(
    details: &[Arc<DetailTemplate>],
    identifiers: &[Option<String>],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    if details.is_empty() {
        return writeln!(f, "    authorization_details: []");
    }
    writeln!(f, "    authorization_details:")?;
    for (detail, identifier) in details.iter().zip(identifiers) {
        let DetailTemplate { kind, actions, datatypes, privileges, identifier: _, locations, unjudged } =
            &**detail;
        writeln!(f, "      - type: {kind:?}")?;
        if let Some(identifier) = identifier {
            writeln!(f, "        identifier: {identifier:?}")?;
        }
        for (key, strings) in [
            ("actions", actions),
            ("datatypes", datatypes),
            ("privileges", privileges),
            ("unjudged", unjudged),
        ] {
            if !strings.is_empty() {
                writeln!(f, "        {key}: {strings:?}")?;
            }
        }
        let word = LOCATIONS.iter().find(|(_, known)| known == locations).map_or("", |(word, _)| word);
        writeln!(f, "        locations: {word}")?;
    }
    Ok(())
}
