use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::{CredentialChange, StreamState};
use crate::testing::{
    AUDIENCE, CLAIMS_CHANGE, CREDENTIAL_CHANGE, ISSUER, NOW, SESSION_REVOKED, STREAM_UPDATED, VERIFICATION,
    at, expected, header, keys, merged, payload, set, set_with, sign_raw,
};

fn verified(raw: &str) -> Result<VerifiedSet, SetError> {
    UnverifiedSet::parse(raw)?.verify(&expected(), &keys(), at(0))
}

fn refused(raw: &str) -> Option<SetError> {
    verified(raw).err()
}

#[test]
fn a_set_says_what_happened_to_whom_and_when() {
    let verified = verified(&set(&Value::Null)).unwrap();
    assert_eq!(verified.event(), &Event::SessionRevoked);
    assert_eq!(verified.happened_at(at(0)), at(-10));
    assert_eq!(verified.id().as_str().len(), 22);
    // What is not known is ignored (SSF §4.2.3).
    let more = json!({ "txn": "8675309", "more": [1], "toe": NOW });
    assert!(self::verified(&set(&more)).is_ok());
    assert!(self::verified(&set_with(&json!({ "typ": "application/SECEVENT+jwt" }), &Value::Null)).is_ok());
    assert!(self::verified(&set(&json!({ "aud": ["https://other.example.com", AUDIENCE] }))).is_ok());
}

/// V01: one thing of the header differs.
#[test]
fn v01_headers() {
    for (changes, error) in [
        (json!({ "typ": null }), SetError::TypeInvalid),
        (json!({ "typ": "JWT" }), SetError::TypeInvalid),
        (json!({ "typ": "at+jwt" }), SetError::TypeInvalid),
        (json!({ "typ": "logout+jwt" }), SetError::TypeInvalid),
        (json!({ "typ": 1 }), SetError::TypeInvalid),
        (json!({ "alg": "none" }), SetError::AlgNotAllowed),
        (json!({ "alg": "HS256" }), SetError::AlgNotAllowed),
        (json!({ "alg": null }), SetError::AlgNotAllowed),
        (json!({ "alg": "ES256" }), SetError::AlgNotAllowed),
        (json!({ "alg": "RS256" }), SetError::KeyUnknown),
        (json!({ "kid": "b" }), SetError::KeyUnknown),
        (json!({ "kid": 1 }), SetError::KeyId),
        (json!({ "crit": ["exp"] }), SetError::CritUnsupported),
        (json!({ "b64": true }), SetError::CritUnsupported),
    ] {
        assert_eq!(refused(&set_with(&changes, &Value::Null)), Some(error), "{changes}");
    }
}

/// V01: one claim differs.
#[test]
fn v01_claims() {
    use Member::{Aud, Events, Exp, Iat, Iss, Jti, Sub, SubId};
    let event = |content: Value| json!({ "events": { SESSION_REVOKED: content } });
    let two = json!({ "events": { SESSION_REVOKED: {}, CLAIMS_CHANGE: { "claims": { "a": 1 } } } });
    for (changes, error) in [
        (json!({ "iss": null }), SetError::Missing(Iss)),
        (json!({ "iss": "" }), SetError::Invalid(Iss)),
        (json!({ "iss": "https://idp.example.com/" }), SetError::IssuerMismatch),
        (json!({ "aud": null }), SetError::Missing(Aud)),
        (json!({ "aud": [] }), SetError::Invalid(Aud)),
        (json!({ "aud": [AUDIENCE, 1] }), SetError::Invalid(Aud)),
        (json!({ "aud": "https://gateway.example.com/" }), SetError::AudienceMismatch),
        (json!({ "aud": ISSUER }), SetError::AudienceMismatch),
        (json!({ "sub": "alice" }), SetError::Forbidden(Sub)),
        (json!({ "exp": NOW + 300 }), SetError::Forbidden(Exp)),
        (json!({ "jti": null }), SetError::Missing(Jti)),
        (json!({ "jti": 1 }), SetError::Invalid(Jti)),
        (json!({ "jti": "" }), SetError::Invalid(Jti)),
        (json!({ "jti": "a".repeat(257) }), SetError::Invalid(Jti)),
        (json!({ "iat": null }), SetError::Missing(Iat)),
        (json!({ "iat": "1800000000" }), SetError::Invalid(Iat)),
        (json!({ "iat": -1 }), SetError::Invalid(Iat)),
        (json!({ "iat": NOW * 1000 }), SetError::Invalid(Iat)),
        (json!({ "iat": NOW + 61 }), SetError::IssuedAhead),
        (json!({ "events": null }), SetError::Missing(Events)),
        (json!({ "events": {} }), SetError::Invalid(Events)),
        (json!({ "events": [SESSION_REVOKED] }), SetError::Invalid(Events)),
        (event(json!(null)), SetError::Invalid(Events)),
        (event(json!("x")), SetError::Invalid(Events)),
        (two, SetError::SeveralEvents),
        (json!({ "sub_id": null }), SetError::Missing(SubId)),
        (json!({ "sub_id": "alice" }), SetError::Invalid(SubId)),
        (json!({ "sub_id": {} }), SetError::Invalid(SubId)),
        (json!({ "sub_id": { "format": "iss_sub", "sub": "alice" } }), SetError::Invalid(SubId)),
        (json!({ "sub_id": { "format": "email" } }), SetError::Invalid(SubId)),
        (json!({ "sub_id": { "format": "complex" } }), SetError::Invalid(SubId)),
        (json!({ "sub_id": { "format": "complex", "user": "alice" } }), SetError::Invalid(SubId)),
        (
            json!({ "sub_id": { "format": "complex", "user": { "format": "complex" } } }),
            SetError::Invalid(SubId),
        ),
    ] {
        assert_eq!(refused(&set(&changes)), Some(error), "{changes}");
    }
}

/// V06, V07, V03, V04: what an event has to say.
#[test]
fn events_say_what_they_have_to() {
    let read = |uri: &str, content: Value| {
        verified(&set(&json!({ "events": { uri: content } }))).map(|set| set.event().clone())
    };
    let credential = |kind: &str, change: &str| json!({ "credential_type": kind, "change_type": change });
    for (change, read_as) in [
        ("create", CredentialChange::Create),
        ("revoke", CredentialChange::Revoke),
        ("update", CredentialChange::Update),
        ("delete", CredentialChange::Delete),
    ] {
        let event = read(CREDENTIAL_CHANGE, credential("password", change));
        assert_eq!(event, Ok(Event::CredentialChange(read_as)), "{change}");
    }
    use Member::{
        ChangeType, Claims, CredentialType, CurrentLevel, CurrentStatus, EventTimestamp, Namespace,
        PreviousStatus, Principal, State, Status,
    };
    const RISK: &str = "https://schemas.openid.net/secevent/caep/event-type/risk-level-change";
    const DEVICE: &str = "https://schemas.openid.net/secevent/caep/event-type/device-compliance-change";
    const ASSURANCE: &str = "https://schemas.openid.net/secevent/caep/event-type/assurance-level-change";
    for (uri, content, error) in [
        (CREDENTIAL_CHANGE, credential("password", "gone"), SetError::Invalid(ChangeType)),
        (CREDENTIAL_CHANGE, json!({ "credential_type": "pin" }), SetError::Missing(ChangeType)),
        (CREDENTIAL_CHANGE, json!({ "change_type": "revoke" }), SetError::Missing(CredentialType)),
        (CLAIMS_CHANGE, json!({}), SetError::Missing(Claims)),
        (CLAIMS_CHANGE, json!({ "claims": {} }), SetError::Invalid(Claims)),
        (CLAIMS_CHANGE, json!({ "claims": ["role"] }), SetError::Invalid(Claims)),
        (SESSION_REVOKED, json!({ "event_timestamp": "1800000000" }), SetError::Invalid(EventTimestamp)),
        (RISK, json!({ "principal": "USER", "current_level": "high" }), SetError::Invalid(CurrentLevel)),
        (RISK, json!({ "principal": "USER" }), SetError::Missing(CurrentLevel)),
        (RISK, json!({ "current_level": "HIGH" }), SetError::Missing(Principal)),
        (DEVICE, json!({ "current_status": "compliant" }), SetError::Missing(PreviousStatus)),
        (DEVICE, json!({ "previous_status": "compliant" }), SetError::Missing(CurrentStatus)),
        (
            DEVICE,
            json!({ "previous_status": "compliant", "current_status": "ok" }),
            SetError::Invalid(CurrentStatus),
        ),
        (ASSURANCE, json!({ "current_level": "1" }), SetError::Missing(Namespace)),
        (ASSURANCE, json!({ "namespace": "NIST-AAL" }), SetError::Missing(CurrentLevel)),
        (
            ASSURANCE,
            json!({ "namespace": "NIST-AAL", "current_level": "x".repeat(129) }),
            SetError::Invalid(CurrentLevel),
        ),
        (VERIFICATION, json!({ "state": 1 }), SetError::Invalid(State)),
        (STREAM_UPDATED, json!({}), SetError::Missing(Status)),
        (STREAM_UPDATED, json!({ "status": "gone" }), SetError::Invalid(Status)),
    ] {
        assert_eq!(read(uri, content.clone()), Err(error), "{uri} {content}");
    }
    assert_eq!(read(CLAIMS_CHANGE, json!({ "claims": { "role": "a" } })), Ok(Event::TokenClaimsChange));
    assert_eq!(read(VERIFICATION, json!({})), Ok(Event::Verification(None)));
    let paused = read(STREAM_UPDATED, json!({ "status": "paused", "reason": "x" }));
    assert_eq!(paused, Ok(Event::StreamUpdated(StreamState::Paused)));
    assert_eq!(read("https://example.com/other", json!({})), Ok(Event::Unsupported(EventKind::Other)));
}

/// Times that cannot be are not gone by: of the future, in milliseconds, in microseconds, before 1970.
#[test]
fn an_event_time_that_cannot_be_is_not_gone_by() {
    for (time, at_last, untimely) in [
        (json!(NOW - 100), at(-100), false),
        (json!(NOW + 60), at(60), false),
        (json!(NOW + 61), at(-5), true),
        (json!(NOW * 1000), at(-5), true),
        (json!(NOW * 1_000_000), at(-5), true),
        (json!(-1), at(-5), true),
        (json!(1e300), at(-5), true),
        (Value::Null, at(-5), false),
    ] {
        let content = if time.is_null() { json!({}) } else { json!({ "event_timestamp": time }) };
        let set = verified(&set(&json!({ "events": { SESSION_REVOKED: content } }))).unwrap();
        assert_eq!((set.happened_at(at(0)), set.is_untimely(at(0))), (at_last, untimely), "{time}");
    }
}

/// V01: the text itself.
#[test]
fn v01_texts() {
    let good = set(&Value::Null);
    let (head, signature) = good.rsplit_once('.').unwrap();
    let twice = format!(r#"{{"jti":"a","j\u0074i":"b","iss":"{ISSUER}"}}"#);
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(20), "]".repeat(20));
    for raw in [
        String::new(),
        "a.b".to_owned(),
        format!("{good}.a"),
        format!("{good}.a.b"),
        format!("{head}."),
        format!("{good}="),
        format!(" {good}"),
        "x".repeat(MAX_SET_BYTES + 1),
        sign_raw(&header().to_string(), &twice),
        sign_raw(&header().to_string(), &deep),
        sign_raw(&header().to_string(), "[]"),
        sign_raw(r#"{"typ":"secevent+jwt","typ":"secevent+jwt","alg":"EdDSA"}"#, &payload().to_string()),
    ] {
        let error = refused(&raw).map(SetError::code);
        assert_eq!(error, Some(ErrorCode::InvalidRequest), "{}", raw.chars().take(80).collect::<String>());
    }
    let spoiled: String = signature.chars().rev().collect();
    // Reversed, it may end in bits that are no canonical base64url.
    assert!(matches!(
        refused(&format!("{head}.{spoiled}")).map(SetError::code),
        Some(ErrorCode::InvalidKey | ErrorCode::InvalidRequest)
    ));
    let other = merged(payload(), &json!({ "jti": "set-2" })).to_string();
    let forged = format!(
        "{}.{}.{signature}",
        base64url::encode(header().to_string().as_bytes()),
        base64url::encode(other.as_bytes())
    );
    assert_eq!(refused(&forged), Some(SetError::SignatureInvalid));
}

/// What is wrong with an event or a subject is told to nobody but the transmitter.
#[test]
fn content_is_judged_after_the_signature() {
    let bad = set_with(&json!({ "kid": "b" }), &json!({ "sub_id": 1, "events": {} }));
    assert_eq!(refused(&bad), Some(SetError::KeyUnknown));
}

#[test]
fn each_error_has_the_word_of_the_rfc() {
    for (error, word) in [
        (SetError::TooLarge, "invalid_request"),
        (SetError::SeveralEvents, "invalid_request"),
        (SetError::AlgNotAllowed, "invalid_key"),
        (SetError::SignatureInvalid, "invalid_key"),
        (SetError::IssuerMismatch, "invalid_issuer"),
        (SetError::AudienceMismatch, "invalid_audience"),
        (SetError::SubjectForeign, "access_denied"),
        (SetError::StateInvalid, "invalid_state"),
    ] {
        assert_eq!(error.code().as_str(), word);
    }
}

proptest! {
    /// Whatever arrives is refused or read, and never with a panic; nothing unsigned is ever read.
    #[test]
    fn any_text_is_refused(raw in "\\PC{0,300}") {
        prop_assert!(verified(&raw).is_err());
    }

    /// No character of a set can be another one.
    #[test]
    fn a_changed_set_is_refused(position in 0_usize..400, by in "[A-Za-z0-9_.-]") {
        let good = set(&Value::Null);
        let position = position % good.len();
        let characters = good.char_indices();
        let changed: String =
            characters.map(|(at, c)| if at == position { by.clone() } else { c.to_string() }).collect();
        prop_assume!(changed != good);
        prop_assert!(verified(&changed).is_err());
    }

    /// A watermark is never later than a clock that may be a minute ahead says.
    #[test]
    fn no_time_is_of_the_future(time in any::<i64>(), issued in -1_000_000_i64..=60) {
        let events = json!({ SESSION_REVOKED: { "event_timestamp": time } });
        let set = verified(&set(&json!({ "iat": NOW + issued, "events": events }))).unwrap();
        prop_assert!(set.happened_at(at(0)) <= at(60));
    }
}
