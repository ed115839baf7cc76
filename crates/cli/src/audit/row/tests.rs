use serde_json::json;

use super::*;

fn decision() -> Value {
    json!({
        "v": 1, "time": "2026-11-22T10:11:12.345Z", "decision": "019aab7e-0000-7000-8000-000000000001",
        "verdict": "deny", "reason": "policy_forbid", "action": "ReadDocument",
        "resource": { "type": "Document", "id": "plan", "tenant": "acme" },
        "agent": "corp:sub", "user": "corp:alice", "actors": ["corp:sub", "corp:crm-bot"],
    })
}

#[test]
fn a_row_fits_the_width_and_loses_nothing() {
    let wide = folded(&row(&decision()), None, false);
    assert_eq!(
        wide,
        "2026-11-22 10:11:12.345  deny     policy_forbid       corp:alice > corp:crm-bot > corp:sub  \
         ReadDocument Document plan (acme)  019aab7e-0000-7000-8000-000000000001"
    );
    for width in [40, 60, 80, 100, 140] {
        let text = folded(&row(&decision()), Some(width), false);
        assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&text), words(&wide), "{width}");
    }
    let narrow = folded(&row(&decision()), Some(80), false);
    assert_eq!(
        narrow,
        "2026-11-22 10:11:12.345  deny     policy_forbid\n    corp:alice > corp:crm-bot > corp:sub  \
         ReadDocument Document plan (acme)\n    019aab7e-0000-7000-8000-000000000001"
    );
}

#[test]
fn colours_are_put_around_harmless_text_alone() {
    let mut hostile = decision();
    hostile["user"] = json!("a\u{1b}[31m\u{202e}\nb");
    hostile["resource"]["id"] = json!("\u{9b}2J");
    hostile["reason"] = json!("x\ty");
    let text = folded(&row(&hostile), Some(80), false);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(!text.contains('\u{202e}') && text.contains(r"\u202e"), "{text}");
    let coloured = folded(&row(&hostile), Some(80), true);
    let plain = coloured.replace("\u{1b}[33m", "").replace("\u{1b}[2m", "").replace("\u{1b}[0m", "");
    assert_eq!(plain, text);
    assert_ne!(coloured, text);
    // Nor can a name look like two, or like another column.
    for name in ["corp:alice > corp:boss", "corp:alice  deny"] {
        hostile["user"] = json!(name);
        let text = folded(&row(&hostile), None, false);
        assert!(text.contains(&format!("\"{name}\" > corp:")), "{text}");
    }
}

#[test]
fn every_kind_of_line_has_a_row() {
    let time = "2026-11-22T10:11:12.345Z";
    let said = |record: &Value| folded(&row(record), None, false);
    for (record, words) in [
        (
            json!({ "time": time, "admin": "admin-1", "actor": "local:0", "claimed": "ada", "action": "revoke", "outcome": "done",
                    "kind": "agent", "name": "corp:b", "until": "2026-11-23T00:00:00.000Z", "reason": "stolen" }),
            &[
                "order",
                "revoke ",
                "by local:0 (ada)",
                "agent corp:b until 2026-11-23T00:00:00.000Z",
                "because: stolen",
                "admin-1",
            ][..],
        ),
        (
            json!({ "time": time, "admin": "admin-2", "actor": "local:0", "action": "undo", "outcome": "failed", "error": "gone" }),
            &["undo (failed)", "error: gone"],
        ),
        (
            json!({ "time": time, "outcome_of": "d-1", "status": 503, "answered_by": "proxy", "duration_us": 1234,
                    "aborted_by": "upstream", "reached_upstream": false }),
            &["outcome", "503 by the proxy in 1.2 ms, aborted by the upstream, upstream not reached", "d-1"],
        ),
        (json!({ "time": time, "outcome_of": "d-1" }), &["no answer"]),
        (json!({ "time": time, "gap": 7 }), &["gap", "7 decisions before this have no record"]),
        (
            json!({ "time": time, "open": { "writer": "98e5a0aa2dcbe89e" } }),
            &["begin    writer 98e5a0aa… begins a chain of its own"],
        ),
        (
            json!({ "time": time, "open": { "continues": {}, "torn": { "bytes": 9 } } }),
            &["goes on from the line before, after 9 bytes of a line"],
        ),
        (json!({ "time": time, "checkpoint": { "closes": "run" } }), &["end", "stopped"]),
        (json!({ "time": time, "decision": "d-1", "verdict": "deny" }), &["nobody known"]),
        (
            json!({ "time": time, "decision": "d-1", "agent": format!("hmac:{}", "0a".repeat(32)) }),
            &["hmac:0a0a0a0a0a0a… "],
        ),
    ] {
        let text = said(&record);
        assert!(text.starts_with("2026-11-22 10:11:12.345"), "{text}");
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
    assert_eq!(
        (duration(7), duration(1_000), duration(61_250_000)),
        ("7 µs".to_owned(), "1.0 ms".to_owned(), "61.2 s".to_owned())
    );
}
