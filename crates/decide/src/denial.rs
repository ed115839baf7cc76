//! How a decision ends when it is not a permit: by the caller's fault or by ours.

use std::fmt;
use std::time::Duration;

use exequatur_issuers::{IntrospectionUnavailable, KeysUnavailable, ListUnavailable};
use exequatur_policy::{PolicyFault, PrincipalKind};
use exequatur_store::{Bound as StoreBound, Revoked, StoreError, Unknown};
use exequatur_token::{BindingError, ProofError, TokenError};

use crate::limits::LimitStanding;
use crate::path::PathRefusal;
use crate::reason::{Reason, binding_reason, proof_reason, revocation_reason, token_reason};
use crate::status::BadStatus;
use crate::step_up::StepUp;

/// Not permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The caller's fault.
    Denied(Denial),
    /// Ours: what was needed to decide is missing. Never a permit.
    Faulted(Fault),
}

/// The caller's fault, by its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The request cannot be read in one way.
    Malformed(Malformed),
    /// The path cannot be read in one way.
    PathRefused(PathRefusal),
    /// No protected resource has this host.
    HostUnknown,
    /// No route matches.
    RouteUnmatched,
    /// No credentials where the route needs them.
    CredentialsMissing,
    /// Neither `Bearer` nor `DPoP`.
    SchemeUnsupported,
    /// More than one credential.
    MultipleCredentials,
    /// A token in the query.
    TokenInQuery,
    /// The access token does not hold.
    Token(TokenError),
    /// The issuer was asked about the token, and says that it is not active.
    Inactive,
    /// The proof does not hold.
    Proof(ProofError),
    /// A nonce is asked for, and none came.
    NonceRequired(FreshNonce),
    /// A nonce came that cannot be taken.
    NonceInvalid(FreshNonce),
    /// Token and sender do not belong together.
    Binding(BindingError),
    /// The route needs a sender constraint that the token does not have.
    BindingRequired,
    /// The token is of another tenant, or of none.
    TenantMismatch,
    /// Scopes are missing; all that the route needs are named.
    ScopeInsufficient {
        /// Every scope that the route needs.
        needed: Vec<String>,
    },
    /// Somebody acts whom the token does not name as the one that may (X06).
    ActorNotPermitted,
    /// The route is for agents that act for a user, and this one acts for itself.
    UserRequired,
    /// The route is for what agents do for themselves, and this one acts for a user.
    UserNotAllowed,
    /// The user was not authenticated as, or as recently as, the route needs.
    StepUpRequired(StepUp),
    /// No detail of the token grants what the route needs.
    AuthorizationDetailsInsufficient,
    /// Something that the token rests on is revoked.
    Revoked(Revoked),
    /// The issuer's status list does not say that the token is valid.
    Status(BadStatus),
    /// The proof was used before.
    Replayed,
    /// This key or tenant has as many live proofs as it may have.
    ReplayBound(StoreBound),
    /// At least one limit has no room ([`exequatur_store::Standing::wait`]); all that apply are named.
    Limited(Vec<LimitStanding>),
    /// Too many requests from this source came without credentials that hold.
    SourceLimited {
        /// Until another one would be looked at.
        wait: Duration,
    },
    /// A policy forbids it.
    Forbidden {
        /// The determining policies.
        policies: Vec<String>,
    },
    /// No policy permits it.
    NotPermitted {
        /// Whom none permits it; the agent, if that is so of both.
        principal: PrincipalKind,
    },
}

/// What about the request's shape is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The description of the request is incomplete.
    Incomplete,
    /// The method is no token, or too long.
    Method,
    /// The host is missing, or several.
    Host,
    /// More header fields than are looked at.
    TooManyHeaders,
    /// A field that an upstream might take for an override of method or path.
    Override,
    /// `Authorization` is not `scheme token68`.
    Authorization,
    /// `Authorization` is longer than any token may be.
    AuthorizationTooLong,
    /// The client certificate that the proxy passed on cannot be read.
    Certificate,
}

/// Ours: something needed for the decision is missing, broken or late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The issuer's keys were never loaded, or are too old.
    Keys(KeysUnavailable),
    /// It is not known what is revoked.
    Revocations(Unknown),
    /// The status list that the token names is not there.
    StatusList(ListUnavailable),
    /// The issuer is asked about the token, and nothing is known of it.
    Introspection(IntrospectionUnavailable),
    /// A policy reads what signals have said of the subjects, and that is not known.
    Signals,
    /// The replay store did not answer, or is full.
    Replay(StoreError),
    /// The replay store holds as many live proofs as it may hold.
    ReplayFull,
    /// The store did not answer, for a request without a proof: its limits are not known to have room.
    Limits(StoreError),
    /// It was never heard which limits are set otherwise.
    Overrides,
    /// The store remembers as many levels of limits as it may.
    LimitsFull,
    /// A policy failed while deciding, or the question did not fit the schema.
    Policy(PolicyFault),
    /// No answer within the time that the proxy waits.
    Deadline,
    /// More decisions at once than are allowed.
    Overloaded,
    /// The record could not be kept, and must be.
    Record,
    /// An invariant does not hold; a defect.
    Internal,
}

/// A nonce for the caller's next proof (RFC 9449 §9).
#[derive(Clone, PartialEq, Eq)]
pub struct FreshNonce(String);

impl FreshNonce {
    pub(crate) fn new(nonce: String) -> Self {
        Self(nonce)
    }

    /// One that no store has made, for tests of what is done with them. No request with it is ever permitted.
    #[doc(hidden)]
    #[must_use]
    pub fn assertion(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The value of the `DPoP-Nonce` field.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FreshNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FreshNonce(..)")
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Faulted(fault)
    }
}

impl Refusal {
    /// The one reason that records, metrics and the answer name.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Denied(denial) => denial.reason(),
            Self::Faulted(fault) => fault.reason(),
        }
    }
}

impl Denial {
    /// The reason in the vocabulary.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Malformed(Malformed::AuthorizationTooLong) => Reason::TokenTooLarge,
            Self::Malformed(
                Malformed::Incomplete
                | Malformed::Method
                | Malformed::Host
                | Malformed::TooManyHeaders
                | Malformed::Override
                | Malformed::Authorization
                | Malformed::Certificate,
            ) => Reason::RequestMalformed,
            Self::PathRefused(_) => Reason::PathRefused,
            Self::HostUnknown => Reason::HostUnknown,
            Self::RouteUnmatched => Reason::RouteUnmatched,
            Self::CredentialsMissing => Reason::CredentialsMissing,
            Self::SchemeUnsupported => Reason::AuthSchemeUnsupported,
            Self::MultipleCredentials => Reason::MultipleCredentials,
            Self::TokenInQuery => Reason::TokenInQuery,
            Self::Token(error) => token_reason(error),
            Self::Proof(error) => proof_reason(error),
            Self::NonceRequired(_) => Reason::DpopNonceRequired,
            Self::NonceInvalid(_) => Reason::DpopNonceInvalid,
            Self::Binding(error) => binding_reason(error),
            Self::BindingRequired => Reason::TokenBindingRequired,
            Self::TenantMismatch => Reason::TenantMismatch,
            Self::ScopeInsufficient { .. } => Reason::ScopeInsufficient,
            Self::ActorNotPermitted => Reason::ActorNotPermitted,
            Self::UserRequired => Reason::UserRequired,
            Self::UserNotAllowed => Reason::UserNotAllowed,
            Self::StepUpRequired(_) => Reason::StepUpRequired,
            Self::AuthorizationDetailsInsufficient => Reason::AuthorizationDetailsInsufficient,
            Self::Revoked(revoked) => revocation_reason(revoked),
            Self::Status(BadStatus::Invalid) => Reason::TokenRevoked,
            Self::Status(BadStatus::Suspended) | Self::Inactive => Reason::TokenInactive,
            Self::Status(BadStatus::Unknown | BadStatus::NotAsked) => Reason::StatusListInvalid,
            Self::Replayed => Reason::DpopReplay,
            Self::ReplayBound(_) | Self::Limited(_) | Self::SourceLimited { .. } => Reason::RateLimited,
            Self::Forbidden { .. } => Reason::PolicyForbid,
            Self::NotPermitted { .. } => Reason::PolicyNoPermit,
        }
    }
}

impl Fault {
    /// The reason in the vocabulary.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Keys(_) => Reason::IssuerKeysUnavailable,
            Self::Revocations(_) | Self::Signals => Reason::StateStale,
            Self::StatusList(_) => Reason::StatusListUnavailable,
            Self::Introspection(_) => Reason::IntrospectionUnavailable,
            Self::Replay(_) | Self::ReplayFull => Reason::ReplayStoreUnavailable,
            Self::Limits(_) | Self::Overrides | Self::LimitsFull => Reason::LimitsUnavailable,
            Self::Policy(_) => Reason::PolicyError,
            Self::Deadline | Self::Overloaded => Reason::Overloaded,
            Self::Record => Reason::AuditUnavailable,
            Self::Internal => Reason::InternalError,
        }
    }
}
