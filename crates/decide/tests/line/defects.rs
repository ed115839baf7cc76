//! Any defect refuses, and of several the one that is checked first is named.

use exequatur_decide::{Fault, Reason, Refusal};
use exequatur_store::{Form, RevocationKind};
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::ask::{API, Ask, ISSUER, NOW, Proof, Token};
use crate::key::{self, digest};
use crate::world::{World, named};

/// What can be wrong with a request, in the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    Method,
    Path,
    Host,
    Route,
    Credentials,
    TokenType,
    Issuer,
    Expiry,
    Kid,
    TokenSignature,
    Audience,
    Htm,
    Htu,
    Iat,
    Ath,
    ProofSignature,
    Key,
    Tenant,
    Scope,
    Sender,
    Revoked,
    Replay,
    PolicyError,
    Forbid,
    NoPermit,
}

use Defect::*;

const ALL: [(Defect, Reason); 25] = [
    (Method, Reason::RequestMalformed),
    (Path, Reason::PathRefused),
    (Host, Reason::HostUnknown),
    (Route, Reason::RouteUnmatched),
    (Credentials, Reason::CredentialsMissing),
    (TokenType, Reason::TokenTypeInvalid),
    (Issuer, Reason::TokenIssuerUnknown),
    (Expiry, Reason::TokenExpired),
    (Kid, Reason::TokenKeyUnknown),
    (TokenSignature, Reason::TokenSignatureInvalid),
    (Audience, Reason::TokenAudienceMismatch),
    (Htm, Reason::DpopHtmMismatch),
    (Htu, Reason::DpopHtuMismatch),
    (Iat, Reason::DpopIatOutOfWindow),
    (Ath, Reason::DpopAthMismatch),
    (ProofSignature, Reason::DpopSignatureInvalid),
    (Key, Reason::DpopKeyMismatch),
    (Tenant, Reason::TenantMismatch),
    (Scope, Reason::ScopeInsufficient),
    (Sender, Reason::TokenBindingRequired),
    (Revoked, Reason::SessionRevoked),
    (Replay, Reason::DpopReplay),
    (PolicyError, Reason::PolicyError),
    (Forbid, Reason::PolicyForbid),
    (NoPermit, Reason::PolicyNoPermit),
];

/// A request with exactly these defects. Replay is the sender's part.
fn ask_with(defects: &[Defect]) -> Ask {
    let has = |defect| defects.contains(&defect);
    let pick = |defect, bad: &'static str, good: &'static str| if has(defect) { bad } else { good };
    let target = format!(
        "/tenants/acme/{}/{}/1",
        pick(Sender, "certified", "documents"),
        pick(Forbid, "secret", "internal")
    );
    let token = token_with(defects).sign();
    let proof = proof_with(defects, &target).sign(&token);
    let ask = if has(Credentials) { Ask::anonymous() } else { Ask::dpop(&token, &proof) };
    let target = format!("{target}{}{}", pick(Route, "/more", ""), pick(Path, "//", ""));
    ask.method(pick(Method, "GE T", "GET"))
        .at(pick(Host, "other.example.com", "api.example.com"))
        .to(if has(Route) { target.trim_start_matches("/tenants") } else { &target })
}

fn token_with(defects: &[Defect]) -> Token {
    let has = |defect| defects.contains(&defect);
    let mut scopes = vec![if has(Scope) { "documents:write" } else { "documents:read" }];
    if has(PolicyError) {
        scopes.push("broken");
    }
    let jkt = if has(Key) { key::Key::new(8) } else { key::Key::agent() }.thumbprint;
    let mut token = Token::bound()
        .with("iss", json!(if has(Issuer) { "https://evil.example.com" } else { ISSUER }))
        .with("aud", json!(if has(Audience) { "https://files.example.com" } else { API }))
        .with("exp", json!(if has(Expiry) { NOW - 5 } else { NOW + 300 }))
        .with("tenant", json!(if has(Tenant) { "globex" } else { "acme" }))
        .with("client_id", json!(if has(NoPermit) { "other-bot" } else { "crm-bot" }))
        .with("scope", json!(scopes.join(" ")))
        .with("cnf", json!({ "jkt": jkt }));
    if has(Revoked) {
        token = token.with("sid", json!("stolen"));
    }
    if has(TokenType) {
        token.header["typ"] = json!("dpop+jwt");
    }
    if has(Kid) {
        token.header["kid"] = json!("k9");
    }
    if has(TokenSignature) { token.signed_by(key::Key::stranger()) } else { token }
}

fn proof_with(defects: &[Defect], target: &str) -> Proof {
    let has = |defect| defects.contains(&defect);
    let mut proof = Proof::new()
        .with("htm", if has(Htm) { "POST" } else { "GET" })
        .with("htu", if has(Htu) { format!("{API}/other") } else { format!("{API}{target}") })
        .with("iat", if has(Iat) { NOW - 66 } else { NOW });
    if has(Ath) {
        proof = proof.with("ath", digest(b"another token"));
    }
    if has(ProofSignature) {
        proof.signer = key::Key::stranger();
    }
    proof
}

/// In which one session is revoked.
async fn world() -> World {
    let world = World::new().await;
    world.revoke(&named(RevocationKind::Session, "corp:stolen"), Form::Total).await;
    world
}

async fn outcome(world: &World, defects: &[Defect]) -> Option<Reason> {
    let ask = ask_with(defects);
    if defects.contains(&Replay) {
        // Permitted or not, this uses the proof up if anything later than the store refuses it.
        drop(world.check(&ask).await);
    }
    world.check(&ask).await.err().map(|refusal| refusal.reason())
}

fn expected(defects: &[Defect]) -> Option<Reason> {
    ALL.iter().find(|(defect, _)| defects.contains(defect)).map(|(_, reason)| *reason)
}

/// Every defect alone, and every two.
#[tokio::test]
async fn of_two_defects_the_earlier_is_named() {
    let world = world().await;
    assert_eq!(outcome(&world, &[]).await, None);
    for (one, _) in ALL {
        for (two, _) in ALL {
            assert_eq!(outcome(&world, &[one, two]).await, expected(&[one, two]), "{one:?} {two:?}");
        }
    }
}

#[test]
fn a_permit_is_a_request_without_defects() {
    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(world());
    // Few defects more often than many, and late ones as often as early ones.
    let few = subsequence(ALL.to_vec(), 0..=4);
    let many = subsequence(ALL.to_vec(), 0..=ALL.len());
    let late = subsequence(ALL[ALL.len() - 8..].to_vec(), 0..=8);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(192) };
    proptest!(config, |(defects in prop_oneof![2 => few, 1 => many, 1 => late])| {
        let defects: Vec<_> = defects.into_iter().map(|(defect, _)| defect).collect();
        prop_assert_eq!(runtime.block_on(outcome(&world, &defects)), expected(&defects));
    });
}

/// Whatever path is accepted has a target that a proof can name: no client can cause an internal error.
#[test]
fn no_path_is_our_fault() {
    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let id = prop_oneof![
        "[!-~]{1,12}",
        "(%[0-9A-Fa-f]{2}|[a-z]){1,6}",
        "\\PC{1,6}",
        "[a-z!$&'()*+,=:@~_.-]{1,12}",
    ];
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) };
    proptest!(config, |(id in id)| {
        let target = format!("/tenants/acme/documents/internal/{id}");
        let result = runtime.block_on(world.check(&Ask::anonymous().to(&target)));
        // A slash in it makes another path, which is public.
        prop_assert_ne!(result.err(), Some(Refusal::Faulted(Fault::Internal)));
    });
}
