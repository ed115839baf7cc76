//! Where Redis may be: not there yet, behind TLS and a password, or wherever sentinels say that the primary is now.

use std::path::Path;
use std::time::Duration;

use exequatur_tests::fault_proxy::FaultProxy;
use exequatur_tests::ports::Reserved;
use exequatur_tests::redis::{Kind, Redis, Sentinel};
use exequatur_tests::traffic::{BEARERS_TOO, Load, Traffic, Who};
use exequatur_tests::{DOCUMENT, Options, Raw, Stack, Version, in_time, tls};
use serde_json::Value;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn with_store(store: String) -> Options {
    Options {
        store: Some(store),
        redis: None,
        exequatur: BEARERS_TOO.to_vec(),
        terse: true,
        ..Options::shared(Kind::Newest)
    }
}

/// The status of a path of the public listener, of either replica.
async fn status(port: u16, path: &str) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{port}{path}");
    client.get(url).send().await.unwrap().status().as_u16()
}

/// C-01: without Redis from the start, replicas live and are not ready; they are once it is there, and nobody has to
/// start them again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_may_come_later() {
    let (ports, data) = (Reserved::block().unwrap(), folder());
    let [port, ..] = ports.all();
    let store = format!("url: \"redis://127.0.0.1:{port}\", timeout: 2s, max_staleness: 1h");
    let mut stack = Stack::start(Options { unready: true, ..with_store(store) }).await.unwrap();
    let replicas = [stack.ports.public, stack.ports.of_second().public];
    let holder = stack.holder(&Value::Null).await.unwrap();
    for _ in 0..20 {
        for public in replicas {
            assert_eq!((status(public, "/healthz").await, status(public, "/readyz").await), (200, 503));
        }
        let answer = stack.raw(Version::Http1).send(&holder.sign(Raw::new("GET", DOCUMENT))).await.unwrap();
        assert!(answer.status == 503 && answer.body.contains("state_stale"), "{answer:?}");
    }
    in_time("the metric", stack.wait_for_metric("exequatur_store_up 0")).await.unwrap();
    let _redis = Redis::start(Kind::Newest, data.path(), Some(port), &[]).unwrap();
    in_time("both ready", async {
        for public in replicas {
            while status(public, "/readyz").await != 200 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    })
    .await;
    let traffic = Traffic::start(&stack, Load::USUAL);
    traffic.all_well(3).await;
    traffic.stop().await.assert_lawful("there now", &stack.upstream);
    assert_eq!(stack.ended(), "");
}

/// A Redis with a user, and TLS before it.
struct Guarded {
    proxy: FaultProxy,
    folder: tempfile::TempDir,
    _redis: Redis,
    _ports: Reserved,
}

impl Guarded {
    async fn start() -> Self {
        let (ports, folder) = (Reserved::block().unwrap(), folder());
        let [port, ..] = ports.all();
        let redis = Redis::start(Kind::Newest, folder.path(), Some(port), &[]).unwrap();
        let user = ["ACL", "SETUSER", "gate", "on", ">word", "~*", "+@all"];
        assert!(redis.say(&user).unwrap().starts_with("+OK"));
        assert!(redis.say(&["ACL", "SETUSER", "default", "off"]).unwrap().starts_with("+OK"));
        tls::write(folder.path()).unwrap();
        let proxy = FaultProxy::with_tls(port, tls::acceptor(folder.path()).unwrap()).await.unwrap();
        Self { proxy, folder, _redis: redis, _ports: ports }
    }

    fn url_file(&self, name: &str, user: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.folder.path().join(name);
        std::fs::write(&file, format!("rediss://{user}@localhost:{}/0\n", self.proxy.port())).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        format!("url_file: {}", file.display())
    }

    fn ca_file(&self, folder: &Path) -> String {
        format!("ca_file: {}", folder.join("tls/ca.crt").display())
    }
}

/// `rediss://`, a CA of one's own, user and password from a file. Another CA, none, or another password: no connection,
/// and neither the password nor the URL is in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_password_are_checked() {
    let redis = Guarded::start().await;
    let foreign = folder();
    tls::write(foreign.path()).unwrap();
    let url_file = redis.url_file("url", "gate:word");
    let own = redis.ca_file(redis.folder.path());

    let stack =
        Stack::start(with_store(format!("{url_file}, {own}, timeout: 2s, max_staleness: 1h"))).await.unwrap();
    let traffic = Traffic::start(&stack, Load::USUAL);
    traffic.all_well(3).await;
    traffic.stop().await.assert_lawful("over TLS", &stack.upstream);
    drop(stack);

    let wrong_password = redis.url_file("wrong", "gate:another-word");
    for (what, store) in [
        (
            "another CA",
            format!("{url_file}, {}, timeout: 2s, max_staleness: 1h", redis.ca_file(foreign.path())),
        ),
        ("the system's CAs", format!("{url_file}, timeout: 2s, max_staleness: 1h")),
        ("another password", format!("{wrong_password}, {own}, timeout: 2s, max_staleness: 1h")),
    ] {
        let accepted = redis.proxy.accepted();
        let options = Options { unready: true, terse: false, ..with_store(store) };
        let stack = Stack::start(options).await.unwrap();
        in_time(what, async {
            while redis.proxy.accepted() < accepted + 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        assert_eq!(status(stack.ports.public, "/readyz").await, 503, "{what}");
        let holder = stack.holder(&Value::Null).await.unwrap();
        let answer = stack.raw(Version::Http1).send(&holder.sign(Raw::new("GET", DOCUMENT))).await.unwrap();
        assert!(answer.status == 503 && answer.body.contains("state_stale"), "{what}: {answer:?}");
        stack.logged("the store is lost").await;
        let log = stack.log().unwrap();
        assert!(!log.contains("word@") && !log.contains("another-word"), "{what}: a password in the log");
    }
}

/// A primary and two copies, each of which stops taking writes when nobody follows it, and a sentinel.
struct Fleet {
    servers: Vec<Redis>,
    sentinel: Sentinel,
    ports: Reserved,
    _folders: Vec<tempfile::TempDir>,
}

impl Fleet {
    async fn start(kind: Kind) -> Self {
        let ports = Reserved::block().unwrap();
        let [primary, .., sentinel] = ports.all();
        let folders: Vec<_> = (0..4).map(|_| folder()).collect();
        let fenced = ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"];
        let undelayed = ["--repl-diskless-sync-delay", "0"];
        let servers = folders.iter().take(3).zip(ports.all()).map(|(folder, port)| {
            let following = ["--replicaof", "127.0.0.1", &primary.to_string()].map(str::to_owned);
            let following = if port == primary { Vec::new() } else { following.to_vec() };
            let options = fenced.iter().chain(&undelayed).copied();
            let options: Vec<_> = options.chain(following.iter().map(String::as_str)).collect();
            Redis::start(kind, folder.path(), Some(port), &options).unwrap()
        });
        let servers: Vec<_> = servers.collect();
        // A sentinel asks a primary for its copies every ten seconds: here it finds them the first time.
        in_time("the copies", async {
            while !servers[0].say(&["INFO", "replication"]).unwrap().contains("connected_slaves:2") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let sentinel = Sentinel::start(kind, folders[3].path(), sentinel, primary).unwrap();
        Self { servers, sentinel, ports, _folders: folders }
    }

    /// The number of the server that is primary.
    fn primary(&self) -> usize {
        let port = self.sentinel.primary().unwrap().unwrap();
        self.ports.all().iter().position(|known| *known == port).unwrap()
    }

    /// Waits until another than `old` is, and both others follow it if they run.
    async fn has_failed_over(&self, old: usize, copies: usize) {
        in_time("the failover", async {
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let primary = self.primary();
                // The old one may not answer.
                if primary == old {
                    continue;
                }
                let follow = format!("connected_slaves:{copies}");
                let replication = self.servers[primary].say(&["INFO", "replication"]).unwrap();
                if replication.contains("role:master") && replication.contains(&follow) {
                    return;
                }
            }
        })
        .await;
    }

    fn store(&self) -> String {
        let sentinel = self.sentinel.port;
        // One that is not there comes first: the next is asked.
        let [.., nobody, _] = self.ports.all();
        let sentinels = format!("[\"redis://127.0.0.1:{nobody}\", \"redis://127.0.0.1:{sentinel}\"]");
        format!("url: \"redis://primary/0\", sentinels: {sentinels}, timeout: 250ms, max_staleness: 1h")
    }
}

/// C-09, G11: the primary is killed, or hangs and comes back when another is primary already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_makes_another_the_primary() {
    for kind in Kind::ALL {
        let mut fleet = Fleet::start(kind).await;
        let mut stack = Stack::start(with_store(fleet.store())).await.unwrap();
        let traffic = Traffic::start(&stack, Load::USUAL);
        traffic.all_well(3).await;

        let first = fleet.primary();
        fleet.servers[first].signal("STOP").unwrap();
        traffic.more("the primary hangs", 20, |one| one.who == Who::Honest && one.status == 503).await;
        fleet.has_failed_over(first, 1).await;
        traffic.all_well(3).await;
        fleet.servers[first].signal("CONT").unwrap();
        // It thinks that it is primary until the sentinel tells it otherwise; then it is a copy.
        fleet.has_failed_over(first, 2).await;
        traffic.all_well(3).await;

        let second = fleet.primary();
        fleet.servers[second].kill().unwrap();
        fleet.has_failed_over(second, 1).await;
        traffic.all_well(3).await;

        traffic.stop().await.assert_lawful(&format!("failed over, {kind:?}"), &stack.upstream);
        assert_eq!(stack.ended(), "");
    }
}
