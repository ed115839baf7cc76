//! What a server says about itself when a connection is made, and whether it may be used.

use std::str::FromStr as _;

use crate::admission::Unfit;

/// Names one run of a server's process and one history of its data: 40 characters, half of its run id, which is new whenever
/// it starts, and half of its replication id, which is new whenever a server takes over. A server that was a replica in
/// between, and has what another one kept, has another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunId(String);

impl RunId {
    fn of(run: &str, history: &str) -> Option<Self> {
        let named = |id: &str| id.len() == 40 && id.chars().all(|c| c.is_ascii_alphanumeric());
        let half = |id: &str| id.chars().take(20).collect::<String>();
        (named(run) && named(history)).then(|| Self(half(run) + &half(history)))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is still the history of the server's data.
    pub(super) fn is_of(&self, history: &str) -> bool {
        history.len() == 40 && self.0.chars().skip(20).eq(history.chars().take(20))
    }
}

/// The oldest that has what the scripts use.
const OLDEST: (u32, u32) = (6, 2);

/// What `INFO` says of a server that may be used.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) run: RunId,
    pub(super) version: String,
    /// Copies that follow it now, and whether it stops writing when it has too few of them.
    pub(super) replicas: u32,
    pub(super) fenced: bool,
}

impl Server {
    /// Reads the answer to `INFO` of a server, which is to be one of a cluster or not.
    ///
    /// # Errors
    /// Why the server is not used. What is not said is not supposed.
    pub(super) fn read(info: &str, of_cluster: bool) -> Result<Self, Unfit> {
        let field = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let history = field("master_replid").ok_or(Unfit::Unnamed)?;
        let run = RunId::of(field("run_id").ok_or(Unfit::Unnamed)?, history).ok_or(Unfit::Unnamed)?;
        let version = field("redis_version").ok_or(Unfit::Unnamed)?;
        let mut numbers = version.split('.').map(u32::from_str);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST => {}
            (Some(Ok(_)), Some(Ok(_))) => return Err(Unfit::TooOld),
            (_, _) => return Err(Unfit::Unnamed),
        }
        match field("role").ok_or(Unfit::Unnamed)? {
            "master" => {}
            _ => return Err(Unfit::Replica),
        }
        check_cluster(info, of_cluster)?;
        check_memory(info)?;
        let replicas =
            field("connected_slaves").and_then(|count| count.parse().ok()).ok_or(Unfit::Unnamed)?;
        Ok(Self {
            run,
            version: version.to_owned(),
            replicas,
            fenced: field("min_slaves_good_slaves").is_some(),
        })
    }
}

/// Whether a server is what it was configured as.
///
/// # Errors
/// [`Unfit::Cluster`], [`Unfit::Single`], or that it does not say.
pub(super) fn check_cluster(info: &str, of_cluster: bool) -> Result<(), Unfit> {
    let enabled = info.lines().find_map(|line| line.strip_prefix("cluster_enabled:")).map(str::trim);
    match (enabled.ok_or(Unfit::Unnamed)?, of_cluster) {
        ("0", false) | ("1", true) => Ok(()),
        ("0", true) => Err(Unfit::Single),
        ("1", false) => Err(Unfit::Cluster),
        (_, _) => Err(Unfit::Unnamed),
    }
}

/// C-06: a server that forgets used proofs to make room is not used.
///
/// # Errors
/// [`Unfit::Evicting`], or that it does not say.
pub(super) fn check_memory(info: &str) -> Result<(), Unfit> {
    let field =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let (policy, most) = (field("maxmemory_policy"), field("maxmemory"));
    match (policy.ok_or(Unfit::Unnamed)?, most.ok_or(Unfit::Unnamed)?) {
        ("noeviction", _) | (_, "0") => Ok(()),
        (_, _) => Err(Unfit::Evicting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "0123456789abcdef0123456789abcdef01234567";
    const HISTORY: &str = "fedcba9876543210fedcba9876543210fedcba98";

    fn info() -> String {
        format!(
            "# Server\r\nredis_version:7.0.15\r\nrun_id:{RUN}\r\n# Memory\r\nmaxmemory:100\r\n\
             maxmemory_policy:noeviction\r\n# Replication\r\nrole:master\r\nmaster_replid:{HISTORY}\r\nconnected_slaves:1\r\n\
             min_slaves_good_slaves:1\r\n# Cluster\r\ncluster_enabled:0\r\n"
        )
    }

    #[test]
    fn a_primary_that_keeps_what_it_has_is_used() {
        let server = Server::read(&info(), false).unwrap();
        assert_eq!(server.run.as_str(), "0123456789abcdef0123fedcba9876543210fedc");
        assert!(server.run.is_of(HISTORY) && !server.run.is_of(RUN) && !server.run.is_of(""));
        assert_eq!(server.version, "7.0.15");
        assert_eq!((server.replicas, server.fenced), (1, true));
        let unfenced = Server::read(&info().replace("min_slaves_good_slaves:1\r\n", ""), false).unwrap();
        assert!(!unfenced.fenced);
    }

    /// C-06, C-07: each differs from the one that is used in one line.
    #[test]
    fn another_is_not() {
        for (line, instead, why) in [
            ("maxmemory_policy:noeviction", "maxmemory_policy:allkeys-lru", Unfit::Evicting),
            ("maxmemory_policy:noeviction", "maxmemory_policy:volatile-ttl", Unfit::Evicting),
            ("maxmemory_policy:noeviction", "", Unfit::Unnamed),
            ("maxmemory:100", "", Unfit::Unnamed),
            ("role:master", "role:slave", Unfit::Replica),
            ("role:master", "", Unfit::Unnamed),
            ("cluster_enabled:0", "cluster_enabled:1", Unfit::Cluster),
            ("cluster_enabled:0", "cluster_enabled:", Unfit::Unnamed),
            ("cluster_enabled:0", "", Unfit::Unnamed),
            ("redis_version:7.0.15", "redis_version:6.0.16", Unfit::TooOld),
            ("redis_version:7.0.15", "redis_version:x", Unfit::Unnamed),
            (RUN, "short", Unfit::Unnamed),
            (HISTORY, "short", Unfit::Unnamed),
        ] {
            let got = Server::read(&info().replace(line, instead), false).map(|server| server.run);
            assert_eq!(got, Err(why), "{instead}");
        }
    }

    #[test]
    fn a_node_is_used_where_a_cluster_is_meant() {
        let node = info().replace("cluster_enabled:0", "cluster_enabled:1");
        assert!(Server::read(&node, true).is_ok());
        assert_eq!(Server::read(&info(), true).map(|server| server.run), Err(Unfit::Single));
    }

    #[test]
    fn without_a_bound_nothing_is_evicted() {
        let unbounded = info().replace("maxmemory:100", "maxmemory:0").replace("noeviction", "allkeys-lru");
        assert!(Server::read(&unbounded, false).is_ok());
    }
}
