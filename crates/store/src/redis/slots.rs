//! Which node of a cluster has which keys: all with one hash tag lie in one slot, and a slot on one node.

use std::collections::{HashMap, HashSet};

use redis::Value;

use super::answer::text;

/// How many slots a cluster has.
const SLOTS: u16 = 16384;
/// Nodes that a cluster may have, copies included: as many as it is made for.
const MOST_NODES: usize = 1000;
/// Numbers that are tried for tags; below 109 758 there is one for each slot.
const MOST_TAGS: u32 = 120_000;
/// A host name is at most 253 octets.
const LONGEST_HOST: usize = 253;

/// Where the keys of a hash tag lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u16);

impl Slot {
    /// The slot of all keys that have this between their first braces.
    pub(super) fn of(tag: &str) -> Self {
        Self(crc16(tag.as_bytes()) % SLOTS)
    }
}

/// CRC16/XMODEM, as the specification of Redis Cluster has it.
fn crc16(octets: &[u8]) -> u16 {
    octets.iter().fold(0, |crc, octet| {
        (0..8).fold(crc ^ (u16::from(*octet) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

/// A node: what it calls itself for as long as it is one, and where it listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
    /// 40 characters.
    pub(super) id: String,
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A primary, and the smallest number that is the hash tag of a slot of its.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Primary {
    pub(super) node: Node,
    pub(super) tag: u32,
}

/// Who has which slot.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slots {
    primaries: Vec<Primary>,
    /// For each slot its primary, if it has one.
    owners: Vec<Option<usize>>,
    /// What all nodes call themselves, copies included.
    ids: HashSet<String>,
}

impl Slots {
    /// Reads the answer to `CLUSTER SLOTS` of the node at `asked`, which does not always say where it is itself.
    ///
    /// None if it is not of the form, gives a slot to two, or names no slot at all.
    pub(super) fn read(value: &Value, asked: &str) -> Option<Self> {
        let Value::Array(ranges) = value else { return None };
        let mut slots =
            Self { primaries: Vec::new(), owners: vec![None; usize::from(SLOTS)], ids: HashSet::new() };
        let mut nodes: HashMap<Node, usize> = HashMap::new();
        for range in ranges {
            let Value::Array(parts) = range else { return None };
            let [first, last, primary, copies @ ..] = parts.as_slice() else { return None };
            let (first, last) = (slot(first)?, slot(last)?);
            for named in std::iter::once(primary).chain(copies) {
                slots.ids.insert(id(named)?);
            }
            if slots.ids.len() > MOST_NODES || first > last {
                return None;
            }
            let Place::At(node) = place(primary, asked)? else { continue };
            let next = nodes.len();
            let owner = *nodes.entry(node.clone()).or_insert(next);
            if owner == next {
                slots.primaries.push(Primary { node, tag: 0 });
            }
            for slot in slots.owners.get_mut(first..=last)? {
                if slot.replace(owner).is_some_and(|other| other != owner) {
                    return None;
                }
            }
        }
        slots.sort()?;
        slots.tag()?;
        (!slots.primaries.is_empty()).then_some(slots)
    }

    pub(super) fn primaries(&self) -> &[Primary] {
        &self.primaries
    }

    /// The number of the primary that has it, if any has.
    pub(super) fn owner(&self, slot: Slot) -> Option<usize> {
        *self.owners.get(usize::from(slot.0))?
    }

    /// Slots that nobody has.
    pub(super) fn uncovered(&self) -> usize {
        self.owners.iter().filter(|owner| owner.is_none()).count()
    }

    /// Whether both speak of one cluster, as far as can be seen: they share a node.
    pub(super) fn shares_a_node_with(&self, other: &Self) -> bool {
        !self.ids.is_disjoint(&other.ids)
    }

    /// Puts the primaries in an order that does not depend on who was asked.
    fn sort(&mut self) -> Option<()> {
        let mut order: Vec<usize> = (0..self.primaries.len()).collect();
        order.sort_by(|one, other| {
            let node = |number: &usize| self.primaries.get(*number).map(|primary| &primary.node);
            node(one).cmp(&node(other))
        });
        let mut place = vec![0; order.len()];
        for (sorted, number) in order.into_iter().enumerate() {
            *place.get_mut(number)? = sorted;
        }
        for owner in self.owners.iter_mut().flatten() {
            *owner = *place.get(*owner)?;
        }
        self.primaries.sort_by(|one, other| one.node.cmp(&other.node));
        Some(())
    }

    /// Finds each primary's tag. None if there is none for one of them.
    fn tag(&mut self) -> Option<()> {
        let mut tags: Vec<Option<u32>> = vec![None; self.primaries.len()];
        let mut left = tags.len();
        for number in 0..MOST_TAGS {
            if left == 0 {
                break;
            }
            let Some(owner) = self.owner(Slot::of(&number.to_string())) else { continue };
            let tag = tags.get_mut(owner)?;
            if tag.is_none() {
                *tag = Some(number);
                left = left.saturating_sub(1);
            }
        }
        for (primary, tag) in self.primaries.iter_mut().zip(tags) {
            primary.tag = tag?;
        }
        Some(())
    }
}

fn slot(value: &Value) -> Option<usize> {
    let Value::Int(number) = value else { return None };
    let number = u16::try_from(*number).ok()?;
    (number < SLOTS).then_some(usize::from(number))
}

/// What a node calls itself.
fn id(value: &Value) -> Option<String> {
    let Value::Array(parts) = value else { return None };
    let id = text(parts.get(2)?)?;
    (id.len() == 40 && id.chars().all(|c| c.is_ascii_alphanumeric())).then(|| id.to_owned())
}

/// Where a node listens, if that is known.
enum Place {
    At(Node),
    Unknown,
}

/// Later versions add a fourth part, with other names of the node.
fn place(value: &Value, asked: &str) -> Option<Place> {
    let Value::Array(parts) = value else { return None };
    let [host, port, ..] = parts.as_slice() else { return None };
    let host = if *host == Value::Nil { asked } else { text(host)? };
    let host = match host {
        "" => asked,
        // The node prefers a name that nobody has given it.
        "?" => return Some(Place::Unknown),
        host => host,
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".:-_%".contains(c);
    if host.is_empty() || host.len() > LONGEST_HOST || !host.chars().all(allowed) {
        return None;
    }
    let Value::Int(port) = port else { return None };
    let port = u16::try_from(*port).ok().filter(|port| *port != 0)?;
    Some(Place::At(Node { id: id(value)?, host: host.to_owned(), port }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn id_of(letter: char) -> String {
        std::iter::repeat_n(letter, 40).collect()
    }

    fn node(letter: char, host: &str, port: i64) -> Value {
        Value::Array(vec![bulk(host), Value::Int(port), bulk(&id_of(letter))])
    }

    fn range(first: i64, last: i64, nodes: &[Value]) -> Value {
        let mut parts = vec![Value::Int(first), Value::Int(last)];
        parts.extend_from_slice(nodes);
        Value::Array(parts)
    }

    fn read(ranges: &[Value]) -> Option<Slots> {
        Slots::read(&Value::Array(ranges.to_vec()), "asked")
    }

    /// The check value of CRC16/XMODEM, and slots that the specification of Redis Cluster and its tutorial give.
    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (tag, slot) in [("foo", 12182), ("hello", 866), ("", 0), ("revocations", 10721)] {
            assert_eq!(Slot::of(tag), Slot(slot), "{tag}");
        }
    }

    #[test]
    fn each_slot_has_a_tag() {
        let slots: HashSet<u16> = (0..MOST_TAGS).map(|number| Slot::of(&number.to_string()).0).collect();
        assert_eq!(slots.len(), usize::from(SLOTS));
    }

    #[test]
    fn an_answer_says_who_has_what() {
        let (a, b, c) = (node('a', "10.0.0.1", 7000), node('b', "", 7001), node('c', "::1", 7002));
        let slots = read(&[
            range(0, 5460, &[a.clone(), c.clone()]),
            range(5461, 10922, std::slice::from_ref(&b)),
            range(10923, 10923, std::slice::from_ref(&a)),
        ])
        .unwrap();
        let at = |number| slots.owner(Slot(number)).map(|owner| slots.primaries()[owner].node.to_string());
        assert_eq!(at(0).as_deref(), Some("10.0.0.1:7000"));
        assert_eq!(at(5460), at(0));
        assert_eq!(
            at(5461).as_deref(),
            Some("asked:7001"),
            "who does not say where it is, is where it was asked"
        );
        assert_eq!((at(10923), at(10924)), (at(0), None));
        assert_eq!((slots.primaries().len(), slots.uncovered()), (2, 16384 - 10924));
        for (owner, primary) in slots.primaries().iter().enumerate() {
            assert_eq!(
                slots.owner(Slot::of(&primary.tag.to_string())),
                Some(owner),
                "its tag is of its slots"
            );
        }
        let others = read(&[range(0, 1, &[c])]).unwrap();
        assert!(slots.shares_a_node_with(&others), "a copy is a node too");
        assert!(!others.shares_a_node_with(&read(&[range(0, 1, &[b])]).unwrap()));
    }

    /// Nodes tell it in an order of their own: the same is the same.
    #[test]
    fn whoever_is_asked_the_answer_is_one() {
        let ranges = [
            range(0, 9, &[node('b', "h", 7001)]),
            range(10, 19, &[node('c', "h", 7000)]),
            range(20, 29, &[node('a', "g", 7002)]),
            range(30, 39, &[node('b', "h", 7001)]),
        ];
        let turned: Vec<_> = ranges.iter().rev().cloned().collect();
        let slots = read(&ranges).unwrap();
        assert_eq!(read(&turned).as_ref(), Some(&slots));
        for (slot, place) in [(0, "h:7001"), (10, "h:7000"), (20, "g:7002"), (30, "h:7001")] {
            assert_eq!(slots.primaries()[slots.owner(Slot(slot)).unwrap()].node.to_string(), place);
        }
    }

    #[test]
    fn who_listens_nowhere_has_nothing_here() {
        let named = Value::Array(vec![Value::Nil, Value::Int(7000), bulk(&id_of('a')), Value::Array(vec![])]);
        let slots = read(&[range(0, 1, &[named]), range(2, 3, &[node('b', "?", 7001)])]).unwrap();
        assert_eq!((slots.owner(Slot(1)), slots.owner(Slot(2))), (Some(0), None));
        assert_eq!(slots.primaries()[0].node.to_string(), "asked:7000");
    }

    /// C-04: each differs in one thing from an answer that is taken.
    #[test]
    fn anything_else_is_no_answer() {
        let a = || node('a', "h", 7000);
        assert!(read(&[range(0, 16383, &[a()])]).is_some());
        let overlong = "h".repeat(254);
        for (what, ranges) in [
            ("no slot at all", vec![]),
            ("a slot beyond the last", vec![range(0, 16384, &[a()])]),
            ("a slot before the first", vec![range(-1, 16383, &[a()])]),
            ("a range from behind", vec![range(2, 1, &[a()])]),
            ("nobody", vec![range(0, 16383, &[])]),
            ("two for one slot", vec![range(0, 1, &[a()]), range(1, 2, &[node('b', "h", 7001)])]),
            ("no port", vec![range(0, 16383, &[node('a', "h", 0)])]),
            ("a port that is none", vec![range(0, 16383, &[node('a', "h", 65536)])]),
            ("a host that is none", vec![range(0, 16383, &[node('a', "a b", 7000)])]),
            ("an overlong host", vec![range(0, 16383, &[node('a', &overlong, 7000)])]),
            ("a name that is none", vec![range(0, 16383, &[node('-', "h", 7000)])]),
            ("a copy's name that is none", vec![range(0, 16383, &[a(), node('-', "h", 7000)])]),
            ("a range that is none", vec![range(0, 16383, &[a()]), Value::Int(1)]),
        ] {
            assert_eq!(read(&ranges), None, "{what}");
        }
        assert_eq!(Slots::read(&Value::Int(1), "asked"), None);
        assert_eq!(Slots::read(&Value::Array(vec![range(0, 1, &[node('a', "", 7000)])]), ""), None);
    }

    /// Nodes are bounded.
    #[test]
    fn a_cluster_of_too_many_is_none() {
        let many = |count: i64| {
            let one = |n: i64| {
                let id = bulk(&format!("{n:040}"));
                range(n, n, &[Value::Array(vec![bulk("h"), Value::Int(7000), id])])
            };
            read(&(0..count).map(one).collect::<Vec<_>>())
        };
        assert_eq!(many(1000).unwrap().primaries().len(), 1000);
        assert_eq!(many(1001), None);
    }
}
