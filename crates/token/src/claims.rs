//! Reading claims with exact types: an absent claim, a wrong type and a wrong value are never skipped.

use std::fmt;

use jiff::Timestamp;

use crate::access::TokenError;
use crate::issuer::check_id;
use crate::json::{Object, Value};
use crate::numeric_date::numeric_date;

/// Most words of one claim.
const MAX_WORDS: usize = 256;
/// Most audiences of one token (J12).
const MAX_AUDIENCES: usize = 16;

/// A claim, as an error names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Claim {
    /// `iss`
    Iss,
    /// `sub`
    Sub,
    /// `aud`
    Aud,
    /// `client_id`
    ClientId,
    /// `jti`
    Jti,
    /// `iat`
    Iat,
    /// `exp`
    Exp,
    /// `nbf`
    Nbf,
    /// `scope`
    Scope,
    /// `act`
    Act,
    /// `sid`
    Sid,
    /// `status`
    Status,
    /// `status_list`
    StatusList,
    /// `ttl`
    Ttl,
    /// The claim configured to hold the agent.
    Agent,
    /// The claim configured to hold the user.
    User,
    /// The claim configured to hold the tenant.
    Tenant,
    /// The claim configured to hold the roles of an operator.
    Roles,
}

impl Claim {
    /// Its name, or what it holds if the configuration names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iss => "iss",
            Self::Sub => "sub",
            Self::Aud => "aud",
            Self::ClientId => "client_id",
            Self::Jti => "jti",
            Self::Iat => "iat",
            Self::Exp => "exp",
            Self::Nbf => "nbf",
            Self::Scope => "scope",
            Self::Act => "act",
            Self::Sid => "sid",
            Self::Status => "status",
            Self::StatusList => "status_list",
            Self::Ttl => "ttl",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Tenant => "tenant",
            Self::Roles => "roles",
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The string claim `name`, 1 to 256 characters without control characters, if it is there.
pub(crate) fn optional_id<'a>(
    payload: &'a Object,
    name: &str,
    claim: Claim,
) -> Result<Option<&'a str>, TokenError> {
    let Some(value) = payload.get(name) else { return Ok(None) };
    let id = value.as_str().ok_or(TokenError::ClaimInvalid(claim))?;
    check_id(id).or(Err(TokenError::ClaimInvalid(claim)))?;
    Ok(Some(id))
}

/// Like [`optional_id`], required.
pub(crate) fn required_id<'a>(payload: &'a Object, name: &str, claim: Claim) -> Result<&'a str, TokenError> {
    optional_id(payload, name, claim)?.ok_or(TokenError::ClaimMissing(claim))
}

/// The `NumericDate` claim, if it is there.
pub(crate) fn optional_date(payload: &Object, claim: Claim) -> Result<Option<Timestamp>, TokenError> {
    let Some(value) = payload.get(claim.as_str()) else { return Ok(None) };
    Ok(Some(numeric_date(value).or(Err(TokenError::ClaimInvalid(claim)))?))
}

/// Like [`optional_date`], required.
pub(crate) fn required_date(payload: &Object, claim: Claim) -> Result<Timestamp, TokenError> {
    optional_date(payload, claim)?.ok_or(TokenError::ClaimMissing(claim))
}

/// `aud`: a string, or an array of 1 to 16 strings, none of them empty (RFC 7519 §4.1.3).
pub(crate) fn audiences(payload: &Object) -> Result<Vec<String>, TokenError> {
    let invalid = TokenError::ClaimInvalid(Claim::Aud);
    let value = payload.get("aud").ok_or(TokenError::ClaimMissing(Claim::Aud))?;
    let members = value.as_array().unwrap_or_else(|| std::slice::from_ref(value));
    if !(1..=MAX_AUDIENCES).contains(&members.len()) {
        return Err(invalid);
    }
    members
        .iter()
        .map(|member| member.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned).ok_or(invalid))
        .collect()
}

/// The words at `path`, a claim or a member further within: a string is one word, an array of strings several. `scope` alone
/// is divided at its spaces (RFC 8693 §4.2): a role's name may have one.
pub(crate) fn words(payload: &Object, path: &[String]) -> Result<Vec<String>, TokenError> {
    let invalid = TokenError::ClaimInvalid(Claim::Roles);
    let (first, rest) = path.split_first().ok_or(TokenError::ClaimMissing(Claim::Roles))?;
    let mut value = payload.get(first).ok_or(TokenError::ClaimMissing(Claim::Roles))?;
    for name in rest {
        let within = value.as_object().ok_or(invalid)?;
        value = within.get(name).ok_or(TokenError::ClaimMissing(Claim::Roles))?;
    }
    let members = value.as_array().unwrap_or_else(|| std::slice::from_ref(value));
    let divided = first == "scope" && rest.is_empty();
    let mut words = Vec::new();
    for member in members {
        let text = member.as_str().ok_or(invalid)?;
        if divided {
            words.extend(text.split(' ').filter(|word| !word.is_empty()).map(ToOwned::to_owned));
        } else {
            words.push(text.to_owned());
        }
    }
    if words.len() > MAX_WORDS { Err(invalid) } else { Ok(words) }
}

/// `scope`, if it is there.
pub(crate) fn scope(payload: &Object) -> Result<&str, TokenError> {
    match payload.get("scope").map(Value::as_str) {
        None => Ok(""),
        Some(Some(text)) => Ok(text),
        Some(None) => Err(TokenError::ClaimInvalid(Claim::Scope)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    #[test]
    fn words_are_whole_strings_wherever_they_stand() {
        let text = br#"{"roles":["a","b c"],"role":"on call admin","scope":"read  admin:write","realm":{"roles":["x"],"n":1},"bad":["a",1],"n":1}"#;
        let limits = Limits { bytes: 1024, depth: 8, members: 16 };
        let Ok(Value::Object(payload)) = parse(text, limits) else { panic!() };
        let words = |path: &[&str]| {
            let path: Vec<_> = path.iter().map(|&name| name.to_owned()).collect();
            words(&payload, &path)
        };
        assert_eq!(words(&["roles"]).unwrap(), ["a", "b c"]);
        assert_eq!(words(&["role"]).unwrap(), ["on call admin"]);
        assert_eq!(words(&["scope"]).unwrap(), ["read", "admin:write"]);
        assert_eq!(words(&["realm", "roles"]).unwrap(), ["x"]);
        for missing in [&["none"][..], &["realm", "none"], &[]] {
            assert_eq!(words(missing), Err(TokenError::ClaimMissing(Claim::Roles)), "{missing:?}");
        }
        for invalid in [&["bad"][..], &["n"], &["realm"], &["role", "x"], &["realm", "n"]] {
            assert_eq!(words(invalid), Err(TokenError::ClaimInvalid(Claim::Roles)), "{invalid:?}");
        }
    }
}
