use exequatur_token::{ClaimNames, ClaimWords, OwnSubject, Unmarked, UserClaim};

use crate::config::tests::{config, mistakes, read};

/// One issuer with these claims, which begin at line 7.
fn text(claims: &str) -> String {
    format!(
        "policies: p
protected_resources: [{{ resource: https://api.example.com }}]
routes: [{{ name: health, match: {{ path: /healthz, methods: [GET] }}, access: public }}]
issuers:
  - name: corp
    issuer: https://sts.example.com
    claims: {claims}
    jwks: {{ file: a }}
    audiences: [https://api.example.com]
"
    )
}

fn claims(written: &str) -> ClaimNames {
    let config = config(&text(written)).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    config.issuers[0].profile.claims.clone()
}

fn marks(name: &str, words: &[&str]) -> Vec<ClaimWords> {
    vec![ClaimWords { name: name.to_owned(), words: words.iter().map(|&word| word.to_owned()).collect() }]
}

#[test]
fn a_claim_alone_is_short_for_a_map() {
    assert_eq!(claims("{}"), ClaimNames::default());
    assert_eq!(claims("{ user: sub }").user, Some(UserClaim::new("sub")));
    assert_eq!(claims("{ user: { claim: sub } }"), claims("{ user: sub }"));
    assert_eq!(claims("{ scopes: scp }"), claims("{ scopes: [scp] }"));
    let user =
        claims("{ user: { claim: oid, when: { idtyp: user }, unless: { gty: [a, b] } } }").user.unwrap();
    assert_eq!((user.when, user.unless), (marks("idtyp", &["user"]), marks("gty", &["a", "b"])));
    assert_eq!(user.own_subject, OwnSubject::Refused);
    let user = claims("{ user: { claim: sub, own_subject: client } }").user.unwrap();
    assert_eq!((user.own_subject, user.otherwise), (OwnSubject::Client, Unmarked::Refused));
    let user = claims("{ user: { claim: sub, otherwise: client } }").user.unwrap();
    assert_eq!((user.own_subject, user.otherwise), (OwnSubject::Refused, Unmarked::Client));
}

/// J07: where nothing is marked, it is said what that means.
#[test]
fn j07_that_nothing_is_marked_is_told() {
    let line = "\n      # no mark: nothing but the comparison with the client tells a user";
    for (claims, unmarked) in [
        ("{ user: sub }", true),
        ("{ user: { claim: sub, own_subject: client, otherwise: client } }", true),
        ("{ user: { claim: sub, when: { idtyp: user } } }", false),
        ("{ user: { claim: sub, unless: { idtyp: app } } }", false),
        ("{}", false),
    ] {
        let config = read(&text(claims));
        let remarks = crate::config::remarks(&config);
        let told =
            remarks.iter().filter(|told| told.starts_with("issuer corp: claims.user has no mark: nothing"));
        assert_eq!((told.count(), remarks.len()), (usize::from(unmarked), usize::from(unmarked)), "{claims}");
        let shown = crate::config::show(&config);
        assert_eq!(shown.contains(line), unmarked, "{shown}");
        assert_eq!(read(&shown).issuers[0].profile.claims, config.issuers[0].profile.claims);
    }
}

#[test]
fn mistakes_are_told_with_their_line() {
    for (claims, expected) in [
        ("{ user: [sub] }", "7: a claim or `{ claim: …, when: …, unless: … }` expected, a list found"),
        ("{ user: \"\" }", "7: must not be empty"),
        ("{ user: { when: { a: b } } }", "7: key `claim` is missing"),
        ("{ user: { claim: sub, when: {} } }", "7: 1 to 16 claims are expected"),
        ("{ user: { claim: sub, when: { idtyp: [] } } }", "7: at least one is needed"),
        ("{ user: { claim: sub, unless: { app: true } } }", "7: text expected, a truth value found"),
        ("{ user: { claim: sub, unless: gty } }", "7: a map expected, text found"),
        ("{ user: { claim: sub, own_subject: user } }", "7: `user` is not known here"),
        ("{ user: { claim: sub, otherwise: user } }", "7: `user` is not known here"),
        ("{ user: { claim: sub, if: { a: b } } }", "7: key `if` is not known here"),
        ("{ scopes: [] }", "7: at least one is needed"),
        ("{ id: [jti] }", "7: text expected, a list found"),
    ] {
        assert_eq!(mistakes(&text(claims)), [expected], "{claims}");
    }
    let many: Vec<_> = (0..17).map(|number| format!("c{number}: x")).collect();
    let many = format!("{{ user: {{ claim: sub, when: {{ {} }} }} }}", many.join(", "));
    assert_eq!(mistakes(&text(&many)), ["7: 1 to 16 claims are expected"]);
}
