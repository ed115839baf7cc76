//! where tenants come from, and that no tenant's issuer shares a name or keys with another's.

use std::path::Path;

use exequatur_issuers::{Discovery, KeySource};
use exequatur_token::TenantScope;

use crate::config::Config;
use crate::config::show;
use crate::config::tests::{SMALL, mistakes, read};

/// The issuers from line 5 on, each on a line of its own.
fn with(issuers: &[&str]) -> String {
    let rest: Vec<_> = SMALL.lines().filter(|line| !line.starts_with("issuers")).collect();
    let issuers: String = issuers
        .iter()
        .map(|issuer| format!("  - {{ audiences: [https://api.example.com], {issuer} }}\n"))
        .collect();
    format!("{}\nissuers:\n{issuers}", rest.join("\n"))
}

fn kc(rest: &str) -> String {
    with(&[&format!("issuer: \"https://kc.example.com/realms/{{tenant}}\", {rest}")])
}

/// Name, issuer and tenants.
fn shown(config: &Config) -> Vec<(String, String, TenantScope)> {
    let shown = |issuer: &exequatur_issuers::IssuerConfig| {
        let profile = &issuer.profile;
        (profile.name.to_string(), profile.issuer.clone(), profile.tenants.clone())
    };
    config.issuers.iter().map(shown).collect()
}

fn always(tenant: &str) -> TenantScope {
    TenantScope::Always(tenant.to_owned())
}

const JWKS: &str = "jwks: \"https://kc.example.com/realms/{tenant}/certs\"";

#[test]
fn an_issuer_may_be_one_tenants() {
    let issuer = |name: &str, rest: &str| {
        format!("name: {name}, issuer: https://{name}.example.com, jwks: {{ discover: oauth }}, {rest}")
    };
    let text = with(&[&issuer("a", "tenant: acme"), &issuer("b", "tenant: globex, claims: { tenant: t }")]);
    let config = read(&text);
    let scopes: Vec<_> = config.issuers.iter().map(|issuer| issuer.profile.tenants.clone()).collect();
    assert_eq!(scopes, [always("acme"), always("globex")]);
    assert_eq!(shown(&read(&show(&config))), shown(&config));
    for (rest, expected) in [
        ("tenant: acme, tenants: [acme]", "5: an issuer of one tenant has no `tenants`"),
        ("tenant: acme, tenants: any", "5: an issuer of one tenant has no `tenants`"),
        ("tenant: \"\"", "5: must not be empty"),
        ("tenant: [acme]", "5: text expected, a list found"),
        ("tenant: \"a\\tb\"", "5: a tenant is 1 to 256 characters without control characters"),
    ] {
        assert_eq!(mistakes(&with(&[&issuer("a", rest)])), [expected], "{rest}");
    }
}

#[test]
fn a_path_is_an_issuer_for_each_tenant() {
    let lists = "status_lists: { uris: [\"https://kc.example.com/realms/{tenant}/lists/\"] }";
    let config = read(&kc(&format!("name: \"kc-{{tenant}}\", {JWKS}, tenants: [acme, globex], {lists}")));
    let issuer = |tenant: &str| {
        (format!("kc-{tenant}"), format!("https://kc.example.com/realms/{tenant}"), always(tenant))
    };
    assert_eq!(shown(&config), [issuer("acme"), issuer("globex")]);
    let urls: Vec<_> = config.issuers.iter().map(|issuer| issuer.source.clone()).collect();
    let url =
        |tenant: &str| KeySource::url(&format!("https://kc.example.com/realms/{tenant}/certs")).unwrap();
    assert_eq!(urls, [url("acme"), url("globex")]);
    let lists: Vec<_> =
        config.issuers.iter().map(|issuer| issuer.status_lists.as_ref().unwrap().uris[0].as_str()).collect();
    assert_eq!(
        lists,
        ["https://kc.example.com/realms/acme/lists/", "https://kc.example.com/realms/globex/lists/"]
    );
    // What is shown is the issuers, each for itself.
    let again = read(&show(&config));
    assert_eq!(shown(&again), shown(&config));
    assert_eq!(format!("{:?}", again.issuers), format!("{:?}", config.issuers));

    let config =
        read(&kc("name: \"{tenant}\", jwks: { file: \"keys/{tenant}.json\" }, tenants: [acme, globex]"));
    let file = |tenant: &str| KeySource::File {
        path: Path::new("/etc/exequatur/keys").join(format!("{tenant}.json")),
    };
    let sources: Vec<_> = config.issuers.iter().map(|issuer| issuer.source.clone()).collect();
    assert_eq!(sources, [file("acme"), file("globex")]);
    let config = read(&kc("name: \"{tenant}\", jwks: { discover: openid }, tenants: [acme]"));
    assert_eq!(config.issuers[0].source, KeySource::Discovered { by: Discovery::OpenId });
}

#[test]
fn mistakes_of_a_path_have_their_line() {
    let name = "name: \"kc-{tenant}\"";
    let long = "a".repeat(30);
    let many: Vec<_> = (0..257).map(|n| n.to_string()).collect();
    let many = format!(
        "{name}, {JWKS}, tenants: [{}]",
        many.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ")
    );
    for (rest, expected) in [
        (format!("{name}, {JWKS}"), "5: key `tenants` is missing: which tenants are in the path?".to_owned()),
        (format!("{name}, {JWKS}, tenants: any"), "5: which tenants are in the path?".to_owned()),
        (format!("{name}, {JWKS}, tenants: []"), "5: at least one is needed".to_owned()),
        (format!("{name}, {JWKS}, tenants: [a, a]"), "5: `a` stands here a second time".to_owned()),
        (format!("{name}, {JWKS}, tenants: [a], tenant: a"), "5: the tenant is in the path of the issuer".to_owned()),
        (format!("name: kc, {JWKS}, tenants: [a]"), "5: `{tenant}` is missing: two issuers would have one name".to_owned()),
        (format!("{JWKS}, tenants: [a]"), "5: key `name` is missing".to_owned()),
        (
            format!("{name}, jwks: https://kc.example.com/certs, tenants: [a, b]"),
            "5: `{tenant}` is missing: one tenant's key would sign for another's".to_owned(),
        ),
        (
            format!("{name}, jwks: {{ file: keys.json }}, tenants: [a, b]"),
            "5: `{tenant}` is missing: one tenant's key would sign for another's".to_owned(),
        ),
        (
            format!("{name}, {JWKS}, tenants: [acme, Globex]"),
            "5: the issuer of `Globex` would be called `kc-Globex`, and an issuer name is 1 to 32 of a-z, 0-9 and -"
                .to_owned(),
        ),
        (
            format!("{name}, {JWKS}, tenants: [{long}]"),
            format!("5: the issuer of `{long}` would be called `kc-{long}`, and an issuer name is 1 to 32 of a-z, 0-9 and -"),
        ),
        (many, "5: more than 256 tenants".to_owned()),
        // What is wrong in each is told once.
        (format!("{name}, {JWKS}, tenants: [a, b], leeway: 2m"), "5: must be between 0s and 1m".to_owned()),
    ] {
        assert_eq!(mistakes(&kc(&rest)), [expected], "{rest}");
    }
    for segment in ["a/b", "..", "a b", "a%2Fb", "a?b", "a#b", "{tenant}", "ä"] {
        let found = mistakes(&kc(&format!("{name}, {JWKS}, tenants: [\"{segment}\"]")));
        assert!(found[0].starts_with(&format!("5: the issuer of `{segment}` would be called")), "{found:?}");
    }
    let stray = "name: kc, issuer: https://kc.example.com, jwks: \"https://kc.example.com/{tenant}\"";
    assert!(
        mistakes(&with(&[stray]))
            .contains(&"5: `{tenant}` means nothing here, since `issuer` does not have it".to_owned())
    );
}

/// Names and issuers are unique among all, however they came about.
#[test]
fn a_path_meets_no_other_issuer() {
    let path = "name: \"kc-{tenant}\", issuer: \"https://kc.example.com/{tenant}\", jwks: { discover: oauth }, tenants: [acme]";
    let other = |name: &str, issuer: &str| {
        format!("name: {name}, issuer: {issuer}, jwks: {{ discover: oauth }}, tenant: x")
    };
    let found = mistakes(&with(&[path, &other("kc-acme", "https://other.example.com")]));
    assert_eq!(found, ["6: `kc-acme` stands here a second time"]);
    let found = mistakes(&with(&[path, &other("other", "https://kc.example.com/acme")]));
    assert_eq!(found, ["6: `https://kc.example.com/acme` stands here a second time"]);
    // A mistake in one does not hide those in others.
    let found = mistakes(&with(&[
        "issuer: \"https://{tenant}\", name: kc, jwks: { discover: oauth }, tenants: [a]",
        "name: b",
    ]));
    assert!(found.len() > 2, "{found:?}");
}

/// the certificate may say the tenant; by whom, and where, is checked when the file is read.
#[test]
fn a_certificate_may_say_the_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let pem = include_str!("../schema/authority.pem");
    let at = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let (ca, broken, empty) =
        (at("ca.pem", pem), at("broken.pem", "-----BEGIN CERTIFICATE-----\n!"), at("empty.pem", ""));
    let long = at("long.pem", &"#\n".repeat(128 * 1024 + 1));
    let absent = folder.path().join("absent.pem").display().to_string();
    let uri = "uri: \"spiffe://example.com/{tenant}/**\"";
    let issuer = |name: &str, rest: &str| {
        format!("name: {name}, issuer: https://{name}.example.com, jwks: {{ discover: oauth }}, {rest}")
    };
    let by = |ca: &str, uri: &str| format!("tenant: {{ certificate: {{ ca_file: {ca}, {uri} }} }}");
    let good = by(&ca, uri);
    let of = |text: &str| {
        let config = read(text);
        let scope = &config.issuers[0].profile.tenants;
        let TenantScope::Certified { by, only } = scope else { panic!("{scope:?}") };
        (by.authorities.file().display().to_string(), by.uri.to_string(), only.clone())
    };
    let pattern = "spiffe://example.com/{tenant}/**".to_owned();
    let alone = with(&[&issuer("a", &good)]);
    assert_eq!(of(&alone), (ca.clone(), pattern.clone(), None));
    let several = with(&[&issuer("a", &format!("{good}, tenants: [acme]")), &issuer("b", "tenant: globex")]);
    assert_eq!(of(&several), (ca.clone(), pattern, Some(vec!["acme".to_owned()])));
    for text in [&alone, &several] {
        assert_eq!(shown(&read(&show(&read(text)))), shown(&read(text)));
    }
    let beside = with(&[&issuer("a", &good), &issuer("b", "tenant: globex")]);
    assert_eq!(mistakes(&beside), ["5: key `tenants` is missing"]);
    let wrong = |rest: &str| mistakes(&with(&[&issuer("a", rest)]));
    for (rest, expected) in [
        (by(&absent, uri), format!("5: {absent}: No such file or directory (os error 2)")),
        (by(&broken, uri), format!("5: {broken}: not PEM")),
        (by(&empty, uri), format!("5: {empty}: no certificate in it")),
        (by(&long, uri), format!("5: {long}: longer than 262144 bytes")),
        (by(&ca, "uri: \"spiffe://example.com/acme\""), "5: `{tenant}` is missing".to_owned()),
        (
            by(&ca, "uri: \"spiffe://example.com/a-{tenant}\""),
            "5: `{tenant}` is the first label of the authority, or a segment of the path".to_owned(),
        ),
        (format!("tenant: {{ certificate: {{ ca_file: {ca} }} }}"), "5: key `uri` is missing".to_owned()),
        (format!("tenant: {{ certificate: {{ {uri} }} }}"), "5: key `ca_file` is missing".to_owned()),
        ("tenant: {}".to_owned(), "5: key `certificate` is missing".to_owned()),
    ] {
        assert_eq!(wrong(&rest), [expected], "{rest}");
    }
}

/// `{tenant}` where it makes no other place of it: one realm's key would sign for another.
#[test]
fn one_place_for_all_is_refused() {
    let apart =
        "5: `{tenant}` does not make it another place for each: one tenant's key would sign for another's";
    for tenants in ["acme, globex", "acme"] {
        for jwks in [
            "\"https://kc.example.com/realms/{tenant}/../certs\"",
            "\"https://kc.example.com/realms/{tenant}/%2e%2E/certs\"",
            "\"https://kc.example.com/certs?realm={tenant}\"",
            "{ file: \"keys/{tenant}/../all.json\" }",
            "{ file: \"../keys/{tenant}.json\" }",
        ] {
            let found =
                mistakes(&kc(&format!("name: \"kc-{{tenant}}\", jwks: {jwks}, tenants: [{tenants}]")));
            assert_eq!(found, [apart], "{jwks}");
        }
    }
    for jwks in [
        "\"https://{tenant}.kc.example.com/certs\"",
        "\"https://kc.example.com/../{tenant}/certs?realm={tenant}\"",
        "{ file: \"./{tenant}/./keys.json\" }",
    ] {
        let config = read(&kc(&format!("name: \"kc-{{tenant}}\", jwks: {jwks}, tenants: [acme, globex]")));
        assert_eq!(config.issuers.len(), 2, "{jwks}");
    }
    // A URL that is none is told once.
    let found = mistakes(&kc("name: \"kc-{tenant}\", jwks: \"ftp://kc/{tenant}\", tenants: [acme]"));
    assert_eq!(found.len(), 1, "{found:?}");
}

/// `{tenant}` is replaced in every text, be it that of a key; no key stands there twice then.
#[test]
fn a_mark_may_have_the_tenant_in_its_name() {
    let issuer = |marks: &str| {
        let claims = format!("claims: {{ user: {{ claim: sub, when: {{ {marks} }} }} }}");
        kc(&format!("name: \"kc-{{tenant}}\", {JWKS}, tenants: [acme, globex], {claims}"))
    };
    let config = read(&issuer("\"https://kc/{tenant}/kind\": person"));
    let marks: Vec<_> = config
        .issuers
        .iter()
        .map(|issuer| issuer.profile.claims.user.as_ref().unwrap().when[0].name.clone())
        .collect();
    assert_eq!(marks, ["https://kc/acme/kind", "https://kc/globex/kind"]);
    let found = mistakes(&issuer("kind-globex: person, \"kind-{tenant}\": person"));
    assert_eq!(found, ["5: with a tenant for `{tenant}`, this key stands here a second time"]);
}
