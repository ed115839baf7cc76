use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { bytes: 4096, depth: 16, members: 128 };

fn read(text: &str) -> Result<Value, JsonError> {
    parse(text.as_bytes(), LIMITS)
}

#[test]
fn reads_every_kind_of_value() {
    let value = read(" {\"a\" : [null,true,false,-1.5e+3,\"x\"],\n\t\"b\":{}}\r\n").unwrap();
    let object = value.as_object().unwrap();
    assert_eq!(object.len(), 2);
    let elements = object.get("a").and_then(Value::as_array).unwrap();
    assert_eq!(&elements[..3], [Value::Null, Value::Bool(true), Value::Bool(false)]);
    assert_eq!(elements[3].as_number().and_then(Number::as_f64), Some(-1500.0));
    assert_eq!(elements[4].as_str(), Some("x"));
    assert!(object.get("b").and_then(Value::as_object).unwrap().is_empty());
    assert_eq!(object.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(read("[]").unwrap(), Value::Array(vec![]));
}

#[test]
fn unescapes_strings() {
    for (text, expected) in [
        (r#""""#, ""),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u0041\u00e9\uFFFF""#, "A\u{e9}\u{ffff}"),
        (r#""\ud83d\uDE00""#, "\u{1f600}"),
        (r#""\u0000""#, "\0"),
        ("\"\u{7f}é😀\"", "\u{7f}é😀"),
    ] {
        assert_eq!(read(text).unwrap().as_str(), Some(expected), "{text}");
    }
}

// J11: UTF-8 only, no byte order mark, no lone surrogate.
#[test]
fn j11_refuses_other_encodings() {
    let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(parse(b"\xEF\xBB\xBF{}", LIMITS), Err(JsonError::ByteOrderMark));
    assert_eq!(parse(b"\"\xff\"", LIMITS), Err(JsonError::NotUtf8));
    assert_eq!(parse(b"\"\xed\xa0\x80\"", LIMITS), Err(JsonError::NotUtf8));
    assert_eq!(parse(&utf16, LIMITS), Err(JsonError::UnexpectedCharacter));
    for text in [
        r#""\ud83d""#,
        r#""\ude00""#,
        r#""\ud83dx""#,
        r#""\ud83d\n""#,
        r#""\ud83d\u0041""#,
        r#""\ud83d\ud83d""#,
        r#""\ude00\ud83d""#,
    ] {
        assert_eq!(read(text), Err(JsonError::Escape), "{text}");
    }
}

// J10, A-10, G24: at any level, also when written in another way.
#[test]
fn j10_refuses_duplicate_names() {
    for text in [
        r#"{"sub":"a","sub":"b"}"#,
        r#"{"sub":"a","sub":"a"}"#,
        r#"{"sub":"a","su\u0062":"b"}"#,
        r#"{"\u0061ud":1,"x":2,"aud":3}"#,
        r#"{"cnf":{"jkt":"a","jkt":"b"}}"#,
        r#"{"act":{"act":{"sub":1,"x":0,"sub":2}}}"#,
        r#"[{"":1,"":2}]"#,
    ] {
        assert_eq!(read(text), Err(JsonError::DuplicateName), "{text}");
    }
    assert!(read(r#"{"sub":{"sub":1},"Sub":2,"sub ":3}"#).is_ok());
}

#[test]
fn refuses_what_is_not_json() {
    for (text, error) in [
        ("", JsonError::UnexpectedEnd),
        (" ", JsonError::UnexpectedEnd),
        ("{", JsonError::UnexpectedEnd),
        ("[1", JsonError::UnexpectedEnd),
        ("\"a", JsonError::UnexpectedEnd),
        ("\"a\\", JsonError::UnexpectedEnd),
        ("{\"a\"", JsonError::UnexpectedEnd),
        ("{} {}", JsonError::TrailingData),
        ("{}\0", JsonError::TrailingData),
        ("{}\u{a0}", JsonError::TrailingData),
        ("{\"a\":1,}", JsonError::UnexpectedCharacter),
        ("[1,]", JsonError::UnexpectedCharacter),
        ("[,1]", JsonError::UnexpectedCharacter),
        ("{a:1}", JsonError::UnexpectedCharacter),
        ("{'a':1}", JsonError::UnexpectedCharacter),
        ("{\"a\" 1}", JsonError::UnexpectedCharacter),
        ("{1:1}", JsonError::UnexpectedCharacter),
        ("[1 2]", JsonError::UnexpectedCharacter),
        ("/**/1", JsonError::UnexpectedCharacter),
        ("nul", JsonError::UnexpectedCharacter),
        ("nulL", JsonError::UnexpectedCharacter),
        ("NaN", JsonError::UnexpectedCharacter),
        ("Infinity", JsonError::UnexpectedCharacter),
        ("+1", JsonError::UnexpectedCharacter),
        (".5", JsonError::UnexpectedCharacter),
        ("\u{b}1", JsonError::UnexpectedCharacter),
        ("truex", JsonError::TrailingData),
        ("\"\n\"", JsonError::ControlCharacter),
        ("\"\0\"", JsonError::ControlCharacter),
        ("\"\u{1f}\"", JsonError::ControlCharacter),
        (r#""\x""#, JsonError::Escape),
        (r#""\U0041""#, JsonError::Escape),
        (r#""\u004""#, JsonError::Escape),
        (r#""\u+041""#, JsonError::Escape),
        (r#""\u00é""#, JsonError::Escape),
        (r#"{"\u0000":1}"#, JsonError::NulInName),
    ] {
        assert_eq!(read(text), Err(error), "{text:?}");
    }
}

#[test]
fn numbers_follow_the_grammar() {
    for text in ["0", "-0", "10", "0.0", "1e1", "1E+1", "1e-1", "-1.25e10", "9007199254740993"] {
        let value = read(text).unwrap();
        assert_eq!(value.as_number().map(Number::as_str), Some(text));
    }
    for text in ["-", "1.", "1.e1", "1e", "1e+", "-.5"] {
        assert_eq!(read(text), Err(JsonError::Number), "{text}");
    }
    for text in ["01", "-01", "1.5.5", "0x10", "1_000", "1e1.5"] {
        assert_eq!(read(text), Err(JsonError::TrailingData), "{text}");
    }
}

// A-16: neither infinite nor rounded by accident.
#[test]
fn a16_numbers_keep_their_value() {
    let number = |text: &str| read(text).unwrap().as_number().unwrap().clone();
    assert_eq!(number("1e400").as_f64(), None);
    assert_eq!(number("1e300").as_f64(), Some(1e300));
    assert_eq!(number("9007199254740993").as_i64(), Some(9_007_199_254_740_993));
    assert_eq!(number("9223372036854775808").as_i64(), None);
    assert_eq!(number("1.0").as_i64(), None);
    assert_eq!(number("1e3").as_i64(), None);
}

// J12, A-21
#[test]
fn j12_limits_hold_exactly() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(16)).is_ok());
    assert_eq!(read(&nested(17)), Err(JsonError::TooDeep));
    assert_eq!(read(&"[".repeat(4096)), Err(JsonError::TooDeep));
    assert_eq!(read(&"{\"a\":".repeat(800)), Err(JsonError::TooDeep));

    let members = |count: usize| {
        let members: Vec<String> = (0..count).map(|index| format!("\"{index}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert!(read(&members(128)).is_ok());
    assert_eq!(read(&members(129)), Err(JsonError::TooManyMembers));

    assert!(read(&format!("\"{}\"", "a".repeat(4094))).is_ok());
    assert_eq!(read(&format!("\"{}\"", "a".repeat(4095))), Err(JsonError::TooLong));
}

proptest! {
    #[test]
    fn never_panics_on_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _outcome = parse(&bytes, LIMITS);
    }

    #[test]
    fn never_panics_on_almost_json(text in r#"[\[\]{}",:\\u0-9a-fdDE+\-. ntrlsé]{0,80}"#) {
        let _outcome = read(&text);
    }

    // A second reader agrees about whatever both accept; ours accepts nothing that it refuses.
    #[test]
    fn accepts_no_more_than_serde_json(text in r#"[\[\]{}",:\\u0-9adDE+\-. ]{0,24}"#) {
        if read(&text).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn strings_survive_a_round_trip(text in any::<String>()) {
        let written = serde_json::Value::String(text.clone()).to_string();
        prop_assert_eq!(parse(written.as_bytes(), LIMITS), Ok(Value::String(text)));
    }
}
