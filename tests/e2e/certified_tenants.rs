//! A tenant that the client's certificate says (A-19, W01), through Envoy: the authority that Envoy trusts for its listener need not be the
//! one that says tenants, and a self-signed certificate binds a token and says nothing.

use exequatur_tests::tls::{Shown, Wanted};
use exequatur_tests::{Agent, DOCUMENT, Options, Raw, Stack, Version};
use serde_json::{Value, json};

const EITHER: (&str, &str) = ("\n    sender_constraint: dpop", "\n    sender_constraint: any");
const BY_CERTIFICATE: (&str, &str) = (
    ", tenant: tenant }\n",
    " }\n    tenant: { certificate: { ca_file: ./tls/ca.crt, uri: \"spiffe://example.com/{tenant}/**\" } }\n    tenants: [acme, globex]\n",
);
const OF_ACME: &str = "URI:spiffe://example.com/acme/crm-bot";

/// Status and reason of a call with a token that is bound to what is shown, and the records' tenant.
async fn call(stack: &Stack, shown: &Shown, token: &str) -> (u16, String) {
    let request = Raw::new("GET", DOCUMENT).with("authorization", format!("Bearer {token}"));
    let answer = stack.raw(Version::Http1).showing(shown.clone()).send(&request).await.unwrap();
    (answer.status, answer.reason())
}

fn bound(stack: &Stack, shown: &Shown) -> String {
    // The document is of `acme`; what the token itself says of tenants is not asked for.
    let claims = json!({ "cnf": { "x5t#S256": shown.thumbprint().unwrap() }, "tenant": "globex" });
    stack.tokens.token(&Agent::new(), &claims)
}

#[tokio::test]
async fn the_tenant_is_what_an_authority_says() {
    let options = Options { exequatur: vec![EITHER, BY_CERTIFICATE], ..Options::on(true) };
    let stack = Stack::start(options).await.unwrap();
    let make = |name: &str, san| {
        let wanted = Wanted { name: san, ..Wanted::default() };
        Shown::make(stack.folder(), name, wanted).unwrap()
    };
    let own = make("own", Some(OF_ACME));
    // Twice: the second time the token is known, and its certificate was looked at.
    for _ in 0..2 {
        let before = stack.upstream.received().len();
        assert_eq!(call(&stack, &own, &bound(&stack, &own)).await, (200, String::new()));
        let received = stack.upstream.received_after(before);
        let [request] = received.as_slice() else { panic!("{received:?}") };
        assert_eq!(request.values("x-exequatur-tenant"), ["acme"]);
        let record = stack.record(&request.values("x-exequatur-decision")[0]).await.unwrap();
        assert_eq!(record["tenant"], "acme");
    }
    let before = stack.upstream.received().len();
    for (name, san, expected) in [
        ("globex", Some("URI:spiffe://example.com/globex/crm-bot"), (403, "tenant_mismatch")),
        ("hooli", Some("URI:spiffe://example.com/hooli/crm-bot"), (401, "token_claim_invalid")),
        (
            "two",
            Some("URI:spiffe://example.com/acme/a,URI:spiffe://example.com/globex/a"),
            (401, "mtls_cert_untrusted"),
        ),
        ("none", None, (401, "mtls_cert_untrusted")),
        ("host", Some("DNS:acme.example.com"), (401, "mtls_cert_untrusted")),
        ("elsewhere", Some("URI:spiffe://example.org/acme/crm-bot"), (401, "mtls_cert_untrusted")),
    ] {
        let shown = make(name, san);
        let expected = (expected.0, expected.1.to_owned());
        assert_eq!(call(&stack, &shown, &bound(&stack, &shown)).await, expected, "{name}");
    }
    // Somebody else's token, beside one's own certificate of the right tenant; also when the token is known already.
    let other = make("other", Some(OF_ACME));
    let mismatch = (401, "mtls_cert_mismatch".to_owned());
    let stolen = bound(&stack, &own);
    assert_eq!(call(&stack, &other, &stolen).await, mismatch);
    assert_eq!(stack.upstream.received().len(), before);
    assert_eq!(call(&stack, &own, &stolen).await, (200, String::new()));
    assert_eq!(call(&stack, &other, &stolen).await, mismatch);
    // A token that is bound to a key alone has no tenant.
    let unbound = stack.tokens.token(&Agent::new(), &json!({ "cnf": Value::Null }));
    assert_eq!(call(&stack, &own, &unbound).await.0, 401);
    assert_eq!(stack.upstream.received().len(), before + 1);
}

/// An Envoy that takes any certificate for the sake of its thumbprint (RFC 8705 §3) says nothing of tenants.
#[tokio::test]
async fn a_certificate_of_ones_own_making_says_none() {
    let options = Options {
        example: Some("self-signed.yaml"),
        exequatur: vec![EITHER, BY_CERTIFICATE],
        ..Options::default()
    };
    let stack = Stack::start(options).await.unwrap();
    let make = |name: &str, self_signed| {
        let wanted = Wanted { self_signed, name: Some(OF_ACME), key_of: None };
        Shown::make(stack.folder(), name, wanted).unwrap()
    };
    let forged = make("forged", true);
    let untrusted = (401, "mtls_cert_untrusted".to_owned());
    assert_eq!(call(&stack, &forged, &bound(&stack, &forged)).await, untrusted);
    assert!(stack.upstream.received().is_empty());
    let own = make("own", false);
    assert_eq!(call(&stack, &own, &bound(&stack, &own)).await, (200, String::new()));
}
