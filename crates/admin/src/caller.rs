//! Who calls, what he may do, and how far his arm reaches.

use std::fmt;
use std::net::IpAddr;

use exequatur_decide::Revocable;
use exequatur_store::{RevocationKind, Whose};

use crate::limits::LimitOrder;
use crate::order::Order;
use crate::role::{Role, Roles};

/// Longest name that somebody at the socket may give himself, in characters.
const MAX_CLAIMED: usize = 64;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A user of this machine, by its number.
    Local(u32),
    /// At the socket, and the kernel did not say.
    Nobody,
    /// Whoever an issuer's token names: `<issuer>:<sub>`.
    Token(String),
    /// The name in a client certificate.
    Certificate(String),
    /// From an address, without credentials that hold.
    Stranger(IpAddr),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(uid) => write!(f, "local:{uid}"),
            Self::Nobody => f.write_str("local:unknown"),
            Self::Token(name) => write!(f, "token:{name}"),
            Self::Certificate(name) => write!(f, "certificate:{name}"),
            Self::Stranger(address) => write!(f, "stranger:{address}"),
        }
    }
}

/// Who calls, and what he calls himself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) actor: Actor,
    /// Said at the socket, where several people are one user of the machine; nobody has verified it.
    pub(crate) claimed: Option<Claimed>,
}

impl Author {
    pub(crate) const fn new(actor: Actor) -> Self {
        Self { actor, claimed: None }
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.actor)?;
        match &self.claimed {
            Some(claimed) => write!(f, " as {} (unverified)", claimed.0),
            None => Ok(()),
        }
    }
}

/// A name that somebody gives himself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claimed(String);

impl Claimed {
    /// 1 to 64 letters, digits, spaces and `.@_+-`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let allowed = |c: char| c.is_alphanumeric() || " .@_+-".contains(c);
        let fits = (1..=MAX_CLAIMED).contains(&text.chars().count()) && text.chars().all(allowed);
        fits.then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a caller may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Whatever there is.
    Everything,
    /// What is known to be of this tenant alone: the tenant itself. Whose an agent, a user or a token is, nobody has
    /// verified before it comes.
    Tenant(String),
}

/// Somebody whose credentials held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub(crate) author: Author,
    roles: Roles,
    pub(crate) reach: Reach,
}

impl Caller {
    /// Whoever [`Actor`] is, with what the configuration gives him.
    pub(crate) const fn new(actor: Actor, roles: Roles, reach: Reach) -> Self {
        Self { author: Author::new(actor), roles, reach }
    }

    /// Administrator of everything, by the kernel's word.
    pub(crate) fn at_the_socket(uid: u32) -> Option<Self> {
        let roles = Roles::new([Role::Administrator])?;
        Some(Self::new(Actor::Local(uid), roles, Reach::Everything))
    }

    pub(crate) fn claims(mut self, claimed: Option<Claimed>) -> Self {
        self.author.claimed = claimed;
        self
    }

    pub(crate) fn may(&self, needed: Role) -> bool {
        self.roles.cover(needed)
    }

    pub(crate) const fn roles(&self) -> &Roles {
        &self.roles
    }

    /// Evidence that the order is within the caller's reach; nothing is carried out without.
    ///
    /// # Errors
    /// D-20: it is not.
    pub(crate) fn order<O: Reached>(&self, order: O) -> Result<Within<O>, OutOfReach> {
        if order.is_within(&self.reach) {
            Ok(Within { order, author: self.author.clone() })
        } else {
            Err(OutOfReach)
        }
    }
}

/// What a caller may not touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("your credentials are bound to a tenant, and this is not, or not known to be, of that tenant alone")]
pub(crate) struct OutOfReach;

/// An order, from somebody who may give it. Only [`Caller::order`] makes it.
#[derive(Clone, Debug)]
pub(crate) struct Within<O> {
    order: O,
    author: Author,
}

impl<O> Within<O> {
    pub(crate) const fn order(&self) -> &O {
        &self.order
    }

    pub(crate) const fn author(&self) -> &Author {
        &self.author
    }
}

/// What an order is about.
pub(crate) trait Reached {
    fn is_within(&self, reach: &Reach) -> bool;
}

impl Reached for Order {
    fn is_within(&self, reach: &Reach) -> bool {
        reach.covers(&self.what)
    }
}

impl Reached for LimitOrder {
    fn is_within(&self, reach: &Reach) -> bool {
        reach.covers_limit_of(self.place.whose())
    }
}

impl Reach {
    fn covers(&self, what: &Revocable) -> bool {
        match self {
            Self::Everything => true,
            Self::Tenant(tenant) => what.kind() == RevocationKind::Tenant && what.name() == tenant,
        }
    }

    /// What a revocation in a list is about, by its name as it was ordered.
    pub(crate) fn covers_listed(&self, kind: RevocationKind, name: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Tenant(tenant) => kind == RevocationKind::Tenant && name == tenant,
        }
    }

    pub(crate) fn covers_limit_of(&self, whose: &Whose) -> bool {
        match (self, whose) {
            (Self::Everything, _) => true,
            (Self::Tenant(tenant), Whose::Tenant(name)) => name == tenant,
            (Self::Tenant(_), Whose::Agent(_)) => false,
        }
    }

    /// The record of a decision, by the tenant that it names.
    pub(crate) fn covers_decision_of(&self, named: Option<&str>) -> bool {
        match self {
            Self::Everything => true,
            Self::Tenant(tenant) => named == Some(tenant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D-20: whoever is bound to a tenant touches that tenant, and nothing whose tenant is not known.
    #[test]
    fn a_tenants_own_operator_reaches_that_tenant_alone() {
        let acme = Reach::Tenant("acme".to_owned());
        let covers = |kind, name: &str| {
            let what = Revocable::parse(kind, name).unwrap();
            assert!(Reach::Everything.covers(&what) && Reach::Everything.covers_listed(kind, name));
            assert_eq!(acme.covers(&what), acme.covers_listed(kind, name));
            acme.covers(&what)
        };
        assert!(covers(RevocationKind::Tenant, "acme"));
        for (kind, name) in [
            (RevocationKind::Tenant, "acme2"),
            (RevocationKind::Tenant, "ACME"),
            (RevocationKind::Agent, "corp:acme"),
            (RevocationKind::User, "acme:a"),
            (RevocationKind::Session, "corp:s"),
            (RevocationKind::Client, "corp:acme"),
            (RevocationKind::TokenId, "corp:t"),
            (RevocationKind::Issuer, "acme"),
            (RevocationKind::All, ""),
        ] {
            assert!(!covers(kind, name), "{name}");
        }
        assert!(acme.covers_limit_of(&Whose::Tenant("acme".to_owned())));
        assert!(!acme.covers_limit_of(&Whose::Tenant("other".to_owned())));
        assert!(!acme.covers_limit_of(&Whose::Agent("acme".to_owned())));
        for (named, covered) in [(Some("acme"), true), (Some("other"), false), (None, false)] {
            assert_eq!(acme.covers_decision_of(named), covered, "{named:?}");
            assert!(Reach::Everything.covers_decision_of(named));
        }
    }

    #[test]
    fn a_claimed_name_is_short_and_plain() {
        let long = "a".repeat(64);
        for name in ["alice", "Åsa Ek", "a.b+c@example.com", &long] {
            assert!(Claimed::parse(name).is_some(), "{name}");
        }
        for name in ["", "a\nb", "a(unverified)", "a\u{202e}b", &"a".repeat(65)] {
            assert!(Claimed::parse(name).is_none(), "{name:?}");
        }
        let mut author = Author::new(Actor::Local(0));
        author.claimed = Claimed::parse("alice");
        assert_eq!(author.to_string(), "local:0 as alice (unverified)");
    }
}
