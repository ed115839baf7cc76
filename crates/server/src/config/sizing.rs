//! What the memory of a configuration comes to, for those who size a machine.

use std::fmt::Write as _;
use std::time::Duration;

use exequatur_store::{LimitBounds, MAX_OVERRIDES, ReplayLimits};

use super::{Config, Redis, duration};

/// Bytes, as measured ([docs/explanation/shared-state.md]).
const PROOF: u64 = 64;
const LEVEL: u64 = 100;
const REVOCATION: u64 = 40;
const REVOCATION_IN_REDIS: u64 = 130;
const OVERRIDE: u64 = 400;
/// Decisions with a proof that one Redis takes in a second: 20 to 25 us of its one thread each (`redis_own_us`).
const OF_ONE_SHARD: u64 = 40_000;
/// In the oldest Redis that is supported, which takes the most.
const PROOF_IN_REDIS: u64 = 170;
const LEVEL_IN_REDIS: u64 = 200;

/// A table of what is remembered, at its bounds, and how long each entry lives.
#[must_use]
pub fn sizing(config: &Config) -> String {
    let proofs = &config.sender.policy.proofs;
    let window =
        proofs.max_age.saturating_add(proofs.skew).saturating_add(proofs.future).saturating_add(proofs.skew);
    let life = Duration::try_from(window).unwrap_or_default();
    let mut table = String::from("memory, at the bounds:\n");
    let mut row = |what: &str, count: u64, each: u64, lives: &str| {
        let megabytes = count.saturating_mul(each).div_ceil(1_000_000);
        // Writing to a text cannot fail.
        let _infallible =
            writeln!(table, "  {what:<24} {count:>10} x {each:>3} B = {megabytes:>6} MB  {lives}");
    };
    let lives = format!("for at most {}", duration::format(life));
    let revocations = u64::from(config.store.max_revocations.get());
    match &config.store.redis {
        None => {
            let ReplayLimits { max_proofs, .. } = config.store.replay;
            row("used proofs", max_proofs.get().into(), PROOF, &lives);
            let levels = u64::from(LimitBounds::default().max_keys.get());
            row("levels of limits", levels, LEVEL, "until the limit is whole again");
            row("revocations", revocations, REVOCATION, "until their end");
        }
        Some(_) => {
            row("revocations, each replica", revocations, REVOCATION, "until their end");
            let thousand = u64::from(1000_u32).saturating_mul(life.as_secs().saturating_add(1));
            row("Redis, revocations", revocations, REVOCATION_IN_REDIS, "until their end");
            row("Redis, 1000 proofs/s", thousand, PROOF_IN_REDIS, &lives);
            row(
                "Redis, levels of limits",
                1_000_000,
                LEVEL_IN_REDIS,
                "a million, until the limit is whole again",
            );
        }
    }
    row("limits set otherwise", MAX_OVERRIDES.try_into().unwrap_or(u64::MAX), OVERRIDE, "until their end");
    if let Some(redis) = &config.store.redis {
        // Writing to a text cannot fail.
        let _infallible = writeln!(
            table,
            "rate of one tenant, which has one shard: some {OF_ONE_SHARD} decisions/s with a proof, fewer with limits"
        );
        table.push_str(&advice(redis));
    }
    table
}

/// What of Redis no configuration of ours can see to.
fn advice(redis: &Redis) -> String {
    let mut advice = String::from("Redis has to have `maxmemory-policy noeviction`; another is not used.\n");
    let sentinels = if redis.sentinels.is_empty() { "if it has replicas, " } else { "" };
    advice.push_str("Set `min-replicas-to-write 1`, ");
    advice.push_str(sentinels);
    advice.push_str("so that a primary which was cut off takes no more claims.\n");
    if redis.cluster {
        advice.push_str(
            "Of the cluster each tenant has one node, and revocations are all on the node of \
             `{revocations}`.\nSet `cluster-require-full-coverage no`, so that a node that is gone stops its own \
             tenants alone.\n",
        );
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::super::tests::SMALL;
    use super::super::{Source, from_text};
    use super::*;

    fn of(more: &str) -> String {
        let text = format!("{SMALL}{more}").into();
        sizing(&from_text(Source { path: "/etc/exequatur.yaml".into(), text }).unwrap())
    }

    #[test]
    fn what_is_remembered_is_told_where_it_is() {
        let embedded = of("store: { embedded: { max_proofs: 500000 } }\n");
        assert!(
            embedded.contains("used proofs                  500000 x  64 B =     32 MB  for at most 80s\n"),
            "{embedded}"
        );
        assert!(embedded.contains("revocations                10000000 x  40 B =    400 MB"), "{embedded}");
        assert!(!embedded.contains("Redis"), "{embedded}");
        let redis = of(
            "sender_constraint: { dpop: { nonce_secret_file: /none } }\nstore: { redis: { url: redis://h } }\n",
        );
        assert!(redis.contains("Redis, 1000 proofs/s          81000 x 170 B =     14 MB"), "{redis}");
        assert!(redis.contains("Redis, revocations         10000000 x 130 B =   1300 MB"), "{redis}");
        assert!(redis.contains("some 40000 decisions/s") && !embedded.contains("decisions/s"), "{redis}");
        assert!(redis.contains("min-replicas-to-write 1") && !redis.contains("cluster"), "{redis}");
        let cluster = of(
            "sender_constraint: { dpop: { nonce_secret_file: /none } }\nstore: { redis: { url: redis://h, cluster: true } }\n",
        );
        assert!(cluster.contains("cluster-require-full-coverage no"), "{cluster}");
        assert!(!redis.contains("\n  used proofs"), "{redis}");
    }
}
