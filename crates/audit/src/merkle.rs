//! A Merkle tree (RFC 6962 §2.1) over the hashes of lines: shows one of them without the others.

use sha2::{Digest as _, Sha256};

use crate::chain::Hash;

const LEAF: u8 = 0;
const NODE: u8 = 1;

/// A tree that grows by one entry at a time. It holds the roots of whole subtrees, 64 at most.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// From the largest to the smallest: one for each bit of `len` that is set.
    peaks: Vec<Hash>,
    len: u64,
}

impl Tree {
    pub(crate) fn push(&mut self, entry: &Hash) {
        let mut node = leaf(entry);
        // As in counting: each whole pair becomes one.
        for _ in 0..self.len.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = parent(&left, &node);
            }
        }
        self.peaks.push(node);
        self.len = self.len.saturating_add(1);
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn clear(&mut self) {
        self.peaks.clear();
        self.len = 0;
    }

    /// The hash of the tree; `None` while it has no entry.
    pub(crate) fn root(&self) -> Option<Hash> {
        self.peaks.iter().rev().copied().reduce(|right, left| parent(&left, &right))
    }
}

/// What leads from entry `index` to the root of the tree of `entries`, nearest first (§2.1.1). `None` without that entry.
pub(crate) fn path(entries: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if entries.len() <= 1 {
        return (index < entries.len()).then(Vec::new);
    }
    let (left, right) = entries.split_at_checked(split(entries.len()))?;
    let (mut path, other) = match index.checked_sub(left.len()) {
        None => (path(left, index)?, root(right)?),
        Some(index) => (path(right, index)?, root(left)?),
    };
    path.push(other);
    Some(path)
}

/// The root that entry `index` of `len` has by this path; `None` if the path is not as long as it has to be.
pub(crate) fn root_by(path: &[Hash], entry: &Hash, index: u64, len: u64) -> Option<Hash> {
    if index >= len {
        return None;
    }
    let (mut node, mut at, mut last) = (leaf(entry), index, len.checked_sub(1)?);
    for other in path {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            node = parent(other, &node);
            // Subtrees that stand alone at the right are the same on the next levels.
            while at.is_multiple_of(2) && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            node = parent(&node, other);
        }
        (at, last) = (at / 2, last / 2);
    }
    (last == 0).then_some(node)
}

fn root(entries: &[Hash]) -> Option<Hash> {
    let mut tree = Tree::default();
    entries.iter().for_each(|entry| tree.push(entry));
    tree.root()
}

/// The largest power of two below `len`, which is at least 2.
const fn split(len: usize) -> usize {
    len.next_power_of_two() / 2
}

fn leaf(entry: &Hash) -> Hash {
    Hash::new(Sha256::new().chain_update([LEAF]).chain_update(entry.bytes()).finalize().into())
}

fn parent(left: &Hash, right: &Hash) -> Hash {
    let hash = Sha256::new().chain_update([NODE]).chain_update(left.bytes()).chain_update(right.bytes());
    Hash::new(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: u8) -> Vec<Hash> {
        (0..count).map(|n| Hash::new([n; 32])).collect()
    }

    /// The recursion of §2.1, word by word.
    fn by_definition(entries: &[Hash]) -> Hash {
        if let [one] = entries {
            return leaf(one);
        }
        let k = (0..).map(|n| 1 << n).take_while(|k| *k < entries.len()).last().unwrap();
        parent(&by_definition(&entries[..k]), &by_definition(&entries[k..]))
    }

    #[test]
    fn the_root_is_that_of_the_definition() {
        assert_eq!(Tree::default().root(), None);
        for count in 1..=70 {
            let entries = entries(count);
            assert_eq!(root(&entries), Some(by_definition(&entries)), "{count}");
        }
    }

    #[test]
    fn each_entry_is_shown_by_its_path_and_by_no_other() {
        for count in 1..=33_u8 {
            let entries = entries(count);
            let (root, len) = (root(&entries).unwrap(), u64::from(count));
            assert_eq!(path(&entries, entries.len()), None);
            for index in 0..entries.len() {
                let path = path(&entries, index).unwrap();
                let by = |path: &[Hash], entry: &Hash, index: u64| root_by(path, entry, index, len);
                let at = u64::try_from(index).unwrap();
                assert_eq!(by(&path, &entries[index], at), Some(root), "{index} of {count}");
                assert_ne!(by(&path, &Hash::new([99; 32]), at), Some(root));
                for other in (0..=len).filter(|other| *other != at) {
                    assert_ne!(
                        by(&path, &entries[index], other),
                        Some(root),
                        "{index} as {other} of {count}"
                    );
                }
                let longer = [path.as_slice(), &[root]].concat();
                assert_ne!(by(&longer, &entries[index], at), Some(root));
                if let Some((_, shorter)) = path.split_last() {
                    assert_eq!(by(shorter, &entries[index], at), None);
                }
            }
        }
    }
}
