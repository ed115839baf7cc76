//! C-21: lines of records go on to sinks, which nobody waits for, and what a sink does not take is counted and told to it.

use exequatur_tests::{DOCUMENT, Options, Raw, Stack, Version, in_time};
use serde_json::Value;
use tokio::net::UnixDatagram;

const RECORDS: &str = "records: { file: ./decisions.jsonl, mode: best_effort }";

async fn permitted(stack: &Stack, times: usize) {
    let holder = stack.holder(&Value::Null).await.unwrap();
    for _ in 0..times {
        let answer = stack.raw(Version::Http1).send(&holder.sign(Raw::new("GET", DOCUMENT))).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// A file and a syslog receiver get each line of the record file, byte for byte; a file that has no room for any is told of nothing, and
/// counted.
#[tokio::test]
async fn each_line_goes_to_each_sink() {
    let folder = tempfile::tempdir().unwrap();
    let (copy, socket) = (folder.path().join("copy.jsonl"), folder.path().join("log"));
    let receiver = UnixDatagram::bind(&socket).unwrap();
    let sinks = format!(
        "records: {{ file: ./decisions.jsonl, mode: required, sinks: [ {{ name: copy, file: {} }}, {{ name: siem, syslog: {{ address: \"unix:{}\" }} }}, {{ name: full, file: /dev/full, queue: 1 }} ] }}",
        copy.display(),
        socket.display()
    );
    let options = Options { exequatur: vec![(RECORDS, sinks.leak())], ..Options::default() };
    let mut stack = Stack::start(options).await.unwrap();
    permitted(&stack, 5).await;
    in_time("the full one is counted", async {
        while stack.metric("exequatur_record_sink_gaps_total{sink=\"full\"}").await.unwrap() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(stack.metric("exequatur_record_sink_gaps_total{sink=\"copy\"}").await.unwrap(), 0);
    stack.wait_for_metric("exequatur_record_sink_up{sink=\"full\"} 0").await.unwrap();
    stack.wait_for_metric("exequatur_record_sink_up{sink=\"copy\"} 1").await.unwrap();
    stack.logged("a sink of the records fails").await;
    stack.terminate_exequatur().await.unwrap();

    let file = stack.record_file().unwrap();
    assert_eq!(std::fs::read_to_string(copy).unwrap(), file);
    for line in file.lines() {
        let mut message = vec![0; 65_536];
        let length = receiver.try_recv(&mut message).unwrap();
        let message = std::str::from_utf8(&message[..length]).unwrap();
        assert!(message.starts_with("<13"), "{message}");
        assert!(message.ends_with(&format!("\"] {line}")), "{message}");
    }
}
