//! What is known of a request so far: for the record, for explaining, and for the form of a denial (which
//! challenge, 404 in place of 403). Whether a request is permitted never depends on it.

use std::fmt;
use std::sync::Arc;

use exequatur_policy::{PrincipalKind, Principals};
use exequatur_token::{
    Bound, CertificateThumbprint, Constraint, KeySetId, Thumbprint, TokenSource, VerifiedToken,
};

use crate::host::Host;
use crate::recorded::RecordedParts;
use crate::sender::SenderRequirement;
use crate::step_up::StepUp;

/// A stage of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Strict parsing.
    Present,
    /// What is asked.
    Route,
    /// Token, proof, binding, delegation.
    Authenticate,
    /// Tenant, scopes, step-up, authorization details, sender constraint.
    Require,
    /// Replay, limits.
    Admit,
    /// Policies.
    Authorize,
    /// What goes with the permit.
    Settle,
}

impl Stage {
    /// The stage's name, as records and explanations show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Route => "route",
            Self::Authenticate => "authenticate",
            Self::Require => "require",
            Self::Admit => "admit",
            Self::Authorize => "authorize",
            Self::Settle => "settle",
        }
    }
}

/// How the sender was constrained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderFact {
    /// Not at all.
    Bearer,
    /// By a DPoP proof.
    Dpop,
    /// By a client certificate.
    Mtls,
    /// By both.
    DpopAndMtls,
}

impl SenderFact {
    /// How a bound identity's sender was constrained.
    pub(crate) fn of(bound: &Bound) -> Self {
        match bound.constraint() {
            Constraint::Bearer => Self::Bearer,
            Constraint::Dpop(_) => Self::Dpop,
            Constraint::Certificate(_) => Self::Mtls,
            Constraint::Both(..) => Self::DpopAndMtls,
        }
    }

    /// The word that policies and records use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Dpop => "dpop",
            Self::Mtls => "mtls",
            Self::DpopAndMtls => "dpop_mtls",
        }
    }
}

/// What the replay store said of the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayFact {
    /// First use; claimed.
    Fresh,
    /// Used before.
    Replayed,
    /// The store cannot know; a nonce was asked for.
    Doubtful,
    /// Too old by the time it was to be claimed.
    Expired,
    /// No room for another proof of this key or tenant, or at all.
    Full,
    /// No answer.
    Unavailable,
}

impl ReplayFact {
    /// The word that records use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Replayed => "replayed",
            Self::Doubtful => "doubtful",
            Self::Expired => "expired",
            Self::Full => "full",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Whether the token meets something that the route asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequirementFact {
    /// It does.
    Met,
    /// It does not.
    Unmet,
}

impl RequirementFact {
    pub(crate) fn of(met: bool) -> Self {
        if met { Self::Met } else { Self::Unmet }
    }

    /// The word that records use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Unmet => "unmet",
        }
    }
}

/// What is known of the revocation of what the token rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationFact {
    /// Nothing of it is revoked.
    Clear,
    /// Nothing of it was revoked when it was last heard of; that is too long ago, and accepted.
    Degraded,
    /// Something of it is.
    Revoked,
    /// It cannot be known.
    Unknown,
}

/// What the issuer's status list says of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFact {
    /// VALID.
    Valid,
    /// INVALID: revoked.
    Invalid,
    /// SUSPENDED.
    Suspended,
    /// Nothing, or nothing that is understood.
    Unknown,
    /// It was not asked: no list is taken from where the token says.
    NotAsked,
    /// The list is not there.
    Unavailable,
}

impl StatusFact {
    /// The word that records use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Suspended => "suspended",
            Self::Unknown => "unknown",
            Self::NotAsked => "not_asked",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What the issuer says of the token, where it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntrospectionFact {
    /// It is active.
    Active,
    /// It is not.
    Inactive,
    /// It is active, and what is said of it does not hold.
    Refused,
    /// Nothing.
    Unavailable,
}

impl IntrospectionFact {
    /// The word that records use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What was used of before, because the last load of it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptFact {
    /// The issuer's keys.
    Keys,
    /// The status list that said VALID.
    StatusList,
}

/// What the proof's nonce was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceFact {
    /// None came.
    Absent,
    /// One of ours.
    Valid,
    /// Not one of ours, or not for this key and origin.
    Foreign,
}

/// What a verified token says beside identities. It shows none of it by accident.
#[derive(Clone)]
pub struct Stated(Arc<VerifiedToken>);

impl Stated {
    pub(crate) fn of(token: &Arc<VerifiedToken>) -> Self {
        Self(Arc::clone(token))
    }

    /// The scopes that the token has.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.0.scopes().as_str().split(' ').filter(|scope| !scope.is_empty())
    }

    /// What it was issued for.
    #[must_use]
    pub fn purpose(&self) -> Option<&str> {
        self.0.intent().purpose()
    }

    /// The digest of the prompt that led to the request.
    #[must_use]
    pub fn prompt_hash(&self) -> Option<&str> {
        self.0.intent().prompt_hash()
    }
}

impl fmt::Debug for Stated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stated").finish_non_exhaustive()
    }
}

/// What was established, stage by stage. A field that is `None` was not reached.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The request's method, once it is well formed.
    pub method: Option<String>,
    /// The request's host, normalised.
    pub host: Option<Host>,
    /// The route that matched.
    pub route: Option<String>,
    /// Its action.
    pub action: Option<String>,
    /// The resource's type.
    pub resource_type: Option<String>,
    /// The resource's id, from the path.
    pub resource_id: Option<String>,
    /// The resource's tenant, from the path or the configuration.
    pub resource_tenant: Option<String>,
    /// How the matched route wants its sender constrained; what challenges offer depends on it.
    pub sender_needed: Option<SenderRequirement>,
    /// Whether the matched route answers 404 where it would answer 403.
    pub hide: bool,
    /// Whether the credentials came under the DPoP scheme.
    pub dpop_scheme: bool,
    /// The name of the issuer whose token was verified.
    pub issuer: Option<String>,
    /// The agent that acts now, scoped by its issuer.
    pub agent: Option<String>,
    /// The agent that the token was issued to, if that is another one.
    pub client: Option<String>,
    /// The user on whose behalf, scoped by the issuer.
    pub user: Option<String>,
    /// The token's tenant.
    pub tenant: Option<String>,
    /// The rule under which the token asked for another tenant's resource.
    pub federation: Option<String>,
    /// The actors from the current one to the first, as the issuer stated them, and the agent that the chain begins with, where
    /// that is no user.
    pub actors: Vec<String>,
    /// SHA-256 of the token's `jti` (base64url, 16 octets of it): enough to find it, too little to use it.
    pub token_id_digest: Option<String>,
    /// The key set that the token was verified with, or what its issuer said of it.
    pub key_set: Option<KeySetId>,
    /// What the proof's nonce was worth.
    pub nonce: Option<NonceFact>,
    /// Whether the token had been verified before.
    pub token_cached: Option<bool>,
    /// Where what is known of the token comes from.
    pub token_source: Option<TokenSource>,
    /// What the issuer says of the token, if it is asked.
    pub introspection: Option<IntrospectionFact>,
    /// What else the token says.
    pub stated: Option<Stated>,
    /// What was used of before because the last load of it failed.
    pub kept: Vec<KeptFact>,
    /// Which parts of requests of the route are recorded.
    pub recorded: Option<Arc<RecordedParts>>,
    /// The parameters of the path among them.
    pub parameters: Vec<(String, String)>,
    /// The scopes that the route needs.
    pub scopes_needed: Vec<String>,
    /// What the matched route asks of the user's authentication; a challenge names it.
    pub step_up_needed: Option<StepUp>,
    /// Whether that is met.
    pub step_up: Option<RequirementFact>,
    /// Whether the token's details grant what the route asks, if it asks for any.
    pub authorization_details: Option<RequirementFact>,
    /// How the sender was constrained.
    pub sender: Option<SenderFact>,
    /// The proof's key.
    pub proof_key: Option<Thumbprint>,
    /// The certificate that the token is bound to and that was shown.
    pub certificate: Option<CertificateThumbprint>,
    /// Whether anything that the token rests on is revoked.
    pub revocation: Option<RevocationFact>,
    /// What the status list said that the token names, if it names one.
    pub status: Option<StatusFact>,
    /// What the replay store said.
    pub replay: Option<ReplayFact>,
    /// The limits that had no room.
    pub limits: Vec<String>,
    /// The determining policies.
    pub policies: Vec<String>,
    /// Whom no policy permits it, where that is why it is denied.
    pub unpermitted: Option<PrincipalKind>,
    /// Whom the policies had to permit it.
    pub principals: Principals,
}

/// Facts, and who wants to know when a stage begins.
pub struct Trail<'a> {
    /// What was established.
    pub facts: Facts,
    observer: &'a mut (dyn FnMut(Stage) + Send),
}

impl<'a> Trail<'a> {
    /// A trail that tells `observer` each stage as it begins.
    pub fn new(observer: &'a mut (dyn FnMut(Stage) + Send)) -> Self {
        Self { facts: Facts::default(), observer }
    }

    pub(crate) fn enter(&mut self, stage: Stage) {
        (self.observer)(stage);
    }
}

impl fmt::Debug for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail").field("facts", &self.facts).finish_non_exhaustive()
    }
}
