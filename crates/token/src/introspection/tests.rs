//! Each refused answer differs from the accepted one by one thing.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::TokenSource;
use crate::testing::{
    NOW, TestKey, at, issuer_key, issuer_keys, now, profile, token_claims, token_header, with, without,
};

const US: &str = "exequatur";
const API: &str = "https://api.example.com";

fn opaque() -> TokenDigest {
    TokenDigest::of("ory_at_1234")
}

/// What a server says of an opaque token: no `jti`.
fn said() -> Json {
    let said = with(&without(&token_claims(), "jti"), "active", json!(true));
    with(&said, "token_type", json!("Bearer"))
}

fn header() -> Json {
    json!({"typ": "token-introspection+jwt", "alg": "ES256", "kid": "k1"})
}

fn payload(said: &Json) -> Json {
    json!({"iss": "https://sts.example.com", "aud": US, "iat": NOW, "token_introspection": said})
}

fn signed(header: &Json, payload: &Json) -> Result<Answer, AnswerError> {
    signed_by(&issuer_key(), header, payload, now())
}

fn signed_by(key: &TestKey, header: &Json, payload: &Json, now: Timestamp) -> Result<Answer, AnswerError> {
    Answer::signed(key.sign(header, payload).as_bytes(), US, &profile(), &issuer_keys(), now)
}

fn plain(said: &Json) -> Result<Answer, AnswerError> {
    Answer::plain(said.to_string().as_bytes())
}

fn active(answer: Result<Answer, AnswerError>) -> ActiveAnswer {
    match answer.unwrap() {
        Answer::Active(active) => active,
        Answer::Inactive => panic!("inactive"),
    }
}

fn token(said: &Json) -> Result<VerifiedToken, TokenError> {
    active(plain(said)).token(&opaque(), &profile(), now())
}

fn is_inactive(answer: &Result<Answer, AnswerError>) -> bool {
    matches!(answer, Ok(Answer::Inactive))
}

#[test]
fn an_active_token_says_who() {
    let signed_answer = active(signed(&header(), &payload(&said())));
    let signed_token = signed_answer.token(&opaque(), &profile(), now()).unwrap();
    assert_eq!(signed_token.key_set(), Some(issuer_keys().id()));
    let plain_token = token(&said()).unwrap();
    assert_eq!(plain_token.key_set(), None);
    for token in [signed_token, plain_token] {
        assert_eq!(token.source(), TokenSource::Introspection);
        assert_eq!(token.client().as_str(), "corp:crm-bot");
        assert_eq!(token.user().unwrap().as_str(), "corp:alice");
        assert_eq!(token.tenant(), Some("acme"));
        assert!(token.scopes().contains("documents:read"));
        assert_eq!(token.expires_at(), at(300));
        // The token's own digest is what it is revoked by.
        assert_eq!(token.jti(), opaque().to_string());
        let token = Arc::new(token);
        assert!(token.current(now(), API, &profile()).is_ok());
        // S03, J03, J05: at each use, whatever the server said.
        let outcome = |seconds: i64, audience: &str| {
            token.current(at(seconds), audience, &profile()).map(|_current| ()).unwrap_err()
        };
        assert_eq!(outcome(0, "https://files.example.com"), TokenError::AudienceMismatch);
        assert_eq!(outcome(305, API), TokenError::Expired);
    }
    let named = token(&with(&said(), "jti", json!("t-1"))).unwrap();
    assert_eq!(named.jti(), "t-1");
}

// S03: only JSON's `true` is a yes.
#[test]
fn s03_active_is_true_and_nothing_else() {
    for not in [json!("true"), json!(1), json!(false), json!(null), json!([true]), json!({})] {
        let said = with(&said(), "active", not.clone());
        assert!(is_inactive(&plain(&said)), "{not}");
        assert!(is_inactive(&signed(&header(), &payload(&said))), "{not}");
    }
    let missing = Err(AnswerError::ClaimMissing(Claim::Active));
    let outcome = |answer: Result<Answer, AnswerError>| answer.map(|_answer| ());
    assert_eq!(outcome(plain(&without(&said(), "active"))), missing);
    assert_eq!(outcome(signed(&header(), &payload(&json!({})))), missing);
    let said = said().to_string();
    let twice = said.replacen('{', r#"{"active":false,"#, 1);
    let twice = Answer::plain(twice.as_bytes()).map(|_answer| ());
    assert_eq!(twice, Err(AnswerError::Json(json::JsonError::DuplicateName)));
}

#[test]
fn what_is_no_json_object_is_no_answer() {
    let outcome = |raw: &[u8]| Answer::plain(raw).map(|_answer| ()).unwrap_err();
    assert_eq!(outcome(b"true"), AnswerError::NotAnObject);
    assert_eq!(outcome(br#"["active"]"#), AnswerError::NotAnObject);
    for raw in ["", "<html>", r#"{"active":true"#, r#"{"active":true} "#.repeat(2).as_str()] {
        assert!(matches!(outcome(raw.as_bytes()), AnswerError::Json(_)), "{raw}");
    }
    let long = with(&said(), "filler", json!("x".repeat(MAX_ANSWER_BYTES)));
    assert_eq!(outcome(long.to_string().as_bytes()), AnswerError::Json(json::JsonError::TooLong));
    let raw = issuer_key().sign(&header(), &payload(&long));
    let outcome = Answer::signed(raw.as_bytes(), US, &profile(), &issuer_keys(), now());
    assert_eq!(outcome.map(|_answer| ()), Err(AnswerError::Malformed(JwsError::TooLarge)));
    // What is asked for in one form is not taken in the other.
    assert!(matches!(plain_of(&issuer_key().sign(&header(), &payload(&said()))), Err(AnswerError::Json(_))));
    let outcome = Answer::signed(said().to_string().as_bytes(), US, &profile(), &issuer_keys(), now());
    assert!(matches!(outcome, Err(AnswerError::Malformed(_))));
}

fn plain_of(raw: &str) -> Result<Answer, AnswerError> {
    Answer::plain(raw.as_bytes())
}

// S04, RFC 9701 §5, §8.
#[test]
fn s04_the_signed_answer_is_judged_whole() {
    let outcome = |header: &Json, payload: &Json| signed(header, payload).map(|_answer| ());
    let good = payload(&said());
    for typ in ["token-introspection+jwt", "TOKEN-Introspection+JWT", "application/token-introspection+jwt"] {
        assert_eq!(outcome(&with(&header(), "typ", json!(typ)), &good), Ok(()), "{typ}");
    }
    for typ in ["JWT", "at+jwt", "application/at+jwt", "logout+jwt", "token-introspection", ""] {
        let header = with(&header(), "typ", json!(typ));
        assert_eq!(outcome(&header, &good), Err(AnswerError::TypeInvalid), "{typ}");
    }
    assert_eq!(outcome(&without(&header(), "typ"), &good), Err(AnswerError::TypeInvalid));
    let missing = |claim| Err(AnswerError::ClaimMissing(claim));
    for claim in [Claim::Iss, Claim::Aud, Claim::Iat, Claim::TokenIntrospection] {
        assert_eq!(outcome(&header(), &without(&good, claim.as_str())), missing(claim), "{claim}");
    }
    let changed = |name: &str, value: Json| outcome(&header(), &with(&good, name, value));
    assert_eq!(changed("iss", json!("https://sts.example.com/")), Err(AnswerError::IssuerMismatch));
    assert_eq!(changed("iss", json!(["https://sts.example.com"])), Err(AnswerError::IssuerMismatch));
    assert_eq!(changed("aud", json!(["someone", US])), Ok(()));
    assert_eq!(changed("aud", json!("someone")), Err(AnswerError::AudienceMismatch));
    assert_eq!(changed("aud", json!(API)), Err(AnswerError::AudienceMismatch));
    assert_eq!(changed("aud", json!([])), Err(AnswerError::ClaimInvalid(Claim::Aud)));
    let inner = Claim::TokenIntrospection;
    assert_eq!(changed(inner.as_str(), json!("{}")), Err(AnswerError::ClaimInvalid(inner)));
    assert_eq!(changed("iat", json!("now")), Err(AnswerError::ClaimInvalid(Claim::Iat)));
    assert_eq!(changed("exp", json!("later")), Err(AnswerError::ClaimInvalid(Claim::Exp)));
    // Claims of the token beside the answer, and not within it, are none.
    let flat = with(&with(&good, "active", json!(true)), "token_introspection", json!({}));
    assert_eq!(outcome(&header(), &flat), missing(Claim::Active));
}

// S04: an answer that is kept and shown again is none.
#[test]
fn s04_the_signed_answer_is_new() {
    let good = payload(&said());
    let at_time = |seconds: i64, payload: &Json| {
        signed_by(&issuer_key(), &header(), payload, at(seconds)).map(|_answer| ())
    };
    assert_eq!(at_time(60, &good), Ok(()));
    assert_eq!(at_time(61, &good), Err(AnswerError::Stale));
    assert_eq!(at_time(-60, &good), Ok(()));
    assert_eq!(at_time(-61, &good), Err(AnswerError::NotYetValid));
    let short = with(&good, "exp", json!(NOW + 10));
    assert_eq!(at_time(14, &short), Ok(()));
    assert_eq!(at_time(15, &short), Err(AnswerError::Stale));
}

// S04, J04: by a key of the issuer's, with an algorithm of its list.
#[test]
fn s04_the_signature_is_the_issuers() {
    let good = payload(&said());
    let by = |key: &TestKey, header: &Json| signed_by(key, header, &good, now()).map(|_answer| ());
    assert_eq!(by(&TestKey::es256(9), &header()), Err(AnswerError::SignatureInvalid));
    assert_eq!(by(&issuer_key(), &with(&header(), "kid", json!("k2"))), Err(AnswerError::KeyUnknown));
    for alg in ["none", "HS256", "RS256"] {
        let refused = by(&issuer_key(), &with(&header(), "alg", json!(alg)));
        assert_eq!(refused, Err(AnswerError::AlgNotAllowed), "{alg}");
    }
    let raw = issuer_key().sign(&header(), &good);
    for changed in crate::testing::flipped_parts(&raw, &[1, 2]) {
        let outcome = Answer::signed(changed.as_bytes(), US, &profile(), &issuer_keys(), now());
        assert!(outcome.is_err(), "{changed}");
    }
}

// S04, J01: an answer is no access token, and an access token no answer.
#[test]
fn s04_an_answer_is_no_access_token() {
    let whole = with(&token_claims(), "token_introspection", said());
    let whole = with(&with(&whole, "aud", json!([US, API])), "iat", json!(NOW));
    let mut lax = profile();
    lax.accept_typ_jwt = true;
    let verified = |header: &Json| {
        let raw = issuer_key().sign(header, &whole);
        let token = crate::UnverifiedToken::parse(&raw)?;
        token.verify(&lax, &issuer_keys(), now()).map(|_token| ())
    };
    assert_eq!(verified(&token_header()), Ok(()));
    assert_eq!(verified(&header()), Err(TokenError::TypeInvalid));
    assert_eq!(signed(&header(), &whole).map(|_answer| ()), Ok(()));
    assert_eq!(signed(&token_header(), &whole).map(|_answer| ()), Err(AnswerError::TypeInvalid));
}

// S03, J05, J06: an active token is judged like one that is signed.
#[test]
fn s03_what_is_said_is_judged() {
    let outcome = |said: &Json| token(said).map(|_token| ());
    for (claim, name) in [
        (Claim::Iss, "iss"),
        (Claim::Aud, "aud"),
        (Claim::ClientId, "client_id"),
        (Claim::Iat, "iat"),
        (Claim::Exp, "exp"),
        (Claim::TokenType, "token_type"),
    ] {
        assert_eq!(outcome(&without(&said(), name)), Err(TokenError::ClaimMissing(claim)), "{name}");
    }
    let changed = |name: &str, value: Json| outcome(&with(&said(), name, value));
    let invalid = |claim| Err(TokenError::ClaimInvalid(claim));
    assert_eq!(changed("iss", json!("https://other.example.com")), Err(TokenError::IssuerUnknown));
    assert_eq!(changed("iss", json!(["https://sts.example.com"])), invalid(Claim::Iss));
    assert_eq!(changed("exp", json!((NOW + 300).to_string())), invalid(Claim::Exp));
    assert_eq!(changed("exp", json!(NOW - 5)), Err(TokenError::Expired));
    assert_eq!(changed("exp", json!(NOW + 3600)), invalid(Claim::Exp));
    assert_eq!(changed("iat", json!(NOW + 61)), Err(TokenError::NotYetValid));
    assert_eq!(changed("nbf", json!(NOW + 6)), Err(TokenError::NotYetValid));
    assert_eq!(changed("scope", json!(["documents:read"])), invalid(Claim::Scope));
    assert_eq!(changed("client_id", json!("")), invalid(Claim::ClientId));
    assert_eq!(changed("sub", json!(7)), invalid(Claim::Sub));
    assert_eq!(changed("jti", json!("")), invalid(Claim::Jti));
    assert_eq!(changed("act", json!("a")), invalid(Claim::Act));
    assert_eq!(changed("cnf", json!({"kid": "a"})), Err(TokenError::BindingUnsupported));
    assert_eq!(changed("cnf", json!({"jkt": "short"})), Err(TokenError::BindingUnsupported));
    let mut acme_only = profile();
    acme_only.tenants = crate::TenantScope::Only(vec!["acme".to_owned()]);
    let umbrella = with(&said(), "tenant", json!("umbrella"));
    let outcome = active(plain(&umbrella)).token(&opaque(), &acme_only, now()).map(|_token| ());
    assert_eq!(outcome, invalid(Claim::Tenant));
}

/// The signed answer says whose it is; what it says of the token's issuer has to agree all the same.
#[test]
fn the_issuer_of_a_signed_answer_is_that_of_the_token() {
    let token = |said: &Json| {
        let answer = active(signed(&header(), &payload(said)));
        answer.token(&opaque(), &profile(), now()).map(|_token| ())
    };
    assert_eq!(token(&without(&said(), "iss")), Ok(()));
    let other = with(&said(), "iss", json!("https://other.example.com"));
    assert_eq!(token(&other), Err(TokenError::IssuerUnknown));
}

/// Without a subject the client is it; whose the token is, is another question: where `sub` is to say who the user is, it may have
/// been left out (RFC 7662 §2.2).
#[test]
fn j07_a_token_without_a_subject_may_be_a_users() {
    let own = without(&said(), "sub");
    let judged = |user: Option<crate::UserClaim>| {
        let mut profile = profile();
        profile.claims.user = user;
        let token = active(plain(&own)).token(&opaque(), &profile, now())?;
        Ok((token.subject().to_owned(), token.user().cloned()))
    };
    let missing = Err(TokenError::ClaimMissing(Claim::Sub));
    let (claim, unmarked) = (crate::UserClaim::new("sub"), crate::Unmarked::Client);
    let like_a_client = crate::UserClaim { own_subject: crate::OwnSubject::Client, ..claim.clone() };
    assert_eq!(judged(Some(claim.clone())), missing);
    assert_eq!(judged(Some(like_a_client)), missing, "no user is named who could be like the client");
    let nobodys = crate::UserClaim { otherwise: unmarked, ..claim };
    for user in [None, Some(nobodys)] {
        assert_eq!(judged(user), Ok(("crm-bot".to_owned(), None)));
    }
}

/// A refresh token is active too.
#[test]
fn another_kind_of_token_is_no_access_token() {
    let outcome = |said: &Json| token(said).map(|_token| ());
    for kind in ["bearer", "BEARER"] {
        assert_eq!(outcome(&with(&said(), "token_type", json!(kind))), Ok(()), "{kind}");
    }
    for kind in [json!("Refresh"), json!("refresh_token"), json!("N_A"), json!(""), json!(null), json!(1)] {
        let refused = outcome(&with(&said(), "token_type", kind.clone()));
        assert_eq!(refused, Err(TokenError::TypeInvalid), "{kind}");
    }
    for (stated, expected) in [
        (json!("access_token"), Ok(())),
        (json!("refresh_token"), Err(TokenError::TypeInvalid)),
        (json!(null), Err(TokenError::TypeInvalid)),
    ] {
        assert_eq!(outcome(&with(&said(), "token_use", stated.clone())), expected, "{stated}");
    }
}

// D17, RFC 9449 §6.2: `cnf` stands at the top.
#[test]
fn d17_the_answer_says_what_the_token_is_bound_to() {
    let thumbprint = crate::testing::agent_key().public().thumbprint();
    let cnf = json!({"jkt": thumbprint.to_string()});
    let dpop = with(&said(), "token_type", json!("DPoP"));
    let bound = token(&with(&dpop, "cnf", cnf.clone())).unwrap();
    assert_eq!(bound.confirmation().jkt(), Some(thumbprint));
    // Said to need a proof, and not of which key.
    assert_eq!(token(&dpop).map(|_token| ()), Err(TokenError::BindingUnsupported));
    assert!(token(&with(&said(), "cnf", cnf)).unwrap().confirmation().is_bound());
}

/// S03, A-18: an answer about another token does not confirm this one.
#[test]
fn an_answer_confirms_its_own_token_only() {
    let cnf = json!({"jkt": crate::testing::agent_key().public().thumbprint().to_string()});
    let raw = issuer_key().sign(&token_header(), &with(&token_claims(), "cnf", cnf.clone()));
    let jwt = crate::UnverifiedToken::parse(&raw).unwrap();
    let jwt = jwt.verify(&profile(), &issuer_keys(), now()).unwrap();
    let confirms = |said: &Json| active(plain(said)).confirms(&jwt, &profile()).map(|_still| ());
    let whole = with(&with(&said(), "jti", json!("t-1")), "cnf", cnf);
    assert_eq!(confirms(&whole), Ok(()));
    assert_eq!(confirms(&json!({"active": true})), Ok(()));
    assert_eq!(confirms(&with(&whole, "aud", json!([API, "https://other.example"]))), Ok(()));
    for (name, value) in [
        ("iss", json!("https://other.example.com")),
        ("sub", json!("bob")),
        ("sub", json!(["alice"])),
        ("client_id", json!("other-bot")),
        ("jti", json!("t-2")),
        ("cnf", json!({})),
        ("cnf", json!({"jkt": TestKey::es256(7).public().thumbprint().to_string()})),
        ("aud", json!("https://files.example.com")),
        ("aud", json!(1)),
    ] {
        let said = with(&whole, name, value.clone());
        assert_eq!(confirms(&said), Err(AnswerError::AnotherToken), "{name} {value}");
    }
}
