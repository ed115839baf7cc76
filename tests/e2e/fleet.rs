//! Issue 5, point 2: what an order and `status` tell of each replica.

use exequatur_tests::orders::{Said, command_at, with_orders};
use exequatur_tests::redis::Kind;
use exequatur_tests::{Options, Stack, in_time};
use serde_json::{Value, json};

/// Two replicas that are called `first` and `second`, and take orders.
fn two(kind: Kind) -> Options {
    let mut options = with_orders(Options::shared(kind));
    options.exequatur.push(("policies:", "replica: { name: first }\npolicies:"));
    options
}

fn names(done: &Value) -> Vec<(&str, Option<u64>)> {
    let replicas = done["replicas"].as_array().unwrap().iter();
    replicas.map(|one| (one["name"].as_str().unwrap(), one["after_ms"].as_u64())).collect()
}

/// D-07: which replica had the order when, and which did not answer: one that hangs is waited for a second, and named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_tells_which_replica_had_it_and_which_did_not_answer() {
    let stack = Stack::start(two(Kind::Newest)).await.unwrap();
    let words = ["revoke", "agent", "corp:crm-bot", "--reason", "a test"];
    let said =
        command_at(&stack, "second.sock", &[&words[..], &["--output", "json"]].concat()).await.unwrap();
    let done = said.json().unwrap();
    let [("first", Some(one)), ("second", Some(other))] = names(&done)[..] else { panic!("{done}") };
    assert!(one < 1000 && other < 1000, "{done}");

    stack.signal_exequatur("STOP").await.unwrap();
    let words = ["revoke", "user", "corp:alice", "--reason", "a test"];
    let said = command_at(&stack, "second.sock", &words).await.unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines: Vec<_> = said.out.lines().collect();
    let [head, _columns, first, second] = lines[..] else { panic!("{said:?}") };
    assert_eq!(head, "revoked user corp:alice");
    assert!(first.starts_with("first ") && first.ends_with("did not answer in time"), "{said:?}");
    assert!(second.starts_with("second ") && second.ends_with(" ms"), "{said:?}");
    assert!(said.err.contains("1 replicas have not said yet"), "{said:?}");
    stack.signal_exequatur("CONT").await.unwrap();
}

/// What `status` says at a socket of the stack: its exit code and its JSON.
async fn status(stack: &Stack, socket: &str) -> (Option<i32>, Value) {
    let Said { code, out, err } = command_at(stack, socket, &["status", "--output", "json"]).await.unwrap();
    let said = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out} {err}"));
    (code, said)
}

/// Asks until it says so.
async fn until(stack: &Stack, socket: &str, holds: impl Fn(&Value) -> bool) -> (Option<i32>, Value) {
    in_time("status", async {
        loop {
            let (code, said) = status(stack, socket).await;
            if holds(&said) {
                return (code, said);
            }
        }
    })
    .await
}

fn findings(said: &Value) -> Vec<(&str, &str)> {
    let name = |id: &Value| {
        let replicas = said["replicas"].as_array().unwrap();
        replicas.iter().find(|replica| replica["id"] == *id).and_then(|replica| replica["name"].as_str())
    };
    let all = said["findings"].as_array().unwrap().iter();
    all.map(|one| (one["finding"].as_str().unwrap(), name(&one["replica"]).unwrap_or(""))).collect()
}

/// C-14, D-07: each replica says how it is, whichever is asked; one whose reload was refused, one that decides by other files, one that
/// hangs, and a store that is away are found, and are the exit code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_tells_of_all_replicas_and_what_is_wrong() {
    let mut options = two(Kind::Newest);
    options.own_policies = &["documents.cedarschema", "reading.cedar", "isolation.cedar"];
    let mut stack = Stack::start(options).await.unwrap();
    let both = |said: &Value| {
        let replicas = said["replicas"].as_array().unwrap();
        replicas.len() == 2 && replicas.iter().all(|replica| replica["report"]["state"] == "ready")
    };
    for (socket, names) in [("admin.sock", ["first", "second"]), ("second.sock", ["second", "first"])] {
        let (code, said) = until(&stack, socket, |said| both(said) && said["findings"] == json!([])).await;
        assert_eq!(code, Some(0), "{said}");
        assert_eq!([0, 1].map(|n| said["replicas"][n]["name"].as_str().unwrap()), names);
        let [one, other] = [0, 1].map(|n| &said["replicas"][n]["report"]["generation"]);
        assert_eq!((&one["policies"], &one["number"]), (&other["policies"], &json!(1)), "{said}");
        let report = &said["replicas"][1]["report"];
        assert_eq!(
            (&report["store"]["kind"], &report["issuers"][0]["name"]),
            (&json!("redis"), &json!("corp"))
        );
        assert!(report["issuers"][0]["age_s"].is_u64() && said["replicas"][1]["lag"] == 0, "{said}");
    }
    let shown = command_at(&stack, "admin.sock", &["status"]).await.unwrap();
    assert!(shown.out.starts_with("REPLICA") && shown.out.ends_with("all is well\n"), "{shown:?}");

    // Both read one folder; the first has another configuration from now on, the second a broken one.
    let write = |name: &str, more: &str| {
        let file = stack.folder().join(name);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{text}{more}")).unwrap();
        text
    };
    let more = "limits: [{ name: more, per: agent, rate: 1000/s }]\n";
    let [before, _] = [write("exequatur.yaml", more), write("second.yaml", "unheard_of: 1\n")];
    let wrong = |said: &Value| {
        let found = findings(said);
        found.contains(&("reload_failed", "second")) && found.contains(&("generations_differ", ""))
    };
    let (code, said) = until(&stack, "admin.sock", wrong).await;
    assert_eq!(
        (code, &said["replicas"][0]["report"]["generation"]["number"]),
        (Some(1), &json!(2)),
        "{said}"
    );
    let told = said["replicas"][1]["report"]["failed_reload"]["error"].as_str().unwrap();
    assert!(told.starts_with("second.yaml:") && told.contains("unheard_of"), "{told}");
    std::fs::write(stack.folder().join("exequatur.yaml"), before).unwrap();

    // One that hangs.
    stack.signal_exequatur("STOP").await.unwrap();
    let (code, said) =
        until(&stack, "second.sock", |said| findings(said).contains(&("silent", "first"))).await;
    assert_eq!(code, Some(1), "{said}");
    stack.signal_exequatur("CONT").await.unwrap();

    // Without the store what was heard last is told as such, of both.
    stack.redis().kill().unwrap();
    let gone = |said: &Value| {
        let found = findings(said);
        found.contains(&("store_not_asked", "")) && found.contains(&("store_unavailable", "second"))
    };
    let (code, said) = until(&stack, "second.sock", gone).await;
    assert_eq!(
        (code, &said["current"], said["replicas"].as_array().unwrap().len()),
        (Some(1), &json!(false), 2)
    );
    assert_eq!(said["replicas"][1]["name"], "first");
}

/// One replica alone says how it is too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_replica_alone_is_told_of() {
    let stack = Stack::start(with_orders(Options::default())).await.unwrap();
    let (code, said) = until(&stack, "admin.sock", |said| said["findings"] == json!([])).await;
    assert_eq!((code, said["replicas"].as_array().unwrap().len()), (Some(0), 1), "{said}");
    assert_eq!(said["replicas"][0]["report"]["store"], json!({ "kind": "embedded", "error": null }));
    assert!(said["replicas"][0]["name"].is_string(), "by the host's name: {said}");
}
