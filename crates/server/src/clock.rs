//! Where time is read. Everything below is handed `now`.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

/// Wall time, handed down; tests hand down their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The system's wall time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads wall time")]
pub fn system() -> Clock {
    Arc::new(Timestamp::now)
}

/// Elapsed time, for timings only.
#[expect(clippy::disallowed_methods, reason = "the one place that reads elapsed time")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}
