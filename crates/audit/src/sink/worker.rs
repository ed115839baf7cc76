//! The thread of a sink.

use std::sync::Arc;
use std::time::Duration;

use super::missing::{Missing, SinkGap};
use super::queue::{Next, Page, Queue};
use super::{Counts, Delivery, Outlet, Patience};
use crate::recorder::Clock;

/// Once nothing more comes, a sink that fails is tried so often, after such pauses.
const LAST_TRIES: u32 = 3;
const LAST_PAUSE: Duration = Duration::from_millis(200);

pub(super) struct Worker {
    outlet: Box<dyn Outlet>,
    queue: Arc<Queue>,
    counts: Arc<Counts>,
    patience: Patience,
    clock: Clock,
    /// What the sink is to be told of before the next line.
    untold: Option<Missing>,
    /// How often it was tried since nothing more comes.
    last_tries: u32,
}

impl Worker {
    pub(super) fn new(
        outlet: Box<dyn Outlet>,
        queue: &Arc<Queue>,
        counts: &Arc<Counts>,
        patience: Patience,
        clock: Clock,
    ) -> Self {
        let (queue, counts) = (Arc::clone(queue), Arc::clone(counts));
        Self { outlet, queue, counts, patience, clock, untold: None, last_tries: 0 }
    }

    /// Delivers until nothing more comes.
    pub(super) fn run(mut self) {
        loop {
            match self.queue.take() {
                Next::Page(page) => self.deliver(&page),
                Next::Missing(missing) => {
                    self.miss(missing);
                    self.tell();
                }
                Next::Reopen => self.outlet.reopen(),
                Next::End => {
                    self.tell();
                    return;
                }
            }
        }
    }

    fn miss(&mut self, missing: Missing) {
        self.untold = Some(match self.untold.take() {
            Some(before) => before.and(missing),
            None => missing,
        });
    }

    /// Tells the sink what is missing, if anything is. Says whether the next line may follow: one that refuses to be told is told
    /// again later.
    fn tell(&mut self) -> bool {
        let Some(missing) = self.untold.clone() else { return true };
        let Ok(line) = serde_json::to_vec(&SinkGap::new((self.clock)(), &missing)) else { return false };
        let Delivery { taken, refused, error } = self.outlet.deliver(&missing.through.writer, &[&line]);
        self.counts.tried(error);
        if taken > 0 {
            self.untold = None;
        }
        taken > 0 || refused > 0
    }

    /// Delivers the page's lines, or counts those that the sink does not take.
    fn deliver(&mut self, page: &Page) {
        let lines: Vec<&[u8]> =
            page.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let (mut settled, mut tries) = (0_usize, 0_u32);
        while let Some(rest) = lines.get(settled..).filter(|rest| !rest.is_empty()) {
            // A sink that does not take the gap takes no line before it.
            let delivery = if self.tell() {
                self.outlet.deliver(&page.writer, rest)
            } else {
                Delivery { taken: 0, refused: 0, error: None }
            };
            let (progress, open) = self.count(page, settled, rest.len(), &delivery);
            settled = settled.saturating_add(progress);
            if settled >= lines.len() || !open {
                break;
            }
            // Who settles some of them, if only by refusing them, is ready for the next.
            if progress > 0 {
                tries = 0;
                continue;
            }
            if !self.wait(tries) {
                let rest = number(lines.len().saturating_sub(settled));
                if self.queue.settle(rest) {
                    self.counts.gap(rest);
                    self.miss(Missing::of(page, number(settled), rest));
                }
                return;
            }
            tries = tries.saturating_add(1);
        }
    }

    /// Gives how many lines are settled, and whether the others still count.
    fn count(&mut self, page: &Page, settled: usize, rest: usize, delivery: &Delivery) -> (usize, bool) {
        let taken = delivery.taken.min(rest);
        let refused = delivery.refused.min(rest.saturating_sub(taken));
        if delivery.error.is_some() || taken > 0 {
            self.counts.tried(delivery.error);
        }
        let progress = taken.saturating_add(refused);
        if !self.queue.settle(number(progress)) {
            return (progress, false);
        }
        self.counts.took(number(taken));
        if refused > 0 {
            self.counts.gap(number(refused));
            // Which ones of them is not said: they are among these.
            let mut missing = Missing::of(page, number(settled), number(progress));
            missing.lines = number(refused);
            self.miss(missing);
        }
        (progress, true)
    }

    /// Waits before the next try. Says whether there is to be one.
    fn wait(&mut self, tries: u32) -> bool {
        let Patience { retries, first, most } = self.patience;
        if tries >= retries {
            return false;
        }
        let pause = first.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX)).min(most);
        if self.queue.pause(pause, LAST_PAUSE) {
            return true;
        }
        self.last_tries = self.last_tries.saturating_add(1);
        self.last_tries <= LAST_TRIES
    }
}

fn number(lines: usize) -> u64 {
    u64::try_from(lines).unwrap_or(u64::MAX)
}
