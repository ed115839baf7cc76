//! What is kept where there is no file: the revocations that hold, with their notes.

use std::collections::BTreeMap;

use super::entry::{InForce, Position, Revocation};

/// By position. A revocation takes some 300 bytes here, besides its row.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<Position, Revocation>);

impl Memory {
    pub(super) fn keep(&mut self, standing: InForce) {
        self.0.insert(standing.position, standing.revocation);
    }

    pub(super) fn forget(&mut self, positions: &[Position]) {
        for position in positions {
            self.0.remove(position);
        }
    }

    pub(super) fn after(&self, position: Position) -> impl Iterator<Item = InForce> {
        self.0
            .range(position.next()..)
            .map(|(position, revocation)| InForce { position: *position, revocation: revocation.clone() })
    }
}
