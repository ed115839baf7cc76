use jiff::Timestamp;

use crate::subject::Subject;

/// What a policy set is asked: may this agent do this, here and now? Facts only; how they came about
/// (tokens, headers, routes) is not its business.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Who asks.
    pub who: Who<'a>,
    /// Whom the policies have to permit it.
    pub principals: Principals,
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

/// Whom the policies have to permit the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Principals {
    /// The agent that acts.
    #[default]
    Agent,
    /// The agent that acts and the user on whose behalf: each for the same action on the same resource.
    Both,
}

impl Principals {
    /// As test files and routes spell it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Both => "both",
        }
    }

    /// Those who are asked about, each as a principal of its own.
    pub(crate) const fn kinds(self) -> &'static [PrincipalKind] {
        match self {
            Self::Agent => &[PrincipalKind::Agent],
            Self::Both => &[PrincipalKind::Agent, PrincipalKind::User],
        }
    }
}

/// One of those who can be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalKind {
    /// The agent that acts.
    Agent,
    /// The user on whose behalf.
    User,
}

/// Everybody whom a token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Who acts now: the outermost `act` of the token, else its client.
    pub actor: Principal<'a>,
    /// The agent that the token was issued to.
    pub client: Principal<'a>,
    /// On whose behalf, if on anybody's.
    pub user: Option<Principal<'a>>,
    /// The tenant that the token is for.
    pub tenant: Option<TenantFact<'a>>,
    /// Ids of the actors before the current one, the latest first.
    pub prior: &'a [&'a str],
}

/// A tenant, and what the configuration says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantFact<'a> {
    /// Its name.
    pub name: &'a str,
    /// How its data is classified.
    pub classification: Option<&'a str>,
    /// Where it is at home.
    pub region: Option<&'a str>,
}

impl<'a> TenantFact<'a> {
    /// A tenant of which nothing is said.
    #[must_use]
    pub const fn named(name: &'a str) -> Self {
        Self { name, classification: None, region: None }
    }
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
    pub tenant: Option<TenantFact<'a>>,
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
    /// Seconds from the token's issue to its expiry, 0 or more.
    pub token_lifetime_s: i64,
    /// How the token was verified.
    pub token_source: TokenSource,
    /// How and when the user logged in, as far as the token says.
    pub authentication: AuthenticationFacts<'a>,
    /// What the token says it may be used for in detail (RFC 9396).
    pub authorization_details: Vec<AuthorizationDetail<'a>>,
    /// How many actors the delegation chain has.
    pub delegation_depth: i64,
    /// The rule under which a token of one tenant may reach another's resource, if this is such a request.
    pub federation: Option<&'a str>,
    /// What signals have said. `None`: that is not known; a policy that reads it cannot be asked then.
    pub signals: Option<SignalFacts<'a>>,
}

/// How a token was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenSource {
    /// A JWT, by its issuer's signature.
    Jwt,
    /// By asking its issuer (RFC 7662).
    Introspection,
}

impl TokenSource {
    /// As policies spell it, in `context.token.source`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Introspection => "introspection",
        }
    }

    /// The inverse of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Jwt, Self::Introspection].into_iter().find(|each| each.as_str() == text)
    }
}

/// How and when the user logged in (RFC 9470, OpenID Connect Core section 2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthenticationFacts<'a> {
    /// `acr`.
    pub acr: Option<&'a str>,
    /// `amr`; empty if the token has none.
    pub methods: Vec<&'a str>,
    /// Seconds since `auth_time`, 0 or more.
    pub age_s: Option<i64>,
}

/// One of the token's `authorization_details` (RFC 9396 section 2.2) that is for this place: what is common to all types, but
/// for `locations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationDetail<'a> {
    /// `type`
    pub kind: &'a str,
    /// What it names of the type: a detail that narrows itself by more than one member is not told, since a record of one value
    /// would seem to be for all of the others.
    pub granted: Granted<'a>,
    /// `identifier`
    pub identifier: Option<&'a str>,
}

/// What of its type a detail names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Granted<'a> {
    /// All of it: none of the three members is there.
    Whole,
    /// `actions`
    Actions(Vec<&'a str>),
    /// `datatypes`
    Datatypes(Vec<&'a str>),
    /// `privileges`
    Privileges(Vec<&'a str>),
}

impl<'a> Granted<'a> {
    /// The member's name and its values; of all of a type, the type's own name.
    pub(crate) fn values(&self, kind: &'a str) -> (&'static str, Vec<&'a str>) {
        match self {
            Self::Whole => ("type", vec![kind]),
            Self::Actions(values) => ("actions", values.clone()),
            Self::Datatypes(values) => ("datatypes", values.clone()),
            Self::Privileges(values) => ("privileges", values.clone()),
        }
    }
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
