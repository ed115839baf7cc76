//! Each refused proof differs from the accepted one by one thing.

mod content;
mod flips;
mod form;
mod window;

use serde_json::Value as Json;

use super::*;
use crate::testing::{agent_key, now, proof_claims, proof_header, target, token_digest};

fn verify_at(raw: &str, limits: &ProofLimits, now: Timestamp) -> Result<VerifiedProof, ProofError> {
    let expect = ProofExpectation { method: "GET", target: &target(), token: &token_digest(), limits };
    Proof::verify(raw, &expect, now)
}

fn verify(raw: &str) -> Result<VerifiedProof, ProofError> {
    verify_at(raw, &ProofLimits::default(), now())
}

fn with_header(header: &Json) -> Result<VerifiedProof, ProofError> {
    verify(&agent_key().sign(header, &proof_claims()))
}

fn with_claims(claims: &Json) -> Result<VerifiedProof, ProofError> {
    verify(&good_proof_of(claims))
}

fn good_proof_of(claims: &Json) -> String {
    agent_key().sign(&proof_header(&agent_key()), claims)
}

fn good_proof() -> String {
    good_proof_of(&proof_claims())
}
