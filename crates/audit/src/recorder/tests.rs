mod chain;
mod faults;

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::PathBuf;

use tokio::task::JoinSet;

use super::*;
use crate::record::Verdict;
use crate::text::Text;

const QUEUE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(999);

fn record(n: usize) -> Record<'static> {
    let time = "2026-11-22T10:11:12Z".parse().unwrap();
    Record::new(time, Text::from(format!("d{n}")), Verdict::Deny, Text::from("policy_forbid"), 403)
}

fn path(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("decisions.jsonl")
}

fn sealing() -> Sealing {
    let now = "2026-11-22T10:11:12Z".parse().unwrap();
    Sealing { checkpoints: Checkpoints::default(), clock: Arc::new(move || now) }
}

fn open(path: &Path, mode: Mode) -> Recorder {
    Recorder::open(path, mode, QUEUE, sealing()).unwrap()
}

/// Each line's decision, or the number of missing ones. Not what holds the chain together.
fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|value| value.get("open").is_none() && value.get("checkpoint").is_none())
        .map(|value| {
            assert_eq!(value["v"], 1);
            assert_eq!(value["time"], "2026-11-22T10:11:12.000Z");
            value["decision"].as_str().map_or_else(|| format!("gap {}", value["gap"]), str::to_owned)
        })
        .collect()
}

/// A recorder whose file takes nothing until it is reopened.
fn over_a_full_disk(path: &Path, mode: Mode) -> Recorder {
    let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
    let file = (Journal::over(full).unwrap(), path.to_owned());
    Recorder::over(Some(file), mode, QUEUE, sealing(), Vec::new()).unwrap()
}

/// A recorder of which nobody takes the records, and the end where they arrive.
fn without_writer(mode: Mode, queue: usize) -> (Recorder, mpsc::Receiver<Order>) {
    let (orders, ordered) = mpsc::channel(queue);
    (
        Recorder {
            mode,
            orders,
            gaps: Arc::default(),
            outcomes: Arc::default(),
            progress: Arc::default(),
            sinks: Arc::default(),
            thread: Arc::default(),
        },
        ordered,
    )
}

fn writer(recorder: &Recorder, journal: Journal, path: &Path) -> Writer {
    let Recorder { mode, gaps, outcomes, progress, sinks, .. } = recorder.clone();
    let Sealing { checkpoints, clock } = sealing();
    let file = Some((journal, path.to_owned()));
    Writer::begin(WriterParts { file, sinks, mode, gaps, outcomes, progress, checkpoints, clock }).unwrap()
}

fn begin(recorder: &Recorder, writer: Writer, ordered: mpsc::Receiver<Order>) {
    *recorder.thread.lock().unwrap() = Some(std::thread::spawn(move || writer.run(ordered)));
}

#[tokio::test]
async fn a_required_record_is_in_the_file_when_it_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = open(&path(&folder), Mode::Required);
    for n in 0..3 {
        recorder.record(&record(n)).await.unwrap();
        assert_eq!(lines(&path(&folder)).last(), Some(&format!("d{n}")));
    }
    recorder.close().await.unwrap();
    assert_eq!((lines(&path(&folder)).len(), recorder.gaps()), (3, 0));
}

#[tokio::test]
async fn many_required_records_at_once_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, ordered) = without_writer(Mode::Required, 500);
    let mut waiting = JoinSet::new();
    for n in 0..500 {
        let recorder = recorder.clone();
        waiting.spawn(async move { recorder.record(&record(n)).await });
    }
    // All have handed in theirs before the first one is written, so that many wait for one writing.
    while recorder.orders.capacity() > 0 {
        tokio::task::yield_now().await;
    }
    let journal = Journal::open(&path(&folder)).unwrap();
    begin(&recorder, writer(&recorder, journal, &path(&folder)), ordered);
    for outcome in waiting.join_all().await {
        outcome.unwrap();
    }
    recorder.close().await.unwrap();
    let path = folder.path().join("decisions.jsonl");
    assert_eq!(lines(&path), (0..500).map(|n| format!("d{n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn closing_writes_what_waits_and_refuses_what_comes() {
    for mode in [Mode::BestEffort, Mode::Required] {
        let folder = tempfile::tempdir().unwrap();
        let recorder = open(&path(&folder), Mode::BestEffort);
        for n in 0..900 {
            recorder.record(&record(n)).await.unwrap();
        }
        recorder.close().await.unwrap();
        assert_eq!((lines(&path(&folder)).len(), recorder.gaps()), (900, 0));
        assert_eq!(recorder.close().await, Err(AuditError::Closed));

        let recorder = Recorder { mode, ..recorder };
        let refused = recorder.record(&record(0)).await;
        assert_eq!(refused.is_ok(), mode == Mode::BestEffort, "{mode:?}");
        assert_eq!(recorder.gaps(), 1, "{mode:?}");
    }
}

/// C-21: full disk, best effort: counted, and told where the records go on.
#[tokio::test]
async fn a_gap_is_told_before_the_next_record() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = over_a_full_disk(&path(&folder), Mode::BestEffort);
    for n in 0..3 {
        recorder.record(&record(n)).await.unwrap();
    }
    recorder.reopen().await.unwrap();
    assert_eq!(recorder.gaps(), 3);
    recorder.record(&record(3)).await.unwrap();
    recorder.record(&record(4)).await.unwrap();
    recorder.close().await.unwrap();
    assert_eq!(lines(&path(&folder)), ["gap 3", "d3", "d4"]);
    assert_eq!(recorder.gaps(), 3, "told, not forgotten");
}

#[tokio::test]
async fn a_gap_at_the_end_is_told_too() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = over_a_full_disk(&path(&folder), Mode::BestEffort);
    recorder.record(&record(0)).await.unwrap();
    recorder.reopen().await.unwrap();
    recorder.close().await.unwrap();
    assert_eq!(lines(&path(&folder)), ["gap 1"]);
}

/// C-21: full disk, required: no evidence, so nothing can be permitted.
#[tokio::test]
async fn a_required_record_that_cannot_be_kept_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = over_a_full_disk(&path(&folder), Mode::Required);
    assert_eq!(recorder.record(&record(0)).await, Err(AuditError::Write(ErrorKind::StorageFull)));
    recorder.reopen().await.unwrap();
    assert!(recorder.record(&record(1)).await.is_ok());
    assert_eq!(lines(&path(&folder)), ["gap 1", "d1"]);
}

#[tokio::test]
async fn a_full_queue_counts_or_refuses_and_never_waits() {
    let (recorder, mut ordered) = without_writer(Mode::BestEffort, 1);
    for n in 0..3 {
        assert!(recorder.record(&record(n)).await.is_ok());
    }
    assert_eq!(recorder.gaps(), 2);
    assert!(matches!(ordered.try_recv(), Ok(Order::Write(kept, None)) if kept.says(r#""decision":"d0""#)));

    let (recorder, ordered) = without_writer(Mode::Required, 1);
    recorder.orders.try_send(Order::Write(Line::of(&record(0)).unwrap(), None)).unwrap();
    assert_eq!(recorder.record(&record(1)).await, Err(AuditError::QueueFull));
    drop(ordered);
    assert_eq!(recorder.record(&record(2)).await, Err(AuditError::Closed));
}

/// A writer that dies answers nobody; that must not look like success, nor like waiting.
#[tokio::test]
async fn a_dead_writer_is_an_error() {
    let (recorder, mut ordered) = without_writer(Mode::Required, 1);
    let record = record(0);
    let (outcome, ()) = tokio::join!(recorder.record(&record), async {
        drop(ordered.recv().await);
    });
    assert_eq!(outcome, Err(AuditError::Closed));
}

#[tokio::test]
async fn a_moved_file_is_followed_by_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = open(&path(&folder), Mode::BestEffort);
    recorder.record(&record(0)).await.unwrap();
    recorder.reopen().await.unwrap();
    recorder.record(&record(1)).await.unwrap();
    let old = folder.path().join("decisions.1.jsonl");
    std::fs::rename(path(&folder), &old).unwrap();
    recorder.reopen().await.unwrap();
    recorder.record(&record(2)).await.unwrap();
    recorder.close().await.unwrap();
    assert_eq!(lines(&old), ["d0", "d1"]);
    assert_eq!(lines(&path(&folder)), ["d2"]);
}

#[tokio::test]
async fn a_path_that_is_of_no_use_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = open(&path(&folder), Mode::Required);
    let old = folder.path().join("decisions.1.jsonl");
    std::fs::rename(path(&folder), &old).unwrap();
    std::fs::create_dir(path(&folder)).unwrap();
    assert_eq!(recorder.reopen().await, Err(AuditError::Open(ErrorKind::IsADirectory)));
    recorder.record(&record(0)).await.unwrap();
    assert_eq!(lines(&old), ["d0"]);
}

/// Nobody calls `close` when a start fails halfway; what was handed in is written nevertheless.
#[tokio::test]
async fn a_dropped_recorder_writes_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = open(&path(&folder), Mode::BestEffort);
    for n in 0..900 {
        recorder.record(&record(n)).await.unwrap();
    }
    let thread = recorder.thread.lock().unwrap().take().unwrap();
    drop(recorder);
    thread.join().unwrap();
    assert_eq!(lines(&path(&folder)).len(), 900);
}

#[test]
fn required_records_need_a_file() {
    assert_eq!(
        Recorder::open(Path::new("/dev/null"), Mode::Required, QUEUE, sealing()).err(),
        Some(AuditError::NotAFile)
    );
    assert!(Recorder::open(Path::new("/dev/null"), Mode::BestEffort, QUEUE, sealing()).is_ok());
}

fn outcome(n: usize) -> Outcome<'static> {
    Outcome::new("2026-11-22T10:11:13Z".parse().unwrap(), Text::from(format!("d{n}")))
}

/// What each line is about.
fn told(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines
        .filter(|line| line.get("open").is_none() && line.get("checkpoint").is_none())
        .map(|line| match (line["decision"].as_str(), line["outcome_of"].as_str()) {
            (Some(decision), None) => decision.to_owned(),
            (None, Some(decision)) => format!("outcome of {decision}"),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// In either mode an outcome is written by itself, and with what waits when the recorder is closed.
#[tokio::test]
async fn outcomes_are_written_behind_decisions() {
    for mode in [Mode::BestEffort, Mode::Required] {
        let folder = tempfile::tempdir().unwrap();
        let recorder = Recorder::open(&path(&folder), mode, QUEUE, sealing()).unwrap();
        recorder.record(&record(0)).await.unwrap();
        recorder.record_outcome(&outcome(0));
        while recorder.outcomes().kept == 0 {
            tokio::task::yield_now().await;
        }
        recorder.record(&record(1)).await.unwrap();
        recorder.record_outcome(&outcome(1));
        recorder.close().await.unwrap();
        recorder.record_outcome(&outcome(2));
        assert_eq!(told(&path(&folder)), ["d0", "outcome of d0", "d1", "outcome of d1"], "{mode:?}");
        let counts = OutcomeCounts { kept: 2, too_many: 0, unwritten: 1 };
        assert_eq!((recorder.outcomes(), recorder.gaps()), (counts, 0), "{mode:?}");
    }
}

/// However many outcomes wait, all the places in the queue are those of decisions, and a decision waits for none of them.
#[tokio::test]
async fn outcomes_take_no_place_of_decisions() {
    let folder = tempfile::tempdir().unwrap();
    let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
    let (recorder, ordered) = without_writer(Mode::Required, 3);
    for n in 0..5000 {
        recorder.record_outcome(&outcome(n));
    }
    assert_eq!(recorder.orders.capacity(), 2, "told once");
    let waiting = OutcomeCounts { kept: 0, too_many: 5000 - 2048, unwritten: 0 };
    assert_eq!(recorder.outcomes(), waiting);
    // A writer whose file takes nothing loses them, by their own count, and tells the decision before.
    let (one, two) = (record(0), record(1));
    let (one, two, ()) = tokio::join!(recorder.record(&one), recorder.record(&two), async {
        let writer = writer(&recorder, Journal::over(full).unwrap(), &path(&folder));
        begin(&recorder, writer, ordered);
    });
    for refused in [one, two] {
        assert_eq!(refused, Err(AuditError::Write(ErrorKind::StorageFull)));
    }
    recorder.reopen().await.unwrap();
    assert_eq!(recorder.outcomes(), OutcomeCounts { unwritten: 2048, ..waiting });
    assert_eq!(recorder.gaps(), 2);
    recorder.record(&record(2)).await.unwrap();
    recorder.record_outcome(&outcome(2));
    recorder.close().await.unwrap();
    assert_eq!(recorder.outcomes(), OutcomeCounts { kept: 1, unwritten: 2048, ..waiting });
    assert_eq!(recorder.gaps(), 2, "an outcome is no gap");
}

/// A writer that heard of outcomes once hears of the next ones too; one whose queue is full looks at them anyway.
#[tokio::test]
async fn no_outcome_is_left_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, ordered) = without_writer(Mode::BestEffort, 1);
    recorder.record(&record(0)).await.unwrap();
    recorder.record_outcome(&outcome(0));
    let writer = writer(&recorder, Journal::open(&path(&folder)).unwrap(), &path(&folder));
    begin(&recorder, writer, ordered);
    for n in 1..200 {
        while recorder.outcomes().kept != n {
            tokio::task::yield_now().await;
        }
        recorder.record_outcome(&outcome(0));
    }
    recorder.close().await.unwrap();
    assert_eq!(told(&path(&folder)).len(), 201);
}
