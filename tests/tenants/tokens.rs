//! A token of each kind: layout, tenant, what it says of tenants, and what it is bound to.

use std::sync::Arc;

use exequatur_tests::agent::Agent;
use exequatur_tests::jwt::merged;
use serde_json::{Value, json};

use crate::TENANTS;
use crate::site::{API, Certificate, NOW, Site};

/// What a token is bound to, and its holder shows.
#[derive(Debug)]
pub(crate) enum Binding {
    Bearer,
    Dpop(Arc<Agent>),
    Certificate(Certificate),
}

/// A signed token, and what is to be made of it.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) name: String,
    /// Whose it is: the position of the tenant that sends it.
    pub(crate) sender: usize,
    pub(crate) raw: String,
    pub(crate) binding: Binding,
    pub(crate) issuer: String,
    /// The tenant that it is of.
    pub(crate) tenant: Option<&'static str>,
    /// Why it is none.
    pub(crate) refused: Option<&'static str>,
}

/// A kind of token, of one sender.
struct Kind {
    name: &'static str,
    /// The issuer's name, and the one whose key signs.
    issuer: String,
    signer: String,
    claims: Value,
    tenant: Option<&'static str>,
    refused: Option<&'static str>,
}

/// Every kind, for each tenant and each binding.
pub(crate) fn tokens(site: &Site) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (sender, own) in TENANTS.into_iter().enumerate() {
        let other = TENANTS[(sender + 1) % TENANTS.len()];
        for kind in kinds(own, other) {
            for binding in ["bearer", "dpop", "certificate"] {
                tokens.push(signed(site, sender, &kind, binding, tokens.len()));
            }
        }
    }
    tokens
}

/// A token of one agent with one key for each tenant, from the issuer that speaks for all.
pub(crate) fn of_one_agent(site: &Site) -> Vec<Token> {
    let key = Arc::new(Agent::new());
    let sign = |(sender, tenant): (usize, &'static str)| {
        let claims = json!({
            "iss": site.issuer("corp"), "sub": "alice", "aud": API, "scope": "", "jti": format!("one-{sender}"), "tenant": tenant,
            "client_id": "bot", "iat": NOW - 10, "exp": NOW + 600, "cnf": key.confirmation(),
        });
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k1" });
        Token {
            name: format!("one agent's of {tenant}"),
            sender,
            raw: site.key("corp").sign(&header, &claims),
            binding: Binding::Dpop(Arc::clone(&key)),
            issuer: "corp".to_owned(),
            tenant: Some(tenant),
            refused: None,
        }
    };
    TENANTS.into_iter().enumerate().map(sign).collect()
}

fn kinds(own: &'static str, other: &'static str) -> Vec<Kind> {
    let kind = |name, issuer: &str, claims, tenant, refused| Kind {
        name,
        issuer: issuer.to_owned(),
        signer: issuer.to_owned(),
        claims,
        tenant,
        refused,
    };
    let (of_own, path) = (format!("own-{own}"), format!("kc-{own}"));
    let (another_realm, another_own) = (format!("kc-{other}"), format!("own-{other}"));
    let upper = own.to_uppercase();
    let invalid = Some("token_claim_invalid");
    let mut kinds = vec![
        kind("claim", "corp", json!({ "tenant": own }), Some(own), None),
        kind("claim, of no tenant", "corp", json!({}), None, None),
        kind("claim, spelled otherwise", "corp", json!({ "tenant": upper }), None, invalid),
        kind("claim, a list", "corp", json!({ "tenant": [own] }), None, invalid),
        kind("claim, empty", "corp", json!({ "tenant": "" }), None, invalid),
        kind("own issuer", &of_own, json!({}), Some(own), None),
        kind("own issuer, saying so", &of_own, json!({ "tenant": own }), Some(own), None),
        kind("own issuer, saying another", &of_own, json!({ "tenant": other }), None, invalid),
        kind("path", &path, json!({}), Some(own), None),
        // No claim says a tenant here, so what one says is nothing.
        kind("path, saying another", &path, json!({ "tenant": other }), Some(own), None),
    ];
    // the issuer of another tenant, and a key of one's own; keys have the same id everywhere.
    let foreign = |name, issuer: &str, signer: &str, claims, refused| Kind {
        signer: signer.to_owned(),
        ..kind(name, issuer, claims, None, Some(refused))
    };
    let signature = "token_signature_invalid";
    kinds.extend([
        foreign("another realm, own key", &another_realm, &path, json!({}), signature),
        foreign("another's issuer, own key", &another_own, &of_own, json!({ "tenant": other }), signature),
        foreign("the claim issuer, own key", "corp", &path, json!({ "tenant": other }), signature),
        foreign("own realm, the claim issuer's key", &path, "corp", json!({ "tenant": own }), signature),
    ]);
    let unknown = "token_issuer_unknown";
    for (name, issuer) in [
        ("a realm that is not listed", "https://kc.example.com/realms/hooli".to_owned()),
        ("a realm's name and more", format!("https://kc.example.com/realms/{other}/")),
        ("a realm's name in capitals", format!("https://kc.example.com/realms/{}", other.to_uppercase())),
        ("a realm through another", format!("https://kc.example.com/realms/{own}/../{other}")),
        ("the pattern itself", "https://kc.example.com/realms/{tenant}".to_owned()),
    ] {
        kinds.push(foreign(name, &path, &path, json!({ "iss": issuer }), unknown));
    }
    kinds
}

fn signed(site: &Site, sender: usize, kind: &Kind, binding: &str, number: usize) -> Token {
    let (binding, confirmation) = match binding {
        "dpop" => {
            let agent = Arc::new(Agent::new());
            let confirmation = json!({ "cnf": agent.confirmation() });
            (Binding::Dpop(agent), confirmation)
        }
        "certificate" => {
            let certificate = Certificate::of(number);
            let confirmation = json!({ "cnf": { "x5t#S256": certificate.thumbprint } });
            (Binding::Certificate(certificate), confirmation)
        }
        _ => (Binding::Bearer, json!({})),
    };
    let usual = json!({
        "iss": site.issuer(&kind.issuer), "sub": "alice", "aud": API, "scope": "documents:read", "jti": format!("t-{number}"),
        // One agent for all tenants of an issuer would be the same one; here each tenant has its own.
        "client_id": format!("{}-bot", kind.tenant.unwrap_or("nobody")), "iat": NOW - 10, "exp": NOW + 600,
    });
    let claims = merged(merged(usual, &kind.claims), &confirmation);
    let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k1" });
    Token {
        name: format!("{} of {}, {binding:?}", kind.name, TENANTS[sender]).chars().take(80).collect(),
        sender,
        raw: site.key(&kind.signer).sign(&header, &claims),
        binding,
        issuer: kind.issuer.clone(),
        tenant: kind.tenant,
        refused: kind.refused,
    }
}
