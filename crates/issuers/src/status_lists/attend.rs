//! The task that attends to one list.

use std::sync::Arc;
use std::time::Duration;

use exequatur_token::StatusList;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::entry::{Entry, Loaded, Progress};
use super::{FORGOTTEN_AFTER, ListError, StatusLists};
use crate::config::HttpConfig;
use crate::download::{MediaType, download};
use crate::issuer::Issuer;
use crate::outcome::LoadOutcome;
use crate::refresh::random_fraction;

/// The least time between the beginnings of two loads of one list, however short its `ttl` is.
const LEAST_PAUSE: Duration = Duration::from_millis(250);
/// A list is loaded again once this part of its time has passed.
const PART_OF_ITS_TIME: f64 = 0.75;

/// Loads one list again and again, while tokens name it.
pub(super) struct Attendant {
    pub(super) issuer: Arc<Issuer>,
    pub(super) entry: Arc<Entry>,
    pub(super) progress: watch::Sender<Progress>,
}

impl Attendant {
    pub(super) async fn run(self) {
        let dismissed = Arc::clone(&self.entry);
        tokio::select! {
            () = dismissed.dismissed() => {}
            () = self.attend() => {}
        }
    }

    async fn attend(self) {
        let Some(lists) = self.issuer.status_lists() else { return };
        let mut failed = None;
        loop {
            let (began, at) = (tokio::time::Instant::now(), (lists.upkeep.clock)());
            let outcome = self.load(lists, at).await;
            lists.count(outcome.as_ref().err().map_or(LoadOutcome::Loaded, |error| error.outcome()));
            self.report(&outcome, &mut failed);
            let pause = match outcome {
                Ok(loaded) => {
                    let pause = pause(lists, &loaded);
                    self.entry.replace(loaded);
                    self.progress.send_replace(Progress::Loaded);
                    pause
                }
                Err(_) => {
                    self.progress.send_replace(Progress::Failed);
                    lists.config.cooldown.mul_f64(1.0 + 0.1 * random_fraction())
                }
            };
            self.rest(began, pause).await;
            if lists.forget(&self.entry, (lists.upkeep.clock)()) {
                tracing::debug!(list = %self.entry.uri(), "status list forgotten: no token names it");
                return;
            }
            self.progress.send_replace(Progress::Loading);
        }
    }

    /// Until the next load is due, or somebody needs it.
    async fn rest(&self, began: tokio::time::Instant, pause: Duration) {
        let failed = *self.progress.borrow() == Progress::Failed;
        let wanted = async {
            if failed {
                // Nobody hastens it.
                std::future::pending::<()>().await;
            }
            self.entry.wanted().await;
            tokio::time::sleep_until(began.checked_add(LEAST_PAUSE).unwrap_or(began)).await;
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = wanted => {}
        }
    }

    async fn load(&self, lists: &StatusLists, at: Timestamp) -> Result<Loaded, ListError> {
        // Closed never.
        let _turn = lists.turns.acquire().await.or(Err(ListError::CutShort))?;
        let size = lists.config.size;
        let bounds = HttpConfig { max_bytes: size.document_bytes(), ..HttpConfig::default() };
        let client = lists.client.get();
        let document = download(&client, self.entry.url(), MediaType::StatusList, bounds).await?;
        let keys = self.issuer.keys(at).or(Err(ListError::Keys))?;
        let (issuer, uri) = (Arc::clone(&self.issuer), Arc::clone(self.entry.uri()));
        // A large one takes tens of milliseconds.
        let reading = tokio::task::spawn_blocking(move || {
            StatusList::verify(&document, &uri, issuer.profile(), &keys, size, at)
        });
        let list = reading.await.or(Err(ListError::CutShort))?;
        let list = list.inspect_err(|error| self.issuer.list_refused(self.entry.uri(), *error, at))?;
        if self.entry.last().is_some_and(|last| list.is_superseded_by(&last.list)) {
            return Err(ListError::Older);
        }
        let longest = SignedDuration::try_from(lists.config.max_stale).unwrap_or(SignedDuration::MAX);
        let until = list.usable_until(at, longest, self.issuer.profile());
        Ok(Loaded { list, asked_at: at, until })
    }

    /// Tells what is new: the first load, a failure of another kind than before, a recovery.
    fn report(&self, outcome: &Result<Loaded, ListError>, failed: &mut Option<ListError>) {
        let (issuer, list) = (self.issuer.profile().name.as_str(), self.entry.uri());
        match outcome {
            Ok(loaded) => {
                if failed.take().is_some() || self.entry.last().is_none() {
                    tracing::info!(issuer, %list, statuses = loaded.list.len(), "status list loaded");
                }
            }
            Err(error) => {
                if failed.replace(*error) != Some(*error) {
                    tracing::warn!(issuer, %list, %error, "status list could not be loaded");
                }
            }
        }
    }
}

/// As often as is configured, and well before the list ends.
fn pause(lists: &StatusLists, loaded: &Loaded) -> Duration {
    let time = Duration::try_from(loaded.until.duration_since(loaded.asked_at)).unwrap_or(Duration::ZERO);
    let usual = lists.config.refresh.mul_f64(0.9 + 0.2 * random_fraction());
    // Looked at often enough to be forgotten in time.
    let forgotten = FORGOTTEN_AFTER.unsigned_abs();
    usual.min(time.mul_f64(PART_OF_ITS_TIME)).min(forgotten).max(LEAST_PAUSE)
}
