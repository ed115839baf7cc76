//! The status lists of one issuer: fetched when a token first names them, kept while tokens do, and looked into for each
//! use of a token.
//!
//! A look into a list that is known is a step in memory. Each list that is kept has a task of its own, so that there is never
//! more than one load of it under way, and the next one begins well before the list ends.

mod attend;
mod config;
mod entry;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use exequatur_token::{KeySet, StatusListError, StatusReference, StatusRefusal, StatusValid};
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::attend::Attendant;
use self::entry::{Entry, Loaded};
use crate::clients::SharedClient;
use crate::download::DownloadError;
use crate::issuer::Issuer;
use crate::outcome::{LoadCounts, LoadOutcome};
use crate::signers::Clock;

pub use self::config::{ListPrefix, ListPrefixProblem, StatusListConfig};

/// Most lists of one issuer that are loaded at once; others wait for their turn.
const MOST_AT_ONCE: usize = 8;
/// A list that no token named for so long is forgotten.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// A list that no token named for so long makes room for another one, where there is none.
const GIVES_WAY_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// Why a list's word is not that the token is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatusProblem {
    /// No list of this issuer is asked for: nothing can be said of a token whose status is in one.
    #[error("no status lists are configured for the issuer")]
    NotConfigured,
    /// The list is not at an address that lists of this issuer may come from (G23).
    #[error("lists are not taken from this address")]
    NotAllowed,
    /// What the list says.
    #[error("{0}")]
    Refused(StatusRefusal),
    /// There is no list that may be used now.
    #[error("{0}")]
    Unavailable(ListUnavailable),
}

/// Why there is no list to look into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListUnavailable {
    /// It did not come, and no earlier one may be used any longer.
    #[error("the status list could not be loaded")]
    NotLoaded,
    /// It is being loaded, and has not come within the time that a decision waits.
    #[error("the status list has not come in time")]
    NotYet,
    /// As many others are in use as are kept.
    #[error("too many status lists are in use")]
    TooMany,
    /// There are no keys to verify it with.
    #[error("the issuer's keys are not known")]
    Keys,
}

/// Why a list was not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The document did not come.
    #[error("{0}")]
    Download(#[from] DownloadError),
    /// What came is not the list.
    #[error("{0}")]
    List(#[from] StatusListError),
    /// There are no keys to verify it with.
    #[error("the issuer's keys are not known")]
    Keys,
    /// The one that is known was issued later.
    #[error("an older list than the one that is known")]
    Older,
    /// Reading it was cut short, by the end of the process or a mistake of ours.
    #[error("reading it was cut short")]
    CutShort,
}

impl ListError {
    /// Its word for metrics.
    pub(crate) const fn outcome(self) -> LoadOutcome {
        match self {
            Self::Download(error) => LoadOutcome::of_download(error),
            Self::List(_) | Self::Older | Self::CutShort => LoadOutcome::StatusList,
            Self::Keys => LoadOutcome::KeySet,
        }
    }
}

/// A list says of a token that it is valid.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed {
    /// The evidence.
    pub valid: StatusValid,
    /// Whether the last load of the list failed, so that an earlier one said it, whose time is not over.
    pub kept: bool,
}

/// What the operator sees of an issuer's lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListsStatus {
    /// How many are kept.
    pub lists: usize,
    /// How many of them may be used now.
    pub usable: usize,
    /// How long ago the oldest of those was loaded.
    pub oldest: Option<SignedDuration>,
    /// How many loads ended in which way, since the start.
    pub loads: LoadCounts,
}

/// What keeping lists takes, for any number of issuers.
#[derive(Clone)]
pub(crate) struct Upkeep {
    pub(crate) clock: Clock,
    pub(crate) tasks: TaskTracker,
    pub(crate) cancel: CancellationToken,
}

/// The lists of one issuer.
pub(crate) struct StatusLists {
    config: StatusListConfig,
    client: SharedClient,
    upkeep: Upkeep,
    /// Where lists are attended to, whichever thread asks for one.
    runtime: Handle,
    /// By address. Replaced as a whole, under `changing`.
    entries: ArcSwap<Entries>,
    changing: Mutex<()>,
    turns: Semaphore,
    loads: Mutex<LoadCounts>,
}

type Entries = HashMap<Arc<str>, Arc<Entry>>;

impl fmt::Debug for StatusLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusLists").field("config", &self.config).finish_non_exhaustive()
    }
}

impl StatusLists {
    /// Lists that are attended to on the runtime that this is called on, until they are cancelled.
    pub(crate) fn new(config: StatusListConfig, client: SharedClient, upkeep: Upkeep) -> Self {
        Self {
            config,
            client,
            upkeep,
            runtime: Handle::current(),
            entries: ArcSwap::default(),
            changing: Mutex::new(()),
            turns: Semaphore::new(MOST_AT_ONCE),
            loads: Mutex::default(),
        }
    }

    /// What the list that `reference` names says. One that was never asked for is asked for now, and waited for within
    /// the time that is configured.
    ///
    /// # Errors
    /// [`StatusProblem`], everything but the word VALID of a list that may be used at `now`.
    pub(crate) async fn status(
        &self,
        issuer: &Arc<Issuer>,
        reference: &StatusReference,
        now: Timestamp,
    ) -> Result<Listed, StatusProblem> {
        let keys = issuer.keys(now).or(Err(StatusProblem::Unavailable(ListUnavailable::Keys)))?;
        let known = self.entries.load().get(reference.uri()).cloned();
        let entry = match known {
            Some(entry) => entry,
            None => self.begin(issuer, reference.uri(), now)?,
        };
        entry.used(now);
        let loaded = match entry.usable(&keys, now) {
            Some(loaded) => loaded,
            None => self.awaited(&entry, &keys, now).await.map_err(StatusProblem::Unavailable)?,
        };
        let valid = loaded.list.judge(reference).map_err(StatusProblem::Refused)?;
        Ok(Listed { valid, kept: entry.last_load_failed() })
    }

    /// The list, once a load of it has ended; but no longer than a decision waits.
    async fn awaited(
        &self,
        entry: &Entry,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<Arc<Loaded>, ListUnavailable> {
        let ended = entry.ended();
        // It may just have come.
        if let Some(loaded) = entry.usable(keys, now) {
            return Ok(loaded);
        }
        if !entry.will_load() {
            return Err(ListUnavailable::NotLoaded);
        }
        match tokio::time::timeout(self.config.wait, ended.wait()).await {
            Ok(Ok(())) => entry.usable(keys, now).ok_or(ListUnavailable::NotLoaded),
            Ok(Err(_abandoned)) => Err(ListUnavailable::NotLoaded),
            Err(_elapsed) => Err(ListUnavailable::NotYet),
        }
    }

    /// Begins to attend to the list at `uri`, unless somebody else just has.
    fn begin(
        &self,
        issuer: &Arc<Issuer>,
        uri: &Arc<str>,
        now: Timestamp,
    ) -> Result<Arc<Entry>, StatusProblem> {
        let url = self.config.address(uri).ok_or(StatusProblem::NotAllowed)?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = Entries::clone(&self.entries.load());
        if let Some(entry) = entries.get(uri) {
            return Ok(Arc::clone(entry));
        }
        let dismissed = match entries.len() {
            few if few < self.config.max_lists => None,
            _all => {
                let unused = give_way(&mut entries, now);
                Some(unused.ok_or(StatusProblem::Unavailable(ListUnavailable::TooMany))?)
            }
        };
        let (entry, progress) = Entry::new(Arc::clone(uri), url, self.upkeep.cancel.child_token(), now);
        let entry = Arc::new(entry);
        entries.insert(Arc::clone(uri), Arc::clone(&entry));
        self.entries.store(Arc::new(entries));
        // Only now: what is kept is attended to.
        if let Some(dismissed) = dismissed {
            dismissed.dismiss();
        }
        let attendant = Attendant { issuer: Arc::clone(issuer), entry: Arc::clone(&entry), progress };
        self.upkeep.tasks.spawn_on(attendant.run(), &self.runtime);
        Ok(entry)
    }

    /// Forgets a list that no token names any more. `false` if one has just done so, or if it is not known at all.
    fn forget(&self, entry: &Arc<Entry>, now: Timestamp) -> bool {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if !entry.is_unused_for(FORGOTTEN_AFTER, now) {
            return false;
        }
        let mut entries = Entries::clone(&self.entries.load());
        if entries.get(entry.uri()).is_some_and(|known| Arc::ptr_eq(known, entry)) {
            entries.remove(entry.uri());
            self.entries.store(Arc::new(entries));
        }
        true
    }

    /// Whether each list has a task that attends to it.
    pub(crate) fn are_attended(&self) -> bool {
        let entries = self.entries.load_full();
        let abandoned = entries.values().find(|entry| !entry.is_attended());
        // A list is forgotten before its task ends.
        abandoned.is_none_or(|entry| {
            !self.entries.load().get(entry.uri()).is_some_and(|known| Arc::ptr_eq(known, entry))
        })
    }

    pub(crate) fn lists_status(&self, keys: Option<&KeySet>, now: Timestamp) -> ListsStatus {
        let entries = self.entries.load();
        let ages: Vec<_> = entries.values().filter_map(|entry| entry.age(keys?, now)).collect();
        ListsStatus {
            lists: entries.len(),
            usable: ages.len(),
            oldest: ages.into_iter().max(),
            loads: *self.loads.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn count(&self, outcome: LoadOutcome) {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner).count(outcome);
    }
}

/// Makes room by the list that no token named for the longest, if that is long enough.
fn give_way(entries: &mut Entries, now: Timestamp) -> Option<Arc<Entry>> {
    let unused = entries.values().filter(|entry| entry.is_unused_for(GIVES_WAY_AFTER, now));
    let first = Arc::clone(unused.min_by_key(|entry| entry.last_used())?);
    entries.remove(first.uri())
}
