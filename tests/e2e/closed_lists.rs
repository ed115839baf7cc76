//! The closed lists of headers, whole, through both listeners.

use exequatur_tests::{Agent, Call, Options, Stack};
use serde_json::json;

const SET: [&str; 6] = ["decision", "agent", "user", "tenant", "scopes", "delegation"];
const REMOVED: [&str; 5] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-method", "x-envoy-auth-partial-body"];

/// N06, G21, B-03: forged copies of every header that is set or removed, in each spelling that the listener
/// lets through. The hardened listener's mutation rules turn a name outside its list into a 500, so a permit
/// shows that the lists agree.
#[tokio::test]
async fn a_permit_sets_and_removes_every_header_of_the_lists() {
    for options in Options::everywhere() {
        let hardened = options.hardened;
        let stack = Stack::start(options).await.unwrap();
        let agent = Agent::new();
        let act = json!({ "act": { "sub": "planner", "act": { "sub": "front-desk" } } });
        let token = stack.tokens.token(&agent, &act);
        let mut forged: Vec<String> = REMOVED.map(str::to_owned).to_vec();
        // Envoy itself refuses underscores on the hardened listener.
        let separators: &[char] = if hardened { &['-', '.'] } else { &['-', '.', '_'] };
        for part in SET {
            for first in separators {
                forged.extend(separators.iter().map(|second| format!("x{first}exequatur{second}{part}")));
            }
        }
        let url = stack.url("/tenants/acme/documents/plan");
        let call = forged.iter().fold(Call::new("GET", &url), |call, name| call.with(name, "forged"));
        let answer = stack.call(&agent, &token, &call).await.unwrap();
        assert_eq!(answer.status, 200, "hardened: {hardened}, {answer:?}");

        let received = stack.upstream.received();
        let request = received.last().unwrap();
        for part in SET {
            let values = request.values(&format!("x-exequatur-{part}"));
            assert_eq!(values.len(), 1, "{part}: {values:?}");
            assert_ne!(values[0], "forged", "{part}");
        }
        assert_eq!(request.values("x-exequatur-delegation"), ["corp:planner,corp:front-desk"]);
        let ours = |name: &String| SET.iter().any(|part| *name == format!("x-exequatur-{part}"));
        let gone = forged.iter().filter(|name| !ours(name)).map(String::as_str);
        for name in gone.chain(["authorization", "dpop"]) {
            assert!(request.values(name).is_empty(), "{name} reached the upstream");
        }
    }
}

/// The same lists on a permit that carries nobody's name: all are removed, but for the decision's id.
#[tokio::test]
async fn a_public_permit_removes_every_identity() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let url = stack.url("/healthz");
    let names = SET.map(|part| format!("x-exequatur-{part}"));
    let call = names.iter().fold(Call::new("GET", &url), |call, name| call.with(name, "forged"));
    assert_eq!(stack.send(&call, None, None).await.unwrap().status, 200);
    let received = stack.upstream.received();
    for name in &names {
        let values = received[0].values(name);
        assert!(!values.contains(&"forged".to_owned()), "{name}");
        assert_eq!(values.len(), usize::from(name == "x-exequatur-decision"), "{name}");
    }
}
