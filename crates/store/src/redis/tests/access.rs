//! What a server has to permit.

use super::*;
use crate::overrides::{LimitOverride, OverridePlace, OverrideStore as _};

/// What docs/shared-state.md says of an ACL is enough.
#[tokio::test]
async fn the_documented_acl_is_enough() {
    for kind in Kind::ALL {
        let folder = folder();
        acl_is_enough(&start(kind, folder.path())).await;
    }
}

async fn acl_is_enough(redis: &Redis) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/shared-state.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("An ACL for Exequatur: `").unwrap();
    let (commands, _) = rest.split_once('`').unwrap();
    let mut words = vec!["ACL", "SETUSER", "gate", "on", ">word", "~exequatur:*", "-@all"];
    words.extend(commands.split(' '));
    assert!(redis.say(&words).unwrap().starts_with("+OK"));
    let limited =
        bounded(&format!("{}?user=gate&pass=word", redis.socket_url()), "exequatur", WindowBounds::default());
    let used = undoubted(&limited, redis, 1).await;
    assert!(fresh(&limited.claim(SCOPE, &used, used.issued_at).await));
    assert!(limited.health(used.issued_at).await.is_ok());
    let revocations =
        limited.revocations(RevocationLimits::default(), Staleness { usual: LIFE, degraded: LIFE }).unwrap();
    let now = used.issued_at;
    let stop = tokio_util::sync::CancellationToken::new();
    let orders = async {
        let target = Target { kind: RevocationKind::Agent, digest: [1; 16] };
        let note = Note::new("corp:a".to_owned(), "why".to_owned(), "me".to_owned(), now).unwrap();
        let revocation = Revocation { target, form: Form::Total, until: None, note: note.clone() };
        assert!(revocations.revoke(&revocation, now).await.unwrap().changed);
        let limit = std::num::NonZeroU16::MIN;
        assert_eq!(revocations.list(Position::default(), limit, now).await.unwrap().standing.len(), 1);
        assert!(revocations.lift(target, Lift::Revocation, &note, now).await.unwrap().changed);
        revocations.tend(now).await.unwrap();
        stop.cancel();
    };
    tokio::join!(orders, revocations.follow(Arc::new(move || now), stop.clone()));
    let overrides = limited.overrides(9);
    overrides.look(now).await.unwrap();
    let place = OverridePlace::parse("rate:tenant:acme").unwrap();
    let note = Note::new("acme".to_owned(), "why".to_owned(), "me".to_owned(), now).unwrap();
    let order = LimitOverride { place, figure: Limit::Rate(Rate::least()), until: None, note: note.clone() };
    assert!(overrides.set(&order, now).await.unwrap().changed);
    assert!(overrides.take_back(&order.place, &note, now).await.unwrap().changed);
    let later = server_time(redis) + SignedDuration::from_hours(26);
    overrides.look(later).await.unwrap();
    assert_eq!(redis.say(&["HLEN", "exequatur:{revocations}:1:limits"]).unwrap().trim(), ":1");
    let wrong = bounded(
        &format!("{}?user=gate&pass=other", redis.socket_url()),
        "exequatur",
        WindowBounds::default(),
    );
    assert_eq!(wrong.epoch(SCOPE, at(0)).await, Err(StoreError::Unavailable));
}
