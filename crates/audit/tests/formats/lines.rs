//! Lines as they stand in files, one of each kind.

use exequatur_audit::{
    AbortedBy, AdminOutcome, AdminRecord, AnsweredBy, Arguments, Controls, Covered, Degraded,
    IntrospectionCheck, NonceCheck, Outcome, Part, PartPlace, PartValue, Policy, Record, ReplayCheck,
    RequirementCheck, Resource, RevocationCheck, Scopes, SenderConstraint, SenderConstraintCheck,
    StatusCheck, Text, Timings, TokenCheck, TokenSource, Verdict,
};
use jiff::Timestamp;
use serde::Serialize;

pub(crate) const RUN: &str = "98e5f4a1b2c3d4e5f60718293a4b5c6d";
const HASH: &str = "4PjbyFbu2YQInSZ-ep8a39FSRnRPj1cLISlQ1HGgZ8E";
const TIME: &str = "2026-11-22T10:11:12.345Z";

/// As what it says stands in the chain.
pub(crate) fn sealed(of: &impl Serialize, seq: u64) -> String {
    let mut json = serde_json::to_string(of).expect("a record is JSON");
    json.pop();
    format!("{json},\"seq\":{seq},\"hash\":\"{HASH}\"}}")
}

pub(crate) fn time() -> Timestamp {
    TIME.parse().expect("a time")
}

/// Everything that can be known of a decision.
pub(crate) fn full() -> Record<'static> {
    let mut record = bare(Verdict::Permit, "permitted", 200);
    record.generation = 7;
    record.trace = Some(Text::from("0af7651916cd43dd8448eb211c80319c"));
    record.route = Some(Text::from("read-document"));
    record.action = Some(Text::from("ReadDocument"));
    record.resource = Some(Resource {
        kind: Text::from("Document"),
        id: Text::from("42"),
        tenant: Some(Text::from("globex")),
    });
    record.method = Some(Text::from("GET"));
    record.host = Some(Text::from("api.example.com:8443"));
    record.path_template = Some(Text::from("/tenants/{tenant}/documents/{id}"));
    record.arguments = Some(Arguments { digest: Text::from("sha256:00"), of: Covered::Target });
    record.parts = vec![
        Part {
            place: PartPlace::Header,
            name: Text::from("x-request-id"),
            value: PartValue::Value(Text::from("request-7")),
        },
        Part {
            place: PartPlace::Query,
            name: Text::from("page"),
            value: PartValue::Digest(Text::from("hmac:11")),
        },
    ];
    record.peer = Some(Text::from("192.0.2.7"));
    record.issuer = Some(Text::from("corp"));
    record.client = Some(Text::from("corp:portal"));
    record.agent = Some(Text::from("corp:crm-bot"));
    record.user = Some(Text::from("corp:alice"));
    record.tenant = Some(Text::from("acme"));
    record.federation = Some(Text::from("partners"));
    record.actors = vec![Text::from("corp:sub-bot"), Text::from("corp:crm-bot")];
    record.scopes = Some(Scopes {
        needed: vec![Text::from("documents:read")],
        held: vec![Text::from("documents:read"), Text::from("documents:write")],
        more: 3,
    });
    record.purpose = Some(Text::from("refund"));
    record.prompt_hash = Some(Text::from("sha-256:AA"));
    record.controls = controls();
    record.policy = Some(Policy { ids: vec![Text::from("owners-read")], set_hash: Text::from("cc") });
    record.degraded = vec![Degraded::RevocationsStale];
    record.observed = vec![Text::from("dpop_nonce_required")];
    record.timings_us = Timings { route: Some(1), authenticate: Some(80), total: 1095, ..Timings::default() };
    record
}

fn controls() -> Controls<'static> {
    Controls {
        status: Some(StatusCheck::Valid),
        token: Some(TokenCheck {
            digest: Some(Text::from("00112233445566778899aabbccddeeff")),
            cached: true,
            key_set: Some(Text::from("aa")),
            source: TokenSource::Jwt,
        }),
        introspection: Some(IntrospectionCheck::Active),
        sender_constraint: Some(SenderConstraintCheck {
            kind: SenderConstraint::DpopMtls,
            thumbprint: Some(Text::from("bb")),
        }),
        step_up: Some(RequirementCheck::Met),
        authorization_details: Some(RequirementCheck::Met),
        revocation: Some(RevocationCheck::Clear),
        replay: Some(ReplayCheck::Fresh),
        nonce: Some(NonceCheck::Ignored),
        limits: vec![Text::from("agent-burst")],
    }
}

/// The same, denied.
pub(crate) fn denial(reason: &'static str, status: u16) -> Record<'static> {
    let mut record = full();
    (record.verdict, record.reason, record.status) = (Verdict::Deny, Text::from(reason), status);
    record
}

/// As little as can be known of one.
pub(crate) fn bare(verdict: Verdict, reason: &'static str, status: u16) -> Record<'static> {
    let decision = Text::from("019aab7e-0000-7000-8000-000000000001");
    Record::new(time(), decision, verdict, Text::from(reason), status)
}

pub(crate) fn order(action: &'static str, outcome: AdminOutcome) -> AdminRecord<'static> {
    let id = Text::from("019aab7e-0000-7000-8000-000000000002");
    AdminRecord::new(time(), id, Text::from("local:0"), Text::from(action), outcome)
}

pub(crate) fn full_order() -> AdminRecord<'static> {
    let mut order = order("revoke", AdminOutcome::Failed);
    order.claimed = Some(Text::from("Olga"));
    order.kind = Some(Text::from("user"));
    order.name = Some(Text::from("corp:alice"));
    order.limit = Some(Text::from("agent-burst"));
    order.allowed = Some(Text::from("7/s"));
    order.not_before = Some(time());
    order.until = Some(time());
    order.reason = Some(Text::from("stolen laptop"));
    order.error = Some(Text::from("the store does not answer"));
    order
}

pub(crate) fn outcome() -> Outcome<'static> {
    Outcome::new(time(), Text::from("019aab7e-0000-7000-8000-000000000001"))
}

pub(crate) fn full_outcome() -> Outcome<'static> {
    let mut outcome = outcome();
    outcome.status = Some(503);
    outcome.answered_by = Some(AnsweredBy::Proxy);
    outcome.reached_upstream = Some(true);
    outcome.upstream = Some(Text::from("192.0.2.9:8080"));
    outcome.request_body_bytes = 17;
    outcome.response_body_bytes = 95;
    outcome.duration_us = Some(12_345);
    outcome.aborted_by = Some(AbortedBy::Upstream);
    outcome.flags = vec![Text::from("UC")];
    outcome
}

/// The lines about the records themselves.
pub(crate) fn others() -> Vec<String> {
    let line =
        |rest: &str, seq: u64| format!(r#"{{"v":1,"time":"{TIME}",{rest},"seq":{seq},"hash":"{HASH}"}}"#);
    let checkpoint = |rest: &str| {
        format!(
            r#""checkpoint":{{"writer":"{RUN}","from":1,"through":8,"head":"{HASH}","root":"{HASH}"{rest},"kid":"k","alg":"EdDSA"}},"signature":"{}""#,
            "A".repeat(86)
        )
    };
    let continues = format!(
        r#""open":{{"chain":1,"writer":"{RUN}","continues":{{"seq":9,"hash":"{HASH}"}},"torn":{{"bytes":3,"sha256":"{HASH}"}},"unchained":5,"unseen":true}}"#
    );
    vec![
        line(&format!(r#""open":{{"chain":1,"writer":"{RUN}"}}"#), 1),
        line(&continues, 10),
        line(&checkpoint(""), 11),
        line(&checkpoint(r#","closes":"file""#), 12),
        line(&checkpoint(r#","closes":"run""#), 13),
        line(r#""gap":3"#, 14),
        format!(
            r#"{{"v":1,"time":"{TIME}","sink_gap":{{"lines":3,"from":{{"writer":"{RUN}","seq":7}},"through":{{"writer":"{RUN}","seq":9}}}}}}"#
        ),
    ]
}

/// One of each kind, and of each class.
pub(crate) fn each() -> Vec<String> {
    let mut lines = vec![
        sealed(&full(), 2),
        sealed(&bare(Verdict::Permit, "permitted", 200), 3),
        sealed(&denial("policy_forbid", 403), 4),
        sealed(&denial("dpop_replay", 401), 5),
        sealed(&bare(Verdict::Deny, "credentials_missing", 401), 6),
        sealed(&bare(Verdict::Fault, "state_stale", 503), 7),
        sealed(&full_order(), 8),
        sealed(&order("suspend", AdminOutcome::Ordered), 9),
        sealed(&full_outcome(), 10),
        sealed(&outcome(), 11),
    ];
    lines.extend(others());
    lines
}
