//! The description of the API (`OpenAPI` 3.1), made from the table of operations and the types that go over the wire.

use axum::http::Method;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::operation::Operation;
use crate::status::Status;
use crate::wire::{
    Decision, Done, Kill, LimitDone, Limits, List, Problem, ResetLimit, Resume, Revoke, SetLimit, Suspend,
    Undo,
};

/// The description, as JSON.
#[must_use]
pub fn description() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut schemas = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for operation in Operation::EVERY {
        let described = described(operation, &mut schemas);
        let method = if operation.method() == Method::GET { "get" } else { "post" };
        let path = paths.entry(operation.path()).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(method.to_owned(), described);
        }
    }
    let definitions = schemas.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Exequatur: orders",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "At the Unix socket of `listen.admin` the process's own user and root are administrators. At \
                            `admin.listen` each request shows a bearer token with a role, or comes over a connection with a \
                            client certificate that the configuration names. Every call is recorded, refused ones too.",
        },
        "security": [{ "token": [] }, { "certificate": [] }],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "certificate": { "type": "mutualTLS" },
            },
        },
    })
}

fn described(operation: Operation, schemas: &mut SchemaGenerator) -> Value {
    let (summary, body, answer) = shapes(operation, schemas);
    let mut responses = Map::new();
    responses.insert("200".to_owned(), json!({ "description": "It is so.", "content": json_of(&answer) }));
    let problem = json_of(&schema_of::<Problem>(schemas));
    for (status, why) in problems(operation) {
        let headers = match *status {
            "429" => json!({ "retry-after": { "schema": { "type": "integer" } } }),
            _ => json!({}),
        };
        let response = json!({ "description": why, "content": problem, "headers": headers });
        responses.insert((*status).to_owned(), response);
    }
    let mut described = Map::new();
    described.insert("operationId".to_owned(), operation.word().into());
    described.insert("summary".to_owned(), summary.into());
    described.insert("x-least-role".to_owned(), operation.needs().word().into());
    described.insert("parameters".to_owned(), parameters(operation).into());
    if let Some(body) = body {
        let body = json!({ "required": true, "content": json_of(&body) });
        described.insert("requestBody".to_owned(), body);
    }
    described.insert("responses".to_owned(), responses.into());
    Value::Object(described)
}

/// What it is, what is sent, and what is answered.
fn shapes(operation: Operation, schemas: &mut SchemaGenerator) -> (&'static str, Option<Value>, Value) {
    match operation {
        Operation::Status => ("How the replicas are", None, schema_of::<Status>(schemas)),
        Operation::ListRevocations => ("What is revoked", None, schema_of::<List>(schemas)),
        Operation::Revoke => ("Revoke", Some(schema_of::<Revoke>(schemas)), schema_of::<Done>(schemas)),
        Operation::Undo => {
            ("Take a revocation back", Some(schema_of::<Undo>(schemas)), schema_of::<Done>(schemas))
        }
        Operation::Suspend => {
            ("Suspend an agent", Some(schema_of::<Suspend>(schemas)), schema_of::<Done>(schemas))
        }
        Operation::Resume => {
            ("Let a suspended agent go on", Some(schema_of::<Resume>(schemas)), schema_of::<Done>(schemas))
        }
        Operation::Kill => {
            ("Stop a tenant, or everything", Some(schema_of::<Kill>(schemas)), schema_of::<Done>(schemas))
        }
        Operation::ListLimits => ("Limits, and what is set otherwise", None, schema_of::<Limits>(schemas)),
        Operation::SetLimit => (
            "Set a limit otherwise for an agent or a tenant",
            Some(schema_of::<SetLimit>(schemas)),
            schema_of::<LimitDone>(schemas),
        ),
        Operation::ResetLimit => (
            "Let the configured limit count again",
            Some(schema_of::<ResetLimit>(schemas)),
            schema_of::<LimitDone>(schemas),
        ),
        Operation::ShowDecision => {
            ("The record of a decision of this replica", None, schema_of::<Decision>(schemas))
        }
        Operation::Describe => ("This description", None, json!({ "type": "object" })),
    }
}

fn parameters(operation: Operation) -> Vec<Value> {
    let in_path = |name: &str, what: &str| json!({ "name": name, "in": "path", "required": true, "description": what, "schema": { "type": "string" } });
    let in_query = |name: &str, what: &str, schema: Value| json!({ "name": name, "in": "query", "description": what, "schema": schema });
    let limit =
        in_query("limit", "Most of a page.", json!({ "type": "integer", "minimum": 1, "maximum": 1000 }));
    match operation {
        Operation::Suspend | Operation::Resume => vec![in_path("id", "`<issuer>:<id>` of the agent.")],
        Operation::SetLimit | Operation::ResetLimit => vec![in_path("limit", "The limit's name.")],
        Operation::ShowDecision => {
            vec![in_path("id", "As denials quote it and `x-exequatur-decision` carries it.")]
        }
        Operation::ListRevocations => {
            let kinds = ["token", "key", "agent", "user", "session", "client", "tenant", "issuer", "all"];
            vec![
                in_query("after", "`next` of the page before.", json!({ "type": "integer", "minimum": 0 })),
                limit,
                in_query("kind", "Of this kind only.", json!({ "type": "string", "enum": kinds })),
            ]
        }
        Operation::ListLimits => {
            vec![in_query("after", "`next` of the page before.", json!({ "type": "string" })), limit]
        }
        Operation::Status | Operation::Revoke | Operation::Undo | Operation::Kill | Operation::Describe => {
            Vec::new()
        }
    }
}

fn problems(operation: Operation) -> &'static [(&'static str, &'static str)] {
    const ALWAYS: &[(&str, &str)] = &[
        ("400", "A name, a query or a header that makes no sense."),
        ("401", "No credentials that hold."),
        ("403", "Another role is needed, or it is out of reach; or the request came from a web page."),
        ("404", "There is no such thing."),
        ("429", "Too many calls, or too many without credentials that hold."),
        ("500", "It was not recorded, and not done."),
        ("503", "It is not known, or cannot be done now."),
    ];
    const ORDERS: &[(&str, &str)] = &[
        ("400", "Not the JSON that is expected."),
        ("401", "No credentials that hold."),
        ("403", "Another role is needed, or it is out of reach; or the request came from a web page."),
        ("413", "The body is longer than 16 KiB, or did not arrive."),
        ("415", "The body is not JSON by its type."),
        ("422", "An order that makes no sense."),
        ("429", "Too many calls, or too many without credentials that hold."),
        ("500", "Not kept, or not recorded; `in_force` says whether it holds nevertheless."),
        ("503", "It cannot be done now."),
        ("507", "There is no room for more."),
    ];
    if operation.method() == Method::GET { ALWAYS } else { ORDERS }
}

fn schema_of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().into()
}

fn json_of(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    found.insert(reference.clone());
                }
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn everything_is_described_and_every_reference_leads_somewhere() {
        let description = description();
        for operation in Operation::EVERY {
            let method = operation.method().as_str().to_lowercase();
            let found = &description["paths"][operation.path()][&method];
            assert_eq!(found["x-least-role"], operation.needs().word(), "{operation:?}");
            let named: Vec<_> = operation.path().split(['{', '}']).skip(1).step_by(2).collect();
            let parameters = found["parameters"].as_array().unwrap();
            let in_path = |one: &&Value| one["in"] == "path";
            let told: Vec<_> = parameters.iter().filter(in_path).map(|one| &one["name"]).collect();
            assert_eq!(told, named, "{operation:?}");
            assert_eq!(found.get("requestBody").is_some(), operation.method() == Method::POST);
        }
        let mut found = BTreeSet::new();
        references(&description, &mut found);
        assert!(found.len() > 10, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(description.pointer(pointer).is_some(), "{reference}");
        }
    }
}
