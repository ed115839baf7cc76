use super::*;
use crate::testing::profile;

/// J18: https, or a host that is this machine.
#[test]
fn keys_come_over_https_or_from_this_machine() {
    use ConfigProblem::{UrlInsecure, UrlMalformed};
    let cases = [
        ("https://sts.example.com/jwks", None),
        ("https://sts.example.com:8443/jwks?tenant=a", None),
        ("http://127.0.0.1:8080/jwks", None),
        ("http://127.9.9.9/jwks", None),
        ("http://[::1]:8080/jwks", None),
        ("http://localhost:8080/jwks", None),
        ("http://LOCALHOST/jwks", None),
        ("http://2130706433/jwks", None), // another spelling of 127.0.0.1, which the URL standard resolves
        ("http://sts.example.com/jwks", Some(UrlInsecure)),
        ("http://localhost.example.com/jwks", Some(UrlInsecure)),
        ("http://127.0.0.1.example.com/jwks", Some(UrlInsecure)),
        ("http://169.254.169.254/jwks", Some(UrlInsecure)),
        ("http://0.0.0.0/jwks", Some(UrlInsecure)),
        ("http://[::ffff:10.0.0.1]/jwks", Some(UrlInsecure)),
        ("file:///etc/jwks", Some(UrlInsecure)),
        ("ftp://sts.example.com/jwks", Some(UrlInsecure)),
        ("data:application/json,{}", Some(UrlInsecure)),
        ("/jwks", Some(UrlMalformed)),
        ("", Some(UrlMalformed)),
        ("https://user@sts.example.com/jwks", Some(UrlMalformed)),
        ("https://:secret@sts.example.com/jwks", Some(UrlMalformed)),
        ("https://sts.example.com/jwks#keys", Some(UrlMalformed)),
        ("http://localhost@sts.example.com/jwks", Some(UrlMalformed)),
    ];
    for (url, problem) in cases {
        assert_eq!(parse(url).err(), problem, "{url}");
    }
}

#[test]
fn all_problems_are_found_at_once() {
    let source = KeySource::Url { url: "http://sts.example.com".to_owned() };
    let good = IssuerConfig::new(profile("corp"), KeySource::File { path: "jwks.json".into() });
    assert_eq!(good.problems(), []);
    let mut bad = IssuerConfig { refresh: Duration::ZERO, cooldown: Duration::ZERO, source, ..good.clone() };
    bad.profile.audiences.clear();
    let expected = [
        ConfigProblem::Profile(ProfileProblem::NoAudience),
        ConfigProblem::UrlInsecure,
        ConfigProblem::NoRefresh,
        ConfigProblem::NoCooldown,
    ];
    assert_eq!(bad.problems(), expected);
    let hasty = IssuerConfig { max_stale: good.refresh, ..good };
    assert_eq!(hasty.problems(), [ConfigProblem::StaleBeforeRefresh]);
}
