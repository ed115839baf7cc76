//! How many spans are made in a second.

use std::sync::atomic::{AtomicU64, Ordering};

/// A bound for each second of the clock, for all workers together.
#[derive(Debug)]
pub(super) struct Rate {
    most: u32,
    /// The second, and how many were let through in it: 32 bits each.
    state: AtomicU64,
}

impl Rate {
    pub(super) fn new(most: u32) -> Self {
        Self { most, state: AtomicU64::new(0) }
    }

    /// Whether there is room for one more in this second. A clock that is set back begins another one.
    pub(super) fn admits(&self, second: u32) -> bool {
        let second = u64::from(second) << 32;
        let one_more = |state: u64| {
            let taken = if state & !u64::from(u32::MAX) == second { state & u64::from(u32::MAX) } else { 0 };
            (taken < u64::from(self.most)).then(|| second | taken.saturating_add(1))
        };
        self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_room_for_so_many() {
        let rate = Rate::new(3);
        let admitted = |second| (0..10).filter(|_| rate.admits(second)).count();
        assert_eq!([admitted(7), admitted(7), admitted(8), admitted(7)], [3, 0, 3, 3]);
        assert_eq!([admitted(0), admitted(u32::MAX)], [3, 3]);
    }
}
