//! What came of requests: HTTP Activity (4002).

use super::{Choice, Class, Event, FAILURE, SUCCESS, UNKNOWN, endpoint};
use crate::format::object::Object;
use crate::outcome::Outcome;
use crate::statement::Statement;

const CLASS: Class = Class { uid: 4002, name: "HTTP Activity", category: "Network Activity" };

pub(super) fn event(run: &str, line: &Statement<'_>, outcome: &Outcome<'_>) -> Option<Object> {
    let (status, message) = match (outcome.aborted_by, outcome.status) {
        (Some(_), _) => (FAILURE, "broken off".to_owned()),
        (None, Some(code)) => (if code < 400 { SUCCESS } else { FAILURE }, format!("answered with {code}")),
        (None, None) => (Choice(0, UNKNOWN), "ended without an answer".to_owned()),
    };
    let mapped = ["outcome_of", "status", "upstream", "request_body_bytes", "response_body_bytes"];
    let event = Event {
        class: CLASS,
        // The method stands in the decision.
        activity: Choice(0, UNKNOWN),
        status,
        message,
        uid: None,
        correlation: Some(outcome.outcome_of.as_str()),
        tenant: None,
        profiles: &[],
        unmapped: Object::rest(run, line, outcome, &mapped)?,
    };
    let milliseconds = outcome.duration_us.map(|duration| duration / 1000);
    let request = Object::new()
        .with("uid", outcome.outcome_of.as_str())
        .with("body_length", outcome.request_body_bytes);
    let response = outcome
        .status
        .map(|code| Object::new().with("code", code).with("body_length", outcome.response_body_bytes));
    let traffic = Object::new()
        .with("bytes_out", outcome.request_body_bytes)
        .with("bytes_in", outcome.response_body_bytes);
    let event = event
        .object(run, line)
        .object("http_request", request)
        .maybe("http_response", response)
        .object("dst_endpoint", endpoint(outcome.upstream.as_ref()))
        .maybe("duration", milliseconds)
        .object("traffic", traffic);
    Some(event)
}
