//! Decisions: API Activity (6003), and where it was not proven who asks, Authentication (3002).

use serde_json::Value;

use super::{Choice, Class, Event, FAILURE, SUCCESS, UNKNOWN, endpoint};
use crate::format::address::host;
use crate::format::cause::{Cause, cause_of};
use crate::format::object::Object;
use crate::record::{Policy, Record, Resource, Verdict};
use crate::statement::Statement;
use crate::text::Text;

const API_ACTIVITY: Class = Class { uid: 6003, name: "API Activity", category: "Application Activity" };
const AUTHENTICATION: Class =
    Class { uid: 3002, name: "Authentication", category: "Identity & Access Management" };

/// The methods that the schema knows.
const METHODS: &[&str] = &["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// What the words that an action begins with mean.
const VERBS: &[(u32, &str, &[&str])] = &[
    (1, "Create", &["create", "add", "insert"]),
    (2, "Read", &["read", "get", "list", "view", "search"]),
    (3, "Update", &["update", "edit", "change", "set", "write"]),
    (4, "Delete", &["delete", "remove"]),
];

pub(super) fn event(run: &str, line: &Statement<'_>, record: &Record<'_>) -> Option<Object> {
    let cause = cause_of(record.reason.as_str());
    match cause {
        Some(Cause::Authentication | Cause::AuthenticationChallenge) => authentication(run, line, record),
        Some(
            Cause::Permitted
            | Cause::Authorization
            | Cause::StepUp
            | Cause::Revocation
            | Cause::Limit
            | Cause::Request
            | Cause::Fault,
        )
        | None => api_activity(run, line, record),
    }
}

fn api_activity(run: &str, line: &Statement<'_>, record: &Record<'_>) -> Option<Object> {
    let profiles: &[_] =
        if record.trace.is_some() { &["security_control", "trace"] } else { &["security_control"] };
    let mapped = [MAPPED, &["action", "resource"]].concat();
    let unmapped = unmapped(run, line, record, &mapped)?;
    let event = common(record, API_ACTIVITY, activity(record), profiles, unmapped).object(run, line);
    let operation = [&record.action, &record.route, &record.method].into_iter().find_map(Option::as_ref);
    let api = Object::new()
        .with("operation", operation.map_or(UNKNOWN, Text::as_str))
        .object("request", Object::new().with("uid", record.decision.as_str()))
        .object("service", Object::new().text("name", record.host.as_ref()));
    let trace = Object::new().text("uid", record.trace.as_ref());
    let resources = record.resource.as_ref().map(|resource| vec![Value::from(target(resource))]);
    let event = event
        .object("actor", actor(record))
        .object("api", api)
        .object("trace", trace)
        .maybe("resources", resources);
    Some(controlled(request(event, record), record))
}

fn authentication(run: &str, line: &Statement<'_>, record: &Record<'_>) -> Option<Object> {
    let activity = Choice::other("Access token and proof");
    let unmapped = unmapped(run, line, record, MAPPED)?;
    let event = common(record, AUTHENTICATION, activity, &["security_control"], unmapped).object(run, line);
    let user = match (&record.user, &record.agent) {
        (Some(user), _) => Object::new().with("uid", user.as_str()),
        (None, Some(agent)) => {
            Object::new().choice("type_id", "type", Choice(4, "Service")).with("uid", agent.as_str())
        }
        (None, None) => nobody(),
    };
    let event = event
        .object("user", user)
        .object("actor", actor(record))
        .object("service", Object::new().with("name", "Exequatur"))
        .choice("auth_protocol_id", "auth_protocol", Choice(6, "OAUTH 2.0"));
    Some(controlled(request(event, record), record))
}

/// What stands in attributes of both classes.
const MAPPED: &[&str] = &[
    "decision", "reason", "status", "trace", "method", "host", "peer", "issuer", "agent", "user", "tenant",
    "policy",
];

/// What has no attribute, and a method that the schema does not know.
fn unmapped(run: &str, line: &Statement<'_>, record: &Record<'_>, mapped: &[&str]) -> Option<Object> {
    let unknown = record.method.as_ref().filter(|method| !METHODS.contains(&method.as_str()));
    Some(Object::rest(run, line, record, mapped)?.text("method", unknown))
}

fn common<'a>(
    record: &'a Record<'_>,
    class: Class,
    activity: Choice<'a>,
    profiles: &'a [&'static str],
    unmapped: Object,
) -> Event<'a> {
    let (status, verdict) = match record.verdict {
        Verdict::Permit => (SUCCESS, "permitted"),
        Verdict::Deny => (FAILURE, "denied"),
        Verdict::Fault => (FAILURE, "not decided"),
    };
    let message = match record.verdict {
        Verdict::Permit => verdict.to_owned(),
        Verdict::Deny | Verdict::Fault => format!("{verdict}: {}", record.reason),
    };
    Event {
        class,
        activity,
        status,
        message,
        uid: Some(record.decision.as_str()),
        correlation: record.trace.as_ref().map(Text::as_str),
        tenant: record.tenant.as_ref(),
        profiles,
        unmapped,
    }
}

/// By the word that the action begins with; else by the method, of which `POST` says nothing.
fn activity<'a>(record: &'a Record<'_>) -> Choice<'a> {
    let action = record.action.as_ref().map(Text::as_str);
    let begins = |verb: &&str| {
        action
            .and_then(|action| action.get(..verb.len()))
            .is_some_and(|begin| begin.eq_ignore_ascii_case(verb))
    };
    if let Some((id, name, _)) = VERBS.iter().find(|(_, _, verbs)| verbs.iter().any(begins)) {
        return Choice(*id, name);
    }
    match (record.method.as_ref().map(Text::as_str), action) {
        (Some("GET" | "HEAD" | "OPTIONS"), _) => Choice(2, "Read"),
        (Some("PUT" | "PATCH"), _) => Choice(3, "Update"),
        (Some("DELETE"), _) => Choice(4, "Delete"),
        (_, Some(action)) => Choice::other(action),
        (Some(method), None) => Choice::other(method),
        (None, None) => Choice(0, UNKNOWN),
    }
}

fn nobody() -> Object {
    Object::new().choice("type_id", "type", Choice(0, UNKNOWN)).with("name", UNKNOWN)
}

fn actor(record: &Record<'_>) -> Object {
    let credential = record.controls.token.as_ref().and_then(|token| token.digest.as_ref());
    let someone = record.user.is_some() || record.agent.is_some() || credential.is_some();
    let user = if someone { Object::new().text("uid", record.user.as_ref()) } else { nobody() };
    Object::new()
        .object("user", user)
        .text("app_uid", record.agent.as_ref())
        .object("idp", Object::new().text("name", record.issuer.as_ref()))
        .object("session", Object::new().text("credential_uid", credential))
}

fn target(resource: &Resource<'_>) -> Object {
    Object::new()
        .with("type", resource.kind.as_str())
        .with("uid", resource.id.as_str())
        .text("namespace", resource.tenant.as_ref())
        .choice("role_id", "role", Choice(1, "Target"))
}

/// The request, and what answers it where it goes no further.
fn request(event: Object, record: &Record<'_>) -> Object {
    let method = record.method.as_ref().filter(|method| METHODS.contains(&method.as_str()));
    let request = Object::new().with("uid", record.decision.as_str()).text("http_method", method);
    let event = event.object("src_endpoint", endpoint(record.peer.as_ref())).object("http_request", request);
    let target =
        record.host.as_ref().map(host).map_or_else(Object::new, |(name, port)| {
            Object::new().with("hostname", name).maybe("port", port)
        });
    let event = event.object("dst_endpoint", target);
    match record.verdict {
        Verdict::Permit => event,
        Verdict::Deny | Verdict::Fault => {
            event.object("http_response", Object::new().with("code", record.status))
        }
    }
}

/// The profile `security_control`.
fn controlled(event: Object, record: &Record<'_>) -> Object {
    let (action, word) = match record.verdict {
        Verdict::Permit => (Choice(1, "Allowed"), "permitted"),
        Verdict::Deny => (Choice(2, "Denied"), "denied"),
        Verdict::Fault => (Choice(2, "Denied"), "not decided"),
    };
    let event = event
        .choice("action_id", "action", action)
        .choice("disposition_id", "disposition", disposition(record))
        .with("status_code", record.reason.as_str());
    let Some(Policy { ids, set_hash }) = &record.policy else {
        return event.with("authorizations", vec![Value::from(Object::new().with("decision", word))]);
    };
    let by = |id: &Text<'_>| {
        let policy = Object::new().with("uid", id.as_str()).with("version", set_hash.as_str());
        Value::from(Object::new().with("decision", word).object("policy", policy))
    };
    let mut authorizations: Vec<_> = ids.iter().map(by).collect();
    if authorizations.is_empty() {
        authorizations.push(Object::new().with("decision", word).into());
    }
    let set = Object::new().with("type", "Cedar policy set").with("uid", set_hash.as_str());
    event.with("authorizations", authorizations).object("policy", set)
}

fn disposition(record: &Record<'_>) -> Choice<'static> {
    match record.verdict {
        Verdict::Permit => return Choice(1, "Allowed"),
        Verdict::Fault => return Choice(27, "Error"),
        Verdict::Deny => {}
    }
    match cause_of(record.reason.as_str()) {
        Some(Cause::Authorization) => Choice(26, "Unauthorized"),
        Some(Cause::AuthenticationChallenge | Cause::StepUp) => Choice(23, "Challenge"),
        Some(Cause::Revocation) => Choice(24, "Access Revoked"),
        Some(Cause::Request) => Choice(25, "Rejected"),
        Some(Cause::Authentication | Cause::Limit | Cause::Permitted | Cause::Fault) | None => {
            Choice(2, "Blocked")
        }
    }
}
