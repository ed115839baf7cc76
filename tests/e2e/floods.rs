//! C-13, C-20: one tenant's flood of distinct proofs, tokens and key ids. Its memory has a bound, what is refused is
//! refused for a reason that is counted, and another tenant does not notice.

use exequatur_tests::direct::{Decision, Direct, check};
use exequatur_tests::jwt::{KeyPair, merged, now, random_id};
use exequatur_tests::{Agent, Options, Stack, TokenService};
use serde_json::{Value, json};

const MIB: u64 = 1024 * 1024;
/// Requests at once.
const AT_ONCE: usize = 32;

struct Caller {
    agent: Agent,
    token: String,
    nonce: Value,
    path: String,
}

impl Caller {
    /// With a token for `tenant`, and a nonce that removes the doubt after a start.
    async fn of(stack: &Stack, tenant: &str) -> Self {
        let holder = stack.holder(&Value::Null).await.unwrap();
        let nonce = holder.nonce().clone();
        let token = stack.tokens.token(&holder.agent, &json!({ "tenant": tenant }));
        Self { token, nonce, agent: holder.agent, path: format!("/tenants/{tenant}/documents/plan") }
    }

    fn fields(&self, stack: &Stack) -> (String, String) {
        let proof = self.agent.proof("GET", &stack.url(&self.path), &self.token, &self.nonce);
        (format!("DPoP {}", self.token), proof)
    }

    async fn ask(&self, stack: &Stack, direct: &Direct) -> Decision {
        self.send(direct, &self.fields(stack)).await
    }

    async fn send(&self, direct: &Direct, (token, proof): &(String, String)) -> Decision {
        let fields = [("authorization", token.as_str()), ("dpop", proof.as_str())];
        direct.ask(check("GET", "localhost", &self.path, &fields)).await.unwrap()
    }
}

async fn start(exequatur: Vec<(&'static str, &'static str)>) -> (Stack, Direct) {
    let stack = Stack::start(Options { terse: true, exequatur, ..Options::default() }).await.unwrap();
    let direct = Direct::connect(stack.ports.grpc).await.unwrap();
    (stack, direct)
}

/// Asks for each of `count` requests, several at a time, and returns the decisions.
async fn flood<F>(count: usize, one: impl Fn(usize) -> F) -> Vec<Decision>
where
    F: Future<Output = Decision> + Send + 'static,
{
    let mut tasks = tokio::task::JoinSet::new();
    let mut decisions = Vec::new();
    for number in 0..count {
        if tasks.len() == AT_ONCE {
            decisions.push(tasks.join_next().await.unwrap().unwrap());
        }
        tasks.spawn(one(number));
    }
    decisions.extend(tasks.join_all().await);
    decisions
}

async fn denied(stack: &Stack, reason: &str) -> u64 {
    let name = format!("exequatur_decisions_total{{verdict=\"deny\",reason=\"{reason}\"}}");
    stack.metric(&name).await.unwrap()
}

/// A key has its bound, a tenant has its own, and at them nothing that lives is forgotten.
#[tokio::test]
async fn a_flood_of_proofs_is_one_tenants_trouble() {
    let (stack, direct) = start(vec![(
        "records:",
        "store: { embedded: { max_proofs: 100000, max_per_tenant: 500, max_per_key: 300 } }\nrecords:",
    )])
    .await;
    let (first, second) = (Caller::of(&stack, "acme").await, Caller::of(&stack, "acme").await);
    let other = Caller::of(&stack, "globex").await;
    let oldest = first.fields(&stack);
    assert_eq!(first.send(&direct, &oldest).await, Decision::Permit);
    let refusal = Decision::Deny(429, "rate_limited".to_owned());
    let mut permitted = 1;
    let mut refused = 0;
    for caller in [&first, &second] {
        for _ in 0..600 {
            match caller.ask(&stack, &direct).await {
                Decision::Permit => permitted += 1,
                decision => {
                    assert_eq!(decision, refusal);
                    refused += 1;
                }
            }
        }
        assert_eq!(other.ask(&stack, &direct).await, Decision::Permit);
    }
    assert_eq!((permitted, refused), (500, 701));
    assert_eq!(denied(&stack, "rate_limited").await, refused);
    // The first of all is remembered still.
    assert_eq!(first.send(&direct, &oldest).await.reason(), "dpop_replay");
    assert_eq!(other.ask(&stack, &direct).await, Decision::Permit);
}

/// More distinct tokens than are kept: each is decided by what it says, and memory has a bound.
#[tokio::test]
async fn a_flood_of_tokens_is_forgotten() {
    const KEPT: usize = 10_000;
    let (stack, direct) = start(Vec::new()).await;
    let other = Caller::of(&stack, "globex").await;
    assert_eq!(other.ask(&stack, &direct).await, Decision::Permit);
    let before = stack.resident().unwrap();
    let agent = Agent::new();
    let decisions = flood(KEPT + 500, |number| {
        // Large ones, as far as they go: 3 KiB.
        let claims = json!({ "cnf": null, "pad": format!("{number:03000}") });
        let token = format!("Bearer {}", stack.tokens.token(&agent, &claims));
        let direct = direct.clone();
        async move {
            let fields = [("authorization", token.as_str())];
            direct.ask(check("GET", "localhost", "/tenants/acme/documents/plan", &fields)).await.unwrap()
        }
    })
    .await;
    // The route asks for a proof.
    let refusal = Decision::Deny(401, "token_binding_required".to_owned());
    assert!(decisions.iter().all(|decision| *decision == refusal), "{:?}", decisions.first());
    assert_eq!(denied(&stack, "token_binding_required").await, u64::try_from(decisions.len()).unwrap());
    let now = stack.resident().unwrap();
    // 4 KiB for each that is kept are 40 MiB.
    assert!(now <= before + 96 * MIB, "{} MiB, before {}", now / MIB, before / MIB);
    assert_eq!(other.ask(&stack, &direct).await, Decision::Permit);
}

/// Tokens with key ids that nobody has: refused, and the issuer is hardly asked.
#[tokio::test]
async fn a_flood_of_key_ids_asks_for_nothing() {
    // One source, which is to be looked at each time.
    let all = "unauthenticated: { rate: 1000000/s, burst: 1000000 }\nrecords: {";
    let (stack, direct) = start(vec![("records: {", all)]).await;
    let other = Caller::of(&stack, "globex").await;
    assert_eq!(other.ask(&stack, &direct).await, Decision::Permit);
    let before = stack.resident().unwrap();
    let (key, agent) = (KeyPair::generate(), Agent::new());
    let decisions = flood(4000, |_| {
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": random_id() });
        let claims = json!({
            "iss": TokenService::ISSUER, "sub": "alice", "client_id": "crm-bot", "tenant": "acme",
            "aud": TokenService::AUDIENCE, "iat": now(), "exp": now() + 300, "jti": random_id(),
        });
        let claims = merged(claims, &json!({ "cnf": agent.confirmation() }));
        let token = format!("DPoP {}", key.sign(&header, &claims));
        let direct = direct.clone();
        async move {
            let fields = [("authorization", token.as_str()), ("dpop", "e30.e30.e30")];
            direct.ask(check("GET", "localhost", "/tenants/acme/documents/plan", &fields)).await.unwrap()
        }
    })
    .await;
    let refusal = Decision::Deny(401, "token_key_unknown".to_owned());
    assert!(decisions.iter().all(|decision| *decision == refusal), "{:?}", decisions.first());
    assert_eq!(denied(&stack, "token_key_unknown").await, 4000);
    let fetches = stack.metric("exequatur_issuer_fetches_total{issuer=\"corp\",outcome=\"loaded\"}").await;
    // The first load, and what the flood made of it: one in each cooldown.
    assert!(fetches.unwrap() <= 4);
    let now = stack.resident().unwrap();
    assert!(now <= before + 48 * MIB, "{} MiB, before {}", now / MIB, before / MIB);
    assert_eq!(other.ask(&stack, &direct).await, Decision::Permit);
}
