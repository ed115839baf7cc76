//! `audit show`, `audit verify`, `audit prove`, `audit verify-proof`.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::process::Command;

use crate::run_in;

const ID: &str = "019aab7e-0000-7000-8000-000000000001";

fn record(id: &str, rest: &str) -> String {
    format!(
        r#"{{"v":1,"time":"2026-11-22T10:11:12.345Z","decision":"{id}","verdict":"deny","reason":"policy_forbid","status":403,"generation":7,"route":"read-document","action":"ReadDocument","resource":{{"type":"Document","id":"42","tenant":"acme"}},"method":"GET","host":"api.example.com","peer":"192.0.2.7","issuer":"corp","agent":"corp:crm-bot","user":"corp:alice","tenant":"acme","controls":{{"token":{{"digest":"d1","cached":true,"key_set":"k1"}},"sender_constraint":{{"kind":"dpop","thumbprint":"t1"}},"replay":"fresh","nonce":"absent"}},"policy":{{"ids":["tenant-isolation"],"set_hash":"cc"}},"timings_us":{{"route":1,"authenticate":80,"authorize":9,"total":95}}{rest}}}"#
    )
}

#[test]
fn a_record_is_shown_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let other = record("other", "");
    fs::write(
        folder.path().join("d.jsonl"),
        format!("{other}\n{}\n{other}\n", record(ID, r#","later":[1,"x"]"#)),
    )
    .unwrap();
    let shown = run_in(folder.path(), &["audit", "show", ID, "--file", "d.jsonl"], b"").ended(0);
    let expected = "\
decision    019aab7e-0000-7000-8000-000000000001
verdict     deny: policy_forbid, status 403
time        2026-11-22T10:11:12.345Z
request     GET api.example.com
route       read-document
action      ReadDocument
resource    Document, 42, tenant acme
agent       corp:crm-bot
user        corp:alice
tenant      acme
issuer      corp
token       id digest d1, cached true, key set k1
sender      dpop, thumbprint t1
replay      fresh
nonce       absent
policy      tenant-isolation, set cc
peer        192.0.2.7
generation  7
took        95 µs: route 1, authenticate 80, authorize 9
later       1, x
chain       not in the chain: it does not go on from the line before
found       d.jsonl, line 2

outcome     Envoy's own answer: it went no further
";
    assert_eq!(shown.out, expected);
    assert_eq!(shown.err, "");

    let json = run_in(folder.path(), &["audit", "show", ID, "-f", "d.jsonl", "--output", "json"], b"")
        .ended(0)
        .json();
    assert_eq!(json["records"][0]["line"], 2);
    assert_eq!(json["records"][0]["record"]["later"][1], "x");
    assert_eq!(json["searched"][0]["lines"], 3);
}

/// What was asked with, and with which rights, has rows of its own; so has the place in the chain.
#[test]
fn what_was_asked_with_is_readable() {
    let members = concat!(
        r#","trace":"0af7651916cd43dd8448eb211c80319c","arguments":{"digest":"sha256:7b5e","of":"target"},"#,
        r#""parts":[{"in":"header","name":"x-order","value":"a b\u001b"},{"in":"query","name":"page","digest":"hmac:00"},7],"#,
        r#""scopes":{"needed":["documents:read"],"held":["documents:read","x"],"more":3},"purpose":"refund","#,
        r#""prompt_hash":"sha-256:x","degraded":["keys_kept"]"#,
    );
    let shown =
        run_in(&std::env::temp_dir(), &["audit", "show", ID, "-f", "-"], record(ID, members).as_bytes());
    let expected = "
trace       0af7651916cd43dd8448eb211c80319c
purpose     refund
prompt      sha-256:x
degraded    keys_kept
scopes      needed documents:read; held documents:read, x and 3 more
arguments   of the target, sha256:7b5e
part        header x-order: \"a b\\u001b\"
part        query page: hmac:00
part        7
took ";
    let shown = shown.ended(0).out;
    assert!(shown.contains(expected), "{shown}");
}

/// Somebody's own line is told from one that a writer put there.
#[test]
fn a_record_that_is_in_no_chain_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let log = example(folder.path());
    let id = "019aab7e-0006-7000-8000-000000000002";
    let show = |log: &str, output: &str| {
        run_in(&std::env::temp_dir(), &["audit", "show", id, "-f", "-", "--output", output], log.as_bytes())
            .ended(0)
    };
    let shown = show(&log, "text").out;
    assert!(shown.contains("\nchain       number 3, hash 5hyTxw0oyEJW"), "{shown}");
    assert_eq!(show(&log, "json").json()["records"][0]["in_chain"], true);
    let lines: Vec<_> = log.lines().collect();
    for other in [[lines[0], lines[2]].join("\n"), log.replace("policy_forbid", "permitted")] {
        assert!(show(&other, "text").out.contains("\nchain       not in the chain"), "{other}");
        assert_eq!(show(&other, "json").json()["records"][0]["in_chain"], false);
    }
    let alone = show(lines[2], "text").out;
    assert!(alone.contains("the line before it is not there"), "{alone}");
    assert_eq!(show(lines[2], "json").json()["records"][0]["in_chain"], serde_json::Value::Null);
}

/// What came of a permit is told beside it, each report of it, from whichever file it stands in; so is that nobody said.
#[test]
fn an_outcome_is_shown_beside_its_decision() {
    let folder = tempfile::tempdir().unwrap();
    let permit = record(ID, "").replace(r#""verdict":"deny""#, r#""verdict":"permit""#);
    fs::write(folder.path().join("one"), permit + "\n").unwrap();
    let outcome = |rest: &str| {
        format!(
            r#"{{"v":1,"time":"2026-11-22T10:11:13.000Z","outcome_of":"{ID}","reached_upstream":true,"request_body_bytes":7,"response_body_bytes":53{rest}}}"#
        )
    };
    let outcomes = [
        outcome(
            r#","status":404,"answered_by":"upstream","upstream":"192.0.2.9:80","duration_us":1234,"later":1"#,
        ),
        outcome(r#","aborted_by":"caller","flags":["DC"],"note":"\u001b[2J""#),
    ];
    fs::write(folder.path().join("two"), outcomes.join("\n")).unwrap();
    let shown = run_in(folder.path(), &["audit", "show", ID, "-f", "one", "-f", "two"], b"").ended(0);
    let expected = "
outcome     status 404, by the upstream; the upstream was reached
upstream    192.0.2.9:80
bytes       request 7, response 53 (bodies)
took        1234 µs
reported    2026-11-22T10:11:13.000Z
later       1
chain       not in the chain: it does not go on from the line before
found       two, line 1

outcome     no answer; the upstream was reached
bytes       request 7, response 53 (bodies)
aborted by  caller
flags       DC
reported    2026-11-22T10:11:13.000Z
note        \"\\u001b[2J\"
chain       not in the chain: it does not go on from the line before
found       two, line 2
";
    assert!(shown.out.ends_with(expected), "{}", shown.out);
    let said =
        run_in(folder.path(), &["audit", "show", ID, "-f", "one", "-f", "two", "--output", "json"], b"");
    let said = said.ended(0).json();
    assert_eq!(said["outcomes"][0]["outcome"]["status"], 404);
    assert_eq!((&said["outcomes"][1]["file"], &said["outcomes"][1]["line"]), (&"two".into(), &2.into()));
    assert_eq!(said["searched"][1]["more_outcomes"], 0);

    let shown = run_in(folder.path(), &["audit", "show", ID, "-f", "one"], b"").ended(0);
    assert!(
        shown.out.ends_with("\noutcome     no outcome was reported, or none was kept\n"),
        "{}",
        shown.out
    );
    // An outcome alone is no decision, and is told all the same.
    let shown = run_in(folder.path(), &["audit", "show", ID, "-f", "two"], b"").ended(1);
    assert!(shown.out.contains("status 404") && shown.err.contains("no record of decision"), "{}", shown.out);
}

/// A record holds ids that callers chose: nothing of them reaches the terminal as a command.
#[test]
fn a_record_cannot_play_with_the_terminal() {
    let hostile = record(ID, r#","note":"\u001b]0;title\u0007\u202egnirts","\u001b[2J":"x""#)
        .replace("corp:alice", "corp:\\u009b2Ja\\nl\u{202e}ice\u{7f}");
    for output in ["text", "json"] {
        let shown = run_in(
            &std::env::temp_dir(),
            &["audit", "show", ID, "-f", "-", "--output", output],
            hostile.as_bytes(),
        );
        let shown = shown.ended(0);
        let controls = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.out.contains(controls), "{}", shown.out);
        assert!(shown.out.contains(r"\u001b"), "{}", shown.out);
    }
}

#[test]
fn an_unknown_decision_ends_with_1_and_what_lessens_the_certainty() {
    let folder = tempfile::tempdir().unwrap();
    let gap = r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","gap":7}"#;
    let torn = &record(ID, "")[..100];
    fs::write(folder.path().join("d.jsonl"), format!("{}\n{gap}\n{torn}", record("a", ""))).unwrap();
    let shown = run_in(folder.path(), &["audit", "show", ID, "-f", "d.jsonl"], b"").ended(1);
    assert_eq!(shown.out, "");
    for part in
        ["no record of decision", "3 lines read", "7 decisions could not be recorded", "1 damaged", "torn"]
    {
        assert!(shown.err.contains(part), "{part}: {}", shown.err);
    }
    let json = run_in(folder.path(), &["audit", "show", ID, "-f", "d.jsonl", "--output", "json"], b"")
        .ended(1)
        .json();
    assert_eq!(json["records"], serde_json::json!([]));
    assert_eq!(json["searched"][0]["gaps"], 7);

    run_in(folder.path(), &["audit", "show", ID, "-f", "none.jsonl"], b"").ended(5);
    run_in(folder.path(), &["audit", "show", ID], b"").ended(2);
    run_in(folder.path(), &["audit", "show", "no id", "-f", "d.jsonl"], b"").ended(2);
}

#[test]
fn files_of_the_configuration_and_others_are_searched_together() {
    let folder = tempfile::tempdir().unwrap();
    let config = "policies: p
protected_resources: [{ resource: https://api.example.com }]
issuers: [{ name: corp, issuer: https://sts.example.com, jwks: https://sts.example.com/jwks, audiences: [https://api.example.com] }]
routes: [{ name: health, match: { path: /healthz, methods: [GET] }, access: public }]
";
    fs::write(folder.path().join("none.yaml"), config).unwrap();
    fs::write(folder.path().join("c.yaml"), format!("{config}records: {{ file: d.jsonl }}\n")).unwrap();
    fs::write(folder.path().join("d.jsonl"), record(ID, "")).unwrap();
    fs::write(folder.path().join("old"), record(ID, "") + "\n").unwrap();
    let shown = run_in(folder.path(), &["audit", "show", ID, "-c", "c.yaml", "-f", "old"], b"").ended(0);
    assert_eq!(shown.out.matches("decision    ").count(), 2);
    assert!(shown.out.contains("found       old, line 1"), "{}", shown.out);
    let shown = run_in(folder.path(), &["audit", "show", ID, "-c", "none.yaml"], b"").ended(2);
    assert!(shown.err.contains("no records are kept"), "{}", shown.err);
}

/// A line of half a gigabyte (a hole in the file), in a process that may have a quarter of one.
#[test]
fn large_files_are_streamed() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = fs::File::create(folder.path().join("d.jsonl")).unwrap();
    writeln!(file, "{}", record("other", "")).unwrap();
    file.seek(SeekFrom::Start(512 * 1024 * 1024)).unwrap();
    writeln!(file, "\n{}", record(ID, "")).unwrap();
    let command =
        format!("ulimit -v 262144; exec {} audit show {ID} -f d.jsonl", env!("CARGO_BIN_EXE_exequatur"));
    let shown = Command::new("sh").args(["-c", &command]).current_dir(folder.path()).output().unwrap();
    let out = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.status.code(), Some(0), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(out.contains("found       d.jsonl, line 3"), "{out}");
}

/// The blocks of docs/reference/audit.md: a log, its keys, a proof.
fn example(folder: &std::path::Path) -> String {
    let page = include_str!("../../../../docs/reference/audit.md");
    let block = |kind: &str, n: usize| {
        let begin = format!("\n```{kind}\n");
        page.split(&begin).nth(n).unwrap().split("```\n").next().unwrap().to_owned()
    };
    let log = block("jsonl", 1);
    for (name, text) in [("log", &log), ("keys", &block("json", 1)), ("proof", &block("json", 2))] {
        fs::write(folder.join(name), text).unwrap();
    }
    log
}

/// E-10: exit codes are for scripts: 0 whole, 1 violated, 6 not vouched for.
#[test]
fn records_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    let log = example(folder.path());
    let run = |words: &[&str]| run_in(folder.path(), words, log.as_bytes());
    for file in ["log", "-"] {
        let said = run(&["audit", "verify", "--keys", "keys", file]).ended(0);
        assert!(said.out.starts_with("whole: 4 lines in 1 files, 2 records"), "{}", said.out);
    }
    let head = "4:4PjbyFbu2YQInSZ-ep8a39FSRnRPj1cLISlQ1HGgZ8E";
    run(&["audit", "verify", "--keys", "keys", "--expect", head, "log"]).ended(0);
    let said = run(&["audit", "verify", "--unsigned", "log"]).ended(0);
    assert!(said.out.contains("signatures were not checked"), "{}", said.out);

    fs::write(folder.path().join("forged"), log.replace("policy_forbid", "policy_forbod")).unwrap();
    let said = run(&["audit", "verify", "--keys", "keys", "forged"]).ended(1);
    assert!(said.out.starts_with("violated: forged, line 3, byte 460, record 3: changed: "), "{}", said.out);
    let said = run(&["audit", "verify", "--keys", "keys", "--output", "json", "forged"]).ended(1);
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&json["result"], &json["violation"]["line"]), (&"violated".into(), &3.into()));

    let cut: String = log.split_inclusive('\n').take(2).collect();
    fs::write(folder.path().join("cut"), cut).unwrap();
    let said = run(&["audit", "verify", "--keys", "keys", "cut"]).ended(6);
    assert!(
        said.out.contains("not vouched for: from cut, line 1, byte 0, record 1 to cut, line 2"),
        "{}",
        said.out
    );
    let said = run(&["audit", "verify", "--keys", "keys", "--output", "json", "cut"]).ended(6);
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&json["result"], &json["report"]["unvouched"][0]["why"]),
        (&"unvouched".into(), &"unended".into())
    );
    run(&["audit", "verify", "--keys", "keys", "--expect", head, "cut"]).ended(1);

    for words in [
        &["audit", "verify", "log"][..],
        &["audit", "verify", "--unsigned", "--keys", "keys", "log"],
        &["audit", "verify", "--keys", "log", "log"],
        &["audit", "verify", "--keys", "keys"],
        &["audit", "verify", "--keys", "keys", "--expect", "4", "log"],
    ] {
        run(words).ended(2);
    }
    run(&["audit", "verify", "--keys", "keys", "none"]).ended(5);
}

#[test]
fn one_record_is_proven() {
    let folder = tempfile::tempdir().unwrap();
    let log = example(folder.path());
    let run = |words: &[&str]| run_in(folder.path(), words, b"");
    let id = "019aab7e-0006-7000-8000-000000000002";
    let proof = run(&["audit", "prove", "--decision", id, "log"]).ended(0).out;
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(read(&proof), read(&fs::read_to_string(folder.path().join("proof")).unwrap()));
    let said = run(&["audit", "verify-proof", "--keys", "keys", "proof"]).ended(0);
    assert!(said.out.contains(id) && said.out.starts_with("proven: record 3 of writer "), "{}", said.out);
    run(&["audit", "verify-proof", "--keys", "keys", "--output", "json", "proof"]).ended(0);
    run(&["audit", "show", id, "--file", "log"]).ended(0);

    run(&["audit", "prove", "--decision", "none", "log"]).ended(1);
    fs::write(folder.path().join("cut"), log.split_inclusive('\n').take(3).collect::<String>()).unwrap();
    run(&["audit", "prove", "--decision", id, "cut"]).ended(6);
    fs::write(folder.path().join("forged"), proof.replace("policy_forbid", "policy_forbod")).unwrap();
    let said = run(&["audit", "verify-proof", "--keys", "keys", "forged"]).ended(1);
    assert!(said.err.contains("not proven: the record's line was changed"), "{}", said.err);
}

/// What is no record is told and left out, and ends with 6; what is written is one line each.
#[test]
fn records_are_exported() {
    let folder = tempfile::tempdir().unwrap();
    let log = example(folder.path());
    for (format, member) in [("ocsf", "class_uid"), ("ecs", "ecs"), ("own", "hash")] {
        let run = |file: &str| {
            run_in(folder.path(), &["audit", "export", "--format", format, file], log.as_bytes())
        };
        for file in ["log", "-"] {
            let said = run(file).ended(0);
            assert_eq!((said.out.lines().count(), said.err.as_str()), (4, ""));
            for line in said.out.lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(line.get(member).is_some(), "{line}");
            }
            assert!(format != "own" || said.out == log);
        }
        fs::write(folder.path().join("mixed"), format!("x\u{1b}\n{log}{}", &log[..50])).unwrap();
        let said = run("mixed").ended(6);
        assert_eq!(said.out.lines().count(), 4);
        for part in ["mixed, line 1: not a line", "mixed, line 6: torn", "4 lines written, 2 left out"] {
            assert!(said.err.contains(part), "{}", said.err);
        }
        run("none").ended(5);
        fs::write(folder.path().join("packed"), b"\x1f\x8b\x08\0").unwrap();
        let said = run("packed").ended(2);
        assert!(said.out.is_empty() && said.err.contains("packed is compressed: `zcat FILE"), "{}", said.err);
    }
    let both = run_in(folder.path(), &["audit", "export", "--format", "ecs", "log", "log"], b"").ended(0);
    assert_eq!(both.out.lines().count(), 8);
    run_in(folder.path(), &["audit", "export", "log"], b"").ended(2);
}

/// A line of half a gigabyte (a hole in the file), in a process that may have a quarter of one.
#[test]
fn large_files_are_exported() {
    let folder = tempfile::tempdir().unwrap();
    let line = example(folder.path()).lines().next().unwrap().to_owned();
    let mut file = fs::File::create(folder.path().join("d.jsonl")).unwrap();
    writeln!(file, "{line}").unwrap();
    file.seek(SeekFrom::Start(512 * 1024 * 1024)).unwrap();
    writeln!(file, "\n{line}").unwrap();
    let command = format!(
        "ulimit -v 262144; exec {} audit export --format ecs d.jsonl",
        env!("CARGO_BIN_EXE_exequatur")
    );
    let done = Command::new("sh").args(["-c", &command]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(6), "{said}");
    assert!(said.contains("line 2: longer than a line"), "{said}");
    assert_eq!(String::from_utf8(done.stdout).unwrap().lines().count(), 2);
}
