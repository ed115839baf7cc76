//! What a transmitter shows when it posts.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::secret::Secret;

/// The `Authorization` headers that are accepted: what counts, and what counted before.
pub struct Authorization {
    // Digests have one length, so that comparing them tells nothing of the secret's.
    accepted: Vec<[u8; 32]>,
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorization").finish_non_exhaustive()
    }
}

impl Authorization {
    /// Any of `secrets`, each a whole header value.
    #[must_use]
    pub fn new(secrets: &[Secret]) -> Self {
        Self { accepted: secrets.iter().map(|secret| digest(secret.expose().as_bytes())).collect() }
    }

    /// Whether `shown` is one of them; in a time that does not depend on how much of it is right.
    #[must_use]
    pub fn accepts(&self, shown: &[u8]) -> bool {
        let shown = digest(shown);
        let mut known = subtle::Choice::from(0);
        for accepted in &self.accepted {
            known |= accepted.ct_eq(&shown);
        }
        known.into()
    }
}

fn digest(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretError;

    #[test]
    fn one_of_the_lines_of_the_file_and_nothing_else_is_accepted() {
        let file = std::env::temp_dir().join(format!("exequatur-authorization-{}", std::process::id()));
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Secret::read_lines(&file)
        };
        let known = Authorization::new(&read("Bearer abcdefghijk\nBearer lmnopqrstuv\n").unwrap());
        assert!(known.accepts(b"Bearer abcdefghijk") && known.accepts(b"Bearer lmnopqrstuv"));
        for shown in ["", "Bearer", "Bearer abcdefghijl", "bearer abcdefghijk", "Bearer abcdefghijk "] {
            assert!(!known.accepts(shown.as_bytes()), "{shown}");
        }
        for text in ["", "short", "Bearer abcdefghijk\u{e9}", "a\nb\nc", &"x".repeat(17_000)] {
            assert!(matches!(read(text), Err(SecretError::Malformed)), "{text}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(Secret::read(&file), Err(SecretError::Unreadable(_))));
    }
}
