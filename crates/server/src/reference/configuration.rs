//! Every key of the configuration, with what it may be and what it is when it is left out.

use std::fmt::Write as _;

use serde_json::Value;

use crate::config;
use crate::generations::RELOADED;

/// Of several keys or forms one has to be there.
const ONE: &str = "one of them";

/// A row of the table.
struct Key {
    /// As `issuers.status_lists.wait`; lists and maps of the user's own words add nothing to it.
    path: String,
    value: String,
    default: String,
    meaning: String,
}

/// The keys as tables of Markdown, made from the JSON Schema, which is made from the tables that the reader uses: first those of
/// the top level, then all others.
#[must_use]
pub fn configuration() -> String {
    let keys = keys();
    let mut out =
        "| key | value | default | a change needs | meaning |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for Key { path, value, default, meaning } in keys.iter().filter(|key| !key.path.contains('.')) {
        let change = if RELOADED.contains(&path.as_str()) { "nothing" } else { "a restart" };
        let _infallible = writeln!(out, "| `{path}` | {value} | {default} | {change} | {meaning} |");
    }
    out.push_str("\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
    for Key { path, value, default, meaning } in keys.iter().filter(|key| key.path.contains('.')) {
        let _infallible = writeln!(out, "| `{path}` | {value} | {default} | {meaning} |");
    }
    out
}

fn keys() -> Vec<Key> {
    let schema = config::schema();
    let mut found = Vec::new();
    walk(&schema, &schema, "", "required", &mut found);
    found
}

fn walk(root: &Value, schema: &Value, at: &str, required: &str, found: &mut Vec<Key>) {
    let needed: Vec<_> = texts(schema.get("required")).collect();
    let alternatives = || list(schema, "oneOf");
    // Keys of which each can be left out, and one has to be there.
    let one_of: Vec<_> = alternatives().flat_map(|it| texts(it.get("required"))).collect();
    let otherwise: Vec<_> =
        schema.get("else").map(|it| texts(it.get("required")).collect()).unwrap_or_default();
    for (name, value) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        let default = match value.get("default") {
            Some(default) => format!("`{}`", yaml(default)),
            None if needed.contains(&name.as_str()) => required.to_owned(),
            None if one_of.contains(&name.as_str()) => ONE.to_owned(),
            None if otherwise.contains(&name.as_str()) => {
                "required, unless another key says otherwise".to_owned()
            }
            None => "–".to_owned(),
        };
        if !found.iter().any(|key| key.path == path) {
            let (meaning, range) = meaning(value);
            let value = escaped(&format!("{}{range}", shape(value)));
            found.push(Key {
                path: path.clone(),
                value,
                default: escaped(&default),
                meaning: escaped(&meaning),
            });
        }
        inner(root, value, &path, found);
    }
}

/// The maps within a value: itself, the items of a list, values of a map of the user's own words, and each of several forms.
fn inner(root: &Value, value: &Value, at: &str, found: &mut Vec<Key>) {
    walk(root, value, at, "required", found);
    for within in ["items", "additionalProperties"].iter().filter_map(|name| value.get(name)) {
        inner(root, within, at, found);
    }
    for form in list(value, "oneOf") {
        walk(root, form, at, required_of(form), found);
        if let Some(items) = form.get("items") {
            inner(root, items, at, found);
        }
    }
    // A definition may name itself: its forms are walked, and not what they are lists of.
    if let Some(name) = value.get("$ref").and_then(Value::as_str)
        && let Some(definition) = root.pointer(name.trim_start_matches('#'))
    {
        list(definition, "oneOf").for_each(|form| walk(root, form, at, required_of(form), found));
    }
}

/// What a key is that one of several forms demands: the form itself, if it has no other.
fn required_of(form: &Value) -> &'static str {
    let keys = form.get("properties").and_then(Value::as_object).map_or(0, serde_json::Map::len);
    if keys == 1 { ONE } else { "required" }
}

fn list<'a>(schema: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    schema.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// What it means, and the range of a duration, which the schema says in words.
fn meaning(schema: &Value) -> (String, String) {
    let said = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let range = said.rsplit_once(" From ").filter(|(_, range)| range.split(' ').count() == 3);
    match range.and_then(|(meaning, range)| Some((meaning, range.strip_suffix('.')?.split_once(" to ")?))) {
        Some((meaning, (least, most))) => (meaning.to_owned(), format!(", `{least}`–`{most}`")),
        None => (said.to_owned(), String::new()),
    }
}

/// What a value may be, in a few words.
fn shape(schema: &Value) -> String {
    let number = |name: &str| schema.get(name).and_then(Value::as_u64);
    if schema.get("enum").is_some() {
        return texts(schema.get("enum")).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    let forms: Vec<_> = list(schema, "oneOf").map(shape).filter(|form| !form.is_empty()).collect();
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => {
            schema.get("pattern").and_then(Value::as_str).map_or_else(|| "text".to_owned(), form)
        }
        Some("integer") => match (number("minimum"), number("maximum")) {
            (Some(least), Some(most)) => format!("{least}–{most}"),
            _ => "a whole number".to_owned(),
        },
        Some("boolean") => "`true`, `false`".to_owned(),
        Some("array") => {
            let item = schema.get("items").map(shape).unwrap_or_default();
            let some = if number("minItems").is_some() { ", at least one" } else { "" };
            let most = number("maxItems").map(|most| format!(", at most {most}")).unwrap_or_default();
            format!("a list: {item}{some}{most}")
        }
        Some("object") => match schema.get("properties").and_then(Value::as_object) {
            Some(keys) if !keys.is_empty() => {
                let more = if keys.len() > 4 { ", …" } else { "" };
                let keys: Vec<_> = keys.keys().map(String::as_str).take(4).collect();
                format!("`{{ {}{more} }}`", keys.join(", "))
            }
            Some(_) => "`{}`".to_owned(),
            None => format!(
                "a map of your words: {}",
                schema.get("additionalProperties").map(shape).unwrap_or_default()
            ),
        },
        Some(_) | None if schema.get("$ref").is_some() => {
            "text, a number, a truth value, a list, `{ entity, id }`".to_owned()
        }
        Some(_) | None => forms.join("; or "),
    }
}

/// A pattern in words, where there are any that say as much to a reader.
fn form(pattern: &str) -> String {
    let said = match pattern {
        "^[0-9]+(ms|s|m|h)$" => "a duration",
        "^[Hh][Tt][Tt][Pp][Ss]?://" => "a URL",
        "^https://" => "an `https` URL",
        "^/" => "a path",
        "^unix:.+$" => "`unix:<path>`",
        "^([0-9.]+:[0-9]+|\\[[0-9A-Fa-f:.%]+\\]:[0-9]+)$" => "address and port",
        "^(unix:.+|[0-9.]+:[0-9]+|\\[[0-9A-Fa-f:.%]+\\]:[0-9]+)$" => "address and port, or `unix:<path>`",
        "^(unix:.+|(udp|tcp):.+:[0-9]+)$" => "`unix:<path>`, `udp:<host>:<port>`, `tcp:<host>:<port>`",
        "^[1-9][0-9]*/(s|m|h)$" => "`<count>/s`, `/m`, `/h`",
        "^[1-9][0-9]*/(minute|hour|day|month|1m|1h|1d|1mo)$" => "`<count>/minute`, `/hour`, `/day`, `/month`",
        "^(from_parent|[0-9]{1,3}(\\.[0-9]{1,4})?%)$" => "`from_parent`, `<share>%`",
        other => return format!("text: `{}`", other.trim_start_matches('^').trim_end_matches('$')),
    };
    said.to_owned()
}

/// As one would write it in the file: text that YAML takes for something else has quotes.
fn yaml(value: &Value) -> String {
    match value {
        Value::String(text) if !["off", "on", "yes", "no"].contains(&text.as_str()) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        Value::Object(keys) => {
            let keys: Vec<_> = keys.iter().map(|(name, value)| format!("{name}: {}", yaml(value))).collect();
            format!("{{ {} }}", keys.join(", "))
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// For a cell of a table.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(page: &str, key: &str) -> String {
        let begin = format!("| `{key}` |");
        let mut rows = page.lines().filter(|line| line.starts_with(&begin));
        let row = rows.next().unwrap_or_else(|| panic!("no row for {key}"));
        assert_eq!(rows.next(), None, "{key}");
        row.to_owned()
    }

    #[test]
    fn rows_say_type_range_default_and_what_a_change_needs() {
        let page = configuration();
        for expected in [
            "| `deadline` | a duration, `5ms`–`10s` | `150ms` | a restart |",
            "| `routes` | a list: `{ name, match, access, action, … }`, at least one | required | nothing |",
            "| `issuers.status_lists.wait` | a duration, `1ms`–`5s` | `50ms` |",
            "| `sender_constraint.dpop.nonce` | `off`, `required` | `\"off\"` |",
            "| `issuers.algorithms` |",
            "| `records.sinks.file` | text | one of them |",
            "| `store.redis.cluster` | `true`, `false` | `false` |",
            "| `routes.resource.attributes.entity` |",
            "| `unauthenticated` | `{ rate, burst }` | `{ rate: 100/s, burst: 1000 }` | a restart |",
            "| `routes.action` | text | required, unless another key says otherwise |",
            "| `issuers.claims.user.claim` | text | required |",
            "| `listen.grpc` | address and port, or `unix:<path>` | `127.0.0.1:9191` |",
        ] {
            let key = expected.trim_start_matches("| `").split_once('`').unwrap().0;
            let row = row(&page, key);
            assert!(row.starts_with(expected), "{row}");
        }
        for key in keys() {
            assert!(!key.meaning.is_empty() && !key.value.is_empty(), "{}", key.path);
        }
    }
}
