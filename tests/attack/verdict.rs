//! What an answer says, and what must hold of every answer.

use std::collections::{BTreeMap, HashSet};

use exequatur_proto::envoy::config::core::v3::HeaderValueOption;
use exequatur_proto::envoy::service::auth::v3::check_response::HttpResponse;
use exequatur_proto::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use prost::Message as _;
use serde_json::Value;

/// Length of the pieces of a token of which none may be in an answer.
const PIECE: usize = 20;
/// Without prefix: the headers that tell the upstream who calls.
const IDENTITY: [&str; 5] = ["agent", "user", "tenant", "scopes", "delegation"];

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// With what the upstream is told, by header, and what is removed.
    Permit(BTreeMap<String, String>),
    /// With its reason.
    Deny(String),
    /// This process was stopped while it decided, for longer than a decision may take.
    Late,
}

/// Reads an answer as Envoy does: status 0, which is also what an absent status means, is a permit.
///
/// # Errors
/// What is wrong with the answer, whichever way it decides.
pub(crate) fn read(response: &CheckResponse, secrets: &[&str]) -> Result<Verdict, String> {
    no_secret(response, secrets)?;
    let code = response.status.as_ref().map_or(0, |status| status.code);
    match (&response.http_response, code) {
        (Some(HttpResponse::OkResponse(changes)), 0) => Ok(Verdict::Permit(identity(changes)?)),
        (Some(HttpResponse::DeniedResponse(denied)), 1..) => {
            let reason = meta(response, "reason").ok_or("a denial without a reason")?;
            if reason == "overloaded" {
                return Ok(Verdict::Late);
            }
            judge_denial(denied, &reason, code)?;
            Ok(Verdict::Deny(reason))
        }
        (_, 0) => Err("status OK without a permit's headers".to_owned()),
        _ => Err(format!("status {code} without a denial")),
    }
}

/// The nonce that an answer brings.
pub(crate) fn nonce(response: &CheckResponse) -> Option<String> {
    let headers = match response.http_response.as_ref()? {
        HttpResponse::OkResponse(changes) => &changes.response_headers_to_add,
        HttpResponse::DeniedResponse(denied) => &denied.headers,
    };
    one(headers, "dpop-nonce").map(str::to_owned)
}

fn meta(response: &CheckResponse, name: &str) -> Option<String> {
    match response.dynamic_metadata.as_ref()?.fields.get(name)?.kind.as_ref()? {
        prost_types::value::Kind::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

fn of<'a>(headers: &'a [HeaderValueOption], name: &str) -> Vec<(&'a str, Option<bool>)> {
    let named =
        headers.iter().filter(|option| option.header.as_ref().is_some_and(|header| header.key == name));
    named.map(|option| (option.header.as_ref().map_or("", |header| &header.value), option.append)).collect()
}

fn one<'a>(headers: &'a [HeaderValueOption], name: &str) -> Option<&'a str> {
    of(headers, name).first().map(|(value, _)| *value)
}

fn identity(changes: &OkHttpResponse) -> Result<BTreeMap<String, String>, String> {
    let mut identity = BTreeMap::new();
    for option in &changes.headers {
        let header = option.header.as_ref().ok_or("a header without a name")?;
        let part = header.key.strip_prefix("x-exequatur-").ok_or_else(|| format!("sets {}", header.key))?;
        if option.append != Some(false) {
            return Err(format!("{} does not overwrite", header.key));
        }
        if part != "decision" && !IDENTITY.contains(&part) {
            return Err(format!("sets {}", header.key));
        }
        if part != "decision" && identity.insert(part.to_owned(), header.value.clone()).is_some() {
            return Err(format!("sets {} twice", header.key));
        }
    }
    let removes = |name: &str| changes.headers_to_remove.iter().any(|removed| removed == name);
    for part in IDENTITY {
        if removes(&format!("x-exequatur-{part}")) == identity.contains_key(part) {
            return Err(format!("a forged x-exequatur-{part} is not dealt with"));
        }
    }
    if !removes("dpop") {
        return Err("the proof goes on to the upstream".to_owned());
    }
    identity
        .insert("credentials".to_owned(), if removes("authorization") { "strip" } else { "forward" }.into());
    Ok(identity)
}

/// E01, E03, E06, E08, D26: the form follows from the reason.
fn judge_denial(denied: &DeniedHttpResponse, reason: &str, code: i32) -> Result<(), String> {
    let status = denied.status.as_ref().map_or(0, |status| status.code);
    let body: Value = serde_json::from_str(&denied.body).map_err(|error| format!("body: {error}"))?;
    let hidden = status == 404;
    let (expected, challenge) = shape(reason);
    let fits = if hidden { expected == 403 && body["reason"] == "not_found" } else { status == expected };
    if !fits || (!hidden && body["reason"] != reason) || body["status"] != status {
        return Err(format!("{reason} is answered {status}: {}", denied.body));
    }
    if code
        != (match status {
            401 => 16,
            503 => 14,
            _ => 7,
        })
    {
        return Err(format!("{reason} has gRPC status {code}"));
    }
    if one(&denied.headers, "cache-control") != Some("no-store") {
        return Err(format!("{reason} may be cached"));
    }
    let challenges = of(&denied.headers, "www-authenticate");
    let named = challenges.iter().any(|(value, _)| challenge.is_none_or(|error| value.contains(error)));
    let wanted = !hidden && (status == 401 || challenge.is_some());
    if wanted == challenges.is_empty() || (wanted && !named) {
        return Err(format!("{reason} is answered with {challenges:?}"));
    }
    // An appended field of a denial does not reach the caller through Envoy 1.40 (E08); several with `append: false` do.
    if challenges.iter().any(|(_, append)| *append != Some(false)) {
        return Err(format!("{reason}: a challenge is to be appended"));
    }
    let nonces = of(&denied.headers, "dpop-nonce").len();
    if nonces != usize::from(challenge == Some("use_dpop_nonce")) {
        return Err(format!("{reason} brings {nonces} nonces"));
    }
    Ok(())
}

/// Status and OAuth error by section 14 of the vocabulary.
fn shape(reason: &str) -> (i32, Option<&'static str>) {
    match reason {
        "credentials_missing" | "auth_scheme_unsupported" => (401, None),
        "request_malformed" | "multiple_credentials" | "token_in_query" => (400, Some("invalid_request")),
        "dpop_bound_token_as_bearer"
        | "dpop_key_mismatch"
        | "delegation_too_deep"
        | "mtls_cert_missing"
        | "mtls_cert_mismatch" => (401, Some("invalid_token")),
        "dpop_nonce_required" | "dpop_nonce_invalid" => (401, Some("use_dpop_nonce")),
        "scope_insufficient" => (403, Some("insufficient_scope")),
        "path_refused" => (400, None),
        "route_unmatched"
        | "host_unknown"
        | "tenant_mismatch"
        | "policy_forbid"
        | "policy_no_permit"
        | "actor_not_permitted" => (403, None),
        "policy_error" => (503, None),
        _ if reason.starts_with("token_") => (401, Some("invalid_token")),
        _ if reason.starts_with("dpop_") => (401, Some("invalid_dpop_proof")),
        // Ours: no attempt here may cause it.
        _ => (0, None),
    }
}

/// No twenty characters in a row of token or proof are in the answer.
fn no_secret(response: &CheckResponse, secrets: &[&str]) -> Result<(), String> {
    let answer = response.encode_to_vec();
    let pieces: HashSet<&[u8]> = answer.windows(PIECE).collect();
    match secrets.iter().any(|secret| secret.as_bytes().windows(PIECE).any(|piece| pieces.contains(piece))) {
        true => Err("the answer repeats a part of token or proof".to_owned()),
        false => Ok(()),
    }
}
