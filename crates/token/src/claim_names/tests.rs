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

/// The user, or nobody if the token is the client's own.
fn read(claim: &UserClaim, json: &Json) -> Result<Option<String>, TokenError> {
    claim.read(&payload(json), ["crm-bot", "the-agent"]).map(|whose| match whose {
        Whose::User(user) => Some(user.to_owned()),
        Whose::Client { .. } => None,
    })
}

const INVALID: TokenError = TokenError::ClaimInvalid(Claim::User);
const MISSING: TokenError = TokenError::ClaimMissing(Claim::User);

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
    let mut claim = UserClaim {
        when: vec![words("idtyp", &["user"]), words("facets", &["11"])],
        ..UserClaim::new("oid")
    };
    let marked = json!({"oid": "alice", "idtyp": "user", "facets": "9 11 13"});
    let mut others = Vec::new();
    for (name, value) in [
        ("idtyp", json!("app")),
        ("idtyp", json!("User")),
        ("facets", json!("9 13")),
        ("facets", json!("111")),
    ] {
        let mut other = marked.clone();
        other[name] = value;
        others.push(other.clone());
        other.as_object_mut().unwrap().remove(name);
        others.push(other);
    }
    let mut nobody = marked.clone();
    nobody.as_object_mut().unwrap().remove("oid");
    for (otherwise, expected) in [(Unmarked::Refused, Err(INVALID)), (Unmarked::Client, Ok(None))] {
        claim.otherwise = otherwise;
        assert_eq!(read(&claim, &marked), Ok(Some("alice".to_owned())));
        for other in &others {
            assert_eq!(read(&claim, other), expected, "{other}");
        }
        assert_eq!(read(&claim, &nobody), Err(MISSING), "{otherwise:?}");
    }
    // A mark that cannot be read is not hidden behind one that does not hold, nor behind one that does.
    let unreadable = json!({"oid": "alice", "idtyp": "app", "facets": {"11": true}});
    assert_eq!(read(&claim, &unreadable), Err(INVALID));
    claim.unless = vec![words("idtyp", &["app"])];
    assert_eq!(read(&claim, &unreadable), Err(INVALID));
    claim.unless.push(words("facets", &["3"]));
    claim.when.clear();
    assert_eq!(read(&claim, &unreadable), Err(INVALID));
}

/// J07: marked neither as a user's nor as the client's own, a token is nobody's, unless the issuer is known not to mark clients'.
#[test]
fn j07_what_bears_neither_mark_is_nobodys() {
    let mut claim = UserClaim {
        when: vec![words("idtyp", &["user"])],
        unless: vec![words("idtyp", &["app"])],
        ..UserClaim::new("oid")
    };
    let named = [json!({"oid": "alice"}), json!({"oid": "alice", "idtyp": "device"})];
    let unnamed = [json!({"sub": "alice"}), json!({"sub": "alice", "idtyp": "device"})];
    let own = json!({"oid": "alice", "idtyp": "app"});
    let both = json!({"oid": "alice", "idtyp": ["user", "app"]});
    for (otherwise, named_is, unnamed_is) in
        [(Unmarked::Refused, Err(INVALID), Err(MISSING)), (Unmarked::Client, Ok(None), Ok(None))]
    {
        claim.otherwise = otherwise;
        named.iter().for_each(|token| assert_eq!(read(&claim, token), named_is, "{token}"));
        unnamed.iter().for_each(|token| assert_eq!(read(&claim, token), unnamed_is, "{token}"));
        assert_eq!(read(&claim, &own), Ok(None));
        assert_eq!(read(&claim, &both), Ok(None), "`unless` goes before `when`");
        assert_eq!(read(&claim, &json!({"idtyp": "app"})), Ok(None), "nobody has to be named");
        assert_eq!(read(&claim, &json!({"oid": 7, "idtyp": "app"})), Err(INVALID));
    }
}

/// J07, RFC 7662 §2.2: a user whose claim was not asked for, or is left out of an answer, is not nobody. `own_subject` speaks of a
/// user who is named, not of one who is not.
#[test]
fn j07_a_user_is_not_hidden_by_a_claim_that_is_not_there() {
    for name in ["email", "sub"] {
        let missing = TokenError::ClaimMissing(if name == "sub" { Claim::Sub } else { Claim::User });
        let mut claim = UserClaim::new(name);
        for unless in [Vec::new(), vec![words("gty", &["client_credentials"])]] {
            claim.unless = unless;
            for own_subject in [OwnSubject::Refused, OwnSubject::Client] {
                claim.own_subject = own_subject;
                claim.otherwise = Unmarked::Refused;
                for token in [json!({}), json!({"client_id": "crm-bot", "gty": "password"})] {
                    assert_eq!(read(&claim, &token), Err(missing), "{token}");
                }
                claim.otherwise = Unmarked::Client;
                assert_eq!(read(&claim, &json!({})), Ok(None));
                assert_eq!(read(&claim, &json!({name: "alice"})), Ok(Some("alice".to_owned())));
            }
        }
        assert_eq!(read(&claim, &json!({"gty": "client_credentials"})), Ok(None));
    }
}

/// D-06: whom a client's own token names is kept, whatever made it the client's.
#[test]
fn d06_whom_the_clients_own_token_names_is_known() {
    let marked = |name: &str| UserClaim {
        when: vec![words("idtyp", &["user"])],
        unless: vec![words("idtyp", &["app"])],
        own_subject: OwnSubject::Client,
        otherwise: Unmarked::Client,
        ..UserClaim::new(name)
    };
    for (idtyp, name, named) in [
        ("app", "alice", Some("alice")),
        ("device", "alice", Some("alice")),
        ("user", "crm-bot", Some("crm-bot")),
        ("app", "", None),
    ] {
        let token =
            if named.is_some() { json!({"oid": name, "idtyp": idtyp}) } else { json!({"idtyp": idtyp}) };
        let payload = payload(&token);
        let found = marked("oid").read(&payload, ["crm-bot", "the-agent"]);
        assert!(matches!(found, Ok(Whose::Client { named: found }) if found == named), "{token} {found:?}");
    }
}

/// J07: a user of the client's own id is nobody, unless the issuer is known never to give such ids to users.
#[test]
fn j07_a_subject_that_is_the_client() {
    let own = json!({"sub": "crm-bot", "email": "crm-bot"});
    let mut claim = UserClaim::new("sub");
    assert_eq!(read(&claim, &own), Err(TokenError::ClaimInvalid(Claim::Sub)));
    assert_eq!(read(&UserClaim::new("email"), &own), Err(INVALID));
    assert_eq!(read(&claim, &json!({"sub": "the-agent"})), Err(TokenError::ClaimInvalid(Claim::Sub)));
    // What is unmarked is another question.
    claim.otherwise = Unmarked::Client;
    assert_eq!(read(&claim, &own), Err(TokenError::ClaimInvalid(Claim::Sub)));
    claim.otherwise = Unmarked::Refused;
    claim.own_subject = OwnSubject::Client;
    assert_eq!(read(&claim, &own), Ok(None));
    assert_eq!(read(&claim, &json!({"sub": "crm-bot2"})), Ok(Some("crm-bot2".to_owned())));
}
