//! Which claims of an issuer's tokens say what.

use crate::access::{Source, TokenError};
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
        }
    }
}

/// Which claim says the user, and how a user's token is told from a client's own.
///
/// A client may be able to choose an id that is some user's (RFC 9700 §4.15), so what a subject is, is never read off its
/// text: the issuer has to say what kind of token it is (RFC 9068 §5, J07).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserClaim {
    /// The claim.
    pub name: String,
    /// A token is a user's only if each of these holds.
    pub when: Vec<ClaimWords>,
    /// A token is the client's own if any of these holds.
    pub unless: Vec<ClaimWords>,
    /// What becomes of a token that is a user's by these rules, and whose user has the client's id.
    pub own_subject: OwnSubject,
}

impl UserClaim {
    /// The claim `name` of every token that has it.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), when: Vec::new(), unless: Vec::new(), own_subject: OwnSubject::Refused }
    }

    /// The user, if the token is a user's. `clients` are what the token's client and agent are called.
    ///
    /// A server may leave out of its answer whatever it does not want this resource server to know (RFC 7662 §2.2), the
    /// user and his mark too. So an answer without them makes no token the client's own, unless it says so (`unless`), or
    /// it is known that users are never like clients ([`OwnSubject::Client`]).
    ///
    /// # Errors
    /// `ClaimMissing` if the token is said to be a user's and names none, or may hide one; `ClaimInvalid` for what is no
    /// id, a marker of no known type, and a user of the client's own id.
    pub(crate) fn read<'a>(
        &self,
        payload: &'a Object,
        clients: [&str; 2],
        source: Source<'_>,
    ) -> Result<Option<&'a str>, TokenError> {
        for marker in &self.unless {
            if marker.holds(payload)? {
                return Ok(None);
            }
        }
        let claim = if self.name == "sub" { Claim::Sub } else { Claim::User };
        let hidden = source.may_hide_users() && self.own_subject == OwnSubject::Refused;
        for marker in &self.when {
            if !marker.holds(payload)? {
                let unsaid = hidden && !payload.contains(&marker.name);
                return if unsaid { Err(TokenError::ClaimMissing(claim)) } else { Ok(None) };
            }
        }
        let user = claims::optional_id(payload, &self.name, Claim::User)?;
        match (user, self.own_subject) {
            (None, _) if !self.when.is_empty() => Err(TokenError::ClaimMissing(claim)),
            (None, OwnSubject::Refused) if hidden => Err(TokenError::ClaimMissing(claim)),
            (Some(user), OwnSubject::Refused) if clients.contains(&user) => {
                Err(TokenError::ClaimInvalid(claim))
            }
            (Some(user), OwnSubject::Client) if clients.contains(&user) => Ok(None),
            (user, OwnSubject::Refused | OwnSubject::Client) => Ok(user),
        }
    }
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
