//! Decision → `CheckResponse`: the one place that makes a permit.
//!
//! An unset status is OK to Envoy, so a default message would be a permit. [`permit`] is the only function
//! that sets OK, and it takes the evidence that the decision was settled and recorded.

use exequatur_audit::Recorded;
use exequatur_decide::{CredentialHandling, Denial, Facts, Fault, Grant, LimitStanding, Refusal, Settled};
use exequatur_proto::envoy::config::core::v3::HeaderValueOption;
use exequatur_proto::envoy::service::auth::v3::check_response::HttpResponse;
use exequatur_proto::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use exequatur_proto::envoy::r#type::v3::HttpStatus;
use exequatur_proto::google::rpc::Status;
use serde::Serialize;

use super::challenge::{Offer, challenges};
use super::headers::{encode, overwrite, removals};
use super::metadata::{PERMIT, metadata};
use super::ratelimit;
use super::shape::{shape, status};

// Codes of google.rpc, not of HTTP.
const OK: i32 = 0;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;

/// Longest header value that is injected, in bytes; Envoy refuses far longer ones only later (M7).
const MAX_VALUE: usize = 4096;
/// The type of a problem for which quotas are the cause (L03).
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// What both answers carry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    /// The decision's id.
    pub(crate) id: &'a str,
    /// The generation it was made under.
    pub(crate) generation: u64,
    /// What is known of the request.
    pub(crate) facts: &'a Facts,
    /// Whether the caller speaks gRPC: Envoy answers it with a status of that, which it makes itself of ours unless it is
    /// told one.
    pub(crate) grpc: bool,
}

/// What a permit changes on the request and its response: made before the decision is recorded, so that what
/// is recorded as a permit is answered as one.
#[derive(Debug)]
pub(crate) struct Changes(OkHttpResponse);

/// The changes that go with a permit.
///
/// # Errors
/// A fault if a value that must be injected is too long to be: never a permit without its headers.
pub(crate) fn changes(settled: &Settled, id: &str) -> Result<Changes, Fault> {
    let mut headers = vec![overwrite("x-exequatur-decision", id.to_owned())];
    let mut keep_authorization = false;
    if let Some(grant) = settled.grant() {
        headers.extend(identity(grant));
        keep_authorization = matches!(grant.credentials, CredentialHandling::Forward { .. });
    }
    if headers.iter().any(too_long) {
        return Err(Fault::Internal);
    }
    let nonce = settled.next_nonce().map(|nonce| overwrite("dpop-nonce", nonce.as_str().to_owned()));
    Ok(Changes(OkHttpResponse {
        headers_to_remove: removals(&headers, keep_authorization),
        headers,
        response_headers_to_add: nonce.into_iter().chain(ratelimit::of_permit(settled.limits())).collect(),
    }))
}

/// The permit: of a decision that was settled, whose changes stand, and that is recorded. Here alone quotas are kept:
/// whatever is settled and not permitted gives them back.
pub(crate) fn permit(
    settled: Settled,
    changes: Changes,
    _recorded: &Recorded,
    answer: Answer<'_>,
) -> CheckResponse {
    settled.keep_charges();
    CheckResponse {
        status: Some(Status { code: OK, message: String::new() }),
        http_response: Some(HttpResponse::OkResponse(changes.0)),
        dynamic_metadata: Some(metadata(answer.id, PERMIT, None, answer.generation, answer.facts)),
    }
}

fn too_long(option: &HeaderValueOption) -> bool {
    option.header.as_ref().is_none_or(|header| header.value.len() > MAX_VALUE)
}

fn identity(grant: &Grant) -> Vec<HeaderValueOption> {
    let mut headers = vec![overwrite("x-exequatur-agent", encode(&grant.agent))];
    let mut put = |part: &str, value: String| {
        if !value.is_empty() {
            headers.push(overwrite(&format!("x-exequatur-{part}"), value));
        }
    };
    put("user", grant.user.as_deref().map(encode).unwrap_or_default());
    put("tenant", grant.tenant.as_deref().map(encode).unwrap_or_default());
    put("scopes", list(&grant.scopes));
    put("delegation", list(&grant.delegation));
    headers
}

/// Encoded values, separated by a comma, which the encoding leaves out of them.
fn list(values: &[String]) -> String {
    values.iter().map(|value| encode(value)).collect::<Vec<_>>().join(",")
}

/// The denial, by the caller's fault or by ours.
pub(crate) fn deny(refusal: &Refusal, offer: Offer<'_>, answer: Answer<'_>) -> CheckResponse {
    let reason = refusal.reason();
    let shape = shape(reason);
    let status = status(reason, answer.facts.hide);
    let hidden = status != shape.status;
    let mut headers = vec![
        overwrite("content-type", "application/problem+json".to_owned()),
        overwrite("cache-control", "no-store".to_owned()),
    ];
    if !hidden {
        // Each is a field of its own (E08). Envoy removes a denial's names from its own answer first and then adds
        // field by field; one that says `append` is left out by 1.40.
        headers.extend(
            challenges(shape, offer).into_iter().map(|challenge| overwrite("www-authenticate", challenge)),
        );
    }
    if let Some(nonce) = nonce_of(refusal) {
        headers.push(overwrite("dpop-nonce", nonce));
    }
    if status == 401 {
        // Scripts of other origins see these only by name (D26).
        headers.push(overwrite("access-control-expose-headers", "DPoP-Nonce, WWW-Authenticate".to_owned()));
    }
    if status == 429 {
        let names = "RateLimit, RateLimit-Policy, Retry-After";
        headers.push(overwrite("access-control-expose-headers", names.to_owned()));
    }
    if matches!(status, 429 | 503) {
        headers.push(overwrite("retry-after", retry_after(refusal).to_string()));
    }
    headers.extend(ratelimit::of_refusal(limits_of(refusal)));
    if answer.grpc && status == 429 {
        // Envoy would say UNAVAILABLE.
        headers.push(overwrite("grpc-status", RESOURCE_EXHAUSTED.to_string()));
    }
    let body = if hidden {
        body(status, "not found", "not_found", answer.id, &[])
    } else {
        body(status, shape.title, reason.code(), answer.id, limits_of(refusal))
    };
    let verdict = match refusal {
        Refusal::Denied(_) => "deny",
        Refusal::Faulted(_) => "fault",
    };
    CheckResponse {
        status: Some(Status { code: grpc_code(status), message: String::new() }),
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            status: Some(HttpStatus { code: i32::from(status) }),
            headers,
            body,
        })),
        dynamic_metadata: Some(metadata(
            answer.id,
            verdict,
            Some(reason.code()),
            answer.generation,
            answer.facts,
        )),
    }
}

fn nonce_of(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::Denied(Denial::NonceRequired(nonce) | Denial::NonceInvalid(nonce)) => {
            Some(nonce.as_str().to_owned())
        }
        Refusal::Denied(_) | Refusal::Faulted(_) => None,
    }
}

fn limits_of(refusal: &Refusal) -> &[LimitStanding] {
    match refusal {
        Refusal::Denied(Denial::Limited(limits)) => limits,
        Refusal::Denied(_) | Refusal::Faulted(_) => &[],
    }
}

/// What a caller is asked to wait before trying again, in seconds.
fn retry_after(refusal: &Refusal) -> u64 {
    match refusal {
        Refusal::Denied(Denial::Limited(limits)) => ratelimit::retry_after(limits),
        Refusal::Denied(Denial::SourceLimited { wait }) => ratelimit::seconds(*wait).max(1),
        Refusal::Denied(_) | Refusal::Faulted(_) => 1,
    }
}

/// RFC 9457 §3: nothing of the request in it.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    reason: &'a str,
    decision: &'a str,
    /// The names of the limits that had no room.
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    violated_policies: Vec<&'a str>,
}

fn body(status: u16, title: &str, reason: &str, decision: &str, limits: &[LimitStanding]) -> String {
    let violated_policies = ratelimit::violated(limits);
    let r#type = match violated_policies.is_empty() {
        true => format!("urn:exequatur:reason:{reason}"),
        false => QUOTA_EXCEEDED.to_owned(),
    };
    // Strings and a number always become JSON; without a body the status still denies.
    serde_json::to_string(&Problem { r#type, title, status, reason, decision, violated_policies })
        .unwrap_or_default()
}

/// What a caller that speaks gRPC gets for a status of HTTP, behind Envoy; `None` where that is Envoy's to say.
pub(crate) fn grpc_status(status: u16) -> Option<i32> {
    matches!(status, 401 | 403 | 429 | 503).then(|| grpc_code(status))
}

/// Never OK.
fn grpc_code(status: u16) -> i32 {
    match status {
        401 => UNAUTHENTICATED,
        429 => RESOURCE_EXHAUSTED,
        503 => UNAVAILABLE,
        _ => PERMISSION_DENIED,
    }
}

#[cfg(test)]
mod tests;
