//! Orders over TCP: who may give which (E-01, E-02, E-03, E-08, D-20), with real tokens and certificates.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use exequatur_admin::{Role, operations};
use exequatur_tests::operators::Guarded;
use exequatur_tests::orders::{self, with_orders};
use exequatur_tests::status_lists::StatusLists;
use exequatur_tests::{Agent, Call, DOCUMENT, Options, Stack, binaries, jwt};
use p256::SecretKey;
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::{Value, json};
use tokio::process::Command;

/// What somebody shows.
struct Shown {
    what: &'static str,
    token: Option<String>,
    certificate: Option<&'static str>,
    /// The roles that it gives; else the status of every answer.
    gives: Result<&'static [Role], u16>,
}

/// Every kind of credential.
fn everybody(guarded: &Guarded) -> Vec<Shown> {
    guarded.certificate("oncall", "spiffe://example.com/oncall", false).unwrap();
    guarded.certificate("other", "spiffe://example.com/other", false).unwrap();
    let bound_to = guarded.certificate("bound", "spiffe://example.com/bound", false).unwrap();
    let x5t = bound_to.thumbprint().unwrap();
    let agent = Agent::new();
    let shown = |what, token: String, gives| Shown { what, token: Some(token), certificate: None, gives };
    let token = |role: &str, changes: Value| guarded.token(role, &changes);
    let past = jwt::now() - 600;
    let data_plane = guarded.stack.tokens.token(&agent, &json!({ "cnf": null, "roles": ["platform"] }));
    let forged = {
        let claims = jwt::payload(&token("platform", json!({})));
        let other = jwt::KeyPair::generate();
        other.sign(&json!({ "alg": "ES256", "typ": "at+jwt", "kid": "first" }), &claims)
    };
    let mut everybody = vec![
        Shown { what: "nothing", token: None, certificate: None, gives: Err(401) },
        shown("no token at all", "abc".into(), Err(401)),
        shown("a token of an agent", data_plane, Err(401)),
        shown(
            "for both audiences",
            token("platform", json!({ "aud": ["https://other.example.com"] })),
            Err(401),
        ),
        shown("expired", token("platform", json!({ "iat": past, "exp": past + 300 })), Err(401)),
        shown("of tomorrow", token("platform", json!({ "nbf": jwt::now() + 600 })), Err(401)),
        shown("another issuer", token("platform", json!({ "iss": "https://other.example.com" })), Err(401)),
        shown("another key", forged, Err(401)),
        shown("a broken signature", jwt::with_broken_signature(&token("platform", json!({}))), Err(401)),
        shown("bound to a key", token("platform", json!({ "cnf": agent.confirmation() })), Err(401)),
        shown("bound to a certificate", token("platform", json!({ "cnf": { "x5t#S256": x5t } })), Err(401)),
        shown(
            "of an agent who acts for her",
            token("platform", json!({ "act": { "sub": "crm-bot" } })),
            Err(401),
        ),
        shown("no such role", token("root", json!({})), Err(403)),
        shown("another case", token("Platform", json!({})), Err(403)),
        shown("no role", token("x", json!({ "roles": [] })), Err(403)),
        shown("no claim", token("x", json!({ "roles": null })), Err(401)),
        shown("a role that is no text", token("x", json!({ "roles": { "platform": true } })), Err(401)),
        shown("reader", token("viewer", json!({})), Ok(&[Role::Reader])),
        shown("revoker", token("oncall", json!({})), Ok(&[Role::Revoker])),
        shown("approver", token("approver", json!({})), Ok(&[Role::Approver])),
        shown(
            "both",
            token("x", json!({ "roles": ["approver", "oncall"] })),
            Ok(&[Role::Approver, Role::Revoker]),
        ),
        shown("administrator", token("platform", json!({})), Ok(&[Role::Administrator])),
    ];
    let certified =
        |what, certificate, gives| Shown { what, token: None, certificate: Some(certificate), gives };
    everybody.push(certified("a certificate of nobody", "other", Err(403)));
    everybody.push(certified("a revoker's certificate", "oncall", Ok(&[Role::Revoker])));
    let with_its_own = token("platform", json!({ "cnf": { "x5t#S256": x5t } }));
    for (what, certificate, gives) in [
        ("its own certificate", "bound", Ok(&[Role::Administrator][..])),
        ("another's certificate", "other", Err(401)),
    ] {
        everybody.push(Shown {
            what,
            token: Some(with_its_own.clone()),
            certificate: Some(certificate),
            gives,
        });
    }
    // A certificate does not add to what a token gives.
    let viewer = token("viewer", json!({}));
    let certificate = Some("oncall");
    everybody.push(Shown { what: "both", token: Some(viewer), certificate, gives: Ok(&[Role::Reader]) });
    everybody
}

/// Every path of the table with every credential: the lesser ones are refused, and nothing is done (E-01, E-03).
#[tokio::test]
async fn every_path_refuses_every_lesser_credential() {
    let guarded = Guarded::start().await.unwrap();
    let stack = &guarded.stack;
    let everybody = everybody(&guarded);
    for (address, one) in (1..).zip(&everybody) {
        let client = guarded.client(address, one.certificate).unwrap();
        for operation in operations() {
            let path = operation.path.replace("{id}", "corp:matrix").replace("{limit}", "none");
            let body = (operation.method == "POST").then(|| json!({}));
            let asked = (operation.method, path.as_str());
            let answer = guarded.send(&client, asked, one.token.as_deref(), body.as_ref()).await.unwrap();
            let (status, what) = (answer.status().as_u16(), format!("{}: {operation:?}", one.what));
            match one.gives {
                Err(refused) => assert_eq!(status, refused, "{what}"),
                Ok(roles) if roles.iter().any(|role| role.covers(operation.needs)) => {
                    // An empty order says nothing; what was asked for by GET is shown.
                    let expected = if operation.method == "GET" { &[200, 404][..] } else { &[400, 422] };
                    assert!(expected.contains(&status), "{what}: {status}");
                }
                Ok(_) => assert_eq!(status, 403, "{what}"),
            }
            let challenged = answer.headers().contains_key("www-authenticate");
            assert_eq!(challenged, status == 401, "{what}");
        }
    }
    let listed = orders::command(stack, &["revoke", "list", "--output", "json"]).await.unwrap();
    assert_eq!(listed.json().unwrap(), json!({ "revocations": [], "next": null }), "nothing was done");
    let records = stack.records().await.unwrap();
    let of = |name: &str| records.iter().filter(|one| one["actor"] == name).count();
    let calls = operations().len();
    assert!(of("token:corp:olga") >= 6 * calls && of("certificate:spiffe://example.com/oncall") == calls);
    assert!(of("stranger:127.0.3.1") == calls, "who is refused is recorded too");
    let strangers = everybody.iter().filter(|one| one.gives.is_err()).count() * calls;
    stack.wait_for_metric(&format!("exequatur_admin_strangers_total {strangers}")).await.unwrap();
    let log = stack.log().unwrap();
    assert!(!log.contains("eyJ"), "no token stands in the log");
}

/// The command line over TCP, and what it does at Envoy; the kill switch does not keep out who has to take it back.
#[tokio::test]
async fn an_operator_stops_and_another_lets_go_on() {
    let guarded = Guarded::start().await.unwrap();
    let stack = &guarded.stack;
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let said = |who: &'static str, words: &'static [&'static str]| {
        let file = stack.folder().join(format!("{who}.token"));
        std::fs::write(&file, guarded.token(who, &Value::Null)).unwrap();
        let mut command = Command::new(binaries::exequatur().unwrap());
        command.args(words).args(["--server", &guarded.url("")]).arg("--token-file").arg(file);
        command.arg("--ca-file").arg(stack.folder().join("tls/ca.crt"));
        async move {
            let done = command.output().await.unwrap();
            (
                done.status.code(),
                String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap(),
            )
        }
    };
    assert_eq!(call(stack, &agent, &token).await, (200, String::new()));
    for (stop, undo, reason) in [
        (
            &["revoke", "user", "corp:alice", "--reason", "r"][..],
            &["revoke", "undo", "user", "corp:alice", "--reason", "r"][..],
            "user_revoked",
        ),
        (
            &["agents", "suspend", "corp:crm-bot", "--reason", "r"],
            &["agents", "resume", "corp:crm-bot", "--reason", "r"],
            "agent_suspended",
        ),
        (&["kill", "--all", "--yes", "--reason", "r"], &["revoke", "undo", "all", "--reason", "r"], "killed"),
    ] {
        let (code, text) = said("viewer", stop).await;
        assert!(
            code != Some(0) && text.contains("this needs the role revoker, and you are reader"),
            "{text}"
        );
        assert_eq!(call(stack, &agent, &token).await.0, 200);
        let (code, text) = said("oncall", stop).await;
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(call(stack, &agent, &token).await.1, reason);
        let (code, text) = said("oncall", undo).await;
        assert!(code != Some(0) && text.contains("this needs the role administrator"), "{text}");
        assert_eq!(call(stack, &agent, &token).await.1, reason);
        let (code, text) = said("platform", undo).await;
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(call(stack, &agent, &token).await.0, 200, "{reason}");
    }
    // What is revoked is revoked for operators too.
    orders::order(stack, &["revoke", "user", "corp:olga"]).await.unwrap();
    let (code, text) = said("platform", &["revoke", "list"]).await;
    assert!(code != Some(0) && text.contains("it was revoked"), "{text}");
    let listed = orders::command(stack, &["revoke", "list", "--as", "Bob B."]).await.unwrap();
    assert!(listed.out.contains("corp:olga") && listed.out.contains("local:"), "{listed:?}");
    let records = stack.records().await.unwrap();
    assert!(records.iter().any(|one| one["claimed"] == "Bob B." && one["action"] == "list_revocations"));
    let named = records.iter().find(|one| one["action"] == "kill" && one["outcome"] == "done").unwrap();
    assert_eq!(named["actor"], "token:corp:olga");
}

/// D-20: who is bound to a tenant stops that tenant and sees that tenant, and nothing else.
#[tokio::test]
async fn a_tenants_operator_reaches_that_tenant_alone() {
    let guarded = Guarded::start().await.unwrap();
    guarded.certificate("acme", "spiffe://example.com/acme", false).unwrap();
    let client = guarded.client(1, Some("acme")).unwrap();
    orders::order(&guarded.stack, &["revoke", "user", "corp:alice"]).await.unwrap();
    orders::order(&guarded.stack, &["revoke", "tenant", "globex", "--yes"]).await.unwrap();
    for (path, order, status) in [
        ("/v1/kill", json!({ "tenant": "acme", "reason": "r" }), 200),
        ("/v1/kill", json!({ "tenant": "globex", "reason": "r" }), 403),
        ("/v1/kill", json!({ "everything": true, "reason": "r" }), 403),
        ("/v1/revocations", json!({ "kind": "tenant", "name": "globex", "reason": "r" }), 403),
        ("/v1/revocations", json!({ "kind": "agent", "name": "corp:crm-bot", "reason": "r" }), 403),
        ("/v1/revocations", json!({ "kind": "token", "name": "corp:t-1", "reason": "r" }), 403),
        ("/v1/revocations", json!({ "kind": "issuer", "name": "corp", "reason": "r" }), 403),
        ("/v1/revocations/undo", json!({ "kind": "tenant", "name": "globex", "reason": "r" }), 403),
        ("/v1/revocations/undo", json!({ "kind": "user", "name": "corp:alice", "reason": "r" }), 403),
        ("/v1/agents/corp:crm-bot/suspend", json!({ "reason": "r" }), 403),
    ] {
        let answer = guarded.send(&client, ("POST", path), None, Some(&order)).await.unwrap();
        let (found, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(found, status, "{path} {order} {text}");
        assert_eq!(status == 403, text.contains("out_of_reach"), "{text}");
    }
    let answer = guarded.send(&client, ("GET", "/v1/revocations"), None, None).await.unwrap();
    let listed: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let names: Vec<_> = listed["revocations"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["acme"]);
    let answer = guarded.send(&client, ("GET", "/v1/status"), None, None).await.unwrap();
    assert_eq!(answer.status(), 403, "replicas are of no tenant");
    assert!(answer.text().await.unwrap().contains("out_of_reach"));
    // Decisions: its own, and no other is there at all.
    let (agent, all) = (Agent::new(), guarded.client(2, None).unwrap());
    // Its own tenant is stopped by now.
    let viewer = guarded.token("viewer", &json!({ "tenant": null }));
    for (tenant, own) in [("acme", true), ("globex", false)] {
        let token = guarded.stack.tokens.token(&agent, &json!({ "tenant": tenant }));
        let url = guarded.stack.url(DOCUMENT);
        let answer = guarded.stack.call(&agent, &token, &Call::new("GET", &url)).await.unwrap();
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        let decision = problem["decision"].as_str().unwrap().to_owned();
        guarded.stack.record(&decision).await.unwrap();
        let path = format!("/v1/decisions/{decision}");
        let of_all = guarded.send(&all, ("GET", &path), Some(&viewer), None).await.unwrap();
        assert_eq!(of_all.status(), 200);
        let shown: Value = serde_json::from_str(&of_all.text().await.unwrap()).unwrap();
        assert_eq!(
            (&shown["record"]["decision"], &shown["record"]["tenant"]),
            (&json!(decision), &json!(tenant))
        );
        let status = guarded.send(&client, ("GET", &path), None, None).await.unwrap().status();
        assert_eq!(status, if own { 200 } else { 404 }, "{tenant}");
    }
}

/// An operator's certificate is asked about among revoked keys, as an agent's is.
#[tokio::test]
async fn a_certificate_that_was_revoked_gives_no_orders() {
    let guarded = Guarded::start().await.unwrap();
    let shown = guarded.certificate("oncall", "spiffe://example.com/oncall", false).unwrap();
    let (client, thumbprint) = (guarded.client(1, Some("oncall")).unwrap(), shown.thumbprint().unwrap());
    for (order, status) in [
        (None, 200),
        (Some(&["revoke", "key", &thumbprint][..]), 401),
        (Some(&["revoke", "undo", "key", &thumbprint]), 200),
    ] {
        if let Some(words) = order {
            orders::order(&guarded.stack, words).await.unwrap();
        }
        let answer = guarded.send(&client, ("GET", "/v1/revocations"), None, None).await.unwrap();
        assert_eq!(answer.status(), status, "{order:?}");
    }
}

/// E-07, E-08: who guesses is shut out for a while, others at other addresses are not; nothing comes from a web page.
#[tokio::test]
async fn who_guesses_is_shut_out_and_web_pages_are_not_heard() {
    let guarded = Guarded::start().await.unwrap();
    let viewer = guarded.token("viewer", &Value::Null);
    let (guesser, other) = (guarded.client(1, None).unwrap(), guarded.client(2, None).unwrap());
    let list = ("GET", "/v1/revocations");
    let mut statuses = Vec::new();
    // An address that is shut out is not even shaken hands with.
    while let Ok(answer) = guarded.send(&guesser, list, Some("guess"), None).await {
        statuses.push(answer.status().as_u16());
        assert!(statuses.len() < 1000, "nobody is shut out");
    }
    assert!(statuses.len() >= 20 && statuses.iter().all(|status| *status == 401), "{statuses:?}");
    // Good credentials too, from there.
    assert!(guarded.send(&guesser, list, Some(&viewer), None).await.is_err());
    assert_eq!(guarded.send(&other, list, Some(&viewer), None).await.unwrap().status(), 200);
    for (name, value, status) in [
        ("origin", "https://console.example.com", 403),
        ("sec-fetch-site", "same-origin", 403),
        ("exequatur-as", "root", 400),
        ("x-other", "1", 200),
    ] {
        let request = other.get(guarded.url("/v1/revocations")).bearer_auth(&viewer).header(name, value);
        assert_eq!(request.send().await.unwrap().status(), status, "{name}");
    }
    let twice = other.get(guarded.url("/v1/revocations")).bearer_auth(&viewer).bearer_auth("x");
    assert_eq!(twice.send().await.unwrap().status(), 401);
    for (path, status) in [
        ("/", 404),
        ("/metrics", 404),
        ("/v1/kill", 405),
        ("/envoy.service.auth.v3.Authorization/Check", 404),
    ] {
        assert_eq!(guarded.send(&other, ("GET", path), Some(&viewer), None).await.unwrap().status(), status);
        assert_eq!(guarded.send(&other, ("GET", path), None, None).await.unwrap().status(), 401, "{path}");
    }
}

/// E-08: on loopback without TLS, only what was sent to the loopback's own name is taken.
#[tokio::test]
async fn without_tls_the_host_has_to_be_the_loopback() {
    let guarded = Guarded::start_with(with_orders(Options::default()), on_loopback).await.unwrap();
    let claims = json!({ "aud": "ops", "scope": "openid exequatur:read" });
    let token = guarded.token("x", &claims);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let address = format!("127.0.0.1:{}", guarded.port());
    let ask = |host: &str, token: &str| {
        let request = client.get(format!("http://{address}/v1/revocations")).header("host", host);
        let request = request.bearer_auth(token);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    let port = guarded.port();
    for (host, status) in [
        (address.clone(), 200),
        (format!("localhost:{port}"), 200),
        ("[::1]".to_owned(), 200),
        ("attacker.example".to_owned(), 403),
        (format!("127.0.0.1.attacker.example:{port}"), 403),
        ("10.0.0.1".to_owned(), 403),
    ] {
        assert_eq!(ask(&host, &token).await, status, "{host}");
    }
    // E-07: here who is shut out is told so, with good credentials too; and nothing is said of other addresses.
    let mut statuses = Vec::new();
    while !statuses.contains(&429) {
        statuses.push(ask(&address, "guess").await);
        assert!(statuses.len() < 1000, "nobody is shut out");
    }
    assert!(statuses.len() > 10, "{statuses:?}");
    let request = client.get(format!("http://{address}/v1/revocations")).bearer_auth(&token);
    assert_eq!(request.send().await.unwrap().headers()["retry-after"], "1");
}

/// A token that is bound to a tenant, and names none.
#[tokio::test]
async fn who_is_bound_to_a_tenant_has_to_name_one() {
    let guarded = Guarded::start_with(with_orders(Options::default()), on_loopback).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let address = format!("127.0.0.1:{}", guarded.port());
    let ask = |_: &str, token: &str| {
        let request = client.get(format!("http://{address}/v1/revocations")).bearer_auth(token);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    let nobodys = guarded.token("x", &json!({ "aud": "ops", "scope": "exequatur:read", "tenant": null }));
    assert_eq!(ask(&address, &nobodys).await, 403, "bound to a tenant, and names none");
}

/// V10: an operator's token that its issuer's status list is against gives no orders, and none whose list is not there.
#[tokio::test]
async fn a_token_that_its_issuer_revoked_gives_no_orders() {
    let lists = StatusLists::start().await.unwrap();
    let claims = "claims: { agent: client_id, user: { claim: sub, unless: { gty: client-credentials } }, tenant: tenant }\n";
    let (ca, prefix) = (lists.authority().display().to_string(), lists.prefix());
    let with_lists = format!(
        "{claims}    ca_file: {ca}\n    status_lists: {{ uris: [{prefix}], cooldown: 1s, wait: 4s }}\n"
    );
    let options = Options { exequatur: vec![(claims, with_lists.leak())], ..Options::default() };
    let guarded = Guarded::start_with(with_orders(options), on_loopback).await.unwrap();
    let (header, payload) = lists.pack("ops", 2, &[0, 1, 2], &Value::Null).await.unwrap();
    lists.publish("ops", &guarded.stack.tokens.sign(&header, &payload));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (status, expected) in [
        (lists.claim("ops", 0), 200),
        (lists.claim("ops", 1), 401),
        (lists.claim("ops", 2), 401),
        (lists.claim("ops", 1_000), 401),
        (json!({ "status": { "status_list": { "idx": 0, "uri": "https://elsewhere.example/ops" } } }), 401),
        (lists.claim("none", 0), 503),
        (json!({}), 200),
    ] {
        let claims = jwt::merged(json!({ "aud": "ops", "scope": "exequatur:read" }), &status);
        let url = format!("http://127.0.0.1:{}/v1/revocations", guarded.port());
        let request = client.get(url).bearer_auth(guarded.token("x", &claims));
        assert_eq!(request.send().await.unwrap().status(), expected, "{status}");
    }
}

/// S03: where an issuer is asked about its JWTs too, an operator's gives orders while it is active, and none while that is not
/// known.
#[tokio::test]
async fn a_token_that_is_not_active_gives_no_orders() {
    let says = Arc::new(Mutex::new("active"));
    let asked = Arc::clone(&says);
    let answer = move |form: String| async move {
        assert!(form.contains("token=ey"), "{form}");
        let json = [("content-type", "application/json")];
        match *asked.lock().unwrap() {
            "active" => (StatusCode::OK, json, r#"{"active":true}"#),
            "inactive" => (StatusCode::OK, json, r#"{"active":false}"#),
            "another" => (StatusCode::OK, json, r#"{"active":true,"sub":"mallory"}"#),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, json, "{}"),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = axum::Router::new().route("/introspect", axum::routing::post(answer));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });

    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("asking.pem");
    let pem = SecretKey::from_slice(&[7; 32]).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
    std::fs::write(&key, pem.as_bytes()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let claims = "claims: { agent: client_id, user: { claim: sub, unless: { gty: client-credentials } }, tenant: tenant }\n";
    let with_questions = format!(
        "{claims}    introspection: {{ endpoint: \"http://127.0.0.1:{port}/introspect\", tokens: jwt, response: json, \
         client_id: exequatur, private_key_jwt: {{ key_file: {key} }}, cache: 1s, wait: 4s, timeout: 8s }}\n",
        key = key.display(),
    );
    let options = Options { exequatur: vec![(claims, with_questions.leak())], ..Options::default() };
    let guarded = Guarded::start_with(with_orders(options), on_loopback).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{}/v1/revocations", guarded.port());
    let token = || guarded.token("x", &json!({ "aud": "ops", "scope": "exequatur:read" }));
    let order = async |said: &'static str, token: &str| {
        *says.lock().unwrap() = said;
        let answer = client.get(&url).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (said, expected, message) in [
        ("active", 200, "revocations"),
        ("inactive", 401, "the issuer says that the token is not active"),
        ("another", 503, "whether the token is active is not known"),
        ("nothing", 503, "whether the token is active is not known"),
    ] {
        let (status, text) = order(said, &token()).await;
        assert_eq!(status, expected, "{said}: {text}");
        assert!(text.contains(message), "{said}: {text}");
    }
    // One that was active, once it is not.
    let known = token();
    assert_eq!(order("active", &known).await.0, 200);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(order("inactive", &known).await.0, 401);
    serving.abort();
}

/// The status and the reason of one call.
async fn call(stack: &Stack, agent: &Agent, token: &str) -> (u16, String) {
    let url = stack.url(DOCUMENT);
    let answer = stack.call(agent, token, &Call::new("GET", &url)).await.unwrap();
    (answer.status, answer.reason)
}

/// Without TLS, for readers of their own tenant.
fn on_loopback(port: u16) -> String {
    format!(
        "admin: {{ listen: \"127.0.0.1:{port}\", tokens: [{{ issuer: corp, audience: ops, claim: scope, \
         roles: {{ reader: [\"exequatur:read\"] }}, reach: own_tenant }}] }}\npolicies: "
    )
}
