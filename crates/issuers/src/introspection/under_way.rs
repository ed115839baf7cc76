//! The questions that are under way, one about each token, and how many of them each asker has caused.

use std::collections::HashMap;

use exequatur_token::TokenDigest;

use super::Landed;
use super::asker::AskerKey;

/// As many as there is room for.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    questions: HashMap<TokenDigest, Landed>,
    of: HashMap<AskerKey, usize>,
}

impl UnderWay {
    pub(super) fn question(&self, digest: &TokenDigest) -> Option<&Landed> {
        self.questions.get(digest)
    }

    /// How many `asker` has caused.
    pub(super) fn of(&self, asker: AskerKey) -> usize {
        self.of.get(&asker).copied().unwrap_or_default()
    }

    pub(super) fn begin(&mut self, digest: TokenDigest, landed: Landed, asker: Option<AskerKey>) {
        self.questions.insert(digest, landed);
        if let Some(asker) = asker {
            let of = self.of.entry(asker).or_default();
            *of = of.saturating_add(1);
        }
    }

    pub(super) fn end(&mut self, digest: &TokenDigest, asker: Option<AskerKey>) {
        self.questions.remove(digest);
        let Some(asker) = asker else { return };
        match self.of(asker) {
            0 | 1 => self.of.remove(&asker),
            more => self.of.insert(asker, more.saturating_sub(1)),
        };
    }
}
