//! D-20: a federation names two tenants and routes whose resources have one; what could never hold, or twice, is a mistake.

use crate::config::show;
use crate::config::tests::{mistakes, read};

/// Federations begin on line 9.
fn with(federations: &str) -> String {
    format!(
        "policies: p
protected_resources: [{{ resource: https://api.example.com }}]
issuers:
  - {{ name: corp, issuer: https://sts.example.com, jwks: https://sts.example.com/jwks, audiences: [https://api.example.com], claims: {{ tenant: t }}, tenants: [acme, globex] }}
  - {{ name: own, issuer: https://own.example.com, jwks: https://own.example.com/jwks, audiences: [https://api.example.com], tenant: initech }}
routes:
  - {{ name: read, match: {{ path: \"/t/{{t}}/d/{{id}}\", methods: [GET] }}, action: Read, resource: {{ type: D, id: \"{{id}}\", tenant: \"{{t}}\" }} }}
  - {{ name: list, match: {{ path: \"/t/{{t}}/d\", methods: [GET] }}, action: List, resource: {{ type: D, id: all, tenant: \"{{t}}\" }} }}
  - {{ name: ping, match: {{ path: /ping, methods: [GET] }}, action: Ping, resource: {{ type: D, id: all }} }}
  - {{ name: health, match: {{ path: /healthz, methods: [GET] }}, access: public }}
federations:
{federations}"
    )
}

#[test]
fn federations_are_read_and_shown() {
    let config = read(&with(
        "  - { name: partners, from: acme, to: globex, routes: [read, list] }\n  - { name: back, from: initech, to: acme, routes: [read] }\n",
    ));
    let rule = &config.federations[0];
    assert_eq!((rule.name.as_str(), rule.from.as_str(), rule.to.as_str()), ("partners", "acme", "globex"));
    assert_eq!(rule.routes, ["read", "list"]);
    assert_eq!(read(&show(&config)).federations, config.federations);
    assert!(show(&read(&with("  []"))).contains("# federations: none"), "none is said");
}

#[test]
fn what_cannot_be_a_federation() {
    for (rule, expected) in [
        (
            "{ name: a, from: acme, to: acme, routes: [read] }",
            "12: a tenant reaches its own resources anyway",
        ),
        ("{ name: a, from: acme, to: globex, routes: [none] }", "12: there is no route `none`"),
        ("{ name: a, from: acme, to: globex, routes: [health] }", "12: route `health` needs no identity"),
        (
            "{ name: a, from: acme, to: globex, routes: [ping] }",
            "12: route `ping` says no tenant of its resource: nothing keeps tenants apart",
        ),
        ("{ name: a, from: acme, to: globex, routes: [] }", "12: at least one is needed"),
        ("{ name: a, from: acme, to: globex, routes: [read, read] }", "12: `read` stands here a second time"),
        ("{ name: a, from: acme, to: globex }", "12: key `routes` is missing"),
        ("{ name: a, to: globex, routes: [read] }", "12: key `from` is missing"),
        ("{ name: a, from: acme, routes: [read] }", "12: key `to` is missing"),
        ("{ from: acme, to: globex, routes: [read] }", "12: key `name` is missing"),
        ("{ name: a, from: \"\", to: globex, routes: [read] }", "12: must not be empty"),
        (
            "{ name: \"a b\", from: acme, to: globex, routes: [read] }",
            "12: a federation's name is 1 to 64 letters, digits, `-`, `_` and `.`",
        ),
        ("{ name: a, from: hooli, to: globex, routes: [read] }", "12: no issuer speaks for tenant `hooli`"),
        ("{ name: a, from: any, to: globex, routes: [read] }", "12: no issuer speaks for tenant `any`"),
        (
            "{ name: a, from: acme, to: globex, routes: [read], both: true }",
            "12: key `both` is not known here",
        ),
        (
            "{ name: a, from: acme, to: globex, routes: [read] }\n  - { name: a, from: globex, to: acme, routes: [read] }",
            "13: `a` stands here a second time",
        ),
        (
            "{ name: a, from: acme, to: globex, routes: [read] }\n  - { name: b, from: acme, to: globex, routes: [list, read] }",
            "13: another federation leads from `acme` to `globex` here",
        ),
    ] {
        assert_eq!(mistakes(&with(&format!("  - {rule}\n"))), [expected], "{rule}");
    }
}
