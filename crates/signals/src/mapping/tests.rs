use exequatur_store::RevocationKind::{Client, Session, TokenId, User};
use serde_json::{Value, json};

use super::*;
use crate::event::EventKind;
use crate::set::UnverifiedSet;
use crate::testing::{
    CLAIMS_CHANGE, CREDENTIAL_CHANGE, NOW, SESSION_REVOKED, STREAM_UPDATED, VERIFICATION, alice, at,
    expected, keys, set,
};

const STS: &str = "https://sts.example.com";

fn speaker(name: &str, issuer: &str) -> Speaker {
    Speaker {
        name: name.parse().unwrap(),
        issuer: issuer.to_owned(),
        by_subject: true,
        by_email: false,
        by_session: true,
        longest: SignedDuration::from_mins(15),
    }
}

fn rules() -> Rules {
    let mail = Speaker {
        by_subject: false,
        by_email: true,
        by_session: false,
        ..speaker("mail", "https://mail.example.com")
    };
    Rules {
        speakers: vec![speaker("corp", STS), mail],
        credential_change: Response::Revoke,
        token_claims_change: Response::Revoke,
        attributes_for: SignedDuration::from_hours(24),
        stream_id: Some("stream-1".to_owned()),
        states: Some(StateSecret::new(b"a secret of some length", "idp")),
    }
}

fn meaning(rules: &Rules, changes: &Value) -> Result<Meaning, SetError> {
    let raw = set(changes);
    let verified = UnverifiedSet::parse(&raw).unwrap().verify(&expected(), &keys(), at(0)).unwrap();
    rules.meaning(&verified, at(0))
}

/// Kind and name of what is stopped.
fn stopped(subject: &Value, uri: &str, content: &Value) -> Result<Vec<(RevocationKind, String)>, Meaning> {
    match meaning(&rules(), &json!({ "sub_id": subject, "events": { uri: content } })).unwrap() {
        Meaning::Stop(effects) => Ok(effects
            .into_iter()
            .map(|effect| (effect.what.kind(), effect.what.name().to_owned()))
            .collect()),
        other @ (Meaning::Say(_) | Meaning::Nothing(_) | Meaning::Verified { .. } | Meaning::Stream(_)) => {
            Err(other)
        }
    }
}

fn opaque(id: &str) -> Value {
    json!({ "format": "opaque", "id": id })
}

/// V05, V09: each form of subject stops what it names, by the name that orders have.
#[test]
fn subjects_are_stopped_by_their_names() {
    let complex = |members: Value| {
        let mut subject = json!({ "format": "complex" });
        subject.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        subject
    };
    let email = |address: &str| json!({ "format": "email", "email": address });
    let device = json!({ "format": "iss_sub", "iss": "https://mdm.example.com", "sub": "d-1" });
    let by_issuer = |id: &str| json!({ "format": "iss_sub", "iss": STS, "sub": id });
    let named = |kind, name: &str| vec![(kind, name.to_owned())];
    for (subject, stops) in [
        (alice(), named(User, "corp:alice")),
        (email("al@example.com"), named(User, "mail:al@example.com")),
        (
            email("Al@Example.com"),
            [named(User, "mail:Al@Example.com"), named(User, "mail:al@example.com")].concat(),
        ),
        (opaque("s-1"), named(Session, "corp:s-1")),
        (complex(json!({ "session": opaque("s-1"), "user": alice() })), named(Session, "corp:s-1")),
        (complex(json!({ "session": by_issuer("s-1"), "device": device })), named(Session, "corp:s-1")),
        (complex(json!({ "session": opaque("s-1") })), named(Session, "corp:s-1")),
        (complex(json!({ "user": alice(), "device": device })), named(User, "corp:alice")),
        (complex(json!({ "user": alice(), "tenant": opaque("acme") })), named(User, "corp:alice")),
        (complex(json!({ "user": alice(), "application": by_issuer("app") })), named(User, "corp:alice")),
        (complex(json!({ "application": by_issuer("app") })), named(Client, "corp:app")),
        // The session of somebody whose tokens name none is all that he has.
        (
            complex(
                json!({ "session": opaque("s-1"), "user": { "format": "iss_sub", "iss": "https://mail.example.com", "sub": "x" } }),
            ),
            Vec::new(),
        ),
    ] {
        let found = stopped(&subject, SESSION_REVOKED, &json!({ "event_timestamp": NOW }));
        let expected = if stops.is_empty() { Err(Meaning::Nothing(Idle::Unmapped)) } else { Ok(stops) };
        assert_eq!(found, expected, "{subject}");
    }
    let token = json!({ "format": "jwt_id", "iss": STS, "jti": "t-1" });
    let digest = Revocable::parse(TokenId, "corp:t-1").unwrap();
    assert_eq!(stopped(&token, SESSION_REVOKED, &json!({})), Ok(named(TokenId, digest.name())));
}

/// A subject that is nothing that can be stopped is told of, and stops nobody.
#[test]
fn other_subjects_stop_nobody() {
    for subject in [
        json!({ "format": "phone_number", "phone_number": "+12065550100" }),
        json!({ "format": "made_up" }),
        json!({ "format": "complex", "tenant": { "format": "opaque", "id": "acme" } }),
        json!({ "format": "complex", "device": { "format": "opaque", "id": "d-1" } }),
        json!({ "format": "complex", "elsewhere": { "format": "opaque", "id": "d-1" } }),
        json!({ "format": "iss_sub", "iss": "https://mail.example.com", "sub": "x" }),
        json!({ "format": "iss_sub", "iss": STS, "sub": "x".repeat(257) }),
    ] {
        let found = stopped(&subject, SESSION_REVOKED, &json!({}));
        assert_eq!(found, Err(Meaning::Nothing(Idle::Unmapped)), "{subject}");
    }
    // An opaque id is that of a session only where a session was revoked.
    let change = json!({ "credential_type": "password", "change_type": "revoke" });
    assert_eq!(stopped(&opaque("s-1"), CREDENTIAL_CHANGE, &change), Err(Meaning::Nothing(Idle::Unmapped)));
}

/// D-20: a transmitter that speaks for one issuer does nothing to the users of another, in whatever form it names them.
#[test]
fn a_subject_of_another_issuer_is_refused() {
    let foreign = json!({ "format": "iss_sub", "iss": "https://other.example.com", "sub": "alice" });
    let near = json!({ "format": "iss_sub", "iss": "https://sts.example.com/", "sub": "alice" });
    let token = json!({ "format": "jwt_id", "iss": "https://other.example.com", "jti": "t-1" });
    for subject in [
        foreign.clone(),
        near,
        token,
        json!({ "format": "complex", "user": foreign }),
        json!({ "format": "complex", "user": foreign, "session": opaque("s-1") }),
        json!({ "format": "complex", "user": alice(), "session": foreign }),
        json!({ "format": "complex", "application": foreign }),
    ] {
        for (uri, content) in [
            (SESSION_REVOKED, json!({})),
            (CREDENTIAL_CHANGE, json!({ "credential_type": "pin", "change_type": "create" })),
        ] {
            let found = meaning(&rules(), &json!({ "sub_id": subject, "events": { uri: content } }));
            assert_eq!(found, Err(SetError::SubjectForeign), "{subject} {uri}");
        }
    }
}

/// V05: a watermark is the event's second, and ends when the last token from before has.
#[test]
fn a_watermark_ends_with_the_last_token_from_before() {
    let effect = |changes: Value| match meaning(&rules(), &changes).unwrap() {
        Meaning::Stop(effects) => {
            effects.into_iter().next().map(|effect| (effect.issued_until, effect.until))
        }
        Meaning::Say(_) | Meaning::Nothing(_) | Meaning::Verified { .. } | Meaning::Stream(_) => None,
    };
    let longest = 15 * 60 + 60;
    let event = |time: i64| json!({ "events": { SESSION_REVOKED: { "event_timestamp": time } } });
    assert_eq!(effect(event(NOW - 10)), Some((at(-10), at(-10 + longest))));
    let iat = json!({ "iat": NOW - 7, "events": { SESSION_REVOKED: {} } });
    assert_eq!(effect(iat), Some((at(-7), at(-7 + longest))));
    assert_eq!(effect(event(NOW - longest + 1)), Some((at(1 - longest), at(1))));
    let over = meaning(&rules(), &event(NOW - longest)).unwrap();
    assert_eq!(over, Meaning::Nothing(Idle::Over));
}

/// V06, V07, and what the configuration says.
#[test]
fn changes_stop_or_are_logged() {
    let credential = |change: &str| json!({ "events": { CREDENTIAL_CHANGE: { "credential_type": "password", "change_type": change } } });
    let claims = json!({ "events": { CLAIMS_CHANGE: { "claims": { "role": "ro-admin" } } } });
    let logs = Rules { credential_change: Response::Log, token_claims_change: Response::Log, ..rules() };
    for (changes, stops) in [
        (credential("revoke"), true),
        (credential("update"), true),
        (credential("delete"), true),
        (credential("create"), false),
        (claims, true),
    ] {
        let found = meaning(&rules(), &changes).unwrap();
        assert_eq!(matches!(found, Meaning::Stop(_)), stops, "{changes}");
        assert_eq!(meaning(&logs, &changes), Ok(Meaning::Nothing(Idle::Logged)), "{changes}");
    }
    let found = meaning(&rules(), &json!({ "events": { "https://example.com/other": {} } }));
    assert_eq!(found, Ok(Meaning::Nothing(Idle::Unsupported)));
}

/// Of whom something is said, and until when.
fn said(subject: &Value, kind: EventKind, content: &Value) -> Vec<String> {
    let uri = kind.uri().unwrap();
    let found = meaning(&rules(), &json!({ "sub_id": subject, "events": { uri: content } })).unwrap();
    match found {
        Meaning::Say(sayings) => {
            assert!(sayings.iter().all(|said| (said.at, said.until) == (at(-20), at(24 * 3600 - 20))));
            sayings.into_iter().map(|said| format!("{} {:?}", said.of, said.attribute)).collect()
        }
        Meaning::Nothing(Idle::Unmapped) => Vec::new(),
        other @ (Meaning::Stop(_) | Meaning::Nothing(_) | Meaning::Verified { .. } | Meaning::Stream(_)) => {
            panic!("{other:?}")
        }
    }
}

/// V08: what is said of somebody is said of exactly whom the event names, and of nobody else.
#[test]
fn levels_and_states_are_said_of_whom_they_are_about() {
    use EventKind::{AssuranceLevelChange, DeviceComplianceChange, RiskLevelChange};
    let then = NOW - 20;
    let risk =
        |principal: &str| json!({ "principal": principal, "current_level": "HIGH", "event_timestamp": then });
    let device =
        json!({ "previous_status": "compliant", "current_status": "not-compliant", "event_timestamp": then });
    let sure = json!({ "namespace": "NIST-AAL", "current_level": "nist-aal2", "event_timestamp": then });
    let on_device =
        json!({ "format": "complex", "user": alice(), "device": { "format": "opaque", "id": "d-1" } });
    let in_session = json!({ "format": "complex", "user": alice(), "session": opaque("s-1") });
    let high = |of: &str| vec![format!("{of} Risk(High)")];
    let bad = |of: &str| vec![format!("{of} Device(NotCompliant)")];
    let aal2 = |of: &str| {
        let attribute =
            Attribute::Assurance(exequatur_store::Assurance::new("NIST-AAL", "nist-aal2").unwrap());
        vec![format!("{of} {attribute:?}")]
    };
    let (user, session, nobody) = ("user corp:alice", "session corp:s-1", Vec::<String>::new());
    for (subject, kind, content, expected) in [
        (alice(), RiskLevelChange, risk("USER"), high(user)),
        (on_device.clone(), RiskLevelChange, risk("USER"), high(user)),
        (in_session.clone(), RiskLevelChange, risk("USER"), high(user)),
        (in_session.clone(), RiskLevelChange, risk("SESSION"), high(session)),
        (opaque("s-1"), RiskLevelChange, risk("SESSION"), high(session)),
        (alice(), RiskLevelChange, risk("SESSION"), nobody.clone()),
        (on_device.clone(), RiskLevelChange, risk("DEVICE"), nobody.clone()),
        (alice(), RiskLevelChange, risk("TENANT"), nobody.clone()),
        (opaque("alice"), RiskLevelChange, risk("USER"), nobody.clone()),
        (on_device.clone(), DeviceComplianceChange, device.clone(), bad(user)),
        (alice(), DeviceComplianceChange, device.clone(), bad(user)),
        (in_session.clone(), DeviceComplianceChange, device.clone(), bad(session)),
        (opaque("d-1"), DeviceComplianceChange, device, nobody.clone()),
        (alice(), AssuranceLevelChange, sure.clone(), aal2(user)),
        (in_session, AssuranceLevelChange, sure.clone(), aal2(session)),
        (opaque("s-1"), AssuranceLevelChange, sure.clone(), aal2(session)),
        (on_device, AssuranceLevelChange, sure.clone(), nobody.clone()),
        // The session of somebody whose tokens name none: to say it of all his sessions would be too much.
        (
            json!({ "format": "complex", "session": opaque("s-1"), "user": { "format": "iss_sub", "iss": "https://mail.example.com", "sub": "x" } }),
            AssuranceLevelChange,
            sure.clone(),
            nobody,
        ),
    ] {
        assert_eq!(said(&subject, kind, &content), expected, "{subject} {content}");
    }
    let old =
        json!({ "namespace": "NIST-AAL", "current_level": "nist-aal2", "event_timestamp": NOW - 24 * 3600 });
    let over = meaning(&rules(), &json!({ "events": { AssuranceLevelChange.uri().unwrap(): old } }));
    assert_eq!(over, Ok(Meaning::Nothing(Idle::Over)));
    let foreign = json!({ "format": "iss_sub", "iss": "https://other.example.com", "sub": "alice" });
    let found = meaning(
        &rules(),
        &json!({ "sub_id": foreign, "events": { AssuranceLevelChange.uri().unwrap(): sure } }),
    );
    assert_eq!(found, Err(SetError::SubjectForeign));
}

/// V03, V04
#[test]
fn events_about_the_stream_are_about_this_one() {
    let about = |stream: Value, uri: &str, content: Value| {
        meaning(&rules(), &json!({ "sub_id": stream, "events": { uri: content } }))
    };
    let state = rules().states.unwrap().issue(at(-30), [1; 8]);
    let old = rules().states.unwrap().issue(at(-3601), [1; 8]);
    let this = || opaque("stream-1");
    assert_eq!(about(this(), VERIFICATION, json!({ "state": state })), Ok(Meaning::Verified { asked: true }));
    assert_eq!(about(this(), VERIFICATION, json!({})), Ok(Meaning::Verified { asked: false }));
    for state in [old.as_str(), "", "made up"] {
        let found = about(this(), VERIFICATION, json!({ "state": state }));
        assert_eq!(found, Err(SetError::StateInvalid), "{state}");
    }
    let paused = json!({ "status": "paused" });
    assert_eq!(about(this(), STREAM_UPDATED, paused.clone()), Ok(Meaning::Stream(StreamState::Paused)));
    for stream in [opaque("stream-2"), alice()] {
        assert_eq!(about(stream.clone(), VERIFICATION, json!({})), Err(SetError::OtherStream));
        assert_eq!(about(stream, STREAM_UPDATED, paused.clone()), Err(SetError::OtherStream));
    }
    let without = Rules { states: None, stream_id: None, ..rules() };
    let any = json!({ "sub_id": opaque("x"), "events": { VERIFICATION: { "state": state } } });
    assert_eq!(meaning(&without, &any), Err(SetError::StateInvalid));
}
