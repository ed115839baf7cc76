//! Strings of a record, which have a bound.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest text that a record keeps whole, in characters.
const MAX_CHARS: usize = 256;

/// What stands at the end of a text that was cut.
const CUT: char = '…';

/// A text of at most 256 characters. A longer one is cut there and ends in `…`; any other is not copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    /// The text as it is recorded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        cut(text).map_or(Self(Cow::Borrowed(text)), |cut| Self(Cow::Owned(cut)))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        let cut = cut(&text);
        Self(Cow::Owned(cut.unwrap_or(text)))
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Text<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

fn cut(text: &str) -> Option<String> {
    if text.len() <= MAX_CHARS || text.chars().nth(MAX_CHARS).is_none() {
        return None;
    }
    Some(text.chars().take(MAX_CHARS).chain([CUT]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_after_256_characters_not_bytes() {
        for unit in ["a", "é", "𝄞"] {
            let whole = unit.repeat(256);
            assert_eq!(Text::from(whole.as_str()).as_str(), whole);
            assert_eq!(Text::from(whole.clone()).as_str(), whole);
            let long = unit.repeat(257);
            assert_eq!(Text::from(long.as_str()).as_str(), format!("{whole}…"));
            assert_eq!(Text::from(long).as_str(), format!("{whole}…"));
        }
    }
}
