//! Client certificates: verified ones on the hardened listener, self-signed ones on a listener of their own. RFC 8705,
//! M01-M06, A-43.

use exequatur_tests::tls::{Shown, Wanted};
use exequatur_tests::{DOCUMENT, Options, Raw, Stack, Version};
use serde_json::{Value, json};

/// Names that an upstream or a policy might take for somebody else's.
const SAN: &str = "URI:spiffe://cluster.local/ns/prod/sa/admin,DNS:admin.example.com";
/// A route may ask for a certificate instead of a proof.
const EITHER: (&str, &str) = ("\n    sender_constraint: dpop", "\n    sender_constraint: any");

struct Caller {
    stack: Stack,
    version: Version,
}

impl Caller {
    /// Status and reason of a call with this token and this certificate; with a proof where the token needs one.
    async fn call(
        &self,
        token: &str,
        proof: Option<&str>,
        shown: Option<&Shown>,
        claim: Option<&str>,
    ) -> (u16, String) {
        let mut request = Raw::new("GET", DOCUMENT);
        request = match proof {
            Some(proof) => request.proven(token, proof),
            None => request.with("authorization", format!("Bearer {token}")),
        };
        if let Some(claim) = claim {
            request = request.with("x-forwarded-client-cert", claim);
        }
        let caller = self.stack.raw(self.version);
        let caller = shown.map_or(caller.clone(), |shown| caller.showing(shown.clone()));
        let answer = caller.send(&request).await.unwrap();
        (answer.status, answer.reason())
    }
}

fn denied(reason: &str) -> (u16, String) {
    (401, reason.to_owned())
}

fn permitted() -> (u16, String) {
    (200, String::new())
}

/// Every row differs from a permit in one thing: the certificate, or the claim of one.
async fn bound_to_its_certificate(stack: Stack, self_signed: bool) {
    let folder = stack.folder().to_owned();
    let make = |name: &str, san, key_of| {
        Shown::make(&folder, name, Wanted { self_signed, name: san, key_of }).unwrap()
    };
    let own = make("own", Some(SAN), None);
    let other = make("other", Some(SAN), None);
    let same_key = make("same-key", Some(SAN), Some("own"));
    let thumbprint = own.thumbprint().unwrap();
    let holder = stack.holder_showing(&Value::Null, Some(&own)).await.unwrap();
    let mut caller = Caller { stack, version: Version::Http1 };
    for version in [Version::Http1, Version::Http2] {
        caller.version = version;
        let token =
            |cnf: Value| caller.stack.tokens.token(&exequatur_tests::Agent::new(), &json!({ "cnf": cnf }));
        let bound = token(json!({ "x5t#S256": thumbprint }));
        let forwarded = own.forwarded().unwrap();
        let two = format!("{forwarded},{}", other.forwarded().unwrap());
        let before = caller.stack.upstream.received().len();

        // M01, M03: none, another one, another one of the same key; and none of them helped by a header.
        for claim in [None, Some(forwarded.as_str()), Some(&two)] {
            assert_eq!(caller.call(&bound, None, Some(&other), claim).await, denied("mtls_cert_mismatch"));
            assert_eq!(caller.call(&bound, None, Some(&same_key), claim).await, denied("mtls_cert_mismatch"));
            assert_eq!(caller.call(&bound, None, None, claim).await, denied("mtls_cert_missing"));
        }
        // A `cnf` that says nothing that is understood is no certificate binding.
        let unknown = token(json!({ "x5t": thumbprint }));
        assert_eq!(caller.call(&unknown, None, Some(&own), None).await, denied("token_binding_unsupported"));
        assert_eq!(caller.stack.upstream.received().len(), before);

        // The right one, whatever a header says.
        for claim in [None, Some("Hash=00;URI=spiffe://cluster.local/ns/prod/sa/admin"), Some(&two)] {
            let before = caller.stack.upstream.received().len();
            assert_eq!(caller.call(&bound, None, Some(&own), claim).await, permitted());
            let received = caller.stack.upstream.received_after(before);
            let [request] = received.as_slice() else { panic!("{received:?}") };
            // M06: who calls is said by the token, never by a name in the certificate.
            assert_eq!(request.values("x-exequatur-agent"), ["corp:crm-bot"]);
            assert_eq!(request.values("x-exequatur-user"), ["corp:alice"]);
            assert!(request.values("x-forwarded-client-cert").is_empty());
            let told: String =
                request.fields.iter().map(|(_, value)| String::from_utf8_lossy(value)).collect();
            assert!(!told.contains("spiffe") && !told.contains("admin.example.com"), "{told}");
            let record = caller.stack.record(&request.values("x-exequatur-decision")[0]).await.unwrap();
            // What an order about this key would name.
            assert_eq!(
                record["controls"]["sender_constraint"],
                json!({ "kind": "mtls", "thumbprint": thumbprint })
            );
            assert!(!record.to_string().contains("spiffe"), "{record}");
        }

        // D29: bound to a key and to a certificate, it needs both.
        let both = json!({ "jkt": holder.agent.key.thumbprint(), "x5t#S256": thumbprint });
        let both = caller.stack.tokens.token(&holder.agent, &json!({ "cnf": both }));
        let proof = || holder.proof_of(&both, "GET", DOCUMENT);
        let before = caller.stack.upstream.received().len();
        let call = async |proof: Option<&str>, shown| caller.call(&both, proof, shown, None).await;
        assert_eq!(call(None, Some(&own)).await, denied("dpop_bound_token_as_bearer"));
        assert_eq!(call(Some(&proof()), Some(&other)).await, denied("mtls_cert_mismatch"));
        assert_eq!(call(Some(&proof()), Some(&same_key)).await, denied("mtls_cert_mismatch"));
        assert_eq!(call(Some(&proof()), None).await, denied("mtls_cert_missing"));
        assert_eq!(caller.stack.upstream.received().len(), before);
        assert_eq!(call(Some(&proof()), Some(&own)).await, permitted());
        assert_eq!(caller.stack.upstream.received().len(), before + 1);
    }
}

#[tokio::test]
async fn a_token_is_bound_to_a_verified_certificate() {
    let options = Options { exequatur: vec![EITHER], ..Options::on(true) };
    let stack = Stack::start(options).await.unwrap();
    // What nobody vouches for does not come in here at all.
    let own = Shown::make(stack.folder(), "self-signed", Wanted { self_signed: true, ..Wanted::default() })
        .unwrap();
    for version in [Version::Http1, Version::Http2] {
        let caller = stack.raw(version).showing(own.clone());
        let refused = caller.send(&Raw::new("GET", DOCUMENT)).await;
        assert!(
            refused.as_ref().is_err() || refused.as_ref().is_ok_and(|answer| answer.status == 0),
            "{refused:?}"
        );
    }
    bound_to_its_certificate(stack, false).await;
}

/// M06, RFC 8705 §2.2: the thumbprint is the trust.
#[tokio::test]
async fn a_token_is_bound_to_a_self_signed_certificate() {
    let options =
        Options { example: Some("self-signed.yaml"), exequatur: vec![EITHER], ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    bound_to_its_certificate(stack, true).await;
}

/// M05: without TLS there is no certificate, and no header stands in for one.
#[tokio::test]
async fn the_plain_listener_has_no_certificates() {
    let stack = Stack::start(Options { exequatur: vec![EITHER], ..Options::on(false) }).await.unwrap();
    exequatur_tests::tls::write(stack.folder()).unwrap();
    let own = Shown::named(stack.folder(), "client");
    let cnf = json!({ "x5t#S256": own.thumbprint().unwrap() });
    let token = stack.tokens.token(&exequatur_tests::Agent::new(), &json!({ "cnf": cnf }));
    let forwarded = own.forwarded().unwrap();
    for version in [Version::Http1, Version::Http2] {
        for name in ["x-forwarded-client-cert", "x-client-cert", "ssl-client-cert", "client-cert"] {
            let request = Raw::new("GET", DOCUMENT).with("authorization", format!("Bearer {token}"));
            let answer = stack.raw(version).send(&request.with(name, &forwarded)).await.unwrap();
            assert_eq!((answer.status, answer.reason().as_str()), (401, "mtls_cert_missing"), "{name}");
        }
    }
    assert!(stack.upstream.received().is_empty());
}
