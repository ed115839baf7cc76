use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::testing::{
    TestKey, agent_key, issuer_key, issuer_keys, now, profile, proof_claims, proof_header, target,
    token_claims, token_digest, token_header, with,
};
use crate::{Proof, ProofExpectation, ProofLimits, UnverifiedToken};

/// The certificate of RFC 8705 appendix A.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=-----END CERTIFICATE-----";
const X5T: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Bearer,
    Dpop,
    Certificate,
    Both,
}

fn jkt() -> String {
    agent_key().public().thumbprint().to_string()
}

fn token(cnf: Option<Json>) -> CurrentToken {
    let claims = cnf.map_or_else(token_claims, |cnf| with(&token_claims(), "cnf", cnf));
    let raw = issuer_key().sign(&token_header(), &claims);
    let token = UnverifiedToken::parse(&raw).unwrap().verify(&profile(), &issuer_keys(), now()).unwrap();
    Arc::new(token).current(now(), "https://api.example.com", &profile()).unwrap()
}

fn proof(key: &TestKey) -> VerifiedProof {
    let raw = key.sign(&proof_header(key), &proof_claims());
    let limits = ProofLimits::default();
    let expect =
        ProofExpectation { method: "GET", target: &target(), token: &token_digest(), limits: &limits };
    Proof::verify(&raw, &expect, now()).unwrap()
}

fn certificate() -> ClientCertificate {
    ClientCertificate::from_envoy(CERTIFICATE).unwrap()
}

fn other_certificate() -> ClientCertificate {
    let pem = "-----BEGIN CERTIFICATE-----MAA=-----END CERTIFICATE-----";
    ClientCertificate::from_envoy(pem).unwrap()
}

fn outcome(
    cnf: Option<Json>,
    scheme: Scheme,
    proof: Option<VerifiedProof>,
    certificate: Option<&ClientCertificate>,
) -> Result<Kind, BindingError> {
    let bound = bind(token(cnf), PresentedSender { scheme, proof, certificate })?;
    Ok(match bound.constraint() {
        Constraint::Bearer => Kind::Bearer,
        Constraint::Dpop(_) => Kind::Dpop,
        Constraint::Certificate(_) => Kind::Certificate,
        Constraint::Both(..) => Kind::Both,
    })
}

#[test]
fn unbound_tokens() {
    use Scheme::{Bearer, Dpop};
    let agent = agent_key();
    let certificate = certificate();
    assert_eq!(outcome(None, Bearer, None, None), Ok(Kind::Bearer));
    assert_eq!(outcome(None, Bearer, None, Some(&certificate)), Ok(Kind::Bearer));
    // D21
    assert_eq!(outcome(None, Dpop, Some(proof(&agent)), None), Err(BindingError::NotDpopBound));
    assert_eq!(outcome(None, Dpop, None, None), Err(BindingError::NotDpopBound));
    assert_eq!(outcome(None, Bearer, Some(proof(&agent)), None), Err(BindingError::NotDpopBound));
}

// D17, D22, A-33, A-34, G03, G04
#[test]
fn tokens_bound_to_a_key() {
    use Scheme::{Bearer, Dpop};
    let agent = agent_key();
    let certificate = certificate();
    let cnf = || Some(json!({"jkt": jkt()}));
    assert_eq!(outcome(cnf(), Dpop, Some(proof(&agent)), None), Ok(Kind::Dpop));
    assert_eq!(outcome(cnf(), Dpop, Some(proof(&agent)), Some(&certificate)), Ok(Kind::Dpop));
    assert_eq!(outcome(cnf(), Dpop, Some(proof(&TestKey::es256(3))), None), Err(BindingError::KeyMismatch));
    assert_eq!(outcome(cnf(), Dpop, Some(proof(&TestKey::ed25519())), None), Err(BindingError::KeyMismatch));
    assert_eq!(outcome(cnf(), Dpop, None, None), Err(BindingError::ProofMissing));
    assert_eq!(outcome(cnf(), Bearer, None, None), Err(BindingError::DpopBoundAsBearer));
    assert_eq!(outcome(cnf(), Bearer, Some(proof(&agent)), None), Err(BindingError::DpopBoundAsBearer));
    assert_eq!(outcome(cnf(), Bearer, None, Some(&certificate)), Err(BindingError::DpopBoundAsBearer));
}

// M01, A-43
#[test]
fn m01_tokens_bound_to_a_certificate() {
    use Scheme::{Bearer, Dpop};
    let (certificate, other) = (certificate(), other_certificate());
    let cnf = || Some(json!({"x5t#S256": X5T}));
    assert_eq!(outcome(cnf(), Bearer, None, Some(&certificate)), Ok(Kind::Certificate));
    assert_eq!(outcome(cnf(), Bearer, None, Some(&other)), Err(BindingError::CertificateMismatch));
    assert_eq!(outcome(cnf(), Bearer, None, None), Err(BindingError::CertificateMissing));
    assert_eq!(
        outcome(cnf(), Dpop, Some(proof(&agent_key())), Some(&certificate)),
        Err(BindingError::NotDpopBound)
    );
}

// D29: every constraint, not any.
#[test]
fn d29_tokens_bound_to_both() {
    use Scheme::{Bearer, Dpop};
    let agent = agent_key();
    let (certificate, other) = (certificate(), other_certificate());
    let cnf = || Some(json!({"jkt": jkt(), "x5t#S256": X5T}));
    assert_eq!(outcome(cnf(), Dpop, Some(proof(&agent)), Some(&certificate)), Ok(Kind::Both));
    assert_eq!(outcome(cnf(), Dpop, Some(proof(&agent)), None), Err(BindingError::CertificateMissing));
    assert_eq!(
        outcome(cnf(), Dpop, Some(proof(&agent)), Some(&other)),
        Err(BindingError::CertificateMismatch)
    );
    assert_eq!(
        outcome(cnf(), Dpop, Some(proof(&TestKey::es256(3))), Some(&certificate)),
        Err(BindingError::KeyMismatch)
    );
    assert_eq!(outcome(cnf(), Bearer, None, Some(&certificate)), Err(BindingError::DpopBoundAsBearer));
}

#[test]
fn the_proof_stays_with_the_token() {
    let presented = |proof| PresentedSender { scheme: Scheme::Dpop, proof, certificate: None };
    let bound = bind(token(Some(json!({"jkt": jkt()}))), presented(Some(proof(&agent_key())))).unwrap();
    assert_eq!(bound.proof().unwrap().key().to_string(), jkt());
    assert_eq!(bound.token().token().client().as_str(), "corp:crm-bot");
}
