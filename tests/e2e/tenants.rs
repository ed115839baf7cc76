//! D-20, A-19 through Envoy: three tenants beside one another, from a claim and from the issuer's path, with a federation between two of
//! them, and operators who are bound to one. The full product of tokens, routes and warm caches is in `tests/tenants`.

use exequatur_tests::jwt::{KeyPair, merged, now, random_id};
use exequatur_tests::operators::Guarded;
use exequatur_tests::orders::with_orders;
use exequatur_tests::{Agent, Call, Options, Stack, TokenService};
use reqwest::Client;
use serde_json::{Value, json};

const TENANTS: [&str; 3] = ["acme", "globex", "initech"];

/// Each order in which three can come.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// The keys of three realms, in a folder of their own.
struct Realms {
    keys: Vec<KeyPair>,
    folder: tempfile::TempDir,
}

impl Realms {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys: Vec<_> = TENANTS
            .iter()
            .map(|tenant| {
                let key = KeyPair::generate();
                let jwk = merged(key.jwk(), &json!({ "kid": "realm" }));
                std::fs::write(
                    folder.path().join(format!("{tenant}.json")),
                    json!({ "keys": [jwk] }).to_string(),
                )
                .unwrap();
                key
            })
            .collect();
        Self { keys, folder }
    }

    /// The realm of each tenant beside the usual issuer, whose tokens name their tenant; a federation; an operator of each tenant.
    async fn start(&self) -> Guarded {
        let mut options = with_orders(Options::on(true));
        let issuers = format!(
            "issuers:
  - {{ name: \"kc-{{tenant}}\", issuer: \"https://kc.example.com/realms/{{tenant}}\", jwks: {{ file: \"{}/{{tenant}}.json\" }}, audiences: [{}], tenants: [acme, globex, initech], claims: {{ user: sub }} }}
",
            self.folder.path().display(),
            TokenService::AUDIENCE
        );
        // The few that tests start live as long as the process.
        options.exequatur.push(("issuers:\n", Box::leak(issuers.into_boxed_str())));
        options.exequatur.push((
            "tenant: tenant }\n",
            "tenant: tenant }\n    tenants: [acme, globex, initech]\n\
             tenants: { acme: { region: eu }, globex: { region: eu, classification: internal }, initech: { region: eu } }\n\
             federations: [{ name: partners, from: acme, to: globex, routes: [read-document] }]\n\
             limits: [{ name: burst, per: agent, rate: 100000/s }]\n",
        ));
        let section = |port: u16| {
            let operators = TENANTS.map(|tenant| {
                let uri = format!("spiffe://example.com/{tenant}");
                format!("    - {{ uri: \"{uri}\", role: administrator, reach: {{ tenant: {tenant} }} }}\n")
            });
            format!(
                "admin:
  listen: \"127.0.0.1:{port}\"
  tls: {{ certificate_file: tls/server.crt, key_file: tls/server.key, client_ca_file: tls/ca.crt }}
  certificates:
{}policies: ",
                operators.concat()
            )
        };
        Guarded::start_with(options, section).await.unwrap()
    }

    /// A token of a realm, signed by the realm at `signer`.
    fn token(&self, realm: &str, signer: usize, agent: &Agent) -> String {
        let claims = json!({
            "iss": format!("https://kc.example.com/realms/{realm}"), "sub": "alice", "client_id": "crm-bot",
            "jti": random_id(), "iat": now(), "exp": now() + 300, "aud": TokenService::AUDIENCE,
            "scope": "documents:read documents:write", "cnf": agent.confirmation(),
        });
        self.keys[signer].sign(&json!({ "typ": "at+jwt", "alg": "ES256", "kid": "realm" }), &claims)
    }
}

/// A token that is used again and again, and what is to be made of it.
struct Token {
    name: String,
    sender: usize,
    agent: Agent,
    raw: String,
    tenant: Option<&'static str>,
    refused: Option<&'static str>,
}

fn tokens(realms: &Realms, stack: &Stack) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (sender, own) in TENANTS.into_iter().enumerate() {
        let other = TENANTS[(sender + 1) % TENANTS.len()];
        let mut add = |name: &str, make: &dyn Fn(&Agent) -> String, tenant, refused| {
            let agent = Agent::new();
            let raw = make(&agent);
            tokens.push(Token { name: format!("{name} of {own}"), sender, agent, raw, tenant, refused });
        };
        let claim =
            |tenant: Value| move |agent: &Agent| stack.tokens.token(agent, &json!({ "tenant": tenant }));
        add("claim", &claim(json!(own)), Some(own), None);
        add("claim, none", &claim(Value::Null), None, None);
        add("claim, unknown", &claim(json!("hooli")), None, Some("token_claim_invalid"));
        add("realm", &|agent| realms.token(own, sender, agent), Some(own), None);
        let signature = Some("token_signature_invalid");
        add("another realm by own key", &|agent| realms.token(other, sender, agent), None, signature);
        add(
            "a realm that is none",
            &|agent| realms.token("hooli", sender, agent),
            None,
            Some("token_issuer_unknown"),
        );
    }
    tokens
}

fn expected(token: &Token, to: &str, method: &str) -> (u16, &'static str) {
    if let Some(refused) = token.refused {
        return (401, refused);
    }
    match token.tenant {
        Some(own) if own == to => (200, ""),
        Some("acme") if to == "globex" && method == "GET" => (200, ""),
        Some(_) | None => (403, "tenant_mismatch"),
    }
}

async fn ask(stack: &Stack, token: &Token, to: &str, method: &str) -> (u16, Value) {
    let url = stack.url(&format!("/tenants/{to}/documents/7"));
    let answer = stack.call(&token.agent, &token.raw, &Call::new(method, &url)).await.unwrap();
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

/// Requests of each tenant for each tenant's documents, in each order of arrival, twice each.
#[tokio::test]
async fn no_tenant_reaches_another_through_envoy() {
    let realms = Realms::new();
    let guarded = realms.start().await;
    let stack = &guarded.stack;
    let tokens = tokens(&realms, stack);
    let (mut cells, mut permits) = (0, 0);
    for order in ORDERS {
        for token in order.iter().flat_map(|sender| tokens.iter().filter(|token| token.sender == *sender)) {
            for to in TENANTS {
                for method in ["GET", "PUT"] {
                    let (status, body) = ask(stack, token, to, method).await;
                    let reason = body["reason"].as_str().unwrap_or_default();
                    assert_eq!((status, reason), expected(token, to, method), "{} {method} {to}", token.name);
                    cells += 1;
                    permits += u32::from(status == 200);
                }
            }
        }
    }
    println!("{cells} cells through envoy, {permits} permits");
    // For each order: of two tokens of each tenant both methods at home, and acme's two abroad.
    assert_eq!(permits, 6 * (3 * 2 * 2 + 2));

    // The record says by which rule, and whose.
    let records = stack.records().await.unwrap();
    let federated: Vec<_> =
        records.iter().filter(|one| one.get("federation").is_some() && one["verdict"] == "permit").collect();
    assert_eq!(federated.len(), 6 * 2);
    for record in federated {
        assert_eq!(record["federation"], "partners");
        assert_eq!((&record["tenant"], &record["resource"]["tenant"]), (&json!("acme"), &json!("globex")));
        assert_eq!(record["policy"]["ids"], json!(["read-for-partner"]));
    }
    for (tenant, total) in [("acme", 6 * (2 * 2 + 2)), ("globex", 6 * 4), ("initech", 6 * 4)] {
        let line =
            format!("exequatur_tenant_decisions_total{{tenant=\"{tenant}\",verdict=\"permit\"}} {total}");
        stack.wait_for_metric(&line).await.unwrap();
    }
}

/// What an operator of one tenant tries with what is another's.
fn orders_about(other: &str, jti: &str, thumbprint: &str) -> Vec<(&'static str, String, Value)> {
    let revoke = |kind: &str, name: &str| {
        ("POST", "/v1/revocations".to_owned(), json!({ "kind": kind, "name": name, "reason": "r" }))
    };
    let mut orders = vec![
        revoke("tenant", other),
        revoke("token", &format!("kc-{other}:{jti}")),
        revoke("key", thumbprint),
        revoke("agent", &format!("kc-{other}:crm-bot")),
        revoke("user", &format!("kc-{other}:alice")),
        revoke("session", &format!("kc-{other}:s-1")),
        revoke("client", &format!("kc-{other}:crm-bot")),
        revoke("issuer", &format!("kc-{other}")),
        // Of the issuer that all of them share, own or not: whose they are is not known.
        revoke("agent", "corp:crm-bot"),
        revoke("issuer", "corp"),
    ];
    let post = |path: String, body: Value| ("POST", path, body);
    let undo = "/v1/revocations/undo".to_owned();
    orders.extend([
        post(undo, json!({ "kind": "tenant", "name": other, "reason": "r" })),
        post("/v1/kill".to_owned(), json!({ "tenant": other, "reason": "r" })),
        post("/v1/kill".to_owned(), json!({ "everything": true, "reason": "r" })),
        post(format!("/v1/agents/kc-{other}:crm-bot/suspend"), json!({ "reason": "r" })),
        post(format!("/v1/agents/kc-{other}:crm-bot/resume"), json!({ "reason": "r" })),
        post("/v1/limits/burst/set".to_owned(), json!({ "tenant": other, "rate": "1/h", "reason": "r" })),
        post("/v1/limits/burst/reset".to_owned(), json!({ "tenant": other, "reason": "r" })),
        post(
            "/v1/limits/burst/set".to_owned(),
            json!({ "agent": format!("kc-{other}:crm-bot"), "rate": "1/h", "reason": "r" }),
        ),
    ]);
    orders
}

async fn of_tenants(guarded: &Guarded) -> Vec<Client> {
    let mut clients = Vec::new();
    for (address, tenant) in (1..).zip(TENANTS) {
        guarded.certificate(tenant, &format!("spiffe://example.com/{tenant}"), false).unwrap();
        clients.push(guarded.client(address, Some(tenant)).unwrap());
    }
    clients
}

/// Each tenant's operator with each other tenant's tokens, agents, users, keys, limits and decisions: nothing is done and nothing is shown;
/// then each stops his own, and nobody else notices.
#[tokio::test]
async fn no_tenants_operator_reaches_another() {
    let realms = Realms::new();
    let guarded = realms.start().await;
    let stack = &guarded.stack;
    let clients = of_tenants(&guarded).await;
    let tokens = tokens(&realms, stack);
    let good =
        |tenant: &str| tokens.iter().filter(move |token| token.tenant == Some(tenant)).collect::<Vec<_>>();
    let mut cells = 0;
    for (own, client) in TENANTS.into_iter().zip(&clients) {
        for other in TENANTS.into_iter().filter(|other| *other != own) {
            let victim = good(other)[1];
            let jti = exequatur_tests::jwt::payload(&victim.raw)["jti"].as_str().unwrap().to_owned();
            for (method, path, order) in orders_about(other, &jti, &victim.agent.key.thumbprint()) {
                let answer = guarded.send(client, (method, &path), None, Some(&order)).await.unwrap();
                let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
                let refused = status == 403 && text.contains("out_of_reach");
                assert!(refused, "{own} of {other}: {path} {order}: {status} {text}");
                cells += 1;
            }
            // A decision of the other's, made and denied: it is not there.
            for to in [other, own] {
                let url = stack.url(&format!("/tenants/{to}/documents/7"));
                let answer = stack.call(&victim.agent, &victim.raw, &Call::new("GET", &url)).await.unwrap();
                let decision = match answer.status {
                    200 => answer.field("x-exequatur-decision"),
                    _ => serde_json::from_str::<Value>(&answer.body).unwrap()["decision"]
                        .as_str()
                        .unwrap()
                        .to_owned(),
                };
                if decision.is_empty() {
                    continue;
                }
                stack.record(&decision).await.unwrap();
                let path = format!("/v1/decisions/{decision}");
                let status = guarded.send(client, ("GET", &path), None, None).await.unwrap().status();
                assert_eq!(status, 404, "{own} of {other}");
                cells += 1;
            }
        }
        let answer = guarded.send(client, ("GET", "/v1/revocations"), None, None).await.unwrap();
        let listed: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(listed["revocations"], json!([]), "{own}");
        cells += 1;
    }
    println!("{cells} orders of operators about other tenants");
    // Nothing was done: everybody goes on.
    for tenant in TENANTS {
        for token in good(tenant) {
            assert_eq!(ask(stack, token, tenant, "GET").await.0, 200, "{}", token.name);
        }
    }
    each_stops_his_own(&guarded, &clients, &tokens).await;
}

/// Which stops the tenant's tokens of both issuers and whoever reaches its documents; and takes it back.
async fn each_stops_his_own(guarded: &Guarded, clients: &[Client], tokens: &[Token]) {
    let stack = &guarded.stack;
    let good =
        |tenant: &str| tokens.iter().filter(move |token| token.tenant == Some(tenant)).collect::<Vec<_>>();
    for (stopped, client) in TENANTS.into_iter().zip(clients) {
        let order = json!({ "kind": "tenant", "name": stopped, "reason": "r" });
        let sent = guarded.send(client, ("POST", "/v1/revocations"), None, Some(&order)).await.unwrap();
        assert_eq!(sent.status(), 200, "{}", sent.text().await.unwrap_or_default());
        for tenant in TENANTS {
            for token in good(tenant) {
                let (status, body) = ask(stack, token, tenant, "GET").await;
                let found = (status, body["reason"].as_str().unwrap_or_default());
                let expected = if tenant == stopped { (403, "tenant_revoked") } else { (200, "") };
                assert_eq!(found, expected, "{} while {stopped} is stopped", token.name);
            }
        }
        let (status, body) = ask(stack, good("acme")[0], "globex", "GET").await;
        let reached = (status, body["reason"].as_str().unwrap_or_default());
        let expected = if stopped == "initech" { (200, "") } else { (403, "tenant_revoked") };
        assert_eq!(reached, expected, "acme at globex while {stopped} is stopped");
        // Another tenant's operator sees nothing of it, and does not take it back.
        for other in
            clients.iter().zip(TENANTS).filter(|(_, tenant)| *tenant != stopped).map(|(other, _)| other)
        {
            let answer = guarded.send(other, ("GET", "/v1/revocations"), None, None).await.unwrap();
            let listed: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            assert_eq!(listed["revocations"], json!([]), "{stopped}");
            let undone =
                guarded.send(other, ("POST", "/v1/revocations/undo"), None, Some(&order)).await.unwrap();
            assert_eq!(undone.status(), 403);
        }
        let undone =
            guarded.send(client, ("POST", "/v1/revocations/undo"), None, Some(&order)).await.unwrap();
        assert_eq!(undone.status(), 200);
        assert_eq!(ask(stack, good(stopped)[0], stopped, "GET").await.0, 200);
    }
}
