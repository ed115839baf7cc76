//! What is known of the run of a writer while its lines are read.

use std::collections::VecDeque;

use super::At;
use crate::chain::Link;
use crate::entry::{Checkpoint, Closes};
use crate::merkle::Tree;

/// So many of the latest lines are known: those after which another writer may have begun that has not seen the next ones.
const RECENT: usize = 64;

#[derive(Clone, Debug)]
pub(super) struct Run {
    writer: String,
    last: Link,
    at: At,
    tree: Tree,
    /// The first line that the tree is over.
    from: u64,
    closed: Option<Closes>,
    recent: VecDeque<Link>,
    /// The first line that no checkpoint vouches for yet.
    unvouched: Option<At>,
}

impl Run {
    pub(super) fn begin(writer: String, link: Link, at: At) -> Self {
        let mut run = Self {
            writer,
            last: link,
            at,
            tree: Tree::default(),
            from: 0,
            closed: None,
            recent: VecDeque::with_capacity(RECENT),
            unvouched: None,
        };
        run.go_on(link, at);
        run
    }

    /// After a further header.
    pub(super) fn go_on(&mut self, link: Link, at: At) {
        (self.from, self.closed) = (link.seq, None);
        self.tree.clear();
        self.record(link, at);
    }

    pub(super) fn record(&mut self, link: Link, at: At) {
        self.step(link, at);
        self.tree.push(&link.hash);
    }

    fn step(&mut self, link: Link, at: At) {
        (self.last, self.at) = (link, at);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(link);
        self.unvouched.get_or_insert(at);
    }

    /// Whether a checkpoint that comes next sums up what came before it.
    pub(super) fn is_summed_up(&self, checkpoint: &Checkpoint) -> bool {
        let Checkpoint { writer, from, through, head, root, closes: _, kid: _, alg: _ } = checkpoint;
        (writer, *from, *through, *head, *root)
            == (&self.writer, self.from, self.last.seq, self.last.hash, self.tree.root())
    }

    pub(super) fn checkpoint(&mut self, link: Link, at: At, closes: Option<Closes>, vouches: bool) {
        self.step(link, at);
        self.tree.clear();
        (self.from, self.closed) = (link.seq.saturating_add(1), closes);
        if vouches {
            self.unvouched = None;
        }
    }

    /// Whether this is one of the latest lines.
    pub(super) fn has_passed(&self, link: Link) -> bool {
        self.recent.contains(&link)
    }

    pub(super) fn writer(&self) -> &str {
        &self.writer
    }

    pub(super) const fn last(&self) -> Link {
        self.last
    }

    /// Where its last line is.
    pub(super) const fn at(&self) -> At {
        self.at
    }

    pub(super) const fn closed(&self) -> Option<Closes> {
        self.closed
    }

    pub(super) const fn unvouched(&self) -> Option<At> {
        self.unvouched
    }
}
