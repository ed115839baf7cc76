//! C-18: clients of the gRPC listener that are slow, silent, or break the rules of HTTP/2. Others, through Envoy, are
//! answered as ever; memory stays within a bound; places come free again.

use std::process::Command;

use exequatur_proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use exequatur_tests::direct::{Decision, Direct, check};
use exequatur_tests::frames::{
    END_HEADERS, END_STREAM, Frames, Kind, MAX_FRAME, PREFACE, check_block, field, frame,
};
use exequatur_tests::streams::{Asked, Streams, prefixed, unfinished};
use exequatur_tests::{DOCUMENT, Holder, Options, Raw, RawAnswer, Stack, Version, in_time};
use prost::bytes::Bytes;
use serde_json::Value;
use tokio::task::JoinSet;

const MIB: u64 = 1024 * 1024;
/// What one attack may make the process grow by, unless a test says otherwise: far less than what is sent.
const GROWTH: u64 = 96 * MIB;
const OVERLOADED: &str = "exequatur_decisions_total{verdict=\"fault\",reason=\"overloaded\"}";

/// A stack and somebody who may call.
struct Scene {
    stack: Stack,
    holder: Holder,
    before: u64,
}

impl Scene {
    async fn new() -> Self {
        let stack = Stack::start(Options {
            terse: true,
            exequatur: vec![("records:", "workers: 1\nrecords:")],
            ..Options::default()
        });
        let stack = stack.await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        let scene = Self { stack, holder, before: 0 };
        scene.others_are_answered().await;
        Self { before: scene.stack.resident().unwrap(), ..scene }
    }

    fn grpc(&self) -> u16 {
        self.stack.ports.grpc
    }

    async fn send(&self, request: &Raw) -> RawAnswer {
        self.stack.raw(Version::Http1).send(request).await.unwrap()
    }

    /// What may pass does, what may not does not, and for its own reason.
    async fn others_are_answered(&self) {
        let request = self.holder.sign(Raw::new("GET", DOCUMENT));
        assert_eq!(self.send(&request).await.status, 200);
        assert_eq!(self.send(&request).await.reason(), "dpop_replay");
        assert_eq!(self.send(&Raw::new("GET", "/nowhere")).await.reason(), "route_unmatched");
    }

    async fn others_are_answered_while(&self, attack: impl Future<Output = ()> + Send + 'static) {
        let mut attacks = JoinSet::new();
        attacks.spawn(attack);
        for _ in 0..20 {
            self.others_are_answered().await;
        }
        attacks.shutdown().await;
        self.stays_within(GROWTH);
    }

    fn stays_within(&self, growth: u64) {
        let now = self.stack.resident().unwrap();
        assert!(now <= self.before + growth, "{} MiB, before {}", now / MIB, self.before / MIB);
    }

    /// A new client is served: places are free.
    async fn a_new_client_is_answered(&self) {
        let direct = Direct::connect(self.grpc()).await.unwrap();
        let decision = direct.ask(check("GET", "localhost", "/open", &[])).await.unwrap();
        assert_eq!(decision, Decision::Permit);
    }
}

/// Connections that say nothing, half a preface, or no settings after it.
#[tokio::test]
async fn silent_connections_are_let_go() {
    let scene = Scene::new().await;
    let mut silent = Vec::new();
    for number in 0..600 {
        let mut one = Frames::silent(scene.grpc()).await.unwrap();
        match number % 3 {
            0 => {}
            1 => one.write(&PREFACE[..12]).await.unwrap(),
            _ => one.write(PREFACE).await.unwrap(),
        }
        silent.push(one);
    }
    scene.others_are_answered().await;
    scene.stays_within(GROWTH);
    // Each of them is closed in the end, by the server.
    for one in &mut silent {
        in_time("a silent connection is closed", one.closed()).await;
    }
    scene.others_are_answered().await;
}

/// The bound on connections holds, is counted and logged, and is no trap: when some go, others may come.
#[tokio::test]
async fn connections_have_a_bound() {
    const BOUND: usize = 1024;
    const BEYOND: usize = 100;
    let scene = Scene::new().await;
    for process in [std::process::id(), scene.stack.process().unwrap()] {
        let raised = Command::new("prlimit").args(["--nofile=4096:", "--pid", &process.to_string()]).status();
        assert!(raised.unwrap().success());
    }
    let mut open = Vec::new();
    for _ in 0..BOUND + BEYOND {
        // One that is closed at once may be so before it has said anything.
        if let Ok(one) = Frames::open(scene.grpc()).await {
            open.push(one);
        }
    }
    let refused = "exequatur_grpc_connections_refused_total";
    // Envoy has some of the places.
    in_time("connections are refused", async {
        while scene.stack.metric(refused).await.unwrap() < u64::try_from(BEYOND).unwrap() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    scene.others_are_answered().await;
    scene.stays_within(2 * GROWTH);
    scene.stack.logged("too many gRPC connections").await;
    drop(open);
    let decision = in_time("places are free again", async {
        loop {
            // They are once the worker has seen the connections go.
            let Ok(direct) = Direct::connect(scene.grpc()).await else { continue };
            if let Ok(decision) = direct.ask(check("GET", "localhost", "/open", &[])).await {
                break decision;
            }
        }
    })
    .await;
    assert_eq!(decision, Decision::Permit);
}

/// Messages without an end, large ones: they share half of the budget, and others go on.
#[tokio::test]
async fn large_messages_without_end_leave_room() {
    let scene = Scene::new().await;
    let mut attackers = Vec::new();
    let mut asked = Vec::new();
    // 8 × 256 × (24 + 60 KiB) are 168 MiB.
    for _ in 0..8 {
        let mut attacker = Streams::open(scene.grpc(), 65_535).await.unwrap();
        for _ in 0..256 {
            asked.push(attacker.ask(&[], unfinished(60 * 1024), false).await.unwrap());
        }
        attackers.push(attacker);
    }
    // What has no room is answered; all that has is waited for in vain.
    assert_eq!(in_time("a refusal", asked.last_mut().unwrap().head()).await, Ok(200));
    in_time("refusals", async { while scene.stack.metric(OVERLOADED).await.unwrap() < 1000 {} }).await;
    scene.others_are_answered().await;
    scene.stays_within(GROWTH);
    drop((asked, attackers));
    scene.others_are_answered().await;
}

/// As many small messages without an end as fill the whole budget: everything else is refused as overload, and only
/// until their time is over.
#[tokio::test]
async fn a_spent_budget_refuses_and_comes_back() {
    let scene = Scene::new().await;
    let mut attackers = Vec::new();
    let mut asked: Vec<Asked> = Vec::new();
    // 12 × 256 × (24 + 30 KiB) are 162 MiB.
    for _ in 0..12 {
        let mut attacker = Streams::open(scene.grpc(), 65_535).await.unwrap();
        for _ in 0..256 {
            asked.push(attacker.ask(&[], unfinished(30 * 1024), false).await.unwrap());
        }
        attackers.push(attacker);
    }
    assert_eq!(in_time("a refusal", asked.pop().unwrap().head()).await, Ok(200));
    scene.stays_within(GROWTH);
    in_time("refusals", async { while scene.stack.metric(OVERLOADED).await.unwrap() < 1000 {} }).await;
    // Nobody lets go but the server: a message has 12 s to come.
    let request = scene.holder.sign(Raw::new("GET", DOCUMENT));
    in_time("the budget comes back", async {
        loop {
            let answer = scene.send(&request).await;
            if answer.status == 200 {
                break;
            }
            // What was refused was not looked at: its proof is still good.
            assert_eq!((answer.status, answer.reason().as_str()), (503, "overloaded"));
        }
    })
    .await;
    for (number, one) in asked.iter_mut().enumerate() {
        assert_eq!(one.head().await, Ok(200), "{number}");
    }
    scene.others_are_answered().await;
}

/// Messages of which each holds dozens of times its length once it is decoded, all at once: one is decoded at a time.
#[tokio::test]
async fn messages_that_swell_are_decoded_one_at_a_time() {
    let scene = Scene::new().await;
    let mut swelling = check("GET", "localhost", "/open", &[]);
    let http = swelling.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap();
    http.header_map = Some(HeaderMap { headers: vec![HeaderValue::default(); 15_000] });
    let message = prefixed(&swelling);
    let (mut attackers, mut asked) = (Vec::new(), Vec::new());
    // 1024 × 15,000 × 72 bytes are more than 1 GiB; their messages are 30 MiB.
    for _ in 0..8 {
        let mut attacker = Streams::open(scene.grpc(), 65_535).await.unwrap();
        for _ in 0..128 {
            asked.push(attacker.ask(&[], message.clone(), true).await.unwrap());
        }
        attackers.push(attacker);
    }
    for one in &mut asked {
        assert_eq!(one.head().await, Ok(200));
    }
    let peak = scene.stack.peak().unwrap();
    assert!(peak <= scene.before + GROWTH, "{} MiB, before {}", peak / MIB, scene.before / MIB);
    scene.others_are_answered().await;
}

/// Requests with large fields of their own, and no message: the fields count too.
#[tokio::test]
async fn own_fields_have_a_bound() {
    let large = "x".repeat(7 * 1024);
    for method in ["grpc.health.v1.Health/Check", "envoy.service.auth.v3.Authorization/Check"] {
        let scene = Scene::new().await;
        let (mut attackers, mut asked) = (Vec::new(), Vec::new());
        for _ in 0..24 {
            let mut attacker = Streams::open(scene.grpc(), 65_535).await.unwrap();
            for _ in 0..256 {
                let fields = [("x-large", &*large)];
                asked.push(attacker.call(method, &fields, unfinished(0), false).await.unwrap());
            }
            attackers.push(attacker);
        }
        assert_eq!(in_time("a refusal", asked.last_mut().unwrap().head()).await, Ok(200), "{method}");
        let peak = scene.stack.peak().unwrap();
        assert!(peak <= scene.before + GROWTH, "{method}: {} MiB, before {}", peak / MIB, scene.before / MIB);
        drop((asked, attackers));
        scene.others_are_answered().await;
    }
}

/// Whoever watches the health holds a place for as long, of which there are few; Checks have theirs.
#[tokio::test]
async fn watchers_of_the_health_are_few() {
    const FAILED: &str =
        "exequatur_grpc_failures_total{service=\"grpc.health.v1.Health\",code=\"ResourceExhausted\"}";
    let scene = Scene::new().await;
    let (mut watchers, mut watched) = (Vec::new(), Vec::new());
    for _ in 0..16 {
        let mut watcher = Streams::open(scene.grpc(), 65_535).await.unwrap();
        for _ in 0..64 {
            let message = Bytes::from_static(&[0; 5]);
            watched.push(watcher.call("grpc.health.v1.Health/Watch", &[], message, true).await.unwrap());
        }
        watchers.push(watcher);
    }
    for one in &mut watched {
        assert_eq!(one.head().await, Ok(200));
    }
    let refused = scene.stack.metric(FAILED).await.unwrap();
    assert!((800..1024).contains(&refused), "{refused}");
    scene.others_are_answered().await;
    drop((watchers, watched));
    in_time("places come free", async {
        let mut client = Streams::open(scene.grpc(), 65_535).await.unwrap();
        loop {
            let before = scene.stack.metric(FAILED).await.unwrap();
            let message = Bytes::from_static(&[0; 5]);
            let mut asked = client.call("grpc.health.v1.Health/Check", &[], message, true).await.unwrap();
            assert_eq!(asked.head().await, Ok(200));
            if scene.stack.metric(FAILED).await.unwrap() == before {
                break;
            }
        }
    })
    .await;
}

/// Answers that nobody takes: a window of 0.
#[tokio::test]
async fn answers_that_are_not_taken_have_a_bound() {
    let scene = Scene::new().await;
    let message = prefixed(&check("GET", "localhost", "/open", &[]));
    let (mut attackers, mut held) = (Vec::new(), Vec::new());
    for round in [8, 24] {
        let mut asked = Vec::new();
        for _ in 0..round {
            let mut attacker = Streams::open(scene.grpc(), 0).await.unwrap();
            for _ in 0..256 {
                asked.push(attacker.ask(&[], message.clone(), true).await.unwrap());
            }
            attackers.push(attacker);
        }
        for one in &mut asked {
            assert_eq!(one.head().await, Ok(200));
        }
        held.extend(asked);
        scene.stays_within(GROWTH);
        if round == 8 {
            // Within the budget, others are answered.
            scene.others_are_answered().await;
        }
    }
    // Beyond it they are refused, whichever way; nothing passes by it.
    let answer = scene.send(&scene.holder.sign(Raw::new("GET", DOCUMENT))).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    drop((attackers, held));
    let again =
        async { while scene.send(&scene.holder.sign(Raw::new("GET", DOCUMENT))).await.status != 200 {} };
    in_time("the budget comes back", again).await;
    scene.others_are_answered().await;
}

/// More streams than were granted are refused one by one.
#[tokio::test]
async fn streams_beyond_the_bound_are_refused() {
    let scene = Scene::new().await;
    let mut attacker = Frames::open(scene.grpc()).await.unwrap();
    let block = check_block();
    for number in 0..300 {
        attacker.write(&frame(Kind::Headers, END_HEADERS, 2 * number + 1, &block)).await.unwrap();
    }
    let mut refused = Vec::new();
    while refused.len() < 300 - 256 {
        let frame = in_time("a refused stream", attacker.next()).await.unwrap();
        if frame.is(Kind::ResetStream) {
            refused.push(frame.stream);
        }
    }
    assert_eq!(refused, (256..300).map(|number| 2 * number + 1).collect::<Vec<_>>());
    scene.others_are_answered().await;
}

/// Streams that are opened and reset at once, by the client or, for a frame that breaks the rules, by the server.
#[tokio::test]
async fn streams_reset_rapidly_end_the_connection() {
    let scene = Scene::new().await;
    let block = check_block();
    let cancel = 8_u32.to_be_bytes();
    for (kind, payload) in [(Kind::ResetStream, cancel), (Kind::WindowUpdate, [0; 4])] {
        let port = scene.grpc();
        let block = block.clone();
        let attack = async move {
            loop {
                let mut attacker = Frames::open(port).await.unwrap();
                let mut streams = (1..).step_by(2);
                // Until the server has closed the connection, or its streams are used up.
                while let Some(stream) = streams.next().filter(|stream| *stream < 200_000_u32) {
                    let both =
                        [frame(Kind::Headers, END_HEADERS, stream, &block), frame(kind, 0, stream, &payload)];
                    if attacker.write(&both.concat()).await.is_err() {
                        break;
                    }
                }
            }
        };
        scene.others_are_answered_while(attack).await;
    }
    let mut attacker = Frames::open(scene.grpc()).await.unwrap();
    let mut both = Vec::new();
    for number in 0..5000 {
        both.extend(frame(Kind::Headers, END_HEADERS, 2 * number + 1, &block));
        both.extend(frame(Kind::WindowUpdate, 0, 2 * number + 1, &[0; 4]));
    }
    let _closed_meanwhile = attacker.write(&both).await;
    in_time("the connection is closed", attacker.closed()).await;
    scene.a_new_client_is_answered().await;
}

/// A header list that never ends, one that is too long, and the smallest frames of all.
#[tokio::test]
async fn header_lists_have_a_bound() {
    let scene = Scene::new().await;
    let port = scene.grpc();
    let part = {
        let mut part = Vec::new();
        while part.len() < MAX_FRAME - 600 {
            field("x-flood", &[b'x'; 500], &mut part);
        }
        part
    };
    let flood = {
        let part = part.clone();
        move |part_of: &'static str| {
            let part = if part_of == "large" { part.clone() } else { Vec::new() };
            async move {
                loop {
                    let mut attacker = Frames::open(port).await.unwrap();
                    let head = frame(Kind::Headers, END_STREAM, 1, &check_block());
                    let mut writes = attacker.write(&head).await;
                    while writes.is_ok() {
                        writes = attacker.write(&frame(Kind::Continuation, 0, 1, &part)).await;
                    }
                }
            }
        }
    };
    scene.others_are_answered_while(flood("large")).await;
    scene.others_are_answered_while(flood("empty")).await;
    // One that ends, after a mebibyte: refused, and the same connection goes on, or is closed.
    let mut attacker = Frames::open(port).await.unwrap();
    let mut bytes = frame(Kind::Headers, END_STREAM, 1, &check_block());
    for _ in 0..64 {
        bytes.extend(frame(Kind::Continuation, 0, 1, &part));
    }
    bytes.extend(frame(Kind::Continuation, END_HEADERS, 1, &[]));
    let _closed_meanwhile = attacker.write(&bytes).await;
    loop {
        match in_time("an end", attacker.next()).await {
            None => break,
            Some(frame) if frame.is(Kind::GoAway) || frame.is(Kind::ResetStream) => break,
            Some(frame) if frame.is(Kind::Headers) => {
                assert_eq!((frame.status(), frame.ends()), (Some(431), true));
                break;
            }
            Some(_) => {}
        }
    }
    scene.a_new_client_is_answered().await;
}

/// Settings and pings that are to be answered, sent without end by a client that reads nothing; and data frames without
/// data.
#[tokio::test]
async fn floods_of_small_frames_are_no_burden() {
    let scene = Scene::new().await;
    let port = scene.grpc();
    let settings = frame(Kind::Settings, 0, 0, &[0, 4, 0, 1, 0, 0]);
    let ping = frame(Kind::Ping, 0, 0, &[7; 8]);
    let data = frame(Kind::Data, 0, 1, &[]);
    let update = frame(Kind::WindowUpdate, 0, 0, &1_u32.to_be_bytes());
    let head = frame(Kind::Headers, END_HEADERS, 1, &check_block());
    for (first, flood) in [(&[][..], settings), (&[], ping), (&head, data), (&[], update)] {
        let (first, flood) = (first.to_vec(), flood.repeat(1000));
        let attack = async move {
            loop {
                let mut attacker = Frames::open(port).await.unwrap();
                let mut writes = attacker.write(&first).await;
                while writes.is_ok() {
                    writes = attacker.write(&flood).await;
                }
            }
        };
        scene.others_are_answered_while(attack).await;
    }
    scene.a_new_client_is_answered().await;
}
