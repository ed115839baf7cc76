//! One list, as far as it is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwapOption;
use exequatur_token::{KeySet, StatusList};
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::kept_keys::MAX_AHEAD;

/// How precisely it is known when a list was last named: it is written no more often.
const USE_STEP: i64 = 1000;

/// One list. Read by decisions, written by the task that attends to it.
#[derive(Debug)]
pub(super) struct Entry {
    uri: Arc<str>,
    url: Url,
    loaded: ArcSwapOption<Loaded>,
    progress: watch::Receiver<Progress>,
    /// Somebody needs another list than the one that is there.
    wanted: Notify,
    /// When a token named it last; milliseconds since 1970.
    last_used: AtomicI64,
    dismissed: CancellationToken,
}

/// A list that came.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) list: StatusList,
    /// When it was asked for: what happened while it was under way may be missing.
    pub(super) asked_at: Timestamp,
    pub(super) until: Timestamp,
}

/// What the task that attends to a list does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It loads, for the first time or again.
    Loading,
    /// The last load succeeded. Another one begins when the list has to be replaced, or when somebody needs it.
    Loaded,
    /// The last load failed. Another one begins after the cooldown.
    Failed,
}

impl Entry {
    pub(super) fn new(
        uri: Arc<str>,
        url: Url,
        dismissed: CancellationToken,
        now: Timestamp,
    ) -> (Self, watch::Sender<Progress>) {
        let (sender, progress) = watch::channel(Progress::Loading);
        let (loaded, wanted) = (ArcSwapOption::empty(), Notify::new());
        let last_used = AtomicI64::new(now.as_millisecond());
        (Self { uri, url, loaded, progress, wanted, last_used, dismissed }, sender)
    }

    pub(super) const fn uri(&self) -> &Arc<str> {
        &self.uri
    }

    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    /// The list, if it may be used at `now`. One from a time to come can only be there after the clock was set back; how
    /// old it is, is not known then.
    pub(super) fn usable(&self, keys: &KeySet, now: Timestamp) -> Option<Arc<Loaded>> {
        let known = self.loaded.load();
        let loaded = known.as_ref()?;
        let timely = loaded.asked_at.duration_since(now) <= MAX_AHEAD && now < loaded.until;
        (timely && loaded.list.is_signed_by(keys)).then(|| Arc::clone(loaded))
    }

    /// Whatever came last, to compare another one with.
    pub(super) fn last(&self) -> Option<Arc<Loaded>> {
        self.loaded.load_full()
    }

    pub(super) fn replace(&self, loaded: Loaded) {
        self.loaded.store(Some(Arc::new(loaded)));
    }

    /// How long ago the list was loaded, if it may be used.
    pub(super) fn age(&self, keys: &KeySet, now: Timestamp) -> Option<SignedDuration> {
        let loaded = self.usable(keys, now)?;
        Some(now.duration_since(loaded.asked_at).max(SignedDuration::ZERO))
    }

    /// Tells when a load has ended after this call.
    pub(super) fn ended(&self) -> Ended {
        let mut progress = self.progress.clone();
        progress.mark_unchanged();
        Ended(progress)
    }

    /// Whether a load is under way, or begins because one is asked for now. After a failure none does until the cooldown
    /// is over, whoever asks.
    pub(super) fn will_load(&self) -> bool {
        match *self.progress.borrow() {
            Progress::Loading => true,
            Progress::Loaded => {
                self.wanted.notify_one();
                true
            }
            Progress::Failed => false,
        }
    }

    /// Whether the last load failed: if there is a list, it is an earlier one.
    pub(super) fn last_load_failed(&self) -> bool {
        matches!(*self.progress.borrow(), Progress::Failed)
    }

    /// Until somebody needs another list than the one that is there.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    pub(super) fn used(&self, now: Timestamp) {
        let now = now.as_millisecond();
        let last = self.last_used.load(Ordering::Relaxed);
        if now.saturating_sub(last).unsigned_abs() >= USE_STEP.unsigned_abs() {
            self.last_used.store(now, Ordering::Relaxed);
        }
    }

    pub(super) fn last_used(&self) -> i64 {
        self.last_used.load(Ordering::Relaxed)
    }

    /// A use that lies far ahead was before the clock was set back.
    pub(super) fn is_unused_for(&self, span: SignedDuration, now: Timestamp) -> bool {
        let passed = now.as_millisecond().saturating_sub(self.last_used()).unsigned_abs();
        u128::from(passed) >= span.unsigned_abs().as_millis()
    }

    /// It is not attended to any longer.
    pub(super) fn dismiss(&self) {
        self.dismissed.cancel();
    }

    pub(super) async fn dismissed(&self) {
        self.dismissed.cancelled().await;
    }

    /// Whether a task attends to it.
    pub(super) fn is_attended(&self) -> bool {
        self.progress.has_changed().is_ok()
    }
}

/// The end of a load that is under way, or of the next one.
#[derive(Debug)]
pub(super) struct Ended(watch::Receiver<Progress>);

impl Ended {
    /// Until a load has ended, which may have begun before [`Entry::ended`] was called.
    ///
    /// # Errors
    /// Nobody attends to the list any longer.
    pub(super) async fn wait(mut self) -> Result<(), watch::error::RecvError> {
        loop {
            self.0.changed().await?;
            match *self.0.borrow_and_update() {
                Progress::Loading => {}
                Progress::Loaded | Progress::Failed => return Ok(()),
            }
        }
    }
}
