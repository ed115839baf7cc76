use serde_json::json;

use super::*;
use crate::testing::with;

fn details(value: Json) -> Result<VerifiedToken, TokenError> {
    with_claims(&with(&token_claims(), "authorization_details", value))
}

// S02
#[test]
fn s02_common_members_are_read() {
    let token = details(json!([
        {
            "type": "document",
            "actions": ["read", "export"],
            "datatypes": ["text"],
            "locations": ["https://api.example.com"],
            "privileges": [],
            "identifier": "7",
            "max_pages": 3,
            "watermark": { "text": "internal" },
        },
        { "type": "payment" },
    ]))
    .unwrap();
    let found: Vec<_> = token.authorization_details().iter().collect();
    let all = |strings: Option<&[Box<str>]>| strings.map(|all| all.join(" "));
    assert_eq!(found[0].kind(), "document");
    assert_eq!(all(found[0].actions()).as_deref(), Some("read export"));
    assert_eq!(all(found[0].datatypes()).as_deref(), Some("text"));
    assert_eq!(all(found[0].locations()).as_deref(), Some("https://api.example.com"));
    assert_eq!(all(found[0].privileges()).as_deref(), Some(""), "said, and empty");
    assert_eq!(found[0].identifier(), Some("7"));
    assert_eq!(found[0].others().collect::<Vec<_>>(), ["max_pages", "watermark"]);
    assert_eq!((found[1].kind(), found[1].actions(), found[1].identifier()), ("payment", None, None));
    assert_eq!(found[1].others().count(), 0);
    assert_eq!(verify(&good_token()).unwrap().authorization_details().iter().count(), 0);
}

// S02: what is malformed is refused whole, not left out.
#[test]
fn s02_malformed_details() {
    let long = "a".repeat(257);
    let mut bad = vec![
        json!(null),
        json!("document"),
        json!({ "type": "document" }),
        json!([]),
        json!(["document"]),
        json!([null]),
        json!([[{ "type": "document" }]]),
        json!([{}]),
        json!([{ "actions": ["read"] }]),
        json!([{ "type": 1 }]),
        json!([{ "type": null }]),
        json!([{ "type": ["document"] }]),
        json!([{ "type": "" }]),
        json!([{ "type": "a\n" }]),
        json!([{ "type": long }]),
        json!([{ "type": "document" }, { "type": 1 }]),
        json!([{ "type": "document", "identifier": 7 }]),
        json!([{ "type": "document", "identifier": null }]),
        json!([{ "type": "document", "identifier": ["7"] }]),
        json!([{ "type": "document", "identifier": "" }]),
        json!(vec![json!({ "type": "document" }); 17]),
    ];
    for member in ["actions", "datatypes", "locations", "privileges"] {
        for value in [
            json!("read"),
            json!(null),
            json!(1),
            json!({ "read": true }),
            json!(["read", 1]),
            json!([["read"]]),
            json!([""]),
            json!(["a\u{7f}"]),
            json!(["a".repeat(1025)]),
            json!(vec!["a"; 33]),
        ] {
            bad.push(json!([{ "type": "document", member: value }]));
        }
    }
    for value in bad {
        let error = details(value.clone()).unwrap_err();
        assert_eq!(error, TokenError::ClaimInvalid(Claim::AuthorizationDetails), "{value}");
    }
    assert!(details(json!(vec![json!({ "type": "document" }); 16])).is_ok());
    assert!(
        details(json!([{ "type": "a", "actions": vec!["a"; 32], "locations": ["a".repeat(1024)] }])).is_ok()
    );
    assert!(
        details(json!([{ "type": "a", "actions": ["a".repeat(256)], "identifier": "é".repeat(256) }]))
            .is_ok()
    );
}

// S02, G24: a member twice is no JSON here.
#[test]
fn s02_a_member_twice() {
    let claims = token_claims().to_string();
    let claims = claims.replacen('{', "{\"authorization_details\":[{\"type\":\"a\",\"type\":\"b\"}],", 1);
    let error = verify(&issuer_key().sign_raw(&token_header().to_string(), &claims)).unwrap_err();
    assert!(matches!(error, TokenError::Malformed(JwsError::Payload(_))), "{error}");
}
