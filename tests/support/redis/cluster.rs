//! A real cluster on the loopback.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Kind, PATIENCE, Redis};

/// How many slots there are.
const SLOTS: u16 = 16384;
/// After how long a silent node is taken to be down.
const NODE_TIMEOUT: &str = "1000";

/// Nodes of a cluster: primaries that share the slots evenly, and copies.
#[derive(Debug)]
pub struct Cluster {
    /// First the primaries, then the copies, each in the order of its ports.
    pub nodes: Vec<Redis>,
    ids: Vec<String>,
}

impl Cluster {
    /// Starts one with so many primaries, each of which goes on when another is gone, and a copy of each of `copied`. Each
    /// node keeps its data in a folder of its own below `folder`, and takes one of `ports`, and for other
    /// nodes the one that is 10000 higher.
    ///
    /// # Errors
    /// If a node cannot be started, or the cluster does not come about.
    pub fn start(
        kind: Kind,
        folder: &Path,
        ports: &[u16],
        primaries: usize,
        copied: &[usize],
    ) -> io::Result<Self> {
        let count = primaries + copied.len();
        let mut nodes = Vec::with_capacity(count);
        for port in ports.iter().copied().take(count) {
            let folder = folder.join(port.to_string());
            std::fs::create_dir_all(&folder)?;
            nodes.push(Redis::start(
                kind,
                &folder,
                Some(port),
                &[
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    NODE_TIMEOUT,
                    "--cluster-require-full-coverage",
                    "no",
                    "--repl-diskless-sync-delay",
                    "0",
                ],
            )?);
        }
        if nodes.len() < count {
            return Err(io::Error::other("too few ports"));
        }
        let ids = nodes.iter().map(id).collect::<io::Result<Vec<_>>>()?;
        let cluster = Self { nodes, ids };
        cluster.assemble(ports, primaries, copied)?;
        Ok(cluster)
    }

    fn assemble(&self, ports: &[u16], primaries: usize, copied: &[usize]) -> io::Result<()> {
        let each = usize::from(SLOTS).div_ceil(primaries);
        for (number, node) in self.nodes.iter().enumerate() {
            ok(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()])?;
            if number < primaries {
                let slots: Vec<String> = (0..SLOTS)
                    .filter(|slot| usize::from(*slot) / each == number)
                    .map(|slot| slot.to_string())
                    .collect();
                let mut words = vec!["CLUSTER", "ADDSLOTS"];
                words.extend(slots.iter().map(String::as_str));
                ok(node, &words)?;
            }
        }
        let Some(first) = self.nodes.first() else { return Ok(()) };
        for port in ports.iter().take(self.nodes.len()).skip(1) {
            ok(first, &["CLUSTER", "MEET", "127.0.0.1", &port.to_string()])?;
        }
        self.until(|node| {
            Ok(node
                .say(&["CLUSTER", "INFO"])?
                .contains(&format!("cluster_known_nodes:{}\r", self.nodes.len())))
        })?;
        for (copy, of) in self.nodes.iter().skip(primaries).zip(copied) {
            self.until_one(copy, |copy| Ok(ok(copy, &["CLUSTER", "REPLICATE", &self.ids[*of]]).is_ok()))?;
            self.until_one(copy, |copy| {
                Ok(copy.say(&["INFO", "replication"])?.contains("master_link_status:up"))
            })?;
        }
        self.until(|node| {
            let info = node.say(&["CLUSTER", "INFO"])?;
            Ok(info.contains("cluster_state:ok")
                && info.contains(&format!("cluster_slots_ok:{SLOTS}\r"))
                && self.owner_of(node, 0)? == Some(0)
                && self.owner_of(node, SLOTS - 1)? == Some(primaries - 1))
        })
    }

    /// The URL of a node.
    #[must_use]
    pub fn url(&self) -> String {
        self.nodes[0].url()
    }

    /// The slot of a key, as the cluster says.
    ///
    /// # Errors
    /// What the connection says.
    pub fn slot_of(&self, key: &str) -> io::Result<u16> {
        let answer = self.nodes[self.nodes.len() - 1].say(&["CLUSTER", "KEYSLOT", key])?;
        answer.trim_start_matches(':').trim().parse().map_err(io::Error::other)
    }

    /// The number of the node that has a slot, as another says.
    ///
    /// # Errors
    /// What the connection says.
    pub fn owner_of(&self, asked: &Redis, slot: u16) -> io::Result<Option<usize>> {
        let nodes = asked.say(&["CLUSTER", "NODES"])?;
        let has = |line: &&str| {
            line.split(' ').skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (first, last) = (first.parse::<u16>(), last.parse::<u16>());
                matches!((first, last), (Ok(first), Ok(last)) if (first..=last).contains(&slot))
            })
        };
        let owner = nodes.lines().find(has).and_then(|line| line.split(' ').next());
        Ok(owner.and_then(|owner| self.ids.iter().position(|id| id == owner)))
    }

    /// Begins to move a slot: neither node takes what is new in it.
    ///
    /// # Errors
    /// What the connection says, or a node.
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) -> io::Result<()> {
        let slot = slot.to_string();
        ok(&self.nodes[to], &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.ids[from]])?;
        ok(&self.nodes[from], &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.ids[to]])
    }

    /// Moves all keys of a slot.
    ///
    /// # Errors
    /// What the connection says, or a node.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize) -> io::Result<()> {
        loop {
            let answer = self.nodes[from].say(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "100"])?;
            let keys: Vec<&str> = answer.lines().skip(2).step_by(2).collect();
            if keys.is_empty() {
                return Ok(());
            }
            let url = self.nodes[to].url();
            let port = url.rsplit(':').next().unwrap_or_default();
            let mut words = vec!["MIGRATE", "127.0.0.1", port, "", "0", "10000", "REPLACE", "KEYS"];
            words.extend(keys);
            ok(&self.nodes[from], &words)?;
        }
    }

    /// Ends the move of a slot: the other node takes what is in it, and all that run know.
    ///
    /// # Errors
    /// What the connection says, or a node.
    pub fn end_move(&self, slot: u16, from: usize, to: usize) -> io::Result<()> {
        let text = slot.to_string();
        for node in [to, from] {
            ok(&self.nodes[node], &["CLUSTER", "SETSLOT", &text, "NODE", &self.ids[to]])?;
        }
        let mut runs = self.nodes.iter().filter(|node| node.say(&["PING"]).is_ok());
        runs.try_for_each(|node| self.until_one(node, |node| Ok(self.owner_of(node, slot)? == Some(to))))
    }

    /// Waits until every node that runs says that one has taken a slot over.
    ///
    /// # Errors
    /// If that does not come about.
    pub fn until_taken_over(&self, slot: u16, by: usize, without: usize) -> io::Result<()> {
        for (number, node) in self.nodes.iter().enumerate() {
            if number != without {
                self.until_one(node, |node| Ok(self.owner_of(node, slot)? == Some(by)))?;
            }
        }
        Ok(())
    }

    fn until(&self, holds: impl Fn(&Redis) -> io::Result<bool>) -> io::Result<()> {
        self.nodes.iter().try_for_each(|node| self.until_one(node, &holds))
    }

    fn until_one(&self, node: &Redis, holds: impl Fn(&Redis) -> io::Result<bool>) -> io::Result<()> {
        let mut asked = 0_u32;
        while !holds(node)? {
            asked += 1;
            if asked > u32::try_from(PATIENCE.as_millis()).unwrap_or(u32::MAX) / 5 {
                return Err(io::Error::other(node.say(&["CLUSTER", "NODES"])?));
            }
            // Nodes tell each other; nothing tells when.
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Ok(())
    }
}

fn id(node: &Redis) -> io::Result<String> {
    let answer = node.say(&["CLUSTER", "MYID"])?;
    answer.lines().nth(1).map(str::to_owned).ok_or_else(|| io::Error::other(answer.clone()))
}

fn ok(node: &Redis, words: &[&str]) -> io::Result<()> {
    let answer = node.say(words)?;
    if answer.starts_with("+OK") { Ok(()) } else { Err(io::Error::other(answer)) }
}
