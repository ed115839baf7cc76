//! Nonces: asked for where the store may have forgotten, or always (RFC 9449 §9, D13, G08).

use exequatur_decide::{Denial, FreshNonce, NonceFact, NonceMode, Refusal, ReplayFact};
use jiff::SignedDuration;
use serde_json::json;

use crate::ask::{Ask, NOW, Proof, READ, Token};
use crate::key::Key;
use crate::world::{Setting, World, at};

/// A world whose store knows nothing from before now.
async fn young() -> World {
    World::with(Setting { complete_since: at(0), ..Setting::default() }).await
}

async fn requiring() -> World {
    let nonces = NonceMode::Required { max_age: SignedDuration::from_secs(60) };
    World::with(Setting { nonces, ..Setting::default() }).await
}

/// The nonce of a `NonceRequired`.
fn required(refusal: Refusal) -> FreshNonce {
    let nonce =
        if let Refusal::Denied(Denial::NonceRequired(nonce)) = refusal { Ok(nonce) } else { Err(refusal) };
    nonce.unwrap()
}

/// The nonce of a `NonceInvalid`.
fn invalid(refusal: Refusal) -> FreshNonce {
    let nonce =
        if let Refusal::Denied(Denial::NonceInvalid(nonce)) = refusal { Ok(nonce) } else { Err(refusal) };
    nonce.unwrap()
}

fn answering(token: &str, proof: &Proof, nonce: &FreshNonce) -> Ask {
    Ask::dpop(token, &proof.answering(nonce.as_str(), token))
}

#[tokio::test]
async fn in_doubt_a_nonce_is_asked_for_and_nothing_claimed() {
    let world = young().await;
    let token = Token::bound().sign();
    let proof = Proof::new();
    let (result, facts) = world.check_at(&Ask::dpop(&token, &proof.sign(&token)), at(0)).await;
    let nonce = required(result.unwrap_err());
    assert_eq!((facts.replay, facts.nonce), (Some(ReplayFact::Doubtful), Some(NonceFact::Absent)));
    assert_eq!(world.live_proofs().await, 0);

    // The same `jti`: had it been claimed, this would be a replay.
    let retry = answering(&token, &proof, &nonce);
    let (result, facts) = world.check_at(&retry, at(0)).await;
    assert_eq!(result.unwrap().next_nonce(), None);
    assert_eq!((facts.replay, facts.nonce), (Some(ReplayFact::Fresh), Some(NonceFact::Valid)));
    assert_eq!(world.refusal(&retry).await, Denial::Replayed.into());
    assert_eq!(world.live_proofs().await, 1);
}

/// A proof may be dated 10 s ahead, and 5 s of skew are allowed for.
#[tokio::test]
async fn doubt_ends_when_no_earlier_use_is_possible() {
    let world = young().await;
    let token = Token::bound().sign();
    for (iat, doubtful) in [(NOW + 15, true), (NOW + 16, false)] {
        let ask = Ask::dpop(&token, &Proof::new().with("iat", iat).sign(&token));
        let (result, facts) = world.check_at(&ask, at(16)).await;
        assert_eq!(result.is_err(), doubtful, "{iat}");
        assert_eq!(facts.replay == Some(ReplayFact::Doubtful), doubtful, "{iat}");
    }
}

/// The store was lost: replicas share the secret, so the nonce is ours, but it proves nothing any more.
#[tokio::test]
async fn a_nonce_of_an_earlier_epoch_is_replaced() {
    let token = Token::bound().sign();
    let proof = Proof::new();
    let ask = Ask::dpop(&token, &proof.sign(&token));
    let old = required(young().await.refusal(&ask).await);

    let world = young().await;
    let (result, facts) = world.check_at(&answering(&token, &proof, &old), at(0)).await;
    let fresh = invalid(result.unwrap_err());
    assert_eq!((facts.replay, facts.nonce), (Some(ReplayFact::Doubtful), Some(NonceFact::Valid)));
    assert_ne!(fresh, old);
    world.check(&answering(&token, &proof, &fresh)).await.unwrap();
}

/// two replicas with one secret, each with a store of its own. Where nonces are required, that of the one passes
/// with the other; while the other may have forgotten, only its own does.
#[tokio::test]
async fn a_nonce_of_another_replica_passes_where_nothing_was_forgotten() {
    let token = Token::bound().sign();
    let proof = Proof::new();
    let ask = Ask::dpop(&token, &proof.sign(&token));
    let of_one = required(requiring().await.refusal(&ask).await);

    let other = requiring().await;
    let (result, facts) = other.check_at(&answering(&token, &proof, &of_one), at(0)).await;
    assert!(result.unwrap().next_nonce().is_some());
    assert_eq!((facts.replay, facts.nonce), (Some(ReplayFact::Fresh), Some(NonceFact::Valid)));

    let nonces = NonceMode::Required { max_age: SignedDuration::from_secs(60) };
    let young = World::with(Setting { nonces, complete_since: at(0), ..Setting::default() }).await;
    let of_young = invalid(young.refusal(&answering(&token, &proof, &of_one)).await);
    young.check(&answering(&token, &proof, &of_young)).await.unwrap();
    // Its age is judged by the clock of whoever is asked.
    let late = answering(&token, &Proof::new().with("iat", NOW + 61), &of_one);
    invalid(other.check_at(&late, at(61)).await.0.unwrap_err());
}

#[tokio::test]
async fn a_nonce_is_for_one_key_and_one_origin() {
    let world = young().await;
    let nonce = required(world.refusal(&Ask::valid()).await);

    let token = Token::bound().with("cnf", json!({"jkt": Key::stranger().thumbprint})).sign();
    let ask = answering(&token, &Proof::by(Key::stranger()), &nonce);
    let (result, facts) = world.check_at(&ask, at(0)).await;
    invalid(result.unwrap_err());
    assert_eq!(facts.nonce, Some(NonceFact::Foreign));

    let token = Token::bound().with("aud", json!("https://files.example.com")).sign();
    let proof = Proof::new().with("htu", format!("https://files.example.com{READ}"));
    let files = answering(&token, &proof, &nonce).at("files.example.com");
    invalid(world.refusal(&files).await);
    assert_eq!(world.live_proofs().await, 0);
}

#[tokio::test]
async fn without_doubt_and_requirement_a_nonce_is_ignored() {
    let world = World::new().await;
    let token = Token::bound().sign();
    let foreign = Ask::dpop(&token, &Proof::new().answering("someone-elses", &token));
    let (result, facts) = world.check_at(&foreign, at(0)).await;
    assert_eq!(result.unwrap().next_nonce(), None);
    assert_eq!(facts.nonce, Some(NonceFact::Foreign));
}

#[tokio::test]
async fn a_required_nonce_is_asked_for_and_renewed() {
    let world = requiring().await;
    let token = Token::bound().sign();
    let proof = Proof::new();
    let nonce = required(world.refusal(&Ask::dpop(&token, &proof.sign(&token))).await);
    assert_eq!(world.live_proofs().await, 0);
    let ask = answering(&token, &proof, &nonce);
    let settled = world.check(&ask).await.unwrap();
    assert_eq!(world.refusal(&ask).await, Denial::Replayed.into());

    let next = settled.next_nonce().unwrap();
    world.check(&answering(&token, &Proof::new(), next)).await.unwrap();
}

#[tokio::test]
async fn a_required_nonce_is_ours_for_this_key_and_young() {
    let world = requiring().await;
    let token = Token::bound().sign();
    let nonce = required(world.refusal(&Ask::valid()).await);

    let foreign = Ask::dpop(&token, &Proof::new().answering("someone-elses", &token));
    invalid(world.refusal(&foreign).await);
    let other = Token::bound().with("cnf", json!({"jkt": Key::stranger().thumbprint})).sign();
    invalid(world.refusal(&answering(&other, &Proof::by(Key::stranger()), &nonce)).await);

    let later = |seconds| answering(&token, &Proof::new().with("iat", NOW + seconds), &nonce);
    world.check_at(&later(60), at(60)).await.0.unwrap();
    let fresh = invalid(world.check_at(&later(61), at(61)).await.0.unwrap_err());
    let renewed = answering(&token, &Proof::new().with("iat", NOW + 61), &fresh);
    world.check_at(&renewed, at(61)).await.0.unwrap();
}

/// A required nonce also takes the doubt away, and must be of the store's epoch to do so.
#[tokio::test]
async fn a_required_nonce_of_another_epoch_is_replaced_in_doubt() {
    let token = Token::bound().sign();
    let elsewhere = required(requiring().await.refusal(&Ask::valid()).await);
    let nonces = NonceMode::Required { max_age: SignedDuration::from_secs(60) };
    let world = World::with(Setting { nonces, complete_since: at(0), ..Setting::default() }).await;
    let fresh = invalid(world.refusal(&answering(&token, &Proof::new(), &elsewhere)).await);
    world.check(&answering(&token, &Proof::new(), &fresh)).await.unwrap();
}

/// Who sends no proof is asked for none.
#[tokio::test]
async fn bearer_tokens_need_no_nonce() {
    let world = requiring().await;
    let ask = Ask::bearer(&Token::unbound().sign()).to("/tenants/acme/lax/internal/1");
    assert_eq!(world.check(&ask).await.unwrap().next_nonce(), None);
}
