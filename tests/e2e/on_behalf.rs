//! Users on whose behalf agents act, and agents on behalf of agents: from an authorization server that is not ours, with
//! clients that are not ours, through Envoy.

mod chain;
mod deciding;
mod exchanged;
mod forged;

use exequatur_tests::orders::{order, with_orders};
use exequatur_tests::{AuthorizationServer, DOCUMENT, Options, Parties, Stack};
use serde_json::Value;

const SCOPE: &str = "documents:read documents:write";

/// What stands between a user and a document.
struct Scene {
    stack: Stack,
    parties: Parties,
    _server: AuthorizationServer,
}

impl Scene {
    async fn start(options: Options) -> Self {
        let server = AuthorizationServer::start("exchange.mjs").await.unwrap();
        let options = Options {
            issuer: Some(server.entry()),
            policies: Some("tests/e2e/on_behalf/policies"),
            ..with_orders(options)
        };
        let stack = Stack::start(options).await.unwrap();
        let parties = server.parties().await.unwrap();
        Self { stack, parties, _server: server }
    }

    /// Alice signs in at the front end, and each of `agents` acts for her by the token of the one before: the token of each,
    /// hers first.
    async fn delegated(&self, agents: &[&str]) -> Vec<String> {
        let mut tokens = vec![self.parties.sign_in("alice", SCOPE).await.unwrap()];
        for agent in agents {
            let subject = tokens.last().unwrap();
            tokens.push(self.parties.exchange(agent, subject, &Value::Null).await.unwrap());
        }
        tokens
    }

    async fn reads(&self, party: &str, token: &str) -> (u16, String) {
        self.parties.call(party, token, "GET", &self.stack.url(DOCUMENT)).await.unwrap()
    }

    /// The issuer is called `corp` in this stack.
    async fn revoke(&self, kind: &str, name: &str) {
        let done = order(&self.stack, &["revoke", kind, &format!("corp:{name}")]).await.unwrap();
        assert_eq!(done["changed"], true, "{done}");
    }

    async fn undo(&self, kind: &str, name: &str) {
        let done = order(&self.stack, &["revoke", "undo", kind, &format!("corp:{name}")]).await.unwrap();
        assert_eq!(done["changed"], true, "{done}");
    }
}

fn passed() -> (u16, String) {
    (200, String::new())
}

fn denied(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}
