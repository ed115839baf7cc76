use serde_json::{Value as Json, json};

use super::*;
use crate::json::{Limits, parse};

fn payload(json: &Json) -> Object {
    let limits = Limits { bytes: 1024, depth: 8, members: 16 };
    let Ok(Value::Object(payload)) = parse(json.to_string().as_bytes(), limits) else { panic!("{json}") };
    payload
}

fn words(name: &str, words: &[&str]) -> ClaimWords {
    ClaimWords { name: name.to_owned(), words: words.iter().map(|&word| word.to_owned()).collect() }
}

fn read(claim: &UserClaim, json: &Json) -> Result<Option<String>, TokenError> {
    read_from(Source::Jwt, claim, json)
}

fn read_from(source: Source<'_>, claim: &UserClaim, json: &Json) -> Result<Option<String>, TokenError> {
    claim.read(&payload(json), ["crm-bot", "the-agent"], source).map(|user| user.map(str::to_owned))
}

const INVALID: TokenError = TokenError::ClaimInvalid(Claim::User);

/// J07: what marks a client's own token makes it one, whatever its subject is called.
#[test]
fn j07_a_mark_makes_a_token_the_clients_own() {
    let claim = UserClaim {
        unless: vec![
            words("gty", &["client-credentials", "client_credentials"]),
            words("app", &["true", "1"]),
        ],
        ..UserClaim::new("sub")
    };
    let alice = Ok(Some("alice".to_owned()));
    for own in [
        json!({"sub": "alice", "gty": "client-credentials"}),
        json!({"sub": "crm-bot", "gty": "client-credentials"}),
        json!({"sub": "alice", "gty": ["password", "client_credentials"]}),
        json!({"sub": "alice", "gty": "refresh client_credentials"}),
        json!({"sub": "alice", "app": true}),
        json!({"sub": "alice", "app": 1}),
        json!({"gty": "client-credentials"}),
    ] {
        assert_eq!(read(&claim, &own), Ok(None), "{own}");
    }
    for users in [
        json!({"sub": "alice"}),
        json!({"sub": "alice", "gty": "password"}),
        json!({"sub": "alice", "gty": "Client-Credentials"}),
        json!({"sub": "alice", "gty": "client-credentials2"}),
        json!({"sub": "alice", "gty": []}),
        json!({"sub": "alice", "app": false}),
    ] {
        assert_eq!(read(&claim, &users), alice, "{users}");
    }
    for gty in [json!(null), json!({}), json!([["client-credentials"]]), json!(["client-credentials", null])]
    {
        assert_eq!(read(&claim, &json!({"sub": "alice", "gty": gty})), Err(INVALID), "{gty}");
    }
}

/// J07: where the issuer marks users' tokens, nothing else is one; and one that names nobody is broken.
#[test]
fn j07_without_its_mark_a_token_is_no_users() {
    let claim = UserClaim {
        when: vec![words("idtyp", &["user"]), words("facets", &["11"])],
        ..UserClaim::new("oid")
    };
    let marked = json!({"oid": "alice", "idtyp": "user", "facets": "9 11 13"});
    assert_eq!(read(&claim, &marked), Ok(Some("alice".to_owned())));
    for (name, value) in [
        ("idtyp", json!("app")),
        ("idtyp", json!("User")),
        ("facets", json!("9 13")),
        ("facets", json!("111")),
    ] {
        let mut other = marked.clone();
        other[name] = value;
        assert_eq!(read(&claim, &other), Ok(None), "{other}");
        other.as_object_mut().unwrap().remove(name);
        assert_eq!(read(&claim, &other), Ok(None), "{other}");
    }
    let mut nobody = marked;
    nobody.as_object_mut().unwrap().remove("oid");
    assert_eq!(read(&claim, &nobody), Err(TokenError::ClaimMissing(Claim::User)));
}

/// J07: a user of the client's own id is nobody, unless the issuer is known never to give such ids to users.
#[test]
fn j07_a_subject_that_is_the_client() {
    let own = json!({"sub": "crm-bot", "email": "crm-bot"});
    let mut claim = UserClaim::new("sub");
    assert_eq!(read(&claim, &own), Err(TokenError::ClaimInvalid(Claim::Sub)));
    assert_eq!(read(&UserClaim::new("email"), &own), Err(INVALID));
    assert_eq!(read(&claim, &json!({"sub": "the-agent"})), Err(TokenError::ClaimInvalid(Claim::Sub)));
    claim.own_subject = OwnSubject::Client;
    assert_eq!(read(&claim, &own), Ok(None));
    assert_eq!(read(&claim, &json!({"sub": "crm-bot2"})), Ok(Some("crm-bot2".to_owned())));
}

/// S03, RFC 7662 §2.2: what an answer leaves out may be there; only the token itself says that it has no user by not naming one.
#[test]
fn s03_an_answer_may_hide_a_user() {
    let answer = Source::Introspection { id: "digest" };
    let (nobody, own) = (json!({"sub": "x-1"}), json!({"sub": "x-1", "gty": "client_credentials"}));
    let mut claim =
        UserClaim { unless: vec![words("gty", &["client_credentials"])], ..UserClaim::new("email") };
    assert_eq!(read_from(Source::Jwt, &claim, &nobody), Ok(None));
    assert_eq!(read_from(answer, &claim, &nobody), Err(TokenError::ClaimMissing(Claim::User)));
    assert_eq!(read_from(answer, &claim, &own), Ok(None), "the server says whose it is");
    let named = json!({"email": "alice"});
    assert_eq!(read_from(answer, &claim, &named), Ok(Some("alice".to_owned())));
    claim.own_subject = OwnSubject::Client;
    assert_eq!(read_from(answer, &claim, &nobody), Ok(None), "configured");
    // Where users are marked, the mark may be hidden as well; another mark is none.
    claim = UserClaim { when: vec![words("idtyp", &["user"])], ..UserClaim::new("email") };
    assert_eq!(
        read_from(answer, &claim, &json!({"email": "alice"})),
        Err(TokenError::ClaimMissing(Claim::User))
    );
    assert_eq!(read_from(Source::Jwt, &claim, &json!({"email": "alice"})), Ok(None));
    assert_eq!(read_from(answer, &claim, &json!({"email": "alice", "idtyp": "app"})), Ok(None));
}
