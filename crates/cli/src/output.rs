//! `--output`: for people or for programs; and text of unknown origin, made harmless for a terminal.

use clap::ValueEnum;
use serde_json::Value;

use crate::exit::{Failure, say};

/// How a command says what it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// Prints one JSON document. What a terminal could take for a command is escaped.
pub(crate) fn say_json(value: &Value) -> Result<(), Failure> {
    say(harmless(&format!("{value:#}")))
}

/// A JSON text with every character escaped that a terminal obeys or that hides or reorders others. In a JSON
/// text such characters stand in strings only, so it stays the same JSON.
pub(crate) fn harmless(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !is_treacherous(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

/// Text as a JSON string, cut at `most` characters, harmless.
pub(crate) fn quoted(text: &str, most: usize) -> String {
    harmless(&Value::from(cut(text, most)).to_string())
}

/// Like [`quoted`], without the quotes where nothing needs them.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let quoted = quoted(text, most);
    match quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if inner == text && !text.is_empty() && text.trim() == text => inner.to_owned(),
        Some(_) | None => quoted,
    }
}

/// A JSON value in one line, cut at `most` characters, harmless.
pub(crate) fn in_one_line(value: &Value, most: usize) -> String {
    harmless(&cut(&value.to_string(), most))
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Control characters, those of direction, those of no width, separators of lines, tags and private ones.
fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G-class text: what could move a cursor, set a title, hide or reorder.
    const HOSTILE: &str = "a\u{1b}]0;x\u{7}\u{9b}2J\r\n\t\u{7f}\u{85}\u{202e}\u{2066}\u{200b}\u{2028}\u{feff}\u{e0041}\u{f0000}";

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for text in [quoted(HOSTILE, 99), plain(HOSTILE, 99), in_one_line(&Value::from(HOSTILE), 999)] {
            assert!(!text.chars().any(is_treacherous), "{text}");
            assert!(text.is_ascii(), "{text}");
        }
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let value = serde_json::json!({ HOSTILE: [HOSTILE, "grün, 東京"] });
        let text = harmless(&format!("{value:#}"));
        assert!(!text.chars().any(|c| c != '\n' && is_treacherous(c)), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        assert!(text.contains("grün, 東京"));
    }

    #[test]
    fn text_is_quoted_only_where_it_must_be_and_cut() {
        for (text, expected) in [
            ("corp:crm-bot", "corp:crm-bot"),
            ("two words", "two words"),
            ("", "\"\""),
            (" a", "\" a\""),
            ("a\"b", "\"a\\\"b\""),
            ("a\\u202e", "\"a\\\\u202e\""),
            ("a\u{202e}", "\"a\\u202e\""),
            ("123456", "\"12345…\""),
        ] {
            assert_eq!(
                plain(text, 5.max(text.chars().count().min(15) - usize::from(text == "123456"))),
                expected
            );
        }
    }
}
