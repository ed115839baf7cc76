//! `audit query`, `audit timeline`, `audit tail`.

use std::fs;

use crate::{Run, run_in};

/// A decision of that second: its number is its id's, so that its id is of ours.
fn decision(second: u32, number: u32, members: &str) -> String {
    format!(
        r#"{{"v":1,"time":"2026-11-22T10:11:{second:02}.345Z","decision":"{}","verdict":"permit","reason":"permitted","status":200,"generation":7,{members}}}"#,
        id(number)
    )
}

fn id(number: u32) -> String {
    format!("019aab7e-0000-7000-8000-{number:012}")
}

fn outcome(second: u32, of: u32) -> String {
    format!(
        r#"{{"v":1,"time":"2026-11-22T10:11:{second:02}.900Z","outcome_of":"{}","status":200,"answered_by":"upstream","request_body_bytes":0,"response_body_bytes":7,"duration_us":1234}}"#,
        id(of)
    )
}

fn order(second: u32, kind: &str, name: &str) -> String {
    format!(
        r#"{{"v":1,"time":"2026-11-22T10:11:{second:02}.500Z","admin":"admin-{second}","actor":"local:0","action":"revoke","outcome":"done","kind":"{kind}","name":"{name}","reason":"stolen"}}"#
    )
}

const CRM: &str = r#""action":"ReadDocument","agent":"corp:crm-bot","user":"corp:alice","tenant":"acme""#;
const OTHER: &str = r#""agent":"corp:other","user":"corp:bob","tenant":"acme""#;

fn file(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn query(folder: &std::path::Path, arguments: &[&str]) -> Run {
    run_in(folder, &[&["audit", "query", "--output", "json"], arguments].concat(), b"")
}

#[test]
fn lines_are_found_and_printed_as_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        decision(12, 1, CRM),
        decision(13, 2, OTHER),
        order(14, "agent", "corp:crm-bot"),
        outcome(15, 1),
        decision(
            16,
            3,
            r#""agent":"corp:sub","user":"corp:alice","actors":["corp:sub","corp:crm-bot"],"trace":"0af7651916cd43dd8448eb211c80319c""#,
        ),
    ];
    fs::write(folder.path().join("one"), file(&lines[..3])).unwrap();
    fs::write(folder.path().join("two"), file(&lines[3..])).unwrap();
    let one = id(1);
    for (arguments, expected) in [
        (&["--agent", "corp:crm-bot"][..], &[0, 2, 4][..]),
        (&["--user", "corp:alice"], &[0, 4]),
        (
            &[
                "--agent",
                "corp:crm-bot",
                "--user",
                "corp:alice",
                "--trace",
                "0af7651916cd43dd8448eb211c80319c",
            ],
            &[4],
        ),
        (&["--chain", "corp:alice > corp:crm-bot"], &[0]),
        (&["--chain", "corp:alice > corp:crm-bot >"], &[0, 4]),
        (&["--chain", &one], &[0]),
        (&["--decision", &one], &[0, 3]),
        (&["--kind", "order", "--kind", "outcome"], &[2, 3]),
        (&["--since", "2026-11-22T10:11:14.5Z", "--until", "2026-11-22T10:11:16.345Z"], &[2, 3]),
        (&["--since", "2026-11-22T10:11:14.5Z", "--clock-within", "15s"], &[2, 3, 4]),
        (&["--limit", "2"], &[0, 1]),
    ] {
        let found = query(folder.path(), &[arguments, &["one", "two"]].concat()).ended(0);
        let expected: Vec<_> = expected.iter().map(|n| lines[*n].clone()).collect();
        assert_eq!(found.out, file(&expected), "{arguments:?}");
        assert_eq!(found.err.is_empty(), !arguments.contains(&"--limit"), "{arguments:?}: {}", found.err);
    }
    for arguments in [&["--agent", "corp:crm"][..], &["--since", "1h"], &["--chain", "corp:alice"]] {
        let none = query(folder.path(), &[arguments, &["one", "two"]].concat()).ended(1);
        assert!(none.err.contains("nothing of that kind in 5 lines"), "{}", none.err);
    }
    let unknown = query(folder.path(), &["--chain", &id(9), "one"]).ended(1);
    assert!(unknown.err.contains("no record of decision"), "{}", unknown.err);
    let piped = run_in(
        folder.path(),
        &["audit", "query", "--user", "corp:alice", "--output", "json", "-"],
        file(&lines).as_bytes(),
    );
    assert_eq!(piped.ended(0).out, file(&[lines[0].clone(), lines[4].clone()]));
}

#[test]
fn rows_are_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = decision(13, 2, r#""agent":"corp:crm-bot","user":"a\u001b]0;x\u0007\u009b""#);
    let lines =
        [decision(12, 1, CRM), hostile, r#"{"v":1,"time":"2026-11-22T10:11:14.000Z","gap":7}"#.to_owned()];
    fs::write(folder.path().join("d"), file(&lines)).unwrap();
    let said = run_in(folder.path(), &["audit", "query", "--width", "80", "d"], b"").ended(0);
    assert!(said.out.lines().all(|line| line.chars().count() <= 80), "{}", said.out);
    assert!(said.out.starts_with("TIME (UTC)"), "{}", said.out);
    for words in [
        "2026-11-22 10:11:12.345  permit   permitted",
        "corp:alice > corp:crm-bot",
        "7 decisions before this",
    ] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    assert!(said.out.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", said.out);
    assert!(said.err.contains("d: 7 decisions could not be recorded"), "{}", said.err);
}

#[test]
fn what_could_not_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let whole = decision(12, 1, CRM);
    let (piece, _) = whole.split_at(90);
    for (text, words) in [
        (format!("{whole}\n{piece}\n{whole}\n"), "1 of 3 lines are no records"),
        (format!("not ours\n{whole}\n"), "1 of 2 lines are no records"),
        (format!("{whole}\n{piece}"), "the last line is torn"),
        (format!("{whole}\n{}\n", decision(13, 2, r#""agent":"hmac:00""#)), "--digest-key-file"),
    ] {
        fs::write(folder.path().join("d"), text).unwrap();
        let said = query(folder.path(), &["--agent", "corp:crm-bot", "d"]).ended(6);
        assert!(said.out.starts_with(&whole), "{}", said.out);
        assert!(said.err.contains(words), "{}", said.err);
        query(folder.path(), &["--agent", "nobody", "d"]).ended(6);
    }
    fs::write(folder.path().join("d.gz"), b"\x1f\x8b\x08\0").unwrap();
    let said = query(folder.path(), &["d.gz"]).ended(2);
    assert!(said.err.contains("d.gz is compressed: `zcat FILE | exequatur"), "{}", said.err);
    query(folder.path(), &["none"]).ended(5);
    query(folder.path(), &["."]).ended(5);
    for wrong in [
        &["--since", "soon"][..],
        &["--chain", ">"],
        &["--decision", "a b"],
        &["--digest-key-file", "none"],
        &[],
    ] {
        let files: &[&str] = if wrong.is_empty() { &[] } else { &["d"] };
        query(folder.path(), &[wrong, files].concat()).ended(2);
    }
    query(folder.path(), &["--chain", &id(1), "-"]).ended(2);
    query(folder.path(), &["--clock-within", "1s", "d"]).ended(2);
}

#[test]
fn the_key_finds_by_name_what_was_digested() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), [7; 32]).unwrap();
    // As docs/audit.md makes it with `openssl`.
    let alice = "hmac:16fa8256c2e2a3c726e4d97bcbf79f3e43d0fa1436da52a4a9c958c715ab0aa5";
    let line = decision(12, 1, &format!(r#""agent":"corp:crm-bot","user":"{alice}""#));
    fs::write(folder.path().join("d"), file(&[line.clone(), decision(13, 2, OTHER)])).unwrap();
    let key = &["--digest-key-file", "key", "d"];
    for arguments in
        [&["--user", "corp:alice"][..], &["--chain", "corp:alice > corp:crm-bot"], &["--user", alice]]
    {
        let found = query(folder.path(), &[arguments, key].concat()).ended(0);
        assert_eq!(found.out, file(std::slice::from_ref(&line)), "{arguments:?}");
    }
    let said = query(folder.path(), &["--user", "corp:alice", "d"]).ended(6);
    assert!(said.out.is_empty() && said.err.contains("names stand there as digests"), "{}", said.err);
    query(folder.path(), &["--user", alice, "d"]).ended(0);
    query(folder.path(), &["--agent", "corp:crm-bot", "d"]).ended(0);
}
