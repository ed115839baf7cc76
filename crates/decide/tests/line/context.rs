//! What policies see of the token beside who asks: the authentication (S01), what was granted in detail (S02), its times.

use exequatur_decide::Denial;
use serde_json::{Value, json};

use crate::ask::{Ask, NOW, Proof, Token};
use crate::world::{World, at, policies_and};

/// The usual policies, and one that forbids unless `condition` holds. The same world is asked in turn, so that an answer that is
/// remembered where it may not be would show.
async fn expect(condition: &str, cases: &[(bool, &[(&str, Value)])]) {
    let mut world = World::new().await;
    let policy = format!(
        r#"@id("told") forbid (principal, action == Action::"ReadDocument", resource) unless {{ {condition} }};"#
    );
    world.generation.policies = policies_and(&policy);
    let forbidden = Denial::Forbidden { policies: vec!["told".to_owned()] };
    for (permitted, claims) in [cases, cases].concat() {
        let token =
            claims.iter().fold(Token::bound(), |token, (name, value)| token.with(name, value.clone()));
        let outcome = world.check(&Ask::signed(&token, &Proof::new())).await.map(|_settled| ());
        let expected = if permitted { Ok(()) } else { Err(forbidden.clone().into()) };
        assert_eq!(outcome, expected, "{condition}: {claims:?}");
    }
}

#[tokio::test]
async fn s01_the_authentication_is_told() {
    let acr = |value: &str| [("acr", json!(value))];
    expect(
        r#"context.authentication has acr && context.authentication.acr == "gold""#,
        &[(true, &acr("gold")), (false, &acr("Gold")), (false, &[]), (false, &[("amr", json!(["gold"]))])],
    )
    .await;
    expect(
        r#"context.authentication.methods.contains("otp")"#,
        &[
            (true, &[("amr", json!(["pwd", "otp"]))]),
            (false, &[("amr", json!(["pwd"]))]),
            (false, &[]),
            (false, &acr("otp")),
        ],
    )
    .await;
    expect(
        "context.authentication has age && context.authentication.age == 40",
        &[
            (true, &[("auth_time", json!(NOW - 40))]),
            (true, &[("auth_time", json!(1_799_999_959.5))]),
            (false, &[("auth_time", json!(NOW - 41))]),
            (false, &[]),
        ],
    )
    .await;
    expect(
        "context.authentication has age && context.authentication.age == 0",
        &[(true, &[("auth_time", json!(NOW + 60))]), (true, &[("auth_time", json!(NOW))])],
    )
    .await;
}

/// The answer to one question changes while time goes by.
#[tokio::test]
async fn s01_the_age_of_an_authentication_is_not_remembered() {
    let mut world = World::new().await;
    world.generation.policies = policies_and(
        r#"@id("told") forbid (principal, action == Action::"ReadDocument", resource)
        unless { context.authentication has age && context.authentication.age <= 60 };"#,
    );
    let token = Token::bound().with("auth_time", json!(NOW - 50));
    let ask = |now: i64| Ask::signed(&token, &Proof::new().with("iat", now));
    for (seconds, permitted) in [(0, true), (10, true), (11, false)] {
        let (result, _) = world.check_at(&ask(NOW + seconds), at(seconds)).await;
        assert_eq!(result.is_ok(), permitted, "{seconds}");
    }
}

/// From issue to expiry, whenever it is used.
#[tokio::test]
async fn the_lifetime_of_a_token_is_told() {
    expect(
        "context.token.lifetime == 310",
        &[
            (true, &[]),
            (true, &[("iat", json!(NOW - 60)), ("exp", json!(NOW + 250))]),
            (false, &[("exp", json!(NOW + 299))]),
            (false, &[("iat", json!(NOW))]),
        ],
    )
    .await;
}

/// S02: each value of a detail, of those that are for this place and are understood whole.
#[tokio::test]
async fn s02_the_details_are_told() {
    let of = |detail: Value| [("authorization_details", json!([{ "type": "other" }, detail]))];
    let read = json!({ "type": "document", "actions": ["list", "read"], "identifier": "1" });
    let with = |name: &str, value: Value| {
        let mut detail = read.clone();
        detail[name] = value;
        of(detail)
    };
    expect(
        r#"context.authorization_details.contains({ type: "document", member: "actions", value: "read", identifier: "1" })"#,
        &[
            (true, &of(read.clone())),
            (true, &with("locations", json!(["https://x.example.com", "https://api.example.com"]))),
            (false, &with("locations", json!(["https://x.example.com"]))),
            (false, &with("locations", json!([]))),
            (false, &with("max_amount", json!(5))),
            (false, &with("datatypes", json!(["titles"]))),
            (false, &with("privileges", json!(["dry-run"]))),
            (false, &with("privileges", json!([]))),
            (false, &with("identifier", json!("2"))),
            (false, &with("actions", json!(["list"]))),
            (false, &with("type", json!("documents"))),
            (false, &[]),
        ],
    )
    .await;
}
