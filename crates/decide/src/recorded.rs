//! Which parts of a route's requests are recorded. Nothing is decided by them.

use std::fmt;

/// Most parts of one route.
pub const MAX_RECORDED_PARTS: usize = 16;
/// Longest name of one, in bytes.
const MAX_NAME: usize = 64;
/// What a name must not hold, in lower case and without `-` and `_`: it carries what lets somebody in.
const SECRET: &[&str] = &[
    "authorization",
    "dpop",
    "cookie",
    "token",
    "secret",
    "password",
    "passwd",
    "credential",
    "assertion",
    "apikey",
    "session",
    "clientcert",
    "signature",
];

/// Named parts of requests, at most [`MAX_RECORDED_PARTS`] in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedParts {
    /// Header fields, in lower case.
    pub headers: Vec<RecordedPart>,
    /// Parameters of the query.
    pub query: Vec<RecordedPart>,
    /// Parameters of the path.
    pub path_parameters: Vec<RecordedPart>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedPart {
    /// Its name.
    pub name: String,
    /// How its value is recorded.
    pub form: PartForm,
}

/// How a value is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartForm {
    /// As a digest, with a key.
    Digest,
    /// As it came.
    Plain,
}

impl PartForm {
    /// Every one, with its word.
    pub const WORDS: [(&'static str, Self); 2] = [("digest", Self::Digest), ("plain", Self::Plain)];
}

/// Why a part cannot be recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRecordable {
    /// What it is called.
    #[error("a name of 1 to {MAX_NAME} letters, digits, `-`, `_` and `.` is expected")]
    Name,
    /// What it holds.
    #[error("`{0}` holds what lets somebody in, which no record may have")]
    Secret(String),
}

impl RecordedPart {
    /// A part by its name.
    ///
    /// # Errors
    /// [`NotRecordable`]
    pub fn new(name: &str, form: PartForm) -> Result<Self, NotRecordable> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(allowed) {
            return Err(NotRecordable::Name);
        }
        let bare: String =
            name.chars().filter(|c| !matches!(c, '-' | '_' | '.')).map(|c| c.to_ascii_lowercase()).collect();
        if SECRET.iter().any(|word| bare.contains(word)) || matches!(bare.as_str(), "code" | "jwt") {
            return Err(NotRecordable::Secret(name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), form })
    }
}

impl RecordedParts {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &RecordedPart> {
        self.headers.iter().chain(&self.query).chain(&self.path_parameters)
    }
}

impl fmt::Display for PartForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digest => "digest",
            Self::Plain => "plain",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What lets somebody in is refused in each spelling, also as a digest.
    #[test]
    fn no_secret_is_recordable() {
        for name in [
            "authorization",
            "Proxy-Authorization",
            "dpop",
            "DPoP",
            "cookie",
            "Set-Cookie",
            "x-api-key",
            "api_key",
            "apikey",
            "x-auth-token",
            "access_token",
            "X-Forwarded-Client-Cert",
            "client_secret",
            "password",
            "code",
            "jwt",
            "mcp-session-id",
            "x.amz.security.token",
            "client_assertion",
            "x_exequatur_credential",
            "X-Signature",
        ] {
            for form in [PartForm::Digest, PartForm::Plain] {
                assert_eq!(
                    RecordedPart::new(name, form),
                    Err(NotRecordable::Secret(name.to_owned())),
                    "{name}"
                );
            }
        }
        for name in ["", "a b", "a:b", "a,b", "é", "a\n", &"a".repeat(65)] {
            assert_eq!(RecordedPart::new(name, PartForm::Plain), Err(NotRecordable::Name), "{name:?}");
        }
        for name in ["x-request-id", "page", "Content-Type", "user-agent", "postcode", "order.id", "x_y"] {
            assert!(RecordedPart::new(name, PartForm::Digest).is_ok(), "{name}");
        }
    }
}
