//! Who acts for whom, as a line of names: the user, the client that the token was issued to, then the actors from the first to
//! the one that acts now. Each name stands there once where it comes several times in a row, or as client and as actor.

use std::borrow::Cow;

use crate::view::View;

/// The delegation that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The names, from the user to the current actor.
    pub names: Vec<String>,
    /// Whether it may have been handed on from there.
    pub handed_on: bool,
}

/// Not a delegation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a delegation is a decision's id, or names with `>` between them, from the user to who acts now, with another `>` at its end \
     for whatever was handed on from there; or a JSON list of names"
)]
pub struct NotADelegation;

impl Delegation {
    /// Reads `alice > bot`, `alice > bot >` or `["alice","bot"]`.
    ///
    /// # Errors
    /// [`NotADelegation`]
    pub fn parse(text: &str) -> Result<Self, NotADelegation> {
        let text = text.trim();
        let (names, handed_on) = if text.starts_with('[') {
            (serde_json::from_str::<Vec<String>>(text).or(Err(NotADelegation))?, false)
        } else {
            let shown = text.strip_suffix('>');
            let names = shown.unwrap_or(text).split('>').map(|name| name.trim().to_owned()).collect();
            (names, shown.is_some())
        };
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err(NotADelegation);
        }
        Ok(Self { names, handed_on })
    }

    /// The delegation of a decision, by its record.
    #[must_use]
    pub fn of_record(line: &[u8]) -> Option<Self> {
        let view = View::of(line)?;
        let names: Vec<_> = of(&view).into_iter().map(|name| name.to_string()).collect();
        (!names.is_empty()).then_some(Self { names, handed_on: false })
    }
}

/// The names of a decision's delegation.
pub(crate) fn of<'v>(view: &'v View<'_>) -> Vec<&'v Cow<'v, str>> {
    let client = view.client.as_ref().filter(|client| !view.actors.contains(client));
    let all = view.user.iter().chain(client).chain(view.actors.iter().rev()).chain(&view.agent);
    let mut names: Vec<&Cow<'_, str>> = Vec::new();
    for name in all {
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delegation(names: &[&str], handed_on: bool) -> Delegation {
        Delegation { names: names.iter().map(|name| (*name).to_owned()).collect(), handed_on }
    }

    #[test]
    fn names_are_written_from_the_user_to_the_current_actor() {
        for (text, expected) in [
            ("corp:alice > corp:crm-bot", delegation(&["corp:alice", "corp:crm-bot"], false)),
            ("corp:alice>corp:crm-bot", delegation(&["corp:alice", "corp:crm-bot"], false)),
            (" a > b > c > ", delegation(&["a", "b", "c"], true)),
            ("a>", delegation(&["a"], true)),
            ("a", delegation(&["a"], false)),
            (r#"["a > b","c"]"#, delegation(&["a > b", "c"], false)),
        ] {
            assert_eq!(Delegation::parse(text), Ok(expected), "{text}");
        }
        for text in ["", ">", "a > > b", "> a", "[]", "[\"a\"", "[1]", "[\"\"]"] {
            assert_eq!(Delegation::parse(text), Err(NotADelegation), "{text}");
        }
    }

    #[test]
    fn the_delegation_of_a_record() {
        for (members, expected) in [
            (r#""agent":"bot","user":"alice""#, &["alice", "bot"][..]),
            (r#""agent":"bot""#, &["bot"]),
            (r#""client":"app","agent":"bot","user":"alice","actors":["bot"]"#, &["alice", "app", "bot"]),
            (
                r#""client":"bot","agent":"sub","user":"alice","actors":["sub","bot"]"#,
                &["alice", "bot", "sub"],
            ),
            (r#""client":"bot","agent":"bot","actors":["bot","first"]"#, &["first", "bot"]),
            (r#""agent":"sub","actors":["sub","bot","first"]"#, &["first", "bot", "sub"]),
            (r#""agent":"x","user":"x","actors":["x"]"#, &["x"]),
            (r#""agent":"b","actors":["b","a","b"]"#, &["b", "a", "b"]),
        ] {
            let line = format!(r#"{{"time":"2026-11-22T10:11:12.345Z","decision":"d",{members}}}"#);
            let found = Delegation::of_record(line.as_bytes()).unwrap();
            assert_eq!(found, delegation(expected, false), "{members}");
        }
        assert_eq!(Delegation::of_record(br#"{"time":"2026-11-22T10:11:12Z","decision":"d"}"#), None);
    }
}
