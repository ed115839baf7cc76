//! Where records go beside the file, as it is configured.

use std::num::NonZeroUsize;
use std::sync::Arc;

use exequatur_audit::{
    AuditError, LineFile, Outlet, OutletError, Patience, Recorder, Sink, SinkStatus, Syslog,
};
use thiserror::Error;

use crate::config::{SinkConfig, SinkPlace};
use crate::metrics;
use crate::replica;

/// Why a sink cannot be begun with.
#[derive(Debug, Error)]
#[error("the sink `{name}` of the records: {source}")]
pub struct SinkError {
    name: String,
    source: AuditError,
}

/// Opens what is on this machine, and connects to nothing yet.
///
/// # Errors
/// [`SinkError`]
pub(crate) fn open(sinks: &[SinkConfig], host: Option<&str>) -> Result<Vec<Sink>, SinkError> {
    let open = |sink: &SinkConfig| {
        let SinkConfig { name, format, queue, place } = sink;
        let failed = |source| SinkError { name: name.clone(), source };
        let outlet: Box<dyn Outlet> = match place {
            SinkPlace::Stdout => Box::new(LineFile::stdout(*format).map_err(failed)?),
            SinkPlace::File(path) => Box::new(LineFile::open(path, *format).map_err(failed)?),
            SinkPlace::Syslog { address, facility, max_bytes } => Box::new(Syslog::new(
                address.clone(),
                *facility,
                host.unwrap_or_default(),
                *max_bytes,
                *format,
            )),
        };
        let queue = NonZeroUsize::new(*queue).unwrap_or(Sink::QUEUE);
        Ok(Sink { name: name.clone(), outlet, queue, patience: Patience::default() })
    };
    sinks.iter().map(open).collect()
}

/// What this process is called, where it has to say so.
pub(crate) fn host(config: &crate::config::Config) -> Option<String> {
    replica::name(config.replica.as_ref()).map(|name| name.as_str().to_owned())
}

/// Counts what became of lines, and tells when a sink begins to fail, and when it goes on.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    failing: Vec<Arc<str>>,
}

impl Watch {
    pub(crate) fn look(&mut self, recorder: &Recorder) {
        for SinkStatus { name, taken, gaps, waiting, error } in recorder.sinks() {
            metrics::sink(&name, taken, gaps, waiting, error.is_none());
            self.tell(name, error, gaps);
        }
    }

    fn tell(&mut self, name: Arc<str>, error: Option<OutletError>, gaps: u64) {
        let known = self.failing.iter().position(|failing| *failing == name);
        match (error, known) {
            (Some(error), None) => {
                tracing::error!(sink = %name, %error, gaps, "a sink of the records fails");
                self.failing.push(name);
            }
            (None, Some(known)) => {
                tracing::info!(sink = %name, gaps, "a sink of the records goes on");
                self.failing.swap_remove(known);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
}
