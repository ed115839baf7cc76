//! J09, A-07: a key that a token brings along or points to is never used, and nobody is asked for it.

use exequatur_tests::jwt::{KeyPair, base64url};
use exequatur_tests::{DOCUMENT, Options, Raw, Stack, Version, in_time};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

/// A server that an attacker would have called: whoever connects is counted by the system's queue alone.
struct Trap(TcpListener);

impl Trap {
    async fn set() -> Self {
        Self(TcpListener::bind(("127.0.0.1", 0)).await.unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}/keys", self.0.local_addr().unwrap())
    }

    /// Connections come out in the order in which they came in: ours is the first if nobody came before it.
    async fn assert_untouched(&self) {
        let ours = TcpStream::connect(self.0.local_addr().unwrap()).await.unwrap();
        let (_, first) = in_time("our own connection", self.0.accept()).await.unwrap();
        assert_eq!(first, ours.local_addr().unwrap(), "somebody called before us");
    }
}

#[tokio::test]
async fn nobody_is_asked_for_a_key_that_a_header_points_to() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    let trap = Trap::set().await;
    let stranger = KeyPair::generate();
    let chain = json!([base64url(b"no certificate")]);
    let mut requests = Vec::new();
    let mut good = Vec::new();
    for (name, value) in
        [("jku", json!(trap.url())), ("x5u", json!(trap.url())), ("jwk", stranger.jwk()), ("x5c", chain)]
    {
        // The names of keys that are known, of none, and none at all.
        for kid in [json!("sts-1"), json!("unknown"), Value::Null] {
            let header = json!({ name: value, "kid": kid });
            let forged = stack.tokens.forged(&stranger, &holder.agent, &header);
            let proof = holder.proof_of(&forged, "GET", DOCUMENT);
            requests.push(Raw::new("GET", DOCUMENT).proven(&forged, &proof));
        }
        // In the header of the proof.
        let claims = holder.nonce();
        let url = stack.url(DOCUMENT);
        let header = json!({ name: value, "jwk": if name == "jwk" { value.clone() } else { Value::Null } });
        let proof = holder.agent.proof_with_header("GET", &url, &holder.token, claims, &header);
        requests.push(Raw::new("GET", DOCUMENT).proven(&holder.token, &proof));
        // Signed by the issuer it is a good token, and the member still means nothing.
        let token = stack.tokens.token_with_header(&holder.agent, &json!({ name: value }), &Value::Null);
        let proof = holder.proof_of(&token, "GET", DOCUMENT);
        good.push(Raw::new("GET", DOCUMENT).proven(&token, &proof));
    }
    for answer in stack.raw(Version::Http1).send_all(requests).await.unwrap() {
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    assert!(stack.upstream.received().is_empty());
    for answer in stack.raw(Version::Http1).send_all(good).await.unwrap() {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    trap.assert_untouched().await;
}
