//! What a token says of why: the purpose, and a digest of the prompt that led to the request. For records; nothing is
//! decided by either.

use crate::access::TokenError;
use crate::claim_names::ClaimNames;
use crate::claims::{self, Claim};
use crate::json::Object;

/// Bounds of a prompt's hash, in characters: of 128 bits in base64url at least, of 512 bits in hex and a word before it at most.
const HASH_LENGTH: std::ops::RangeInclusive<usize> = 22..=160;

/// Why, as the issuer says. Either may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intent {
    purpose: Option<Box<str>>,
    prompt_hash: Option<Box<str>>,
}

impl Intent {
    /// Reads the claims that the configuration names.
    ///
    /// # Errors
    /// `ClaimInvalid` for a purpose that is no text of 1 to 256 characters without control characters, and for a prompt's
    /// hash that is no text of 22 to 160 letters, digits, `+`, `/`, `-`, `_`, `=`, `:` and `.`: a prompt itself is none.
    pub(crate) fn from_payload(payload: &Object, names: &ClaimNames) -> Result<Self, TokenError> {
        let read = |name: &Option<String>, claim| match name {
            Some(name) => claims::optional_id(payload, name, claim),
            None => Ok(None),
        };
        let purpose = read(&names.purpose, Claim::Purpose)?;
        let prompt_hash = read(&names.prompt_hash, Claim::PromptHash)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=:.".contains(&byte);
        if prompt_hash.is_some_and(|hash| !HASH_LENGTH.contains(&hash.len()) || !hash.bytes().all(allowed)) {
            return Err(TokenError::ClaimInvalid(Claim::PromptHash));
        }
        Ok(Self { purpose: purpose.map(Box::from), prompt_hash: prompt_hash.map(Box::from) })
    }

    /// What the token was issued for.
    #[must_use]
    pub fn purpose(&self) -> Option<&str> {
        self.purpose.as_deref()
    }

    /// The digest of the prompt, as the issuer writes it.
    #[must_use]
    pub fn prompt_hash(&self) -> Option<&str> {
        self.prompt_hash.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, Value, parse};

    fn read(text: &str) -> Result<Intent, TokenError> {
        let Ok(Value::Object(payload)) =
            parse(text.as_bytes(), Limits { bytes: 2048, depth: 8, members: 16 })
        else {
            panic!("{text}")
        };
        let names = ClaimNames {
            purpose: Some("why".to_owned()),
            prompt_hash: Some("prompt".to_owned()),
            ..ClaimNames::default()
        };
        Intent::from_payload(&payload, &names)
    }

    #[test]
    fn both_are_read_where_they_are_named() {
        let hash = "sha-256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
        let intent = read(&format!(r#"{{"why":"refund an order","prompt":"{hash}"}}"#)).unwrap();
        assert_eq!((intent.purpose(), intent.prompt_hash()), (Some("refund an order"), Some(hash)));
        assert_eq!(read(r#"{"purpose":"x","prompt_hash":7}"#).unwrap(), Intent::default());
    }

    #[test]
    fn what_is_neither_is_refused() {
        let long = "a".repeat(257);
        for why in [r#""""#, "7", "null", r#"["a"]"#, r#"{"a":1}"#, r#""a\u0000""#, &format!(r#""{long}""#)] {
            let expected = Err(TokenError::ClaimInvalid(Claim::Purpose));
            assert_eq!(read(&format!(r#"{{"why":{why}}}"#)), expected, "{why}");
        }
        let (short, longer) = ("a".repeat(21), "a".repeat(161));
        for prompt in
            [short.as_str(), &longer, "delete all of the customer's files", "47DEQpj8HBSa-_TImW-5JC\u{e9}"]
        {
            let expected = Err(TokenError::ClaimInvalid(Claim::PromptHash));
            assert_eq!(read(&format!(r#"{{"prompt":"{prompt}"}}"#)), expected, "{prompt}");
        }
        assert_eq!(read(r#"{"prompt":7}"#), Err(TokenError::ClaimInvalid(Claim::PromptHash)));
    }
}
