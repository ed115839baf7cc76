//! E-02: who may give orders over TCP, and mistakes about that.

use exequatur_token::CertificateName;

use super::super::tests::{SMALL, WHOLE, mistakes, read};
use super::{Reach, Role, TokenReach};

#[test]
fn operators_are_read() {
    let admin = read(WHOLE).admin.unwrap();
    assert_eq!(admin.listen.to_string(), "10.0.0.1:9194");
    let rule = &admin.tokens[0];
    assert_eq!(rule.profile.audiences, ["https://exequatur.example.com/admin"], "and none of the agents'");
    assert_eq!(rule.claim, ["realm", "roles"]);
    let roles: Vec<_> = rule.roles.iter().map(|(word, role)| (word.as_str(), *role)).collect();
    let expected = [
        ("viewer", Role::Reader),
        ("oncall", Role::Revoker),
        ("on call 2", Role::Revoker),
        ("approver", Role::Approver),
        ("platform", Role::Administrator),
    ];
    assert_eq!((roles.as_slice(), rule.reach), (&expected[..], TokenReach::OwnTenant));
    let names: Vec<_> = admin.certificates.iter().map(|rule| &rule.name).collect();
    assert_eq!(names[0], &CertificateName::Uri("spiffe://example.com/oncall".to_owned()));
    assert_eq!(names[1], &CertificateName::Dns("ops.acme.example".to_owned()));
    assert_eq!(admin.certificates[1].reach, Reach::Tenant("acme".to_owned()));
}

const TOKENS: &str =
    "tokens: [{ issuer: corp, audience: ops, claim: roles, roles: { reader: [r] }, reach: everything }]";
const TLS: &str = "tls: { certificate_file: c, key_file: k }";

#[test]
fn mistakes_about_operators() {
    let good = format!("admin: {{ listen: \"127.0.0.1:9194\", {TOKENS} }}");
    assert!(read(&format!("{SMALL}{good}\n")).admin.is_some());
    let tls = format!("admin: {{ listen: \"10.0.0.1:9194\", {TLS}, {TOKENS} }}");
    assert!(read(&format!("{SMALL}{tls}\n")).admin.is_some());
    let certificate = |rule: &str| {
        format!(
            "{{ listen: \"127.0.0.1:1\", tls: {{ certificate_file: c, key_file: k, client_ca_file: a }}, certificates: [{rule}] }}"
        )
    };
    let token = |from: &str, to: &str| format!("{{ listen: \"127.0.0.1:1\", {} }}", TOKENS.replace(from, to));
    for (admin, expected) in [
        (format!("{{ {TOKENS} }}"), "key `listen` is missing"),
        (format!("{{ listen: \"unix:a\", {TOKENS} }}"), "`unix:a` is no address"),
        (
            format!("{{ listen: \"0.0.0.0:1\", {TOKENS} }}"),
            "operators' tokens would cross a network without TLS",
        ),
        ("{ listen: \"127.0.0.1:1\" }".to_owned(), "nobody may give orders here"),
        ("{ listen: \"127.0.0.1:1\", tokens: [] }".to_owned(), "at least one is needed"),
        (
            format!(
                "{{ listen: \"127.0.0.1:1\", {TLS}, certificates: [{{ uri: u, role: reader, reach: everything }}] }}"
            ),
            "`certificates` without `tls.client_ca_file`: nobody says whose they are",
        ),
        (format!("{{ listen: \"127.0.0.1:9192\", {TOKENS} }}"), "two listeners have one address"),
        (token("issuer: corp", "issuer: b"), "no issuer is called `b`"),
        (
            token("audience: ops", "audience: https://api.example.com"),
            "tokens of agents are for this audience too",
        ),
        (token("reader: [r]", ""), "at least one role is needed"),
        (token("reader: [r]", "reader: [r], revoker: [r]"), "`r` stands here a second time"),
        (token("reader: [r]", "admin: [r]"), "key `admin` is not known here"),
        (token("claim: roles", "claim: []"), "at least one is needed"),
        (token("reach: everything", "reach: all"), "`all` is not known here"),
        (token(", reach: everything", ""), "key `reach` is missing"),
        (
            token("reach: everything", "reach: own_tenant"),
            "this issuer has neither `claims.tenant` nor `tenant`: its tokens are of no tenant",
        ),
        (certificate("{ role: reader, reach: everything }"), "either `uri` or `dns` is needed"),
        (
            certificate("{ dns: \"*.example.com\", role: reader, reach: everything }"),
            "`*.example.com` has a `*`",
        ),
        (
            certificate("{ uri: u, dns: d, role: reader, reach: everything }"),
            "either `uri` or `dns` is needed",
        ),
        (certificate("{ uri: u, role: root, reach: everything }"), "`root` is not known here"),
        (certificate("{ uri: u, role: reader }"), "key `reach` is missing"),
        (certificate("{ uri: u, role: reader, reach: { tenants: a } }"), "key `tenants` is not known here"),
        (
            certificate(
                "{ uri: u, role: reader, reach: everything }, { uri: u, role: revoker, reach: everything }",
            ),
            "`u` stands here a second time",
        ),
    ] {
        let found = mistakes(&format!("{SMALL}admin: {admin}\n"));
        assert!(found.iter().any(|mistake| mistake.ends_with(expected)), "{admin}: {found:?}");
    }
}
