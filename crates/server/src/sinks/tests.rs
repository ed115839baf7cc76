use std::io::Write;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use exequatur_audit::{Checkpoints, Delivery, Mode, OutletError, Record, Sealing, Text, Verdict};

use super::*;

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    /// From the level on, without what tells where it comes from.
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let line = |line: &str| line.split_once("sinks: ").unwrap().1.to_owned();
        String::from_utf8(bytes).unwrap().lines().map(line).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A sink that lacks lines is told of although it fails at nothing, or takes the next line before anyone looks; once for all
/// that are new.
#[test]
fn lines_that_a_sink_lacks_are_told_as_they_grow() {
    let (log, mut watch) = (Log::default(), Watch::default());
    let _logged = log.begin();
    let mut look = |gaps, error| {
        watch.tell(SinkStatus { name: Arc::from("siem"), taken: 0, gaps, waiting: 0, error });
        log.take()
    };
    assert!(look(0, None).is_empty());
    assert_eq!(look(3, None), ["a sink of the records lacks lines sink=siem lines=3"]);
    assert!(look(3, None).is_empty());
    let late = Some(OutletError::Timeout);
    assert_eq!(
        look(5, late),
        [
            "a sink of the records lacks lines sink=siem lines=2 error=no answer in time",
            "a sink of the records fails sink=siem error=no answer in time gaps=5",
        ]
    );
    assert!(look(5, late).is_empty());
    assert_eq!(look(5, None), ["a sink of the records goes on sink=siem gaps=5"]);
}

/// Takes nothing.
struct Nothing;

impl Outlet for Nothing {
    fn deliver(&mut self, _: &str, _: &[&[u8]]) -> Delivery {
        Delivery::cut(0, OutletError::Timeout)
    }
}

/// What is given up in closing, after the last look, stands in the log.
#[tokio::test]
async fn what_is_not_kept_at_the_end_is_told() {
    let now = "2026-11-22T10:11:12Z".parse().unwrap();
    let checkpoints = Checkpoints { records: NonZeroU32::MIN.saturating_add(99), ..Checkpoints::default() };
    let sealing = Sealing { checkpoints, clock: Arc::new(move || now) };
    let patience = Patience { retries: 0, ..Patience::default() };
    let sink = Sink { name: "siem".to_owned(), outlet: Box::new(Nothing), queue: Sink::QUEUE, patience };
    let recorder = Recorder::open_with(None, Mode::BestEffort, Sink::QUEUE, sealing, vec![sink]).unwrap();
    let record = Record::new(now, Text::from("d1"), Verdict::Permit, Text::from("permitted"), 200);
    recorder.record(&record).await.unwrap();
    recorder.leave_out();
    recorder.close().await.unwrap();
    let log = Log::default();
    let _logged = log.begin();
    tell_at_the_end(&recorder);
    let gaps = recorder.progress().written;
    assert_eq!(
        log.take(),
        [
            format!(
                "a sink of the records has ended without all lines sink=siem gaps={gaps} waiting=0 error=no answer in time"
            ),
            "decisions of this run are not in the records gaps=1".to_owned(),
        ]
    );
}
