//! The background task that keeps one signer's keys.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::fetch::Source;
use crate::kept_keys::{KeptKeys, Learned};
use crate::signers::Clock;

/// The first pause before another try of the first load; it doubles up to [`LONGEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// The longest pause before another try of the first load: how much longer than the issuer we may be down.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// How many skipped keys of a set are told about.
const REPORTED_SKIPPED: usize = 16;

/// Loads keys until cancelled. There is one per issuer, so that no two loads of it overlap and none waits for
/// another issuer's.
#[derive(Debug)]
pub(crate) struct Refresher {
    pub(crate) issuer: Arc<KeptKeys>,
    pub(crate) source: Source,
    /// Between loads that succeed.
    pub(crate) every: Duration,
    /// After a load that failed, once one has succeeded, for each request that it may have made.
    pub(crate) retry: Duration,
}

impl Refresher {
    /// From this call on, and not from when it is first polled, the issuer is attended to.
    pub(crate) fn run(self, clock: Clock, cancel: CancellationToken) -> impl Future<Output = ()> + Send {
        let asked = self.issuer.asked();
        self.attend(asked, clock, cancel)
    }

    async fn attend(mut self, mut asked: watch::Receiver<u64>, clock: Clock, cancel: CancellationToken) {
        let (mut ever_loaded, mut first_retry) = (false, FIRST_RETRY);
        loop {
            let began = clock();
            let requests = self.source.requests(began);
            self.issuer.load_begins(began, requests);
            // Whoever asked before this load began is served by it.
            asked.mark_unchanged();
            let outcome = tokio::select! {
                () = cancel.cancelled() => return,
                outcome = self.source.load(began, self.issuer.algorithms()) => outcome,
            };
            let succeeded = outcome.is_ok();
            ever_loaded |= succeeded;
            let learned = self.issuer.load_ended(outcome, began);
            self.report(learned, began);
            let pause = if succeeded {
                // Give or take a tenth, so that replicas and issuers do not load in step.
                self.every.mul_f64(0.9 + 0.2 * random_fraction())
            } else if ever_loaded {
                let pause = self.retry.saturating_mul(u32::from(self.dearest(requests, clock())));
                pause.min(self.every).mul_f64(1.0 + 0.1 * random_fraction())
            } else {
                let pause = first_retry.mul_f64(0.5 + 0.5 * random_fraction());
                first_retry = first_retry.saturating_mul(2).min(LONGEST_RETRY);
                pause
            };
            let hastened = async {
                // Fails only without the issuer, which we hold.
                if asked.changed().await.is_ok() {
                    tokio::time::sleep(self.owed(began, requests, clock())).await;
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = hastened => {}
            }
        }
    }

    /// What the last load or the next one makes of requests, whichever is more.
    fn dearest(&self, last: u8, now: Timestamp) -> u8 {
        last.max(self.source.requests(now))
    }

    /// How long a load that was asked for still has to wait. The cooldown of the last one is over; if the next one
    /// makes more requests, it counts for each of them, so that over time there are no more than one per cooldown.
    fn owed(&self, began: Timestamp, last: u8, now: Timestamp) -> Duration {
        let cooldown = self.issuer.cooldown();
        let whole = cooldown.saturating_mul(i32::from(self.dearest(last, now)));
        let passed = now.duration_since(began).max(SignedDuration::ZERO);
        Duration::try_from(whole.saturating_sub(passed)).unwrap_or(Duration::ZERO)
    }

    fn report(&self, learned: Learned, began: Timestamp) {
        let status = self.issuer.status(began);
        let issuer = status.name.as_str();
        match (learned, status.last_error) {
            (Learned::Nothing, _) => {}
            (Learned::NewKeys | Learned::Recovered, _) => {
                tracing::info!(
                    issuer,
                    keys = status.keys,
                    skipped = status.skipped_keys,
                    "issuer keys loaded"
                );
                self.report_skipped(issuer, began);
            }
            (Learned::NewFailure, Some(error)) => {
                tracing::warn!(issuer, %error, keys = status.keys, "issuer keys could not be loaded");
            }
            (Learned::NewFailure, None) => {}
        }
    }

    /// A key that is skipped may be the one that tokens are signed with.
    fn report_skipped(&self, issuer: &str, now: Timestamp) {
        let Ok(keys) = self.issuer.keys(now) else { return };
        for skipped in keys.skipped().iter().take(REPORTED_SKIPPED) {
            tracing::info!(issuer, index = skipped.index, reason = %skipped.reason, "issuer key skipped");
        }
    }
}

/// Between 0 and 1; without randomness, the middle.
pub(crate) fn random_fraction() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
