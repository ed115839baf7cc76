//! Lines as log records of OpenTelemetry, to a collector by its protocol over gRPC.

use exequatur_audit::{Delivery, Format, Outlet, OutletError, Severity, Statement};
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::runtime::{Builder, Runtime};
use tonic::{Code, Status};

use super::Unopened;
use crate::clock::Clock;
use crate::config::OtlpEndpoint;
use crate::otlp::{Collector, MAX_ANSWER, Otlp, may_pass, text};

/// Most bytes of lines in one call, but for a line that is longer: a receiver's usual bound is 4 MiB for all of a message.
const MAX_BYTES: usize = 1024 * 1024;
/// The version of the semantic conventions that names of attributes follow.
const CONVENTIONS: &str = "https://opentelemetry.io/schemas/1.45.0";

/// A collector of log records.
pub(super) struct OtlpLogs {
    format: Format,
    otlp: Otlp,
    resource: Resource,
    clock: Clock,
    /// Of the sink's own thread: decisions have no part in it.
    runtime: Option<Runtime>,
}

impl OtlpLogs {
    /// Reads the files and connects to nothing yet.
    ///
    /// # Errors
    /// What a file holds cannot be used, or the system gives no means to wait for answers.
    pub(super) fn new(
        config: &OtlpEndpoint,
        resource: Resource,
        format: Format,
        clock: Clock,
    ) -> Result<Self, Unopened> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let otlp = Otlp::new(config);
        drop(entered);
        let runtime = Some(runtime);
        match otlp {
            Ok(otlp) => Ok(Self { format, otlp, resource, clock, runtime }),
            Err(error) => {
                end(runtime);
                Err(error.into())
            }
        }
    }

    /// For who changes how the collector is reached.
    pub(super) fn collector(&self) -> Collector {
        self.otlp.collector()
    }

    /// The line as the log data model has it.
    fn record(&self, run: &str, line: &[u8], observed: Timestamp) -> Result<LogRecord, OutletError> {
        let said = Statement::read(line).ok_or(OutletError::Format)?;
        let body = self.format.render(run, line)?;
        let body = String::from_utf8(body.into_owned()).or(Err(OutletError::Format))?;
        let (severity, level) = match said.severity() {
            Severity::Information => (SeverityNumber::Info, "INFO"),
            Severity::Warning => (SeverityNumber::Warn, "WARN"),
            Severity::Error => (SeverityNumber::Error, "ERROR"),
        };
        // A line that comes a second time is known by it.
        let uid = said.place().map(|link| text("log.record.uid", format!("{run}/{}", link.seq)));
        let decision = said.decision().map(|id| text("exequatur.decision", id));
        Ok(LogRecord {
            time_unix_nano: nanoseconds(said.time()),
            observed_time_unix_nano: nanoseconds(observed),
            severity_number: severity.into(),
            severity_text: level.to_owned(),
            body: Some(AnyValue { value: Some(Value::StringValue(body)) }),
            attributes: uid.into_iter().chain(decision).collect(),
            trace_id: said.trace().and_then(trace_id).unwrap_or_default(),
            event_name: format!("exequatur.{}", said.kind()),
            ..LogRecord::default()
        })
    }

    /// Sends as many lines as one call may have, at least one.
    fn send(&mut self, run: &str, lines: &[&[u8]]) -> Delivery {
        let observed = (self.clock)();
        let mut records = Vec::new();
        for line in fitting(lines) {
            match self.record(run, line, observed) {
                Ok(record) => records.push(record),
                Err(error) if records.is_empty() => {
                    return Delivery { taken: 0, refused: 1, error: Some(error) };
                }
                // Told when it comes first.
                Err(_) => break,
            }
        }
        let sent = records.len();
        match self.export(records) {
            Ok(answer) => taken(sent, &answer),
            Err(failure) => {
                // The client's own clock cancels, too.
                let late = matches!(failure.code(), Code::DeadlineExceeded | Code::Cancelled);
                let error = if late {
                    OutletError::Timeout
                } else {
                    OutletError::Answer(failure.code().description())
                };
                let refused = if may_pass(&failure) { 0 } else { sent };
                Delivery { taken: 0, refused, error: Some(error) }
            }
        }
    }

    fn export(&mut self, log_records: Vec<LogRecord>) -> Result<ExportLogsServiceResponse, Status> {
        let Some(runtime) = &self.runtime else { return Err(Status::unavailable("ended")) };
        let scope = InstrumentationScope {
            name: "exequatur".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_logs =
            vec![ScopeLogs { scope: Some(scope), log_records, schema_url: CONVENTIONS.to_owned() }];
        let resource_logs = vec![ResourceLogs {
            resource: Some(self.resource.clone()),
            scope_logs,
            schema_url: CONVENTIONS.to_owned(),
        }];
        runtime.block_on(async {
            let (channel, request) = self.otlp.call(ExportLogsServiceRequest { resource_logs });
            let mut client = LogsServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER);
            self.otlp.in_time(client.export(request)).await
        })
    }
}

impl Outlet for OtlpLogs {
    fn deliver(&mut self, run: &str, lines: &[&[u8]]) -> Delivery {
        let (mut whole, mut settled) = (Delivery { taken: 0, refused: 0, error: None }, 0_usize);
        while let Some(rest) = lines.get(settled..).filter(|rest| !rest.is_empty()) {
            let Delivery { taken, refused, error } = self.send(run, rest);
            whole.taken = whole.taken.saturating_add(taken);
            whole.refused = whole.refused.saturating_add(refused);
            whole.error = error.or(whole.error);
            let progress = taken.saturating_add(refused);
            if progress == 0 {
                break;
            }
            settled = settled.saturating_add(progress);
        }
        whole
    }
}

impl Drop for OtlpLogs {
    fn drop(&mut self) {
        end(self.runtime.take());
    }
}

/// Ends it where nothing may wait for that.
fn end(runtime: Option<Runtime>) {
    if let Some(runtime) = runtime {
        runtime.shutdown_background();
    }
}

/// As many lines as one call may have, from the first one on.
fn fitting<'a, 'b>(lines: &'b [&'a [u8]]) -> &'b [&'a [u8]] {
    let mut bytes = 0_usize;
    let fits = lines.iter().take_while(|line| {
        bytes = bytes.saturating_add(line.len());
        bytes <= MAX_BYTES
    });
    lines.get(..fits.count().max(1)).unwrap_or(lines)
}

/// A collector that has answered well may have left some of them out all the same.
fn taken(sent: usize, answer: &ExportLogsServiceResponse) -> Delivery {
    let rejected = answer.partial_success.as_ref().map_or(0, |partial| partial.rejected_log_records);
    let refused = usize::try_from(rejected).unwrap_or_default().min(sent);
    let error = (refused > 0).then_some(OutletError::Answer("some were rejected"));
    Delivery { taken: sent.saturating_sub(refused), refused, error }
}

fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or_default()
}

/// The 16 bytes of 32 hex digits.
fn trace_id(hex: &str) -> Option<Vec<u8>> {
    let whole = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = u128::from_str_radix(hex, 16).ok().filter(|_| whole)?;
    Some(id.to_be_bytes().to_vec())
}

#[cfg(test)]
mod tests;
