//! `exequatur revoke`, `agents` and `kill`

use clap::{Args, Subcommand};
use exequatur_admin::wire::{Kill as KillOrder, Resume, Revoke as Order, Suspend, Undo};

use crate::admin::{Admin, Confirmed, Ending, Listing, Rest, confirm, in_path, list, tell};
use crate::exit::Failure;
use crate::output::Output;

/// Stop what rests on something, and take that back.
#[derive(Debug, Subcommand)]
pub(crate) enum Revoke {
    /// One token, by its id or by the digest that records show.
    Token(Token),
    /// A key or a certificate, by its SHA-256 thumbprint.
    Key(Named),
    /// An agent, wherever it stands in a chain: `<issuer>:<id>`; with one issuer alone, its name may be left out.
    Agent(Named),
    /// A user: `<issuer>:<id>`.
    User(Named),
    /// A session: `<issuer>:<sid>`.
    Session(Named),
    /// An OAuth client: `<issuer>:<client_id>`.
    Client(Named),
    /// A tenant.
    Tenant(Wide),
    /// An issuer, by its name in the configuration.
    Issuer(Wide),
    /// What is revoked.
    List(ListAll),
    /// Take a revocation back. Suspensions stay.
    Undo(TakeBack),
}

/// A token.
#[derive(Args, Debug)]
pub(crate) struct Token {
    /// `<issuer>:<jti>`
    #[arg(required_unless_present = "digest")]
    id: Option<String>,
    /// `<issuer>:<digest>`, with `controls.token.digest` of a record, instead of the id.
    #[arg(long, conflicts_with = "id")]
    digest: Option<String>,
    #[command(flatten)]
    terms: Terms,
}

/// Something by its name.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// Its name, as records and headers show it. A thumbprint may begin with a hyphen.
    #[arg(allow_hyphen_values = true, value_parser = not_an_option)]
    id: String,
    #[command(flatten)]
    terms: Terms,
}

/// Something wide by its name.
#[derive(Args, Debug)]
pub(crate) struct Wide {
    /// Its name, as records and headers show it.
    id: String,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    confirmed: Confirmed,
}

/// How and why.
#[derive(Args, Debug)]
pub(crate) struct Terms {
    /// Revoke only what was issued at or before this instant (RFC 3339), or `now`.
    #[arg(long, value_name = "TIME")]
    not_before: Option<String>,
    #[command(flatten)]
    ending: Ending,
    #[command(flatten)]
    rest: Rest,
}

/// The list.
#[derive(Args, Debug)]
pub(crate) struct ListAll {
    /// Of this kind only.
    #[arg(long)]
    kind: Option<Kind>,
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    admin: Admin,
    /// How to show it.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// What is taken back.
#[derive(Args, Debug)]
pub(crate) struct TakeBack {
    /// What kind of thing.
    kind: Kind,
    /// Its name; none for `all`.
    #[arg(allow_hyphen_values = true, value_parser = not_an_option, required_if_eq_any([("kind", "key"), ("kind", "agent"), ("kind", "user"), ("kind", "session"), ("kind", "client"), ("kind", "tenant"), ("kind", "issuer")]))]
    id: Option<String>,
    /// A token by the digest that records show, instead of its id.
    #[arg(long, conflicts_with = "id")]
    digest: Option<String>,
    #[command(flatten)]
    rest: Rest,
}

/// A kind of thing.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Kind {
    /// One token.
    Token,
    /// A key or a certificate.
    Key,
    /// An agent.
    Agent,
    /// A user.
    User,
    /// A session.
    Session,
    /// An OAuth client.
    Client,
    /// A tenant.
    Tenant,
    /// An issuer.
    Issuer,
    /// Everything: the kill switch.
    All,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Key => "key",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Session => "session",
            Self::Client => "client",
            Self::Tenant => "tenant",
            Self::Issuer => "issuer",
            Self::All => "all",
        }
    }
}

/// Suspend agents, and let them go on.
#[derive(Debug, Subcommand)]
pub(crate) enum Agents {
    /// Stop an agent until it is resumed.
    Suspend(SuspendAgent),
    /// Let a suspended agent go on. What was revoked stays so.
    Resume(ResumeAgent),
    /// Agents that are suspended or revoked.
    List(ListAgents),
}

/// Suspends.
#[derive(Args, Debug)]
pub(crate) struct SuspendAgent {
    /// `<issuer>:<id>`
    id: String,
    #[command(flatten)]
    ending: Ending,
    #[command(flatten)]
    rest: Rest,
}

/// Resumes.
#[derive(Args, Debug)]
pub(crate) struct ResumeAgent {
    /// `<issuer>:<id>`
    id: String,
    #[command(flatten)]
    rest: Rest,
}

/// Lists.
#[derive(Args, Debug)]
pub(crate) struct ListAgents {
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    admin: Admin,
    /// How to show it.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Stop a tenant, or everything.
///
/// Taken back with `exequatur revoke undo tenant <NAME>` or `exequatur revoke undo all`.
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("extent").required(true).args(["tenant", "all"])))]
pub(crate) struct Kill {
    /// This tenant.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Everything.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    ending: Ending,
    #[command(flatten)]
    rest: Rest,
    #[command(flatten)]
    confirmed: Confirmed,
}

/// A hyphen begins a name only where it begins a thumbprint; else it is a slip of the pen.
fn not_an_option(text: &str) -> Result<String, String> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if text.starts_with('-') && (text.len() != 43 || !text.bytes().all(letter)) {
        return Err("neither an option nor a thumbprint (43 characters of base64url)".to_owned());
    }
    Ok(text.to_owned())
}

impl Revoke {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Token(Token { id, digest, terms }) => revoke(Kind::Token, id, digest, terms),
            Self::Key(Named { id, terms }) => revoke(Kind::Key, Some(id), None, terms),
            Self::Agent(Named { id, terms }) => revoke(Kind::Agent, Some(id), None, terms),
            Self::User(Named { id, terms }) => revoke(Kind::User, Some(id), None, terms),
            Self::Session(Named { id, terms }) => revoke(Kind::Session, Some(id), None, terms),
            Self::Client(Named { id, terms }) => revoke(Kind::Client, Some(id), None, terms),
            Self::Tenant(wide) => wide.run(Kind::Tenant),
            Self::Issuer(wide) => wide.run(Kind::Issuer),
            Self::List(ListAll { kind, listing, admin, output }) => {
                list(&admin, &listing, kind.map(Kind::word), output)
            }
            Self::Undo(TakeBack { kind, id, digest, rest }) => {
                let (kind, reason) = (kind.word().to_owned(), rest.reason.clone());
                give(&rest, "/v1/revocations/undo", &Undo { kind, name: id, digest, reason }, "lifted")
            }
        }
    }
}

impl Wide {
    fn run(self, kind: Kind) -> Result<(), Failure> {
        let Self { id, terms, confirmed } = self;
        confirm(&confirmed, &format!("this stops everybody of {} {id}", kind.word()))?;
        revoke(kind, Some(id), None, terms)
    }
}

fn revoke(kind: Kind, name: Option<String>, digest: Option<String>, terms: Terms) -> Result<(), Failure> {
    let Terms { not_before, ending, rest } = terms;
    let (kind, until, reason) = (kind.word().to_owned(), ending.instant()?, rest.reason.clone());
    give(&rest, "/v1/revocations", &Order { kind, name, digest, not_before, until, reason }, "revoked")
}

impl Agents {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Suspend(SuspendAgent { id, ending, rest }) => {
                let order = Suspend { until: ending.instant()?, reason: rest.reason.clone() };
                give(&rest, &format!("/v1/agents/{}/suspend", in_path(&id)), &order, "suspended")
            }
            Self::Resume(ResumeAgent { id, rest }) => {
                let order = Resume { reason: rest.reason.clone() };
                give(&rest, &format!("/v1/agents/{}/resume", in_path(&id)), &order, "resumed")
            }
            Self::List(ListAgents { listing, admin, output }) => {
                list(&admin, &listing, Some("agent"), output)
            }
        }
    }
}

impl Kill {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Self { tenant, all, ending, rest, confirmed } = self;
        let question = match &tenant {
            Some(tenant) => format!("this stops everybody of tenant {tenant}"),
            None => "this stops everything".to_owned(),
        };
        confirm(&confirmed, &question)?;
        let (until, reason) = (ending.instant()?, rest.reason.clone());
        give(&rest, "/v1/kill", &KillOrder { tenant, everything: all, until, reason }, "stopped")
    }
}

fn give(rest: &Rest, path: &str, order: &impl serde::Serialize, did: &str) -> Result<(), Failure> {
    tell(&rest.post(path, order)?, did, rest.output)
}
