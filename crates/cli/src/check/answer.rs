//! What a server answered, judged as Envoy would take it.

use std::collections::BTreeMap;

use exequatur_proto::envoy::config::core::v3::HeaderValueOption;
use exequatur_proto::envoy::service::auth::v3::check_response::HttpResponse;
use exequatur_proto::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use serde_json::{Value, json};

use super::expected::{Expected, Verdict};
use super::request::Described;
use crate::exit::{Failure, say};
use crate::output::{Output, harmless, plain, say_json};

/// Characters of a body, or of a header's value, that are shown.
const MAX_SHOWN: usize = 4096;

/// What was answered.
#[derive(Debug)]
pub(super) enum Answer {
    Decided(Decided),
    /// An answer that decides nothing, whatever Envoy makes of it; and what is wrong with it.
    Undecided(String),
}

/// A permit or a denial.
#[derive(Debug)]
pub(super) struct Decided {
    verdict: Verdict,
    /// The decision's id.
    id: Option<String>,
    /// The HTTP status of a denial.
    status: Option<i32>,
    /// What the upstream gets, or the caller with a denial. The value is shown where it is ours.
    sets: Vec<(String, Option<String>)>,
    /// What the upstream does not get.
    removes: Vec<String>,
    /// What the caller gets beside the upstream's answer: names.
    adds: Vec<String>,
    /// The body of a denial.
    body: String,
}

impl Answer {
    /// Strict where Envoy is not: to it no status at all means OK, and OK means a permit whatever comes with it.
    pub(super) fn of(answer: CheckResponse) -> Self {
        let CheckResponse { status, http_response, dynamic_metadata } = answer;
        let Some(status) = status else {
            return Self::Undecided("no status: Envoy takes that for a permit, and it is none".to_owned());
        };
        let told = dynamic_metadata.map(|told| texts(told.fields)).unwrap_or_default();
        match (status.code, http_response) {
            (0, Some(HttpResponse::OkResponse(ok))) => Self::Decided(permit(ok, &told)),
            (0, Some(HttpResponse::DeniedResponse(_))) => {
                Self::Undecided("the status says OK, and a denial comes with it: Envoy lets it pass".to_owned())
            }
            (0, None) => Self::Undecided(
                "the status says OK, and nothing says which headers to remove: Envoy lets it pass with its credentials"
                    .to_owned(),
            ),
            (_, Some(HttpResponse::DeniedResponse(denied))) => Self::Decided(deny(denied, &told)),
            (code, Some(HttpResponse::OkResponse(_)) | None) => {
                Self::Undecided(format!("status {code} without a denial: Envoy answers 403 and no more"))
            }
        }
    }

    pub(super) fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::Decided(decided) => Some(decided.verdict.clone()),
            Self::Undecided(_) => None,
        }
    }

    /// Prints it, without the credentials of the request.
    pub(super) fn tell(
        &self,
        described: &Described,
        expected: Option<Expected>,
        output: Output,
    ) -> Result<(), Failure> {
        match output {
            Output::Text => {
                for line in self.lines() {
                    say(described.without_credentials(&line))?;
                }
                Ok(())
            }
            Output::Json => {
                let mut document = self.document();
                if let (Some(expected), Some(members)) = (expected, document.as_object_mut()) {
                    members.insert("expected".to_owned(), expected.to_string().into());
                    members.insert("as_expected".to_owned(), expected.is(self.verdict().as_ref()).into());
                }
                hide(&mut document, described);
                say_json(&document)
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        let Decided { verdict, id, status, sets, removes, adds, body } = match self {
            Self::Undecided(why) => return vec![format!("no decision: {why}")],
            Self::Decided(decided) => decided,
        };
        let mut lines = vec![plain(&verdict.to_string(), 200).trim_matches('"').to_owned()];
        let mut line = |name: &str, text: String| lines.push(format!("{name:<9} {text}"));
        line("decision", id.as_ref().map_or_else(|| "not told".to_owned(), |id| plain(id, 200)));
        if let Some(status) = status {
            line("status", status.to_string());
        }
        for (name, value) in sets {
            let value = value.as_ref().map(|value| format!(": {}", shown(value))).unwrap_or_default();
            line("sets", format!("{}{value}", plain(name, 200)));
        }
        if !removes.is_empty() {
            line("removes", removes.iter().map(|name| plain(name, 200)).collect::<Vec<_>>().join(", "));
        }
        for name in adds {
            line("returns", plain(name, 200));
        }
        if !body.is_empty() {
            line("body", shown(body));
        }
        lines
    }

    fn document(&self) -> Value {
        let Decided { verdict, id, status, sets, removes, adds, body } = match self {
            Self::Undecided(why) => return json!({ "answer": null, "wrong": why }),
            Self::Decided(decided) => decided,
        };
        let sets: Vec<Value> =
            sets.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let body: Value = serde_json::from_str(body).unwrap_or_else(|_not_json| body.as_str().into());
        json!({
            "answer": verdict.word(),
            "reason": verdict.reason(),
            "decision": id,
            "status": status,
            "sets": sets,
            "removes": removes,
            "returns": adds,
            "body": body,
        })
    }
}

/// In one line, cut, harmless for a terminal.
fn shown(text: &str) -> String {
    harmless(&text.chars().take(MAX_SHOWN).collect::<String>()).replace('\n', "\\n")
}

fn permit(ok: OkHttpResponse, told: &BTreeMap<String, String>) -> Decided {
    Decided {
        verdict: Verdict::Permit,
        id: told.get("decision").cloned(),
        status: None,
        sets: ok
            .headers
            .into_iter()
            .filter_map(|field| named(field, |name| name.starts_with("x-exequatur-")))
            .collect(),
        removes: ok.headers_to_remove,
        adds: ok.response_headers_to_add.into_iter().filter_map(|field| Some(field.header?.key)).collect(),
        body: String::new(),
    }
}

fn deny(denied: DeniedHttpResponse, told: &BTreeMap<String, String>) -> Decided {
    let body: Value = serde_json::from_str(&denied.body).unwrap_or_default();
    let member = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let status = denied.status.map(|status| status.code);
    // A hidden route says `not_found` to the caller, and to Envoy's log what it is.
    let reason = told.get("reason").cloned().or_else(|| member("reason")).unwrap_or_default();
    let ours = told.get("verdict").map_or_else(|| status == Some(503), |verdict| verdict == "fault");
    let told_whole = ["www-authenticate", "content-type", "retry-after", "cache-control"];
    Decided {
        verdict: if ours { Verdict::Fault(reason) } else { Verdict::Deny(reason) },
        id: told.get("decision").cloned().or_else(|| member("decision")),
        status,
        sets: denied
            .headers
            .into_iter()
            .filter_map(|field| named(field, |name| told_whole.contains(&name)))
            .collect(),
        removes: Vec::new(),
        adds: Vec::new(),
        body: denied.body,
    }
}

fn named(field: HeaderValueOption, shown: impl Fn(&str) -> bool) -> Option<(String, Option<String>)> {
    let header = field.header?;
    let value = shown(&header.key).then_some(header.value);
    Some((header.key, value))
}

fn texts(fields: impl IntoIterator<Item = (String, prost_types::Value)>) -> BTreeMap<String, String> {
    let text = |(name, value): (String, prost_types::Value)| match value.kind? {
        prost_types::value::Kind::StringValue(text) => Some((name, text)),
        prost_types::value::Kind::NullValue(_)
        | prost_types::value::Kind::NumberValue(_)
        | prost_types::value::Kind::BoolValue(_)
        | prost_types::value::Kind::StructValue(_)
        | prost_types::value::Kind::ListValue(_) => None,
    };
    fields.into_iter().filter_map(text).collect()
}

/// Takes the request's credentials out of every text.
fn hide(value: &mut Value, described: &Described) {
    match value {
        Value::String(text) => *text = described.without_credentials(text),
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, described)),
        Value::Object(members) => members.values_mut().for_each(|member| hide(member, described)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use exequatur_proto::google::rpc::Status;

    use super::*;

    fn answer(code: Option<i32>, http_response: Option<HttpResponse>) -> Answer {
        let status = code.map(|code| Status { code, message: String::new() });
        Answer::of(CheckResponse { status, http_response, dynamic_metadata: None })
    }

    fn ok() -> Option<HttpResponse> {
        Some(HttpResponse::OkResponse(OkHttpResponse::default()))
    }

    fn denied(status: i32) -> Option<HttpResponse> {
        let status = Some(exequatur_proto::envoy::r#type::v3::HttpStatus { code: status });
        let body = r#"{"reason":"dpop_replay","decision":"1"}"#.to_owned();
        Some(HttpResponse::DeniedResponse(DeniedHttpResponse { status, headers: Vec::new(), body }))
    }

    /// N05: an answer that Envoy takes for a permit, and that is none, is not called one.
    #[test]
    fn an_answer_without_a_status_is_no_permit() {
        assert_eq!(answer(Some(0), ok()).verdict(), Some(Verdict::Permit));
        for (code, response) in
            [(None, ok()), (None, None), (None, denied(401)), (Some(0), None), (Some(0), denied(401))]
        {
            let answer = answer(code, response);
            assert_eq!(answer.verdict(), None, "{answer:?}");
            assert!(answer.lines().concat().starts_with("no decision: "), "{answer:?}");
            assert_eq!(answer.document()["answer"], Value::Null);
        }
    }

    #[test]
    fn a_denial_is_told_with_its_reason_and_whose_fault_it_is() {
        let deny = Verdict::Deny("dpop_replay".to_owned());
        let fault = Verdict::Fault("dpop_replay".to_owned());
        assert_eq!(answer(Some(16), denied(401)).verdict(), Some(deny));
        assert_eq!(answer(Some(14), denied(503)).verdict(), Some(fault));
        for response in [ok(), None] {
            assert_eq!(answer(Some(7), response).verdict(), None);
        }
        let lines = answer(Some(16), denied(401)).lines();
        assert_eq!(lines[..3], ["deny dpop_replay", "decision  1", "status    401"]);
    }
}
