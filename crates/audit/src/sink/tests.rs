use std::num::NonZeroU32;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::Value;

use super::*;
use crate::admin::{AdminOutcome, AdminRecord};
use crate::format::Format;
use crate::ledger::Checkpoints;
use crate::record::{Record, Verdict};
use crate::recorder::{Mode, Recorder, Sealing};
use crate::statement::{Stated, Statement};
use crate::testing::verified;
use crate::text::Text;

/// What the test's outlet is to say of what it is handed next: a function of how many lines there are.
type Answer = fn(usize) -> Delivery;

/// Answers as it is told, and waits until it is. Once nobody tells, it takes everything.
struct Puppet {
    answers: Receiver<Answer>,
    took: Sender<String>,
}

impl Outlet for Puppet {
    fn deliver(&mut self, _: &str, lines: &[&[u8]]) -> Delivery {
        let delivery =
            self.answers.recv().map_or_else(|_| Delivery::all(lines), |answer| answer(lines.len()));
        for line in &lines[..delivery.taken] {
            self.took.send(String::from_utf8(line.to_vec()).unwrap()).unwrap();
        }
        delivery
    }
}

const TAKE: Answer = |lines| Delivery { taken: lines, refused: 0, error: None };
const FAIL: Answer = |_| Delivery::cut(0, OutletError::Timeout);

fn puppet(queue: usize) -> (Sink, Sender<Answer>, Receiver<String>) {
    let ((answer, answers), (took, taken)) = (channel(), channel());
    (sink("puppet", Puppet { answers, took }, queue), answer, taken)
}

pub(super) fn sink(name: &str, outlet: impl Outlet + 'static, queue: usize) -> Sink {
    let patience = Patience { retries: 2, first: Duration::from_millis(1), most: Duration::from_millis(2) };
    Sink {
        name: name.to_owned(),
        outlet: Box::new(outlet),
        queue: NonZeroUsize::new(queue).unwrap(),
        patience,
    }
}

pub(super) fn recorder(file: Option<&Path>, sinks: Vec<Sink>) -> Recorder {
    let now = "2026-11-22T10:11:12Z".parse().unwrap();
    let checkpoints = Checkpoints { records: NonZeroU32::new(7).unwrap(), ..Checkpoints::default() };
    let sealing = Sealing { checkpoints, clock: Arc::new(move || now) };
    let queue = NonZeroUsize::new(1000).unwrap();
    Recorder::open_with(file, Mode::BestEffort, queue, sealing, sinks).unwrap()
}

pub(super) async fn record(recorder: &Recorder, n: usize) {
    let time = "2026-11-22T10:11:12Z".parse().unwrap();
    let id = Text::from(format!("d{n}"));
    let record = Record::new(time, id, Verdict::Permit, Text::from("permitted"), 200);
    recorder.record(&record).await.unwrap();
}

/// Waits until it is so.
pub(super) async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

pub(super) fn status(recorder: &Recorder) -> SinkStatus {
    recorder.sinks().remove(0)
}

/// How many lines of the chain these are, how many they say are missing, and the decisions among them.
fn told<'a>(lines: impl IntoIterator<Item = &'a str>) -> (u64, u64, Vec<String>) {
    let (mut chain, mut missing, mut decisions) = (0, 0, Vec::new());
    for line in lines {
        let statement = Statement::read(line.as_bytes()).unwrap();
        if let Stated::SinkGap(gap) = &statement.stated {
            assert!(statement.place().is_none() && gap.lines <= gap.through.seq - gap.from.seq + 1, "{line}");
            missing += gap.lines;
        } else {
            assert_eq!(statement.place().unwrap().seq, chain + missing + 1, "{line}");
            chain += 1;
        }
        if let Stated::Decision(record) = &statement.stated {
            decisions.push(record.decision.to_string());
        }
    }
    (chain, missing, decisions)
}

/// With a file, and without: what a sink of our own form has can be verified as the file can.
#[tokio::test]
async fn a_sink_has_each_line_of_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let (file, copy) = (folder.path().join("records"), folder.path().join("copy"));
    for file in [Some(file.as_path()), None] {
        let outlet = LineFile::open(&copy, Format::Own).unwrap();
        let recorder = recorder(file, vec![sink("copy", outlet, 1000)]);
        for n in 0..30 {
            record(&recorder, n).await;
        }
        recorder.close().await.unwrap();
        let bytes = std::fs::read(&copy).unwrap();
        if let Some(file) = file {
            assert_eq!(bytes, std::fs::read(file).unwrap());
        }
        let report = verified(None, &[&bytes]).unwrap();
        assert_eq!(report.records, 30);
        let lines = u64::try_from(bytes.iter().filter(|byte| **byte == b'\n').count()).unwrap();
        let SinkStatus { taken, gaps, waiting, error, .. } = status(&recorder);
        assert_eq!((taken, gaps, waiting, error), (lines, 0, 0, None));
        std::fs::remove_file(&copy).unwrap();
    }
}

/// A copy that is moved away together with the file is cut where that is: each part can be verified by itself.
#[tokio::test]
async fn a_copy_is_rotated_where_the_file_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    let outlet = LineFile::open(&path("copy"), Format::Own).unwrap();
    let recorder = recorder(Some(&path("file")), vec![sink("copy", outlet, 1000)]);
    record(&recorder, 0).await;
    for (now, old) in [("file", "file.1"), ("copy", "copy.1")] {
        std::fs::rename(path(now), path(old)).unwrap();
    }
    recorder.reopen().await.unwrap();
    record(&recorder, 1).await;
    recorder.close().await.unwrap();
    for (file, copy) in [("file.1", "copy.1"), ("file", "copy")] {
        let [file, copy] = [file, copy].map(|name| std::fs::read_to_string(path(name)).unwrap());
        assert_eq!(copy, file);
    }
    assert!(std::fs::read_to_string(path("copy")).unwrap().contains(r#""open":"#));
}

/// C-21: a slow sink. Neither a decision nor the file waits for it, and what it has and what it is told is missing are all.
#[tokio::test]
async fn nobody_waits_for_a_sink_and_what_it_misses_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records");
    let (sink, answer, taken) = puppet(10);
    let recorder = recorder(Some(&file), vec![sink]);
    for n in 0..100 {
        record(&recorder, n).await;
        until(|| recorder.queue().0 == 0).await;
    }
    until(|| std::fs::read_to_string(&file).unwrap().contains("\"d99\"")).await;
    // What is in the file is handed out a moment later.
    until(|| {
        let SinkStatus { gaps, waiting, .. } = status(&recorder);
        gaps + waiting == recorder.progress().written
    })
    .await;
    let SinkStatus { taken: none, gaps, waiting, .. } = status(&recorder);
    assert_eq!(none, 0);
    assert!(gaps > 0 && waiting <= 10, "{gaps} {waiting}");
    // It goes on.
    drop(answer);
    until(|| status(&recorder).waiting == 0).await;
    record(&recorder, 100).await;
    recorder.close().await.unwrap();
    let written = recorder.progress().written;
    let lines: Vec<_> = taken.iter().collect();
    let (chain, missing, decisions) = told(lines.iter().map(String::as_str));
    assert_eq!((chain + missing, missing), (written, gaps));
    assert_eq!((status(&recorder).taken, status(&recorder).gaps), (chain, missing));
    assert_eq!(decisions.last().unwrap(), "d100");
}

/// A sink that takes nothing is tried a few times, and then told of the gap before the next line.
#[tokio::test]
async fn a_sink_that_fails_is_tried_again_and_then_told() {
    let (sink, answer, taken) = puppet(100);
    let recorder = recorder(None, vec![sink]);
    // The header: failed twice, then taken.
    for said in [FAIL, FAIL, TAKE] {
        answer.send(said).unwrap();
    }
    until(|| status(&recorder).taken == 1).await;
    assert_eq!(status(&recorder).error, None);
    // The first record: failed as often as it is tried.
    record(&recorder, 0).await;
    for said in [FAIL, FAIL, FAIL] {
        answer.send(said).unwrap();
    }
    until(|| status(&recorder).gaps == 1).await;
    assert_eq!((status(&recorder).error, status(&recorder).waiting), (Some(OutletError::Timeout), 0));
    // The second: the gap first, which fails once.
    record(&recorder, 1).await;
    for said in [FAIL, TAKE, TAKE] {
        answer.send(said).unwrap();
    }
    drop(answer);
    recorder.close().await.unwrap();
    let lines: Vec<_> = taken.iter().collect();
    assert_eq!(told(lines.iter().map(String::as_str)), (3, 1, vec!["d1".to_owned()]));
    let gap: Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!(gap["sink_gap"]["lines"], 1);
    assert_eq!((&gap["sink_gap"]["from"]["seq"], &gap["sink_gap"]["through"]["seq"]), (&2.into(), &2.into()));
    let open: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(gap["sink_gap"]["from"]["writer"], open["open"]["writer"]);
}

/// A receiver that takes a part and refuses a part is not handed either again, and is told how many it has not.
#[tokio::test]
async fn what_is_refused_is_counted_and_told() {
    let (sink, answer, taken) = puppet(100);
    let recorder = recorder(None, vec![sink]);
    answer.send(TAKE).unwrap();
    until(|| status(&recorder).taken == 1).await;
    let (first, second) = tokio::join!(record(&recorder, 0), record(&recorder, 1));
    let ((), ()) = (first, second);
    answer
        .send(|lines| Delivery { taken: lines - 1, refused: 1, error: Some(OutletError::Answer("no")) })
        .unwrap();
    until(|| status(&recorder).gaps == 1).await;
    drop(answer);
    recorder.close().await.unwrap();
    let SinkStatus { taken: count, gaps, .. } = status(&recorder);
    assert_eq!((count + gaps, gaps), (recorder.progress().written, 1));
    let missing: u64 = taken
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(&line).unwrap()["sink_gap"]["lines"].as_u64())
        .sum();
    assert_eq!(missing, 1);
}

/// Takes one line and refuses the next, and so on.
struct Picky(Sender<String>);

impl Outlet for Picky {
    fn deliver(&mut self, _: &str, lines: &[&[u8]]) -> Delivery {
        self.0.send(String::from_utf8(lines[0].to_vec()).unwrap()).unwrap();
        let refused = usize::from(lines.len() > 1);
        Delivery { taken: 1, refused, error: (refused > 0).then_some(OutletError::TooLong) }
    }
}

/// Lines that are refused hold up none that fit, and use none of the last tries of a stop.
#[test]
fn nothing_is_waited_for_after_lines_are_refused() {
    let (took, taken) = channel();
    let (queue, counts) = (Arc::new(Queue::new(NonZeroUsize::new(40).unwrap())), Arc::default());
    let bytes: Vec<u8> = (1..=40).flat_map(|n| format!("{{\"n\":{n}}}\n").into_bytes()).collect();
    let page = Page { bytes: Arc::new(bytes), lines: 40, first: 1, writer: Arc::from("a") };
    assert_eq!(queue.put(page), 0);
    queue.end();
    let now = "2026-11-22T10:11:12Z".parse().unwrap();
    let clock: Clock = Arc::new(move || now);
    // Whoever waits at all would give up.
    let patience = Patience { retries: 0, ..Patience::default() };
    Worker::new(Box::new(Picky(took)), &queue, &counts, patience, clock).run();
    assert_eq!((counts.taken.load(Ordering::Relaxed), counts.gaps.load(Ordering::Relaxed)), (20, 20));
    assert_eq!(queue.waiting(), 0);
    let (gaps, lines): (Vec<_>, Vec<_>) = taken.iter().partition(|line| line.contains("sink_gap"));
    assert_eq!((gaps.len(), lines.len()), (20, 20));
}

/// A sink that hangs keeps nobody from closing; what it was not seen to take counts as missing.
#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_is_given_up_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records");
    let (sink, answer, taken) = puppet(100);
    let recorder = recorder(Some(&file), vec![sink]);
    for n in 0..5 {
        record(&recorder, n).await;
    }
    recorder.close().await.unwrap();
    let (written, SinkStatus { taken: none, gaps, waiting, .. }) =
        (recorder.progress().written, status(&recorder));
    assert_eq!((none, gaps, waiting), (0, written, 0));
    assert_eq!(told(std::fs::read_to_string(&file).unwrap().lines()).2.len(), 5, "the file is whole");
    // It wakes up: what it takes now is counted as missing, and it gets no more.
    drop(answer);
    assert!(taken.iter().count() <= usize::try_from(written).unwrap());
    assert_eq!((status(&recorder).taken, status(&recorder).gaps), (0, written));
}

/// What waits for a sink whose thread is no more counts as missing in the end.
#[tokio::test]
async fn a_sink_that_panics_leaves_nothing_uncounted() {
    struct Mine;

    impl Outlet for Mine {
        fn deliver(&mut self, _: &str, _: &[&[u8]]) -> Delivery {
            panic!("a mistake in it");
        }
    }

    let folder = tempfile::tempdir().unwrap();
    let recorder = recorder(Some(&folder.path().join("records")), vec![sink("mine", Mine, 100)]);
    for n in 0..5 {
        record(&recorder, n).await;
    }
    recorder.close().await.unwrap();
    let SinkStatus { taken, gaps, waiting, .. } = status(&recorder);
    assert_eq!((taken, gaps, waiting), (0, recorder.progress().written, 0));
}

/// Without a file, what no sink has room for is not recorded: who gives an order hears so, and the next line says what is missing.
#[tokio::test]
async fn what_no_sink_has_room_for_is_not_recorded() {
    let (sink, answer, taken) = puppet(1);
    let recorder = recorder(None, vec![sink]);
    // The header fills the queue.
    record(&recorder, 0).await;
    until(|| recorder.gaps() == 1).await;
    let order = || {
        let time = "2026-11-22T10:11:12Z".parse().unwrap();
        let words = ["a1", "root", "revoke"].map(Text::from);
        let [id, actor, action] = words;
        AdminRecord::new(time, id, actor, action, AdminOutcome::Done)
    };
    assert_eq!(recorder.record_order(&order()).await, Err(AuditError::QueueFull));
    assert_eq!(recorder.gaps(), 2);
    drop(answer);
    until(|| status(&recorder).waiting == 0).await;
    recorder.record_order(&order()).await.unwrap();
    until(|| status(&recorder).waiting == 0).await;
    recorder.close().await.unwrap();
    assert_eq!(recorder.gaps(), 2);
    let lines: Vec<_> = taken.iter().collect();
    let SinkStatus { taken: count, gaps, .. } = status(&recorder);
    let (chain, missing, _) = told(lines.iter().map(String::as_str));
    assert_eq!((chain, missing, chain + missing), (count, gaps, recorder.progress().written));
    assert_eq!(lines.iter().filter(|line| line.contains(r#","gap":2,"#)).count(), 1, "{lines:?}");
}

/// Without a file, a run ends well although no sink has room for its last lines: they are counted.
#[tokio::test(start_paused = true)]
async fn a_stop_without_room_at_the_sinks_is_no_failure() {
    let (sink, answer, _taken) = puppet(1);
    let recorder = recorder(None, vec![sink]);
    recorder.close().await.unwrap();
    assert_eq!((status(&recorder).gaps, recorder.progress().written), (2, 2));
    drop(answer);
}

/// What the file does not take is in no chain, and so at no sink; both are told by the same line.
#[tokio::test]
async fn a_gap_of_the_file_is_told_at_the_sinks_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records");
    let (sink, answer, taken) = puppet(100);
    drop(answer);
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let recorder = recorder(Some(&path), vec![sink]);
    for n in 0..3 {
        record(&recorder, n).await;
    }
    until(|| recorder.gaps() == 3).await;
    std::fs::remove_file(&path).unwrap();
    recorder.reopen().await.unwrap();
    record(&recorder, 3).await;
    recorder.close().await.unwrap();
    let lines: Vec<_> = taken.iter().collect();
    let gaps: Vec<_> = lines.iter().filter(|line| line.contains(r#","gap":3,"#)).collect();
    assert_eq!(gaps.len(), 1);
    assert_eq!(told(lines.iter().map(String::as_str)).2, ["d3"]);
    assert_eq!(lines.concat(), std::fs::read_to_string(&path).unwrap().replace('\n', ""));
}

#[test]
fn required_records_need_the_file() {
    let now = "2026-11-22T10:11:12Z".parse().unwrap();
    let sealing = Sealing { checkpoints: Checkpoints::default(), clock: Arc::new(move || now) };
    let (sink, ..) = puppet(1);
    let opened = Recorder::open_with(None, Mode::Required, NonZeroUsize::MIN, sealing, vec![sink]);
    assert_eq!(opened.err(), Some(AuditError::NotAFile));
}
