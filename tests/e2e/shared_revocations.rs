//! Orders to one of two replicas that share a real Redis, obeyed by both, whatever is restarted; and what becomes of callers
//! whose replicas hear of no orders any more.

use std::time::{Duration, Instant};

use exequatur_tests::orders::{command_at, with_orders};
use exequatur_tests::redis::Kind;
use exequatur_tests::{Agent, Call, DOCUMENT, Options, Stack, in_time};
use serde_json::{Value, json};

const SOCKETS: [&str; 2] = ["admin.sock", "second.sock"];
/// Envoy asks one replica after the other.
const EACH: usize = 4;

async fn order(stack: &Stack, socket: &str, words: &[&str]) -> Value {
    let words: Vec<_> = words.iter().copied().chain(["--reason", "a test", "--output", "json"]).collect();
    command_at(stack, socket, &words).await.unwrap().json().unwrap()
}

/// The silence and reasons of calls to each replica, if they are the same.
async fn called(stack: &Stack, agent: &Agent, token: &str) -> Option<(u16, String)> {
    let url = stack.url(DOCUMENT);
    let mut said = None;
    for _ in 0..EACH {
        let answer = stack.call(agent, token, &Call::new("GET", &url)).await.unwrap();
        let now = (answer.status, answer.reason);
        if said.as_ref().is_some_and(|before| *before != now) {
            return None;
        }
        said = Some(now);
    }
    said
}

fn revoked() -> Option<(u16, String)> {
    Some((401, "agent_revoked".to_owned()))
}

fn passed() -> Option<(u16, String)> {
    Some((200, String::new()))
}

/// Decisions that each replica has recorded.
async fn recorded(stack: &Stack) -> [usize; 2] {
    let decisions =
        |records: Vec<Value>| records.iter().filter(|record| record["decision"].is_string()).count();
    [decisions(stack.records().await.unwrap()), decisions(stack.records_of_second().await.unwrap())]
}

/// D-06, C-09, C-28: what is ordered at one replica is obeyed by both from the answer on, whichever it was, and is taken back
/// for both; it outlives each of them, and Redis, which comes back without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_to_one_replica_is_obeyed_by_all() {
    for kind in Kind::ALL {
        let mut stack = Stack::start(with_orders(Options::shared(kind))).await.unwrap();
        let agent = Agent::new();
        let token = stack.tokens.token(&agent, &Value::Null);
        let agent_named = ["revoke", "agent", "corp:crm-bot"];
        let undo = ["revoke", "undo", "agent", "corp:crm-bot"];
        for (to, other) in [(SOCKETS[0], SOCKETS[1]), (SOCKETS[1], SOCKETS[0])] {
            assert_eq!(called(&stack, &agent, &token).await, passed(), "{kind:?} {to}");
            let done = order(&stack, to, &agent_named).await;
            assert_eq!((&done["changed"], &done["kept"]), (&json!(true), &json!("shared")), "{done}");
            assert_eq!(done["behind"].as_u64().unwrap_or(0), 0, "{done}");
            assert_eq!(called(&stack, &agent, &token).await, revoked(), "{kind:?} {to}");
            assert_eq!(order(&stack, other, &agent_named).await["changed"], false);
            // Another's name changes nothing.
            assert_eq!(
                order(&stack, other, &["revoke", "undo", "agent", "corp:crm-bo"]).await["changed"],
                false
            );
            assert_eq!(called(&stack, &agent, &token).await, revoked(), "{kind:?} {to}");
            assert_eq!(order(&stack, other, &undo).await["changed"], true);
        }
        assert_eq!(called(&stack, &agent, &token).await, passed(), "{kind:?}");
        assert!(
            recorded(&stack).await.iter().all(|decisions| *decisions >= EACH),
            "{:?}",
            recorded(&stack).await
        );

        order(&stack, SOCKETS[0], &agent_named).await;
        stack.restart_exequatur().await.unwrap();
        stack.restart_second().await.unwrap();
        assert_eq!(called(&stack, &agent, &token).await, revoked(), "{kind:?}: both restarted");

        stack.redis().kill().unwrap();
        assert_eq!(called(&stack, &agent, &token).await, revoked(), "{kind:?}: without Redis");
        stack.redis().start_again().unwrap();
        let listed = ["revoke", "list", "--output", "json"];
        in_time("what Redis has lost is said again", async {
            loop {
                assert_eq!(called(&stack, &agent, &token).await, revoked(), "{kind:?}: Redis restarted");
                let said = command_at(&stack, SOCKETS[1], &listed).await.unwrap();
                if said
                    .json()
                    .is_ok_and(|list| list["revocations"].as_array().is_some_and(|all| all.len() == 1))
                {
                    return;
                }
            }
        })
        .await;
        stack.restart_second().await.unwrap();
        stack.restart_exequatur().await.unwrap();
        assert_eq!(called(&stack, &agent, &token).await, revoked(), "{kind:?}: all restarted");
        assert_eq!(order(&stack, SOCKETS[1], &undo).await["changed"], true);
        assert_eq!(called(&stack, &agent, &token).await, passed(), "{kind:?}: undone");
    }
}

/// C-09: a replica that starts right after Redis has lost everything waits until it was said again, and permits nobody meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_starts_after_a_loss_waits_for_what_was_lost() {
    let mut stack = Stack::start(with_orders(Options::shared(Kind::Newest))).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    for round in 0..3 {
        order(&stack, SOCKETS[0], &["revoke", "agent", "corp:crm-bot"]).await;
        assert_eq!(called(&stack, &agent, &token).await, revoked(), "{round}");
        stack.redis().say(&["FLUSHALL"]).unwrap();
        stack.restart_second().await.unwrap();
        for _ in 0..10 {
            assert_eq!(called(&stack, &agent, &token).await, revoked(), "{round}: it came after the loss");
        }
        order(&stack, SOCKETS[1], &["revoke", "undo", "agent", "corp:crm-bot"]).await;
        assert_eq!(called(&stack, &agent, &token).await, passed(), "{round}");
    }
}

/// D-07: a replica that hears nothing goes on until `max_staleness` and denies then, with a reason of its own, until it hears
/// again.
#[tokio::test]
async fn a_replica_that_hears_nothing_denies_after_a_while() {
    let stale = ("timeout: 2s } }", "timeout: 2s, max_staleness: 2s } }");
    let (silence, degraded) = silent(stale).await;
    assert!(silence.denied_after >= Duration::from_millis(500), "{silence:?}");
    assert!(silence.permitted_until <= Duration::from_secs(2), "{silence:?}");
    assert_eq!(degraded, 0);
}

/// The same where it is told to go on for a while: until `degrade_for`, and each record says so.
#[tokio::test]
async fn a_replica_that_may_goes_on_for_a_bounded_time() {
    let stale = ("timeout: 2s } }", "timeout: 2s, max_staleness: 2s, stale: degrade, degrade_for: 5s } }");
    let (silence, degraded) = silent(stale).await;
    assert!(silence.denied_after >= Duration::from_millis(3500), "{silence:?}");
    assert!(silence.permitted_until <= Duration::from_secs(5), "{silence:?}");
    assert!(degraded > 0);
}

/// What came of calls with a bearer token after the end of Redis: permits, and then denials.
#[derive(Debug)]
struct Silence {
    /// From the end of Redis until the first denial.
    denied_after: Duration,
    /// From the end of Redis until the begin of the last call that was permitted.
    permitted_until: Duration,
}

/// Kills Redis under calls, until all are denied; starts it again, until all pass. Gives how many records say `degraded` too.
async fn silent(staleness: (&'static str, &'static str)) -> (Silence, usize) {
    let mut options = Options::shared(Kind::Newest);
    options.exequatur =
        vec![("require: any", "require: none"), ("    sender_constraint: dpop\n", ""), staleness];
    let mut stack = Stack::start(options).await.unwrap();
    let bearer = format!("Bearer {}", stack.tokens.token(&Agent::new(), &json!({ "cnf": null })));
    assert_eq!(with_bearer(&stack, &bearer).await, (200, String::new()));
    stack.redis().kill().unwrap();
    let killed = Instant::now();
    let (mut first, mut permitted_until) = (None, Duration::ZERO);
    in_time("both replicas deny", async {
        let mut denied = 0;
        while denied < EACH {
            let begun = killed.elapsed();
            match with_bearer(&stack, &bearer).await {
                (200, _) => (denied, permitted_until) = (0, begun),
                (503, reason) => {
                    assert_eq!(reason, "state_stale");
                    first.get_or_insert_with(|| killed.elapsed());
                    denied += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    stack.redis().start_again().unwrap();
    in_time("both replicas go on", async {
        let mut permitted = 0;
        while permitted < EACH {
            let (status, _) = with_bearer(&stack, &bearer).await;
            permitted = if status == 200 { permitted + 1 } else { 0 };
        }
    })
    .await;
    let records = [stack.records().await.unwrap(), stack.records_of_second().await.unwrap()].concat();
    let (degraded, others): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| record["controls"]["revocation"] == "degraded");
    assert!(degraded.iter().all(|record| record["degraded"] == json!(["revocations_stale"])), "{degraded:?}");
    assert!(others.iter().all(|record| record.get("degraded").is_none()), "{others:?}");
    let degraded = degraded.len();
    (Silence { denied_after: first.unwrap(), permitted_until }, degraded)
}

async fn with_bearer(stack: &Stack, bearer: &str) -> (u16, String) {
    let answer = stack.send(&Call::new("GET", &stack.url(DOCUMENT)), Some(bearer), None).await.unwrap();
    (answer.status, answer.reason)
}
