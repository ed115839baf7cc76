//! The scopes of a token (RFC 6749 §3.3, RFC 9068 §2.2.3).

/// A set of scopes, compared as whole tokens and case-sensitively (J14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes {
    // INVARIANT: empty, or scope tokens joined by single spaces.
    text: Box<str>,
}

impl Scopes {
    /// Reads a `scope` value; empty means none.
    ///
    /// # Errors
    /// Anything that is not `scope-token *( SP scope-token )`.
    pub fn parse(text: &str) -> Result<Self, ScopesError> {
        let well_formed = text.is_empty() || text.split(' ').all(is_scope_token);
        if well_formed { Ok(Self { text: text.into() }) } else { Err(ScopesError) }
    }

    /// Whether `scope` is one of them.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|held| held == scope)
    }

    /// The scopes as the issuer ordered them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.text.split(' ').filter(|scope| !scope.is_empty())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Joined by single spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_scope_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|c| matches!(c, 0x21 | 0x23..=0x5B | 0x5D..=0x7E))
}

/// Not a `scope` value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("scopes are printable tokens joined by single spaces")]
pub struct ScopesError;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn j14_whole_tokens_case_sensitive() {
        let scopes = Scopes::parse("documents:readwrite Mail.Send").unwrap();
        assert!(scopes.contains("documents:readwrite"));
        assert!(!scopes.contains("documents:read"));
        assert!(!scopes.contains("mail.send"));
        assert!(!scopes.contains("documents:readwrite Mail.Send"));
        assert!(!scopes.contains(""));
        assert_eq!(scopes.iter().collect::<Vec<_>>(), ["documents:readwrite", "Mail.Send"]);
    }

    #[test]
    fn no_scope_is_no_scope() {
        let scopes = Scopes::parse("").unwrap();
        assert!(scopes.is_empty());
        assert_eq!(scopes.iter().count(), 0);
        assert!(!scopes.contains(""));
    }

    #[test]
    fn refuses_what_the_grammar_has_not() {
        for text in [" ", "a  b", " a", "a ", "a\tb", "a\nb", "a\"b", "a\\b", "é", "a\u{7f}"] {
            assert_eq!(Scopes::parse(text), Err(ScopesError), "{text:?}");
        }
    }

    proptest! {
        // J14: exactly the scopes that are in the text, never a part or a joining of them.
        #[test]
        fn j14_holds_exactly_what_it_lists(
            held in prop::collection::vec("[ab:.]{1,4}", 0..6),
            asked in prop::collection::vec("[ab:. ]{0,5}", 0..12),
        ) {
            let scopes = Scopes::parse(&held.join(" ")).unwrap();
            for scope in held.iter().chain(&asked) {
                prop_assert_eq!(scopes.contains(scope), held.contains(scope), "{}", scope);
            }
            prop_assert_eq!(scopes.iter().collect::<Vec<_>>(), held);
        }
    }
}
