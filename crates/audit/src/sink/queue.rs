//! Lines on their way to a sink.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::missing::Missing;

/// Lines that follow each other in one run's chain, as they stand in the file. Copies share the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Each with its line break.
    pub(crate) bytes: Arc<Vec<u8>>,
    /// How many.
    pub(crate) lines: u64,
    /// The number of the first one.
    pub(crate) first: u64,
    /// The run.
    pub(crate) writer: Arc<str>,
}

/// What comes next for a sink.
#[derive(Debug)]
pub(super) enum Next {
    Page(Page),
    /// These are not to come.
    Missing(Missing),
    /// Something may have been moved away.
    Reopen,
    /// Nothing, for good.
    End,
}

#[derive(Debug, Default)]
struct Waiting {
    items: VecDeque<Next>,
    lines: u64,
    ended: bool,
    /// What waited is counted as missing.
    given_up: bool,
    /// Lines that the thread has taken out, and has not settled yet.
    under_way: u64,
}

/// Holds as many lines as may wait, and what is missing between them in its place.
#[derive(Debug)]
pub(super) struct Queue {
    most: u64,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Queue {
    pub(super) fn new(most: NonZeroUsize) -> Self {
        let most = u64::try_from(most.get()).unwrap_or(u64::MAX);
        Self { most, waiting: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the lines at the end, all of them or none. Gives how many there was no room for.
    pub(super) fn put(&self, page: Page) -> u64 {
        let mut waiting = self.lock();
        if waiting.ended {
            return page.lines;
        }
        let with = waiting.lines.saturating_add(waiting.under_way).saturating_add(page.lines);
        // A page that is longer than the queue would never go: alone it may.
        let missing = if with <= self.most || with == page.lines {
            waiting.lines = waiting.lines.saturating_add(page.lines);
            waiting.items.push_back(Next::Page(page));
            0
        } else {
            let missing = Missing::of(&page, 0, page.lines);
            let missing = match waiting.items.pop_back() {
                Some(Next::Missing(before)) => before.and(missing),
                other => {
                    waiting.items.extend(other);
                    missing
                }
            };
            waiting.items.push_back(Next::Missing(missing));
            page.lines
        };
        drop(waiting);
        self.changed.notify_one();
        missing
    }

    pub(super) fn reopen(&self) {
        let mut waiting = self.lock();
        if !matches!(waiting.items.back(), Some(Next::Reopen)) && !waiting.ended {
            waiting.items.push_back(Next::Reopen);
        }
        drop(waiting);
        self.changed.notify_one();
    }

    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_one();
    }

    /// Waits for what comes next. Its lines count as waiting until [`Self::settle`].
    pub(super) fn take(&self) -> Next {
        let mut waiting = self.lock();
        loop {
            if waiting.given_up {
                return Next::End;
            }
            match waiting.items.pop_front() {
                Some(Next::Page(page)) => {
                    waiting.lines = waiting.lines.saturating_sub(page.lines);
                    waiting.under_way = waiting.under_way.saturating_add(page.lines);
                    return Next::Page(page);
                }
                Some(next) => return next,
                None if waiting.ended => return Next::End,
                None => waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// So many lines that were taken out are delivered or missing. Says `false` where they were given up in the meantime.
    pub(super) fn settle(&self, lines: u64) -> bool {
        let mut waiting = self.lock();
        waiting.under_way = waiting.under_way.saturating_sub(lines);
        !waiting.given_up
    }

    /// Lets time pass, less where nothing more comes. Says whether something may still come.
    pub(super) fn pause(&self, pause: Duration, at_the_end: Duration) -> bool {
        let waiting = self.lock();
        let pause = if waiting.ended { pause.min(at_the_end) } else { pause };
        let is_open = |waiting: &mut Waiting| !waiting.ended && !waiting.given_up;
        let ended = waiting.ended;
        let (waiting, _) = self
            .changed
            .wait_timeout_while(
                waiting,
                pause,
                |waiting| {
                    if ended { !waiting.given_up } else { is_open(waiting) }
                },
            )
            .unwrap_or_else(PoisonError::into_inner);
        !waiting.ended
    }

    /// How many lines wait, or are under way.
    pub(super) fn waiting(&self) -> u64 {
        let waiting = self.lock();
        waiting.lines.saturating_add(waiting.under_way)
    }

    /// Gives up what waits or is under way, and says how many lines that is.
    pub(super) fn give_up(&self) -> u64 {
        let mut waiting = self.lock();
        let lines = waiting.lines.saturating_add(waiting.under_way);
        waiting.items.clear();
        (waiting.lines, waiting.under_way, waiting.ended, waiting.given_up) = (0, 0, true, true);
        drop(waiting);
        self.changed.notify_one();
        lines
    }
}
