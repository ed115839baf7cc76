//! The decision record: its format and its file.
//!
//! A [`Record`] says who asked for what, what was decided and why; never a token, a proof, a query or a claim that
//! is not named. A [`Recorder`] appends records to a file, one JSON object a line, and hands out [`Recorded`]. Orders of
//! administrators stand in the same file ([`AdminRecord`]).

mod admin;
mod error;
mod journal;
mod lookup;
mod record;
mod recorder;
mod search;
mod text;
mod writer;

pub use admin::{AdminOutcome, AdminRecord};
pub use error::AuditError;
pub use lookup::{Lookup, look_up};
pub use record::{
    Controls, IntrospectionCheck, NonceCheck, Policy, Record, ReplayCheck, RequirementCheck, Resource,
    RevocationCheck, SenderConstraint, SenderConstraintCheck, StatusCheck, Timings, TokenCheck, TokenSource,
    Verdict,
};
pub use recorder::{Mode, Recorded, Recorder};
pub use search::{DecisionId, Found, NotADecisionId, Search, search};
pub use text::Text;
