//! Lines as documents of the Elastic Common Schema, version 9.4.0.
//!
//! What the schema has no field for stands in `exequatur`.

use serde_json::Value;

use super::address::{Address, host};
use super::cause::{Cause, cause_of};
use super::object::Object;
use crate::admin::{AdminOutcome, AdminRecord};
use crate::entry::Closes;
use crate::outcome::Outcome;
use crate::record::{Record, Verdict};
use crate::statement::{Severity, Stated, Statement};
use crate::text::Text;

const VERSION: &str = "9.4.0";

/// The line as a document; `None` if it cannot be one.
pub(super) fn document(run: &str, line: &Statement<'_>) -> Option<Object> {
    let (event, document) = match &line.stated {
        Stated::Decision(record) => decision(run, line, record)?,
        Stated::Order(order) => of_order(run, line, order)?,
        Stated::Outcome(outcome) => of_outcome(run, line, outcome)?,
        Stated::Gap(_) | Stated::Open(_) | Stated::Checkpoint(_) | Stated::SinkGap(_) => about(run, line)?,
    };
    let level = match line.severity() {
        Severity::Information => "info",
        Severity::Warning => "warn",
        Severity::Error => "error",
    };
    let time = format!("{:.3}", line.time());
    let event = event
        .with("kind", "event")
        .with("module", "exequatur")
        .with("provider", "exequatur")
        .with("dataset", format!("exequatur.{}", line.kind()))
        .with("created", time.as_str())
        .maybe("sequence", line.place().map(|link| link.seq));
    let observer = Object::new()
        .with("product", "Exequatur")
        .with("vendor", "Exequatur")
        .with("type", "authorization")
        .with("version", env!("CARGO_PKG_VERSION"));
    let document = document
        .with("@timestamp", time)
        .object("ecs", Object::new().with("version", VERSION))
        .object("log", Object::new().with("level", level))
        .object("observer", observer)
        .object("event", event);
    Some(document)
}

/// What stands in `event`, and everything else.
type Document = (Object, Object);

fn decision(run: &str, line: &Statement<'_>, record: &Record<'_>) -> Option<Document> {
    let mapped = [
        "decision", "reason", "status", "trace", "action", "method", "host", "peer", "agent", "user",
        "tenant",
    ];
    let (outcome, kind) = match record.verdict {
        Verdict::Permit => ("success", "allowed"),
        Verdict::Deny | Verdict::Fault => ("failure", "denied"),
    };
    // Also where a token held and something else did not.
    let authentication = record.controls.token.is_some()
        || matches!(
            cause_of(record.reason.as_str()),
            Some(Cause::Authentication | Cause::AuthenticationChallenge)
        );
    let categories: &[_] = if authentication { &["api", "authentication"] } else { &["api"] };
    let event = Object::new()
        .with("category", categories.to_vec())
        .with("type", vec!["access", kind])
        .with("outcome", outcome)
        .with("id", record.decision.as_str())
        .with("reason", record.reason.as_str())
        .text("action", record.action.as_ref())
        .with("duration", record.timings_us.total.saturating_mul(1000));
    let status = (record.verdict != Verdict::Permit).then_some(record.status);
    let http = Object::new()
        .object("request", request(&record.decision).text("method", record.method.as_ref()))
        .object("response", Object::new().maybe("status_code", status));
    let url = record
        .host
        .as_ref()
        .map(host)
        .map_or_else(Object::new, |(name, port)| Object::new().with("domain", name).maybe("port", port));
    let fault = (record.verdict == Verdict::Fault).then(|| record.reason.as_str());
    let document = Object::new()
        .object("exequatur", Object::rest(run, line, record, &mapped)?)
        .object("http", http)
        .object("url", url)
        .object("source", endpoint(record.peer.as_ref()))
        .object("user", Object::new().text("id", record.user.as_ref()))
        .object("gen_ai", Object::new().object("agent", Object::new().text("id", record.agent.as_ref())))
        .object("organization", Object::new().text("id", record.tenant.as_ref()))
        .object("trace", Object::new().text("id", record.trace.as_ref()))
        .object("rule", rule(record))
        .object("error", Object::new().maybe("code", fault))
        .object("related", related(record.user.iter(), record.peer.as_ref()));
    Some((event, document))
}

fn of_order(run: &str, line: &Statement<'_>, order: &AdminRecord<'_>) -> Option<Document> {
    let outcome = match order.outcome {
        AdminOutcome::Done | AdminOutcome::Ordered => "success",
        AdminOutcome::Refused | AdminOutcome::Failed => "failure",
    };
    let kind = match order.action.as_str() {
        "status" | "list_revocations" | "list_limits" | "show_decision" | "describe" => "info",
        _ => "change",
    };
    let event = Object::new()
        .with("category", vec!["iam"])
        .with("type", vec!["admin", kind])
        .with("outcome", outcome)
        .with("id", order.admin.as_str())
        .with("action", order.action.as_str())
        .text("reason", order.reason.as_ref());
    let user =
        order.name.as_ref().filter(|_| order.kind.as_ref().is_some_and(|kind| kind.as_str() == "user"));
    let target = Object::new().text("id", user);
    let mapped = ["admin", "actor", "action", "reason", "error"];
    let document = Object::new()
        .object("exequatur", Object::rest(run, line, order, &mapped)?)
        .object("user", Object::new().with("id", order.actor.as_str()).object("target", target))
        .object("error", Object::new().text("message", order.error.as_ref()))
        .object("related", related([&order.actor].into_iter().chain(user), None));
    Some((event, document))
}

fn of_outcome(run: &str, line: &Statement<'_>, outcome: &Outcome<'_>) -> Option<Document> {
    let mapped =
        ["outcome_of", "status", "upstream", "request_body_bytes", "response_body_bytes", "duration_us"];
    let (result, kinds) = match (outcome.aborted_by, outcome.status) {
        (None, Some(..400)) => ("success", vec!["access"]),
        (Some(_), _) | (None, Some(_)) => ("failure", vec!["access", "error"]),
        (None, None) => ("unknown", vec!["access"]),
    };
    let event = Object::new()
        .with("category", vec!["web"])
        .with("type", kinds)
        .with("outcome", result)
        .with("action", "outcome")
        .maybe("duration", outcome.duration_us.map(|duration| duration.saturating_mul(1000)));
    let body = |bytes: u64| Object::new().with("bytes", bytes);
    let response =
        Object::new().maybe("status_code", outcome.status).object("body", body(outcome.response_body_bytes));
    let http = Object::new()
        .object("request", request(&outcome.outcome_of).object("body", body(outcome.request_body_bytes)))
        .object("response", response);
    let document = Object::new()
        .object("exequatur", Object::rest(run, line, outcome, &mapped)?)
        .object("http", http)
        .object("destination", endpoint(outcome.upstream.as_ref()));
    Some((event, document))
}

/// Lines about the records themselves.
fn about(run: &str, line: &Statement<'_>) -> Option<Document> {
    let document = Object::new().object("exequatur", Object::said(run, line)?);
    let event = Object::new().with("action", line.kind());
    if line.missing() > 0 {
        // No category expects errors of records.
        return Some((event.with("type", vec!["error"]).with("outcome", "failure"), document));
    }
    let kind = match &line.stated {
        Stated::Open(_) if line.place().is_some_and(|link| link.seq == 1) => "start",
        Stated::Checkpoint(checkpoint) if checkpoint.closes == Some(Closes::Run) => "end",
        Stated::Decision(_)
        | Stated::Order(_)
        | Stated::Outcome(_)
        | Stated::Gap(_)
        | Stated::Open(_)
        | Stated::Checkpoint(_)
        | Stated::SinkGap(_) => "info",
    };
    Some((event.with("category", vec!["process"]).with("type", vec![kind]), document))
}

/// With the decision's id, which its outcome has too.
fn request(decision: &Text<'_>) -> Object {
    Object::new().with("id", decision.as_str())
}

/// The policy, where it was one alone: the field takes one.
fn rule(record: &Record<'_>) -> Object {
    let Some(policy) = &record.policy else { return Object::new() };
    let one = if let [one] = policy.ids.as_slice() { Some(one) } else { None };
    Object::new().text("id", one).with("ruleset", policy.set_hash.as_str())
}

/// An address as it stands, and, where it is one, that of the network.
fn endpoint(address: Option<&Text<'_>>) -> Object {
    let Some(address) = address else { return Object::new() };
    let endpoint = Object::new().with("address", address.as_str());
    match Address::of(address) {
        Address::Ip(ip, port) => endpoint.with("ip", ip.to_string()).maybe("port", port),
        Address::Name(_) => endpoint,
    }
}

fn related<'a>(users: impl Iterator<Item = &'a Text<'a>>, peer: Option<&Text<'_>>) -> Object {
    let users: Vec<Value> = users.map(|user| user.as_str().into()).collect();
    let ip = match peer.map(Address::of) {
        Some(Address::Ip(ip, _)) => Some(vec![ip.to_string()]),
        Some(Address::Name(_)) | None => None,
    };
    Object::new().maybe("user", (!users.is_empty()).then_some(users)).maybe("ip", ip)
}
