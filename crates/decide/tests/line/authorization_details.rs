//! What exactly was granted (S02): one detail that does, and some that differ from it in one thing.

use exequatur_decide::{Denial, RequirementFact};
use serde_json::{Value, json};

use crate::ask::{API, Ask, Proof, Token};
use crate::world::{World, at};

fn ask_with(kind: &str, token: &Token) -> Ask {
    let target = format!("/tenants/acme/{kind}/internal/1");
    Ask::signed(token, &Proof::new().with("htu", format!("{API}{target}"))).to(&target)
}

fn ask(kind: &str, details: Value) -> Ask {
    ask_with(kind, &Token::bound().with("authorization_details", details))
}

/// A detail that meets all that the route `granted` asks; `changes` go over it, `null` removes a member.
fn detail(changes: &Value) -> Value {
    let mut detail = json!({
        "type": "document",
        "actions": ["read", "print", "share"],
        "datatypes": ["text", "image"],
        "privileges": ["reader"],
        "identifier": "acme/1",
        "locations": ["https://elsewhere.example.com", API],
    });
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            detail.as_object_mut().unwrap().remove(name);
        } else {
            detail[name] = value.clone();
        }
    }
    detail
}

async fn expect(kind: &str, permitted: Vec<(&str, Value)>, denied: Vec<(&str, Value)>) {
    let world = World::new().await;
    for (name, details) in permitted {
        let (result, facts) = world.check_at(&ask(kind, details), at(0)).await;
        assert_eq!(result.err(), None, "{kind}, {name}");
        assert_eq!(facts.authorization_details, Some(RequirementFact::Met), "{kind}, {name}");
    }
    for (name, details) in denied {
        let (result, facts) = world.check_at(&ask(kind, details), at(0)).await;
        let insufficient = Denial::AuthorizationDetailsInsufficient.into();
        assert_eq!(result.unwrap_err(), insufficient, "{kind}, {name}");
        assert_eq!(facts.authorization_details, Some(RequirementFact::Unmet), "{kind}, {name}");
    }
    let without = world.refusal(&ask_with(kind, &Token::bound())).await;
    assert_eq!(without, Denial::AuthorizationDetailsInsufficient.into(), "{kind}, no details");
}

#[tokio::test]
async fn s02_one_detail_grants_all_that_is_asked() {
    let changed = |changes| json!([detail(&changes)]);
    expect(
        "granted",
        vec![
            ("all", changed(json!({}))),
            ("no locations", changed(json!({ "locations": null }))),
            ("just what is asked", changed(json!({ "actions": ["print", "read"], "datatypes": ["text"] }))),
            ("beside another", json!([{ "type": "payment", "amount": 7 }, detail(&json!({}))])),
            ("beside a narrower one", json!([detail(&json!({ "actions": ["read"] })), detail(&json!({}))])),
        ],
        vec![
            ("another type", changed(json!({ "type": "documents" }))),
            ("another case", changed(json!({ "type": "Document" }))),
            ("an action missing", changed(json!({ "actions": ["read", "share"] }))),
            ("an action in another case", changed(json!({ "actions": ["read", "Print"] }))),
            ("no actions", changed(json!({ "actions": null }))),
            ("actions of nothing", changed(json!({ "actions": [] }))),
            ("a wildcard", changed(json!({ "actions": ["*"] }))),
            ("another data type", changed(json!({ "datatypes": ["image"] }))),
            ("no data types", changed(json!({ "datatypes": null }))),
            ("another privilege", changed(json!({ "privileges": ["owner"] }))),
            ("no privileges", changed(json!({ "privileges": null }))),
            ("another identifier", changed(json!({ "identifier": "acme/2" }))),
            ("another tenant's identifier", changed(json!({ "identifier": "globex/1" }))),
            ("no identifier", changed(json!({ "identifier": null }))),
            ("another location", changed(json!({ "locations": ["https://elsewhere.example.com"] }))),
            ("a location below", changed(json!({ "locations": [format!("{API}/tenants/acme")] }))),
            ("the location with a slash", changed(json!({ "locations": [format!("{API}/")] }))),
            ("no location", changed(json!({ "locations": [] }))),
            ("something that is not understood", changed(json!({ "max_pages": 3 }))),
            (
                "in two halves",
                json!([detail(&json!({ "actions": ["read"] })), detail(&json!({ "actions": ["print"] }))]),
            ),
        ],
    )
    .await;
}

/// A route that asks for a type alone is not met by a detail that was narrowed: to what, nobody looked.
#[tokio::test]
async fn s02_what_narrows_a_detail_is_judged_or_left_to_the_upstream() {
    let plain = json!({ "type": "document" });
    let with = |name: &str, value: Value| {
        let mut detail = json!({ "type": "document" });
        detail[name] = value;
        json!([detail])
    };
    let narrowed = || {
        vec![
            ("actions", with("actions", json!(["read"]))),
            ("actions of nothing", with("actions", json!([]))),
            ("data types", with("datatypes", json!(["text"]))),
            ("privileges", with("privileges", json!(["reader"]))),
            ("identifier", with("identifier", json!("acme/1"))),
            ("its own", with("max_pages", json!(3))),
        ]
    };
    let place = vec![("another place", with("locations", json!(["https://elsewhere.example.com"])))];
    let unknown = vec![("unknown", with("maxPages", json!(3)))];
    expect("typed", vec![("plain", json!([plain]))], [narrowed(), place.clone(), unknown.clone()].concat())
        .await;
    let left = [narrowed(), vec![("plain", json!([plain]))]].concat();
    expect("left", left, [place, unknown].concat()).await;
}

#[tokio::test]
async fn s02_a_route_can_ask_where_a_detail_holds() {
    let placed = |locations: Value| json!([{ "type": "document", "locations": locations }]);
    expect(
        "placed",
        vec![("here", placed(json!([API]))), ("here too", placed(json!(["https://files.example.com", API])))],
        vec![
            ("nowhere", placed(json!([]))),
            ("elsewhere", placed(json!(["https://files.example.com"]))),
            ("not said", json!([{ "type": "document" }])),
        ],
    )
    .await;
}

/// Where the token is passed on, it is for the upstream, and so is the detail.
#[tokio::test]
async fn s02_a_detail_holds_where_the_token_does() {
    let world = World::new().await;
    let at_location = |location: &str| {
        let token = Token::bound().with("aud", json!("https://up.example.com"));
        let details = json!([{ "type": "document", "locations": [location] }]);
        ask_with("placed-upstream", &token.with("authorization_details", details))
    };
    world.check(&at_location("https://up.example.com")).await.unwrap();
    let insufficient = Denial::AuthorizationDetailsInsufficient.into();
    assert_eq!(world.refusal(&at_location(API)).await, insufficient);
}

#[tokio::test]
async fn s02_every_entry_of_the_route_is_met() {
    let (document, quota) = (detail(&json!({})), json!({ "type": "quota" }));
    expect(
        "twofold",
        vec![("both", json!([document, quota])), ("in another order", json!([quota, document]))],
        vec![("one", json!([document])), ("the other", json!([quota]))],
    )
    .await;
}

/// A route that asks for none takes a token with any.
#[tokio::test]
async fn s02_details_that_nobody_asks_for() {
    let world = World::new().await;
    let (result, facts) =
        world.check_at(&ask("documents", json!([{ "type": "payment", "amount": 7 }])), at(0)).await;
    result.unwrap();
    assert_eq!(facts.authorization_details, None);
}
