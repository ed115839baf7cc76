//! Lines that a sink was not given.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::queue::Page;
use crate::record::{VERSION, milliseconds};

/// A line's place in all chains: its run, and its number there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spot {
    pub(crate) writer: String,
    pub(crate) seq: u64,
}

/// So many lines, all of them between the first and the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Missing {
    pub(crate) lines: u64,
    pub(crate) from: Spot,
    pub(crate) through: Spot,
}

impl Missing {
    /// `lines` lines of a page, from its line `skipped` on.
    pub(super) fn of(page: &Page, skipped: u64, lines: u64) -> Self {
        let first = page.first.saturating_add(skipped);
        let spot = |seq| Spot { writer: page.writer.to_string(), seq };
        Self { lines, from: spot(first), through: spot(first.saturating_add(lines.saturating_sub(1))) }
    }

    /// With those that come later.
    pub(super) fn and(self, later: Self) -> Self {
        Self { lines: self.lines.saturating_add(later.lines), from: self.from, through: later.through }
    }
}

/// The line that stands for them at the sink. It is in no chain.
#[derive(Debug, Serialize)]
pub(super) struct SinkGap<'a> {
    v: u8,
    #[serde(serialize_with = "milliseconds")]
    time: Timestamp,
    sink_gap: &'a Missing,
}

impl<'a> SinkGap<'a> {
    pub(super) const fn new(time: Timestamp, sink_gap: &'a Missing) -> Self {
        Self { v: VERSION, time, sink_gap }
    }
}
