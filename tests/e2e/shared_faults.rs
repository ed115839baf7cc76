//! Redis fails while requests come in, and with it everything that they could learn of the past. Whatever becomes of it: no
//! proof passes twice, no honest client is told what it cannot go on from, whoever needs no Redis is let through (product.md,
//! "What is unknown is not allowed").

use std::time::{Duration, Instant};

use exequatur_tests::fault_proxy::{Fault, FaultProxy};
use exequatur_tests::ports::Reserved;
use exequatur_tests::redis::{Kind, Redis};
use exequatur_tests::traffic::{BEARERS_TOO, Exchange, Load, Traffic, Who};
use exequatur_tests::{Options, Stack, in_time};

/// Well above what a local server takes, on a machine that does much at once too, and well below what a caller waits.
const TIMES: &str = "timeout: 250ms, max_staleness: 1h";

fn refused(one: &Exchange) -> bool {
    one.who == Who::Honest && one.status == 503
}

fn permitted(one: &Exchange) -> bool {
    one.who == Who::Honest && one.status == 200
}

fn bearer(one: &Exchange) -> bool {
    one.who == Who::Bearer && one.status == 200
}

/// A folder for a Redis of the test's own.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Two replicas whose store is at `url`.
fn at(url: &str) -> Options {
    Options {
        store: Some(format!("url: \"{url}\", {TIMES}")),
        redis: None,
        exequatur: BEARERS_TOO.to_vec(),
        terse: true,
        ..Options::shared(Kind::Newest)
    }
}

/// A Redis behind a proxy, two replicas, and what goes on there.
struct Scene {
    proxy: FaultProxy,
    redis: Redis,
    stack: Stack,
    traffic: Traffic,
    _folder: tempfile::TempDir,
    _ports: Reserved,
}

impl Scene {
    async fn start(kind: Kind) -> Self {
        let (ports, folder) = (Reserved::block().unwrap(), folder());
        let [port, ..] = ports.all();
        let redis = Redis::start(kind, folder.path(), Some(port), &[]).unwrap();
        let proxy = FaultProxy::start(port).await.unwrap();
        let stack = Stack::start(at(&proxy.url())).await.unwrap();
        let traffic = Traffic::start(&stack, Load::USUAL);
        traffic.all_well(5).await;
        Self { proxy, redis, stack, traffic, _folder: folder, _ports: ports }
    }

    /// It is as bad as it gets: both replicas refuse proofs and say that the store cannot be used, and go on with what
    /// needs none.
    async fn down(&self, what: &str) {
        self.traffic.more(what, 40, refused).await;
        in_time(what, self.stack.wait_for_metric("exequatur_store_up 0")).await.unwrap();
        self.traffic.more(what, 20, bearer).await;
    }

    async fn well_again(&self, what: &str) {
        in_time(what, self.stack.wait_for_metric("exequatur_store_up 1")).await.unwrap();
        self.traffic.all_well(5).await;
    }

    async fn end(self, what: &str) {
        let Self { traffic, mut stack, redis: _redis, .. } = self;
        let seen = traffic.stop().await;
        seen.assert_lawful(what, &stack.upstream);
        assert_eq!(stack.ended(), "", "{what}");
    }
}

/// C-02: killed and started again, with requests under way; what it knew is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_killed() {
    for kind in Kind::ALL {
        let mut scene = Scene::start(kind).await;
        for round in 0..2 {
            scene.redis.kill().unwrap();
            scene.down(&format!("killed, {round}")).await;
            scene.redis.start_again().unwrap();
            scene.well_again(&format!("started again, {round}")).await;
        }
        scene.end("killed").await;
    }
}

/// C-03: stopped, and let go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_stopped() {
    let scene = Scene::start(Kind::Newest).await;
    for _ in 0..2 {
        scene.redis.signal("STOP").unwrap();
        scene.down("stopped").await;
        scene.redis.signal("CONT").unwrap();
        scene.well_again("let go on").await;
    }
    scene.end("stopped").await;
}

/// G11, C-09: flushed, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_flushed() {
    for kind in Kind::ALL {
        let scene = Scene::start(kind).await;
        for _ in 0..5 {
            scene.redis.say(&["FLUSHALL"]).unwrap();
            scene.traffic.all_well(3).await;
        }
        scene.end("flushed").await;
    }
}

/// C-05: full, it takes no new proof, and forgets none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_full() {
    for kind in Kind::ALL {
        let scene = Scene::start(kind).await;
        scene.redis.say(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
        scene.down("full").await;
        scene.redis.say(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
        scene.well_again("with room").await;
        scene.end("full").await;
    }
}

/// C-03: late by less than a call's time, it serves all the same; late by more, or half gone, it is as good as gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_slow_or_half_gone() {
    let scene = Scene::start(Kind::Newest).await;
    scene.proxy.set(Fault::Slow(Duration::from_millis(50)));
    scene.traffic.more("late by 50 ms", 40, permitted).await;
    let late = Duration::from_secs(2);
    for fault in [Fault::Slow(late), Fault::Deaf, Fault::Mute, Fault::Drip(Duration::from_millis(50))] {
        let what = format!("{fault:?}");
        scene.proxy.set(fault);
        scene.down(&what).await;
        scene.proxy.set(Fault::None);
        scene.well_again(&what).await;
    }
    scene.end("slow").await;
}

/// C-04: what answers is not Redis any more, or says what no script does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_answers_is_no_redis() {
    let scene = Scene::start(Kind::Newest).await;
    for fault in [
        Fault::Instead(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        Fault::Instead(b"\x00\xff\xfe\r\n"),
        Fault::Instead(b"$99999999999999999999\r\n"),
        Fault::Instead(b":1\r\n"),
        Fault::Instead(b"$3\r\nF12\r\n"),
        Fault::Instead(b"-LOADING Redis is loading the dataset in memory\r\n"),
        Fault::Instead(b"-READONLY You can't write against a read only replica.\r\n"),
        Fault::Instead(b"-MOVED 3999 127.0.0.1:6381\r\n"),
        Fault::Torn,
    ] {
        let what = format!("{fault:?}");
        scene.proxy.set(fault);
        scene.traffic.more(&what, 20, refused).await;
        scene.traffic.more(&what, 5, bearer).await;
        scene.proxy.set(Fault::None);
        scene.traffic.all_well(2).await;
    }
    scene.end("no Redis").await;
}

/// C-04: an answer too many, so that each that follows is another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_is_never_given_the_answer_of_another() {
    let scene = Scene::start(Kind::Newest).await;
    for octets in [b"+OK\r\n".as_slice(), b":0\r\n", b"$-1\r\n"] {
        scene.proxy.set(Fault::Before(octets));
        scene.traffic.more("an answer too many", 20, refused).await;
        scene.proxy.set(Fault::None);
        scene.traffic.all_well(3).await;
    }
    scene.end("an answer too many").await;
}

/// C-07: what is under our names is of another type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_of_another_type() {
    for kind in Kind::ALL {
        let scene = Scene::start(kind).await;
        let keys = scene.redis.say(&["KEYS", "exequatur:*"]).unwrap();
        let memory = keys.lines().find(|line| line.ends_with('}') && !line.contains("revocations")).unwrap();
        let clock = keys.lines().find(|line| line.ends_with(":clock")).unwrap();
        for key in [memory, clock] {
            // At once: between two commands a replica would begin anew.
            for foreign in ["'LPUSH', KEYS[1], 'x'", "'SET', KEYS[1], '{\"version\":2}'"] {
                let script = format!("redis.call('DEL', KEYS[1]) return redis.call({foreign})");
                let answer = scene.redis.say(&["EVAL", &script, "1", key]).unwrap();
                assert!(!answer.starts_with('-'), "{answer}");
                if key == memory {
                    scene.traffic.more("another type", 20, refused).await;
                } else {
                    let told = scene.stack.wait_for_metric("exequatur_store_up 0");
                    in_time("another type", told).await.unwrap();
                }
                scene.redis.say(&["DEL", key]).unwrap();
                scene.well_again("deleted").await;
            }
        }
        let revocations = "exequatur:{revocations}";
        scene.redis.say(&["SET", revocations, "{\"version\":2}"]).unwrap();
        in_time("it is told why", async {
            while !scene.stack.log().unwrap().contains("revocations cannot be followed") {
                scene.traffic.more("another version", 20, |_| true).await;
            }
        })
        .await;
        scene.redis.say(&["DEL", revocations]).unwrap();
        scene.well_again("deleted").await;
        scene.end("another type").await;
    }
}

/// What is revoked is not known for longer than was allowed: then nobody is let through, until it is known again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_about_revocations_is_not_for_ever() {
    let (ports, folder) = (Reserved::block().unwrap(), folder());
    let [port, ..] = ports.all();
    let mut redis = Redis::start(Kind::Newest, folder.path(), Some(port), &[]).unwrap();
    let mut options = at(&redis.url());
    options.store = Some(format!("url: \"{}\", timeout: 250ms, max_staleness: 2s", redis.url()));
    let mut stack = Stack::start(options).await.unwrap();
    let traffic = Traffic::start(&stack, Load::USUAL);
    traffic.all_well(3).await;
    redis.kill().unwrap();
    traffic.more("for a while", 20, bearer).await;
    let stale = |one: &Exchange| one.who == Who::Bearer && one.status == 503 && one.reason == "state_stale";
    traffic.more("then no more", 20, stale).await;
    redis.start_again().unwrap();
    traffic.more("known again", 20, bearer).await;
    traffic.all_well(3).await;
    assert_eq!(traffic.stop().await.wrong_permits(&stack.upstream), 0);
    assert_eq!(stack.ended(), "");
}

/// C-02: while Redis is away, a replica tries about once a second, whatever comes in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_storms_a_redis_that_is_away() {
    let scene = Scene::start(Kind::Newest).await;
    for fault in [Fault::Closed, Fault::Mute] {
        let what = format!("{fault:?}");
        scene.proxy.set(fault);
        scene.traffic.more(&what, 20, refused).await;
        let (begun, before) = (Instant::now(), scene.proxy.accepted());
        in_time(&what, async {
            while scene.proxy.accepted() < before + 6 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        // Two replicas; the first attempt of each may come at once.
        let (tries, seconds) = (scene.proxy.accepted() - before, begun.elapsed().as_secs_f64());
        assert!((tries as f64) <= 2.0 + 2.0 * seconds, "{what}: {tries} attempts in {seconds} s");
        scene.proxy.set(Fault::None);
        scene.well_again(&what).await;
    }
    scene.end("away").await;
}
