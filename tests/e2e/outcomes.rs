//! C-21, L08: what came of a permitted request, reported by Envoy's access log, stands in the record file.

use std::process::Output;
use std::sync::Arc;

use exequatur_tests::binaries;
use exequatur_tests::orders::with_orders;
use exequatur_tests::upstream::Next;
use exequatur_tests::{DOCUMENT, Holder, OPEN, Options, Raw, RawAnswer, Stack, Version, in_time};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::sync::Notify;

const RESULT: &str = "exequatur_outcomes_total";

struct Scene {
    stack: Stack,
    holder: Holder,
}

impl Scene {
    async fn new(options: Options) -> Self {
        let stack = Stack::start(options).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        Self { stack, holder }
    }

    fn document(&self, method: &str) -> Raw {
        self.holder.sign(Raw::new(method, format!("{DOCUMENT}?page=2")))
    }

    async fn send(&self, request: &Raw) -> RawAnswer {
        self.stack.raw(Version::Http1).send(request).await.unwrap()
    }

    /// The decision on the latest request that got through.
    fn decision(&self) -> String {
        self.stack.upstream.received().last().unwrap().values("x-exequatur-decision").remove(0)
    }

    /// What came of the latest request that got through; what is another each time is looked at and taken out.
    async fn outcome(&self) -> Value {
        let (decision, upstream) = (self.decision(), self.stack.ports.upstream);
        let mut outcome = self.stack.outcome(&decision).await.unwrap();
        let fields = outcome.as_object_mut().unwrap();
        let time = fields.remove("time").unwrap().as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let record = self.stack.record(&decision).await.unwrap();
        assert_eq!(record["verdict"], "permit");
        let decided = record["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        assert!(time >= decided, "{time} {decided}");
        assert_eq!(fields.remove("v"), Some(json!(1)));
        assert_eq!(fields.remove("outcome_of"), Some(json!(decision)));
        if let Some(named) = fields.remove("upstream") {
            assert_eq!(named, format!("127.0.0.1:{upstream}"));
        }
        let took = fields.remove("duration_us").map(|took| took.as_u64().unwrap());
        assert!(took.is_none_or(|took| took > 0 && took < 100_000_000), "{took:?}");
        outcome
    }

    async fn counted(&self, result: &str) -> u64 {
        self.stack.metric(&format!("{RESULT}{{result=\"{result}\"}}")).await.unwrap()
    }

    async fn until_counted(&self, result: &str, count: u64) {
        let line = format!("{RESULT}{{result=\"{result}\"}} {count}");
        self.stack.wait_for_metric(&line).await.unwrap();
    }
}

fn answer_bytes(method: &str) -> usize {
    format!("upstream saw {method} {DOCUMENT}?page=2\n").len()
}

#[tokio::test]
async fn what_the_upstream_answered_is_recorded() {
    for options in Options::everywhere() {
        let shown = format!("{options:?}");
        let scene = Scene::new(options).await;
        for status in [200, 404, 500] {
            scene.stack.upstream.answer_next_with(&[status]);
            let request = scene.document("PUT").sized("seven b");
            assert_eq!(scene.send(&request).await.status, status, "{shown}");
            let expected = json!({
                "status": status, "answered_by": "upstream", "reached_upstream": true,
                "request_body_bytes": 7, "response_body_bytes": answer_bytes("PUT"),
            });
            assert_eq!(scene.outcome().await, expected, "{shown}");
        }
        scene.until_counted("kept", 3).await;
    }
}

#[tokio::test]
async fn what_was_broken_off_is_recorded() {
    let scene = Scene::new(Options::default()).await;
    // The upstream goes away before its answer, and during it.
    scene.stack.upstream.next_will(Next::Close);
    assert_eq!(scene.send(&scene.document("GET")).await.status, 503);
    let outcome = scene.outcome().await;
    let expected = json!({
        "status": 503, "answered_by": "proxy", "reached_upstream": true, "aborted_by": "upstream", "flags": ["UC"],
        "request_body_bytes": 0, "response_body_bytes": outcome["response_body_bytes"],
    });
    assert_eq!(outcome, expected);
    scene.stack.upstream.next_will(Next::Half);
    drop(scene.stack.raw(Version::Http1).send(&scene.document("GET")).await);
    let expected = json!({
        "status": 200, "answered_by": "upstream", "reached_upstream": true, "aborted_by": "upstream",
        "flags": ["UPE"], "request_body_bytes": 0, "response_body_bytes": answer_bytes("GET"),
    });
    assert_eq!(scene.outcome().await, expected);
    // The client hangs up while the upstream thinks.
    scene.stack.upstream.next_will(Next::Wait(Arc::default()));
    let (caller, request) = (scene.stack.raw(Version::Http1), scene.document("GET"));
    let before = scene.stack.upstream.received().len();
    let waits = tokio::spawn(async move { caller.send(&request).await });
    in_time("the request", scene.stack.upstream.until_received(before + 1)).await;
    waits.abort();
    let expected = json!({
        "reached_upstream": true, "aborted_by": "caller", "flags": ["DC"],
        "request_body_bytes": 0, "response_body_bytes": 0,
    });
    assert_eq!(scene.outcome().await, expected);
}

/// There is a permit, and nobody behind it.
#[tokio::test]
async fn an_upstream_that_is_not_there_was_not_reached() {
    let scene = Scene::new(Options::default()).await;
    scene.stack.upstream.stop();
    let answer = in_time("nobody is there", async {
        loop {
            let answer = scene.send(&scene.document("GET")).await;
            if answer.status == 503 {
                return answer;
            }
        }
    });
    let answer = answer.await;
    assert_eq!(answer.reason(), "", "Envoy's own words: {}", answer.body);
    let unreached = in_time("an outcome", async {
        loop {
            let outcomes = scene.stack.outcomes().unwrap();
            if let Some(one) = outcomes.into_iter().find(|outcome| outcome["reached_upstream"] == false) {
                return one;
            }
            tokio::task::yield_now().await;
        }
    });
    let unreached = unreached.await;
    assert_eq!(
        (&unreached["status"], &unreached["answered_by"], &unreached["flags"], unreached.get("aborted_by")),
        (&json!(503), &json!("proxy"), &json!(["UF"]), None),
        "{unreached}"
    );
}

/// A denial has no outcome; a public route has one; what nobody asked about has none.
#[tokio::test]
async fn only_permits_have_outcomes() {
    let scene = Scene::new(Options::on(true)).await;
    let denied = scene.counted("denied").await;
    assert_eq!(scene.send(&Raw::new("GET", DOCUMENT)).await.status, 401);
    assert_eq!(scene.send(&Raw::new("GET", "/envoy/healthz")).await.status, 200);
    assert_eq!(scene.send(&Raw::new("GET", OPEN)).await.status, 200);
    let outcome = scene.outcome().await;
    assert_eq!((&outcome["status"], &outcome["answered_by"]), (&json!(200), &json!("upstream")));
    scene.until_counted("kept", 1).await;
    scene.until_counted("no_decision", 1).await;
    // The holder's first request was denied as well.
    assert!(scene.counted("denied").await > denied.max(1));
    assert_eq!(scene.stack.outcomes().unwrap().len(), 1);
}

/// E-05: the access log that Envoy sends holds path, query and header fields; the file has none of them.
#[tokio::test]
async fn nothing_that_a_caller_writes_is_in_the_file() {
    let scene = Scene::new(Options::on(true)).await;
    for status in [200, 503] {
        scene.stack.upstream.answer_next_with(&[status]);
        let request = Raw::new("GET", format!("{DOCUMENT}?canary-query=canary"));
        let request = ["user-agent", "referer", "x-forwarded-for", "x-request-id", "cookie", "x-canary-name"]
            .into_iter()
            .fold(scene.holder.sign(request), |request, name| request.with(name, format!("canary-{name}")));
        assert_eq!(scene.send(&request).await.status, status);
        scene.outcome().await;
    }
    let open = Raw::new("GET", format!("{OPEN}?canary")).with("user-agent", "canary".repeat(2000));
    assert_eq!(scene.send(&open).await.status, 200);
    scene.outcome().await;
    assert_eq!(scene.send(&Raw::new("GET", "/nowhere/canary?canary")).await.status, 403);
    scene.until_counted("kept", 3).await;
    let file = scene.stack.record_file().unwrap();
    assert!(!file.contains("canary"), "{file}");
    let log = scene.stack.log().unwrap();
    assert!(!log.contains("canary-x-request-id") && !log.contains("canary-referer"));
    // And nothing but what docs/reference/outcomes.md lists.
    let known = [
        "v",
        "time",
        "outcome_of",
        "status",
        "answered_by",
        "reached_upstream",
        "upstream",
        "request_body_bytes",
        "response_body_bytes",
        "duration_us",
        "aborted_by",
        "flags",
    ];
    for outcome in scene.stack.outcomes().unwrap() {
        for name in outcome.as_object().unwrap().keys() {
            assert!(known.contains(&name.as_str()), "{name}");
        }
    }
}

/// What was under way when the replica was told to stop is still reported, and kept.
#[tokio::test]
async fn a_stop_waits_for_outcomes() {
    let mut scene = Scene::new(Options::default()).await;
    let told = Arc::new(Notify::new());
    scene.stack.upstream.next_will(Next::Wait(Arc::clone(&told)));
    let (caller, request) = (scene.stack.raw(Version::Http1), scene.document("GET"));
    let before = scene.stack.upstream.received().len();
    let waits = tokio::spawn(async move { caller.send(&request).await });
    in_time("the request", scene.stack.upstream.until_received(before + 1)).await;
    let decision = scene.decision();
    scene.stack.signal_exequatur("TERM").await.unwrap();
    scene.stack.logged("draining").await;
    told.notify_one();
    assert_eq!(waits.await.unwrap().unwrap().status, 200);
    scene.stack.terminate_exequatur().await.unwrap();
    let outcomes = scene.stack.outcomes().unwrap();
    let outcome = outcomes.iter().find(|outcome| outcome["outcome_of"] == decision);
    assert_eq!(outcome.unwrap()["status"], 200);
    let log = scene.stack.log().unwrap();
    assert!(!log.contains("were still open and are cut"), "Envoy lets go of what has ended");
}

async fn shown(stack: &Stack, decision: &str, output: &str) -> Output {
    let mut command = Command::new(binaries::exequatur().unwrap());
    command.args(["audit", "show", decision, "--output", output, "--file"]);
    command.arg(stack.folder().join("decisions.jsonl")).output().await.unwrap()
}

/// Whoever looks for a decision sees what came of it, by the command and by the admin API.
#[tokio::test]
async fn a_decision_is_shown_with_its_outcome() {
    let scene = Scene::new(with_orders(Options::default())).await;
    assert_eq!(scene.send(&scene.document("GET")).await.status, 200);
    scene.outcome().await;
    let permitted = scene.decision();
    let refused = scene.send(&Raw::new("GET", DOCUMENT)).await;
    let denied =
        serde_json::from_str::<Value>(&refused.body).unwrap()["decision"].as_str().unwrap().to_owned();
    scene.stack.record(&denied).await.unwrap();

    let text = String::from_utf8(shown(&scene.stack, &permitted, "text").await.stdout).unwrap();
    for part in ["verdict     permit", "outcome     status 200, by the upstream; the upstream was reached"] {
        assert!(text.contains(part), "{text}");
    }
    let said: Value = serde_json::from_slice(&shown(&scene.stack, &permitted, "json").await.stdout).unwrap();
    assert_eq!(said["outcomes"][0]["outcome"]["status"], 200, "{said}");
    let text = String::from_utf8(shown(&scene.stack, &denied, "text").await.stdout).unwrap();
    assert!(text.contains("outcome     Envoy's own answer"), "{text}");

    for (decision, outcome) in [(permitted, json!(200)), (denied, Value::Null)] {
        let mut socket = UnixStream::connect(scene.stack.folder().join("admin.sock")).await.unwrap();
        let asked =
            format!("GET /v1/decisions/{decision} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        socket.write_all(asked.as_bytes()).await.unwrap();
        let mut said = String::new();
        socket.read_to_string(&mut said).await.unwrap();
        let (_, body) = said.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!((&body["record"]["decision"], &body["outcome"]["status"]), (&json!(decision), &outcome));
        assert_eq!(body["in_chain"], true, "{body}");
    }
}
