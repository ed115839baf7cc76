//! Tokens and proofs before they are signed: texts whose every byte can be chosen.

use serde_json::Value;

use crate::keys::{Key, base64url};

/// A JSON object as it will be written: names and values verbatim, so that a name can stand twice, be escaped, or
/// have a value that no JSON library would write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document {
    pub(crate) members: Vec<(String, String)>,
    /// What stands between tokens.
    pub(crate) space: &'static str,
    pub(crate) before: &'static str,
    pub(crate) after: &'static str,
}

impl Document {
    pub(crate) fn of(value: &Value) -> Self {
        let members = value.as_object().expect("an object").iter();
        let members = members.map(|(name, value)| (name.clone(), value.to_string())).collect();
        Self { members, space: "", before: "", after: "" }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(own, _)| own == name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.members.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The member read as JSON; null where another change wrote what cannot be read here, as a number that no double
    /// holds.
    pub(crate) fn value(&self, name: &str) -> Value {
        self.get(name).and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.set_raw(name, &value.into().to_string());
    }

    pub(crate) fn set_raw(&mut self, name: &str, text: &str) {
        match self.members.iter_mut().find(|(own, _)| own == name) {
            Some((_, value)) => text.clone_into(value),
            None => self.members.push((name.to_owned(), text.to_owned())),
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.members.retain(|(own, _)| own != name);
    }

    pub(crate) fn text(&self) -> String {
        let Self { space, before, after, .. } = self;
        let members = self.members.iter().map(|(name, value)| format!("\"{name}\"{space}:{space}{value}"));
        let members: Vec<_> = members.collect();
        format!("{before}{{{space}{}{space}}}{after}", members.join(&format!("{space},{space}")))
    }
}

/// What the third part is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seal {
    /// A signature by the key of this index in the ring.
    Key(usize),
    /// HMAC-SHA256 under these bytes, as one who confuses a public key with a secret would check it.
    Hmac(Vec<u8>),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// A JWS before it is signed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Jws {
    pub(crate) header: Document,
    pub(crate) payload: Document,
    pub(crate) seal: Seal,
}

impl Jws {
    pub(crate) fn compact(&self, ring: &[Key]) -> String {
        let mut text = base64url(self.header.text().as_bytes());
        text.push('.');
        text.push_str(&base64url(self.payload.text().as_bytes()));
        let seal = match &self.seal {
            Seal::Key(index) => ring[*index].sign(text.as_bytes()),
            Seal::Hmac(secret) => {
                let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
                aws_lc_rs::hmac::sign(&secret, text.as_bytes()).as_ref().to_vec()
            }
            Seal::Bytes(bytes) => bytes.clone(),
        };
        text.push('.');
        text.push_str(&base64url(&seal));
        text
    }
}
