//! The agents of `examples/clients` in front of real Envoy, with tokens of a real authorization server: what their readers are told to
//! do is what gets them through.

mod pages;

use exequatur_tests::orders::{order, with_orders};
use exequatur_tests::tls::{Shown, Wanted};
use exequatur_tests::{AuthorizationServer, Browser, DOCUMENT, ExampleAgent, Language, Options, Stack};
use serde_json::{Value, json};

const NONCES: (&str, &str) = ("nonce: \"off\"", "nonce: required");
/// One read at once, and another every two seconds; shares of documents as good as never.
const LIMITS: (&str, &str) =
    ("records: {", "limits:\n  - { name: reads, per: agent, rate: 30/m, burst: 1 }\nrecords: {");
/// A route may ask for a certificate instead of a proof.
const EITHER: (&str, &str) = ("\n    sender_constraint: dpop", "\n    sender_constraint: any");

fn trusting(server: &AuthorizationServer, options: Options) -> Options {
    let issuer = exequatur_tests::configuration::IssuerEntry {
        user_claim: "on_behalf_of".to_owned(),
        ..server.entry()
    };
    Options { issuer: Some(issuer), ..options }
}

async fn get(agent: &mut ExampleAgent, path: &str) -> Value {
    agent.told(&format!("GET {path}")).await
}

/// What it did before there was an answer, and the answer's status.
fn came(said: &Value) -> (Vec<&str>, u64) {
    let followed = said["followed"].as_array().unwrap_or_else(|| panic!("{said}"));
    (followed.iter().filter_map(Value::as_str).collect(), said["status"].as_u64().unwrap_or_default())
}

/// Nothing that it said or wrote is a token, a proof or an assertion.
async fn tells_no_secret(agent: ExampleAgent) {
    let said = agent.ended().await;
    assert!(!said.contains("eyJ"), "{said}");
}

/// The examples' own tests, without Envoy.
#[tokio::test]
async fn what_they_do_in_each_conversation() {
    for (language, words) in [
        (Language::TypeScript, &["--test", "dist/conversations.test.js"][..]),
        (Language::Python, &["-m", "unittest", "--quiet", "agent.test_conversations", "agent.test_tokens"]),
    ] {
        let output = language.command().unwrap().args(words).output().await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}

/// P01 to P03: the agent knows the address of an API and whom it trusts. The metadata, through Envoy, tell it which of these to ask; where they
/// name somebody else, nobody is asked and nothing is called.
#[tokio::test]
async fn a_resource_says_whose_tokens_count() {
    let server = AuthorizationServer::start_certified("bound_server.mjs").await.unwrap();
    let exequatur = super::quiet::PLAIN.into_iter().chain([super::quiet::PUBLISHED]).collect();
    let stack = Stack::start(trusting(&server, Options { exequatur, ..Options::default() })).await.unwrap();
    let mut settings = ExampleAgent::settings(&server, &stack, "crm-bot");
    settings.as_object_mut().unwrap().remove("issuer");
    settings["resource"] = json!(stack.url(""));
    for language in Language::ALL {
        for (trusted, expected) in [
            (json!(["https://login.example.com", server.issuer]), ""),
            (json!(["https://login.example.com"]), "names no authorization server that is trusted"),
        ] {
            settings["trusted_issuers"] = trusted;
            let before = stack.upstream.received().len();
            let mut agent = ExampleAgent::start(language, &settings, server.folder()).unwrap();
            let said = get(&mut agent, DOCUMENT).await;
            let (_, status) = came(&said);
            let failed = said["failed"].as_str().unwrap_or_default();
            assert_eq!(
                (status == 200, failed.is_empty()),
                (expected.is_empty(), expected.is_empty()),
                "{said}"
            );
            assert_eq!(stack.upstream.received().len() - before, usize::from(expected.is_empty()), "{said}");
            assert!(failed.contains(expected), "{language:?}: {said}");
            tells_no_secret(agent).await;
        }
    }
}

/// Both servers ask for nonces; a policy says no; then the agent is stopped, and let go again. Each refusal is told with its reason and
/// the id of its decision, and is not tried again.
#[tokio::test]
async fn a_key_nonces_and_an_agent_that_is_stopped() {
    let server = AuthorizationServer::start_certified("bound_server.mjs").await.unwrap();
    let options = Options { exequatur: vec![NONCES], ..Options::default() };
    let stack = Stack::start(with_orders(trusting(&server, options))).await.unwrap();
    for language in Language::ALL {
        let settings = ExampleAgent::settings(&server, &stack, "crm-bot");
        let mut agent = ExampleAgent::start(language, &settings, server.folder()).unwrap();
        let before = stack.upstream.received().len();
        assert_eq!(came(&get(&mut agent, DOCUMENT).await), (vec!["nonce"], 200), "{language:?}");
        // The nonce of the answer is that of the next proof.
        assert_eq!(came(&get(&mut agent, DOCUMENT).await), (vec![], 200), "{language:?}");
        assert_eq!(stack.upstream.received().len(), before + 2);

        let sealed = get(&mut agent, "/tenants/acme/sealed/plan").await;
        assert_eq!(
            (came(&sealed), &sealed["refused"]),
            ((vec![], 403), &json!("policy_forbid")),
            "{language:?}"
        );
        order(&stack, &["revoke", "agent", "corp:crm-bot"]).await.unwrap();
        let stopped = get(&mut agent, DOCUMENT).await;
        assert_eq!(
            (came(&stopped), &stopped["refused"]),
            ((vec![], 401), &json!("agent_revoked")),
            "{language:?}"
        );
        for refused in [&sealed, &stopped] {
            let record = stack.record(refused["decision"].as_str().unwrap()).await.unwrap();
            assert_eq!(record["reason"], refused["refused"], "{record}");
            assert_eq!(record["agent"], "corp:crm-bot", "{record}");
        }
        assert_eq!(stack.upstream.received().len(), before + 2);
        order(&stack, &["revoke", "undo", "agent", "corp:crm-bot"]).await.unwrap();
        let again = get(&mut agent, DOCUMENT).await;
        assert_eq!(again["status"], 200, "{language:?}: {again}");
        tells_no_secret(agent).await;
    }
}

/// Told to come again later, it does, and is let through. How much later is for Exequatur to say: on a slow machine a call may find the
/// limit filled up already.
#[tokio::test]
async fn a_limit_is_waited_for() {
    let server = AuthorizationServer::start_certified("bound_server.mjs").await.unwrap();
    let options = Options { exequatur: vec![LIMITS], ..Options::default() };
    let stack = Stack::start(trusting(&server, options)).await.unwrap();
    for language in Language::ALL {
        let settings = ExampleAgent::settings(&server, &stack, "crm-bot");
        let mut agent = ExampleAgent::start(language, &settings, server.folder()).unwrap();
        let mut waited = false;
        for _call in 0..20 {
            let said = get(&mut agent, DOCUMENT).await;
            let (followed, status) = came(&said);
            assert_eq!(status, 200, "{language:?}: {said}");
            waited = followed.contains(&"wait");
            if waited {
                // Having waited for as long as it was told, it is let through.
                assert_eq!(
                    followed.iter().filter(|step| **step == "wait").count(),
                    1,
                    "{language:?}: {said}"
                );
                break;
            }
        }
        assert!(waited, "{language:?} was never told to wait");
        let records = stack.records().await.unwrap();
        assert!(records.iter().any(|record| record["reason"] == "rate_limited"), "{records:?}");
        tells_no_secret(agent).await;
    }
}

/// A token that is bound to the certificate which was shown to get it; with another one it is worth nothing, and a new token that
/// is bound to the first does not help.
#[tokio::test]
async fn a_certificate_and_somebody_elses() {
    let server = AuthorizationServer::start_certified("bound_server.mjs").await.unwrap();
    let options =
        Options { example: Some("self-signed.yaml"), exequatur: vec![EITHER], ..Options::default() };
    let stack = Stack::start(trusting(&server, options)).await.unwrap();
    let tls = server.folder().join("tls");
    let read = |folder: &std::path::Path| std::fs::read_to_string(folder.join("ca.crt")).unwrap();
    std::fs::write(tls.join("both.crt"), read(&tls) + &read(&stack.folder().join("tls"))).unwrap();
    Shown::make(server.folder(), "other", Wanted::default()).unwrap();
    let mut settings = ExampleAgent::settings(&server, &stack, "certified-bot");
    settings["bound"] = json!("mtls");
    settings["certificate_file"] = json!(tls.join("client.crt"));
    settings["certificate_key_file"] = json!(tls.join("client.key"));
    settings["authorities_file"] = json!(tls.join("both.crt"));
    for language in Language::ALL {
        let mut agent = ExampleAgent::start(language, &settings, server.folder()).unwrap();
        let before = stack.upstream.received().len();
        let said = get(&mut agent, DOCUMENT).await;
        assert_eq!(came(&said), (vec![], 200), "{language:?}: {said}");
        let received = stack.upstream.received_after(before);
        let decision = received[0].values("x-exequatur-decision").join(",");
        let record = stack.record(&decision).await.unwrap();
        assert_eq!(record["controls"]["sender_constraint"]["kind"], "mtls", "{record}");
        tells_no_secret(agent).await;

        let script = match language {
            Language::TypeScript => "other_certificate.mjs",
            Language::Python => "other_certificate.py",
        };
        let output = language
            .command()
            .unwrap()
            .arg(exequatur_tests::binaries::repository().join("tests/e2e/clients").join(script))
            .arg(server.folder().join(format!("{language:?}-certified-bot.json")))
            .args(["tls/other.crt", "tls/other.key", DOCUMENT])
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        let said: Value =
            serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said} {errors}"));
        let expected = (vec!["renew"], 401);
        assert_eq!(
            (came(&said), &said["refused"]),
            (expected, &json!("mtls_cert_mismatch")),
            "{language:?}: {said}"
        );
        assert_eq!(stack.upstream.received_after(before).len(), 1);
    }
}

/// A user signs in; a route wants more of him; the agent asks him for just that, once.
#[tokio::test]
async fn a_user_is_asked_for_more() {
    let server = AuthorizationServer::start("step_up_server.mjs").await.unwrap();
    let options = Options { exequatur: super::step_up::ROUTES.to_vec(), ..Options::default() };
    let options = Options { issuer: Some(server.entry()), ..options };
    let stack = Stack::start(options).await.unwrap();
    let home = "https://crm-bot.example.com/callback";
    for language in Language::ALL {
        let mut settings = ExampleAgent::settings(&server, &stack, "crm-bot");
        settings["scope"] = json!("openid documents:read");
        settings["redirect_uri"] = json!(home);
        let mut agent = ExampleAgent::start(language, &settings, server.folder()).unwrap();
        let mut browser = Browser::new().unwrap();
        let mut signed_in = 0;
        for (path, times, expected) in [
            (DOCUMENT, 1, json!(200)),
            ("/tenants/acme/strong/plan", 1, json!(200)),
            // What the user cannot do.
            ("/tenants/acme/nobody/plan", 1, json!("step_up_required")),
            (DOCUMENT, 0, json!(200)),
        ] {
            let mut said = get(&mut agent, path).await;
            let mut asked = Vec::new();
            while let Some(address) = said["sign_in"].as_str() {
                asked.push(address.to_owned());
                let back = browser.sent_home(address, home).await.unwrap();
                said = agent.told(&back).await;
            }
            assert_eq!(asked.len(), times, "{language:?} {path}: {said}");
            let came = if said["refused"].is_string() { &said["refused"] } else { &said["status"] };
            assert_eq!(*came, expected, "{language:?} {path}: {said}");
            let steps = said["followed"].as_array().unwrap();
            let stepped = steps.iter().filter(|step| **step == "step_up").count();
            // The first sign-in is nobody's challenge.
            assert_eq!(stepped, times - usize::from(signed_in == 0), "{language:?} {path}: {said}");
            if path.contains("strong") {
                let wants = "acr_values=urn%3Aexample%3Akey+urn%3Aexample%3Apasskey&max_age=300";
                assert!(asked[0].contains(wants), "{asked:?}");
            }
            signed_in += times;
        }
        let received = stack.upstream.received();
        let user = received.last().unwrap().values("x-exequatur-user").join(",").replace("%3A", ":");
        assert_eq!(user, "corp:alice");
        tells_no_secret(agent).await;
    }
    assert_eq!(stack.upstream.received().len(), 6);
}
