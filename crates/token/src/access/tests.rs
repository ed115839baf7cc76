//! Each refused token differs from the accepted one by one thing.

mod authentication;
mod authorization_details;
mod claims;
mod confusion;
mod dates;
mod flips;
mod keys;
mod syntax;
mod usage;

use serde_json::Value as Json;

use super::*;
use crate::testing::{issuer_key, issuer_keys, now, profile, token_claims, token_header};

fn verify(raw: &str) -> Result<VerifiedToken, TokenError> {
    UnverifiedToken::parse(raw)?.verify(&profile(), &issuer_keys(), now())
}

fn with_header(header: &Json) -> Result<VerifiedToken, TokenError> {
    verify(&issuer_key().sign(header, &token_claims()))
}

fn with_claims(claims: &Json) -> Result<VerifiedToken, TokenError> {
    verify(&issuer_key().sign(&token_header(), claims))
}

fn good_token() -> String {
    issuer_key().sign(&token_header(), &token_claims())
}

#[test]
fn a_good_token_says_who() {
    let token = verify(&good_token()).unwrap();
    assert_eq!(token.issuer_name().as_str(), "corp");
    assert_eq!(token.client().as_str(), "corp:crm-bot");
    assert_eq!(token.user().unwrap().as_str(), "corp:alice");
    assert_eq!(token.tenant(), Some("acme"));
    assert_eq!((token.subject(), token.client_id(), token.jti()), ("alice", "crm-bot", "t-1"));
    assert!(token.scopes().contains("documents:read"));
    assert_eq!(token.audiences(), ["https://api.example.com"]);
    assert_eq!(token.issued_at(), crate::testing::at(-10));
    assert_eq!(token.expires_at(), crate::testing::at(300));
    assert_eq!(token.key_set(), Some(issuer_keys().id()));
    assert!(!token.confirmation().is_bound());
    assert_eq!(token.delegation().depth(), 0);
}
