//! N01–N09: the recommended example is clean, and not one of its protections can be left out unseen.

use super::{HARDENED, PLAIN, at, hardened, ids, judged, options, put, remove};
use crate::rule::{Key, Part};
use crate::rules::fields;
use crate::tree::{Node, Value};
use crate::{Rule, Severity, lint, rules};

/// Each key of the text that is marked `# requires: …`: its path, and the mark.
fn marked() -> Vec<(String, String)> {
    let tree = hardened();
    let mut keys = Vec::new();
    let mut open = vec![(String::new(), &tree)];
    while let Some((path, node)) = open.pop() {
        let below = |step: &str| format!("{path}/{step}").trim_start_matches('/').to_owned();
        match &node.value {
            Value::List(items) => {
                open.extend(items.iter().enumerate().map(|(index, item)| (below(&index.to_string()), item)));
            }
            Value::Map(entries) => {
                for entry in entries {
                    keys.push((entry.place, below(&entry.key)));
                    open.push((below(&entry.key), &entry.value));
                }
            }
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Text(_) => {}
        }
    }
    keys.sort();
    let mut marked = Vec::new();
    for (index, line) in HARDENED.lines().enumerate() {
        let Some((before, mark)) = line.split_once("# requires: ") else { continue };
        assert!(!before.trim().is_empty(), "line {}: a mark stands behind its key", index + 1);
        let (_, path) = keys.iter().find(|(place, _)| place.line == index + 1).unwrap();
        marked.push((path.clone(), mark.to_owned()));
    }
    marked
}

fn required() -> impl Iterator<Item = (&'static Rule, Key)> {
    rules().filter_map(|rule| Some((rule, rule.key?))).filter(|(_, key)| key.required && of_envoy(key.part))
}

/// Whether a bootstrap has such a message; those of meshes and gateways stand in manifests.
fn of_envoy(part: Part) -> bool {
    !matches!(
        part,
        Part::Mesh
            | Part::Provider
            | Part::Peers
            | Part::Destination
            | Part::Security
            | Part::BackendTls
            | Part::Client
            | Part::AgentAuth
    )
}

fn is_of(path: &str, key: &Key) -> bool {
    let wanted = format!("/{}", key.path.replace('.', "/"));
    let service = key.part == Part::Service;
    path.ends_with(&wanted) && (!service || path.contains("/grpc_service/"))
}

fn rule_of(path: &str, mark: &str) -> (&'static Rule, Key) {
    let found: Vec<_> =
        required().filter(|(rule, key)| is_of(path, key) && rule.requires.join(", ") == mark).collect();
    let [rule] = found[..] else { panic!("{path} # requires: {mark}: {} rules", found.len()) };
    rule
}

#[test]
fn the_recommended_example_is_clean() {
    let report = lint(HARDENED, &options()).unwrap();
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    let allowed: Vec<_> = report.allowed.iter().map(|allowed| allowed.rule.id).collect();
    assert_eq!(allowed, ["route-bypass"], "Envoy's own health, by name");
    assert!(report.allowed[0].reason.contains("nothing is behind it"));
}

/// Every key that a rule demands is marked, with the rule's requirements, and every mark is a rule's.
#[test]
fn marks_and_rules_agree() {
    let marked = marked();
    let of_marks: Vec<&str> = marked.iter().map(|(path, mark)| rule_of(path, mark).0.id).collect();
    for (rule, key) in required() {
        let count = of_marks.iter().filter(|id| **id == rule.id).count();
        assert_eq!(count, 1, "{}: `{}` # requires: {}", rule.id, key.path, rule.requires.join(", "));
    }
}

#[test]
fn no_marked_key_can_be_removed_unseen() {
    for (path, mark) in marked() {
        let (rule, _) = rule_of(&path, &mark);
        let mut tree = hardened();
        remove(&mut tree, &path);
        assert!(ids(&judged(&tree).findings).contains(&rule.id), "{path} was removed");
        // An empty value is no value.
        let mut tree = hardened();
        put(&mut tree, &path, "~");
        assert!(ids(&judged(&tree).findings).contains(&rule.id), "{path} was emptied");
    }
}

#[test]
fn no_marked_key_can_be_weakened_unseen() {
    for (path, mark) in marked() {
        let (rule, key) = rule_of(&path, &mark);
        for weakened in key.weakened {
            let mut tree = hardened();
            put(&mut tree, &path, weakened);
            let findings = judged(&tree).findings;
            assert!(ids(&findings).contains(&rule.id), "{path}: {weakened} {findings:#?}");
        }
    }
}

const MANAGER: &str = "static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

/// Where the hardened example has each message.
fn place_of(part: Part) -> String {
    match part {
        Part::Bootstrap => String::new(),
        Part::Connection => MANAGER.to_owned(),
        Part::Tls => "static_resources/listeners/0/filter_chains/0/transport_socket/typed_config".to_owned(),
        Part::Check => format!("{MANAGER}/http_filters/1/typed_config"),
        Part::Service => format!("{MANAGER}/http_filters/1/typed_config/grpc_service"),
        Part::Body => format!(
            "{MANAGER}/route_config/virtual_hosts/0/routes/1/typed_per_filter_config/envoy.filters.http.ext_authz/check_settings/with_request_body"
        ),
        Part::Strip
        | Part::Cluster
        | Part::Protocol
        | Part::Mesh
        | Part::Provider
        | Part::Peers
        | Part::Destination
        | Part::Security
        | Part::BackendTls
        | Part::Client
        | Part::AgentAuth => panic!("{part:?}"),
    }
}

/// What must not stand there is reported when it does.
#[test]
fn keys_that_open_are_reported() {
    let opening = rules()
        .filter_map(|rule| Some((rule, rule.key?)))
        .filter(|(_, key)| !key.required && of_envoy(key.part));
    for (rule, key) in opening {
        assert!(!key.weakened.is_empty(), "{}", rule.id);
        for opened in key.weakened {
            let mut tree = hardened();
            let mut path = place_of(key.part);
            for step in key.path.split('.') {
                let parent = path.clone();
                path = format!("{path}/{step}").trim_start_matches('/').to_owned();
                if at(&mut tree, &parent).get(step).is_none() {
                    put(&mut tree, &path, "{}");
                }
            }
            put(&mut tree, &path, opened);
            let findings = judged(&tree).findings;
            assert!(ids(&findings).contains(&rule.id), "{path}: {opened} {findings:#?}");
        }
    }
}

/// Envoy reads a field in two spellings, and a truth value in many: a linter that knows one is blind.
#[test]
fn both_spellings_of_a_field_are_read() {
    fn respell(node: &mut Node) {
        match &mut node.value {
            Value::List(items) => items.iter_mut().for_each(respell),
            Value::Map(entries) => {
                for entry in entries {
                    // Names that operators choose are not fields.
                    if !matches!(entry.key.as_str(), "exequatur_body" | "runtime_key") {
                        entry.key = crate::tree::camel(&entry.key);
                    }
                    respell(&mut entry.value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Text(_) => {}
        }
    }
    let mut tree = hardened();
    respell(&mut tree);
    assert!(judged(&tree).findings.is_empty(), "{:#?}", judged(&tree).findings);
    put(
        &mut tree,
        "staticResources/listeners/0/filterChains/0/filters/0/typedConfig/httpFilters/1/typedConfig/failureModeAllow",
        "yes",
    );
    assert_eq!(ids(&judged(&tree).findings), ["failure-mode"]);
}

/// The first try is not for real traffic, and this is why.
#[test]
fn the_small_example_is_not_clean() {
    let report = lint(PLAIN, &options()).unwrap();
    let found: Vec<String> = report
        .findings
        .iter()
        .map(|finding| {
            format!("{} {} {}", finding.severity, finding.rule.requires.join(", "), finding.rule.id)
        })
        .collect();
    let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "weak B-03 strip",
            "weak B-03 underscores",
            "weak B-05 host-dot",
            "weak B-05 host-port",
            "weak B-05 http-1.0",
            "weak B-06 trusted-hops",
            "weak B-09 lenient-http1",
            "weak B-14 check-keepalive",
            "weak B-15 deny-at-disable",
            "weak B-16 denied-body",
            "weak B-16 response-limits",
            "weak C-18 headers-count",
            "weak C-18 headers-size",
            "weak C-18 headers-time",
            "weak M02 peer-certificate",
            "weak M03 certificate-header",
            "weak N05 escaped-slashes",
            "weak N06 mutation-names",
            "weak N06 mutation-rules",
            "weak N06 mutation-rules-silent",
            "weak N06 validate-mutations",
            "weak N07 stream-time",
            "weak N09 route-cache",
        ]
    );
    assert!(report.findings.iter().all(|finding| finding.severity == Severity::Weak));
}

/// Every field that a rule is about is one of Envoy's, as far as its message is in the lists.
#[test]
fn keys_are_fields_of_envoys() {
    for (rule, key) in rules().filter_map(|rule| Some((rule, rule.key?))) {
        let message = match key.part {
            Part::Connection => &fields::CONNECTION,
            Part::Check => &fields::CHECK,
            Part::Body => &fields::BODY,
            Part::Service => &fields::SERVICE,
            Part::Tls => &fields::TLS,
            Part::Provider => &fields::PROVIDER,
            Part::Bootstrap
            | Part::Strip
            | Part::Cluster
            | Part::Protocol
            | Part::Mesh
            | Part::Peers
            | Part::Destination
            | Part::Security
            | Part::BackendTls
            | Part::Client
            | Part::AgentAuth => continue,
        };
        assert!(message.knows(key.path.split('.').next().unwrap()), "{}", rule.id);
    }
}

/// `docs/reference/envoy.md` holds every rule, as it is.
#[test]
fn the_page_lists_every_rule() {
    let page = include_str!("../../../../docs/reference/envoy.md");
    let table = crate::table();
    assert!(page.contains(&table), "docs/reference/envoy.md should hold:\n{table}");
}

/// A rule that cannot be found by its name, or says nothing, helps nobody.
#[test]
fn rules_are_named_once_and_say_something() {
    let all: Vec<_> = rules().collect();
    for rule in &all {
        assert_eq!(all.iter().filter(|other| other.id == rule.id).count(), 1, "{}", rule.id);
        assert!(!rule.opens.is_empty() && !rule.fix.is_empty() && !rule.requires.is_empty(), "{}", rule.id);
    }
}
