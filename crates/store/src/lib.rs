//! What is remembered between requests: which proofs were used, what was charged to limits, and what is revoked.
//!
//! A store knows opaque keys and times to live. It knows neither what a proof is nor why its key exists, and it
//! reads no clock: every call is told the time.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod admission;
mod attributes;
pub mod contract;
mod disk;
mod embedded;
mod folder;
mod limit;
mod live;
mod overrides;
mod redis;
mod replay;
mod replicas;
mod revocation;
mod sources;

pub use admission::{AdmissionStore, Answer, Ask, Scope, StoreError, StoreFuture, Unfit};
pub use attributes::{
    Assurance, Attribute, AttributeError, AttributeFuture, AttributeOpenError, AttributeSet, AttributeStore,
    DeviceCompliance, EmbeddedAttributes, MAX_AHEAD, MAX_ASSURANCE, MAX_ATTRIBUTE_LIFE, MAX_ATTRIBUTE_REASON,
    MAX_ATTRIBUTES, OfSubject, RiskLevel, SubjectAttribute, Subjects,
};
pub use embedded::{EmbeddedStore, LimitBounds, MAX_CHARGES, QuotaFileError, QuotasFound};
pub use folder::{FolderError, StateFolder};
pub use limit::{
    Charge, ChargeOutcome, Charged, Limit, LimitKey, MAX_UNITS, Period, Quota, Rate, RatePer, Reservation,
    Reserved, Standing, parse_quota, parse_rate,
};
pub use overrides::{
    EmbeddedOverrides, Known, LimitOverride, MAX_LIMIT_NAME, MAX_OVERRIDES, NotKnown, Overridden,
    OverrideError, OverrideFuture, OverrideOpenError, OverridePlace, OverrideStore, Overrides, Whose,
};
pub use redis::{
    Address, AddressError, Examination, FeedClock, LimitsWithout, Prefix, RedisAttributes, RedisConfig,
    RedisOverrides, RedisPlace, RedisRevocations, RedisStore, Replica, WindowBounds, examine,
};
pub use replay::{Bound, Claim, ClaimOutcome, Claimed, Epoch, Nodes, ReplayHealth, ReplayKey, ReplayLimits};
pub use replicas::{
    Acknowledged, Fleet, Itself, MAX_REPLICA_NAME, MAX_REPORT, MOST_LISTED, Presence, Reached, ReplicaName,
    Report, ReportTooLong,
};
pub use revocation::{
    Asked, Changed, EmbeddedRevocations, Finding, FleetFuture, Form, InForce, Keeping, Lift, MAX_AUTHOR,
    MAX_LABEL, MAX_REASON, NotRevoked, Note, NoteTooLong, Page, Position, Revocation, RevocationError,
    RevocationFuture, RevocationHealth, RevocationKind, RevocationLimits, RevocationOpenError,
    RevocationStore, Revoked, Snapshot, Staleness, Target, TornTail, Unknown,
};
pub use sources::{Attempt, SourceKey, SourceLimits};
