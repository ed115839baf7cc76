//! A world as plain data: who issues what, what is asked, and under which rules.

use std::collections::BTreeSet;

/// Names a key, a certificate or a token.
pub(crate) type Id = u32;
pub(crate) type Reason = &'static str;

/// An issuer, as configured, and what it publishes now.
#[derive(Clone, Debug)]
pub(crate) struct Issuer {
    pub(crate) name: &'static str,
    pub(crate) audiences: &'static [&'static str],
    pub(crate) tenants: &'static [&'static str],
    pub(crate) leeway: i64,
    pub(crate) lifetime: i64,
    /// Empty: never loaded.
    pub(crate) keys: BTreeSet<Id>,
}

/// Keys of one remainder are of one algorithm.
pub(crate) const ALGORITHMS: Id = 2;

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) id: Id,
    /// `None`: one that nobody knows.
    pub(crate) issuer: Option<usize>,
    pub(crate) signer: Id,
    pub(crate) names_key: Option<Id>,
    pub(crate) agent: &'static str,
    pub(crate) user: Option<&'static str>,
    pub(crate) tenant: Option<&'static str>,
    pub(crate) scopes: Vec<&'static str>,
    pub(crate) audience: &'static str,
    pub(crate) issued: i64,
    pub(crate) expires: i64,
    pub(crate) not_before: Option<i64>,
    pub(crate) key: Option<Id>,
    pub(crate) certificate: Option<Id>,
    pub(crate) actors: Vec<&'static str>,
    /// `may_act`
    pub(crate) may_act: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Nonce {
    Ours { epoch: u32, key: Id, host: &'static str, at: i64 },
    Foreign,
}

#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub(crate) shows: Id,
    pub(crate) signer: Id,
    /// `jti`
    pub(crate) id: Id,
    pub(crate) method: &'static str,
    pub(crate) host: &'static str,
    pub(crate) path: Path,
    pub(crate) issued: i64,
    pub(crate) token: Id,
    pub(crate) nonce: Option<Nonce>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) route: &'static str,
    pub(crate) tenant: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) id: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    None,
    Bearer(Token),
    Dpop(Token, Option<Proof>),
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) host: &'static str,
    pub(crate) path: Path,
    pub(crate) credentials: Credentials,
    pub(crate) certificate: Option<Id>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    None,
    Any,
    Dpop,
    Mtls,
}

#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) name: &'static str,
    pub(crate) methods: &'static [&'static str],
    pub(crate) public: bool,
    pub(crate) sender: Sender,
    pub(crate) scopes: Vec<&'static str>,
    /// The scope `item:<id>` too.
    pub(crate) item_scope: bool,
    /// Tokens must be for this and go on to it.
    pub(crate) forward: Option<&'static str>,
    /// What is done here, and with what.
    pub(crate) action: &'static str,
    pub(crate) of: &'static str,
    pub(crate) user: User,
    /// Whether the user has to be permitted as well.
    pub(crate) both: bool,
}

/// Whether a route takes tokens with a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    Any,
    Required,
    Refused,
}

/// `Use` and `Keep` are in the group `Touch`; `Drop` is in none.
pub(crate) const TOUCH: [&str; 2] = ["Use", "Keep"];
pub(crate) const ACTIONS: [&str; 3] = ["Use", "Keep", "Drop"];
/// The types of things.
pub(crate) const KINDS: [&str; 2] = ["Item", "Shelf"];

/// Which actions a policy is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Actions {
    One(&'static str),
    Group,
    OneOf(&'static [&'static str]),
}

/// Which things a policy is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Things {
    All(&'static str),
    One(&'static str, &'static str),
    Of(&'static str),
    AllOf(&'static str, &'static str),
}

/// Permits or forbids where everything that it names is so; `fails` instead, if it does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) id: String,
    pub(crate) forbid: bool,
    pub(crate) fails: bool,
    pub(crate) actions: Option<Actions>,
    pub(crate) things: Option<Things>,
    pub(crate) agent: Option<&'static str>,
    /// The user as principal, where there is no `agent`.
    pub(crate) person: Option<&'static str>,
    /// Where there is neither.
    pub(crate) agents_of: Option<&'static str>,
    pub(crate) user: Option<&'static str>,
    pub(crate) kind: Option<&'static str>,
    pub(crate) tenant: Option<&'static str>,
    pub(crate) scope: Option<&'static str>,
    pub(crate) constraint: Option<&'static str>,
    pub(crate) actor: Option<&'static str>,
    /// An actor before the current one; only where it forbids.
    pub(crate) prior: Option<&'static str>,
    pub(crate) client: Option<&'static str>,
    pub(crate) route: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) routes: Vec<Route>,
    pub(crate) policies: Vec<Policy>,
}

/// What the upstream is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) agent: String,
    /// Not told.
    pub(crate) client: String,
    pub(crate) user: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) actors: Vec<String>,
    pub(crate) forwarded: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The identity, absent on a public route, or the reason.
    pub(crate) decision: Result<Option<Identity>, Reason>,
    /// The determining policies.
    pub(crate) policies: BTreeSet<String>,
    /// The nonce that is handed out.
    pub(crate) nonce: Option<Nonce>,
}

#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) key: usize,
    pub(crate) tenant: usize,
    pub(crate) all: usize,
}

/// How proofs are judged: seconds.
pub(crate) const AGE: i64 = 60;
pub(crate) const SKEW: i64 = 5;
pub(crate) const FUTURE: i64 = 10;
/// How far ahead of now a token may be issued.
pub(crate) const TOKEN_AHEAD: i64 = 60;
