//! Whatever a line says, its forms are valid, and say no less.

use exequatur_audit::{Cause, Format, Verdict, cause_of};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::lines::{bare, denial, each, full, full_order, full_outcome, sealed};
use crate::{findings, rendered};

/// The reasons as they are documented; that none is missing there is checked elsewhere.
fn reasons() -> Vec<&'static str> {
    let page = include_str!("../../../../docs/reference/reasons.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once("` | ")).map(|(reason, _)| reason).collect()
}

#[test]
fn no_reason_is_unknown() {
    let reasons = reasons();
    assert!(reasons.len() > 60, "{reasons:?}");
    for reason in reasons {
        let cause = cause_of(reason);
        assert!(cause.is_some(), "{reason}");
        let verdict = if cause == Some(Cause::Fault) { Verdict::Fault } else { Verdict::Deny };
        let line = sealed(&bare(verdict, reason, 403), 2);
        assert_eq!(findings(&line), [""; 0], "{reason}");
        assert_eq!(findings(&sealed(&denial(reason, 403), 2)), [""; 0], "{reason}");
        let event = rendered(Format::Ocsf, &line);
        assert_eq!(event["action"], "Denied");
        assert_ne!(event["disposition"], "Allowed");
        assert_eq!((&event["status_code"], &event["status"]), (&reason.into(), &"Failure".into()));
        let document = rendered(Format::Ecs, &line);
        assert_eq!(document["event"]["type"], json!(["access", "denied"]));
        assert_eq!(document["event"]["reason"], reason);
    }
    assert_eq!(cause_of("permitted"), Some(Cause::Permitted));
}

/// A reason that a later version adds is a denial all the same.
#[test]
fn a_reason_of_later_is_a_denial() {
    let line = sealed(&bare(Verdict::Deny, "later_reason", 403), 2);
    assert_eq!(findings(&line), [""; 0]);
    let event = rendered(Format::Ocsf, &line);
    assert_eq!((&event["class_uid"], &event["disposition"]), (&6003.into(), &"Blocked".into()));
}

fn leaves(value: &Value, into: &mut Vec<Value>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| leaves(value, into)),
        Value::Object(members) => members.values().for_each(|value| leaves(value, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => into.push(value.clone()),
    }
}

/// What a line says that its form does not. Left aside is what forms say in other words.
fn lost(format: Format, line: &str) -> Vec<Value> {
    let mut own: Value = serde_json::from_str(line).unwrap();
    let form = rendered(format, line);
    let members = own.as_object_mut().unwrap();
    let permitted = members.get("verdict") == Some(&"permit".into());
    for aside in ["v", "host", "upstream", "duration_us", "signature"] {
        members.remove(aside);
    }
    if permitted {
        members.remove("status");
    }
    let (mut said, mut shown) = (Vec::new(), Vec::new());
    leaves(&own, &mut said);
    leaves(&form, &mut shown);
    said.retain(|leaf| !shown.contains(leaf));
    said
}

#[test]
fn nothing_is_lost() {
    for line in each() {
        for format in [Format::Ocsf, Format::Ecs] {
            assert_eq!(lost(format, &line), [Value::Null; 0], "{format:?} {line}");
        }
    }
    let event = rendered(Format::Ocsf, &sealed(&full(), 2));
    assert_eq!(event["dst_endpoint"], json!({ "hostname": "api.example.com", "port": 8443 }));
    let document = rendered(Format::Ecs, &sealed(&full(), 2));
    assert_eq!(document["url"], json!({ "domain": "api.example.com", "port": 8443 }));
    let event = rendered(Format::Ocsf, &sealed(&full_outcome(), 2));
    assert_eq!(event["dst_endpoint"], json!({ "ip": "192.0.2.9", "port": 8080 }));
    assert_eq!((&event["duration"], &event["unmapped"]["duration_us"]), (&12.into(), &12_345.into()));
    let document = rendered(Format::Ecs, &sealed(&full_outcome(), 2));
    assert_eq!(document["event"]["duration"], 12_345_000);
}

/// What redaction has left out, no form knows.
#[test]
fn nothing_is_added() {
    let text = sealed(&bare(Verdict::Deny, "policy_forbid", 403), 2);
    for format in [Format::Ocsf, Format::Ecs] {
        let form = rendered(format, &text).to_string();
        for word in ["alice", "crm-bot", "acme", "192.0.2", "user_id", "\"ip\"", "GET"] {
            assert!(!form.contains(word), "{word}: {form}");
        }
    }
    let mut record = full();
    record.peer = Some("192.0.2.0/24".into());
    for format in [Format::Ocsf, Format::Ecs] {
        let form = rendered(format, &sealed(&record, 2)).to_string();
        assert!(form.contains("192.0.2.0/24") && !form.contains("\"ip\""), "{form}");
    }
}

/// A line of which some members are left out, and texts are others.
fn any_of(line: &str) -> impl Strategy<Value = String> + use<> {
    let whole: Value = serde_json::from_str(line).unwrap();
    let count = whole.as_object().unwrap().len();
    let texts = prop::collection::vec(
        prop::option::weighted(0.3, "\\PC{0,12}|[\\x00-\\x1f\u{7f}-\u{9f}\u{2028}\"\\\\]{1,4}"),
        count,
    );
    (texts, prop::collection::vec(any::<bool>(), count), prop::sample::select(reasons())).prop_map(
        move |(texts, there, reason)| {
            let needed = [
                "v",
                "time",
                "decision",
                "admin",
                "outcome_of",
                "verdict",
                "reason",
                "status",
                "generation",
                "timings_us",
                "actor",
                "action",
                "outcome",
                "request_body_bytes",
                "response_body_bytes",
                "seq",
                "hash",
            ];
            let members = whole.as_object().unwrap().iter().zip(texts.iter().zip(&there));
            let mut line = Vec::new();
            for ((name, value), (text, there)) in members {
                let fixed = [
                    "time",
                    "verdict",
                    "hash",
                    "outcome",
                    "answered_by",
                    "aborted_by",
                    "not_before",
                    "until",
                ];
                let value = match (text, value) {
                    _ if name == "reason" && whole.get("verdict").is_some() => reason.into(),
                    (Some(text), Value::String(_)) if !fixed.contains(&name.as_str()) => text.as_str().into(),
                    (_, value) => value.clone(),
                };
                if *there || needed.contains(&name.as_str()) {
                    line.push((name.clone(), value));
                }
            }
            as_a_line(line)
        },
    )
}

/// In the order of lines: members that tell it apart are first, its place is last.
fn as_a_line(mut members: Vec<(String, Value)>) -> String {
    let order = |name: &str| match name {
        "v" => 0,
        "time" => 1,
        "decision" | "admin" | "outcome_of" => 2,
        "seq" => 4,
        "hash" => 5,
        _ => 3,
    };
    members.sort_by_key(|(name, _)| order(name));
    let members: Vec<_> =
        members.iter().map(|(name, value)| format!("{}:{value}", Value::from(name.as_str()))).collect();
    format!("{{{}}}", members.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_a_line_says_its_forms_are_valid(
        line in prop_oneof![
            any_of(&sealed(&full(), 2)),
            any_of(&sealed(&denial("policy_forbid", 403), 2)),
            any_of(&sealed(&full_order(), 2)),
            any_of(&sealed(&full_outcome(), 2)),
        ],
    ) {
        prop_assert_eq!(findings(&line), [""; 0], "{}", line);
        for format in [Format::Ocsf, Format::Ecs] {
            prop_assert_eq!(lost(format, &line), [Value::Null; 0], "{:?} {}", format, line);
        }
    }
}
