//! The `Authorization` and `DPoP` fields.

use std::fmt;

use exequatur_token::{JwsError, MalformedProof, ProofError};

use crate::denial::{Denial, Malformed};
use crate::path::RequestPath;

/// Longest `Authorization` value, in bytes: the largest token that may be configured (16 KiB, J12) and its scheme.
const MAX_AUTHORIZATION: usize = 17 * 1024;

/// What the caller showed.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// No `Authorization` at all.
    None,
    /// `Authorization: Bearer <token>`
    Bearer {
        /// As sent.
        token: String,
    },
    /// `Authorization: DPoP <token>`, and the proof beside it; a missing or repeated one is judged after the token,
    /// since `invalid_token` goes before `invalid_dpop_proof`.
    Dpop {
        /// As sent.
        token: String,
        /// As sent.
        proof: Result<String, ProofError>,
    },
}

/// The kind only: neither token nor proof is for a log.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer { .. } => "Bearer(redacted)",
            Self::Dpop { .. } => "Dpop(redacted)",
        })
    }
}

impl Credentials {
    /// Reads the credentials.
    ///
    /// A repeated `Authorization` reaches us as one value joined by a comma, so a comma is a second
    /// credential (D23, A-22). A `DPoP` field that stands beside a bearer token is not looked at: the token's
    /// `cnf` decides whether it may come without one (D22).
    ///
    /// # Errors
    /// [`Denial::Malformed`], [`Denial::MultipleCredentials`], [`Denial::TokenInQuery`],
    /// [`Denial::SchemeUnsupported`].
    pub fn parse(headers: &[(&str, &[u8])], path: &RequestPath) -> Result<Self, Denial> {
        let mut authorization =
            headers.iter().filter(|(name, _)| *name == "authorization").map(|(_, value)| *value);
        let first = authorization.next();
        if authorization.next().is_some() {
            return Err(Denial::MultipleCredentials);
        }
        if path.query_names("access_token") {
            return Err(if first.is_some() { Denial::MultipleCredentials } else { Denial::TokenInQuery });
        }
        let Some(value) = first else { return Ok(Self::None) };
        let (scheme, token) = split_authorization(value)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Self::Bearer { token: token.to_owned() });
        }
        if scheme.eq_ignore_ascii_case("dpop") {
            return Ok(Self::Dpop { token: token.to_owned(), proof: only_proof(headers) });
        }
        Err(Denial::SchemeUnsupported)
    }
}

/// `scheme 1*SP token68` (RFC 9110 §11.4, D27).
fn split_authorization(value: &[u8]) -> Result<(&str, &str), Denial> {
    const BROKEN: Denial = Denial::Malformed(Malformed::Authorization);
    if value.len() > MAX_AUTHORIZATION {
        return Err(Denial::Malformed(Malformed::AuthorizationTooLong));
    }
    if value.contains(&b',') {
        return Err(Denial::MultipleCredentials);
    }
    let text = str::from_utf8(value).map_err(|_not_utf8| BROKEN)?;
    let (scheme, token) = text.split_once(' ').ok_or(BROKEN)?;
    let token = token.trim_start_matches(' ');
    let scheme_valid = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !scheme_valid || !is_token68(token) {
        return Err(BROKEN);
    }
    Ok((scheme, token))
}

fn is_token68(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

/// Exactly one proof (D01, D28): neither two fields nor two values joined by a comma.
fn only_proof(headers: &[(&str, &[u8])]) -> Result<String, ProofError> {
    let mut proofs = headers.iter().filter(|(name, _)| *name == "dpop").map(|(_, value)| *value);
    let proof = proofs.next().ok_or(ProofError::Missing)?;
    if proofs.next().is_some() || proof.contains(&b',') {
        return Err(ProofError::Multiple);
    }
    const NOT_BASE64: ProofError = ProofError::Malformed(MalformedProof::Jws(JwsError::Base64));
    str::from_utf8(proof).map(str::to_owned).map_err(|_not_utf8| NOT_BASE64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)], target: &str) -> Result<Credentials, Denial> {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        Credentials::parse(&headers, &RequestPath::parse(target).unwrap())
    }

    /// D27: the scheme is case-insensitive, one or more spaces follow it.
    #[test]
    fn schemes_are_read_in_any_case() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c"] {
            assert_eq!(
                read(&[("authorization", value)], "/"),
                Ok(Credentials::Bearer { token: "a.b.c".into() }),
                "{value}"
            );
        }
        let dpop = Credentials::Dpop { token: "t".into(), proof: Ok("p".into()) };
        for value in ["DPoP t", "dpop t", "DPOP  t"] {
            assert_eq!(read(&[("authorization", value), ("dpop", "p")], "/"), Ok(dpop.clone()), "{value}");
        }
        assert_eq!(read(&[], "/"), Ok(Credentials::None));
        // Credentials for a proxy, or under a name that looks alike, are none for us.
        for name in ["proxy-authorization", "x-authorization", "authorization_", "dpop-token"] {
            assert_eq!(read(&[(name, "DPoP t"), ("dpop", "p")], "/"), Ok(Credentials::None), "{name}");
        }
    }

    /// D01, D28: exactly one proof.
    #[test]
    fn a_missing_or_repeated_proof_is_kept_for_later() {
        let of = |proof| Ok(Credentials::Dpop { token: "t".into(), proof: Err(proof) });
        assert_eq!(read(&[("authorization", "DPoP t")], "/"), of(ProofError::Missing));
        for proofs in [&[("dpop", "p"), ("dpop", "p")][..], &[("dpop", "p,q")]] {
            let headers: Vec<_> = [("authorization", "DPoP t")].iter().chain(proofs).copied().collect();
            assert_eq!(read(&headers, "/"), of(ProofError::Multiple), "{headers:?}");
        }
    }

    /// D23, D27, E04, A-22
    #[test]
    fn anything_else_is_refused() {
        let broken = Denial::Malformed(Malformed::Authorization);
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, Denial);
        let cases: &[Case<'_>] = &[
            (
                &[("authorization", "Bearer a"), ("authorization", "Bearer a")],
                "/",
                Denial::MultipleCredentials,
            ),
            (&[("authorization", "Bearer a,Bearer b")], "/", Denial::MultipleCredentials),
            (&[("authorization", "Bearer a")], "/?access_token=b", Denial::MultipleCredentials),
            (&[], "/?access_token=b", Denial::TokenInQuery),
            (&[("authorization", "")], "/", broken.clone()),
            (&[("authorization", "Bearer")], "/", broken.clone()),
            (&[("authorization", "Bearer ")], "/", broken.clone()),
            (&[("authorization", "Bearer\ta")], "/", broken.clone()),
            (&[("authorization", "Bearer a b")], "/", broken.clone()),
            (&[("authorization", " Bearer a")], "/", broken.clone()),
            (&[("authorization", "Bearer é")], "/", broken.clone()),
            (&[("authorization", "Basic YTpi")], "/", Denial::SchemeUnsupported),
        ];
        for (headers, target, denial) in cases {
            assert_eq!(read(headers, target), Err(denial.clone()), "{headers:?} {target}");
        }
        let non_utf8: [(&str, &[u8]); 1] = [("authorization", b"Bearer caf\xe9")];
        assert_eq!(Credentials::parse(&non_utf8, &RequestPath::parse("/").unwrap()), Err(broken));
    }
}
