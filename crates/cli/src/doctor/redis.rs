//! What the servers of the store say of themselves, judged.

use std::collections::BTreeMap;
use std::time::Duration;

use exequatur_server::config::Redis;
use exequatur_store::Examination;
use jiff::{SignedDuration, Timestamp};

use super::catalogue as found;
use super::clocks::Told;
use super::finding::{Findings, Severity};

/// The oldest that is used.
const OLDEST: (u32, u32) = (6, 2);
/// How far a replica may be behind, in seconds.
const LAG: u64 = 10;
/// So much of its memory may be in use, in percent.
const FULL: u64 = 80;

/// What is expected of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    cluster: bool,
    timeout: Duration,
}

impl From<&Redis> for Expected {
    fn from(redis: &Redis) -> Self {
        Self { cluster: redis.cluster, timeout: redis.timeout }
    }
}

/// Its clock, if it told it. `now` is when all had answered.
pub(super) fn clock(server: &Examination, asked: Timestamp, answered: Timestamp) -> Option<Told> {
    let (micros, _) = server.time?;
    let told = Timestamp::from_microsecond(micros).ok()?;
    Some(Told { whose: format!("Redis{}", named(server)), told, asked, answered, cut: SignedDuration::ZERO })
}

fn named(server: &Examination) -> String {
    server.node.as_ref().map(|node| format!(" {node}")).unwrap_or_default()
}

/// Judges one server.
pub(super) fn judge(server: &Examination, expected: Expected, findings: &mut Findings) {
    let who = format!("Redis{}", named(server));
    let denied = server.denied.join(", ");
    findings.check(
        &found::REDIS_ACL,
        Severity::Wrong,
        !server.denied.is_empty(),
        if denied.is_empty() { who.clone() } else { format!("{who}: NOPERM for {denied}") },
    );
    findings.check(&found::REDIS_PLAIN, Severity::Doubtful, !server.secured, who.clone());
    whole(server, expected.cluster, &who, findings);
    speed(server, expected.timeout, &who, findings);
    let info = Info(&server.info);
    if server.info.is_empty() {
        findings.add(&found::REDIS_VERSION, Severity::Unknown, format!("{who} does not answer INFO"));
        return;
    }
    identity(&info, expected.cluster, &who, findings);
    memory(&info, &who, findings);
    persistence(&info, server.save.as_deref(), &who, findings);
    replicas(&info, &who, findings);
}

/// Whether the cluster has all of its slots, and tells who has them. One that is none is told by [`identity`].
fn whole(server: &Examination, cluster: bool, who: &str, findings: &mut Findings) {
    if !cluster || server.info.get("cluster_enabled").is_some_and(|enabled| enabled != "1") {
        return;
    }
    if server.alone {
        let seen = format!("{who}: it does not tell the cluster's nodes; the others were not looked at");
        findings.add(&found::REDIS_CLUSTER, Severity::Wrong, seen);
    }
    let (severity, said) = match server.cluster_state.as_deref() {
        Some("ok") => (Severity::Fine, "ok"),
        Some(other) => (Severity::Wrong, other),
        // Those permissions that are documented do without.
        None => return,
    };
    findings.add(&found::REDIS_CLUSTER, severity, format!("{who}: cluster_state {said}"));
}

struct Info<'a>(&'a BTreeMap<String, String>);

impl Info<'_> {
    fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name).parse().ok()
    }
}

fn speed(server: &Examination, timeout: Duration, who: &str, findings: &mut Findings) {
    let severity = if server.trip > timeout {
        Severity::Wrong
    } else if server.trip > timeout / 2 {
        Severity::Doubtful
    } else {
        Severity::Fine
    };
    let seen = format!("{who}: the quickest trip took {:?}, and `timeout` is {timeout:?}", server.trip);
    findings.add(&found::REDIS_SLOW, severity, seen);
}

fn identity(info: &Info<'_>, cluster: bool, who: &str, findings: &mut Findings) {
    let version = info.text("redis_version");
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    let old = match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < OLDEST,
        (_, _) => true,
    };
    findings.check(&found::REDIS_VERSION, Severity::Wrong, old, format!("{who}: redis_version {version}"));
    let role = info.text("role");
    findings.check(&found::REDIS_ROLE, Severity::Wrong, role != "master", format!("{who}: role {role}"));
    let enabled = info.text("cluster_enabled");
    let wrong = (enabled == "1") != cluster;
    let seen = format!("{who}: cluster_enabled {enabled}, and `store.redis.cluster` is {cluster}");
    findings.check(&found::REDIS_CLUSTER, Severity::Wrong, wrong, seen);
}

fn memory(info: &Info<'_>, who: &str, findings: &mut Findings) {
    let policy = info.text("maxmemory_policy");
    let (most, used) = (info.number("maxmemory"), info.number("used_memory"));
    let seen = format!("{who}: maxmemory-policy {policy}, maxmemory {}", info.text("maxmemory"));
    let severity = match (policy, most) {
        ("noeviction", _) => Severity::Fine,
        // Nothing is thrown away as long as there is no bound.
        (_, Some(0)) => Severity::Doubtful,
        (_, _) => Severity::Wrong,
    };
    findings.add(&found::REDIS_EVICTS, severity, seen);
    if let (Some(most @ 1..), Some(used)) = (most, used) {
        let percent = used.saturating_mul(100).checked_div(most).unwrap_or_default();
        let seen = format!("{who}: used_memory {used} of maxmemory {most} ({percent} %)");
        findings.check(&found::REDIS_MEMORY, Severity::Doubtful, percent >= FULL, seen);
    }
}

fn persistence(info: &Info<'_>, save: Option<&str>, who: &str, findings: &mut Findings) {
    let aof = info.text("aof_enabled");
    let kept = save.unwrap_or("not told");
    let seen = format!("{who}: appendonly {}, save \"{kept}\"", if aof == "1" { "yes" } else { "no" });
    let severity = match (aof, save) {
        ("1", _) => Severity::Fine,
        (_, Some("")) => Severity::Doubtful,
        (_, Some(_)) => Severity::Fine,
        (_, None) => Severity::Unknown,
    };
    findings.add(&found::REDIS_PERSISTENCE, severity, seen);
    let last = ["rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status"];
    let failed: Vec<_> = last.into_iter().filter(|name| !["ok", ""].contains(&info.text(name))).collect();
    let seen = failed.iter().map(|name| format!("{name} {}", info.text(name))).collect::<Vec<_>>().join(", ");
    findings.check(&found::REDIS_WRITES, Severity::Wrong, !failed.is_empty(), format!("{who}: {seen}"));
}

fn replicas(info: &Info<'_>, who: &str, findings: &mut Findings) {
    let count = info.number("connected_slaves").unwrap_or_default();
    let fenced = info.0.contains_key("min_slaves_good_slaves");
    let seen =
        format!("{who}: {count} replicas, min-replicas-to-write {}", if fenced { "is set" } else { "0" });
    findings.check(&found::REDIS_FENCE, Severity::Doubtful, count > 0 && !fenced, seen);
    for number in 0..count.min(100) {
        let said = info.text(&format!("slave{number}"));
        let field =
            |name: &str| said.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        let lag = field("lag").and_then(|lag| lag.parse::<u64>().ok());
        let behind = field("state") != Some("online") || lag.is_none_or(|lag| lag > LAG);
        let seen = format!(
            "{who}: replica {number} is {}, and {} s behind",
            field("state").unwrap_or("not told"),
            lag.map_or_else(|| "?".to_owned(), |lag| lag.to_string())
        );
        findings.check(&found::REDIS_LAG, Severity::Doubtful, behind, seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: Expected = Expected { cluster: false, timeout: Duration::from_millis(25) };

    fn good() -> Examination {
        let info = [
            ("redis_version", "7.0.15"),
            ("role", "master"),
            ("cluster_enabled", "0"),
            ("maxmemory_policy", "noeviction"),
            ("maxmemory", "1000"),
            ("used_memory", "100"),
            ("aof_enabled", "1"),
            ("aof_last_write_status", "ok"),
            ("rdb_last_bgsave_status", "ok"),
            ("connected_slaves", "1"),
            ("min_slaves_good_slaves", "1"),
            ("slave0", "ip=10.0.0.2,port=6379,state=online,offset=1,lag=1"),
        ];
        Examination {
            info: info.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            save: Some(String::new()),
            trip: Duration::from_millis(1),
            secured: true,
            ..Examination::default()
        }
    }

    fn judged(server: &Examination, expected: Expected) -> Vec<(&'static str, Severity)> {
        let mut findings = Findings::default();
        judge(server, expected, &mut findings);
        findings.bad()
    }

    /// Each differs from one with which nothing is wrong in one field.
    #[test]
    fn a_server_is_judged_by_what_it_says() {
        use Severity::{Doubtful, Wrong};
        assert_eq!(judged(&good(), EXPECTED), []);
        for (field, value, finding, severity) in [
            ("redis_version", "6.0.16", "redis-version", Wrong),
            ("redis_version", "", "redis-version", Wrong),
            ("role", "slave", "redis-replica", Wrong),
            ("cluster_enabled", "1", "redis-cluster", Wrong),
            ("maxmemory_policy", "allkeys-lru", "redis-evicts", Wrong),
            ("maxmemory_policy", "", "redis-evicts", Wrong),
            ("used_memory", "800", "redis-memory", Doubtful),
            ("aof_enabled", "0", "redis-not-persistent", Doubtful),
            ("aof_last_write_status", "err", "redis-write-failed", Wrong),
            ("rdb_last_bgsave_status", "err", "redis-write-failed", Wrong),
            ("slave0", "ip=10.0.0.2,port=6379,state=online,offset=1,lag=11", "redis-lag", Doubtful),
            ("slave0", "ip=10.0.0.2,port=6379,state=wait_bgsave,offset=1,lag=0", "redis-lag", Doubtful),
            ("slave0", "", "redis-lag", Doubtful),
        ] {
            let mut server = good();
            server.info.insert(field.to_owned(), value.to_owned());
            assert_eq!(judged(&server, EXPECTED), [(finding, severity)], "{field} {value}");
        }
    }

    #[test]
    fn what_depends_on_two_things_is_judged_by_both() {
        use Severity::{Doubtful, Unknown, Wrong};
        let with = |change: &dyn Fn(&mut Examination)| {
            let mut server = good();
            change(&mut server);
            judged(&server, EXPECTED)
        };
        let set = |server: &mut Examination, field: &str, value: &str| {
            server.info.insert(field.to_owned(), value.to_owned());
        };
        let unbounded = with(&|server| {
            set(server, "maxmemory", "0");
            set(server, "maxmemory_policy", "allkeys-lru");
        });
        assert_eq!(unbounded, [("redis-evicts", Doubtful)]);
        let unfenced = with(&|server| drop(server.info.remove("min_slaves_good_slaves")));
        assert_eq!(unfenced, [("redis-unfenced", Doubtful)]);
        let saves = with(&|server| {
            set(server, "aof_enabled", "0");
            server.save = Some("3600 1".to_owned());
        });
        assert_eq!(saves, []);
        let not_told = with(&|server| {
            set(server, "aof_enabled", "0");
            server.save = None;
        });
        assert_eq!(not_told, [("redis-not-persistent", Unknown)]);
        assert_eq!(with(&|server| server.denied.push("EVAL")), [("redis-acl", Wrong)]);
        assert_eq!(with(&|server| server.secured = false), [("redis-plaintext", Doubtful)]);
        let slow = |millis| with(&|server| server.trip = Duration::from_millis(millis));
        assert_eq!(
            [slow(12), slow(13), slow(26)].concat(),
            [("redis-slow", Doubtful), ("redis-slow", Wrong)]
        );
        assert_eq!(with(&|server| server.info.clear()), [("redis-version", Unknown)]);
        let of_cluster = Expected { cluster: true, ..EXPECTED };
        assert_eq!(judged(&good(), of_cluster), [("redis-cluster", Wrong)]);
        // Configured as a cluster, and one: it has to be whole, and to tell its nodes.
        for (state, alone, expected) in [
            (Some("ok"), false, vec![]),
            (Some("fail"), false, vec![Wrong]),
            (None, false, vec![]),
            (None, true, vec![Wrong]),
            (Some("ok"), true, vec![Wrong]),
            (Some("fail"), true, vec![Wrong, Wrong]),
        ] {
            let mut server = good();
            set(&mut server, "cluster_enabled", "1");
            (server.cluster_state, server.alone) = (state.map(str::to_owned), alone);
            let found: Vec<_> = expected.into_iter().map(|severity| ("redis-cluster", severity)).collect();
            assert_eq!(judged(&server, of_cluster), found, "{state:?} {alone}");
        }
    }
}
