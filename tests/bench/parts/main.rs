//! What the parts of a decision cost, in wall time within this process: `cargo bench -p exequatur-tests`.
//!
//! For finding out where the time of a whole decision goes; floors are kept over whole decisions, by `bench`.

#[expect(dead_code, reason = "the other half is for those who start servers")]
#[path = "../process.rs"]
mod process;
#[expect(dead_code, reason = "the other half is for those who start servers")]
#[path = "../scene.rs"]
mod scene;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use divan::Bencher;
use exequatur_issuers::{HttpConfig, Issuers};
use exequatur_policy::{
    AuthenticationFacts, ContextFacts, Identity, PolicySet, Principal, Principals, Question, ResourceFact,
    SenderConstraint, SignalFacts, TenantFact, TokenSource, Who,
};
use exequatur_proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use exequatur_server::config::{self, Source};
use exequatur_server::{Answerer, build};
use exequatur_token::{Proof, ProofExpectation, ProofLimits, TargetUri, TokenDigest};
use jiff::Timestamp;
use prost::Message as _;
use scene::{AUDIENCE, Scene, Size};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

fn main() {
    divan::main();
}

/// The service of a scene, in this process.
struct Site {
    scene: Scene,
    answerer: Answerer,
    policies: Arc<PolicySet>,
    runtime: Runtime,
    _folder: tempfile::TempDir,
}

impl Site {
    fn open(size: Size) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let scene = Scene::new(folder.path(), size).expect("a scene");
        let path = scene.write_configuration([1, 2, 3]).expect("a configuration");
        let text = std::fs::read_to_string(&path).expect("it was just written");
        let config = config::from_text(Source { path, text: text.into() }).expect("it is valid");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        // Started so long ago that no proof of now is in doubt.
        let now = |behind: Duration| -> exequatur_server::clock::Clock {
            Arc::new(move || Timestamp::now().checked_sub(behind).expect("a time"))
        };
        let entered = runtime.enter();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let issuers =
            Issuers::start(config.issuers.clone(), HttpConfig::default(), now(Duration::ZERO), &tasks, &stop)
                .expect("issuers");
        drop(entered);
        while !issuers.complete(Timestamp::now()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let generation = build(&config, 1).expect("a generation");
        let policies = Arc::clone(&generation.policies);
        let answerer = Answerer::new(&config, issuers, generation, now(Duration::ZERO)).expect("an answerer");
        // A proof from before the start is in doubt, and so is one of the same second.
        std::thread::sleep(Duration::from_millis(2500));
        Self { scene, answerer, policies, runtime, _folder: folder }
    }

    fn answer(&self, request: CheckRequest) -> CheckResponse {
        self.runtime.block_on(self.answerer.answer(request))
    }

    fn permitted(&self, request: CheckRequest) -> CheckResponse {
        let answer = self.answer(request);
        assert_eq!(answer.status.as_ref().map(|status| status.code), Some(0), "{answer:?}");
        answer
    }
}

static BOUND: LazyLock<Site> = LazyLock::new(|| Site::open(Size::USUAL));
static BEARER: LazyLock<Site> = LazyLock::new(|| Site::open(Size { bound: false, ..Size::USUAL }));

/// The whole answer to a message, but for the transport and the record.
mod answer {
    use super::*;

    #[divan::bench]
    fn bearer(bencher: Bencher<'_, '_>) {
        let requests = BEARER.scene.requests(64);
        let mut number = 0;
        bencher
            .with_inputs(|| {
                number += 1;
                requests[number % requests.len()].clone()
            })
            .bench_local_values(|request| BEARER.permitted(request));
    }

    #[divan::bench]
    fn dpop(bencher: Bencher<'_, '_>) {
        let mut number = 0;
        bencher
            .with_inputs(|| {
                number += 1;
                BOUND.scene.requests_from(number, 1).remove(0)
            })
            .bench_local_values(|request| BOUND.permitted(request));
    }
}

/// The messages themselves.
mod wire {
    use super::*;

    #[divan::bench]
    fn decode_request(bencher: Bencher<'_, '_>) {
        let bytes = BOUND.scene.requests(1).remove(0).encode_to_vec();
        bencher.bench_local(|| CheckRequest::decode(bytes.as_slice()));
    }

    #[divan::bench]
    fn encode_permit(bencher: Bencher<'_, '_>) {
        let answer = BEARER.permitted(BEARER.scene.requests(1).remove(0));
        bencher.bench_local(|| answer.encode_to_vec());
    }
}

/// Signatures, and what surrounds them.
mod token {
    use super::*;

    /// The ceiling: one ES256 verification with a key that is parsed already.
    #[divan::bench]
    fn verification_alone(bencher: Bencher<'_, '_>) {
        let (_, _, proof) = BOUND.scene.headers(0);
        let proof = proof.expect("the token is bound");
        let point = URL_SAFE_NO_PAD.decode(BOUND.scene.agent_point()).expect("base64url");
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).expect("a key");
        let (input, signature) = proof.rsplit_once('.').expect("three parts");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        bencher.bench_local(|| key.verify_sig(input.as_bytes(), &signature).expect("it holds"));
    }

    #[divan::bench]
    fn proof(bencher: Bencher<'_, '_>) {
        let (path, authorization, proof) = BOUND.scene.headers(0);
        let proof = proof.expect("the token is bound");
        let (_, token) = authorization.split_once(' ').expect("a scheme");
        let digest = TokenDigest::of(token);
        let target = TargetUri::parse_claim(&format!("{AUDIENCE}{path}")).expect("a target");
        let limits = ProofLimits::default();
        let expect = ProofExpectation { method: "GET", target: &target, token: &digest, limits: &limits };
        bencher.bench_local(|| Proof::verify(&proof, &expect, Timestamp::now()).expect("it holds"));
    }
}

/// Five policies of a hundred concern the request.
mod policies {
    use super::*;

    fn decide(bencher: Bencher<'_, '_>, route: impl Fn(usize) -> String) {
        let policies = &BEARER.policies;
        let agent = Principal { id: "i0:agent-0", issuer: "i0", tenant: Some("t0") };
        let identity = Identity {
            actor: agent,
            client: agent,
            user: None,
            tenant: Some(TenantFact::named("t0")),
            prior: &[],
        };
        let subject = policies.subject(&identity).expect("a subject");
        let mut number = 0;
        bencher
            .with_inputs(|| {
                number += 1;
                route(number)
            })
            .bench_local_refs(|route| {
                let question = Question {
                    who: Who::Ready(&subject),
                    principals: Principals::Agent,
                    action: "A0",
                    resource: ResourceFact {
                        kind: "Document",
                        id: "d0",
                        tenant: Some(TenantFact::named("t0")),
                        attributes: Vec::new(),
                    },
                    context: ContextFacts {
                        now: Timestamp::now(),
                        scopes: vec!["documents:read", "documents:write"],
                        sender_constraint: SenderConstraint::Bearer,
                        method: "GET",
                        route,
                        token_age_s: 1,
                        token_remaining_s: 3599,
                        delegation_depth: 0,
                        token_lifetime_s: 3600,
                        token_source: TokenSource::Jwt,
                        authentication: AuthenticationFacts::default(),
                        authorization_details: Vec::new(),
                        federation: None,
                        signals: Some(SignalFacts::default()),
                    },
                };
                policies.decide(&question).expect("an answer")
            });
    }

    #[divan::bench]
    fn asked_for_the_first_time(bencher: Bencher<'_, '_>) {
        decide(bencher, |number| format!("r{number}"));
    }

    #[divan::bench]
    fn asked_again(bencher: Bencher<'_, '_>) {
        decide(bencher, |_| "r0".to_owned());
    }
}
