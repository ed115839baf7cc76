//! L06, L07: what sinks get in the forms of OCSF and ECS is what the published schemas say.

use std::path::Path;

use exequatur_tests::orders::{order, with_orders};
use exequatur_tests::{DOCUMENT, OPEN, Options, Raw, Stack, Version, in_time};
use serde_json::Value;

#[path = "../../crates/audit/tests/formats/schema.rs"]
mod schema;

const RECORDS: &str = "records: { file: ./decisions.jsonl, mode: best_effort }";
const SINKS: &str = "records: { file: ./decisions.jsonl, mode: best_effort, sinks: [ { name: ocsf, format: ocsf, file: ./ocsf.jsonl }, { name: ecs, format: ecs, file: ./ecs.jsonl } ] }";

fn lines(folder: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Permits and their outcomes, denials of several stages, an order: each line of the file has its line in each form, valid, in the same
/// order, and names its place in the file.
#[tokio::test]
async fn what_sinks_get_is_valid() {
    let options = Options { exequatur: vec![(RECORDS, SINKS)], ..Options::default() };
    let mut stack = Stack::start(with_orders(options)).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    let document = |method| Raw::new(method, DOCUMENT);
    let permitted = holder.sign(document("GET"));
    order(&stack, &["revoke", "user", "corp:mallory"]).await.unwrap();
    for (request, status) in [
        (permitted.clone(), 200),
        (permitted, 401),
        (document("GET"), 401),
        (holder.sign(Raw::new("GET", "/nowhere")), 403),
        (Raw::new("GET", OPEN), 200),
    ] {
        let answer = stack.raw(Version::Http1).send(&request).await.unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
    }
    in_time("outcomes", async {
        while stack.outcomes().unwrap().len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    stack.terminate_exequatur().await.unwrap();

    let own = lines(stack.folder(), "decisions.jsonl");
    let (events, documents) = (lines(stack.folder(), "ocsf.jsonl"), lines(stack.folder(), "ecs.jsonl"));
    assert_eq!((own.len(), own.len()), (events.len(), documents.len()));
    let (ocsf, ecs) = (schema::Ocsf::new(), schema::Ecs::new());
    for ((own, event), document) in own.iter().zip(&events).zip(&documents) {
        assert_eq!(ocsf.findings(event), [""; 0], "{event:#}");
        assert_eq!(ecs.findings(document), [""; 0], "{document:#}");
        for chain in [&event["unmapped"]["chain"], &document["exequatur"]["chain"]] {
            assert_eq!((&chain["seq"], &chain["hash"]), (&own["seq"], &own["hash"]));
            assert_eq!(chain["writer"], events[0]["unmapped"]["open"]["writer"]);
        }
    }
    let mut classes: Vec<_> = events.iter().map(|event| event["class_uid"].as_u64().unwrap()).collect();
    classes.sort_unstable();
    classes.dedup();
    assert_eq!(classes, [3002, 3004, 4002, 6002, 6003]);
}
