use jiff::Timestamp;

use crate::subject::Subject;

/// What a policy set is asked: may this agent do this, here and now? Facts only; how they came about
/// (tokens, headers, routes) is not its business.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Who asks.
    pub who: Who<'a>,
    /// The action: its id if it has no namespace (`ReadDocument`), else its full name
    /// (`Files::Action::"Read"`).
    pub action: &'a str,
    /// What it is done to.
    pub resource: ResourceFact<'a>,
    /// The circumstances.
    pub context: ContextFacts<'a>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub enum Who<'a> {
    /// Somebody who may ask once.
    Named(Identity<'a>),
    /// Somebody who was made ready before, by [`crate::PolicySet::subject`].
    Ready(&'a Subject),
}

/// Agent, user and tenant of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Who calls.
    pub agent: Principal<'a>,
    /// On whose behalf, if on anybody's.
    pub user: Option<Principal<'a>>,
    /// The tenant that the token is for.
    pub tenant: Option<&'a str>,
}

/// An agent or a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal<'a> {
    /// `<issuer name>:<claim>`.
    pub id: &'a str,
    /// The configured name of the issuer.
    pub issuer: &'a str,
    /// The tenant that it belongs to.
    pub tenant: Option<&'a str>,
}

/// What the request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceFact<'a> {
    /// The resource type as the schema names it.
    pub kind: &'a str,
    /// The id within its type. Ids of two tenants must not collide: a policy that names a resource
    /// sees this id alone.
    pub id: &'a str,
    /// The tenant that it belongs to: fills the attribute `tenant` if the type declares one, and is
    /// its parent if the type is declared `in [Exequatur::Tenant]`.
    pub tenant: Option<&'a str>,
    /// All other attributes; each name once, never `tenant`.
    pub attributes: Vec<(String, AttributeValue)>,
}

/// The value of a resource's attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// `String`.
    String(String),
    /// `Long`.
    Long(i64),
    /// `Bool`.
    Bool(bool),
    /// `Set<…>`.
    Set(Vec<Self>),
    /// A reference to an entity.
    Entity {
        /// Its type, as the schema names it.
        kind: String,
        /// Its id.
        id: String,
    },
}

/// What ties the token to its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SenderConstraint {
    /// Nothing.
    Bearer,
    /// A DPoP proof (RFC 9449).
    Dpop,
    /// A client certificate (RFC 8705).
    Mtls,
    /// Both.
    DpopMtls,
}

impl SenderConstraint {
    /// As policies spell it, in `context.sender_constraint`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Dpop => "dpop",
            Self::Mtls => "mtls",
            Self::DpopMtls => "dpop_mtls",
        }
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Bearer, Self::Dpop, Self::Mtls, Self::DpopMtls].into_iter().find(|each| each.as_str() == text)
    }
}

/// The circumstances of a request, as `Exequatur::Context` of the base schema describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextFacts<'a> {
    /// The instant of the decision.
    pub now: Timestamp,
    /// The token's scopes.
    pub scopes: Vec<&'a str>,
    /// What ties the token to its holder.
    pub sender_constraint: SenderConstraint,
    /// The HTTP method in upper case.
    pub method: &'a str,
    /// The route's name.
    pub route: &'a str,
    /// Seconds since the token was issued, 0 or more.
    pub token_age_s: i64,
    /// Seconds until the token expires, 0 or more.
    pub token_remaining_s: i64,
    /// How many actors the delegation chain has.
    pub delegation_depth: i64,
    /// The actor that acts now, if the chain has any.
    pub actor: Option<&'a str>,
    /// What signals have said. `None`: that is not known; a policy that reads it cannot be asked then.
    pub signals: Option<SignalFacts<'a>>,
}

/// What signals have said of each subject of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignalFacts<'a> {
    /// Of the agent.
    pub agent: SubjectSignals<'a>,
    /// Of the user.
    pub user: SubjectSignals<'a>,
    /// Of the session.
    pub session: SubjectSignals<'a>,
}

/// What signals have said of one subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectSignals<'a> {
    /// One of [`SubjectSignals::RISKS`].
    pub risk: Option<&'a str>,
    /// One of [`SubjectSignals::DEVICES`].
    pub device: Option<&'a str>,
    /// Namespace and level, each namespace once.
    pub assurance: Vec<(&'a str, &'a str)>,
}

impl SubjectSignals<'_> {
    /// As policies spell them.
    pub const RISKS: [&'static str; 3] = ["low", "medium", "high"];
    /// As policies spell them.
    pub const DEVICES: [&'static str; 2] = ["compliant", "not_compliant"];
}
