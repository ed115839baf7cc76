use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const TIME: &str = "2026-11-22T10:11:12.345Z";

fn judged(criteria: &Criteria, line: &Value) -> Judged {
    Filter::new(criteria).judge(line.to_string().as_bytes())
}

/// A line as it is written: with its members in their order.
fn line(kind: &str, id: &str, members: &str) -> String {
    format!(r#"{{"v":1,"time":"{TIME}","{kind}":"{id}"{members}}}"#)
}

fn decision() -> String {
    line(
        "decision",
        "d-1",
        concat!(
            r#","verdict":"deny","reason":"policy_forbid","status":403,"trace":"0af7651916cd43dd8448eb211c80319c","#,
            r#""resource":{"type":"Document","id":"plan","tenant":"globex"},"client":"corp:app","agent":"corp:sub","#,
            r#""user":"corp:alice","tenant":"acme","actors":["corp:sub","corp:crm-bot"],"#,
            r#""controls":{"token":{"digest":"LCa0a2j_xo_5m0U8HTBBNA","cached":true}}"#,
        ),
    )
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// All that a filter can ask of a decision, each with near misses that differ by one thing.
#[test]
fn each_filter_takes_what_it_names_and_nothing_near() {
    let chain = |text: &str| Some(Delegation::parse(text).unwrap());
    let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    let base = Criteria::default;
    let hits = [
        Criteria { agent: some("corp:sub"), ..base() },
        Criteria { agent: some("corp:app"), ..base() },
        Criteria { agent: some("corp:crm-bot"), ..base() },
        Criteria { user: some("corp:alice"), ..base() },
        Criteria { tenant: some("acme"), ..base() },
        Criteria { tenant: some("globex"), ..base() },
        Criteria { chain: chain("corp:alice > corp:app > corp:crm-bot > corp:sub"), ..base() },
        Criteria { chain: chain("corp:alice > corp:app > corp:crm-bot > corp:sub >"), ..base() },
        Criteria { chain: chain("corp:alice > corp:app >"), ..base() },
        Criteria { trace: some("0af7651916cd43dd8448eb211c80319c"), ..base() },
        Criteria { trace: some("0AF7651916CD43DD8448EB211C80319C"), ..base() },
        Criteria { verdict: some("deny"), ..base() },
        Criteria { reason: some("policy_forbid"), ..base() },
        Criteria { decision: some("d-1"), ..base() },
        Criteria { token: some("LCa0a2j_xo_5m0U8HTBBNA"), ..base() },
        Criteria { since: at(TIME), ..base() },
        Criteria { until: at("2026-11-22T10:11:12.346Z"), ..base() },
        Criteria { until: at("2026-11-22T10:11:12.3451Z"), ..base() },
        Criteria { since: at("2026-11-22T12:11:12.345+02:00"), ..base() },
        Criteria { kinds: vec![LineKind::Order, LineKind::Decision], ..base() },
        Criteria { agent: some("corp:sub"), user: some("corp:alice"), verdict: some("deny"), ..base() },
    ];
    for criteria in hits {
        assert_eq!(Filter::new(&criteria).judge(decision().as_bytes()), Judged::Wanted, "{criteria:?}");
    }
    let misses = [
        Criteria { agent: some("corp:alice"), ..base() },
        Criteria { agent: some("corp:su"), ..base() },
        Criteria { agent: some("sub"), ..base() },
        Criteria { agent: some("corp:Sub"), ..base() },
        Criteria { agent: some(""), ..base() },
        Criteria { user: some("corp:sub"), ..base() },
        Criteria { user: some("corp:alic"), ..base() },
        Criteria { tenant: some("acm"), ..base() },
        Criteria { chain: chain("corp:alice > corp:app > corp:crm-bot"), ..base() },
        Criteria { chain: chain("corp:alice > corp:crm-bot > corp:app > corp:sub"), ..base() },
        Criteria { chain: chain("corp:app > corp:crm-bot > corp:sub"), ..base() },
        Criteria { chain: chain("corp:alice > corp:app > corp:crm-bot > corp:sub > x"), ..base() },
        Criteria { chain: chain("corp:alice > corp:crm-bot >"), ..base() },
        Criteria { trace: some("0af7651916cd43dd8448eb211c80319d"), ..base() },
        Criteria { verdict: some("permit"), ..base() },
        Criteria { reason: some("policy"), ..base() },
        Criteria { decision: some("d-11"), ..base() },
        Criteria { token: some("LCa0a2j_xo_5m0U8HTBBNB"), ..base() },
        Criteria { since: at("2026-11-22T10:11:12.346Z"), ..base() },
        Criteria { since: at("2026-11-22T10:11:12.3451Z"), ..base() },
        Criteria { until: at(TIME), ..base() },
        Criteria { kinds: vec![LineKind::Order], ..base() },
        Criteria { agent: some("corp:sub"), user: some("corp:alice"), verdict: some("fault"), ..base() },
        Criteria { agent: some("corp:sub"), user: some("corp:bob"), verdict: some("deny"), ..base() },
    ];
    for criteria in misses {
        assert_eq!(Filter::new(&criteria).judge(decision().as_bytes()), Judged::Other, "{criteria:?}");
        // Nor where nothing but parsing tells.
        let spaced = decision().replace(r#"{"v":1"#, r#"{ "v":1"#);
        assert_eq!(Filter::new(&criteria).judge(spaced.as_bytes()), Judged::Other, "{criteria:?}");
    }
}

#[test]
fn orders_are_found_by_what_they_are_about() {
    let order = |kind: &str, name: &str| {
        line(
            "admin",
            "admin-1",
            &format!(
                r#","actor":"local:0","action":"revoke","kind":"{kind}","name":"{name}","reason":"deny""#
            ),
        )
    };
    let base = Criteria::default;
    for (criteria, kind, name, wanted) in [
        (Criteria { agent: some("corp:b"), ..base() }, "agent", "corp:b", true),
        (Criteria { agent: some("corp:b"), ..base() }, "client", "corp:b", true),
        (Criteria { agent: some("corp:b"), ..base() }, "user", "corp:b", false),
        (Criteria { agent: some("corp:b"), ..base() }, "agent", "corp:bb", false),
        (Criteria { user: some("corp:b"), ..base() }, "user", "corp:b", true),
        (Criteria { user: some("corp:b"), ..base() }, "agent", "corp:b", false),
        (Criteria { tenant: some("acme"), ..base() }, "tenant", "acme", true),
        (Criteria { tenant: some("acme"), ..base() }, "issuer", "acme", false),
        (Criteria { token: some("LCa0"), ..base() }, "token", "corp:LCa0", true),
        (Criteria { token: some("LCa0"), ..base() }, "token", "corp:xLCa0", false),
        (Criteria { token: some("LCa0"), ..base() }, "key", "corp:LCa0", false),
        (Criteria { decision: some("admin-1"), ..base() }, "key", "k", true),
        (Criteria { decision: some("admin-11"), ..base() }, "key", "k", false),
        (Criteria { reason: some("deny"), ..base() }, "agent", "corp:b", false),
        (Criteria { verdict: some("deny"), ..base() }, "agent", "corp:b", false),
        (Criteria { agent: some("corp:b"), user: some("corp:b"), ..base() }, "agent", "corp:b", false),
        (Criteria { kinds: vec![LineKind::Order], ..base() }, "agent", "corp:b", true),
    ] {
        let expected = if wanted { Judged::Wanted } else { Judged::Other };
        assert_eq!(
            Filter::new(&criteria).judge(order(kind, name).as_bytes()),
            expected,
            "{criteria:?} {kind}"
        );
    }
}

#[test]
fn outcomes_and_gaps_have_no_names() {
    let outcome = line("outcome_of", "d-1", r#","status":200,"upstream":"corp:b""#);
    let gap = r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","gap":7}"#;
    let sink_gap = r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","sink_gap":{"lines":7}}"#;
    let base = Criteria::default;
    for (criteria, of_outcome, of_gap) in [
        (base(), true, true),
        (Criteria { decision: some("d-1"), ..base() }, true, false),
        (Criteria { decision: some("d-2"), ..base() }, false, false),
        (Criteria { agent: some("corp:b"), ..base() }, false, false),
        (Criteria { kinds: vec![LineKind::Gap], ..base() }, false, true),
        (Criteria { kinds: vec![LineKind::Outcome], ..base() }, true, false),
    ] {
        let filter = Filter::new(&criteria);
        let judged = |line: &str| filter.judge(line.as_bytes()) == Judged::Wanted;
        assert_eq!((judged(&outcome), judged(gap)), (of_outcome, of_gap), "{criteria:?}");
        // One of a sink is a kind of its own.
        let of_sink = of_gap && criteria.kinds.is_empty();
        let judged = if of_sink { Judged::Wanted } else { Judged::Other };
        assert_eq!(filter.judge(sink_gap.as_bytes()), judged, "{criteria:?}");
    }
    // What holds the chain together is looked for only where it is asked for.
    let header = r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","open":{"chain":1}}"#;
    assert_eq!(Filter::new(&base()).judge(header.as_bytes()), Judged::Other);
    let headers = Criteria { kinds: vec![LineKind::Header], ..base() };
    assert_eq!(Filter::new(&headers).judge(header.as_bytes()), Judged::Wanted);
}

/// A name may stand there in any spelling that JSON has for it.
#[test]
fn escapes_hide_nothing() {
    for name in ["corp:crm-bot", "a\"b", "back\\slash", "tab\tline\n", "nul\0", "café 東京", "\u{202e}x", "/"]
    {
        let criteria = Criteria { agent: some(name), ..Criteria::default() };
        let with = |json: String| line("decision", "d-1", &format!(r#","agent":{json}"#));
        let escaped: String = name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let upper: String = name.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        for spelt in [
            Value::from(name).to_string(),
            format!("\"{escaped}\""),
            format!("\"{upper}\""),
            Value::from(name).to_string().replace('/', "\\/"),
        ] {
            assert_eq!(
                Filter::new(&criteria).judge(with(spelt.clone()).as_bytes()),
                Judged::Wanted,
                "{spelt}"
            );
        }
        let other = with(Value::from(format!("{name}x")).to_string());
        assert_eq!(Filter::new(&criteria).judge(other.as_bytes()), Judged::Other, "{name:?}");
    }
}

/// Records cut long names, and a name as long is found by what is left of it.
#[test]
fn a_name_that_records_cut_is_found() {
    let long = format!("corp:{}", "é".repeat(300));
    let cut = crate::text::Text::from(long.as_str()).as_str().to_owned();
    let record = line("decision", "d-1", &format!(r#","user":"{cut}""#));
    let criteria = Criteria { user: Some(long), ..Criteria::default() };
    assert_eq!(Filter::new(&criteria).judge(record.as_bytes()), Judged::Wanted);
}

#[test]
fn whoever_has_the_key_finds_digests_by_name() {
    let key = DigestKey::new(&[7; 32]).unwrap();
    let digest = |kind, name: &str| key.digest(kind, name.as_bytes());
    let record = line(
        "decision",
        "d-1",
        &format!(
            r#","agent":"{}","user":"{}","tenant":"{}""#,
            digest(Digested::Agent, "corp:bot"),
            digest(Digested::User, "corp:alice"),
            digest(Digested::Tenant, "acme"),
        ),
    );
    let base = Criteria::default;
    let chain = Some(Delegation::parse("corp:alice > corp:bot").unwrap());
    let named = [
        Criteria { agent: some("corp:bot"), ..base() },
        Criteria { user: some("corp:alice"), ..base() },
        Criteria { tenant: some("acme"), ..base() },
        Criteria { chain, ..base() },
    ];
    for criteria in named {
        let with = Criteria { key: Some(key.clone()), ..criteria.clone() };
        assert_eq!(Filter::new(&with).judge(record.as_bytes()), Judged::Wanted, "{criteria:?}");
        assert!(!Filter::new(&with).meets_digest(record.as_bytes()));
        let without = Filter::new(&criteria);
        assert_eq!(without.judge(record.as_bytes()), Judged::Other);
        assert!(without.meets_digest(record.as_bytes()), "{criteria:?}");
        let plain = line(
            "decision",
            "d-1",
            r#","agent":"corp:hmac:x","user":"u","tenant":"t","purpose":"\"agent\":\"hmac:""#,
        );
        assert!(!without.meets_digest(plain.as_bytes()));
    }
    // The digest itself needs no key, and another kind's is another one.
    let by_digest = Criteria { user: Some(digest(Digested::User, "corp:alice")), ..base() };
    assert_eq!(Filter::new(&by_digest).judge(record.as_bytes()), Judged::Wanted);
    assert!(!Filter::new(&by_digest).meets_digest(record.as_bytes()));
    let other = Criteria { user: Some(digest(Digested::Agent, "corp:alice")), ..base() };
    assert_eq!(Filter::new(&other).judge(record.as_bytes()), Judged::Other);
    let other_key =
        Criteria { user: some("corp:alice"), key: Some(DigestKey::new(&[8; 32]).unwrap()), ..base() };
    assert_eq!(Filter::new(&other_key).judge(record.as_bytes()), Judged::Other);
    // Digests of what was asked with are none of an identity.
    let arguments = line("decision", "d-1", r#","arguments":{"digest":"hmac:00"},"agent":"a""#);
    let agent = Filter::new(&Criteria { agent: some("b"), ..base() });
    assert!(!agent.meets_digest(arguments.as_bytes()));
    // However it is written, and wherever an agent may stand.
    for members in [
        r#", "agent" : "hmac:00""#,
        r#","agent":"\u0068mac:00""#,
        r#","arguments":{"digest":"hmac:00"},"client":"hmac:00""#,
        r#","actors":["a","hmac:00"]"#,
    ] {
        let record = line("decision", "d-1", members);
        assert!(agent.meets_digest(record.as_bytes()), "{members}");
        let later =
            Criteria { agent: some("b"), since: Some("2026-11-23T00:00:00Z".parse().unwrap()), ..base() };
        assert!(!Filter::new(&later).meets_digest(record.as_bytes()));
        let user = Filter::new(&Criteria { user: some("b"), ..base() });
        assert!(!user.meets_digest(record.as_bytes()), "{members}");
    }
    for (about, met) in [("agent", true), ("client", true), ("user", false), ("key", false)] {
        let order = line("admin", "o", &format!(r#", "kind": "{about}", "name": "hmac:00""#));
        assert_eq!(agent.meets_digest(order.as_bytes()), met, "{about}");
    }
}

#[test]
fn what_is_no_record_is_told_where_it_shows() {
    let criteria = Criteria { agent: some("corp:bot"), ..Criteria::default() };
    let whole = line("decision", "d-1", r#","agent":"corp:bot""#);
    for torn in [
        "",
        "corp:bot",
        "{}",
        "[]",
        whole.strip_suffix("}").unwrap(),
        whole.split_at(60).0,
        whole.split_at(5).1,
        &format!("{whole}x"),
    ] {
        assert_eq!(Filter::new(&criteria).judge(torn.as_bytes()), Judged::NoRecord, "{torn}");
    }
    let not_utf8 = [&whole.as_bytes()[..whole.len() - 2], b"\xff\"}"].concat();
    assert_eq!(Filter::new(&criteria).judge(&[&not_utf8[..], b"\"corp:bot\"}"].concat()), Judged::NoRecord);
    assert_eq!(judged(&criteria, &json!({ "decision": "d", "agent": "corp:bot" })), Judged::NoRecord);
}

fn naive_kind(record: &Value) -> Option<LineKind> {
    let kinds = [
        ("decision", LineKind::Decision),
        ("outcome_of", LineKind::Outcome),
        ("admin", LineKind::Order),
        ("gap", LineKind::Gap),
    ];
    kinds.iter().find(|(member, _)| record.get(member).is_some()).map(|(_, kind)| *kind)
}

fn naive_names(record: &Value) -> Vec<&str> {
    let actors: Vec<&Value> = record["actors"].as_array().into_iter().flatten().collect();
    let mut names: Vec<&Value> = vec![&record["user"]];
    names.extend([&record["client"]].into_iter().filter(|client| !actors.contains(client)));
    names.extend(actors.iter().rev());
    names.push(&record["agent"]);
    let mut names: Vec<_> = names.into_iter().filter_map(Value::as_str).collect();
    names.dedup();
    names
}

fn is(wanted: &Option<String>, values: &[&Value]) -> bool {
    wanted.as_ref().is_none_or(|wanted| values.iter().any(|value| value.as_str() == Some(wanted)))
}

fn naive_decision(asked: &Criteria, record: &Value) -> bool {
    let agents = [&record["agent"], &record["client"]].into_iter();
    let agents: Vec<&Value> = agents.chain(record["actors"].as_array().into_iter().flatten()).collect();
    let names = naive_names(record);
    is(&asked.agent, &agents)
        && is(&asked.user, &[&record["user"]])
        && is(&asked.tenant, &[&record["tenant"], &record["resource"]["tenant"]])
        && is(&asked.trace, &[&record["trace"]])
        && is(&asked.verdict, &[&record["verdict"]])
        && is(&asked.reason, &[&record["reason"]])
        && is(&asked.decision, &[&record["decision"]])
        && is(&asked.token, &[&record["controls"]["token"]["digest"]])
        && asked.chain.as_ref().is_none_or(|chain| {
            let begin = names.starts_with(&chain.names.iter().map(String::as_str).collect::<Vec<_>>());
            begin && (chain.handed_on || names.len() == chain.names.len())
        })
}

fn naive_order(asked: &Criteria, record: &Value) -> bool {
    let about = |kinds: &[&str]| {
        if kinds.contains(&record["kind"].as_str().unwrap_or("")) { &record["name"] } else { &Value::Null }
    };
    is(&asked.agent, &[about(&["agent", "client"])])
        && is(&asked.user, &[about(&["user"])])
        && is(&asked.tenant, &[about(&["tenant"])])
        && is(&asked.decision, &[&record["admin"]])
        && is(&asked.token, &[about(&["token"])])
        && [&asked.trace, &asked.verdict, &asked.reason].iter().all(|asked| asked.is_none())
        && asked.chain.is_none()
}

/// What a line is, found the slow way: by reading all of it as JSON.
fn naive(asked: &Criteria, line: &str) -> Judged {
    let Ok(record) = serde_json::from_str::<Value>(line) else { return Judged::NoRecord };
    let time = record["time"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    let Some((time, kind)) = time.zip(naive_kind(&record)) else { return Judged::NoRecord };
    let Criteria { agent, user, tenant, trace, verdict, reason, token, .. } = asked;
    let nameless = [agent, user, tenant, trace, verdict, reason, token].iter().all(|asked| asked.is_none());
    let wanted = asked.since.is_none_or(|since| time >= since)
        && asked.until.is_none_or(|until| time < until)
        && (asked.kinds.is_empty() || asked.kinds.contains(&kind))
        && match kind {
            LineKind::Decision => naive_decision(asked, &record),
            LineKind::Order => naive_order(asked, &record),
            LineKind::Outcome => {
                is(&asked.decision, &[&record["outcome_of"]]) && nameless && asked.chain.is_none()
            }
            LineKind::Gap | LineKind::SinkGap | LineKind::Header | LineKind::Checkpoint => {
                nameless && asked.decision.is_none() && asked.chain.is_none()
            }
        };
    if wanted { Judged::Wanted } else { Judged::Other }
}

/// Few names, so that they meet; each with something that JSON has to escape, or may.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a", "b", "a\"", "a\\", "é", "a\u{1f}", "\u{202e}", "a b", "permit", "deny", "d-1",
    ])
    .prop_map(str::to_owned)
}

fn maybe<T: std::fmt::Debug + Clone>(strategy: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.3, strategy)
}

fn criteria() -> impl Strategy<Value = Criteria> {
    let instant =
        (0_i64..4).prop_map(|n| Timestamp::from_microsecond(1_790_000_000_000_000 + n * 500).unwrap());
    let chain = (prop::collection::vec(name(), 1..4), any::<bool>())
        .prop_map(|(names, handed_on)| Delegation { names, handed_on });
    let kinds =
        prop::sample::select(vec![LineKind::Decision, LineKind::Outcome, LineKind::Order, LineKind::Gap]);
    let times = (maybe(instant.clone()), maybe(instant), prop::collection::vec(kinds, 0..3));
    let one = (maybe(name()), maybe(name()), maybe(name()), maybe(name()), maybe(name()));
    let other = (maybe(name()), maybe(name()), maybe(name()), maybe(chain));
    (one, other, times).prop_map(
        |((agent, user, tenant, trace, verdict), (reason, decision, token, chain), (since, until, kinds))| {
            let key = None;
            Criteria {
                agent,
                user,
                tenant,
                chain,
                trace,
                verdict,
                reason,
                decision,
                token,
                since,
                until,
                kinds,
                key,
            }
        },
    )
}

fn members() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let text = || maybe(name()).prop_map(Value::from);
    let decision = (
        text(),
        text(),
        text(),
        text(),
        text(),
        text(),
        text(),
        text(),
        text(),
        prop::collection::vec(name(), 0..3),
    )
        .prop_map(|(agent, client, user, tenant, trace, verdict, reason, token, other, actors)| {
            vec![
                ("verdict", verdict),
                ("reason", reason),
                ("trace", trace),
                ("resource", json!({ "type": "T", "tenant": other })),
                ("client", client),
                ("agent", agent),
                ("user", user),
                ("tenant", tenant),
                ("actors", Value::from(actors)),
                ("controls", json!({ "token": { "digest": token } })),
            ]
        });
    let about = prop::sample::select(vec!["agent", "client", "user", "tenant", "token", "key"]);
    let order = (about, name(), name()).prop_map(|(kind, name, reason)| {
        vec![("kind", kind.into()), ("name", name.into()), ("reason", reason.into())]
    });
    prop_oneof![3 => decision, 1 => order]
}

/// How a line may be written.
fn written(pairs: Vec<(&'static str, Value)>, spelling: usize) -> String {
    let escaped = |text: String| -> String {
        text.chars()
            .map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) })
            .collect()
    };
    let members = pairs.into_iter().filter(|(_, value)| !value.is_null());
    let members: Vec<_> = members.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    match spelling {
        0 => format!("{{{}}}", members.join(",")),
        1 => escaped(format!("{{{}}}", members.join(","))),
        2 => format!("{{ {} }}", members.join(", ")),
        _ => {
            let line = format!("{{{}}}", members.join(","));
            line.chars().take(line.chars().count() - 1).collect()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// The quick way and the slow one come to the same, for any line.
    #[test]
    fn a_filter_takes_what_reading_everything_takes(
        criteria in criteria(),
        kind in prop::sample::select(vec!["decision", "outcome_of", "admin", "gap"]),
        id in name(),
        millis in 0_i64..3,
        members in members(),
        spelling in 0_usize..4,
    ) {
        let time = Timestamp::from_millisecond(1_790_000_000_000 + millis).unwrap();
        let id = if kind == "gap" { Value::from(7) } else { Value::from(id) };
        let mut pairs = vec![("v", Value::from(1)), ("time", Value::from(format!("{time:.3}"))), (kind, id)];
        pairs.extend(members);
        let line = written(pairs, spelling);
        let (quick, slow) = (Filter::new(&criteria).judge(line.as_bytes()), naive(&criteria, &line));
        // What is torn shows only where it is looked at.
        let unseen = (quick, slow) == (Judged::Other, Judged::NoRecord);
        prop_assert!(quick == slow || unseen, "{quick:?} {slow:?} {}", line);
    }
}
