use std::sync::Arc;

use exequatur_store::Position;
use jiff::Timestamp;

use super::*;

fn when(seconds: i64) -> When {
    When(Timestamp::from_second(1_790_000_000 + seconds).unwrap())
}

fn report() -> Report {
    Report {
        v: REPORT_VERSION,
        version: "0.1.0".to_owned(),
        at: when(9),
        started: when(0),
        state: ReplicaState::Ready,
        generation: GenerationReport {
            number: 1,
            configuration: "aa".to_owned(),
            rules: "dd".to_owned(),
            policies: "bb".to_owned(),
            since: when(0),
        },
        failed_reload: None,
        issuers: vec![issuer("corp")],
        issuers_unlisted: 0,
        store: StoreReport { kind: "redis".to_owned(), error: None },
        revocations: RevocationsReport { entries: 1, position: 7, known: Knowledge::Known, not_kept: false },
        nonces: Some(nonces("11", &[])),
        overrides: Some(0),
        attributes: Some(0),
    }
}

fn nonces(made: &str, taken: &[&str]) -> NoncesReport {
    NoncesReport { made: made.to_owned(), taken: taken.iter().map(|&mark| mark.to_owned()).collect() }
}

/// D26: in the steps of a rotation each takes what the other makes. With a random secret of its own, or one that says nothing, none is
/// held against others.
#[test]
fn secrets_of_nonces_are_told_apart() {
    let refuses = |a: Option<NoncesReport>, b: Option<NoncesReport>| {
        let with = |nonces| said(Report { nonces, ..report() });
        let status = Status::of(&fleet(vec![presence("a", with(a)), presence("b", with(b))]));
        let named = status.findings.iter().filter(|one| one.finding == "nonce_secrets_differ");
        let named: Vec<_> = named.filter_map(|one| one.replica.clone()).collect();
        assert_eq!(named.len(), status.findings.len());
        named.concat()
    };
    for (one, other, expected) in [
        (nonces("11", &[]), nonces("11", &[]), ""),
        (nonces("11", &[]), nonces("22", &[]), "ab"),
        // Step one, two and three of a rotation, each while the other replica is a step behind.
        (nonces("11", &["22"]), nonces("11", &[]), ""),
        (nonces("22", &["11"]), nonces("11", &["22"]), ""),
        (nonces("22", &[]), nonces("22", &["11"]), ""),
        // A step was left out.
        (nonces("22", &["11"]), nonces("11", &[]), "b"),
        (nonces("22", &[]), nonces("11", &["22"]), "a"),
    ] {
        assert_eq!(refuses(Some(one.clone()), Some(other.clone())), expected, "{one:?} {other:?}");
    }
    assert_eq!(refuses(Some(nonces("11", &[])), None), "");
}

/// What a replica of the version before says of itself is read; what one of a later one says is not guessed at.
#[test]
fn a_report_of_before_is_read() {
    let mut before = serde_json::to_value(report()).unwrap();
    before["v"] = 1.into();
    before.as_object_mut().unwrap().remove("nonces");
    let found = Found::Said(before.to_string().into_bytes().into());
    let read = read(&found).unwrap();
    assert_eq!((read.v, read.nonces), (1, None));
}

fn issuer(name: &str) -> IssuerReport {
    IssuerReport { name: name.to_owned(), keys: 1, age_s: Some(3), usable: true, error: None }
}

fn presence(id: &str, report: Found) -> Presence {
    Presence {
        id: id.to_owned(),
        name: ReplicaName::parse(id),
        itself: id == "a",
        position: Position(7),
        silent: Duration::from_millis(400),
        report,
    }
}

fn said(report: Report) -> Found {
    Found::Said(report.encode().unwrap().into())
}

fn fleet(replicas: Vec<Presence>) -> Fleet {
    Fleet { current: true, position: Some(Position(7)), replicas, unlisted: 0 }
}

fn found(status: &Status) -> Vec<(&str, Option<&str>)> {
    status.findings.iter().map(|one| (one.finding.as_str(), one.replica.as_deref())).collect()
}

#[test]
fn all_well_is_no_finding() {
    let status = Status::of(&fleet(vec![presence("a", said(report())), presence("b", said(report()))]));
    assert_eq!(found(&status), []);
    assert_eq!(status.replicas[1].report, Some(report()));
    assert_eq!((status.replicas[0].lag, status.replicas[0].asked), (Some(0), true));
    let json = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
}

/// Each thing that may be wrong, by itself.
#[test]
fn what_is_wrong_is_found() {
    type Change = fn(&mut Report);
    let cases: Vec<(&str, Change)> = vec![
        ("not_ready", |report| report.state = ReplicaState::Draining),
        ("reload_failed", |report| {
            report.failed_reload = Some(FailedReload { at: when(1), error: "line 3: no".to_owned() });
        }),
        ("keys_unavailable", |report| report.issuers[0].usable = false),
        ("keys_failing", |report| report.issuers[0].error = Some("timeout".to_owned())),
        ("store_unavailable", |report| report.store.error = Some("gone".to_owned())),
        ("revocations_degraded", |report| report.revocations.known = Knowledge::Degraded),
        ("revocations_unknown", |report| report.revocations.known = Knowledge::Unknown),
        ("revocations_not_kept", |report| report.revocations.not_kept = true),
        ("overrides_unknown", |report| report.overrides = None),
        ("attributes_unknown", |report| report.attributes = None),
    ];
    for (word, change) in cases {
        let mut changed = report();
        change(&mut changed);
        let status = Status::of(&fleet(vec![presence("a", said(report())), presence("b", said(changed))]));
        assert_eq!(found(&status), [(word, Some("b"))]);
    }
    for change in [
        |report: &mut Report| report.generation.rules = "cc".to_owned(),
        |report: &mut Report| report.generation.policies = "cc".to_owned(),
    ] {
        let mut changed = report();
        change(&mut changed);
        let status = Status::of(&fleet(vec![presence("a", said(report())), presence("b", said(changed))]));
        assert_eq!(found(&status), [("generations_differ", None)]);
    }
    let mut numbered = report();
    numbered.generation.number = 9;
    numbered.generation.configuration = "other ports".to_owned();
    let status = Status::of(&fleet(vec![presence("a", said(report())), presence("b", said(numbered))]));
    assert_eq!(found(&status), [], "numbers are each process's own");
}

#[test]
fn who_lags_or_is_silent_is_found() {
    for (position, silent, expected) in [
        (7, 3_000, vec![]),
        (7, 3_001, vec![("silent", Some("b"))]),
        (6, 1_000, vec![]),
        (6, 1_001, vec![("behind", Some("b"))]),
        (8, 1_001, vec![]),
    ] {
        let silent = Duration::from_millis(silent);
        let b = Presence { position: Position(position), silent, ..presence("b", said(report())) };
        let status = Status::of(&fleet(vec![presence("a", said(report())), b]));
        assert_eq!(found(&status), expected, "{position} {silent:?}");
    }
    let far = Fleet { position: Some(Position(1_008)), ..fleet(vec![presence("b", said(report()))]) };
    assert_eq!(found(&Status::of(&far)), [("behind", Some("b"))]);
    let without = Fleet { current: false, position: None, ..fleet(vec![presence("a", said(report()))]) };
    assert_eq!(found(&Status::of(&without)), [("store_not_asked", None)]);
}

/// What is no report of this version is shown as such, and nothing of it is taken.
#[test]
fn what_cannot_be_read_is_shown_as_such() {
    let text = |text: &str| Found::Said(text.as_bytes().into());
    let of = |change: fn(&mut serde_json::Value)| {
        let mut json = serde_json::to_value(report()).unwrap();
        change(&mut json);
        text(&json.to_string())
    };
    for (found_there, why) in [
        (Found::Nothing, "none"),
        (Found::TooLong, "too_long"),
        (text("x"), "broken"),
        (text("{}"), "broken"),
        (text("{\"v\":1}"), "broken"),
        (of(|json| json["more"] = true.into()), "broken"),
        (of(|json| json["at"] = "yesterday".into()), "broken"),
        (of(|json| json["v"] = 3.into()), "another_version"),
        (text("{\"v\":3,\"whatever\":[]}"), "another_version"),
    ] {
        let status = Status::of(&fleet(vec![presence("b", found_there)]));
        assert_eq!(status.replicas[0].unreadable.as_deref(), Some(why));
        assert_eq!(
            (status.replicas[0].report.as_ref(), found(&status)),
            (None, vec![("report_unreadable", Some("b"))])
        );
    }
}

/// However much there is to say, it fits, and what is wrong is said first.
#[test]
fn a_report_is_bounded() {
    let mut long = report();
    long.issuers = (0..500).map(|n| issuer(&format!("issuer-{n}"))).collect();
    long.issuers[499].error = Some("e\u{1b}\n".repeat(10_000));
    long.failed_reload = Some(FailedReload { at: when(0), error: "x".repeat(100_000) });
    let text: Arc<[u8]> = long.encode().unwrap().into();
    assert!(text.len() <= MAX_REPORT, "{}", text.len());
    let read = read(&Found::Said(text)).unwrap();
    assert_eq!(read.issuers[0].name, "issuer-499");
    assert_eq!(read.issuers[0].error.as_ref().unwrap().chars().count(), MAX_TEXT);
    assert_eq!(read.issuers.len() + usize::try_from(read.issuers_unlisted).unwrap(), 500);
}
