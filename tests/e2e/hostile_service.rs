//! B-14: whoever is in Exequatur's place and breaks off, or answers with anything but a decision, lets nothing through.

use exequatur_tests::hostile_service::{HostileService, Says};
use exequatur_tests::{DOCUMENT, Holder, OPEN, Options, Raw, Stack, Version, in_time};
use h2::Reason;
use serde_json::Value;

/// The port at which Envoy looks for Exequatur; nobody listens there yet.
const ELSEWHERE: (&str, &str) = ("port_value: 9191", "port_value: 9194");

const HOSTILE: [Says; 17] = [
    Says::Closed,
    Says::Http1,
    Says::Reset(Reason::INTERNAL_ERROR),
    Says::Reset(Reason::REFUSED_STREAM),
    Says::Reset(Reason::NO_ERROR),
    Says::GoAway,
    Says::HeadThenReset,
    Says::PermitThenReset,
    Says::Garbage,
    Says::Unframed,
    Says::Truncated,
    Says::Compressed,
    Says::Nothing,
    Says::PermitWithStatus("14"),
    Says::PermitWithStatus("7"),
    Says::PermitWithHttp(503),
    Says::PermitWithHttp(404),
];

/// Guarded with everything that a permit takes, with a body, public, and nothing.
fn requests(holder: &Holder) -> Vec<Raw> {
    let write = holder.sign(Raw::new("PUT", DOCUMENT)).sized("new words");
    vec![holder.sign(Raw::new("GET", DOCUMENT)), write, Raw::new("GET", OPEN), Raw::new("GET", "/nowhere")]
}

/// A service that says this, once Envoy has noticed that the one before is gone and has asked it: until then there is
/// nothing but 503, and afterwards whatever it makes of it.
async fn service(stack: &Stack, says: Says) -> HostileService {
    let service = HostileService::start(stack.ports.second[0], says).await.unwrap();
    let asked = async {
        while service.asked() == 0 {
            stack.raw(Version::Http1).send(&Raw::new("GET", "/waiting")).await.unwrap();
        }
    };
    in_time("a Check", asked).await;
    service
}

async fn statuses(stack: &Stack, holder: &Holder) -> Vec<u16> {
    let mut statuses = Vec::new();
    for version in [Version::Http1, Version::Http2] {
        let answers = stack.raw(version).send_all(requests(holder)).await.unwrap();
        statuses.extend(answers.iter().map(|answer| answer.status));
    }
    statuses
}

#[tokio::test]
async fn resets_and_garbage_let_nothing_through() {
    for hardened in [false, true] {
        let stack = Stack::start(Options { envoy: vec![ELSEWHERE], ..Options::on(hardened) }).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        for says in HOSTILE {
            let service = service(&stack, says).await;
            assert_eq!(statuses(&stack, &holder).await, [503; 8], "hardened {hardened} {says:?}");
            assert!(stack.upstream.received().is_empty(), "hardened {hardened} {says:?}");
            service.stop().await;
        }
        // Whoever speaks the language is believed: what keeps a stranger out of that place is the way to it, which
        // `exequatur envoy lint` looks at. By Envoy's own rules a decision without a status is a permit too.
        for says in [Says::Permit, Says::Empty] {
            let before = stack.upstream.received().len();
            let service = service(&stack, says).await;
            let before = before.max(stack.upstream.received().len());
            assert_eq!(statuses(&stack, &holder).await, [200; 8], "hardened {hardened} {says:?}");
            assert_eq!(stack.upstream.received().len(), before + 8, "hardened {hardened} {says:?}");
            service.stop().await;
        }
    }
}

/// What `failure_mode_allow: false` is for.
#[tokio::test]
async fn a_failure_mode_that_allows_would_let_them_through() {
    let allowed = ("failure_mode_allow: false", "failure_mode_allow: true");
    let stack =
        Stack::start(Options { envoy: vec![ELSEWHERE, allowed], ..Options::default() }).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    for says in [Says::Reset(Reason::INTERNAL_ERROR), Says::Garbage, Says::PermitWithStatus("7")] {
        let service = service(&stack, says).await;
        let before = stack.upstream.received().len();
        assert_eq!(statuses(&stack, &holder).await, [200; 8], "{says:?}");
        assert_eq!(stack.upstream.received().len(), before + 8, "{says:?}");
        service.stop().await;
    }
}
