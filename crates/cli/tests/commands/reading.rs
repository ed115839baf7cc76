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

/// A copy that a sink has made says itself what it was not given.
#[test]
fn gaps_of_a_sink_are_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let spot = |seq| format!(r#"{{"writer":"{}","seq":{seq}}}"#, "0".repeat(32));
    let gap = format!(
        r#"{{"v":1,"time":"2026-11-22T10:11:13.000Z","sink_gap":{{"lines":7,"from":{},"through":{}}}}}"#,
        spot(2),
        spot(8)
    );
    fs::write(folder.path().join("d"), file(&[decision(12, 1, CRM), gap.clone()])).unwrap();
    assert_eq!(query(folder.path(), &["--kind", "gap", "d"]).ended(0).out, format!("{gap}\n"));
    for command in ["query", "timeline"] {
        let said = run_in(folder.path(), &["audit", command, "d"], b"").ended(0);
        assert!(said.out.contains("gap      7 lines before this are missing in this copy"), "{}", said.out);
        assert!(said.err.contains("d: 7 lines are missing in this copy"), "{}", said.err);
    }
    run_in(folder.path(), &["audit", "timeline", "--agent", "nobody", "d"], b"").ended(1);
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
    fs::write(folder.path().join("d"), format!("{whole}\n{piece}\n{whole}\n{piece}")).unwrap();
    let said = query(folder.path(), &["--chain", &id(9), "d"]).ended(6);
    for words in ["no record of decision", "1 of 4 lines are no records", "the last line is torn"] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
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
    query(folder.path(), &["--limit", "0", "d"]).ended(2);
}

#[test]
fn the_key_finds_by_name_what_was_digested() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), [7; 32]).unwrap();
    // As docs/reference/audit.md makes it with `openssl`.
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

#[test]
fn a_timeline_is_of_all_replicas() {
    let folder = tempfile::tempdir().unwrap();
    let header = r#"{"v":1,"time":"2026-11-22T10:11:11.000Z","open":{"chain":1,"writer":"0"}}"#.to_owned();
    let gap = r#"{"v":1,"time":"2026-11-22T10:11:17.000Z","gap":7}"#.to_owned();
    let denied = decision(18, 4, CRM).replace(
        r#""permit","reason":"permitted","status":200"#,
        r#""deny","reason":"agent_revoked","status":401"#,
    );
    let one = [
        header.clone(),
        decision(12, 1, CRM),
        outcome(14, 2),
        order(16, "agent", "corp:crm-bot"),
        denied.clone(),
    ];
    let two = [
        decision(13, 2, CRM),
        outcome(13, 1),
        decision(15, 3, OTHER),
        order(15, "user", "corp:bob"),
        gap.clone(),
    ];
    fs::write(folder.path().join("one"), file(&one)).unwrap();
    fs::write(folder.path().join("two"), file(&two)).unwrap();
    let timeline =
        |arguments: &[&str]| run_in(folder.path(), &[&["audit", "timeline"], arguments].concat(), b"");
    let said = timeline(&["--agent", "corp:crm-bot", "--output", "json", "one", "two"]).ended(0);
    let expected = [&header, &one[1], &two[1], &two[0], &one[2], &one[3], &gap, &denied].map(String::clone);
    assert_eq!(said.out, file(&expected));
    let said = timeline(&["--agent", "corp:crm-bot", "two", "one"]).ended(0);
    let rows: Vec<_> = said.out.lines().collect();
    assert_eq!(rows.len(), 6, "{}", said.out);
    for (row, words) in rows.iter().zip([
        "begin",
        "→ 200 by the upstream in 1.2 ms",
        "→ 200 by the upstream in 1.2 ms",
        "order    revoke              by local:0",
        "gap      7 decisions",
        "agent_revoked       corp:alice > corp:crm-bot           ReadDocument (acme)               → answered with 401",
    ]) {
        assert!(row.contains(words), "{words}: {row}");
    }
    assert!(said.err.contains("two: 7 decisions could not be recorded"), "{}", said.err);
    let narrow = timeline(&["--user", "corp:bob", "--width", "80", "one", "two"]).ended(0);
    assert!(narrow.out.lines().all(|line| line.chars().count() <= 80), "{}", narrow.out);
    assert!(narrow.out.contains("→ no outcome") && narrow.out.contains("because: stolen"), "{}", narrow.out);
    assert!(!narrow.out.contains("crm-bot"), "{}", narrow.out);
    timeline(&["--agent", "nobody", "one", "two"]).ended(1);
    fs::write(folder.path().join("two"), "torn").unwrap();
    timeline(&["--agent", "corp:crm-bot", "one", "two"]).ended(6);
}

#[test]
fn the_tail_is_the_last_lines_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<_> = (10..40).map(|n| decision(n, n, if n % 10 == 7 { CRM } else { OTHER })).collect();
    fs::write(folder.path().join("d"), file(&lines)).unwrap();
    let tail = |arguments: &[&str]| {
        run_in(
            folder.path(),
            &[&["audit", "tail", "--output", "json"], arguments].concat(),
            file(&lines).as_bytes(),
        )
    };
    assert_eq!(tail(&["d"]).ended(0).out, file(&lines[20..]));
    assert_eq!(tail(&["-n", "1", "-"]).ended(0).out, file(&lines[29..]));
    let rare = [lines[17].clone(), lines[27].clone()];
    assert_eq!(tail(&["-n", "2", "--agent", "corp:crm-bot", "d"]).ended(0).out, file(&rare));
    tail(&["--agent", "nobody", "d"]).ended(1);
    tail(&["--follow", "-"]).ended(2);
    tail(&["-n", "0", "d"]).ended(2);
    tail(&["none"]).ended(5);
}

/// Lines come as they are written, across rotation; nothing is lost or comes twice.
#[test]
fn the_tail_follows_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d");
    let lines: Vec<_> = (10..20).map(|n| decision(n, n, CRM)).collect();
    fs::write(&path, file(&lines[..2])).unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_exequatur"))
        .args(["audit", "tail", "-f", "-n", "1", "--agent", "corp:crm-bot", "--output", "json"])
        .arg(&path)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut read = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let mut next = move || read.next().unwrap().unwrap();
    let append = |path: &std::path::Path, text: &str| {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    };
    assert_eq!(next(), lines[1]);
    let (half, rest) = lines[2].split_at(50);
    append(&path, half);
    append(&path, &format!("{rest}\n{}\n", decision(30, 30, OTHER)));
    assert_eq!(next(), lines[2]);
    fs::rename(&path, folder.path().join("d.1")).unwrap();
    append(&folder.path().join("d.1"), &file(&lines[3..4]));
    append(&path, &file(&lines[4..6]));
    assert_eq!([next(), next(), next()], [lines[3].clone(), lines[4].clone(), lines[5].clone()]);
    // Cut, as `copytruncate` does.
    fs::write(&path, file(&lines[6..7])).unwrap();
    assert_eq!(next(), lines[6]);
    child.kill().unwrap();
    child.wait().unwrap();
}
