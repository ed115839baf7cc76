//! The rows.

use exequatur_tests::jwt::{digest, now, payload, with_broken_signature};
use exequatur_tests::orders::{command_at, order};
use exequatur_tests::{Agent, Call, Stack, in_time};
use serde_json::{Value, json};

use crate::ledger::{Expected, Ledger, Shown, Step};
use crate::{federation, granted, on_behalf, step_up};

const DOCUMENT: &str = "/tenants/acme/documents/plan";

/// What the tour adds to the configuration: a limit that is reached.
pub(crate) const LIMITS: (&str, &str) = (
    "records: {",
    "limits:\n  - { name: writes, per: agent, rate: 1/h, burst: 2, routes: [write-document] }\nrecords: {",
);

/// Who calls, and with what.
struct Cast {
    agent: Agent,
    thief: Agent,
    token: String,
}

pub(crate) async fn all(ledger: &mut Ledger) -> Result<(), String> {
    let agent = Agent::new();
    let token = ledger.stack().tokens.token(&agent, &Value::Null);
    let cast = Cast { agent, thief: Agent::new(), token };
    let read = permitted(ledger, &cast).await?;
    limited(ledger, &cast).await?;
    wrong_tokens(ledger, &cast).await?;
    wrong_proofs(ledger, &cast, &read).await?;
    not_allowed(ledger, &cast).await?;
    on_behalf::all(ledger, &cast.agent).await?;
    step_up::all(ledger, &cast.agent).await?;
    granted::all(ledger, &cast.agent).await?;
    federation::all(ledger, &cast.agent).await?;
    stopped(ledger, &cast).await?;
    restart(ledger, &cast).await
}

/// A permitted read; returns the proof that was used.
async fn permitted(ledger: &mut Ledger, cast: &Cast) -> Result<String, String> {
    let shown = Shown::Proven { agent: &cast.agent, token: &cast.token, claims: &Value::Null };
    let step = Step {
        what: "read a document",
        expected: Expected::Permit,
        method: "GET",
        path: DOCUMENT,
        shown,
        fields: &[],
    };
    let read = ledger.row(step.clone()).await?;
    ledger.row(Step { what: "write a document", method: "PUT", ..step.clone() }).await?;
    // One that is set anew, and three that are not: another spelling, a name without a value, an override.
    let forged = [
        ("x-exequatur-user", "corp:root"),
        ("x_exequatur_agent", "corp:root"),
        ("x-exequatur-delegation", "corp:root"),
        ("x-http-method-override", "DELETE"),
    ];
    ledger.row(Step { what: "read, with forged identity headers", fields: &forged, ..step.clone() }).await?;
    let authorization = format!("DPoP {}", cast.token);
    ledger
        .row(Step {
            what: "public route, with forged headers and a token",
            expected: Expected::Public,
            path: "/healthz",
            shown: Shown::AsIs { authorization: Some(&authorization), proof: None },
            fields: &forged,
            ..step
        })
        .await?;
    read.proof.ok_or_else(|| "the permitted read had no proof".to_owned())
}

/// The agent may write twice an hour ([`LIMITS`]), and has written once.
async fn limited(ledger: &mut Ledger, cast: &Cast) -> Result<(), String> {
    let step = Step {
        what: "write a second time",
        expected: Expected::Permit,
        method: "PUT",
        path: DOCUMENT,
        shown: Shown::Proven { agent: &cast.agent, token: &cast.token, claims: &Value::Null },
        fields: &[],
    };
    ledger.row(step.clone()).await?;
    let expected = Expected::Deny(429, &["rate_limited"]);
    let answer = ledger.row(Step { what: "write beyond the limit", expected, ..step.clone() }).await?;
    if !answer.field("ratelimit").starts_with("\"writes\";r=0;t=") || answer.field("retry-after").is_empty() {
        return Err(format!("the caller was not told of the limit: {answer:?}"));
    }
    ledger.row(Step { what: "read beside the limit", method: "GET", ..step.clone() }).await?;
    let raise = ["limits", "set", "writes", "--agent", "corp:crm-bot", "--rate", "1/h", "--burst", "1"];
    order(ledger.stack(), &raise).await?;
    heard_by_all(ledger.stack()).await?;
    ledger.row(Step { what: "write, once the operator gave the agent one more", ..step }).await.map(drop)
}

/// Other replicas follow within half a second.
async fn heard_by_all(stack: &Stack) -> Result<(), String> {
    for socket in ["admin.sock", "second.sock"].into_iter().filter(|name| stack.folder().join(name).exists())
    {
        let heard = async {
            loop {
                let shown =
                    command_at(stack, socket, &["limits", "show", "--output", "json"]).await?.json()?;
                if shown["overrides"].as_array().is_some_and(|overrides| !overrides.is_empty()) {
                    return Ok::<_, String>(());
                }
            }
        };
        in_time("every replica has heard of the limit", heard).await?;
    }
    Ok(())
}

async fn wrong_tokens(ledger: &mut Ledger, cast: &Cast) -> Result<(), String> {
    deny(ledger, "no token", 401, &["credentials_missing"], Shown::AsIs { authorization: None, proof: None })
        .await?;

    let expired = json!({ "iat": now() - 600, "exp": now() - 300 });
    let changed: [(&str, Value, &'static [&'static str]); 3] = [
        ("expired token", expired, &["token_expired"]),
        (
            "token for another audience",
            json!({ "aud": "https://other.example.com" }),
            &["token_audience_mismatch"],
        ),
        (
            "token of an unknown issuer",
            json!({ "iss": "https://sts.example.net" }),
            &["token_issuer_unknown"],
        ),
    ];
    for (what, changes, reasons) in changed {
        let token = ledger.stack().tokens.token(&cast.agent, &changes);
        let shown = Shown::Proven { agent: &cast.agent, token: &token, claims: &Value::Null };
        deny(ledger, what, 401, reasons, shown).await?;
    }

    let broken = with_broken_signature(&cast.token);
    let shown = Shown::Proven { agent: &cast.agent, token: &broken, claims: &Value::Null };
    deny(ledger, "token with a changed signature", 401, &["token_signature_invalid"], shown).await?;

    let bearer = format!("Bearer {}", cast.token);
    let shown = Shown::AsIs { authorization: Some(&bearer), proof: None };
    deny(ledger, "bound token shown as a bearer token", 401, &["dpop_bound_token_as_bearer"], shown).await?;

    let shown = Shown::Proven { agent: &cast.thief, token: &cast.token, claims: &Value::Null };
    deny(ledger, "stolen token, proof by the thief's own key", 401, &["dpop_key_mismatch"], shown).await?;

    let both = json!({ "cnf": { "jkt": cast.agent.key.thumbprint(), "x5t#S256": digest("certificate") } });
    let token = ledger.stack().tokens.token(&cast.agent, &both);
    let shown = Shown::Proven { agent: &cast.agent, token: &token, claims: &Value::Null };
    let what = "token bound to a certificate too, without it";
    deny(ledger, what, 401, &["mtls_cert_missing"], shown).await?;

    let unbound = format!("Bearer {}", ledger.stack().tokens.token(&cast.agent, &json!({ "cnf": null })));
    let shown = Shown::AsIs { authorization: Some(&unbound), proof: None };
    deny(ledger, "token bound to nothing", 401, &["token_binding_required"], shown).await?;

    let actors = (1..=6).fold(Value::Null, |inner, depth| match inner {
        Value::Null => json!({ "sub": format!("actor-{depth}") }),
        inner => json!({ "sub": format!("actor-{depth}"), "act": inner }),
    });
    let token = ledger.stack().tokens.token(&cast.agent, &json!({ "act": actors }));
    let shown = Shown::Proven { agent: &cast.agent, token: &token, claims: &Value::Null };
    deny(ledger, "token handed on by six actors", 401, &["delegation_too_deep"], shown).await
}

async fn wrong_proofs(ledger: &mut Ledger, cast: &Cast, used: &str) -> Result<(), String> {
    let dpop = format!("DPoP {}", cast.token);
    let once = |proof| Shown::AsIs { authorization: Some(dpop.as_str()), proof };
    deny(ledger, "replay of the first read's proof", 401, &["dpop_replay"], once(Some(used))).await?;
    deny(ledger, "no proof", 401, &["dpop_proof_missing"], once(None)).await?;

    let elsewhere = ledger.stack().url("/tenants/acme/documents/other");
    let changed: [(&str, Value, &'static [&'static str]); 4] = [
        ("proof for another method", json!({ "htm": "PUT" }), &["dpop_htm_mismatch"]),
        ("proof for another URL", json!({ "htu": elsewhere }), &["dpop_htu_mismatch"]),
        ("proof of two minutes ago", json!({ "iat": now() - 120 }), &["dpop_iat_out_of_window"]),
        ("proof for another token", json!({ "ath": digest("another") }), &["dpop_ath_mismatch"]),
    ];
    for (what, claims, reasons) in changed {
        let shown = Shown::Proven { agent: &cast.agent, token: &cast.token, claims: &claims };
        deny(ledger, what, 401, reasons, shown).await?;
    }

    // With the nonce of the first read: right after a start, nothing else than what the rows name is to be wrong.
    let nonce = json!({ "nonce": payload(used)["nonce"] });
    let proof = cast.agent.proof("GET", &ledger.stack().url(DOCUMENT), &cast.token, &nonce);
    let broken = with_broken_signature(&proof);
    deny(ledger, "proof with a changed signature", 401, &["dpop_signature_invalid"], once(Some(&broken)))
        .await?;

    let step = Step {
        what: "two proofs",
        expected: Expected::Deny(401, &["dpop_proof_multiple"]),
        method: "GET",
        path: DOCUMENT,
        shown: once(Some(&proof)),
        fields: &[("dpop", proof.as_str())],
    };
    ledger.row(step).await.map(drop)
}

async fn not_allowed(ledger: &mut Ledger, cast: &Cast) -> Result<(), String> {
    let only_read = ledger.stack().tokens.token(&cast.agent, &json!({ "scope": "documents:read" }));
    let shown = Shown::Proven { agent: &cast.agent, token: &cast.token, claims: &Value::Null };
    let step = Step {
        what: "document of another tenant",
        expected: Expected::Deny(403, &["tenant_mismatch"]),
        method: "GET",
        path: "/tenants/globex/documents/plan",
        shown,
        fields: &[],
    };
    ledger.row(step.clone()).await?;
    let narrow = Shown::Proven { agent: &cast.agent, token: &only_read, claims: &Value::Null };
    ledger
        .row(Step {
            what: "write with a token that may only read",
            expected: Expected::Deny(403, &["scope_insufficient"]),
            method: "PUT",
            path: DOCUMENT,
            shown: narrow,
            ..step.clone()
        })
        .await?;
    ledger
        .row(Step {
            what: "document that the policies keep from this agent",
            expected: Expected::Deny(403, &["policy_forbid"]),
            path: "/tenants/acme/sealed/plan",
            ..step.clone()
        })
        .await?;
    ledger
        .row(Step {
            what: "sharing, which no policy permits with these scopes",
            expected: Expected::Deny(403, &["policy_no_permit"]),
            method: "POST",
            path: "/tenants/acme/documents/plan/share",
            ..step.clone()
        })
        .await?;
    ledger
        .row(Step {
            what: "path without a route",
            expected: Expected::Deny(403, &["route_unmatched"]),
            path: "/admin",
            ..step.clone()
        })
        .await?;
    ledger
        .row(Step {
            what: "path with an escaped slash",
            expected: Expected::Deny(400, &["path_refused"]),
            path: "/tenants/acme/..%2f",
            ..step.clone()
        })
        .await?;
    ledger
        .row(Step {
            what: "read, with an override that another spelling hides",
            expected: Expected::Deny(400, &["request_malformed"]),
            path: DOCUMENT,
            fields: &[("x_http_method_override", "DELETE")],
            ..step
        })
        .await
        .map(drop)
}

/// Somebody on call stops the agent, the user and everything, and lets them go again.
async fn stopped(ledger: &mut Ledger, cast: &Cast) -> Result<(), String> {
    let shown = Shown::Proven { agent: &cast.agent, token: &cast.token, claims: &Value::Null };
    let step =
        Step { what: "", expected: Expected::Permit, method: "GET", path: DOCUMENT, shown, fields: &[] };
    let orders: [(&[&str], &str, Expected); 6] = [
        (
            &["agents", "suspend", "corp:crm-bot"],
            "read, the agent suspended",
            Expected::Deny(403, &["agent_suspended"]),
        ),
        (&["agents", "resume", "corp:crm-bot"], "read, the agent resumed", Expected::Permit),
        (
            &["revoke", "agent", "corp:crm-bot"],
            "read, the agent revoked",
            Expected::Deny(401, &["agent_revoked"]),
        ),
        (
            &["revoke", "undo", "agent", "corp:crm-bot"],
            "read, the agent's revocation undone",
            Expected::Permit,
        ),
        (&["kill", "--all", "--yes"], "read, everything stopped", Expected::Deny(403, &["killed"])),
        (&["revoke", "undo", "all"], "read, the kill switch undone", Expected::Permit),
    ];
    for (words, what, expected) in orders {
        ledger.say(&format!("    exequatur {}", words.join(" ")));
        order(ledger.stack(), words).await?;
        ledger.row(Step { what, expected, ..step.clone() }).await?;
    }
    Ok(())
}

/// What may have been forgotten is not guessed at. The memory is Exequatur's own, or that of Redis.
async fn restart(ledger: &mut Ledger, cast: &Cast) -> Result<(), String> {
    let shown = Shown::Proven { agent: &cast.agent, token: &cast.token, claims: &Value::Null };
    let step = Step {
        what: "read (somebody keeps a copy of this proof)",
        expected: Expected::Permit,
        method: "GET",
        path: DOCUMENT,
        shown,
        fields: &[],
    };
    let captured = ledger.row(step.clone()).await?.proof.unwrap_or_default();
    let dpop = format!("DPoP {}", cast.token);
    let copy = Shown::AsIs { authorization: Some(&dpop), proof: Some(&captured) };
    // The copy has a nonce of the time before, or none if it was made long after the start.
    let doubted = Expected::Deny(401, &["dpop_nonce_invalid", "dpop_nonce_required"]);
    ledger.say("    Exequatur is killed and started again.");
    ledger.stack_mut().restart_exequatur().await?;
    let shared = ledger.stack().has_redis();
    let expected = if shared { Expected::Deny(401, &["dpop_replay"]) } else { doubted };
    let what = "the copied proof, after the restart";
    ledger.row(Step { what, expected, shown: copy, ..step.clone() }).await?;
    ledger.row(Step { what: "read by a stock client, after the restart", ..step.clone() }).await?;
    if !shared {
        return Ok(());
    }
    ledger.say("    Redis is killed.");
    ledger.stack_mut().redis().kill().map_err(|error| error.to_string())?;
    let expected = Expected::Deny(503, &["replay_store_unavailable"]);
    ledger.row(Step { what: "read, without Redis", expected, ..step.clone() }).await?;
    ledger.say("    Redis is started again, and has forgotten everything.");
    ledger.stack_mut().redis().start_again().map_err(|error| error.to_string())?;
    ledger.stack().until_stores_are_up().await?;
    let what = "the copied proof, after the loss";
    ledger.row(Step { what, expected: doubted, shown: copy, ..step.clone() }).await?;
    ledger.row(Step { what: "read by a stock client, after the loss", ..step }).await.map(drop)
}

async fn deny(
    ledger: &mut Ledger,
    what: &str,
    status: u16,
    reasons: &'static [&'static str],
    shown: Shown<'_>,
) -> Result<(), String> {
    let expected = Expected::Deny(status, reasons);
    ledger.row(Step { what, expected, method: "GET", path: DOCUMENT, shown, fields: &[] }).await.map(drop)
}

/// A `curl` command with a fresh proof, good once.
pub(crate) async fn curl(stack: &exequatur_tests::Stack, agent: &Agent) -> Result<String, String> {
    let url = stack.url(DOCUMENT);
    let token = stack.tokens.token(agent, &Value::Null);
    let authorization = format!("DPoP {token}");
    // A first request tells whether a nonce is wanted just now.
    let probe = agent.proof("GET", &url, &token, &Value::Null);
    let answer = stack.send(&Call::new("GET", &url), Some(&authorization), Some(&probe)).await?;
    let claims = answer.demanded_nonce().map_or(Value::Null, |nonce| json!({ "nonce": nonce }));
    let proof = agent.proof("GET", &url, &token, &claims);
    Ok(format!("curl -i '{url}' -H 'Authorization: DPoP {token}' -H 'DPoP: {proof}'"))
}
