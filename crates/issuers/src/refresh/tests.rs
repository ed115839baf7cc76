use std::path::PathBuf;

use exequatur_token::Algorithm;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::*;
use crate::config::HttpConfig;
use crate::kept_keys::{IssuerStatus, KeysUnavailable};
use crate::testing::{clock, jwks, key_set};

/// A refresher over a file, in paused time: reading a file takes none.
struct Running {
    issuer: Arc<KeptKeys>,
    clock: Clock,
    path: PathBuf,
    _folder: tempfile::TempDir,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Running {
    fn start(content: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwks.json");
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let (cooldown, max_stale) = (Duration::from_secs(30), SignedDuration::from_hours(1));
        let (name, algorithms) = ("corp".parse().unwrap(), vec![Algorithm::EdDsa]);
        let issuer = Arc::new(KeptKeys::new(name, algorithms, cooldown.try_into().unwrap(), max_stale));
        let refresher = Refresher {
            issuer: Arc::clone(&issuer),
            source: Source::file(path.clone(), HttpConfig::default()),
            every: Duration::from_secs(300),
            retry: cooldown,
        };
        let (clock, tasks, cancel) = (clock(), TaskTracker::new(), CancellationToken::new());
        tasks.spawn(refresher.run(Arc::clone(&clock), cancel.clone()));
        Self { issuer, clock, path, _folder: folder, tasks, cancel }
    }

    fn status(&self) -> IssuerStatus {
        self.issuer.status((self.clock)())
    }

    fn loads(&self) -> u64 {
        let status = self.status();
        status.loads.succeeded() + status.loads.failed()
    }

    /// How much time passes until then.
    async fn until(&self, holds: impl Fn(&IssuerStatus) -> bool) -> Duration {
        let start = Instant::now();
        while !holds(&self.status()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        start.elapsed()
    }

    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_load_is_at_once_and_the_next_about_a_period_later() {
    let running = Running::start(Some(&jwks("a")));
    assert!(running.until(|status| status.keys == 1).await < Duration::from_millis(50));
    running.pass(3600).await;
    assert!((11..=14).contains(&running.loads()), "{}", running.loads());
}

/// C-11: down at the start; the pauses grow, and not beyond 5 seconds.
#[tokio::test(start_paused = true)]
async fn the_first_load_is_tried_until_it_succeeds() {
    let running = Running::start(None);
    running.pass(60).await;
    assert!((13..=40).contains(&running.loads()), "{}", running.loads());
    assert_eq!(running.issuer.keys((running.clock)()).err(), Some(KeysUnavailable::NeverLoaded));
    std::fs::write(&running.path, jwks("a")).unwrap();
    assert!(running.until(|status| status.keys == 1).await <= LONGEST_RETRY);
}

/// C-12: accepted and refused within a refresh.
#[tokio::test(start_paused = true)]
async fn a_rotation_is_followed_within_a_period() {
    let running = Running::start(Some(&jwks("a")));
    running.until(|status| status.keys == 1).await;
    std::fs::write(&running.path, jwks("b")).unwrap();
    let rotated = running.until(|status| status.key_set == Some(key_set("b").id())).await;
    assert!(rotated <= Duration::from_secs(331), "{rotated:?}");
}

/// C-13: a flood asks for ten loads in five minutes, and a rotation within it is seen within a minute.
#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_keys_loads_once_per_cooldown() {
    let running = Running::start(Some(&jwks("a")));
    running.until(|status| status.keys == 1).await;
    let mut rotated = None;
    for tenth in 0..3000_u32 {
        let key = running.issuer.sought_key(Some(&tenth.to_string()), Algorithm::EdDsa);
        running.issuer.unknown_key_seen(key, (running.clock)());
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(running.loads() <= u64::from(tenth) / 300 + 2, "{} after {tenth}", running.loads());
        if tenth == 1010 {
            std::fs::write(&running.path, jwks("b")).unwrap();
        }
        if running.status().key_set == Some(key_set("b").id()) {
            rotated.get_or_insert(tenth);
        }
    }
    assert!((10..=11).contains(&running.loads()), "{}", running.loads());
    assert!(rotated.is_some_and(|tenth| tenth <= 1010 + 301), "{rotated:?}");
}

/// C-11: down later; tried again after a cooldown, kept for an hour, then refused, and well again after that.
#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_tried_more_often_and_outlived_for_a_while() {
    let running = Running::start(Some(&jwks("a")));
    running.until(|status| status.keys == 1).await;
    std::fs::write(&running.path, "<!doctype html>").unwrap();
    running.until(|status| status.last_error.is_some()).await;
    let failed = running.loads();
    running.pass(600).await;
    assert!((failed + 17..=failed + 21).contains(&running.loads()), "{}", running.loads() - failed);
    assert!(running.issuer.keys((running.clock)()).is_ok());
    running.pass(3600).await;
    assert_eq!(running.issuer.keys((running.clock)()).err(), Some(KeysUnavailable::TooStale));
    std::fs::write(&running.path, jwks("a")).unwrap();
    let recovered = running.until(|status| status.last_error.is_none()).await;
    assert!(recovered <= Duration::from_secs(34), "{recovered:?}");
    assert!(running.issuer.keys((running.clock)()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_ends() {
    let running = Running::start(None);
    running.pass(1).await;
    running.cancel.cancel();
    running.tasks.close();
    running.tasks.wait().await;
    let loads = running.loads();
    running.pass(600).await;
    assert_eq!(running.loads(), loads);
}
