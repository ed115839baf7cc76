//! Text is read as Envoy reads it, or not at all.

use proptest::prelude::*;

use super::{HARDENED, options};
use crate::lint;
use crate::reader::{self, Cause, MAX_DEPTH};
use crate::tree::Value;

fn value(text: &str) -> Value {
    reader::read(&format!("a: {text}")).unwrap().entries()[0].value.value.clone()
}

fn cause(text: &str) -> (usize, Cause) {
    let error = reader::read(text).unwrap_err();
    (error.place.line, error.cause)
}

#[test]
fn values_are_those_of_envoy() {
    for text in ["true", "True", "TRUE", "yes", "Yes", "on", "ON", "y", "Y"] {
        assert_eq!(value(text), Value::Bool(true), "{text}");
    }
    for text in ["false", "no", "Off", "n"] {
        assert_eq!(value(text), Value::Bool(false), "{text}");
    }
    for text in ["tRue", "yEs", "\"true\"", "'yes'", "truthy"] {
        assert!(matches!(value(text), Value::Text(_)), "{text}");
    }
    for text in ["", "~", "null"] {
        assert_eq!(value(text), Value::Null, "{text}");
    }
    for (text, number) in [("0", 0), ("-1", -1), ("0x10", 16), ("010", 8), ("+5", 5)] {
        assert_eq!(value(text), Value::Integer(number), "{text}");
    }
    for text in ["0.5", "1s", "0x", "08", "--1", "0x-1", "9223372036854775808"] {
        assert!(matches!(value(text), Value::Text(_)), "{text}");
    }
}

#[test]
fn anchors_are_repeated_and_ignored_keys_are_left_out() {
    let tree = reader::read("!ignore shared: &a { b: [1, 2] }\nc: *a\nd: *a").unwrap();
    assert_eq!(tree.entries().iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["c", "d"]);
    assert_eq!(tree.at("c.b").unwrap().items().len(), 2);
}

#[test]
fn what_two_readers_may_read_differently_is_refused() {
    let dup = |key: &str| Cause::DuplicateKey(key.to_owned());
    assert_eq!(cause("a: 1\nb: 2\na: 3"), (3, dup("a")));
    assert_eq!(cause("failure_mode_allow: false\nfailureModeAllow: true"), (2, dup("failureModeAllow")));
    assert_eq!(cause("{\"a\": 1,\n\"a\": 2}"), (2, dup("a")));
    assert_eq!(cause("x: &a { b: 1 }\ny: { <<: *a }"), (2, Cause::MergeKey));
    assert_eq!(cause("a: !!str true"), (1, Cause::Tag("tag:yaml.org,2002:!str".to_owned())));
    assert_eq!(cause("a: 1\n---\nb: 2"), (2, Cause::SecondDocument));
    assert_eq!(cause("? [a]\n: 1"), (1, Cause::KeyNotText));
    assert_eq!(cause(""), (1, Cause::NoMap));
    assert_eq!(cause("- a"), (1, Cause::NoMap));
    assert!(matches!(cause("a: 1\nb: [1"), (_, Cause::Syntax(_))));
    assert!(matches!(cause("a: *b"), (1, Cause::Syntax(_) | Cause::UnknownAlias)));
}

/// Neither nesting nor aliases exhaust anything.
#[test]
fn size_is_bounded() {
    let deep = |depth: usize| format!("a: {}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(reader::read(&deep(MAX_DEPTH - 1)).is_ok());
    assert_eq!(cause(&deep(MAX_DEPTH)).1, Cause::TooDeep);
    assert!(matches!(cause(&deep(100_000)).1, Cause::TooDeep | Cause::Syntax(_)));
    let mut bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..20 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    assert_eq!(cause(&bomb).1, Cause::TooMany);
    let mut tower = "a0: &a0 [1]\n".to_owned();
    for level in 1..=MAX_DEPTH {
        tower.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert_eq!(cause(&tower).1, Cause::TooDeep);
    assert_eq!(cause(&format!("a: {}", "x".repeat(reader::MAX_BYTES))).1, Cause::TooLong);
}

#[test]
fn json_with_tabs_is_read() {
    let tree =
        reader::read("{\n\t\"a\": {\n\t\t\"b\": [\n\t\t\t1,\n\t\t\t\"\\u0041\\/\"\n\t\t]\n\t}\n}").unwrap();
    assert_eq!(tree.at("a.b").unwrap().items()[1].text(), Some("A/"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_is_too_strange(text in any::<String>()) {
        drop(lint(&text, &options()));
    }

    #[test]
    fn no_yaml_is_too_strange(text in "[a-c:{}\\[\\],&*!?|>~\"' \n\t#-]{0,80}") {
        drop(lint(&text, &options()));
    }

    /// The recommended example with a stretch of it cut out, doubled, or written over.
    #[test]
    fn no_broken_example_is_too_strange(
        start in 0..HARDENED.len(),
        length in 0_usize..200,
        filling in "[a-z:{}\\[\\],&*\"\n -]{0,12}",
    ) {
        let characters: Vec<char> = HARDENED.chars().collect();
        let start = start.min(characters.len());
        let end = (start + length).min(characters.len());
        let text: String =
            characters[..start].iter().copied().chain(filling.chars()).chain(characters[end..].iter().copied()).collect();
        drop(lint(&text, &options()));
    }
}
