use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::base64url;
use crate::json::JsonError;
use crate::testing::{ALPHABET, replaced, with, without};

fn refusal(raw: &str) -> TokenError {
    verify(raw).unwrap_err()
}

// J11, A-09, A-14: compact serialisation only.
#[test]
fn j11_compact_serialisation_only() {
    let good = good_token();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = [parts[0], parts[1], parts[2]];
    for (raw, error) in [
        (String::new(), JwsError::Parts),
        (header.to_owned(), JwsError::Parts),
        (format!("{header}.{payload}"), JwsError::Parts),
        (format!("{good}."), JwsError::Parts),
        (format!("{good}.x.y.z"), JwsError::Parts),
        (format!("{good}.x.y"), JwsError::Encrypted),
        (format!("{header}.{payload}."), JwsError::EmptyPart),
        (format!(".{payload}.{signature}"), JwsError::EmptyPart),
        (format!("{header}..{signature}"), JwsError::EmptyPart),
        (format!("{good}="), JwsError::Base64),
        (format!("{good}=="), JwsError::Base64),
        (format!("{good} "), JwsError::Base64),
        (format!("{good}\n"), JwsError::Base64),
        (format!(" {good}"), JwsError::Base64),
        (format!("\u{feff}{good}"), JwsError::Base64),
        (format!("{header}.{payload}.{}", replaced(signature, 0, '+')), JwsError::Base64),
        (format!("{header}.{payload}\r\n.{signature}"), JwsError::Base64),
        (
            json!({"payload": payload, "protected": header, "signature": signature}).to_string(),
            JwsError::Parts,
        ),
    ] {
        assert_eq!(refusal(&raw), TokenError::Malformed(error), "{raw}");
    }
}

// A-14, G25, exhaustive: no other last character of any part is accepted.
#[test]
fn a14_one_text_for_one_token() {
    let good = good_token();
    let ends: Vec<usize> =
        good.match_indices('.').map(|(dot, _)| dot - 1).chain(std::iter::once(good.len() - 1)).collect();
    assert_eq!(ends.len(), 3);
    for end in ends {
        for c in ALPHABET.chars().filter(|c| !good.split_at(end).1.starts_with(*c)) {
            let changed = replaced(&good, end, c);
            assert!(verify(&changed).is_err(), "{changed}");
        }
        let (before, after) = good.split_at(end + 1);
        for junk in
            ["=", "==", " ", "\t", "\r\n", "\n", "+", "/", ".", "A", "AA", "AAA", "%3D", "\u{feff}", "\0"]
        {
            assert!(verify(&format!("{before}{junk}{after}")).is_err(), "{junk:?} at {end}");
        }
    }
}

// J11, A-21: what is signed is text in UTF-8, without half a surrogate pair.
#[test]
fn j11_header_and_payload_are_utf8() {
    let key = issuer_key();
    let claims = token_claims().to_string();
    let signed = |payload: &[u8]| {
        let header = base64url::encode(token_header().to_string().as_bytes());
        let input = format!("{header}.{}", base64url::encode(payload));
        format!("{input}.{}", key.sign_text(&input))
    };
    assert!(verify(&signed(claims.as_bytes())).is_ok());
    let replace = |by: &[u8]| {
        let (before, after) = claims.split_once("alice").unwrap();
        [before.as_bytes(), by, after.as_bytes()].concat()
    };
    for (payload, error) in [
        (replace(b"\xff"), JsonError::NotUtf8),
        (replace(b"\xc0\x80"), JsonError::NotUtf8),
        (replace(b"\xed\xa0\x80"), JsonError::NotUtf8),
        (replace(b"\\ud83d"), JsonError::Escape),
        (replace(b"\\ude00"), JsonError::Escape),
        (replace(b"\0"), JsonError::ControlCharacter),
        (claims.encode_utf16().flat_map(u16::to_le_bytes).collect(), JsonError::UnexpectedCharacter),
        (claims.encode_utf16().flat_map(u16::to_be_bytes).collect(), JsonError::UnexpectedCharacter),
    ] {
        let expected = TokenError::Malformed(JwsError::Payload(error));
        assert_eq!(refusal(&signed(&payload)), expected, "{payload:?}");
    }
}

// J10, A-10, G24
#[test]
fn j10_duplicate_names() {
    let key = issuer_key();
    let header = token_header().to_string();
    let claims = token_claims().to_string();
    let twice = |json: &str, member: &str| json.replacen('{', &format!("{{{member},"), 1);
    for member in [r#""sub":"bob""#, r#""aud":"x""#, r#""exp":1"#, r#""\u0061ud":"x""#] {
        let raw = key.sign_raw(&header, &twice(&claims, member));
        let error = JwsError::Payload(JsonError::DuplicateName);
        assert_eq!(refusal(&raw), TokenError::Malformed(error), "{member}");
    }
    for member in [r#""alg":"none""#, r#""\u0061lg":"ES256""#] {
        let error = JwsError::Header(JsonError::DuplicateName);
        let raw = key.sign_raw(&twice(&header, member), &claims);
        assert_eq!(refusal(&raw), TokenError::Malformed(error), "{member}");
    }
    for nested in [
        r#""act":{"sub":"a","sub":"b"}"#,
        r#""act":{"sub":"a","act":{"sub":"b","su\u0062":"c"}}"#,
        r#""cnf":{"jkt":"a","jkt":"b"}"#,
        r#""cnf":{"x5t#S256":"a","\u00785t#S256":"b"}"#,
        r#""unknown":[{"a":1,"a":1}]"#,
    ] {
        let error = JwsError::Payload(JsonError::DuplicateName);
        let raw = key.sign_raw(&header, &twice(&claims, nested));
        assert_eq!(refusal(&raw), TokenError::Malformed(error), "{nested}");
    }
}

#[test]
fn header_and_payload_are_json_objects() {
    let key = issuer_key();
    let header = token_header().to_string();
    let claims = token_claims().to_string();
    for (header, claims, error) in [
        ("[]", claims.as_str(), JwsError::NotAnObject),
        (&header, "[]", JwsError::NotAnObject),
        (&header, "\"claims\"", JwsError::NotAnObject),
        (&header, "1", JwsError::NotAnObject),
        ("{", &claims, JwsError::Header(JsonError::UnexpectedEnd)),
        (&header, &format!("{claims}{claims}"), JwsError::Payload(JsonError::TrailingData)),
        (&header, &format!("\u{feff}{claims}"), JwsError::Payload(JsonError::ByteOrderMark)),
        (&format!("\u{feff}{header}"), &claims, JwsError::Header(JsonError::ByteOrderMark)),
    ] {
        assert_eq!(refusal(&key.sign_raw(header, claims)), TokenError::Malformed(error), "{header} {claims}");
    }
    // M13: whitespace in JSON is fine.
    assert!(verify(&key.sign_raw(&format!(" {header} "), &format!("\n{claims}\n"))).is_ok());
}

// J12, A-21: each limit exactly.
#[test]
fn j12_sizes() {
    let key = issuer_key();
    let claims = token_claims();
    let sized = |extra: usize| key.sign(&token_header(), &with(&claims, "x", json!("a".repeat(extra))));
    let overhead = sized(0).len();
    let most = TokenSize::default().bytes();
    assert_eq!(most, 8192);
    let fits = (most - overhead) / 4 * 3;
    let largest = (fits..fits + 4).rev().map(&sized).find(|raw| raw.len() <= most).unwrap();
    assert!(most - largest.len() < 2);
    assert!(verify(&largest).is_ok());
    assert_eq!(refusal(&sized(fits + 4)), TokenError::TooLarge);
    assert_eq!(refusal(&"a".repeat(1024 * 1024)), TokenError::TooLarge);

    let header = |extra: usize| {
        let header = with(&token_header(), "x", json!("a".repeat(extra)));
        (header.to_string().len(), key.sign(&header, &claims))
    };
    let (overhead, _) = header(0);
    assert_eq!(header(1024 - overhead).0, 1024);
    assert!(verify(&header(1024 - overhead).1).is_ok());
    assert_eq!(refusal(&header(1026 - overhead).1), TokenError::TooLarge);

    let members = |count: usize| {
        let mut claims = claims.clone();
        for index in claims.as_object().unwrap().len()..count {
            claims[format!("x{index}")] = json!(0);
        }
        key.sign(&token_header(), &claims)
    };
    assert!(verify(&members(128)).is_ok());
    let error = JwsError::Payload(JsonError::TooManyMembers);
    assert_eq!(refusal(&members(129)), TokenError::Malformed(error));

    let deep = |depth: usize| {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let claims = claims.to_string().replacen('{', &format!("{{\"x\":{nested},"), 1);
        key.sign_raw(&token_header().to_string(), &claims)
    };
    assert!(verify(&deep(15)).is_ok());
    assert_eq!(refusal(&deep(16)), TokenError::Malformed(JwsError::Payload(JsonError::TooDeep)));
}

// J12: up to 16 KiB where it is configured; the bound is on the text, whatever is in it.
#[test]
fn j12_configured_size() {
    for bytes in [0, 1023, 16 * 1024 + 1, usize::MAX] {
        assert_eq!(TokenSize::new(bytes), None, "{bytes}");
    }
    let outcome = |length: usize, size: usize| {
        let raw = "a".repeat(length);
        UnverifiedToken::parse_within(&raw, TokenSize::new(size).unwrap()).unwrap_err()
    };
    for size in [1024, 8192, 16 * 1024] {
        assert_eq!(outcome(size, size), TokenError::Malformed(JwsError::Parts));
        assert_eq!(outcome(size + 1, size), TokenError::TooLarge);
    }
    let large = with(&token_claims(), "x", json!("a".repeat(9000)));
    let large = issuer_key().sign(&token_header(), &large);
    assert_eq!(refusal(&large), TokenError::TooLarge);
    let token = UnverifiedToken::parse_within(&large, TokenSize::new(16 * 1024).unwrap()).unwrap();
    assert!(token.verify(&profile(), &issuer_keys(), now()).is_ok());
}

// J01, A-20: other kinds of JWT are not access tokens.
#[test]
fn j01_types() {
    for name in ["at+jwt", "application/at+jwt", "AT+JWT", "Application/At+Jwt"] {
        assert!(with_header(&with(&token_header(), "typ", json!(name))).is_ok(), "{name}");
    }
    for name in [
        json!("JWT"),
        json!("id_token"),
        json!("logout+jwt"),
        json!("dpop+jwt"),
        json!("secevent+jwt"),
        json!("oauth-id-jag+jwt"),
        json!("txntoken+jwt"),
        json!("token-introspection+jwt"),
        json!("wit+jwt"),
        json!("statuslist+jwt"),
        json!("at+jwt "),
        json!(""),
        json!(null),
        json!(["at+jwt"]),
    ] {
        let outcome = with_header(&with(&token_header(), "typ", name.clone()));
        assert_eq!(outcome.unwrap_err(), TokenError::TypeInvalid, "{name}");
    }
    assert_eq!(with_header(&without(&token_header(), "typ")).unwrap_err(), TokenError::TypeInvalid);
}

// J01: `JWT` only where the issuer's profile says so, and nothing else then.
#[test]
fn j01_legacy_type_is_opt_in() {
    let mut profile = profile();
    profile.accept_typ_jwt = true;
    let outcome = |name: &str| {
        let raw = issuer_key().sign(&with(&token_header(), "typ", json!(name)), &token_claims());
        UnverifiedToken::parse(&raw)?.verify(&profile, &issuer_keys(), now())
    };
    assert!(outcome("JWT").is_ok());
    assert!(outcome("jwt").is_ok());
    assert!(outcome("at+jwt").is_ok());
    assert_eq!(outcome("dpop+jwt").unwrap_err(), TokenError::TypeInvalid);
}

// J08, A-08, G15
#[test]
fn j08_critical_headers() {
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(["b64"])),
        ("crit", json!(["exp", "exp"])),
        ("crit", json!(null)),
        ("b64", json!(false)),
        ("b64", json!(true)),
    ] {
        let outcome = with_header(&with(&token_header(), name, value.clone()));
        assert_eq!(outcome.unwrap_err(), TokenError::CritUnsupported, "{name} {value}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    // Any one character of a valid token replaced by any other.
    #[test]
    fn one_changed_character_is_refused(position in any::<prop::sample::Index>(), c in prop::char::range('\0', '\u{ff}')) {
        let good = good_token();
        let position = position.index(good.len());
        let changed = replaced(&good, position, c);
        prop_assume!(changed != good);
        prop_assert!(verify(&changed).is_err(), "{changed}");
    }

    #[test]
    fn never_panics(raw in "[A-Za-z0-9_.=-]{0,60}", header in "\\PC{0,40}", claims in "\\PC{0,40}") {
        let _outcome = verify(&raw);
        let encoded = [header, claims].map(|part| base64url::encode(part.as_bytes())).join(".");
        let _outcome = verify(&format!("{encoded}.AAAA"));
    }
}
