//! Everything that may be found, and the page that lists it.

use super::finding::Kind;

const RUNBOOK: &str = "docs/how-to/runbook.md";
const CONFIGURATION: &str = "docs/reference/configuration.md";
const SHARED: &str = "docs/explanation/shared-state.md";
const ENVOY: &str = "docs/reference/envoy.md";
const RECEIPTS: &str = "docs/reference/audit.md";

macro_rules! catalogue {
    ($($name:ident = $id:literal, $page:expr, $what:literal, $todo:literal;)*) => {
        $(pub(super) static $name: Kind = Kind { id: $id, what: $what, todo: $todo, page: $page };)*
        /// Every kind, in the order in which it is looked for.
        pub(super) static ALL: &[&Kind] = &[$(&$name,)*];
    };
}

catalogue! {
    CONFIG = "config-invalid", CONFIGURATION,
        "the configuration or the policies cannot be loaded: no start, and no reload",
        "mend what `exequatur config check` names, then run this again: nothing else was looked at";
    REMARK = "config-remark", CONFIGURATION,
        "a setting is allowed, and may not be what was meant",
        "read the remark; `exequatur config check` prints it too";
    UNSCOPED = "policies-unscoped", "docs/how-to/write-a-policy.md",
        "policies without a scope are evaluated in every decision",
        "name an action or a resource in the scope of each";
    TESTS = "policy-tests-failed", "docs/how-to/write-a-policy.md",
        "tests beside the policies fail",
        "run `exequatur policy test` and mend the policies, or the tests";
    CERTIFICATE = "certificate-unusable", CONFIGURATION,
        "a certificate, its key or its authorities cannot be used: no start, or the old one goes on until the next",
        "write a certificate in PEM, and the key that belongs to it";
    EXPIRED = "certificate-expired", CONFIGURATION,
        "a certificate is over: handshakes with it fail",
        "renew it; files of listeners are read again when they change";
    EXPIRES = "certificate-expires-soon", CONFIGURATION,
        "a certificate ends within 14 days",
        "renew it, and find out why what renews it has not";
    NOT_YET = "certificate-not-yet-valid", CONFIGURATION,
        "a certificate is not valid yet: handshakes with it fail",
        "look at this machine's clock, then at who issued it";
    NONCE = "nonce-secret-unusable", CONFIGURATION,
        "the secret of nonces cannot be used: no start, and no reload",
        "write at least 32 random bytes into the file, readable by the service alone";
    RECEIPT = "receipt-key-unusable", RECEIPTS,
        "the key of checkpoints, or the public keys before it, cannot be used: no start, and no reload",
        "give the service its key back, or a new one and the public key of the old one in `previous_keys_file`";
    KEYS = "issuer-keys-unavailable", CONFIGURATION,
        "the keys of an issuer cannot be loaded: its tokens are refused with 503",
        "reach the address from this machine; look at the proxy, `ca_file` and the issuer's `iss`";
    SKIPPED = "issuer-keys-skipped", CONFIGURATION,
        "an issuer publishes keys that are not used: of other algorithms, weak, or not for signatures",
        "if a token is refused with token_key_unknown, add the key's algorithm to `algorithms`";
    SKEW = "clock-skew", RUNBOOK,
        "this machine's clock and another's differ: tokens and proofs are refused as too old or too new",
        "let chrony or systemd-timesyncd run on both machines";
    REDIS = "redis-unreachable", SHARED,
        "Redis does not answer: proofs are refused with 503",
        "look at the address, TLS, user and password, and at network policies";
    REDIS_CLUSTER = "redis-cluster", SHARED,
        "Redis is a cluster and is not configured as one, or the other way round, or the cluster is not whole or does not tell its nodes",
        "set `store.redis.cluster` as it is; `redis-cli cluster info` tells what is missing";
    REDIS_VERSION = "redis-version", SHARED,
        "Redis is older than 6.2: it is not used",
        "use Redis 6.2 or later, or Valkey";
    REDIS_ROLE = "redis-replica", SHARED,
        "Redis is a replica of another: it is not used",
        "name the primary, or the sentinels that know it";
    REDIS_EVICTS = "redis-evicts", SHARED,
        "Redis may throw used proofs away to make room: it is not used",
        "set maxmemory-policy noeviction";
    REDIS_MEMORY = "redis-memory", SHARED,
        "Redis has little memory left: when it is full, proofs are refused with 503",
        "raise maxmemory, or find out what else lies there";
    REDIS_PERSISTENCE = "redis-not-persistent", SHARED,
        "Redis keeps nothing on the disk: a restart of it forgets revocations, limits and used proofs",
        "set appendonly yes, or a `save`; or accept it, and revoke again after a restart";
    REDIS_WRITES = "redis-write-failed", SHARED,
        "Redis could not write to its disk when it last tried",
        "look at the log and the disk of Redis";
    REDIS_FENCE = "redis-unfenced", SHARED,
        "Redis has replicas, and a primary that was cut off goes on taking claims: a proof may pass on both sides",
        "set min-replicas-to-write 1 and min-replicas-max-lag 10";
    REDIS_LAG = "redis-lag", SHARED,
        "a replica of Redis is behind: what is lost with the primary is lost",
        "look at the network and the load between them";
    REDIS_ACL = "redis-acl", SHARED,
        "the user may not give commands that are needed, or not for keys of the prefix",
        "grant what the page lists for an ACL, on `~<prefix>:*`, and no whole category";
    REDIS_PLAIN = "redis-plaintext", SHARED,
        "Redis is reached over a network without TLS: whoever is on the way can lift revocations",
        "use `rediss://`, with `ca_file` if its authority is your own";
    REDIS_SLOW = "redis-slow", SHARED,
        "a trip to Redis takes long, measured against `store.redis.timeout`",
        "bring them closer together, or raise `timeout` below `deadline`";
    ENVOY_FILE = "envoy-unreadable", ENVOY,
        "the configuration of Envoy cannot be read",
        "give the bootstrap that Envoy is started with";
    ENVOY_LINT = "envoy-lint", ENVOY,
        "a setting of Envoy opens a hole, or may",
        "run `exequatur envoy lint` for the fix of each rule";
    ENVOY_ADDRESS = "envoy-address", ENVOY,
        "Envoy asks elsewhere than Exequatur listens",
        "let the cluster's endpoint be `listen.grpc`";
    ENVOY_TLS = "envoy-tls", ENVOY,
        "one side speaks TLS or shows a certificate, and the other expects something else: every request is refused",
        "set `listen.grpc_tls` and the cluster's `transport_socket` alike";
    DOWN = "server-not-running", RUNBOOK,
        "no server answers at the address of this configuration",
        "start it, if it is to run here; if it runs, it was started with another `listen.public`, and a restart takes this one over";
    PORT = "address-taken", CONFIGURATION,
        "an address to listen on cannot be had: no start",
        "end what listens there, or choose another address of this machine";
    HANGS = "server-hangs", RUNBOOK,
        "something listens at the address of this configuration, and does not answer",
        "if it is the server (`ss -ltnp`): look at its log and processor, then restart it; else end what has the address";
    UNREADY = "server-not-ready", RUNBOOK,
        "the server runs and is not ready: keys of an issuer were never loaded, or it is stopping",
        "`exequatur status` tells which keys are missing, and its log why";
    ADMIN = "server-silent", RUNBOOK,
        "the server's admin socket does not answer to this user, or there is none",
        "set `listen.admin`, and run this as the service's user or root";
    OTHER_FILES = "server-other-files", RUNBOOK,
        "the running server decides by other files than these",
        "look whether a reload was refused; some changes need a restart";
    OTHER_VERSION = "server-other-version", RUNBOOK,
        "the running server is another version than this command",
        "restart the service, or use the command that belongs to it";
    STATUS = "server-status", RUNBOOK,
        "the running server says itself that something is wrong",
        "`exequatur status` shows it with all replicas";
    FILES = "open-files", RUNBOOK,
        "fewer files may be open than connections are taken: connections of Envoy are refused under load",
        "set LimitNOFILE=65536 or `ulimit -n 65536` for the service";
    RECORDS = "records-unwritable", RECEIPTS,
        "the file of records cannot be written by this user",
        "give the service's user the file and its folder; run this as that user";
    STATE = "state-unwritable", CONFIGURATION,
        "the folder of the store is none, or cannot be used by this user",
        "make it, and give it to the service's user";
    DISK = "disk-space", RECEIPTS,
        "a disk that records or state are written to has less than 1 GiB left (`doubtful`), or next to nothing",
        "rotate and take away old files of records, or give it more room";
}

const HEAD: &str = "\
# What doctor finds

Made from the program itself (`exequatur doctor --list > docs/reference/doctor.md`); a test compares them. How to use it:
[doctor](../how-to/doctor.md). A finding is `wrong` (requests are refused, or may pass that must not, now or at the
next start), `doubtful` (it may be meant), or `unknown` (it could not be looked at, and why). Names stay as they are.

| finding | what is wrong | what to do | page |
| --- | --- | --- | --- |
";

/// The page of all kinds.
pub(super) fn page() -> String {
    let row = |kind: &&Kind| {
        let Kind { id, what, todo, page } = kind;
        let name = page.rsplit('/').next().unwrap_or(page).trim_end_matches(".md");
        let link = page.strip_prefix("docs/").unwrap_or(page);
        let link = link.strip_prefix("reference/").map_or_else(|| format!("../{link}"), str::to_owned);
        format!("| `{id}` | {what} | {todo} | [{name}]({link}) |\n")
    };
    HEAD.to_owned() + &ALL.iter().map(row).collect::<String>()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_of_findings_is_up_to_date_and_leads_somewhere() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let names: HashSet<_> = ALL.iter().map(|kind| kind.id).collect();
        assert_eq!(names.len(), ALL.len());
        for kind in ALL {
            assert!(root.join(kind.page).exists(), "{}", kind.page);
            assert!(![kind.what, kind.todo].concat().contains('|'), "{}", kind.id);
        }
        let written = std::fs::read_to_string(root.join("docs/reference/doctor.md")).unwrap();
        assert_eq!(written, page(), "exequatur doctor --list > docs/reference/doctor.md");
    }
}
