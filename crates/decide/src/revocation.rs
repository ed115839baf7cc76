//! What a token can be stopped by, and what that is called: the same names that records and headers show.

use std::fmt;

use exequatur_store::{Asked, RevocationKind, Target};
use exequatur_token::{CertificateThumbprint, IssuerName, ScopedId, Thumbprint, VerifiedToken};
use sha2::{Digest, Sha256};

use crate::cache::token_id_digest;

/// The name of something that can be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocable {
    kind: RevocationKind,
    // INVARIANT (canonical): one spelling for each thing, so that equal names have equal digests.
    name: String,
}

impl Revocable {
    /// Everything.
    #[must_use]
    pub const fn all() -> Self {
        Self { kind: RevocationKind::All, name: String::new() }
    }

    /// From a kind's word and a name: `<issuer>:<id>` for a token, an agent, a user, a session and a client, the name
    /// alone for a tenant and an issuer, a SHA-256 thumbprint for a key or a certificate, nothing for `all`. A token's
    /// id becomes its digest, as records show it.
    ///
    /// # Errors
    /// [`NotRevocable`]
    pub fn parse(kind: RevocationKind, name: &str) -> Result<Self, NotRevocable> {
        let name = match kind {
            RevocationKind::TokenId => {
                let id = scoped(name)?;
                token_name(id.issuer(), id.id()).ok_or(NotRevocable::Name)?
            }
            RevocationKind::Agent
            | RevocationKind::User
            | RevocationKind::Session
            | RevocationKind::Client => scoped(name)?.to_string(),
            RevocationKind::Key => {
                Thumbprint::from_base64url(name).or(Err(NotRevocable::Thumbprint))?.to_string()
            }
            RevocationKind::Tenant => {
                // A tenant's name has the form of an id; the issuer is not looked at.
                let issuer = "a".parse().or(Err(NotRevocable::Name))?;
                ScopedId::new(&issuer, name).or(Err(NotRevocable::Name))?.id().to_owned()
            }
            RevocationKind::Issuer => {
                name.parse::<IssuerName>().or(Err(NotRevocable::Issuer))?.as_str().to_owned()
            }
            RevocationKind::All if name.is_empty() => String::new(),
            RevocationKind::All => return Err(NotRevocable::Name),
        };
        Ok(Self { kind, name })
    }

    /// A token by the digest of its id, `<issuer>:<digest>` with the digest that records show.
    ///
    /// # Errors
    /// [`NotRevocable`]
    pub fn token_by_digest(name: &str) -> Result<Self, NotRevocable> {
        let id = scoped(name)?;
        let letters = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        if id.id().len() == 22 && id.id().bytes().all(letters) {
            Ok(Self { kind: RevocationKind::TokenId, name: id.to_string() })
        } else {
            Err(NotRevocable::Digest)
        }
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> RevocationKind {
        self.kind
    }

    /// The name in its one spelling.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the store knows it by.
    #[must_use]
    pub fn target(&self) -> Target {
        target(self.kind, &self.name)
    }

    /// The issuer that vouches for the name, where one does.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match self.kind {
            RevocationKind::TokenId
            | RevocationKind::Agent
            | RevocationKind::User
            | RevocationKind::Session
            | RevocationKind::Client => self.name.split_once(':').map(|(issuer, _)| issuer),
            RevocationKind::Issuer => Some(&self.name),
            RevocationKind::Key | RevocationKind::Tenant | RevocationKind::All => None,
        }
    }
}

/// Why a name names nothing that can be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRevocable {
    /// Not `<issuer>:<id>`.
    #[error("not `<issuer name>:<id>`")]
    Unscoped,
    /// Empty, too long, or with control characters.
    #[error("a name is 1 to 256 characters without control characters; for everything there is none")]
    Name,
    /// Not a thumbprint.
    #[error("not a SHA-256 thumbprint in base64url (43 characters)")]
    Thumbprint,
    /// Not an issuer's name.
    #[error("not the short name of an issuer (1 to 32 of a-z, 0-9 and -)")]
    Issuer,
    /// Not the digest of a token's id.
    #[error("not `<issuer name>:<digest>` with a digest of 22 characters as records show it")]
    Digest,
}

/// The word of a kind, in commands, answers and records.
#[must_use]
pub const fn kind_word(kind: RevocationKind) -> &'static str {
    match kind {
        RevocationKind::TokenId => "token",
        RevocationKind::Key => "key",
        RevocationKind::Agent => "agent",
        RevocationKind::User => "user",
        RevocationKind::Session => "session",
        RevocationKind::Client => "client",
        RevocationKind::Tenant => "tenant",
        RevocationKind::Issuer => "issuer",
        RevocationKind::All => "all",
    }
}

impl fmt::Display for Revocable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(kind_word(self.kind))?;
        // Everything has no name.
        if self.name.is_empty() { Ok(()) } else { write!(f, " {}", self.name) }
    }
}

/// What can stop an operator's token: all that can stop a token but the kill switch of everything. Who has thrown that has to
/// be able to take it back (E-03).
#[must_use]
pub fn operator_targets(token: &VerifiedToken) -> Vec<Asked> {
    targets(token).iter().filter(|asked| asked.target.kind != RevocationKind::All).copied().collect()
}

/// Whatever can stop a token, in the order in which it is asked for: from the narrowest to the widest. The actors before
/// the current one are among it, so that whoever got a token through a revoked agent is stopped with it (D-06).
pub(crate) fn targets(token: &VerifiedToken) -> Box<[Asked]> {
    let issuer = token.issuer_name();
    let mut names = Vec::new();
    let mut add = |kind, name: String| names.push((kind, name));
    if let Some(name) = token_name(issuer, token.jti()) {
        add(RevocationKind::TokenId, name);
    }
    let confirmation = token.confirmation();
    let keys = confirmation.jkt().as_ref().map(Thumbprint::to_string);
    let certificates = confirmation.x5t().as_ref().map(CertificateThumbprint::to_string);
    keys.into_iter().chain(certificates).for_each(|name| add(RevocationKind::Key, name));
    let Parties { agents, users, clients } = parties(token);
    agents.into_iter().for_each(|agent| add(RevocationKind::Agent, agent));
    users.into_iter().for_each(|user| add(RevocationKind::User, user));
    token.session().into_iter().for_each(|session| add(RevocationKind::Session, session.to_string()));
    clients.into_iter().for_each(|client| add(RevocationKind::Client, client));
    token.tenant().into_iter().for_each(|tenant| add(RevocationKind::Tenant, tenant.to_owned()));
    add(RevocationKind::Issuer, issuer.to_string());
    add(RevocationKind::All, String::new());
    let issued_at = Some(token.issued_at());
    names.into_iter().map(|(kind, name)| Asked { target: target(kind, &name), issued_at }).collect()
}

/// By whom a token can be stopped, under each kind of party.
struct Parties {
    /// The one that acts now first: what signals say of the agent is said of the first.
    agents: Vec<String>,
    /// The token's user first, if it has one, for the same reason.
    users: Vec<String>,
    clients: Vec<String>,
}

/// Whoever has part in a token. Of one that was handed on, each party under each kind: an actor may be a person, is a client, and
/// the chain may begin with an agent; whatever it is that an order takes it for, it stops what came of it (D-06). Of any
/// other, the client, the user, and the subject too where that is somebody else. Whoever the claim of the user names counts as a
/// user, whoever the token is taken for: a mark that the issuer forgot, or set wrongly, shields nobody.
fn parties(token: &VerifiedToken) -> Parties {
    let issuer = token.issuer_name();
    let (client, client_id) = (token.client().to_string(), format!("{issuer}:{}", token.client_id()));
    let user = token.user().map(ToString::to_string);
    let subject = token.scoped_subject().map(|subject| subject.to_string());
    let named = token.named_user().map(|named| named.to_string());
    let actors: Vec<String> =
        token.delegation().actors().iter().map(|actor| actor.id().to_string()).collect();
    if actors.is_empty() {
        let others = subject.into_iter().chain(named);
        let others = others.filter(|other| *other != client && *other != client_id);
        let users = distinct(user.into_iter().chain(others));
        return Parties { agents: vec![client], users, clients: vec![client_id] };
    }
    let all =
        || actors.iter().chain([&client, &client_id]).chain(&user).chain(&subject).chain(&named).cloned();
    Parties {
        agents: distinct(all()),
        users: distinct(user.iter().cloned().chain(all())),
        clients: distinct(all()),
    }
}

/// In their order, each once.
fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

/// A tenant that a token reaches without being of it.
pub(crate) fn tenant_target(token: &VerifiedToken, tenant: &str) -> Asked {
    Asked { target: target(RevocationKind::Tenant, tenant), issued_at: Some(token.issued_at()) }
}

fn token_name(issuer: &IssuerName, jti: &str) -> Option<String> {
    token_id_digest(jti).map(|digest| format!("{issuer}:{digest}"))
}

/// The kind is part of the digest too, so that no name of one kind can be made to meet one of another.
fn target(kind: RevocationKind, name: &str) -> Target {
    let digest: [u8; 32] =
        Sha256::new().chain_update(kind_word(kind)).chain_update([0]).chain_update(name).finalize().into();
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(digest) {
        *to = from;
    }
    Target { kind, digest: half }
}

fn scoped(name: &str) -> Result<ScopedId, NotRevocable> {
    let (issuer, id) = name.split_once(':').ok_or(NotRevocable::Unscoped)?;
    let issuer = issuer.parse().or(Err(NotRevocable::Unscoped))?;
    ScopedId::new(&issuer, id).or(Err(NotRevocable::Name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling_and_one_target() {
        let thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        for (kind, name) in [
            (RevocationKind::Agent, "corp:crm-bot"),
            (RevocationKind::User, "corp:a:b@example.com"),
            (RevocationKind::Session, "corp:s-1"),
            (RevocationKind::Client, "corp:crm-bot"),
            (RevocationKind::Tenant, "acme:eu"),
            (RevocationKind::Issuer, "corp"),
            (RevocationKind::Key, thumbprint),
            (RevocationKind::All, ""),
        ] {
            let found = Revocable::parse(kind, name).unwrap();
            assert_eq!((found.kind(), found.name()), (kind, name));
        }
        let agent = Revocable::parse(RevocationKind::Agent, "corp:a").unwrap().target();
        let client = Revocable::parse(RevocationKind::Client, "corp:a").unwrap().target();
        assert_ne!(agent.digest, client.digest);
    }

    #[test]
    fn a_token_is_named_by_the_digest_that_records_show() {
        let by_id = Revocable::parse(RevocationKind::TokenId, "corp:t-1").unwrap();
        let digest = token_id_digest("t-1").unwrap();
        assert_eq!(by_id.name(), format!("corp:{digest}"));
        assert_eq!(Revocable::token_by_digest(by_id.name()), Ok(by_id));
        for name in ["corp:t-1", "corp:", "corp:aaaaaaaaaaaaaaaaaaaaa=", "aaaaaaaaaaaaaaaaaaaaaa"] {
            assert!(Revocable::token_by_digest(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (kind, name, why) in [
            (RevocationKind::Agent, "crm-bot", NotRevocable::Unscoped),
            (RevocationKind::Agent, "Corp:crm-bot", NotRevocable::Unscoped),
            (RevocationKind::Agent, ":crm-bot", NotRevocable::Unscoped),
            (RevocationKind::Agent, "corp:", NotRevocable::Name),
            (RevocationKind::User, "corp:a\nb", NotRevocable::Name),
            (RevocationKind::TokenId, "t-1", NotRevocable::Unscoped),
            (RevocationKind::Tenant, "", NotRevocable::Name),
            (RevocationKind::Issuer, "https://sts.example.com", NotRevocable::Issuer),
            (RevocationKind::Key, "abc", NotRevocable::Thumbprint),
            (RevocationKind::All, "acme", NotRevocable::Name),
        ] {
            assert_eq!(Revocable::parse(kind, name), Err(why), "{name}");
        }
    }
}
