//! S03, S04: who is asked about which tokens, and how we show who we are.

use exequatur_issuers::{ClientAuthentication, IntrospectionEndpoint, OpaqueTokens};

use crate::config::folder::Folder;
use crate::config::tests::told;
use crate::config::{Config, Problems, show};

fn folder() -> Folder {
    Folder::new("client.pem", "client.key")
}

/// Issuers `one`, `two` … that are asked like this; the keys stand in lines 5, 6 ….
fn read(folder: &Folder, asked: &[&str]) -> Result<Config, Problems> {
    let issuers = asked.iter().zip(["one", "two"]).map(|(asked, name)| {
        format!(
            "  - {{ name: {name}, issuer: \"https://{name}.example.com\", jwks: {{ discover: oauth }}, audiences: \
             [https://api.example.com], introspection: {asked} }}\n"
        )
    });
    folder.read(format!(
        "policies: p
protected_resources: [{{ resource: https://api.example.com }}]
routes: [{{ name: health, match: {{ path: /healthz, methods: [GET] }}, access: public }}]
issuers:
{}",
        issuers.collect::<String>()
    ))
}

fn mistakes(folder: &Folder, asked: &[&str]) -> Vec<String> {
    told(&read(folder, asked).expect_err("a mistake"))
}

const ENDPOINT: &str = "endpoint: \"https://one.example.com/introspect\", client_id: exequatur";
const KEY: &str = "private_key_jwt: { key_file: client.key }";

#[test]
fn what_is_asked_is_read_and_shown() {
    let folder = folder();
    let usual = format!("{{ {ENDPOINT}, {KEY} }}");
    let whole = "{ endpoint: { discover: openid }, tokens: all, prefix: two_, response: json, client_id: exequatur, \
                 mtls: { certificate_file: client.pem, key_file: client.key }, cache: 5s, wait: 60ms, timeout: 2s, \
                 max_in_flight: 7 }";
    let config = read(&folder, &[&usual.replace("client_id", "prefix: one_, client_id"), whole]).unwrap();
    let one = config.issuers[0].introspection.as_ref().unwrap();
    assert!(
        matches!(&one.endpoint, IntrospectionEndpoint::Named(place) if place.as_str().ends_with("/introspect"))
    );
    assert!(matches!(&one.authentication, ClientAuthentication::PrivateKeyJwt { .. }));
    assert_eq!((one.cache.as_secs(), one.wait.as_millis(), one.timeout.as_secs()), (30, 75, 1));
    assert_eq!((one.max_in_flight, one.jwts, one.client_id.as_str()), (64, false, "exequatur"));
    let two = config.issuers[1].introspection.as_ref().unwrap();
    assert!(matches!(&two.endpoint, IntrospectionEndpoint::Discovered { .. }));
    assert!(matches!(&two.opaque, Some(OpaqueTokens::Prefixed(prefix)) if prefix.as_str() == "two_"));
    assert!(matches!(&two.authentication, ClientAuthentication::Mtls { .. }));
    assert_eq!((two.cache.as_secs(), two.wait.as_millis(), two.timeout.as_secs()), (5, 60, 2));
    assert_eq!((two.max_in_flight, two.jwts), (7, true));

    let shown = show(&config);
    assert!(!shown.contains("PRIVATE"), "{shown}");
    let again = folder.read(shown.clone()).unwrap();
    let debugged = |config: &Config| {
        config.issuers.iter().map(|issuer| format!("{:?}", issuer.introspection)).collect::<Vec<_>>()
    };
    assert_eq!(debugged(&again), debugged(&config), "{shown}");
    assert!(read(&folder, &[&usual]).is_ok());
    let jwt = format!("{{ {ENDPOINT}, {KEY}, tokens: jwt }}");
    // Only one is asked about tokens that say nothing themselves.
    assert!(read(&folder, &[&usual, &jwt]).is_ok());
}

#[test]
fn each_mistake_has_its_line() {
    let folder = folder();
    for (asked, expected) in [
        (format!("{{ {ENDPOINT} }}"), "5: key `private_key_jwt` or `mtls` is missing"),
        (format!("{{ {KEY}, client_id: a }}"), "5: key `endpoint` is missing"),
        (
            format!("{{ endpoint: \"https://one.example.com/\", {KEY} }}"),
            "5: key `client_id` is missing",
        ),
        (
            format!("{{ endpoint: \"http://one.example.com/\", client_id: a, {KEY} }}"),
            "5: the endpoint's URL is neither https nor http to a loopback host",
        ),
        (
            format!("{{ {ENDPOINT}, {KEY}, mtls: {{ certificate_file: client.pem, key_file: client.key }} }}"),
            "5: who asks is shown in one way: `private_key_jwt` or `mtls`",
        ),
        (
            format!("{{ {ENDPOINT}, private_key_jwt: {{ key_file: missing }} }}"),
            "5: the key cannot be read: entity not found",
        ),
        (
            format!("{{ {ENDPOINT}, private_key_jwt: {{ key_file: client.pem }} }}"),
            "5: not one PEM block `PRIVATE KEY` (PKCS #8, not encrypted)",
        ),
        (
            format!("{{ {ENDPOINT}, private_key_jwt: {{ key_file: client.key, algorithm: EdDSA }} }}"),
            "5: the key does not fit the algorithm",
        ),
        (
            format!("{{ {ENDPOINT}, private_key_jwt: {{ key_file: client.key, algorithm: HS256 }} }}"),
            "5: algorithm `HS256` is not accepted",
        ),
        (
            format!("{{ {ENDPOINT}, mtls: {{ certificate_file: client.key, key_file: client.key }} }}"),
            "5: not a PEM certificate and its PEM key",
        ),
        (
            "{ endpoint: \"http://127.0.0.1:1/\", client_id: a, mtls: { certificate_file: client.pem, key_file: \
             client.key } }"
                .to_owned(),
            "5: a certificate is shown over https, and the endpoint is asked over http",
        ),
        (format!("{{ {ENDPOINT}, {KEY}, prefix: eyJ }}"), "5: JWTs begin like this"),
        (
            format!("{{ {ENDPOINT}, {KEY}, prefix: a, tokens: jwt }}"),
            "5: a prefix is for tokens that are no JWTs, which are not asked about",
        ),
        (format!("{{ {ENDPOINT}, {KEY}, cache: 31s }}"), "5: must be between 1s and 30s"),
        (
            format!("{{ {ENDPOINT}, {KEY}, wait: 76ms }}"),
            "5: a decision would wait 76ms, more than half of `deadline` (150ms)",
        ),
        (format!("{{ {ENDPOINT}, {KEY}, client_secret: a }}"), "5: key `client_secret` is not known here"),
    ] {
        assert_eq!(mistakes(&folder, &[&asked]), [expected], "{asked}");
    }
    // A token is one issuer's.
    let [one, two] = ["a_", "a_b"].map(|prefix| format!("{{ {ENDPOINT}, {KEY}, prefix: {prefix} }}"));
    let usual = format!("{{ {ENDPOINT}, {KEY} }}");
    let expected = "6: tokens that are no JWTs could be of issuer `one` too";
    for asked in [[one.as_str(), &two], [&usual, &two], [&one, &usual], [&usual, &usual]] {
        assert_eq!(mistakes(&folder, &asked), [expected], "{asked:?}");
    }
}

/// C-16
#[test]
fn a_key_that_others_may_read_is_refused() {
    let folder = folder();
    let mtls = "mtls: { certificate_file: client.pem, key_file: client.key }";
    folder.set_mode("client.key", 0o644);
    for way in [KEY, mtls] {
        let expected = "5: a secret that others may read or replace (mode 0644): `chmod o-rwx` it";
        assert_eq!(mistakes(&folder, &[&format!("{{ {ENDPOINT}, {way} }}")]), [expected], "{way}");
    }
    folder.set_mode("client.key", 0o600);
    for way in [KEY, mtls] {
        assert!(read(&folder, &[&format!("{{ {ENDPOINT}, {way} }}")]).is_ok(), "{way}");
    }
}
