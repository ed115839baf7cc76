//! How a replica takes its leave: it says so everywhere, and goes on answering until those who ask have heard it.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::observer::set_health;
use crate::public::Readiness;
use crate::workers::Load;

/// How long whoever balances the load has to notice, at least. Envoy asks for health each `interval`, and tells its workers at
/// once, or a second later where another replica's health changed within that second (`update_merge_window`), as it does when
/// replicas are replaced one after the other.
const LEAST: Duration = Duration::from_secs(2);
/// The same at most, while requests go on coming.
pub(crate) const MOST: Duration = Duration::from_secs(4);
/// Who has asked for nothing for so long has noticed.
const QUIET: Duration = Duration::from_millis(500);
/// How often it is looked whether anybody asks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Says everywhere that this replica stops, gives those who ask the time to hear it, and takes no new connections then.
pub(crate) async fn withdraw(
    readiness: &Readiness,
    health: &HealthReporter,
    load: &Load,
    closed: &CancellationToken,
) {
    readiness.drain();
    set_health(health, ServingStatus::NotServing).await;
    until_unasked(|| load.asked()).await;
    closed.cancel();
}

/// `asked` counts what was asked for so far.
async fn until_unasked(asked: impl Fn() -> u64) {
    let begun = Instant::now();
    let (mut last, mut since) = (asked(), begun);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = Instant::now();
        if asked() != last {
            (last, since) = (asked(), now);
        }
        let noticed = now.duration_since(begun) >= LEAST && now.duration_since(since) >= QUIET;
        if noticed || now.duration_since(begun) >= MOST {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus as Said;
    use tonic_health::pb::health_server::Health as _;
    use tonic_health::server::HealthService;

    use super::*;
    use crate::workers::Intake;

    /// Whoever asks hears it before anything else is waited for.
    #[tokio::test(start_paused = true)]
    async fn that_it_stops_is_said_first() {
        let (readiness, closed) = (Readiness::default(), CancellationToken::new());
        readiness.complete();
        let health = HealthReporter::new();
        set_health(&health, ServingStatus::Serving).await;
        let asked = HealthService::from_health_reporter(health.clone());
        let said = async || {
            let service = "envoy.service.auth.v3.Authorization".to_owned();
            let answer = asked.check(tonic::Request::new(HealthCheckRequest { service })).await.unwrap();
            answer.into_inner().status()
        };
        assert_eq!((said().await, readiness.is_ready()), (Said::Serving, true));
        let load = Intake::default().load();
        let mut leave = std::pin::pin!(withdraw(&readiness, &health, &load, &closed));
        // Before any time has passed.
        assert!(tokio::time::timeout(Duration::ZERO, &mut leave).await.is_err());
        assert_eq!((said().await, readiness.is_ready()), (Said::NotServing, false));
        assert!(!closed.is_cancelled());
        leave.await;
        assert!(closed.is_cancelled());
    }

    /// For how long it goes on where somebody asks for so long.
    async fn goes_on(asked_for: Duration) -> Duration {
        let begun = Instant::now();
        let asked = || u64::try_from(begun.elapsed().min(asked_for).as_millis()).unwrap();
        until_unasked(asked).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_until_nobody_asks_any_more_and_not_for_ever() {
        let (tick, second) = (LOOK_EVERY, Duration::from_secs(1));
        for (asked_for, least) in
            [(Duration::ZERO, LEAST), (second, LEAST), (3 * second, 3 * second + QUIET), (second * 60, MOST)]
        {
            let went_on = goes_on(asked_for).await;
            assert!(least <= went_on && went_on <= least + 2 * tick, "{asked_for:?}: {went_on:?}");
        }
    }
}
