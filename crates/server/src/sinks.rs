//! Where records go beside the file, as it is configured.

mod otlp_logs;

use std::num::NonZeroUsize;
use std::sync::Arc;

use exequatur_audit::{
    AuditError, LineFile, Outlet, OutletError, Patience, Recorder, Sink, SinkStatus, Syslog,
};
use exequatur_store::ReplicaName;
use thiserror::Error;

use crate::clock::Clock;
use crate::config::{SinkConfig, SinkPlace};
use crate::otlp::{self, OtlpError};
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

/// Opens what is on this machine, and connects to nothing yet.
///
/// # Errors
/// [`SinkError`]
pub(crate) fn open(
    sinks: &[SinkConfig],
    replica: Option<&ReplicaName>,
    clock: &Clock,
) -> Result<Vec<Sink>, SinkError> {
    let host = replica::name(replica);
    let host = host.as_ref().map_or("", ReplicaName::as_str);
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
                Box::new(OtlpLogs::new(endpoint, resource, *format, clock.clone()).map_err(failed)?)
            }
        };
        let queue = NonZeroUsize::new(*queue).unwrap_or(Sink::QUEUE);
        Ok(Sink { name: name.clone(), outlet, queue, patience: Patience::default() })
    };
    sinks.iter().map(open).collect()
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
