//! V10, V11: tokens whose status is in a list that their issuer publishes. The lists are packed by an implementation that
//! is not ours, and fetched over TLS.

use std::time::{Duration, Instant};

use exequatur_tests::jwt::KeyPair;
use exequatur_tests::status_lists::StatusLists;
use exequatur_tests::{Agent, Call, DOCUMENT, Options, Stack, jwt};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(60);
/// The statuses of most lists here: valid, invalid, suspended, the application's own.
const FOUR: &[u8] = &[0, 1, 2, 3];

struct Site {
    lists: StatusLists,
    stack: Stack,
    agent: Agent,
}

impl Site {
    /// The issuer `corp` with lists, `other` of the same keys without, and `strict`, whose tokens must name one.
    async fn start() -> Self {
        let lists = StatusLists::start().await.unwrap();
        let claims = "claims: { agent: client_id, user: { claim: sub, unless: { gty: client-credentials } }, tenant: tenant }\n";
        let (ca, prefix) = (lists.authority().display().to_string(), lists.prefix());
        let section = |required: bool| {
            format!(
                "tenants: any\n    ca_file: {ca}\n    status_lists: {{ uris: [{prefix}], required: {required}, \
                 refresh: 1s, max_stale: 5s, cooldown: 1s, wait: 4s }}\n"
            )
        };
        let issuer = |name: &str, rest: &str| {
            format!(
                "  - name: {name}\n    issuer: https://{name}.example.com\n    jwks: {{ file: ./{name}.jwks }}\n    \
                 audiences: [https://api.example.com]\n    algorithms: [ES256]\n    {claims}    {rest}"
            )
        };
        let whole = format!(
            "{claims}    {}{}{}",
            section(false),
            issuer("other", "tenants: any\n"),
            issuer("strict", &section(true))
        );
        let options = Options {
            exequatur: vec![(claims, whole.leak())],
            // The files of the others' keys come with the token service's own key.
            unready: true,
            ..Options::default()
        };
        let stack = Stack::start(options).await.unwrap();
        let keys =
            json!({ "keys": [jwt::merged(stack.tokens.jwk(), &json!({"kid": "sts-1", "alg": "ES256"}))] });
        for name in ["other", "strict"] {
            std::fs::write(stack.folder().join(format!("{name}.jwks")), keys.to_string()).unwrap();
        }
        for name in ["corp", "other", "strict"] {
            let loaded = format!("exequatur_issuer_fetches_total{{issuer=\"{name}\",outcome=\"loaded\"}}");
            let deadline = Instant::now() + WITHIN;
            while stack.metric(&loaded).await.unwrap() == 0 {
                assert!(Instant::now() < deadline, "no keys of {name}");
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        }
        Self { lists, stack, agent: Agent::new() }
    }

    async fn publish(&self, name: &str, statuses: &[u8], changes: &Value) {
        let (header, payload) = self.lists.pack(name, 2, statuses, changes).await.unwrap();
        self.lists.publish(name, &self.stack.tokens.sign(&header, &payload));
    }

    /// The status and the reason of a call with a new token of these claims.
    async fn call(&self, claims: &Value) -> (u16, String) {
        let token = self.stack.tokens.token(&self.agent, claims);
        self.call_with(&token).await
    }

    async fn call_with(&self, token: &str) -> (u16, String) {
        let url = self.stack.url(DOCUMENT);
        let answer = self.stack.call(&self.agent, token, &Call::new("GET", &url)).await.unwrap();
        (answer.status, answer.reason)
    }

    async fn at(&self, name: &str, index: u64) -> (u16, String) {
        self.call(&self.lists.claim(name, index)).await
    }

    /// Until a record says this of a token's status.
    async fn until_recorded(&self, word: &str) {
        let deadline = Instant::now() + WITHIN;
        while !self.stack.records_so_far().unwrap().iter().any(|record| record["controls"]["status"] == word)
        {
            assert!(Instant::now() < deadline, "no record says {word}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Until a call with this token is answered so.
    async fn until(&self, token: &str, expected: &(u16, String)) {
        let deadline = Instant::now() + WITHIN;
        loop {
            let answer = self.call_with(token).await;
            if answer == *expected {
                return;
            }
            assert!(Instant::now() < deadline, "{answer:?} and not {expected:?}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

fn passed() -> (u16, String) {
    (200, String::new())
}

fn denied(reason: &str) -> (u16, String) {
    (401, reason.to_owned())
}

fn unavailable() -> (u16, String) {
    (503, "status_list_unavailable".to_owned())
}

/// V10: what the list says, says the answer; one that is signed anew counts soon, for a token that is known as well.
#[tokio::test]
async fn a_list_says_whether_a_token_passes() {
    let site = Site::start().await;
    site.publish("1", FOUR, &Value::Null).await;
    let token = site.stack.tokens.token(&site.agent, &site.lists.claim("1", 0));
    assert_eq!(site.call_with(&token).await, passed());
    assert_eq!(site.call_with(&token).await, passed());
    for (index, expected) in [
        (1, denied("token_revoked")),
        (2, denied("token_inactive")),
        (3, denied("status_list_invalid")),
        (4, denied("status_list_invalid")),
        (u64::MAX, denied("status_list_invalid")),
    ] {
        assert_eq!(site.at("1", index).await, expected, "{index}");
    }
    for word in ["valid", "invalid", "suspended", "unknown"] {
        site.until_recorded(word).await;
    }
    let usable = "exequatur_status_lists{issuer=\"corp\",state=\"usable\"} 1";
    site.stack.wait_for_metric(usable).await.unwrap();

    site.publish("1", &[1, 0, 0, 0], &Value::Null).await;
    site.until(&token, &denied("token_revoked")).await;
    assert_eq!(site.at("1", 1).await, passed());
}

/// V10, G23: the token cannot say where to look, and an issuer without lists has none.
#[tokio::test]
async fn a_token_that_names_no_list_of_its_issuer_is_refused() {
    let site = Site::start().await;
    site.publish("1", FOUR, &Value::Null).await;
    let place = |uri: String| json!({ "status": { "status_list": { "idx": 0, "uri": uri } } });
    for uri in [
        site.lists.uri("1").replace("/lists/", "/other/"),
        site.lists.uri("../lists/1"),
        site.lists.uri("1").replace("localhost", "127.0.0.1"),
        site.lists.uri("1").replace("https:", "http:"),
        site.stack.tokens.jwks_url(),
        "https://169.254.169.254/lists/1".to_owned(),
    ] {
        assert_eq!(site.call(&place(uri.clone())).await, denied("status_list_invalid"), "{uri}");
    }
    assert_eq!(site.call(&json!({ "status": { "another": {} } })).await, denied("status_list_invalid"));
    assert_eq!(site.call(&json!({ "status": "valid" })).await, denied("token_claim_invalid"));
    assert_eq!(site.call(&Value::Null).await, passed());

    let of = |issuer: &str, claims: Value| jwt::merged(json!({ "iss": issuer }), &claims);
    let listed = site.lists.claim("1", 0);
    let (other, strict) = ("https://other.example.com", "https://strict.example.com");
    assert_eq!(site.call(&of(other, listed.clone())).await, denied("status_list_invalid"));
    assert_eq!(site.call(&of(strict, json!({}))).await, denied("token_claim_missing"));
    assert_eq!(site.call(&of(other, json!({}))).await, passed());
    // The list says that it is another issuer's.
    assert_eq!(site.call(&of(strict, listed)).await, unavailable());
    site.publish("2", FOUR, &json!({ "iss": strict })).await;
    assert_eq!(site.call(&of(strict, site.lists.claim("2", 0))).await, passed());
}

/// V11: a list that is not there stops the tokens that name it, and nobody else; once it is there they pass.
#[tokio::test]
async fn a_list_that_is_not_there_stops_its_tokens_alone() {
    let site = Site::start().await;
    site.lists.break_off("1");
    let token = site.stack.tokens.token(&site.agent, &site.lists.claim("1", 0));
    for _ in 0..5 {
        assert_eq!(site.call_with(&token).await, unavailable());
    }
    assert_eq!(site.call(&Value::Null).await, passed());
    site.publish("2", FOUR, &Value::Null).await;
    assert_eq!(site.at("2", 0).await, passed());
    let other = json!({ "iss": "https://other.example.com" });
    assert_eq!(site.call(&other).await, passed());
    site.until_recorded("unavailable").await;

    site.publish("1", FOUR, &Value::Null).await;
    site.until(&token, &passed()).await;

    // V11: stale is good for its time, and no longer.
    site.publish("3", FOUR, &json!({ "exp": jwt::now() + 8, "ttl": 3600 })).await;
    let token = site.stack.tokens.token(&site.agent, &site.lists.claim("3", 0));
    assert_eq!(site.call_with(&token).await, passed());
    site.lists.break_off("3");
    // Meanwhile its records say what they rest on.
    let of_list_before = |record: &Value| record["degraded"] == json!(["status_list_kept"]);
    let deadline = Instant::now() + WITHIN;
    while !site.stack.records_so_far().unwrap().iter().any(of_list_before) {
        assert!(Instant::now() < deadline);
        assert_eq!(site.call_with(&token).await, passed());
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    site.until(&token, &unavailable()).await;
}

/// V10: what is not the list is none, whatever it says.
#[tokio::test]
async fn what_is_not_the_list_lets_nobody_pass() {
    let site = Site::start().await;
    let none = Value::Null;
    let (header, payload) = site.lists.pack("signer", 2, FOUR, &none).await.unwrap();
    let kid = json!({ "kid": "sts-1" });
    site.lists.publish("signer", &KeyPair::generate().sign(&jwt::merged(header, &kid), &payload));
    site.publish("subject", FOUR, &json!({ "sub": site.lists.uri("1") })).await;
    site.publish("issuer", FOUR, &json!({ "iss": "https://other.example.com" })).await;
    site.publish("expired", FOUR, &json!({ "exp": jwt::now() - 1 })).await;
    let (header, payload) = site.lists.pack("undated", 2, FOUR, &none).await.unwrap();
    let undated = jwt::merged(payload, &json!({ "iat": null }));
    site.lists.publish("undated", &site.stack.tokens.sign(&header, &undated));
    site.publish("ttl", FOUR, &json!({ "ttl": 0 })).await;
    let (header, payload) = site.lists.pack("type", 2, FOUR, &none).await.unwrap();
    let typ = json!({ "typ": "at+jwt" });
    site.lists.publish("type", &site.stack.tokens.sign(&jwt::merged(header, &typ), &payload));
    let (header, payload) = site.lists.pack("bomb", 8, &vec![0; 1_100_000], &none).await.unwrap();
    let bomb = site.stack.tokens.sign(&header, &payload);
    assert!(bomb.len() < 10_000, "{}", bomb.len());
    site.lists.publish("bomb", &bomb);
    site.lists.publish("text", "valid");
    for name in ["signer", "subject", "issuer", "expired", "undated", "ttl", "type", "bomb", "text", "absent"]
    {
        assert_eq!(site.at(name, 0).await, unavailable(), "{name}");
    }
    assert!(site.stack.upstream.received().is_empty());
    site.publish("1", FOUR, &none).await;
    assert_eq!(site.at("1", 0).await, passed());
}
