use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;

use exequatur_audit::{Checkpoints, Mode, Sealing};
use exequatur_decide::Revocable;
use exequatur_issuers::{HttpConfig, KeySource, KeysConfig, Signers, Transport};
use exequatur_store::{
    Asked, EmbeddedAttributes, EmbeddedRevocations, Finding, RevocationKind, RevocationLimits,
};
use exequatur_token::Algorithm;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::event::EventKind;
use crate::mapping::{Response, Speaker};
use crate::tally::EventOutcome;
use crate::testing::{AUDIENCE, ISSUER, JWKS, VERIFICATION, at, expected, set, set_with};

struct World {
    receiver: Receiver,
    revocations: Arc<dyn RevocationStore>,
    attributes: Arc<EmbeddedAttributes>,
    folder: tempfile::TempDir,
    _tasks: TaskTracker,
}

impl World {
    async fn new(room: u32, recorded: bool, jwks: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jwks.json");
        std::fs::write(&file, jwks).unwrap();
        let began = tokio::time::Instant::now();
        let clock: Clock = Arc::new(move || at(0) + SignedDuration::try_from(began.elapsed()).unwrap());
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let signers =
            Signers::start(vec![keys(&file)], HttpConfig::default(), Arc::clone(&clock), &tasks, &cancel);
        let keys = Arc::clone(signers.unwrap().iter().next().unwrap());
        keys.load_ended_after(0).await;
        let limits = RevocationLimits {
            max_revocations: NonZeroU32::new(room).unwrap(),
            ..RevocationLimits::default()
        };
        let revocations: Arc<dyn RevocationStore> =
            Arc::new(EmbeddedRevocations::open(None, limits, at(0)).unwrap());
        let attributes = Arc::new(EmbeddedAttributes::open(None, usize::try_from(room).unwrap()).unwrap());
        let records = folder.path().join("records.jsonl");
        let queue = NonZeroUsize::new(16).unwrap();
        let sealing = Sealing { checkpoints: Checkpoints::default(), clock: Arc::clone(&clock) };
        let recorder = recorded.then(|| Recorder::open(&records, Mode::BestEffort, queue, sealing).unwrap());
        let corp = Speaker {
            name: "corp".parse().unwrap(),
            issuer: "https://sts.example.com".to_owned(),
            by_subject: true,
            by_email: false,
            by_session: true,
            longest: SignedDuration::from_mins(15),
        };
        let receiver = Receiver::new(ReceiverParts {
            name: "idp".to_owned(),
            expected: expected(),
            rules: Arc::new(ArcSwap::from_pointee(Rules {
                speakers: vec![corp],
                credential_change: Response::Revoke,
                token_claims_change: Response::Revoke,
                attributes_for: SignedDuration::from_hours(24),
                stream_id: None,
                states: None,
            })),
            keys,
            revocations: Arc::clone(&revocations),
            attributes: Arc::<EmbeddedAttributes>::clone(&attributes),
            recorder,
            redaction: Arc::default(),
            clock,
        });
        Self { receiver, revocations, attributes, folder, _tasks: tasks }
    }

    /// Whether a token of that user is stopped that was issued then.
    fn stops(&self, name: &str, issued_at: i64) -> bool {
        let target = Revocable::parse(RevocationKind::User, name).unwrap().target();
        let asked = [Asked { target, issued_at: Some(at(issued_at)) }];
        matches!(self.revocations.snapshot().ask(&asked, at(0)), Finding::Revoked(_))
    }

    fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("records.jsonl")).unwrap();
        text.lines()
            .filter(|line| !line.contains(r#"","open":{"#))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn count(&self, kind: EventKind, outcome: EventOutcome) -> u64 {
        let mut events = self.receiver.tally().events();
        events
            .find(|(known, came_to, _)| *known == kind && *came_to == outcome)
            .map_or(0, |(_, _, count)| count)
    }
}

fn keys(file: &Path) -> KeysConfig {
    KeysConfig {
        name: "idp".parse().unwrap(),
        issuer: ISSUER.to_owned(),
        algorithms: Algorithm::ALL.to_vec(),
        source: KeySource::File { path: file.to_owned() },
        transport: Transport::default(),
        refresh: Duration::from_secs(300),
        cooldown: Duration::from_secs(30),
        max_stale: Duration::from_secs(3600),
    }
}

/// V05: a token that is named itself is stopped whenever it was issued: its issuer's clock may be ahead of the transmitter's.
#[tokio::test]
async fn a_token_by_its_id_is_stopped_whenever_it_was_issued() {
    let world = World::new(10, true, JWKS).await;
    let named = json!({ "sub_id": { "format": "jwt_id", "iss": "https://sts.example.com", "jti": "t-1" } });
    assert_eq!(world.receiver.receive(&set(&named)).await, Ok(()));
    let stopped = |jti: &str, issued_at: i64| {
        let target = Revocable::parse(RevocationKind::TokenId, &format!("corp:{jti}")).unwrap().target();
        let asked = [Asked { target, issued_at: Some(at(issued_at)) }];
        matches!(world.revocations.snapshot().ask(&asked, at(0)), Finding::Revoked(_))
    };
    assert!(stopped("t-1", -10) && stopped("t-1", 5) && !stopped("t-2", -10));
    assert_eq!(world.records()[0]["not_before"], Value::Null);
}

/// V05: it holds when the set is taken, is recorded, and does nothing new when it comes again.
#[tokio::test]
async fn what_is_taken_holds_and_is_recorded() {
    let world = World::new(10, true, JWKS).await;
    let set = set(&Value::Null);
    assert!(!world.stops("corp:alice", -10));
    assert_eq!(world.receiver.receive(&set).await, Ok(()));
    assert!(
        world.stops("corp:alice", -10) && !world.stops("corp:alice", -9) && !world.stops("corp:bob", -10)
    );
    assert_eq!(world.receiver.receive(&set).await, Ok(()));
    assert_eq!(world.revocations.health().entries, 1);
    assert!(!world.stops("corp:alice", -9));
    assert_eq!(world.count(EventKind::SessionRevoked, EventOutcome::Applied), 2);
    let records = world.records();
    assert_eq!(records.len(), 2);
    for record in records {
        let said = ["actor", "action", "outcome", "kind", "name"].map(|name| record[name].as_str().unwrap());
        assert_eq!(said, ["signals:idp", "revoke", "done", "user", "corp:alice"]);
        assert!(record["reason"].as_str().unwrap().starts_with("session_revoked, set "), "{record}");
        assert!(!record.to_string().contains("set-1"), "{record}");
    }
}

/// V02: what the store has no room for is not acknowledged, and neither is what cannot be recorded.
#[tokio::test]
async fn what_cannot_be_kept_is_not_taken() {
    let world = World::new(1, true, JWKS).await;
    assert_eq!(world.receiver.receive(&set(&Value::Null)).await, Ok(()));
    let bob = json!({ "format": "iss_sub", "iss": "https://sts.example.com", "sub": "bob" });
    let other = set(&json!({ "sub_id": bob }));
    let full = Refusal::Unavailable(Unavailable::Store(RevocationError::Full));
    assert_eq!(world.receiver.receive(&other).await, Err(full));
    assert_eq!(world.records().last().unwrap()["outcome"], "failed");

    let world = World::new(10, true, JWKS).await;
    world.receiver.parts.recorder.as_ref().unwrap().close().await.unwrap();
    let taken = world.receiver.receive(&set(&Value::Null)).await;
    assert!(matches!(taken, Err(Refusal::Unavailable(Unavailable::NotRecorded(_)))), "{taken:?}");
    assert!(world.stops("corp:alice", -10), "and yet it holds");
    assert_eq!(world.count(EventKind::SessionRevoked, EventOutcome::Applied), 0);
}

/// V08: what is said of somebody is kept and recorded; without room for it, it is not taken.
#[tokio::test]
async fn what_is_said_of_somebody_is_kept() {
    let world = World::new(1, true, JWKS).await;
    let risk = EventKind::RiskLevelChange.uri().unwrap();
    let event = |who: &str| {
        let subject = json!({ "format": "iss_sub", "iss": "https://sts.example.com", "sub": who });
        let content = json!({ "principal": "USER", "current_level": "HIGH", "event_timestamp": crate::testing::NOW - 10 });
        set(&json!({ "sub_id": subject, "events": { risk: content } }))
    };
    assert_eq!(world.receiver.receive(&event("alice")).await, Ok(()));
    assert_eq!(world.receiver.receive(&event("alice")).await, Ok(()));
    let most = std::num::NonZeroU16::new(9).unwrap();
    let known = world.attributes.list(None, most, at(0)).unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].subject(), Revocable::parse(RevocationKind::User, "corp:alice").unwrap().target());
    assert_eq!((known[0].at, known[0].until), (at(-10), at(24 * 3600 - 10)));
    let full = Refusal::Unavailable(Unavailable::Attributes(AttributeError::Full));
    assert_eq!(world.receiver.receive(&event("bob")).await, Err(full));
    let records = world.records();
    let said =
        |record: &Value| ["action", "outcome", "name"].map(|name| record[name].as_str().unwrap().to_owned());
    assert_eq!(said(&records[0]), ["tell", "done", "corp:alice"]);
    assert_eq!(said(&records[2]), ["tell", "failed", "corp:bob"]);
    assert!(records[0]["reason"].as_str().unwrap().starts_with("high: risk_level_change, set "));
}

/// The first set that is signed with a new key waits for the keys; a key that nobody publishes is none.
#[tokio::test]
async fn a_rotation_loses_no_set() {
    let before = JWKS.replace("\"kid\":\"a\"", "\"kid\":\"b\"");
    let world = World::new(10, false, &before).await;
    let (first, other) = (set(&Value::Null), set_with(&json!({ "kid": "c" }), &Value::Null));
    let rotate = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        std::fs::write(world.folder.path().join("jwks.json"), JWKS).unwrap();
    };
    let (taken, ()) = tokio::join!(world.receiver.receive(&first), rotate);
    assert_eq!(taken, Ok(()));
    assert_eq!(world.receiver.receive(&other).await, Err(Refusal::Set(SetError::KeyUnknown)));
}

#[tokio::test]
async fn without_keys_a_set_may_be_taken_later() {
    let world = World::new(10, false, "{}").await;
    let taken = world.receiver.receive(&set(&Value::Null)).await;
    assert_eq!(taken, Err(Refusal::Unavailable(Unavailable::Keys(KeysUnavailable::NeverLoaded))));
}

#[tokio::test]
async fn a_set_is_taken_under_its_own_id_only() {
    let world = World::new(10, false, JWKS).await;
    let verification = json!({
        "aud": [AUDIENCE], "sub_id": { "format": "opaque", "id": "x" }, "events": { VERIFICATION: {} },
    });
    let set = set(&verification);
    let other = world.receiver.receive_as(&set, Some("set-2")).await;
    assert_eq!(other, Err(Refusal::Set(SetError::OtherId)));
    assert_eq!(world.receiver.tally().status().last_verification, None);
    assert_eq!(world.receiver.receive_as(&set, Some("set-1")).await, Ok(()));
    assert!(world.receiver.tally().status().last_verification.is_some());
}
