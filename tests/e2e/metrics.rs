//! What callers make up is in no metric, and the metrics are those of docs/reference/metrics.md.

use std::collections::{BTreeMap, BTreeSet};

use exequatur_proto::envoy::service::auth::v3::CheckRequest;
use exequatur_tests::binaries::repository;
use exequatur_tests::direct::{Direct, check};
use exequatur_tests::orders::{command, with_orders};
use exequatur_tests::{Agent, DOCUMENT, Options, Raw, Stack, Version};
use serde_json::{Value, json};

/// Requests straight to Exequatur, and how many of them have a token of a tenant of their own.
const REQUESTS: usize = 2000;
const TENANTS: usize = REQUESTS / 5;
/// How many of those are counted apart.
const TENANTS_APART: usize = 100;
const AT_ONCE: usize = 32;

/// A row of docs/reference/metrics.md.
#[derive(Debug, PartialEq)]
struct Row {
    kind: String,
    /// How many values each may have.
    labels: BTreeMap<String, usize>,
    series: usize,
}

/// The rows, for one issuer, and neither stream nor sink.
fn documented() -> BTreeMap<String, Row> {
    let text = std::fs::read_to_string(repository().join("docs/reference/metrics.md")).unwrap();
    // What the program prints of them stands below, without labels.
    let (by_hand, _) = text.split_once("<!-- generated:").unwrap();
    let rows = by_hand.lines().filter(|line| line.starts_with("| `")).map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let bound = |text: &str| match text {
            "issuers" | "streams" | "sinks" => 1,
            number => number.parse().unwrap_or_else(|_| panic!("{line}")),
        };
        let labels = cells[3].split(", ").filter_map(|label| label.strip_prefix('`')?.split_once("` "));
        let labels = labels.map(|(label, values)| (label.to_owned(), bound(values))).collect();
        let series = bound(cells[4].split(' ').next().unwrap());
        (cells[1].trim_matches('`').to_owned(), Row { kind: cells[2].to_owned(), labels, series })
    });
    rows.collect()
}

/// What `/metrics` shows: by metric, its type, and the labels of each of its series.
fn shown(text: &str) -> BTreeMap<String, (String, Vec<BTreeMap<String, String>>)> {
    let mut found = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        found.insert(name.to_owned(), (kind.to_owned(), Vec::new()));
    }
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (series, _value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let metric = ["", "_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix).filter(|metric| found.contains_key(*metric)))
            .unwrap_or_else(|| panic!("{line} has no type"));
        // No value has a comma or a quote in it, as the closed sets have none.
        let labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once("=\""));
        let labels = labels.map(|(label, value)| (label.to_owned(), value.trim_end_matches('"').to_owned()));
        found.get_mut(metric).unwrap().1.push(labels.collect());
    }
    found
}

async fn metrics(stack: &Stack) -> String {
    let url = format!("http://127.0.0.1:{}/metrics", stack.ports.metrics);
    stack.client.get(url).send().await.unwrap().text().await.unwrap()
}

/// Every number makes a request that differs from the others in all that a caller can choose.
fn hostile(stack: &Stack, agent: &Agent, number: usize) -> CheckRequest {
    let other = format!("canary{number}");
    let trace = format!("00-{number:032x}-{number:016x}-01");
    let (host, path, method) = match number % 5 {
        0 => (format!("{other}.example.com"), format!("/{other}"), format!("X{number}")),
        _ => ("localhost".to_owned(), format!("/tenants/{other}/documents/{other}"), "GET".to_owned()),
    };
    let authorization = match number % 5 {
        0 => other.clone(),
        1 => format!("Bearer {other}"),
        2 => {
            let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": other });
            format!("Bearer {}", stack.tokens.token_with_header(agent, &header, &Value::Null))
        }
        3 => {
            let changes = json!({ "iss": format!("https://{other}.example.com"), "client_id": other });
            format!("Bearer {}", stack.tokens.token(agent, &changes))
        }
        _ => {
            let changes =
                json!({ "tenant": other, "client_id": other, "sub": format!("user-{other}"), "jti": other });
            format!("DPoP {}", stack.tokens.token(agent, &changes))
        }
    };
    let token = authorization.split_once(' ').map_or("", |(_scheme, token)| token);
    let proof = agent.proof(&method, &stack.url(&path), token, &json!({ "jti": other }));
    let fields = [
        ("authorization", authorization.as_str()),
        ("dpop", proof.as_str()),
        ("traceparent", trace.as_str()),
        ("user-agent", other.as_str()),
        (other.as_str(), other.as_str()),
    ];
    check(&method, &host, &path, &fields)
}

async fn flood(stack: &Stack) {
    let agent = Agent::new();
    let mut asked = tokio::task::JoinSet::new();
    let mut connections = Vec::new();
    for _ in 0..4 {
        connections.push(Direct::connect(stack.ports.grpc).await.unwrap());
    }
    for number in 0..REQUESTS {
        if asked.len() == AT_ONCE {
            asked.join_next().await.unwrap().unwrap();
        }
        let (direct, request) = (connections[number % 4].clone(), hostile(stack, &agent, number));
        asked.spawn(async move { drop(direct.ask(request).await.unwrap()) });
    }
    asked.join_all().await;
}

/// What goes on otherwise: permits and denials through Envoy, outcomes, orders, what nobody can order, a reload.
async fn usual(stack: &Stack) {
    let holder = stack.holder(&Value::Null).await.unwrap();
    let caller = stack.raw(Version::Http1);
    for number in 0..20 {
        assert_eq!(caller.send(&holder.sign(Raw::new("GET", DOCUMENT))).await.unwrap().status, 200);
        let strange = Raw::new(&format!("X{number}"), format!("/canary{number}"));
        caller.send(&strange.with("user-agent", format!("canary{number}"))).await.unwrap();
    }
    for words in [
        &["revoke", "token", "corp:canary", "--for", "1m", "--reason", "canary"][..],
        &["revoke", "undo", "token", "corp:canary", "--reason", "canary"],
        &["revoke", "token", "corp:canary canary", "--reason", "canary"],
        &["status"],
    ] {
        command(stack, words).await.unwrap();
    }
    let admin = reqwest::Client::builder().unix_socket(stack.folder().join("admin.sock")).build().unwrap();
    for number in 0..20 {
        let answer = admin.get(format!("http://localhost/v1/canary{number}")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 404);
    }
    let generation = stack.metric("exequatur_generation").await.unwrap();
    stack.signal_exequatur("HUP").await.unwrap();
    stack.wait_for_metric(&format!("exequatur_generation {}", generation + 1)).await.unwrap();
    stack.wait_for_metric("exequatur_outcomes_total{result=\"kept\"} 20").await.unwrap();
    stack
        .wait_for_metric("exequatur_admin_calls_total{action=\"unknown\",outcome=\"refused\"} 20")
        .await
        .unwrap();
}

/// The number of series has the bound that is documented, and so has that of each label's values; types and labels are
/// those documented; durations have buckets; nothing that callers made up is there, but the first tenants.
#[tokio::test]
async fn what_callers_make_up_is_in_no_metric() {
    let mut options = with_orders(Options { terse: true, ..Options::default() });
    options.exequatur.push(("records:", "unauthenticated: { rate: 10000/s, burst: 100000 }\nrecords:"));
    let stack = Stack::start(options).await.unwrap();
    usual(&stack).await;
    flood(&stack).await;
    let rest = TENANTS - TENANTS_APART + 1;
    let others = format!("exequatur_tenant_decisions_total{{tenant=\"_other\",verdict=\"deny\"}} {rest}");
    stack.wait_for_metric(&others).await.unwrap();

    let text = metrics(&stack).await;
    let (documented, shown) = (documented(), shown(&text));
    let mut made_up = BTreeSet::new();
    for (name, (kind, series)) in &shown {
        let row =
            documented.get(name).unwrap_or_else(|| panic!("{name} is not in docs/reference/metrics.md"));
        assert_eq!(*kind, row.kind, "{name}");
        assert!(series.len() <= row.series, "{name}: {} series", series.len());
        let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (label, value) in series.iter().flatten().filter(|(label, _)| *label != "le") {
            values.entry(label).or_default().insert(value);
        }
        let bounds: BTreeMap<_, _> =
            row.labels.iter().map(|(label, bound)| (label.as_str(), *bound)).collect();
        assert!(values.keys().eq(bounds.keys()), "{name}: {:?}", values.keys());
        for (label, values) in values {
            assert!(values.len() <= bounds[label], "{name}: {} values of {label}", values.len());
            made_up
                .extend(values.iter().filter(|value| value.contains("canary")).map(|value| (label, *value)));
        }
    }
    // `acme` came first.
    assert_eq!(made_up.len(), TENANTS_APART - 1, "{made_up:?}");
    assert!(made_up.iter().all(|(label, _)| *label == "tenant"), "{made_up:?}");
    let other_text = text.lines().filter(|line| line.contains("canary")).count();
    assert_eq!(other_text, made_up.len());
}
