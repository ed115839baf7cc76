//! On whose account a question is put.

use std::fmt;

use jiff::Timestamp;

/// Tells those apart who cause questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AskerKey(pub [u8; 16]);

/// Who causes a question, if one has to be put: what is known, or already asked, costs nobody anything.
pub trait Asker: Sync {
    /// As whom his questions under way are counted; `None` if they are not.
    fn key(&self) -> Option<AskerKey>;

    /// What one more question puts at stake for him; `None` if he may not cause it. Called under a lock: it waits for nothing, and
    /// calls nothing of this crate.
    fn stake(&self) -> Option<Stake>;
}

/// What a question costs who caused it, if it is not answered by `active`: be it that his token is not, or that it is such that
/// there was no answer. Dropped, it costs nothing.
pub struct Stake(Box<dyn FnOnce(Timestamp) + Send>);

impl Stake {
    /// `lost` is told when.
    #[must_use]
    pub fn new(lost: impl FnOnce(Timestamp) + Send + 'static) -> Self {
        Self(Box::new(lost))
    }

    pub(super) fn lose(self, now: Timestamp) {
        (self.0)(now);
    }
}

impl fmt::Debug for Stake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stake").finish_non_exhaustive()
    }
}

/// Somebody whose questions others bound: an operator.
#[derive(Debug, Clone, Copy)]
pub struct Uncounted;

impl Asker for Uncounted {
    fn key(&self) -> Option<AskerKey> {
        None
    }

    fn stake(&self) -> Option<Stake> {
        Some(Stake::new(|_now| ()))
    }
}
