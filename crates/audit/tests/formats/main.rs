//! Lines in the forms of others are what their published schemas say.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod exported;
mod lines;
mod schema;
mod whole;

use std::path::Path;

use exequatur_audit::{Format, OutletError};
use lines::RUN;
use schema::{Ecs, Ocsf};
use serde_json::{Value, json};

fn rendered(format: Format, line: &str) -> Value {
    let line = format.render(RUN, line.as_bytes()).unwrap();
    assert!(!line.contains(&b'\n'), "{}", String::from_utf8_lossy(&line));
    serde_json::from_slice(&line).unwrap()
}

/// What is wrong with a line in each form.
fn findings(line: &str) -> Vec<String> {
    let mut found = Ocsf::new().findings(&rendered(Format::Ocsf, line));
    found.extend(Ecs::new().findings(&rendered(Format::Ecs, line)));
    found
}

#[test]
fn each_kind_of_line_is_valid_in_each_form() {
    for line in lines::each() {
        assert_eq!(findings(&line), [""; 0], "{line}\n{:#}", rendered(Format::Ocsf, &line));
    }
}

/// The classes by what has happened.
#[test]
fn each_kind_of_line_has_its_class() {
    let classes: Vec<_> =
        lines::each().iter().map(|line| rendered(Format::Ocsf, line)["type_uid"].as_u64().unwrap()).collect();
    let expected = [
        600_302, 600_300, 600_302, 300_299, 300_299, 600_300, 300_409, 300_412, 400_200, 400_200, 600_203,
        600_299, 600_299, 600_299, 600_204, 600_801, 600_801,
    ];
    assert_eq!(classes, expected);
}

/// Each of these changes makes a valid event one that is refused, and says where.
#[test]
fn the_check_of_ocsf_refuses_what_is_wrong() {
    let good = rendered(Format::Ocsf, &lines::sealed(&lines::full(), 2));
    let schema = Ocsf::new();
    assert_eq!(schema.findings(&good), [""; 0]);
    for (path, value, finding) in [
        ("/time", Value::Null, "time: required"),
        ("/actor", Value::Null, "actor: required"),
        ("/api/operation", Value::Null, "api.operation: required"),
        ("/metadata/product", Value::Null, "metadata.product: required"),
        ("/time", json!("2026-11-22T10:11:12Z"), "time: no timestamp_t"),
        ("/message", json!(7), "message: no string_t"),
        ("/src_endpoint/ip", json!("192.0.2.0/24"), "src_endpoint.ip: no ip_t"),
        ("/dst_endpoint/port", json!(65_536), "dst_endpoint.port: no port_t"),
        ("/resources", json!({}), "resources: no array"),
        ("/actor", json!([]), "actor: an array"),
        ("/unmapped", json!("x"), "unmapped: no object"),
        ("/action_id", json!(5), "action_id: 5 is none of its values"),
        ("/disposition", json!("Blocked"), "disposition_id: \"Blocked\" is not \"Allowed\""),
        ("/http_request/http_method", json!("get"), "http_request.http_method: get is none of its values"),
        ("/activity_id", json!(99), "type_uid: not class_uid * 100 + activity_id"),
        ("/category_uid", json!(3), "category_uid: 3 is none of its values"),
        ("/class_uid", json!(6004), "class_uid: no class 6004"),
        ("/surprise", json!(1), "surprise: unknown"),
        ("/actor/user/surprise", json!(1), "actor.user.surprise: unknown"),
        ("/actor/user/credential_uid", json!("x"), "actor.user.credential_uid: deprecated"),
        ("/device", json!({}), "device: unknown"),
        ("/metadata/profiles", json!(["trace"]), "action_id: unknown"),
        ("/metadata/profiles", json!(["none"]), "metadata.profiles: the class has no `none`"),
        ("/metadata/version", json!("1.5.0"), "metadata.version: another one"),
        ("/actor", json!({}), "actor.: not at_least_one"),
        ("/dst_endpoint", json!({ "port": 1 }), "dst_endpoint.: not at_least_one"),
    ] {
        let found = schema.findings(&changed(&good, path, value));
        assert!(found.iter().any(|found| found.starts_with(finding)), "{path} {finding}: {found:?}");
    }
}

#[test]
fn the_check_of_ecs_refuses_what_is_wrong() {
    let good = rendered(Format::Ecs, &lines::sealed(&lines::full(), 2));
    let schema = Ecs::new();
    assert_eq!(schema.findings(&good), [""; 0]);
    for (path, value, finding) in [
        ("/@timestamp", Value::Null, "@timestamp: required"),
        ("/ecs", Value::Null, "ecs.version: required"),
        ("/ecs/version", json!("8.11.0"), "ecs.version: another one"),
        ("/@timestamp", json!("yesterday"), "@timestamp: no date"),
        ("/event/duration", json!("1"), "event.duration: no long"),
        ("/event/duration", json!(u64::MAX), "event.duration: no long"),
        ("/event/id", json!(1), "event.id: no keyword"),
        ("/source/ip", json!("192.0.2.0/24"), "source.ip: no ip"),
        ("/event/category", json!("api"), "event.category: no array"),
        ("/event/kind", json!(["event"]), "event.kind: an array"),
        ("/event/kind", json!("decision"), "event.kind: \"decision\" is none of its values"),
        ("/event/outcome", json!("denied"), "event.outcome: \"denied\" is none of its values"),
        ("/event/category", json!(["apis"]), "event.category: \"apis\" is none of its values"),
        ("/event/type", json!(["access", "error"]), "event.type: no category expects error"),
        ("/event/verdict", json!("deny"), "event.verdict: unknown"),
        ("/surprise", json!(1), "surprise: unknown"),
        ("/exequatur", json!(1), "exequatur: no object"),
    ] {
        let found = schema.findings(&changed(&good, path, value));
        assert!(found.iter().any(|found| found == finding), "{path} {finding}: {found:?}");
    }
}

/// Sets a value, or removes it where there is to be none.
fn changed(value: &Value, path: &str, to: Value) -> Value {
    let mut value = value.clone();
    let (parent, name) = path.rsplit_once('/').unwrap();
    let members = value.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
    if to.is_null() {
        members.remove(name).unwrap();
    } else {
        members.insert(name.to_owned(), to);
    }
    value
}

/// Lines and their forms as they stand in `golden`. The forms are public: `EXEQUATUR_WRITE_GOLDEN=1` writes them anew.
#[test]
fn the_forms_are_these() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/golden");
    for (name, format) in Format::WORDS {
        let mut text = String::new();
        for line in lines::each() {
            let form = format.render(RUN, line.as_bytes()).unwrap();
            let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
            text += &str::from_utf8(&form).unwrap().replace(&version, "\"version\":\"0.0.0\"");
            text.push('\n');
        }
        let file = folder.join(format!("{name}.jsonl"));
        if std::env::var_os("EXEQUATUR_WRITE_GOLDEN").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&file).unwrap();
        for (form, golden) in text.lines().zip(golden.lines()) {
            assert_eq!(form, golden);
        }
        assert_eq!(text.lines().count(), golden.lines().count());
    }
}

/// Each attribute and field that is written is in the tables of docs/reference/formats.md.
#[test]
fn each_field_is_documented() {
    let page = include_str!("../../../../docs/reference/formats.md");
    for line in lines::each() {
        for format in [Format::Ocsf, Format::Ecs] {
            let mut paths = Vec::new();
            paths_of("", &rendered(format, &line), &mut paths);
            for path in paths {
                assert!(page.contains(&format!("`{path}`")), "{format:?}: {path}");
            }
        }
    }
}

fn paths_of(path: &str, value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(members) if !["exequatur", "unmapped"].contains(&path) => {
            let dot = if path.is_empty() { "" } else { "." };
            members.iter().for_each(|(name, value)| paths_of(&format!("{path}{dot}{name}"), value, into));
        }
        Value::Array(values) if values.iter().all(Value::is_object) => {
            values.iter().for_each(|value| paths_of(path, value, into));
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => into.push(path.to_owned()),
    }
}

/// What is no line of ours has no form.
#[test]
fn what_is_no_line_has_no_form() {
    for line in [&b""[..], b"{}", b"null", br#"{"v":1,"time":"2026-11-22T10:11:12.345Z","decision":"x"}"#] {
        for format in [Format::Ocsf, Format::Ecs] {
            assert_eq!(format.render(RUN, line), Err(OutletError::Format));
        }
    }
}
