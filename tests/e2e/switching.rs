//! C-14, C-15: generations that change many times, good and broken in turn, while requests are under way.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use exequatur_tests::{DOCUMENT, Options, Raw, Stack, Version, in_time};
use serde_json::{Value, json};

/// A third of them broken.
const SWITCHES: u64 = 24;

/// What the files say, in two good ways that differ in route, policy and decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// As the stack begins.
    AtFirst,
    Open,
    Closed,
}

impl Means {
    fn other(self) -> Self {
        if self == Self::Open { Self::Closed } else { Self::Open }
    }

    fn status(self) -> u16 {
        if self == Self::Closed { 403 } else { 200 }
    }

    fn route(self) -> &'static str {
        match self {
            Self::AtFirst => "read-document",
            Self::Open => "read-open",
            Self::Closed => "read-closed",
        }
    }

    /// What a record says of it: verdict, route and determining policies.
    fn recorded(self) -> Value {
        let (verdict, policy) =
            if self == Self::Closed { ("deny", "closed") } else { ("permit", "read-with-scope") };
        json!([verdict, self.route(), [policy]])
    }

    /// Configuration and policies as these files were, made to mean this.
    fn write(self, folder: &Path, [configuration, reading]: &[String; 2]) {
        let more = if self == Self::Closed { CLOSED } else { "" };
        let name = format!("name: {}", self.route());
        put(folder, "exequatur.yaml", &configuration.replace("name: read-document", &name));
        put(folder, "policies/reading.cedar", &format!("{reading}{more}"));
    }
}

const CLOSED: &str = r#"
@id("closed")
forbid (principal, action == Action::"ReadDocument", resource);
"#;

/// A file is there as a whole or not at all, as those who deploy should do it too.
fn put(folder: &Path, name: &str, text: &str) {
    let new = folder.join("written");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, folder.join(name)).unwrap();
}

/// One of several mistakes, in turn.
fn spoil(folder: &Path, [configuration, reading]: &[String; 2], turn: u64) {
    match turn % 4 {
        0 => put(folder, "policies/reading.cedar", &reading[..reading.len() / 2]),
        1 => put(folder, "exequatur.yaml", &configuration[..configuration.len() / 2]),
        2 => put(folder, "exequatur.yaml", ""),
        _ => put(folder, "exequatur.yaml", &configuration.replace("ReadDocument", "ReadDocumint")),
    }
}

#[tokio::test]
async fn each_decision_is_that_of_the_generation_it_names() {
    let mut stack = Stack::start(Options {
        own_policies: &["documents.cedarschema", "reading.cedar"],
        terse: true,
        ..Options::default()
    })
    .await
    .unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    let caller = stack.raw(Version::Http1);
    let ask = async || caller.send(&holder.sign(Raw::new("GET", DOCUMENT))).await.unwrap();
    let done = Cell::new(false);
    let denied = RefCell::new(Vec::new());
    let load = async || {
        while !done.get() {
            let answer = ask().await;
            if answer.status != 200 {
                assert_eq!((answer.status, answer.reason().as_str()), (403, "policy_forbid"), "{answer:?}");
                let problem: Value = serde_json::from_str(&answer.body).unwrap();
                denied.borrow_mut().push(problem["decision"].as_str().unwrap().to_owned());
            }
        }
    };
    let switching = async {
        let meant = switch(&stack, async || ask().await.status).await;
        done.set(true);
        meant
    };
    let (meant, ..) =
        in_time("all switches", async { tokio::join!(switching, load(), load(), load()) }).await;
    let seen = stack.upstream.received();
    let permitted = seen.iter().flat_map(|request| request.values("x-exequatur-decision"));
    let answered: BTreeMap<String, &str> = permitted
        .map(|decision| (decision, "permit"))
        .chain(denied.take().into_iter().map(|decision| (decision, "deny")))
        .collect();
    stack.terminate_exequatur().await.unwrap();
    assert_records(&stack.records().await.unwrap(), &meant, &answered);
}

/// Switches to and fro and tells which generation meant what; every third state is broken and is not switched to.
async fn switch(stack: &Stack, ask: impl AsyncFn() -> u16) -> BTreeMap<u64, Means> {
    let folder = stack.folder();
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let files = [text("exequatur.yaml"), text("policies/reading.cedar")];
    let (mut meant, mut means, mut refused) = (BTreeMap::from([(1, Means::AtFirst)]), Means::Closed, 0);
    for turn in 0..SWITCHES {
        let generation = meant.len() as u64;
        if turn % 3 == 2 {
            spoil(folder, &files, turn / 3);
            stack.signal_exequatur("HUP").await.unwrap();
            refused += 1;
            let line = format!("exequatur_reloads_total{{outcome=\"refused\"}} {refused}");
            stack.wait_for_metric(&line).await.unwrap();
            // The last good one is in force, and answers.
            assert_eq!(stack.metric("exequatur_generation").await.unwrap(), generation, "{turn}");
            assert_eq!(ask().await, meant[&generation].status(), "{turn}");
        } else {
            means.write(folder, &files);
            meant.insert(generation + 1, means);
            means = means.other();
            stack.signal_exequatur("HUP").await.unwrap();
            stack.wait_for_metric(&format!("exequatur_generation {}", generation + 1)).await.unwrap();
        }
    }
    meant
}

/// Each record says what its generation means, and each answer that somebody got is on record.
fn assert_records(records: &[Value], meant: &BTreeMap<u64, Means>, answered: &BTreeMap<String, &str>) {
    let mut sets = BTreeMap::new();
    let (mut generations, mut found) = (BTreeSet::new(), 0);
    for record in records.iter().filter(|record| record["route"] != "read-sealed-document") {
        let generation = record["generation"].as_u64().unwrap();
        let means = meant[&generation];
        generations.insert(generation);
        assert_eq!(
            json!([record["verdict"], record["route"], record["policy"]["ids"]]),
            means.recorded(),
            "{record}"
        );
        let set = sets.entry(means.route()).or_insert_with(|| record["policy"]["set_hash"].clone());
        assert_eq!(*set, record["policy"]["set_hash"], "{record}");
        if let Some(verdict) = answered.get(record["decision"].as_str().unwrap()) {
            assert_eq!(record["verdict"], *verdict, "{record}");
            found += 1;
        }
    }
    assert_eq!(found, answered.len());
    assert!(found > 100, "{found} answers are few");
    // Hardly any was over before somebody asked.
    assert!(generations.len() * 2 > meant.len(), "{generations:?} of {}", meant.len());
    assert_ne!(sets[Means::Open.route()], sets[Means::Closed.route()]);
}
