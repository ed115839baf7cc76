//! V10, V11: a token whose status is in a list is good for nothing until it was looked up there. What lists come to over
//! a network is tested where they are fetched.

use exequatur_decide::{BadStatus, Denial, Fault, Reason, Refusal, StatusFact};
use exequatur_issuers::ListUnavailable;
use exequatur_store::{Form, RevocationKind};
use exequatur_token::{Claim, TokenError};
use serde_json::{Value, json};

use crate::ask::{API, Ask, Proof, READ, Token};
use crate::world::{Setting, World, at, named};

/// Nobody listens there.
const NOWHERE: &str = "https://127.0.0.1:1/lists/";

fn listed(uri: &str) -> Value {
    json!({"status_list": {"idx": 0, "uri": uri}})
}

fn ask(status: Value) -> Ask {
    Ask::signed(&Token::bound().with("status", status), &Proof::new())
}

async fn with_lists() -> World {
    World::with(Setting { status_lists: Some(NOWHERE), ..Setting::default() }).await
}

/// V10: where nothing is asked, a token that names a list is refused, and so is one that names another place.
#[tokio::test]
async fn v10_nothing_is_asked_elsewhere() {
    for (world, uri) in [
        (World::new().await, format!("{NOWHERE}1")),
        (with_lists().await, "https://elsewhere.example/lists/1".to_owned()),
        (with_lists().await, format!("{NOWHERE}../1")),
    ] {
        let (result, facts) = world.check_at(&ask(listed(&uri)), at(0)).await;
        let refusal = result.unwrap_err();
        assert_eq!(refusal, Denial::Status(BadStatus::NotAsked).into(), "{uri}");
        assert_eq!((refusal.reason(), facts.status), (Reason::StatusListInvalid, Some(StatusFact::NotAsked)));
        assert_eq!(world.live_proofs().await, 0, "a refused proof is not claimed (G10)");
        // A token that names none goes on.
        let (result, facts) = world.check_at(&Ask::valid(), at(0)).await;
        assert!(result.is_ok());
        assert_eq!(facts.status, None);
    }
}

/// V11: a list that cannot be had is a fault, for each use of a token, whether it is known or not.
#[tokio::test]
async fn v11_a_list_that_is_not_there_is_a_fault() {
    let world = with_lists().await;
    let token = Token::bound().with("status", listed(&format!("{NOWHERE}1"))).sign();
    for cached in [false, true, true] {
        let proof = Proof::new().sign(&token);
        let (result, facts) = world.check_at(&Ask::dpop(&token, &proof), at(0)).await;
        let refusal = result.unwrap_err();
        assert!(
            matches!(
                refusal,
                Refusal::Faulted(Fault::StatusList(ListUnavailable::NotLoaded | ListUnavailable::NotYet))
            ),
            "{refusal:?}"
        );
        assert_eq!(refusal.reason(), Reason::StatusListUnavailable);
        assert_eq!((facts.status, facts.token_cached), (Some(StatusFact::Unavailable), Some(cached)));
        assert_eq!(world.live_proofs().await, 0, "the proof is not spent");
    }
}

/// V10: `status` is read with the other claims.
#[tokio::test]
async fn v10_a_status_that_cannot_be_read_is_none() {
    let world = with_lists().await;
    let malformed = || Refusal::from(Denial::Token(TokenError::ClaimInvalid(Claim::Status)));
    assert_eq!(
        world.refusal(&ask(json!({"status_list": {"idx": -1, "uri": "https://a"}}))).await,
        malformed()
    );
    assert_eq!(world.refusal(&ask(json!("valid"))).await, malformed());
    let other = world.refusal(&ask(json!({"other_mechanism": {}}))).await;
    assert_eq!(other, Denial::Token(TokenError::StatusUnsupported).into());
    assert_eq!(other.reason(), Reason::StatusListInvalid);
}

/// Section 14: after token, proof and requirements; after what is revoked here, before replay.
#[tokio::test]
async fn its_place_is_beside_revocation() {
    let world = World::new().await;
    let token = || Token::bound().with("status", listed(NOWHERE));
    let elsewhere = "/tenants/globex/documents/internal/1";
    let to = Proof::new().with("htu", format!("{API}{elsewhere}"));
    let refusal = world.refusal(&Ask::signed(&token(), &to).to(elsewhere)).await;
    assert_eq!(refusal, Denial::TenantMismatch.into());
    let stale = Proof::new().with("htu", format!("{API}{READ}/2"));
    assert_eq!(world.refusal(&Ask::signed(&token(), &stale)).await.reason(), Reason::DpopHtuMismatch);

    // The same proof, spent with a token that names no list, would be a replay.
    let refusal = world.refusal(&Ask::signed(&token(), &Proof::new())).await;
    assert_eq!(refusal.reason(), Reason::StatusListInvalid);
    world.revoke(&named(RevocationKind::TokenId, "corp:t-1"), Form::Total).await;
    let (result, facts) = world.check_at(&Ask::signed(&token(), &Proof::new()), at(0)).await;
    assert_eq!((result.unwrap_err().reason(), facts.status), (Reason::TokenRevoked, None));
}
