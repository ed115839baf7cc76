//! A token taken apart, nothing of it verified. What cannot be read is said part by part.

use exequatur_token::base64url;
use exequatur_token::json::{self, Limits, Object, Value};
use serde_json::{Map, Value as Json};

/// Wider than what is accepted in a token, so that one that is refused can still be shown.
const LIMITS: Limits = Limits { bytes: 64 * 1024, depth: 32, members: 1024 };
/// Private parts of a key (RFC 7518 §6, RFC 8037 §2): somebody may have put one into a header.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// What a token's parts say.
#[derive(Debug)]
pub(super) struct Decoded {
    /// How many parts there are; a signed token has three, an encrypted one five.
    pub(super) parts: usize,
    /// Bytes of the whole.
    pub(super) bytes: usize,
    pub(super) header: Result<Object, String>,
    pub(super) claims: Result<Object, String>,
    /// Bytes of the signature; its text is not kept.
    pub(super) signature: Result<usize, String>,
}

impl Decoded {
    pub(super) fn read(raw: &str) -> Self {
        let mut parts = raw.split('.');
        let count = raw.split('.').count();
        let (header, payload, signature) = (parts.next(), parts.next(), parts.next());
        let claims = match count {
            3 => object(payload.unwrap_or_default()),
            5 => Err("encrypted (JWE): its content cannot be read here, and Exequatur refuses it".to_owned()),
            1 => Err("there is only one part: an opaque token, or no token".to_owned()),
            _ => Err(format!("a signed token has three parts, this has {count}")),
        };
        let signature = match signature {
            _ if count != 3 => Err("there is none".to_owned()),
            None | Some("") => Err("empty: the token is not signed".to_owned()),
            Some(text) => base64url::decode(text).map(|bytes| bytes.len()).map_err(|error| error.to_string()),
        };
        Self { parts: count, bytes: raw.len(), header: object(header.unwrap_or_default()), claims, signature }
    }

    pub(super) fn unreadable(&self) -> bool {
        self.header.is_err() || self.claims.is_err()
    }

    /// The members of both, or why there are none. Never the signature.
    pub(super) fn to_json(&self) -> Json {
        let part = |part: &Result<Object, String>| match part {
            Ok(object) => members(object),
            Err(error) => serde_json::json!({ "unreadable": error }),
        };
        serde_json::json!({
            "bytes": self.bytes,
            "parts": self.parts,
            "header": part(&self.header),
            "claims": part(&self.claims),
            "signature_bytes": self.signature.as_ref().ok(),
        })
    }
}

fn object(part: &str) -> Result<Object, String> {
    let bytes = base64url::decode(part).map_err(|error| error.to_string())?;
    match json::parse(&bytes, LIMITS).map_err(|error| format!("no strict JSON: {error}"))? {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err("JSON, but no object".to_owned())
        }
    }
}

fn members(object: &Object) -> Json {
    let is_key = object.contains("kty");
    let member = |(name, value): (&str, &Value)| {
        let private = is_key && PRIVATE.contains(&name);
        (name.to_owned(), if private { "(private, not shown)".into() } else { to_json(value) })
    };
    Json::Object(object.iter().map(member).collect::<Map<_, _>>())
}

pub(super) fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        // As written, unless no double comes near it.
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().map_or_else(|| number.as_str().into(), Json::from),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Object(object) => members(object),
    }
}
