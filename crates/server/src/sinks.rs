//! Where records go beside the file, as it is configured.

mod otlp_logs;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use exequatur_audit::{AuditError, LineFile, Outlet, Patience, Recorder, Sink, SinkStatus, Syslog};
use exequatur_store::ReplicaName;
use thiserror::Error;

use crate::clock::Clock;
use crate::config::{SinkConfig, SinkPlace};
use crate::otlp::{self, Collector, OtlpError};
use crate::{metrics, replica};
use otlp_logs::OtlpLogs;

/// Why a sink cannot be begun with.
#[derive(Debug, Error)]
#[error("the sink `{name}` of the records: {source}")]
pub struct SinkError {
    name: String,
    source: Unopened,
}

#[derive(Debug, Error)]
enum Unopened {
    #[error(transparent)]
    Local(#[from] AuditError),
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    #[error("cannot start what calls the collector: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Opens what is on this machine, and connects to nothing yet. Gives the collectors too, in the order of the configuration.
///
/// # Errors
/// [`SinkError`]
pub(crate) fn open(
    sinks: &[SinkConfig],
    replica: Option<&ReplicaName>,
    clock: &Clock,
) -> Result<(Vec<Sink>, Vec<Collector>), SinkError> {
    let host = replica::name(replica);
    let host = host.as_ref().map_or("", ReplicaName::as_str);
    let mut collectors = Vec::new();
    let open = |sink: &SinkConfig| {
        let SinkConfig { name, format, queue, place } = sink;
        let failed = |source| SinkError { name: name.clone(), source };
        let local = |source| failed(Unopened::Local(source));
        let outlet: Box<dyn Outlet> = match place {
            SinkPlace::Stdout => Box::new(LineFile::stdout(*format).map_err(local)?),
            SinkPlace::File(path) => Box::new(LineFile::open(path, *format).map_err(local)?),
            SinkPlace::Syslog { address, facility, max_bytes } => {
                Box::new(Syslog::new(address.clone(), *facility, host, *max_bytes, *format))
            }
            SinkPlace::Otlp(endpoint) => {
                let resource = otlp::resource(replica);
                let logs = OtlpLogs::new(endpoint, resource, *format, clock.clone()).map_err(failed)?;
                collectors.push(logs.collector());
                Box::new(logs)
            }
        };
        let queue = NonZeroUsize::new(*queue).unwrap_or(Sink::QUEUE);
        Ok(Sink { name: name.clone(), outlet, queue, patience: Patience::default() })
    };
    let sinks = sinks.iter().map(open).collect::<Result<_, _>>()?;
    Ok((sinks, collectors))
}

/// Counts what became of lines, and tells when a sink begins to fail, when it goes on, and how many lines it lacks.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    known: HashMap<Arc<str>, Known>,
}

/// What was told of a sink.
#[derive(Debug, Default)]
struct Known {
    fails: bool,
    gaps: u64,
}

impl Watch {
    pub(crate) fn look(&mut self, recorder: &Recorder) {
        for status in recorder.sinks() {
            let SinkStatus { name, taken, gaps, waiting, error } = &status;
            metrics::sink(name, *taken, *gaps, *waiting, error.is_none());
            self.tell(status);
        }
    }

    fn tell(&mut self, SinkStatus { name, gaps, error, .. }: SinkStatus) {
        let known = self.known.entry(Arc::clone(&name)).or_default();
        let lines = gaps.saturating_sub(known.gaps);
        if lines > 0 {
            let error = error.map(tracing::field::display);
            tracing::error!(sink = %name, lines, error, "a sink of the records lacks lines");
        }
        match (error, known.fails) {
            (Some(error), false) => {
                tracing::error!(sink = %name, %error, gaps, "a sink of the records fails")
            }
            (None, true) => tracing::info!(sink = %name, gaps, "a sink of the records goes on"),
            (Some(_), true) | (None, false) => {}
        }
        *known = Known { fails: error.is_some(), gaps };
    }
}

/// Tells what was not kept, once the recorder is closed: nobody looks any more.
pub(crate) fn tell_at_the_end(recorder: &Recorder) {
    for SinkStatus { name, gaps, waiting, error, .. } in recorder.sinks() {
        if gaps > 0 || waiting > 0 {
            let error = error.map(tracing::field::display);
            tracing::error!(sink = %name, gaps, waiting, error, "a sink of the records has ended without all lines");
        }
    }
    let gaps = recorder.gaps();
    if gaps > 0 {
        tracing::error!(gaps, "decisions of this run are not in the records");
    }
}

#[cfg(test)]
mod tests;
