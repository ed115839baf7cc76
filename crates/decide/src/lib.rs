//! The decision: one straight line from what was presented to what is permitted.
//!
//! Read [`check`] first. Each stage is a file of its own, in the order of the line, and takes the evidence
//! of the stage before by value; only that stage can make it, so leaving one out does not compile:
//!
//! `presented` → `route` → `authenticate` → `require` → `admit` → `authorize` → `settle`
//!
//! A stage ends in evidence, in a [`Denial`] (the caller's fault) or in a [`Fault`] (ours). Nothing here
//! knows of Envoy, of gRPC, or of a clock: `now` is an argument.

mod admit;
mod authenticate;
mod authorization_details;
mod authorize;
mod cache;
mod check;
mod credentials;
mod decider;
mod denial;
mod federation;
mod generation;
mod host;
mod introspection;
mod known_token;
mod limits;
mod overrides;
mod path;
mod presented;
mod protected;
mod reason;
mod recorded;
mod require;
mod revocation;
mod route;
mod routes;
mod sender;
mod settle;
mod source;
mod status;
mod step_up;
mod template;
mod tenants;
mod trail;

pub use authorization_details::{DetailTemplate, Locations};
pub use cache::{CacheConfig, TokenCache};
pub use credentials::Credentials;
pub use decider::{Decider, DeciderParts, NonceMode, SenderPolicy, SharedNonces, default_unauthenticated};
pub use denial::{Denial, Fault, FreshNonce, Malformed, Refusal};
pub use federation::{Federation, Federations};
pub use generation::Generation;
pub use host::Host;
pub use limits::{LimitRule, LimitRules, LimitStanding, Per};
pub use overrides::OVERRIDES;
pub use path::{PathRefusal, RequestPath, query_values};
pub use presented::{BodySeen, RawRequest};
pub use protected::{ProtectedResource, ProtectedResources};
pub use reason::Reason;
pub use recorded::{MAX_RECORDED_PARTS, NotRecordable, PartForm, RecordedPart, RecordedParts};
pub use revocation::{NotRevocable, Revocable, kind_word, operator_targets};
pub use routes::{
    Access, AttributeTemplate, CredentialHandling, Guard, PathPattern, PatternError, ResourceTemplate, Route,
    RouteMatch, RouteMisfit, RouteProblem, Routes, UserRequirement,
};
pub use sender::SenderRequirement;
pub use settle::{Grant, Settled};
pub use status::BadStatus;
pub use step_up::StepUp;
pub use template::{Template, TemplateError};
pub use tenants::{TenantTraits, Tenants};
pub use trail::{
    Facts, IntrospectionFact, KeptFact, NonceFact, ReplayFact, RequirementFact, RevocationFact, SenderFact,
    Stage, Stated, StatusFact, Trail,
};
