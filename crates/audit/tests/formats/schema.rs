//! Checks lines against extracts of the published schemas (`tests/tools/formats.py` makes them). What an extract does not have is refused.

use std::net::IpAddr;

use serde_json::{Map, Value};

type Members = Map<String, Value>;

fn extract(text: &str) -> Value {
    serde_json::from_str(text).expect("an extract is JSON")
}

fn members(value: &Value) -> &Members {
    value.as_object().expect("an extract has an object here")
}

/// The Open Cybersecurity Schema Framework.
#[derive(Debug)]
pub(crate) struct Ocsf(Value);

impl Ocsf {
    pub(crate) fn new() -> Self {
        Self(extract(include_str!("schemas/ocsf.json")))
    }

    /// What is wrong with an event.
    pub(crate) fn findings(&self, event: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let uid = event["class_uid"].to_string();
        let Some(class) = self.0["classes"].get(&uid) else {
            return vec![format!("class_uid: no class {uid}")];
        };
        let number = |name: &str| event[name].as_u64().unwrap_or(u64::MAX);
        if number("type_uid") != number("class_uid").saturating_mul(100).saturating_add(number("activity_id"))
        {
            found.push("type_uid: not class_uid * 100 + activity_id".to_owned());
        }
        let metadata = &event["metadata"];
        if metadata["version"] != self.0["version"] {
            found.push("metadata.version: another one".to_owned());
        }
        let profiles: Vec<_> =
            metadata["profiles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for profile in &profiles {
            let known = class["profiles"].as_array().into_iter().flatten();
            if !known.filter_map(Value::as_str).any(|known| known == *profile) {
                found.push(format!("metadata.profiles: the class has no `{profile}`"));
            }
        }
        self.object("", class, event, &profiles, &mut found);
        found
    }

    fn object(&self, path: &str, class: &Value, object: &Value, profiles: &[&str], found: &mut Vec<String>) {
        let Some(object) = object.as_object() else {
            found.push(format!("{path}: no object"));
            return;
        };
        let attributes = members(&class["attributes"]);
        let there = |attribute: &Value| {
            attribute.get("profile").and_then(Value::as_str).is_none_or(|profile| profiles.contains(&profile))
        };
        for (name, attribute) in attributes {
            if attribute["requirement"] == "required" && there(attribute) && !object.contains_key(name) {
                found.push(format!("{path}{name}: required"));
            }
        }
        for (name, value) in object {
            let path = format!("{path}{name}");
            match attributes.get(name).filter(|attribute| there(attribute)) {
                None => found.push(format!("{path}: unknown")),
                Some(attribute) if attribute.get("deprecated").is_some() => {
                    found.push(format!("{path}: deprecated"));
                }
                Some(attribute) => {
                    self.attribute(&path, attribute, value, profiles, found);
                    chosen(&path, attribute, value, object, found);
                }
            }
        }
        for (constraint, names) in members(&class["constraints"]) {
            let count = names.as_array().into_iter().flatten().filter_map(Value::as_str);
            let count = count.filter(|name| object.contains_key(*name)).count();
            let holds = match constraint.as_str() {
                "at_least_one" => count >= 1,
                "just_one" => count == 1,
                _ => false,
            };
            if !holds {
                found.push(format!("{path}: not {constraint} of {names}"));
            }
        }
    }

    fn attribute(
        &self,
        path: &str,
        attribute: &Value,
        value: &Value,
        profiles: &[&str],
        found: &mut Vec<String>,
    ) {
        let kind = attribute["type"].as_str().unwrap_or_default();
        let values = match (attribute["array"] == true, value) {
            (true, Value::Array(values)) => values.as_slice(),
            (false, Value::Array(_)) => return found.push(format!("{path}: an array")),
            (true, _) => return found.push(format!("{path}: no array")),
            (false, value) => std::slice::from_ref(value),
        };
        for value in values {
            if kind == "object" {
                if !value.is_object() {
                    found.push(format!("{path}: no object"));
                }
            } else if let Some(object) = self.0["objects"].get(kind) {
                self.object(&format!("{path}."), object, value, profiles, found);
            } else if !self.is_of(kind, value) {
                found.push(format!("{path}: no {kind}"));
            }
        }
    }

    fn is_of(&self, kind: &str, value: &Value) -> bool {
        let Some(known) = self.0["types"].get(kind) else { return false };
        let text = value.as_str();
        if let Some(most) = known.get("max_len").and_then(Value::as_u64) {
            let length = text.map_or(0, |text| text.chars().count());
            if u64::try_from(length).is_ok_and(|length| length > most) {
                return false;
            }
        }
        if let Some([least, most]) = known["range"].as_array().map(Vec::as_slice) {
            let (least, most) = (least.as_i64(), most.as_i64());
            if value.as_i64() < least || value.as_i64() > most {
                return false;
            }
        }
        match (kind, known.get("type").and_then(Value::as_str).unwrap_or(kind)) {
            ("ip_t", _) => text.is_some_and(|text| text.parse::<IpAddr>().is_ok()),
            (_, "string_t") => text.is_some() && known.get("regex").is_none(),
            (_, "integer_t" | "long_t") => value.is_i64() || value.is_u64(),
            (_, "boolean_t") => value.is_boolean(),
            (_, "json_t") => true,
            _ => false,
        }
    }
}

/// A value of an enumeration, and the attribute beside it that says the same in words.
fn chosen(path: &str, attribute: &Value, value: &Value, object: &Members, found: &mut Vec<String>) {
    let Some(choices) = attribute.get("enum").and_then(Value::as_object) else { return };
    let key = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let Some(caption) = choices.get(&key) else {
        return found.push(format!("{path}: {key} is none of its values"));
    };
    let Some(sibling) = attribute.get("sibling").and_then(Value::as_str) else { return };
    match (key.as_str(), object.get(sibling)) {
        ("99", None) => found.push(format!("{path}: 99 without `{sibling}`")),
        ("99", Some(word)) if choices.values().any(|known| known == word) => {
            found.push(format!("{path}: 99, and {word} has a value of its own"));
        }
        ("99", Some(_)) | (_, None) => {}
        (_, Some(word)) if word == caption => {}
        (_, Some(word)) => found.push(format!("{path}: {word} is not {caption}")),
    }
}

/// The Elastic Common Schema, and beside it what stands in `exequatur`.
#[derive(Debug)]
pub(crate) struct Ecs(Value);

impl Ecs {
    pub(crate) fn new() -> Self {
        Self(extract(include_str!("schemas/ecs.json")))
    }

    /// What is wrong with a document.
    pub(crate) fn findings(&self, document: &Value) -> Vec<String> {
        let mut found = Vec::new();
        for (name, field) in members(&self.0["fields"]) {
            if field["required"] == true
                && document.pointer(&format!("/{}", name.replace('.', "/"))).is_none()
            {
                found.push(format!("{name}: required"));
            }
        }
        match document.as_object() {
            Some(document) => self.object("", document, &mut found),
            None => found.push("no object".to_owned()),
        }
        if document["ecs"]["version"] != self.0["version"] {
            found.push("ecs.version: another one".to_owned());
        }
        self.expected(&document["event"], &mut found);
        found
    }

    fn object(&self, path: &str, object: &Members, found: &mut Vec<String>) {
        for (name, value) in object {
            let path = format!("{path}{name}");
            match (self.0["fields"].get(&path), value) {
                _ if path == "exequatur" => {
                    if !value.is_object() {
                        found.push("exequatur: no object".to_owned());
                    }
                }
                (Some(field), value) => leaf(&path, field, value, found),
                (None, Value::Object(object)) => self.object(&format!("{path}."), object, found),
                (None, _) => found.push(format!("{path}: unknown")),
            }
        }
    }

    /// Each type of an event is expected for one of its categories.
    fn expected(&self, event: &Value, found: &mut Vec<String>) {
        let list = |name: &str| event[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        if list("category").next().is_none() {
            return;
        }
        for kind in list("type") {
            let categories = &self.0["fields"]["event.category"]["allowed"];
            let mut expected =
                list("category").flat_map(|category| categories[category].as_array()).flatten();
            if !expected.any(|expected| expected == kind) {
                found.push(format!("event.type: no category expects {kind}"));
            }
        }
    }
}

fn leaf(path: &str, field: &Value, value: &Value, found: &mut Vec<String>) {
    let values = match (field["array"] == true, value) {
        (true, Value::Array(values)) => values.as_slice(),
        (false, Value::Array(_)) => return found.push(format!("{path}: an array")),
        (true, _) => return found.push(format!("{path}: no array")),
        (false, value) => std::slice::from_ref(value),
    };
    let kind = field["type"].as_str().unwrap_or_default();
    for value in values {
        let text = value.as_str();
        let holds = match kind {
            "keyword" | "wildcard" | "match_only_text" => text.is_some(),
            "long" => value.is_i64() || value.as_u64().is_some_and(|number| i64::try_from(number).is_ok()),
            "ip" => text.is_some_and(|text| text.parse::<IpAddr>().is_ok()),
            "date" => text.is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
            _ => false,
        };
        if !holds {
            found.push(format!("{path}: no {kind}"));
        }
        if let Some(allowed) = field.get("allowed").and_then(Value::as_object)
            && !text.is_some_and(|text| allowed.contains_key(text))
        {
            found.push(format!("{path}: {value} is none of its values"));
        }
    }
}
