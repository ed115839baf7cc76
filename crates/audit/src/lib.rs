//! The decision record: its format and its file.
//!
//! A [`Record`] says who asked for what, what was decided and why; never a token, a proof, a query or a claim that
//! is not named. A [`Recorder`] appends records to a file, one JSON object a line, and hands out [`Recorded`]. Orders of
//! administrators stand in the same file ([`AdminRecord`]), and what came of requests that were permitted ([`Outcome`]). Lines go
//! on from there to [`Sink`]s.

mod admin;
mod chain;
mod delegation;
mod entry;
mod error;
mod export;
mod filter;
mod follow;
mod format;
mod journal;
mod key;
mod ledger;
mod lines;
mod lookup;
mod merge;
mod merkle;
mod outcome;
mod proof;
mod record;
mod recorder;
mod redaction;
mod search;
mod sink;
mod statement;
mod tail;
mod tally;
#[cfg(test)]
mod testing;
mod text;
mod timeline;
mod verify;
mod view;
mod writer;

pub use admin::{AdminOutcome, AdminRecord};
pub use chain::{Hash, Link};
pub use delegation::{Delegation, NotADelegation};
pub use error::AuditError;
pub use export::{ExportError, Exported, Skipped, export};
pub use filter::{Criteria, Filter, Judged};
pub use follow::{Follow, Seen, last_lines, last_of};
pub use format::{Cause, Format, cause_of};
pub use key::{KeyError, PublicKeys, SigningKey};
pub use ledger::{Checkpoints, Head};
pub use lines::{Ending, Line, Lines};
pub use lookup::{Lookup, begin_of, look_up};
pub use merge::{Merge, Unreadable};
pub use outcome::{AbortedBy, AnsweredBy, Outcome, OutcomeCounts};
pub use proof::{Proof, Proven, Refuted, Unproven, prove};
pub use record::{
    Arguments, Controls, Covered, Degraded, IntrospectionCheck, NonceCheck, Part, PartPlace, PartValue,
    Policy, Record, ReplayCheck, RequirementCheck, Resource, RevocationCheck, Scopes, SenderConstraint,
    SenderConstraintCheck, StatusCheck, Timings, TokenCheck, TokenSource, Verdict,
};
pub use recorder::{Clock, KeyTaken, Mode, Recorded, Recorder, Sealing};
pub use redaction::{DigestKey, DigestKeyError, Digested, Form, PeerForm, Redaction};
pub use search::{DecisionId, Found, NotADecisionId, Search, Standing, search};
pub use sink::{
    Delivery, Facility, LineFile, Outlet, OutletError, Patience, Sink, SinkStatus, Syslog, SyslogAddress,
};
pub use statement::{Severity, Statement};
pub use tally::Tally;
pub use text::Text;
pub use timeline::{Came, Event, Timeline};
pub use verify::{Place, Remark, Report, Stretch, Unverified, Verifier, Violation, Why, Wrong};
pub use view::LineKind;
pub use writer::Progress;
