//! J07: tokens in the layouts of real issuers, read as docs/how-to/token-layouts.md says. Each block of that page is loaded as it
//! stands there; but for the place of the keys, which is a file of this test.
//!
//! The tokens are shaped as the issuers' documentation says, and signed here: no such service was asked.

mod shapes;

use std::collections::BTreeMap;
use std::sync::Arc;

use exequatur_server::config::{self, Config};
use exequatur_tests::binaries;
use exequatur_tests::jwt::{Algorithm, KeyPair, merged, now};
use exequatur_token::{CurrentToken, ScopedId, TokenError, UnverifiedToken, VerifiedToken};
use jiff::Timestamp;
use serde_json::{Value, json};

use shapes::{Shape, shapes};

/// The blocks of the page, by the name of their issuer.
fn blocks() -> BTreeMap<String, String> {
    let page = std::fs::read_to_string(binaries::repository().join("docs/how-to/token-layouts.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    // The one of a resource is a part of the test's own configuration.
    blocks
        .filter(|block| !block.starts_with("protected_resources:"))
        .map(|block| {
            let name = block.lines().find_map(|line| line.trim().strip_prefix("- name: ")).unwrap();
            (name.to_owned(), block)
        })
        .collect()
}

/// The keys of an issuer. Those of Entra name no algorithm.
struct Signer {
    key: KeyPair,
    _folder: tempfile::TempDir,
    config: Config,
}

impl Signer {
    fn new(block: &str) -> Self {
        let rsa = block.contains("algorithms: [RS256]");
        let key = KeyPair::of(if rsa { Algorithm::RS256 } else { Algorithm::ES256 });
        let labels = if rsa {
            json!({ "kid": "k", "use": "sig", "x5t": "k" })
        } else {
            json!({ "kid": "k", "alg": "ES256" })
        };
        let folder = tempfile::tempdir().unwrap();
        let keys = json!({ "keys": [merged(key.jwk(), &labels)] });
        std::fs::write(folder.path().join("jwks.json"), keys.to_string()).unwrap();
        let here = block
            .lines()
            .map(
                |line| if line.trim().starts_with("jwks: ") { "    jwks: { file: jwks.json }" } else { line },
            )
            .collect::<Vec<_>>()
            .join("\n");
        let audience = block.split("audiences: [").nth(1).unwrap().split(']').next().unwrap();
        let text = format!(
            "policies: p\nprotected_resources: [{{ resource: https://documents.example.com, audiences: [{audience}] }}]\n\
             {here}\nroutes: [{{ name: health, match: {{ path: /healthz, methods: [GET] }}, access: public }}]\n"
        );
        let file = folder.path().join("exequatur.yaml");
        std::fs::write(&file, &text).unwrap();
        let config = config::load(&file).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        Self { key, config, _folder: folder }
    }

    /// What is read of a token with this header and these claims; of one that is refused, why.
    async fn read(&self, header: &Value, claims: &Value) -> Value {
        let header = merged(json!({ "alg": self.key.alg(), "kid": "k" }), header);
        let token = self.key.sign(&header, claims);
        match self.verified(&token, claims["iss"].as_str().unwrap()).await {
            Ok(token) => said(token.token()),
            Err(error) => json!(error.to_string()),
        }
    }

    async fn verified(&self, token: &str, issuer: &str) -> Result<CurrentToken, TokenError> {
        let found = exequatur_server::issuer_keys(&self.config, issuer).await.unwrap();
        let (profile, keys) = found.ok_or(TokenError::IssuerUnknown)?;
        let at = Timestamp::from_second(now()).unwrap();
        let verified = UnverifiedToken::parse(token)?.verify(&profile, &keys.unwrap(), at)?;
        Arc::new(verified).current(at, &profile.audiences[0], &profile)
    }
}

/// Who it is about.
fn said(token: &VerifiedToken) -> Value {
    let prior: Vec<_> =
        token.delegation().actors().iter().skip(1).map(|actor| actor.id().to_string()).collect();
    let all = json!({
        "client": token.client().to_string(),
        "actor": (token.actor() != token.client()).then(|| token.actor().to_string()),
        "prior": (!prior.is_empty()).then_some(prior),
        "user": token.user().map(ScopedId::to_string),
        "tenant": token.tenant(),
        "scopes": token.scopes().iter().collect::<Vec<_>>().join(" "),
    });
    // What is absent is not named.
    Value::Object(
        all.as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
    )
}

/// J07: who each of them is about, a client's own token never being a user's; and what is no access token of this kind is
/// refused.
#[tokio::test]
async fn each_layout_is_read_as_the_page_says() {
    let blocks = blocks();
    let mut tried: BTreeMap<&str, usize> = blocks.keys().map(|name| (name.as_str(), 0)).collect();
    let mut wrong = Vec::new();
    for Shape { issuer, what, header, claims, expected } in shapes() {
        let block = blocks.get(issuer).unwrap_or_else(|| panic!("{issuer} is not on the page"));
        let read = Signer::new(block).read(&header, &claims).await;
        if read != expected {
            wrong.push(format!("{issuer}, {what}:\n  {read}\n  {expected}"));
        }
        *tried.get_mut(issuer).unwrap() += 1;
    }
    assert!(wrong.is_empty(), "read, and expected:\n{}", wrong.join("\n"));
    assert!(tried.values().all(|shapes| *shapes >= 3), "{tried:?}");
}
