//! The record file: whatever it ended with and whatever the record says, the record is one line of JSON of
//! its own that says the same.
//!
//! The input's first byte says how many of the following bytes are in the file already.

use std::num::NonZeroUsize;
use std::sync::Arc;

use exequatur_audit::{Checkpoints, Mode, Record, Recorder, Resource, Sealing, Text, Verdict};
use serde_json::Value;

use super::signed::now;

/// The laws.
pub fn run(data: &[u8]) {
    let Some((length, rest)) = data.split_first() else { return };
    let (before, text) = rest.split_at(rest.len().min(usize::from(*length)));
    let Ok(text) = str::from_utf8(text) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("decisions.jsonl");
    std::fs::write(&path, before).expect("a file");
    keep(&path, &record(text));
    let after = std::fs::read(&path).expect("the file");
    let mut added = after.strip_prefix(before).expect("what was there stays");
    if !before.is_empty() && !before.ends_with(b"\n") {
        added = added.strip_prefix(b"\n").expect("a line of its own");
    }
    let lines: Vec<&[u8]> =
        added.strip_suffix(b"\n").expect("a whole line").split(|&byte| byte == b'\n').collect();
    // Around it are the header and the checkpoint of the chain.
    let [header, line, checkpoint] = lines.as_slice() else { panic!("{} lines", lines.len()) };
    for (of_the_chain, name) in [(header, "open"), (checkpoint, "checkpoint")] {
        let value: Value = serde_json::from_slice(of_the_chain).expect("JSON");
        assert!(value.get(name).is_some_and(Value::is_object), "no {name}");
    }
    let value: Value = serde_json::from_slice(line).expect("JSON");
    let kept = Text::from(text);
    for field in
        [&value["method"], &value["host"], &value["route"], &value["resource"]["id"], &value["actors"][0]]
    {
        assert_eq!(field.as_str(), Some(kept.as_str()));
    }
    assert!(kept.as_str() == text || (kept.as_str().ends_with('…') && text.chars().count() > 256));
}

fn record(text: &str) -> Record<'_> {
    let mut record = Record::new(now(), "0000".into(), Verdict::Deny, "policy_forbid".into(), 403);
    record.method = Some(text.into());
    record.host = Some(text.into());
    record.route = Some(text.into());
    record.actors = vec![text.into()];
    record.resource = Some(Resource { kind: text.into(), id: text.into(), tenant: None });
    record
}

fn keep(path: &std::path::Path, record: &Record<'_>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let queue = NonZeroUsize::new(4).expect("not zero");
    let sealing = Sealing { checkpoints: Checkpoints::default(), clock: Arc::new(now) };
    let recorder = Recorder::open(path, Mode::Required, queue, sealing).expect("a recorder");
    runtime.block_on(async {
        recorder.record(record).await.expect("recorded");
        recorder.close().await.expect("closed");
    });
}
