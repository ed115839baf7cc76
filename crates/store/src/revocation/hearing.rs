//! Whether what comes from elsewhere is still heard.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::snapshot::{Staleness, Unknown};

/// Nothing was heard yet.
const NOT_YET: i64 = i64::MIN;

/// For how long something goes on to be known.
#[derive(Debug)]
pub(crate) struct Hears(Feed);

/// Whether anything can be known at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hearing {
    Well,
    Degraded,
    Unknown(Unknown),
}

#[derive(Debug)]
enum Feed {
    /// Changes are made in this process.
    Local,
    /// Changes come from elsewhere.
    Elsewhere {
        staleness: Staleness,
        heard: AtomicI64,
        /// For how many milliseconds it has been silent, as it was measured last.
        silent: AtomicU64,
    },
}

impl Hears {
    pub(crate) const fn itself() -> Self {
        Self(Feed::Local)
    }

    pub(crate) const fn elsewhere(staleness: Staleness) -> Self {
        Self(Feed::Elsewhere { staleness, heard: AtomicI64::new(NOT_YET), silent: AtomicU64::new(0) })
    }

    /// A feed that was heard in the future was heard before the clock was set back: for how long it is silent is not known
    /// then.
    pub(crate) fn hearing(&self, now: Timestamp) -> Hearing {
        let Feed::Elsewhere { staleness, .. } = &self.0 else { return Hearing::Well };
        let Some(silence) = self.silence(now) else { return Hearing::Unknown(Unknown::NeverLoaded) };
        let silent = silence.as_millis();
        let within = |span: SignedDuration| silent <= u128::try_from(span.as_millis()).unwrap_or(0);
        if within(staleness.usual) {
            Hearing::Well
        } else if within(staleness.degraded) {
            Hearing::Degraded
        } else {
            Hearing::Unknown(Unknown::Silent)
        }
    }

    /// For how long, in whole milliseconds; not at all where changes are made in this process. None if nothing was heard yet.
    pub(crate) fn silence(&self, now: Timestamp) -> Option<Duration> {
        let Feed::Elsewhere { heard, silent, .. } = &self.0 else { return Some(Duration::ZERO) };
        let heard = heard.load(Ordering::Acquire);
        let measured = silent.load(Ordering::Acquire);
        (heard != NOT_YET).then(|| Duration::from_millis(now.as_millisecond().abs_diff(heard).max(measured)))
    }

    /// Every change that was made until `now` is known.
    pub(crate) fn heard(&self, now: Timestamp) {
        match &self.0 {
            Feed::Local => {}
            Feed::Elsewhere { heard, silent, .. } => {
                heard.store(now.as_millisecond(), Ordering::Release);
                silent.store(0, Ordering::Release);
            }
        }
    }

    /// It has been silent for that long, by a clock that nobody sets back. What `now` says counts too: that clock may have stood
    /// still, as the machine did.
    pub(crate) fn silent_for(&self, span: Duration) {
        match &self.0 {
            Feed::Local => {}
            Feed::Elsewhere { silent, .. } => {
                silent.store(u64::try_from(span.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
            }
        }
    }
}
