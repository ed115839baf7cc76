use serde_json::json;

use super::*;
use crate::UserClaim;
use crate::testing::{with, without};

const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
const X5T: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";

fn refusal(name: &str, value: Json) -> TokenError {
    with_claims(&with(&token_claims(), name, value)).unwrap_err()
}

// J06
#[test]
fn j06_required_claims() {
    for (name, claim) in [
        ("iss", Claim::Iss),
        ("sub", Claim::Sub),
        ("client_id", Claim::ClientId),
        ("jti", Claim::Jti),
        ("iat", Claim::Iat),
        ("exp", Claim::Exp),
        ("aud", Claim::Aud),
    ] {
        let outcome = with_claims(&without(&token_claims(), name));
        assert_eq!(outcome.unwrap_err(), TokenError::ClaimMissing(claim), "{name}");
    }
    for name in ["scope", "tenant"] {
        assert!(with_claims(&without(&token_claims(), name)).is_ok(), "{name}");
    }
}

// Types are exact: what should be text is text, of 1 to 256 characters without control characters.
#[test]
fn textual_claims() {
    let bad = [json!(1), json!(null), json!(true), json!(["a"]), json!({}), json!("")];
    let bad = bad.into_iter().chain(["a\0", "a\r\nb", "a\u{7f}", &"a".repeat(257)].map(|text| json!(text)));
    for value in bad {
        for (name, claim) in [
            ("sub", Claim::Sub),
            ("client_id", Claim::ClientId),
            ("jti", Claim::Jti),
            ("tenant", Claim::Tenant),
            ("sid", Claim::Sid),
        ] {
            assert_eq!(refusal(name, value.clone()), TokenError::ClaimInvalid(claim), "{name} {value}");
        }
    }
    for value in [json!(1), json!(null), json!(["https://sts.example.com"]), json!("")] {
        assert_eq!(refusal("iss", value.clone()), TokenError::ClaimInvalid(Claim::Iss), "{value}");
    }
    assert!(with_claims(&with(&token_claims(), "sub", json!("é".repeat(256)))).is_ok());
}

// J02, A-19: byte by byte.
#[test]
fn j02_issuer_is_exact() {
    for iss in [
        "https://sts.example.com/",
        "https://sts.example.co",
        "https://STS.example.com",
        "https://sts.example.com:443",
        "https://sts.example.com.evil.org",
        "http://sts.example.com",
    ] {
        assert_eq!(refusal("iss", json!(iss)), TokenError::IssuerUnknown, "{iss}");
    }
}

// J07: a client's own token is not taken for a user's.
#[test]
fn j07_clients_are_no_users() {
    assert_eq!(refusal("sub", json!("crm-bot")), TokenError::ClaimInvalid(Claim::Sub));

    let mut profile = profile();
    profile.claims.user = None;
    let raw = issuer_key().sign(&token_header(), &with(&token_claims(), "sub", json!("crm-bot")));
    let token = UnverifiedToken::parse(&raw).unwrap().verify(&profile, &issuer_keys(), now()).unwrap();
    assert_eq!(token.user(), None);
    assert_eq!(token.client().as_str(), "corp:crm-bot");
}

#[test]
fn identities_come_from_the_configured_claims() {
    let mut profile = profile();
    profile.claims.agent = "azp".to_owned();
    profile.claims.user = Some(UserClaim::new("email"));
    profile.claims.tenant = None;
    let outcome = |claims: &Json| {
        let raw = issuer_key().sign(&token_header(), claims);
        UnverifiedToken::parse(&raw)?.verify(&profile, &issuer_keys(), now())
    };
    assert_eq!(outcome(&token_claims()).unwrap_err(), TokenError::ClaimMissing(Claim::Agent));
    let claims = with(&token_claims(), "azp", json!("bot"));
    assert_eq!(outcome(&claims).unwrap_err(), TokenError::ClaimMissing(Claim::User));
    let token = outcome(&with(&claims, "email", json!("a@example.com"))).unwrap();
    assert_eq!((token.client().as_str(), token.tenant()), ("corp:bot", None));
    assert_eq!((token.user().unwrap().as_str(), token.named_user()), ("corp:a@example.com", None));
    let error = outcome(&with(&claims, "azp", json!(7))).unwrap_err();
    assert_eq!(error, TokenError::ClaimInvalid(Claim::Agent));
    let error = outcome(&with(&claims, "email", json!(7))).unwrap_err();
    assert_eq!(error, TokenError::ClaimInvalid(Claim::User));
}

// D-06: whom a client's own token names besides its subject is kept, for those who stop that user.
#[test]
fn d06_whom_a_clients_own_token_names() {
    let mut profile = profile();
    let own = crate::ClaimWords { name: "gty".to_owned(), words: vec!["client-credentials".to_owned()] };
    profile.claims.user = Some(UserClaim { unless: vec![own], ..UserClaim::new("email") });
    let marked = with(&token_claims(), "gty", json!("client-credentials"));
    for (email, named) in
        [(None, None), (Some("a@example.com"), Some("corp:a@example.com")), (Some("alice"), None)]
    {
        let claims = email.map_or_else(|| marked.clone(), |email| with(&marked, "email", json!(email)));
        let raw = issuer_key().sign(&token_header(), &claims);
        let token = UnverifiedToken::parse(&raw).unwrap().verify(&profile, &issuer_keys(), now()).unwrap();
        let found = token.named_user().map(|named| named.as_str().to_owned());
        assert_eq!((token.user(), found.as_deref()), (None, named), "{email:?}");
    }
}

// an issuer speaks for its own tenants only.
#[test]
fn a19_tenants_of_another_issuer() {
    let mut profile = profile();
    let outcome = |profile: &IssuerProfile, claims: &Json| {
        let raw = issuer_key().sign(&token_header(), claims);
        UnverifiedToken::parse(&raw)?.verify(profile, &issuer_keys(), now())
    };
    let refused = TokenError::ClaimInvalid(Claim::Tenant);
    profile.tenants = crate::TenantScope::Only(vec!["globex".to_owned(), "initech".to_owned()]);
    for tenant in ["acme", "Globex", "globex ", "globe", "globex/initech"] {
        let claims = with(&token_claims(), "tenant", json!(tenant));
        assert_eq!(outcome(&profile, &claims).unwrap_err(), refused, "{tenant}");
    }
    let globex = with(&token_claims(), "tenant", json!("globex"));
    assert_eq!(outcome(&profile, &globex).unwrap().tenant(), Some("globex"));
    assert_eq!(outcome(&profile, &without(&globex, "tenant")).unwrap().tenant(), None);
    profile.tenants = crate::TenantScope::Only(Vec::new());
    assert_eq!(outcome(&profile, &globex).unwrap_err(), refused);
    profile.tenants = crate::TenantScope::Any;
    assert_eq!(outcome(&profile, &globex).unwrap().tenant(), Some("globex"));
}

// the tokens of a tenant's own issuer are of that tenant: by the issuer, never by what they say.
#[test]
fn a19_an_issuer_of_one_tenant() {
    let mut profile = profile();
    profile.tenants = crate::TenantScope::Always("globex".to_owned());
    let outcome = |profile: &IssuerProfile, claims: &Json| {
        let raw = issuer_key().sign(&token_header(), claims);
        let token = UnverifiedToken::parse(&raw)?.verify(profile, &issuer_keys(), now())?;
        Ok(token.tenant().map(ToOwned::to_owned))
    };
    let claims = without(&token_claims(), "tenant");
    assert_eq!(outcome(&profile, &claims), Ok(Some("globex".to_owned())));
    assert_eq!(outcome(&profile, &with(&claims, "tenant", json!("globex"))), Ok(Some("globex".to_owned())));
    for tenant in ["acme", "Globex", "globex ", "globe"] {
        let refused = Err(TokenError::ClaimInvalid(Claim::Tenant));
        assert_eq!(outcome(&profile, &with(&claims, "tenant", json!(tenant))), refused, "{tenant}");
    }
    // Without a claim that holds tenants, what the token says of one is not read.
    profile.claims.tenant = None;
    assert_eq!(outcome(&profile, &with(&claims, "tenant", json!("acme"))), Ok(Some("globex".to_owned())));
}

// the form of `aud`; whether it names us is judged at each use.
#[test]
fn a18_audience_form() {
    for aud in [
        json!([]),
        json!(["x", 1]),
        json!({}),
        json!(1),
        json!(null),
        json!(""),
        json!(["a", ""]),
        json!([["a"]]),
    ] {
        assert_eq!(refusal("aud", aud.clone()), TokenError::ClaimInvalid(Claim::Aud), "{aud}");
    }
    assert!(with_claims(&with(&token_claims(), "aud", json!(vec!["a"; 16]))).is_ok());
    assert_eq!(refusal("aud", json!(vec!["a"; 17])), TokenError::ClaimInvalid(Claim::Aud));
}

// J14
#[test]
fn j14_scope_form() {
    for scope in [json!(["a"]), json!(1), json!(null), json!("a  b"), json!(" a"), json!("a\tb")] {
        assert_eq!(refusal("scope", scope.clone()), TokenError::ClaimInvalid(Claim::Scope), "{scope}");
    }
    assert!(with_claims(&without(&token_claims(), "scope")).unwrap().scopes().is_empty());
}

// D29, A-34, T05
#[test]
fn d29_confirmation() {
    let confirmation =
        |cnf: Json| with_claims(&with(&token_claims(), "cnf", cnf)).map(|token| token.confirmation().clone());
    let jkt = confirmation(json!({"jkt": JKT})).unwrap();
    assert_eq!((jkt.jkt().unwrap().to_string().as_str(), jkt.x5t()), (JKT, None));
    let x5t = confirmation(json!({"x5t#S256": X5T})).unwrap();
    assert_eq!((x5t.jkt(), x5t.x5t().unwrap().to_string().as_str()), (None, X5T));
    let both = confirmation(json!({"jkt": JKT, "x5t#S256": X5T})).unwrap();
    assert!(both.jkt().is_some() && both.x5t().is_some() && both.is_bound());
    for cnf in [
        json!({}),
        json!({"kid": "x"}),
        json!({"jwk": {}}),
        json!({"jku": "https://evil.example"}),
        json!({"jwe": "x"}),
        json!({"jkt": JKT, "new": 1}),
        json!({"jkt": ""}),
        json!({"jkt": 1}),
        json!({"jkt": null}),
        json!({"jkt": [JKT]}),
        json!({"jkt": format!("{JKT}=")}),
        json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4J"}),
        json!({"jkt": JKT.replacen('0', "", 1)}),
        json!({"x5t#S256": "x"}),
        json!({"x5t": X5T}),
        json!({"JKT": JKT}),
        json!(JKT),
        json!([{"jkt": JKT}]),
        json!(null),
        json!(false),
    ] {
        assert_eq!(confirmation(cnf.clone()).unwrap_err(), TokenError::BindingUnsupported, "{cnf}");
    }
}

// X04, X05
#[test]
fn x05_delegation() {
    let chain = |depth: usize| {
        (0..depth).rev().fold(json!(null), |inner, index| {
            let act = json!({"sub": format!("actor-{index}"), "exp": "ignored"});
            if inner.is_null() { act } else { with(&act, "act", inner) }
        })
    };
    let delegation =
        |act: Json| with_claims(&with(&token_claims(), "act", act)).map(|token| token.delegation().clone());
    let deepest = delegation(chain(5)).unwrap();
    assert_eq!(deepest.depth(), 5);
    assert_eq!(deepest.current_actor().unwrap().id().as_str(), "corp:actor-0");
    assert_eq!(deepest.actors()[4].id().to_string(), "corp:actor-4");
    assert_eq!(delegation(chain(6)).unwrap_err(), TokenError::DelegationTooDeep);
    let own = delegation(json!({"sub": "a", "iss": "https://sts.example.com"})).unwrap();
    assert_eq!(own, delegation(json!({"sub": "a"})).unwrap());
    for act in [
        json!(null),
        json!("actor"),
        json!([]),
        json!({}),
        json!({"iss": "https://b.example"}),
        json!({"sub": 1}),
        json!({"sub": ""}),
        json!({"sub": "a\n"}),
        json!({"sub": "a", "iss": 1}),
        json!({"sub": "a", "iss": "https://b.example"}),
        json!({"sub": "a", "iss": "https://sts.example.com/"}),
        json!({"sub": "a", "iss": "corp"}),
        json!({"sub": "a", "act": {"sub": "b", "iss": "https://b.example"}}),
        json!({"sub": "a", "act": {"sub": "a", "iss": "https://sts.example.com"}}),
        json!({"sub": "a", "act": null}),
        json!({"sub": "a", "act": {}}),
        json!({"sub": "a", "act": {"sub": "a"}}),
        json!({"sub": "a", "act": {"sub": "b", "act": {"sub": "a"}}}),
    ] {
        assert_eq!(delegation(act.clone()).unwrap_err(), TokenError::ClaimInvalid(Claim::Act), "{act}");
    }
}

// V10: a token that says where its status is kept has a fact more; one that says it in a way that is not understood is
// refused, and so is one that says nothing where it has to.
#[test]
fn v10_status() {
    let uri = "https://sts.example.com/statuslists/1";
    let listed = with(&token_claims(), "status", json!({"status_list": {"idx": 3, "uri": uri}}));
    let token = with_claims(&listed).unwrap();
    let status = token.status().unwrap();
    assert_eq!((status.index(), &**status.uri()), (3, uri));
    assert!(with_claims(&token_claims()).unwrap().status().is_none());
    for status in [json!({}), json!(null), json!("valid"), json!({"status_list": {"idx": -1, "uri": uri}})] {
        assert_eq!(refusal("status", status.clone()), TokenError::ClaimInvalid(Claim::Status), "{status}");
    }
    assert_eq!(refusal("status", json!({"other": {}})), TokenError::StatusUnsupported);

    let profile = IssuerProfile { status_required: true, ..profile() };
    let with_required = |claims: &Json| {
        let raw = issuer_key().sign(&token_header(), claims);
        UnverifiedToken::parse(&raw).unwrap().verify(&profile, &issuer_keys(), now()).map(|_token| ())
    };
    assert_eq!(with_required(&listed), Ok(()));
    assert_eq!(with_required(&token_claims()), Err(TokenError::ClaimMissing(Claim::Status)));
}
