use exequatur_issuers::{Discovery, KeySource};

use crate::config::folder::Folder;
use crate::config::tests::told;
use crate::config::{Config, Problems, show};

fn folder() -> Folder {
    Folder::new("ca.pem", "key.pem")
}

/// One issuer with these further keys, from line 7 on.
fn read(folder: &Folder, issuer: &str, keys: &[&str]) -> Result<Config, Problems> {
    let keys: String = keys.iter().map(|key| format!("\n    {key}")).collect();
    folder.read(format!(
        "policies: p
protected_resources: [{{ resource: https://api.example.com }}]
issuers:
  - name: corp
    issuer: \"{issuer}\"
    audiences: [https://api.example.com]{keys}
routes: [{{ name: health, match: {{ path: /healthz, methods: [GET] }}, access: public }}]
"
    ))
}

fn mistakes(folder: &Folder, keys: &[&str]) -> Vec<String> {
    told(&read(folder, "https://sts.example.com", keys).expect_err("a mistake"))
}

const JWKS: &str = "jwks: https://sts.example.com/jwks";

#[test]
fn keys_are_discovered_by_either_metadata() {
    let folder = folder();
    for (word, by) in [("oauth", Discovery::OAuth), ("openid", Discovery::OpenId)] {
        let key = format!("jwks: {{ discover: {word} }}");
        let config = read(&folder, "https://sts.example.com/realms/a", &[&key]).unwrap();
        assert_eq!(config.issuers[0].source, KeySource::Discovered { by });
        assert!(show(&config).contains(&format!("\n    {key}\n")), "{}", show(&config));
    }
    for (key, expected) in [
        ("jwks: { discover: oidc }", "7: `oidc` is not known here"),
        ("jwks: { discover: oauth, file: jwks.json }", "7: keys have one source"),
        ("jwks: {}", "7: key `file` or `discover` is missing"),
        ("jwks: { uri: x }", "7: key `uri` is not known here"),
        ("jwks: true", "7: a URL, `{ file: … }` or `{ discover: oauth }` expected, a truth value found"),
        ("leeway: 0s", "4: key `jwks` is missing"),
    ] {
        assert!(
            mistakes(&folder, &[key]).contains(&expected.to_owned()),
            "{key}: {:?}",
            mistakes(&folder, &[key])
        );
    }
}

/// RFC 8414 §2: what is no https URL cannot be discovered.
#[test]
fn an_issuer_without_address_is_not_discovered() {
    let folder = folder();
    for (issuer, why) in
        [("corp", "malformed"), ("http://sts.example.com", "neither https nor http to a loopback host")]
    {
        let problems = read(&folder, issuer, &["jwks: { discover: openid }"]).expect_err("a mistake");
        let problem = problems.iter().next().unwrap();
        assert_eq!(problem.message, format!("keys are discovered, and the issuer as a URL is {why}"));
        assert_eq!(problem.place.unwrap().line, 5);
        read(&folder, issuer, &[JWKS]).unwrap();
    }
}

#[test]
fn authorities_and_proxy_are_read_and_shown() {
    let folder = folder();
    let keys = [JWKS, "ca_file: ca.pem", "proxy: http://proxy:3128", "proxy_credentials_file: credentials"];
    let config = read(&folder, "https://sts.example.com", &keys).unwrap();
    let transport = &config.issuers[0].transport;
    assert_eq!(transport.authorities.as_ref().unwrap().file(), folder.path("ca.pem"));
    let proxy = transport.proxy.as_ref().unwrap();
    assert_eq!(proxy.url(), "http://proxy:3128");
    assert_eq!(proxy.credentials().unwrap().file(), folder.path("credentials"));

    let shown = show(&config);
    for key in ["ca_file", "proxy", "proxy_credentials_file"] {
        assert!(shown.contains(&format!("\n    {key}: ")), "{shown}");
    }
    let again = folder.read(shown.clone()).unwrap();
    assert_eq!(again.issuers[0].transport, *transport);
    assert!(!shown.contains("secret word") && !format!("{config:?}").contains("secret word"));

    let plain = read(&folder, "https://sts.example.com", &[JWKS]).unwrap();
    assert!(plain.issuers[0].transport.is_usual());
}

/// V10: an issuer's lists come from where the configuration says, and each mistake has its line.
#[test]
fn v10_status_lists_are_read_and_shown() {
    let folder = folder();
    let lists = "status_lists: { uris: [https://sts.example.com/lists/, https://cdn.example.com], required: true, \
                 refresh: 1m, cooldown: 2s, max_stale: 10m, wait: 60ms, max_lists: 4, max_list_bytes: 4096 }";
    let config = read(&folder, "https://sts.example.com", &[JWKS, lists]).unwrap();
    let found = config.issuers[0].status_lists.as_ref().unwrap();
    let uris: Vec<_> = found.uris.iter().map(exequatur_issuers::ListPrefix::as_str).collect();
    assert_eq!(uris, ["https://sts.example.com/lists/", "https://cdn.example.com/"]);
    assert!(config.issuers[0].profile.status_required);
    assert_eq!((found.refresh.as_secs(), found.cooldown.as_secs(), found.max_stale.as_secs()), (60, 2, 600));
    assert_eq!((found.wait.as_millis(), found.max_lists, found.size.bytes()), (60, 4, 4096));

    let shown = show(&config);
    let again = folder.read(shown.clone()).unwrap();
    assert_eq!(again.issuers[0].status_lists, config.issuers[0].status_lists, "{shown}");
    assert!(again.issuers[0].profile.status_required);

    let usual = "status_lists: { uris: [https://sts.example.com/lists/] }";
    let config = read(&folder, "https://sts.example.com", &[JWKS, usual]).unwrap();
    assert!(!config.issuers[0].profile.status_required);
    let found = config.issuers[0].status_lists.as_ref().unwrap();
    assert_eq!((found.wait.as_millis(), found.max_lists, found.size.bytes()), (50, 16, 1024 * 1024));
    let plain = read(&folder, "https://sts.example.com", &[JWKS]).unwrap();
    assert!(plain.issuers[0].status_lists.is_none() && !plain.issuers[0].profile.status_required);
    // What lists are reached by is not unused where keys are in a file.
    let keys = ["jwks: { file: k }", "ca_file: ca.pem", usual];
    assert!(read(&folder, "https://sts.example.com", &keys).is_ok());

    for (keys, expected) in [
        ("{}", "8: key `uris` is missing"),
        ("{ uris: [] }", "8: at least one is needed"),
        ("{ uris: [http://sts.example.com/] }", "8: not an https URL in its usual spelling, without query"),
        ("{ uris: [https://STS.example.com/] }", "8: not an https URL in its usual spelling, without query"),
        (
            "{ uris: [https://a.example, https://a.example] }",
            "8: `https://a.example` stands here a second time",
        ),
        (
            "{ uris: [https://a.example], max_stale: 5m }",
            "8: the longest time of status lists is less than two refresh periods",
        ),
        ("{ uris: [https://a.example], max_lists: 0 }", "8: must be between 1 and 1024"),
        ("{ uris: [https://a.example], max_list_bytes: 1023 }", "8: must be between 1024 and 16777216"),
        ("{ uris: [https://a.example], cooldown: 0s }", "8: must be between 1s and 24h"),
        (
            "{ uris: [https://a.example], wait: 76ms }",
            "8: a decision would wait 76ms, more than half of `deadline` (150ms)",
        ),
        ("{ uris: [https://a.example], allow: true }", "8: key `allow` is not known here"),
    ] {
        assert_eq!(mistakes(&folder, &[JWKS, &format!("status_lists: {keys}")]), [expected], "{keys}");
    }
}

/// C-16: a secret that everybody may read, write or run is none.
#[test]
fn secrets_that_others_may_read_are_refused() {
    let folder = folder();
    let keys = [JWKS, "proxy: http://proxy:3128", "proxy_credentials_file: credentials"];
    for mode in [0o600, 0o440] {
        folder.set_mode("credentials", mode);
        assert!(read(&folder, "https://sts.example.com", &keys).is_ok(), "{mode:o}");
    }
    for mode in ["0644", "0642", "0641"] {
        folder.set_mode("credentials", u32::from_str_radix(mode, 8).unwrap());
        let expected = format!("9: a secret that others may read or replace (mode {mode}): `chmod o-rwx` it");
        assert_eq!(mistakes(&folder, &keys), [expected]);
    }
}

/// Each file is read with the configuration, and each mistake has its line.
#[test]
fn mistakes_of_authorities_and_proxy_have_their_line() {
    let folder = folder();
    folder.write("empty.pem", "");
    folder.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let cases: &[(&[&str], &str)] = &[
        (&[JWKS, "ca_file: none.pem"], "8: the file of authorities cannot be read: entity not found"),
        (&[JWKS, "ca_file: empty.pem"], "8: the file of authorities holds no PEM certificate"),
        (
            &[JWKS, "ca_file: broken.pem"],
            "8: the file of authorities holds a certificate that cannot be read",
        ),
        (&[JWKS, "ca_file: key.pem"], "8: the file of authorities holds a private key"),
        (&[JWKS, "proxy: https://proxy:3128"], "8: a proxy is http://host:port"),
        (&[JWKS, "proxy: \"http://me:secret@proxy\""], "8: a proxy's credentials are in a file of their own"),
        (
            &[JWKS, "proxy: http://proxy", "proxy_credentials_file: none"],
            "9: the proxy's credentials cannot be read: entity not found",
        ),
        (
            &[JWKS, "proxy: http://proxy", "proxy_credentials_file: ca.pem"],
            "9: the proxy's credentials are not one line `user:password`",
        ),
        (&[JWKS, "proxy_credentials_file: credentials"], "8: credentials for a proxy, and no `proxy`"),
        (
            &["jwks: http://127.0.0.1/jwks", "proxy: http://proxy"],
            "8: a proxy is for https, and keys come over http",
        ),
        (
            &["jwks: http://127.0.0.1/jwks", "ca_file: ca.pem"],
            "8: authorities are for https, and keys come over http",
        ),
        (
            &["jwks: { file: jwks.json }", "ca_file: ca.pem"],
            "8: keys from a file need neither authorities nor a proxy",
        ),
        (
            &["jwks: { file: jwks.json }", "proxy: http://proxy"],
            "8: keys from a file need neither authorities nor a proxy",
        ),
    ];
    for (keys, expected) in cases {
        assert_eq!(mistakes(&folder, keys), [*expected], "{keys:?}");
    }
}
