//! A record for people. Whatever a record holds is shown, also what this version does not know.

use exequatur_audit::{Found, Standing};
use serde_json::{Map, Value};

use crate::output::{in_one_line, plain};

/// Longest text of a value; records are cut at 256 themselves.
const MOST: usize = 300;
/// Stages in the order of a decision.
const STAGES: &[&str] = &["route", "authenticate", "require", "admit", "authorize", "total"];

/// The record, one line for each thing that is known.
pub(super) fn record(found: &Found, file: &str) -> String {
    let Value::Object(record) = &found.record else { return in_one_line(&found.record, MOST) };
    let mut rows = Rows { left: record.clone(), lines: Vec::new() };
    rows.left.remove("v");
    rows.one("decision", &["decision"], ", ");
    rows.verdict();
    rows.one("time", &["time"], ", ");
    rows.one("request", &["method", "host", "path_template"], " ");
    rows.one("route", &["route"], ", ");
    rows.one("action", &["action"], ", ");
    rows.nested("resource", &[("type", ""), ("id", ""), ("tenant", "tenant ")]);
    rows.one("agent", &["agent"], ", ");
    rows.one("user", &["user"], ", ");
    rows.one("tenant", &["tenant"], ", ");
    rows.one("federation", &["federation"], ", ");
    rows.one("actors", &["actors"], ", ");
    rows.one("client", &["client"], ", ");
    rows.one("issuer", &["issuer"], ", ");
    rows.controls();
    rows.nested("policy", &[("ids", ""), ("set_hash", "set ")]);
    rows.one("observed", &["observed"], ", ");
    rows.one("peer", &["peer"], ", ");
    rows.one("generation", &["generation"], ", ");
    rows.one("trace", &["trace"], ", ");
    rows.one("purpose", &["purpose"], ", ");
    rows.one("prompt", &["prompt_hash"], ", ");
    rows.one("degraded", &["degraded"], ", ");
    rows.scopes();
    rows.nested("arguments", &[("of", "of the "), ("digest", "")]);
    rows.parts();
    rows.timings();
    rows.rest(found, file);
    rows.lines.join("\n")
}

/// What came of a decision, likewise.
pub(super) fn outcome(found: &Found, file: &str) -> String {
    let Value::Object(outcome) = &found.record else { return in_one_line(&found.record, MOST) };
    let mut rows = Rows { left: outcome.clone(), lines: Vec::new() };
    rows.left.remove("v");
    rows.left.remove("outcome_of");
    rows.answer();
    rows.one("upstream", &["upstream"], ", ");
    rows.bytes();
    if let Some(took) = rows.left.remove("duration_us") {
        rows.push("took", &format!("{} µs", text(&took)));
    }
    rows.one("aborted by", &["aborted_by"], ", ");
    rows.one("flags", &["flags"], ", ");
    rows.one("reported", &["time"], ", ");
    rows.rest(found, file);
    rows.lines.join("\n")
}

/// Why there is none: of a permit nobody said what came of it; a denial is answered by Envoy, and goes no further.
pub(super) fn no_outcome(record: &Value) -> String {
    let mut rows = Rows { left: Map::new(), lines: Vec::new() };
    match record.get("verdict").and_then(Value::as_str) {
        Some("deny" | "fault") => rows.push("outcome", "Envoy's own answer: it went no further"),
        Some(_) | None => rows.push("outcome", "no outcome was reported, or none was kept"),
    }
    rows.lines.join("\n")
}

struct Rows {
    left: Map<String, Value>,
    lines: Vec<String>,
}

impl Rows {
    fn push(&mut self, name: &str, text: &str) {
        self.lines.push(format!("{name:<11} {text}"));
    }

    /// A line of several fields of the record, those that are there.
    fn one(&mut self, name: &str, fields: &[&str], between: &str) {
        let texts: Vec<_> =
            fields.iter().filter_map(|field| self.left.remove(*field)).map(|v| text(&v)).collect();
        if !texts.is_empty() {
            self.push(name, &texts.join(between));
        }
    }

    fn verdict(&mut self) {
        let mut field = |name: &str| self.left.remove(name).as_ref().map_or_else(|| "?".to_owned(), text);
        let (verdict, reason, status) = (field("verdict"), field("reason"), field("status"));
        self.push("verdict", &format!("{verdict}: {reason}, status {status}"));
    }

    /// A line of the members of one field, each with a word before it.
    fn nested(&mut self, name: &str, members: &[(&str, &str)]) {
        match self.left.remove(name) {
            None => {}
            Some(Value::Object(map)) => {
                let line = members_of(map, members);
                self.push(name, &line);
            }
            Some(other) => self.push(name, &text(&other)),
        }
    }

    fn controls(&mut self) {
        let Some(controls) = self.left.remove("controls") else { return };
        let Value::Object(mut controls) = controls else { return self.push("controls", &text(&controls)) };
        for (name, title, members) in [
            (
                "token",
                "token",
                &[
                    ("digest", "id digest "),
                    ("cached", "cached "),
                    ("source", "source "),
                    ("key_set", "key set "),
                ][..],
            ),
            ("sender_constraint", "sender", &[("kind", ""), ("thumbprint", "thumbprint ")][..]),
        ] {
            if let Some(Value::Object(control)) = controls.remove(name) {
                self.push(title, &members_of(control, members));
            }
        }
        for name in ["replay", "nonce"] {
            if let Some(control) = controls.remove(name) {
                self.push(name, &text(&control));
            }
        }
        self.each(controls);
    }

    fn timings(&mut self) {
        let Some(timings) = self.left.remove("timings_us") else { return };
        let Value::Object(mut timings) = timings else { return self.push("took", &text(&timings)) };
        let total = timings.remove("total").map_or_else(|| "?".to_owned(), |total| text(&total));
        let stages: Vec<_> = STAGES
            .iter()
            .filter_map(|stage| timings.remove(*stage).map(|took| format!("{stage} {}", text(&took))))
            .collect();
        let rest = timings.iter().map(|(stage, took)| format!("{} {}", plain(stage, MOST), text(took)));
        let stages: Vec<_> = stages.into_iter().chain(rest).collect();
        let among = if stages.is_empty() { String::new() } else { format!(": {}", stages.join(", ")) };
        self.push("took", &format!("{total} µs{among}"));
    }

    /// Who answered what, and whether the upstream had a part in it.
    fn answer(&mut self) {
        let status = self.left.remove("status");
        let by = self.left.remove("answered_by");
        let answer = match (&status, &by) {
            (None, _) => "no answer".to_owned(),
            (Some(status), None) => format!("status {}", text(status)),
            (Some(status), Some(by)) => format!("status {}, by the {}", text(status), text(by)),
        };
        let reached = match self.left.remove("reached_upstream") {
            Some(Value::Bool(true)) => "; the upstream was reached",
            Some(Value::Bool(false)) => "; the upstream was not reached",
            Some(_) | None => "",
        };
        self.push("outcome", &format!("{answer}{reached}"));
    }

    fn bytes(&mut self) {
        let mut field = |name: &str| self.left.remove(name).as_ref().map_or_else(|| "?".to_owned(), text);
        let (request, response) = (field("request_body_bytes"), field("response_body_bytes"));
        self.push("bytes", &format!("request {request}, response {response} (bodies)"));
    }

    /// Those that were needed, and those that the token has.
    fn scopes(&mut self) {
        let Some(scopes) = self.left.remove("scopes") else { return };
        let Value::Object(mut scopes) = scopes else { return self.push("scopes", &text(&scopes)) };
        let mut said = Vec::new();
        for member in ["needed", "held"] {
            said.extend(scopes.remove(member).map(|names| format!("{member} {}", text(&names))));
        }
        let more = scopes.remove("more").map(|more| format!(" and {} more", text(&more)));
        let rest = scopes.iter().map(|(name, value)| format!("; {} {}", plain(name, MOST), text(value)));
        let after: String = more.into_iter().chain(rest).collect();
        self.push("scopes", &format!("{}{after}", said.join("; ")));
    }

    /// A line for each part of the request that was recorded.
    fn parts(&mut self) {
        let Some(parts) = self.left.remove("parts") else { return };
        let Value::Array(parts) = parts else { return self.push("parts", &text(&parts)) };
        for part in parts {
            let Value::Object(mut part) = part else {
                self.push("part", &text(&part));
                continue;
            };
            let mut field = |name: &str| part.remove(name).as_ref().map_or_else(|| "?".to_owned(), text);
            let (place, name) = (field("in"), field("name"));
            let value = members_of(part, &[("value", ""), ("digest", "")]);
            self.push("part", &format!("{place} {name}: {value}"));
        }
    }

    /// What else there is, and where it stands.
    fn rest(&mut self, found: &Found, file: &str) {
        let (seq, hash) = (self.left.remove("seq"), self.left.remove("hash"));
        let left = std::mem::take(&mut self.left);
        self.each(left);
        let said = |value: Option<Value>| value.as_ref().map_or_else(|| "?".to_owned(), text);
        let link = format!("number {}, hash {}", said(seq), said(hash));
        match found.standing {
            Standing::InChain => self.push("chain", &link),
            Standing::Unknown => self.push("chain", &format!("{link}; the line before it is not there")),
            Standing::NotInChain => {
                self.push("chain", "not in the chain: it does not go on from the line before")
            }
        }
        self.push("found", &format!("{}, line {}", plain(file, MOST), found.line));
    }

    /// A line for each, by name.
    fn each(&mut self, map: Map<String, Value>) {
        let mut members: Vec<_> = map.into_iter().collect();
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (name, value) in members {
            self.push(&plain(&name, MOST), &text(&value));
        }
    }
}

fn members_of(mut map: Map<String, Value>, members: &[(&str, &str)]) -> String {
    let known: Vec<_> = members
        .iter()
        .filter_map(|(name, word)| map.remove(*name).map(|value| format!("{word}{}", text(&value))))
        .collect();
    let rest = map.iter().map(|(name, value)| format!("{} {}", plain(name, MOST), text(value)));
    known.into_iter().chain(rest).collect::<Vec<_>>().join(", ")
}

/// A value in a line: texts without quotes where they need none, lists with commas.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text, MOST),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => in_one_line(value, MOST),
    }
}
