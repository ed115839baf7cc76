use serde_json::Value;

use super::*;
use crate::lines::Lines;
use crate::merge::Merge;

/// 2026-11-22T10:00:00Z and so many tenths of a second.
fn time(tenths: i64) -> String {
    let begin: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
    format!("{:.3}", begin + SignedDuration::from_millis(tenths * 100))
}

fn line(tenths: i64, kind: &str, id: &str, members: &str) -> String {
    format!("{{\"v\":1,\"time\":\"{}\",\"{kind}\":\"{id}\"{members}}}\n", time(tenths))
}

fn permit(tenths: i64, id: &str, agent: &str) -> String {
    let members = format!(
        r#","verdict":"permit","agent":"{agent}","user":"corp:alice","tenant":"acme","issuer":"corp","controls":{{"token":{{"digest":"t-1"}},"sender_constraint":{{"thumbprint":"k-1"}}}}"#
    );
    line(tenths, "decision", id, &members)
}

fn outcome(tenths: i64, id: &str) -> String {
    line(tenths, "outcome_of", id, r#","status":200"#)
}

fn order(tenths: i64, id: &str, kind: &str, name: &str) -> String {
    line(tenths, "admin", id, &format!(r#","action":"revoke","kind":"{kind}","name":"{name}""#))
}

fn agent(name: &str) -> Criteria {
    Criteria { agent: Some(name.to_owned()), ..Criteria::default() }
}

fn events(criteria: &Criteria, files: &[String]) -> Vec<Event> {
    let mut merge = Merge::new(files.iter().map(|file| Lines::new(file.as_bytes())).collect()).unwrap();
    let mut timeline = Timeline::new(criteria);
    while merge.next_line(|_, time, line| timeline.take(time, line.bytes)).unwrap().is_some() {}
    timeline.end();
    std::iter::from_fn(|| timeline.next_event()).collect()
}

/// Each event's id and what came of it: `+` an outcome, `?` none yet, `-` none, `~` out of order.
fn told(criteria: &Criteria, files: &[String]) -> Vec<String> {
    let said = events(criteria, files).into_iter().map(|event| {
        let record: Value = serde_json::from_slice(&event.line).unwrap();
        let id = ["decision", "outcome_of", "admin"].iter().find_map(|member| record[*member].as_str());
        let id = id.map_or_else(|| format!("{:?}", event.kind), str::to_owned);
        let mark = match event.came {
            Came::Nothing => "",
            Came::NotYet => "?",
            Came::Never => "-",
            Came::Reported(outcome) => {
                let outcome: Value = serde_json::from_slice(&outcome).unwrap();
                assert_eq!(outcome["outcome_of"], record["decision"]);
                "+"
            }
        };
        format!("{}{id}{mark}", if event.disordered { "~" } else { "" })
    });
    said.collect()
}

#[test]
fn files_of_several_writers_are_one_line_of_time() {
    let one =
        [permit(0, "a", "corp:b"), permit(20, "c", "corp:b"), outcome(21, "a"), permit(40, "e", "corp:b")];
    let two = [
        permit(10, "b", "corp:b"),
        outcome(15, "c"),
        permit(30, "d", "corp:x"),
        outcome(50, "d"),
        outcome(51, "e"),
    ];
    // The clock of the second one is late: the outcome of `c` is dated before `c`.
    let files = [one.concat(), two.concat()];
    assert_eq!(told(&agent("corp:b"), &files), ["a+", "b-", "c+", "e+"]);
    let reversed = [files[1].clone(), files[0].clone()];
    assert_eq!(told(&agent("corp:b"), &reversed), ["a+", "b-", "c+", "e+"]);
    assert_eq!(told(&agent("corp:x"), &files), ["d+"]);
    assert_eq!(told(&Criteria::default(), &files), ["a+", "b-", "c+", "d+", "e+"]);
    // Outcomes whose decisions are in no file.
    assert_eq!(told(&Criteria::default(), &files[1..]), ["b-", "c", "d+", "e"]);
}

#[test]
fn within_half_a_minute_lines_are_put_in_order() {
    let file =
        [permit(100, "b", "x"), permit(0, "a", "x"), permit(250, "d", "x"), permit(101, "c", "x")].concat();
    assert_eq!(told(&agent("x"), &[file]), ["a-", "b-", "c-", "d-"]);
    let set_back =
        [permit(1000, "a", "x"), permit(1400, "b", "x"), permit(0, "c", "x"), permit(10, "d", "x")].concat();
    assert_eq!(told(&agent("x"), &[set_back]), ["a?", "~c-", "~d-", "b-"]);
}

/// A denial has no outcome; an outcome that comes late is told by itself, where it comes.
#[test]
fn outcomes_come_beside_their_decisions_or_later() {
    let denied = permit(1, "no", "x").replace("permit", "deny");
    let file = [
        permit(0, "a", "x"),
        denied,
        permit(2, "b", "x"),
        outcome(290, "a"),
        permit(310, "c", "x"),
        outcome(900, "b"),
        outcome(901, "b"),
    ];
    assert_eq!(told(&agent("x"), &[file.concat()]), ["a+", "no", "b?", "c?", "b", "b"]);
    let denials = Criteria { verdict: Some("deny".to_owned()), ..agent("x") };
    assert_eq!(told(&denials, &[file.concat()]), ["no"]);
    // What came of a decision of the interval may be dated after it.
    let until = Criteria { until: Some(time(200).parse().unwrap()), ..agent("x") };
    assert_eq!(told(&until, &[file.concat()]), ["a+", "no", "b?", "b", "b"]);
    // Another one is told, too, wherever the first one stands.
    let again = [outcome(0, "a"), outcome(0, "a"), outcome(1, "a"), permit(2, "a", "x"), outcome(3, "a")];
    assert_eq!(told(&agent("x"), &[again.concat()]), ["a", "a", "a+", "a"]);
    assert_eq!(told(&agent("y"), &[again.concat()]), [""; 0]);
    let twice = [permit(0, "a", "x"), outcome(1, "a"), outcome(2, "a"), outcome(900, "a")];
    assert_eq!(told(&agent("x"), &[twice.concat()]), ["a+", "a", "a"]);
    let decisions = Criteria { kinds: vec![LineKind::Decision], ..agent("x") };
    assert_eq!(told(&decisions, &[twice.concat()]), ["a+"]);
    // By another spelling, too.
    let spelt = [permit(0, "a", "x"), outcome(5, "a").replace(r#""a""#, r#""\u0061""#)].concat();
    assert_eq!(told(&agent("x"), &[spelt]), ["a+"]);
}

#[test]
fn orders_that_concern_what_decisions_rest_on_are_told() {
    let concerned = [
        order(10, "all", "all", ""),
        order(11, "agent", "agent", "corp:b"),
        order(12, "client", "client", "corp:b"),
        order(13, "user", "user", "corp:alice"),
        order(14, "tenant", "tenant", "acme"),
        order(15, "issuer", "issuer", "corp"),
        order(16, "token", "token", "corp:t-1"),
        order(17, "key", "key", "k-1"),
        order(18, "session", "session", "corp:s"),
    ];
    let others = [
        order(10, "agent", "agent", "corp:c"),
        order(11, "user", "user", "corp:b"),
        order(12, "tenant", "tenant", "globex"),
        order(13, "issuer", "issuer", "other"),
        order(14, "token", "token", "corp:t-2"),
        order(15, "key", "key", "k-2"),
        order(16, "session", "session", "other:s"),
        line(17, "admin", "look", r#","action":"list_revocations","outcome":"done""#),
    ];
    let decision = permit(0, "a", "corp:b");
    let all = [&[decision.clone()][..], &concerned].concat().concat();
    let names = ["a-", "all", "agent", "client", "user", "tenant", "issuer", "token", "key", "session"];
    assert_eq!(told(&agent("corp:b"), std::slice::from_ref(&all)), names);
    let none = [&[decision][..], &others].concat().concat();
    assert_eq!(told(&agent("corp:b"), std::slice::from_ref(&none)), ["a-"]);
    assert_eq!(told(&Criteria::default(), &[none]).len(), 9);
    // Whom an order is about that redaction took the name from, nobody knows.
    let nameless = |kind: &str| line(10, "admin", kind, &format!(r#","action":"revoke","kind":"{kind}""#));
    let kinds = ["agent", "client", "user", "tenant", "key", "token"].map(nameless);
    assert_eq!(told(&agent("corp:x"), &[kinds.concat()]), ["agent", "client", "user", "tenant"]);
    // Before the first decision, what is known is who is looked for.
    assert_eq!(
        told(&agent("corp:b"), &[concerned.concat()]),
        ["all", "agent", "client", "issuer", "session"]
    );
    let decisions = Criteria { kinds: vec![LineKind::Decision], ..agent("corp:b") };
    assert_eq!(told(&decisions, std::slice::from_ref(&all)), ["a-"]);
    let since = Criteria { since: Some(time(17).parse().unwrap()), ..agent("corp:b") };
    assert_eq!(told(&since, &[all]), ["session"]);
}

/// An order comes before the decision that it causes.
#[test]
fn an_order_that_is_followed_by_what_it_concerns_is_told() {
    let trace = Criteria { trace: Some("0af7".to_owned()), ..Criteria::default() };
    let denied = |tenths| {
        permit(tenths, "no", "corp:b")
            .replace(r#""verdict":"permit""#, r#""verdict":"deny","trace":"0af7""#)
            .replace(r#""no""#, &format!(r#""no-{tenths}""#))
    };
    let before = [
        order(0, "token", "token", "corp:t-1"),
        order(1, "other", "token", "corp:t-2"),
        line(2, "admin", "look", r#","action":"list_revocations","outcome":"done""#),
    ]
    .concat();
    assert_eq!(told(&trace, &[[before.clone(), denied(10)].concat()]), ["token", "no-10"]);
    let quiet = permit(500, "later", "corp:x");
    assert_eq!(told(&trace, &[[before.clone(), denied(299), quiet.clone()].concat()]), ["token", "no-299"]);
    // Nobody waits for longer than that.
    assert_eq!(told(&trace, &[[before.clone(), quiet, denied(501)].concat()]), ["no-501"]);
    let since = Criteria { since: Some(time(1).parse().unwrap()), ..trace };
    assert_eq!(told(&since, &[[before, denied(10)].concat()]), ["no-10"]);
}

#[test]
fn what_may_be_missing_is_told_of_everybody() {
    let writer =
        format!(r#"{{"writer":"{}","from":1,"through":2,"head":"{}""#, "0".repeat(32), "A".repeat(43));
    let bare = |tenths, kind: &str, value: &str| {
        format!("{{\"v\":1,\"time\":\"{}\",\"{kind}\":{value}}}\n", time(tenths))
    };
    let file = [
        bare(0, "open", r#"{"chain":1,"writer":"0"}"#),
        permit(1, "a", "x"),
        bare(2, "checkpoint", &format!("{writer}}}")),
        bare(3, "gap", "7"),
        bare(3, "sink_gap", r#"{"lines":7}"#),
        bare(4, "checkpoint", &format!(r#"{writer},"closes":"file"}}"#)),
        bare(5, "checkpoint", &format!(r#"{writer},"closes":"run"}}"#)),
        bare(6, "open", r#"{"chain":1,"writer":"1"}"#),
    ]
    .concat();
    assert_eq!(
        told(&agent("x"), std::slice::from_ref(&file)),
        ["Header", "a-", "Gap", "SinkGap", "Checkpoint", "Header"]
    );
    assert_eq!(
        told(&agent("y"), std::slice::from_ref(&file)),
        ["Header", "Gap", "SinkGap", "Checkpoint", "Header"]
    );
    let since = Criteria {
        since: Some(time(3).parse().unwrap()),
        until: Some(time(6).parse().unwrap()),
        ..agent("x")
    };
    assert_eq!(told(&since, std::slice::from_ref(&file)), ["Gap", "SinkGap", "Checkpoint"]);
    let gaps = Criteria { kinds: vec![LineKind::Gap], ..Criteria::default() };
    assert_eq!(told(&gaps, &[file]), ["Gap"]);
}

/// However much falls into half a minute, no more is held than that.
#[test]
fn what_is_held_back_is_bounded() {
    let one = permit(0, "d-0000", "x");
    for bytes in [usize::MAX, 20 * one.len()] {
        let mut timeline = Timeline::new(&agent("x"));
        timeline.bounds = Bounds { bytes, lines: 30, awaited: 50, early: 40 };
        let moment: Moment = time(0).into_bytes().try_into().unwrap();
        let mut given = 0_usize;
        for n in 1000..2000 {
            timeline.take(&moment, permit(0, &format!("d-{n}"), "x").trim_end().as_bytes());
            timeline.take(&moment, outcome(0, &format!("e-{n}")).trim_end().as_bytes());
            while let Some(event) = timeline.next_event() {
                assert_eq!(event.came, Came::NotYet);
                given += 1;
            }
            assert!(timeline.held.len() <= 30 && timeline.open.len() <= 30 && timeline.bytes <= bytes);
            assert!(timeline.early.len() <= 40 && timeline.early_since.len() <= 40);
            assert!(timeline.awaited.len() <= 50 && timeline.answered.len() <= 50);
        }
        assert_eq!(given, 1000 - timeline.held.len());
        assert_eq!(timeline.held.len(), if bytes == usize::MAX { 30 } else { 20 });
        timeline.end();
        assert_eq!((timeline.bytes, timeline.open.len(), timeline.released.len()), (0, 0, 1000 - given));
    }
}
