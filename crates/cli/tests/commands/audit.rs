//! `audit show`.

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
found       d.jsonl, line 2
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
