//! What a server has to permit.

use super::process::cluster::Cluster;
use super::*;
use crate::overrides::{LimitOverride, OverridePlace, OverrideStore as _};

/// What docs/explanation/shared-state.md says of an ACL, of all servers or of a cluster's nodes besides.
fn documented(of_cluster: bool) -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/explanation/shared-state.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("An ACL for Exequatur: `").unwrap();
    let (mut commands, rest) = rest.split_once('`').unwrap();
    if of_cluster {
        let (before, _) = rest.split_once("` on the nodes of a cluster").unwrap();
        commands = before.rsplit_once('`').unwrap().1;
    }
    commands.split(' ').map(str::to_owned).collect()
}

fn permit(redis: &Redis, commands: &[String]) {
    let mut words = vec!["ACL", "SETUSER", "gate", "on", ">word", "~exequatur:*", "-@all"];
    words.extend(commands.iter().map(String::as_str));
    assert!(redis.say(&words).unwrap().starts_with("+OK"));
}

/// Asks for whatever a store and its revocations can be asked for.
async fn asks_everything(store: &RedisStore, used: &Claim) {
    assert!(fresh(&store.claim(SCOPE, used, used.issued_at).await));
    assert!(store.health(used.issued_at).await.is_ok());
    let revocations =
        store.revocations(RevocationLimits::default(), Staleness { usual: LIFE, degraded: LIFE }).unwrap();
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
    let overrides = store.overrides(9);
    overrides.look(now).await.unwrap();
    let place = OverridePlace::parse("rate:tenant:acme").unwrap();
    let note = Note::new("acme".to_owned(), "why".to_owned(), "me".to_owned(), now).unwrap();
    let order = LimitOverride { place, figure: Limit::Rate(Rate::least()), until: None, note: note.clone() };
    assert!(overrides.set(&order, now).await.unwrap().changed);
    assert!(overrides.take_back(&order.place, &note, now).await.unwrap().changed);
    let later = now + SignedDuration::from_hours(26);
    overrides.look(later).await.unwrap();
}

#[tokio::test]
async fn the_documented_acl_is_enough() {
    for kind in Kind::ALL {
        let folder = folder();
        acl_is_enough(&start(kind, folder.path())).await;
    }
}

async fn acl_is_enough(redis: &Redis) {
    permit(redis, &documented(false));
    let limited =
        bounded(&format!("{}?user=gate&pass=word", redis.socket_url()), "exequatur", WindowBounds::default());
    let used = undoubted(&limited, redis, 1).await;
    asks_everything(&limited, &used).await;
    assert_eq!(redis.say(&["HLEN", "exequatur:{revocations}:1:limits"]).unwrap().trim(), ":1");
    let wrong = bounded(
        &format!("{}?user=gate&pass=other", redis.socket_url()),
        "exequatur",
        WindowBounds::default(),
    );
    assert_eq!(wrong.epoch(SCOPE, at(0)).await, Err(StoreError::Unavailable));
}

/// Without what is documented for a cluster's nodes besides, no slot is learnt.
#[tokio::test]
async fn the_acl_documented_for_a_cluster_is_enough() {
    for kind in Kind::ALL {
        let (ports, folder) = (Ports::block().unwrap(), folder());
        let cluster = Cluster::start(kind, folder.path(), &ports.all(), 3, &[]).unwrap();
        acl_is_enough_for(&cluster).await;
    }
}

async fn acl_is_enough_for(cluster: &Cluster) {
    let limited = || {
        RedisStore::new(RedisConfig {
            address: Address::of_cluster(&cluster.url().replace("//", "//gate:word@").into(), None).unwrap(),
            prefix: Prefix::default(),
            timeout: Duration::from_secs(5),
            bounds: WindowBounds::default(),
            limits_without: LimitsWithout::Local,
            replicas: NonZeroU32::MIN,
        })
    };
    let commands = documented(false);
    cluster.nodes.iter().for_each(|node| permit(node, &commands));
    assert_eq!(limited().epoch(SCOPE, at(0)).await, Err(StoreError::Unavailable));
    let commands = [commands, documented(true)].concat();
    cluster.nodes.iter().for_each(|node| permit(node, &commands));
    let store = limited();
    let used = undoubted(&store, &cluster.nodes[0], 1).await;
    asks_everything(&store, &used).await;
}

/// C-09: the password is replaced while the store is in use. The connection that is open goes on; the next one is made with the new one.
#[tokio::test]
async fn a_password_is_replaced_without_a_new_store() {
    let folder = folder();
    let redis = start(Kind::Newest, folder.path());
    permit(&redis, &documented(false));
    let url = |word: &str| format!("{}?user=gate&pass={word}", redis.socket_url());
    let address = |word: &str| Address::new(&url(word).into(), &[], None).unwrap();
    let held = address("word");
    let store = RedisStore::new(RedisConfig {
        address: held.clone(),
        prefix: Prefix::default(),
        timeout: Duration::from_secs(5),
        bounds: WindowBounds::default(),
        limits_without: LimitsWithout::Local,
        replicas: NonZeroU32::MIN,
    });
    let used = undoubted(&store, &redis, 1).await;
    let say = |words: &[&str]| redis.say(words).unwrap();
    let cut = || assert!(say(&["CLIENT", "KILL", "USER", "gate"]).starts_with(':'));
    say(&["ACL", "SETUSER", "gate", ">second"]);
    assert_eq!(held.renew(&address("second")), Ok(true));
    assert!(store.health(used.issued_at).await.is_ok(), "the open connection goes on");
    say(&["ACL", "SETUSER", "gate", "<word"]);
    cut();
    // What broke is told once, and made anew then.
    let again = async {
        while store.health(used.issued_at).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), again).await.unwrap();
    // With the old one, nobody gets in.
    assert_eq!(held.renew(&address("word")), Ok(true));
    cut();
    assert!(store.epoch(SCOPE, at(0)).await.is_err());
}
