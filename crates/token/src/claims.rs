//! Reading claims with exact types: an absent claim, a wrong type and a wrong value are never skipped.

use std::fmt;

use jiff::Timestamp;

use crate::access::TokenError;
use crate::issuer::check_id;
use crate::json::Object;
use crate::numeric_date::numeric_date;
use crate::scopes::Scopes;

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
    /// `may_act`
    MayAct,
    /// `sid`
    Sid,
    /// `acr`
    Acr,
    /// `amr`
    Amr,
    /// `auth_time`
    AuthTime,
    /// `authorization_details`
    AuthorizationDetails,
    /// `status`
    Status,
    /// `status_list`
    StatusList,
    /// `ttl`
    Ttl,
    /// `active`
    Active,
    /// `token_type`
    TokenType,
    /// `token_introspection`
    TokenIntrospection,
    /// The claim configured to hold the agent.
    Agent,
    /// The claim configured to hold the user.
    User,
    /// The claim configured to hold the tenant.
    Tenant,
    /// The claim configured to hold the roles of an operator.
    Roles,
    /// The claim configured to hold the purpose.
    Purpose,
    /// The claim configured to hold a digest of the prompt.
    PromptHash,
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
            Self::MayAct => "may_act",
            Self::Sid => "sid",
            Self::Acr => "acr",
            Self::Amr => "amr",
            Self::AuthTime => "auth_time",
            Self::AuthorizationDetails => "authorization_details",
            Self::Status => "status",
            Self::StatusList => "status_list",
            Self::Ttl => "ttl",
            Self::Active => "active",
            Self::TokenType => "token_type",
            Self::TokenIntrospection => "token_introspection",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Tenant => "tenant",
            Self::Roles => "roles",
            Self::Purpose => "purpose",
            Self::PromptHash => "prompt_hash",
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

/// The scopes of the claims `names`, each of which may be absent: a text that is divided at its spaces, or an array of scopes.
/// `scope` itself is always a text (RFC 8693 §4.2).
pub(crate) fn scopes(payload: &Object, names: &[String]) -> Result<Scopes, TokenError> {
    let invalid = TokenError::ClaimInvalid(Claim::Scope);
    let mut found: Vec<&str> = Vec::new();
    for (name, value) in names.iter().filter_map(|name| Some((name, payload.get(name)?))) {
        match (value.as_str(), value.as_array().filter(|_| name != "scope")) {
            // Divided by the reader of scopes, which takes no two spaces in a row.
            (Some(""), _) => {}
            (Some(text), _) => found.push(text),
            (None, Some(members)) if members.len() <= MAX_WORDS => {
                for member in members {
                    found.push(
                        member
                            .as_str()
                            .filter(|scope| !scope.is_empty() && !scope.contains(' '))
                            .ok_or(invalid)?,
                    );
                }
            }
            (None, Some(_) | None) => return Err(invalid),
        }
    }
    Scopes::parse(&found.join(" ")).or(Err(invalid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, Value, parse};

    /// J14: texts and arrays, of one claim or several; a scope has no space.
    #[test]
    fn scopes_are_texts_or_arrays() {
        let read = |text: &str, names: &[&str]| {
            let limits = Limits { bytes: 1024, depth: 8, members: 16 };
            let Ok(Value::Object(payload)) = parse(text.as_bytes(), limits) else { panic!("{text}") };
            let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
            scopes(&payload, &names).map(|scopes| scopes.as_str().to_owned())
        };
        let both = r#"{"scp":"a b","roles":["c","d"],"none":""}"#;
        assert_eq!(read(both, &["scp", "roles"]).unwrap(), "a b c d");
        assert_eq!(read(both, &["none", "roles", "absent"]).unwrap(), "c d");
        assert_eq!(read(both, &["scope"]).unwrap(), "");
        let of_scope = read(r#"{"scope":["a"]}"#, &["scope"]);
        assert_eq!(of_scope, Err(TokenError::ClaimInvalid(Claim::Scope)));
        for wrong in [
            r#"{"s":7}"#,
            r#"{"s":null}"#,
            r#"{"s":["a b"]}"#,
            r#"{"s":["a",1]}"#,
            r#"{"s":"a  b"}"#,
            r#"{"s":[""]}"#,
        ] {
            assert_eq!(read(wrong, &["s"]), Err(TokenError::ClaimInvalid(Claim::Scope)), "{wrong}");
        }
    }

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
