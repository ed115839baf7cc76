//! Which claims of an issuer's tokens say what.

use crate::access::TokenError;
use crate::claims::{self, Claim};
use crate::json::{Object, Value};

/// The names of the claims that hold the identities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    /// The agent that the token was issued to; every token must have it. Usually `client_id`.
    pub agent: String,
    /// The OAuth client; every token must have it. Usually `client_id`.
    pub client: String,
    /// The token's id; every token must have it. Usually `jti`.
    pub id: String,
    /// The scopes: each claim is a text that is divided at its spaces, or an array of scopes. Usually `scope` alone.
    pub scopes: Vec<String>,
    /// The user on whose behalf; without it every token is the client's own.
    pub user: Option<UserClaim>,
    /// The tenant.
    pub tenant: Option<String>,
    /// What the token was issued for, for records.
    pub purpose: Option<String>,
    /// A digest of the prompt that led to the request, for records.
    pub prompt_hash: Option<String>,
}

impl Default for ClaimNames {
    /// As RFC 9068 §2.2 has them; nobody is a user.
    fn default() -> Self {
        Self {
            agent: "client_id".to_owned(),
            client: "client_id".to_owned(),
            id: "jti".to_owned(),
            scopes: vec!["scope".to_owned()],
            user: None,
            tenant: None,
            purpose: None,
            prompt_hash: None,
        }
    }
}

/// Which claim says the user, and how a user's token is told from a client's own.
///
/// A client may be able to choose an id that is some user's (RFC 9700 §4.15), so what a subject is, is never read off its
/// text: the issuer has to say what kind of token it is (RFC 9068 §5, J07). What it does not say is not known: neither a
/// user's nor the client's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserClaim {
    /// The claim.
    pub name: String,
    /// A token is a user's if each of these holds. Without any, it is one if it has the claim.
    pub when: Vec<ClaimWords>,
    /// A token is the client's own if any of these holds, whatever else it says.
    pub unless: Vec<ClaimWords>,
    /// What becomes of a token that is a user's by these rules, and whose user has the client's id.
    pub own_subject: OwnSubject,
    /// What becomes of a token that by these rules is neither's.
    pub otherwise: Unmarked,
}

/// Whose a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose<'a> {
    /// This user's.
    User(&'a str),
    /// The client's own; whom the claim of the user names all the same.
    Client { named: Option<&'a str> },
}

/// What the issuer's marks say.
enum Marked {
    Users,
    Clients,
    /// It is not known whose.
    Not,
}

impl UserClaim {
    /// The claim `name` of every token; one that does not have it is refused.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            when: Vec::new(),
            unless: Vec::new(),
            own_subject: OwnSubject::Refused,
            otherwise: Unmarked::Refused,
        }
    }

    /// Whether there is a mark that tells users' tokens from clients' own. Without one nothing does but the comparison of the
    /// user with the client.
    #[must_use]
    pub const fn is_marked(&self) -> bool {
        !self.when.is_empty() || !self.unless.is_empty()
    }

    /// Whose a token is. `clients` are what the token's client and agent are called.
    ///
    /// A client need not have asked for what the claim or the mark comes with, and a server may leave out of its answer
    /// whatever it does not want this resource server to know (RFC 7662 §2.2): that they are not there says nothing.
    ///
    /// # Errors
    /// `ClaimMissing` for a token without the claim that is not known to be the client's own; `ClaimInvalid` for what is no
    /// id, a mark of no known type, a token with the claim that bears neither mark, and a user of the client's own id.
    pub(crate) fn read<'a>(&self, payload: &'a Object, clients: [&str; 2]) -> Result<Whose<'a>, TokenError> {
        let claim = if self.name == "sub" { Claim::Sub } else { Claim::User };
        let named = claims::optional_id(payload, &self.name, Claim::User)?;
        match (self.marked(payload, named.is_some())?, named) {
            (Marked::Clients, _) => Ok(Whose::Client { named }),
            (Marked::Users, None) => Err(TokenError::ClaimMissing(claim)),
            (Marked::Users, Some(user)) if clients.contains(&user) => match self.own_subject {
                OwnSubject::Refused => Err(TokenError::ClaimInvalid(claim)),
                OwnSubject::Client => Ok(Whose::Client { named }),
            },
            (Marked::Users, Some(user)) => Ok(Whose::User(user)),
            (Marked::Not, _) => match (self.otherwise, named) {
                (Unmarked::Client, _) => Ok(Whose::Client { named }),
                (Unmarked::Refused, None) => Err(TokenError::ClaimMissing(claim)),
                // It is not what the claim says that is wrong.
                (Unmarked::Refused, Some(_)) => Err(TokenError::ClaimInvalid(Claim::User)),
            },
        }
    }

    /// Each mark is looked at, so that one that cannot be read is not hidden behind another.
    fn marked(&self, payload: &Object, has_claim: bool) -> Result<Marked, TokenError> {
        let (mut own, mut users) = (false, true);
        for mark in &self.unless {
            own |= mark.holds(payload)?;
        }
        for mark in &self.when {
            users &= mark.holds(payload)?;
        }
        Ok(if own {
            Marked::Clients
        } else if users && (has_claim || !self.when.is_empty()) {
            Marked::Users
        } else {
            Marked::Not
        })
    }
}

/// What a token is that is marked neither as a user's nor as the client's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmarked {
    /// Nothing that can be used: it may be either's.
    Refused,
    /// The client's own: for issuers of which it is known that no user's token comes without its mark.
    Client,
}

/// What a token is whose user has the client's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnSubject {
    /// Nothing that can be used: it may be either's.
    Refused,
    /// The client's own: for issuers of which it is known that no user ever has a client's id.
    Client,
}

/// A claim, and words of which it has to hold one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimWords {
    /// The claim.
    pub name: String,
    /// The words, compared byte by byte.
    pub words: Vec<String>,
}

impl ClaimWords {
    /// Whether the claim is one of the words, has one among its words (a text is divided at its spaces), or among its
    /// elements. A whole number and a truth value count as they are written. An absent claim holds nothing.
    fn holds(&self, payload: &Object) -> Result<bool, TokenError> {
        let Some(value) = payload.get(&self.name) else { return Ok(false) };
        let members = value.as_array().unwrap_or_else(|| std::slice::from_ref(value));
        let mut holds = false;
        for member in members {
            // Each member is looked at, so that one that cannot be read is not hidden behind one that can.
            holds |= self.holds_one(member)?;
        }
        Ok(holds)
    }

    fn holds_one(&self, value: &Value) -> Result<bool, TokenError> {
        let named = |text: &str| self.words.iter().any(|word| word == text);
        match value {
            Value::String(text) => Ok(named(text) || text.split(' ').any(named)),
            Value::Bool(flag) => Ok(named(if *flag { "true" } else { "false" })),
            Value::Number(number) => Ok(named(number.as_str())),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(TokenError::ClaimInvalid(Claim::User)),
        }
    }
}

#[cfg(test)]
mod tests;
