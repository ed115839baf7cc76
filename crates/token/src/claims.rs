//! Reading claims with exact types: an absent claim, a wrong type and a wrong value are never skipped.

use std::fmt;

use jiff::Timestamp;

use crate::access::TokenError;
use crate::issuer::check_id;
use crate::json::{Object, Value};
use crate::numeric_date::numeric_date;

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
    /// The claim configured to hold the agent.
    Agent,
    /// The claim configured to hold the user.
    User,
    /// The claim configured to hold the tenant.
    Tenant,
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
            Self::Agent => "agent",
            Self::User => "user",
            Self::Tenant => "tenant",
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

/// `scope`, if it is there.
pub(crate) fn scope(payload: &Object) -> Result<&str, TokenError> {
    match payload.get("scope").map(Value::as_str) {
        None => Ok(""),
        Some(Some(text)) => Ok(text),
        Some(None) => Err(TokenError::ClaimInvalid(Claim::Scope)),
    }
}
