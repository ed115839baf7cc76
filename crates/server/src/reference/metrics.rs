//! Every metric: its type, and what `/metrics` says of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::metrics::{PROCESS, describe};

/// Hears what metrics are described as, and counts nothing.
#[derive(Default)]
struct Listener(RefCell<BTreeMap<String, (&'static str, String)>>);

impl Listener {
    fn hear(&self, name: &KeyName, kind: &'static str, said: &SharedString) {
        self.0.borrow_mut().insert(name.as_str().to_owned(), (kind, said.to_string()));
    }
}

impl Recorder for Listener {
    fn describe_counter(&self, name: KeyName, _unit: Option<Unit>, said: SharedString) {
        self.hear(&name, "counter", &said);
    }

    fn describe_gauge(&self, name: KeyName, _unit: Option<Unit>, said: SharedString) {
        self.hear(&name, "gauge", &said);
    }

    fn describe_histogram(&self, name: KeyName, _unit: Option<Unit>, said: SharedString) {
        self.hear(&name, "histogram", &said);
    }

    fn register_counter(&self, _key: &Key, _metadata: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// The metrics as a table of Markdown, by name.
#[must_use]
pub fn metrics() -> String {
    let listener = Listener::default();
    ::metrics::with_local_recorder(&listener, describe);
    let mut found = listener.0.into_inner();
    for (name, kind, said) in PROCESS {
        found.insert(name.to_owned(), (kind, said.to_owned()));
    }
    let mut out = "| metric | type | what it says of itself |\n| --- | --- | --- |\n".to_owned();
    for (name, (kind, said)) in found {
        let _infallible = writeln!(out, "| `{name}` | {kind} | {} |", said.replace('|', "\\|"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told() {
        let page = metrics();
        for row in [
            "| `exequatur_decisions_total` | counter |",
            "| `exequatur_decision_duration_seconds` | histogram |",
            "| `exequatur_ready` | gauge |",
            "| `process_open_fds` | gauge |",
        ] {
            assert!(page.contains(row), "{row}");
        }
    }
}
