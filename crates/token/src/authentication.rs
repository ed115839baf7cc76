//! How and when the user was authenticated: `acr`, `amr`, `auth_time` (RFC 9068 §2.2.1, RFC 9470 §6.1).

use jiff::Timestamp;

use crate::access::TokenError;
use crate::claims::{self, Claim};
use crate::issuer::check_id;
use crate::json::{Object, Value};

/// Most methods of one token.
const MAX_METHODS: usize = 16;

/// What a token says of the authentication that it rests on. What it does not say is not known, and meets nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authentication {
    context: Option<Box<str>>,
    methods: Box<[Box<str>]>,
    at: Option<Timestamp>,
}

impl Authentication {
    /// Reads `acr`, `amr` and `auth_time` of `payload`: text, an array of at most 16 texts, a `NumericDate`.
    pub(crate) fn from_payload(payload: &Object) -> Result<Self, TokenError> {
        Ok(Self {
            context: claims::optional_id(payload, "acr", Claim::Acr)?.map(Box::from),
            methods: payload.get("amr").map(methods).transpose()?.unwrap_or_default(),
            at: claims::optional_date(payload, Claim::AuthTime)?,
        })
    }

    /// `acr`: the class of the authentication, 1 to 256 characters. Classes have no order.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// `amr`: the methods that were used, at most 16 of 1 to 256 characters (RFC 8176).
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.methods.iter().map(AsRef::as_ref)
    }

    /// `auth_time`: when the user was last authenticated, by the issuer's clock.
    #[must_use]
    pub const fn at(&self) -> Option<Timestamp> {
        self.at
    }
}

fn methods(value: &Value) -> Result<Box<[Box<str>]>, TokenError> {
    let invalid = TokenError::ClaimInvalid(Claim::Amr);
    let members = value.as_array().filter(|members| members.len() <= MAX_METHODS).ok_or(invalid)?;
    members
        .iter()
        .map(|member| member.as_str().filter(|text| check_id(text).is_ok()).map(Box::from).ok_or(invalid))
        .collect()
}
