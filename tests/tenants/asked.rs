//! The layouts of tenants in which the issuer is asked about its tokens: by a claim of its answer, and by the path of the issuer. What
//! it says is kept, so that all the tenants' answers are beside one another.

use std::sync::Arc;

use exequatur_tests::agent::Agent;
use exequatur_tests::jwt::merged;
use serde_json::{Value, json};

use crate::TENANTS;
use crate::site::{API, Certificate, NOW, Site};
use crate::tokens::{Binding, Token};

/// The issuer that speaks for all tenants, and what its tokens begin with.
const FOR_ALL: (&str, &str) = ("opaque", "o");

/// What a token of these layouts differs in.
struct Kind {
    name: &'static str,
    /// The issuer that is asked, and what its tokens begin with.
    issuer: String,
    prefix: String,
    /// The one that knows the token, if any does.
    known_to: Option<String>,
    claims: Value,
    tenant: Option<&'static str>,
    refused: Option<&'static str>,
}

/// Every kind, for each tenant and each binding.
pub(crate) fn tokens(site: &Site) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (sender, own) in TENANTS.into_iter().enumerate() {
        let other = TENANTS[(sender + 1) % TENANTS.len()];
        for kind in kinds(site, own, other) {
            for binding in ["bearer", "dpop", "certificate"] {
                tokens.push(known(site, sender, &kind, binding, tokens.len()));
            }
        }
    }
    tokens
}

fn kinds(site: &Site, own: &'static str, other: &'static str) -> Vec<Kind> {
    let (issuer, prefix) = FOR_ALL;
    let said = |name, claims, tenant, refused| Kind {
        name,
        issuer: issuer.to_owned(),
        prefix: prefix.to_owned(),
        known_to: Some(issuer.to_owned()),
        claims,
        tenant,
        refused,
    };
    let realm = |of: &str| format!("opaque-{of}");
    let of_path = |name, claims, tenant, refused| Kind {
        issuer: realm(own),
        prefix: own.to_owned(),
        known_to: Some(realm(own)),
        ..said(name, claims, tenant, refused)
    };
    let (invalid, unknown, inactive) =
        (Some("token_claim_invalid"), Some("token_issuer_unknown"), Some("token_inactive"));
    let (ours, theirs) = (site.issuer(&realm(own)), site.issuer(&realm(other)));
    vec![
        said("answer", json!({ "tenant": own }), Some(own), None),
        said("answer, of no tenant", json!({}), None, None),
        said("answer, spelled otherwise", json!({ "tenant": own.to_uppercase() }), None, invalid),
        said("answer, a list", json!({ "tenant": [own] }), None, invalid),
        said("answer, of a realm", json!({ "tenant": own, "iss": ours }), None, unknown),
        Kind { known_to: None, ..said("no answer's", json!({}), None, inactive) },
        Kind { known_to: Some(realm(own)), ..said("known to a realm alone", json!({}), None, inactive) },
        of_path("asked realm", json!({}), Some(own), None),
        // No claim says a tenant here, so what one says is nothing.
        of_path("asked realm, saying another", json!({ "tenant": other }), Some(own), None),
        of_path("asked realm, in another's name", json!({ "iss": theirs }), None, unknown),
        // Somebody's token is asked about where its beginning says, and nowhere else.
        Kind {
            issuer: realm(other),
            prefix: other.to_owned(),
            ..of_path("asked realm, as another's", json!({ "iss": theirs }), None, inactive)
        },
    ]
}

fn known(site: &Site, sender: usize, kind: &Kind, binding: &str, number: usize) -> Token {
    let (binding, bound) = match binding {
        "dpop" => {
            let agent = Arc::new(Agent::new());
            let bound = json!({ "cnf": agent.confirmation(), "token_type": "DPoP" });
            (Binding::Dpop(agent), bound)
        }
        "certificate" => {
            let certificate = Certificate::of(1000 + number);
            let bound = json!({ "cnf": { "x5t#S256": certificate.thumbprint } });
            (Binding::Certificate(certificate), bound)
        }
        _ => (Binding::Bearer, json!({})),
    };
    let raw = format!("{}_{number}", kind.prefix);
    if let Some(knows) = &kind.known_to {
        let usual = json!({
            "token_type": "Bearer", "iss": site.issuer(&kind.issuer), "sub": "alice", "aud": API, "scope": "documents:read",
            "client_id": format!("{}-bot", kind.tenant.unwrap_or("nobody")), "iat": NOW - 10, "exp": NOW + 600,
        });
        site.asked.know(knows, &raw, &merged(merged(usual, &kind.claims), &bound));
    }
    Token {
        name: format!("{} of {}, {binding:?}", kind.name, TENANTS[sender]).chars().take(80).collect(),
        sender,
        raw,
        binding,
        issuer: kind.issuer.clone(),
        tenant: kind.tenant,
        refused: kind.refused,
    }
}
