use std::num::NonZeroUsize;
use std::time::Duration;

use exequatur_audit::{Checkpoints, Mode, Sealing};
use exequatur_proto::envoy::config::core::v3::Metadata;
use exequatur_proto::envoy::data::accesslog::v3::{AccessLogCommon, HttpAccessLogEntry};
use exequatur_proto::envoy::service::accesslog::v3::stream_access_logs_message::{
    HttpAccessLogEntries, TcpAccessLogEntries,
};
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use super::*;
use crate::clock;

const ID: &str = "019abc12-3456-7def-8123-456789abcdef";

fn sealing() -> Sealing {
    Sealing { checkpoints: Checkpoints::default(), clock: clock::system() }
}

fn entry(id: &str, verdict: &str) -> Bytes {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let fields = [("decision".to_owned(), text(id)), ("verdict".to_owned(), text(verdict))];
    let ours = Struct { fields: fields.into() }.encode_to_vec();
    let filter_metadata = [("envoy.filters.http.ext_authz".to_owned(), ours.into())].into();
    let metadata = Some(Metadata { filter_metadata });
    let common_properties = Some(AccessLogCommon { metadata, ..AccessLogCommon::default() });
    HttpAccessLogEntry { common_properties, ..HttpAccessLogEntry::default() }.encode_to_vec().into()
}

fn message(log_entry: Vec<Bytes>) -> Bytes {
    let log_entries = Some(LogEntries::HttpLogs(HttpAccessLogEntries { log_entry }));
    StreamAccessLogsMessage { log_entries }.encode_to_vec().into()
}

fn told(outcomes: &Outcomes) -> Vec<(&'static str, u64)> {
    outcomes.results().into_iter().filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn each_entry_is_kept_or_counted_by_what_it_lacked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("decisions.jsonl");
    let queue = NonZeroUsize::new(8).unwrap();
    let recorder = Recorder::open(&file, Mode::Required, queue, sealing()).unwrap();
    let outcomes = Outcomes::new(Some(recorder.clone()), clock::system());
    let entries = vec![
        entry(ID, "permit"),
        entry(ID, "deny"),
        entry("a", "permit"),
        Bytes::new(),
        Bytes::from_static(&[0xff]),
        entry(ID, "permit"),
    ];
    assert!(outcomes.take(message(entries)).is_ok());
    let log_entries = Some(LogEntries::TcpLogs(TcpAccessLogEntries { log_entry: vec![Bytes::new(); 3] }));
    assert!(outcomes.take(StreamAccessLogsMessage { log_entries }.encode_to_vec().into()).is_ok());
    assert!(outcomes.take(Bytes::new()).is_ok());
    assert!(outcomes.take(Bytes::from_static(&[0xff])).is_err());
    recorder.close().await.unwrap();
    let expected =
        [("kept", 2), ("unreadable", 2), ("no_decision", 1), ("not_ours", 1), ("denied", 1), ("not_http", 3)];
    assert_eq!(told(&outcomes), expected);
    // One request that is reported twice has two lines.
    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(
        text.matches(&format!(r#""outcome_of":"{ID}","reached_upstream":false"#)).count(),
        2,
        "{text}"
    );
    // And the chain has its header and its checkpoint.
    assert_eq!(text.lines().count(), 4, "{text}");
}

/// However much is reported, one worker looks at no more than its share, and says how much it was.
#[test]
fn what_is_looked_at_has_a_bound() {
    let outcomes = Outcomes::new(None, clock::system());
    for _ in 0..3 {
        assert!(outcomes.take(message(vec![Bytes::new(); 100_000])).is_ok());
    }
    assert_eq!(told(&outcomes), [("no_records", 300_000)], "nothing is done with these");

    let folder = tempfile::tempdir().unwrap();
    let queue = NonZeroUsize::new(8).unwrap();
    let recorder = Recorder::open(&folder.path().join("r"), Mode::BestEffort, queue, sealing()).unwrap();
    let outcomes = Outcomes::new(Some(recorder), clock::system());
    assert!(outcomes.take(message(vec![Bytes::new(); 5000])).is_ok());
    assert_eq!(told(&outcomes), [("no_decision", 1024), ("too_many", 5000 - 1024)]);
    let begun = monotonic();
    for _ in 0..200 {
        assert!(outcomes.take(message(vec![Bytes::new(); 1000])).is_ok());
    }
    let looked_at = outcomes.results().into_iter().find(|(result, _)| *result == "no_decision").unwrap().1;
    let most = 1024 + u64::from(A_SECOND) * (2 + begun.elapsed().as_secs());
    assert!(looked_at >= 15_000 && looked_at <= most, "{looked_at}");
    // A message that reports nothing costs something too.
    assert!((0..100_000).any(|_| matches!(outcomes.take(Bytes::new()), Ok(false))));
    // Another worker has a share of its own.
    let other = outcomes.of_worker();
    assert!(other.take(message(vec![Bytes::new(); 1000])).is_ok());
    let after = outcomes.results().into_iter().find(|(result, _)| *result == "no_decision").unwrap().1;
    assert!(after >= looked_at + 1000, "{after}");
}

#[test]
fn an_allowance_fills_up_evenly_and_no_further() {
    let begun = monotonic();
    let at = |millis: u64| begun + Duration::from_millis(millis);
    let mut allowance = Allowance::at(begun);
    assert!(allowance.spend(A_SECOND, begun));
    assert!(!allowance.spend(1, begun));
    assert!(allowance.spend(200, at(10)) && !allowance.spend(1, at(10)));
    // A look that comes too early to earn anything takes nothing away.
    for n in 0..100 {
        assert!(!allowance.spend(200, begun + Duration::from_micros(10_000 + 99 * n)), "{n}");
    }
    assert!(allowance.spend(200, at(20)));
    assert!(allowance.spend(A_SECOND, at(100_000)) && !allowance.spend(1, at(100_000)));
    // Time that runs backwards gives nothing.
    assert!(!allowance.spend(1, at(50_000)));
    assert!(allowance.spend(20, at(100_001)));
}
