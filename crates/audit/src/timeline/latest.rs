//! Ids that are remembered, the latest ones.

use std::collections::{HashSet, VecDeque};

/// A set of ids that forgets the oldest ones.
#[derive(Debug, Default)]
pub(super) struct Latest {
    ids: HashSet<String>,
    since: VecDeque<String>,
}

impl Latest {
    /// Remembers one, and at most so many.
    pub(super) fn remember(&mut self, id: &str, most: usize) {
        if self.ids.insert(id.to_owned()) {
            self.since.push_back(id.to_owned());
        }
        if self.since.len() > most
            && let Some(oldest) = self.since.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ids.len().max(self.since.len())
    }
}
