//! The service under attack: the real one, put together from a configuration file, with its clock in our hand.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use exequatur_issuers::{HttpConfig, Issuers};
use exequatur_proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use exequatur_server::config::{self, Config, Source};
use exequatur_server::{Answerer, build};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::dice::Dice;
use crate::keys::{Key, algorithms};

/// The second at which every world begins.
pub(crate) const START: i64 = 1_800_000_000;

/// How the service stands to replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It has known every proof for longer than any can pass.
    Settled,
    /// It asks for a nonce in each proof.
    Strict,
    /// It has just started, so that it asks for nonces of its epoch.
    Young,
}

/// Every key there is, by what it is for.
pub(crate) struct Ring {
    pub(crate) keys: Vec<Key>,
    /// Of the issuer corp, one for each algorithm, published under [`kid`].
    pub(crate) corp: Vec<usize>,
    /// Of corp too, published without a name.
    pub(crate) nameless: usize,
    /// Of corp, published for encryption.
    pub(crate) sealing: usize,
    /// Of the issuer partner.
    pub(crate) partner: usize,
    /// Published by partner, of an algorithm that it may not use.
    pub(crate) partner_other: usize,
    /// Of agents, one for each algorithm.
    pub(crate) agents: Vec<usize>,
    /// Nobody's, one for each algorithm.
    pub(crate) strangers: Vec<usize>,
}

/// The name of corp's key for an algorithm.
pub(crate) fn kid(alg: &str) -> String {
    format!("corp-{}", alg.to_ascii_lowercase())
}

impl Ring {
    /// One of a row with a key for each algorithm; the expensive ones less often.
    pub(crate) fn draw(&self, row: &[usize], dice: &mut Dice) -> usize {
        let index = *dice.pick(row);
        let dear = matches!(self.keys[index].alg, "PS256" | "RS256" | "ES384");
        if dear && !dice.one_in(4) { *dice.pick(&row[..2]) } else { index }
    }

    fn generate() -> Self {
        let mut keys = Vec::new();
        let mut add = |alg| {
            keys.push(Key::generate(alg));
            keys.len() - 1
        };
        let mut each = || algorithms().into_iter().map(&mut add).collect::<Vec<_>>();
        let (corp, agents, strangers) = (each(), each(), each());
        let [nameless, sealing, partner_other] = ["ES256"; 3].map(&mut add);
        let partner = add("EdDSA");
        Self { keys, corp, nameless, sealing, partner, partner_other, agents, strangers }
    }

    fn corp_set(&self) -> Value {
        let mut set: Vec<_> =
            self.corp.iter().map(|index| self.keys[*index].named(&kid(self.keys[*index].alg))).collect();
        set.push(self.keys[self.nameless].jwk.clone());
        let mut sealing = self.keys[self.sealing].named("corp-enc");
        sealing["use"] = json!("enc");
        set.push(sealing);
        json!({ "keys": set })
    }

    fn partner_set(&self) -> Value {
        json!({ "keys": [self.keys[self.partner].named("p-1"), self.keys[self.partner_other].named("p-2")] })
    }
}

/// The service in one mood.
pub(crate) struct Site {
    pub(crate) mood: Mood,
    pub(crate) ring: Arc<Ring>,
    clock: Arc<AtomicI64>,
    config: Config,
    issuers: Arc<Issuers>,
    answerer: Answerer,
    started: i64,
    runtime: Runtime,
    _stop: DropGuard,
    _folder: tempfile::TempDir,
}

impl Site {
    /// One of each mood, with the same keys.
    pub(crate) fn all() -> Vec<Self> {
        let ring = Arc::new(Ring::generate());
        [Mood::Settled, Mood::Strict, Mood::Young].map(|mood| Self::open(mood, &ring)).into()
    }

    fn open(mood: Mood, ring: &Arc<Ring>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, set) in [("corp.json", ring.corp_set()), ("partner.json", ring.partner_set())] {
            std::fs::write(folder.path().join(name), set.to_string()).unwrap();
        }
        let source = Source { path: folder.path().join("exequatur.yaml"), text: configuration(mood).into() };
        let config = config::from_text(source).unwrap_or_else(|problems| panic!("{problems}"));
        // A second thread, so that keys are refreshed while this one decides.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // A settled store is older than any proof.
        let clock = Arc::new(AtomicI64::new((START - 3600) * 1000));
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let entered = runtime.enter();
        let issuers =
            Issuers::start(config.issuers.clone(), HttpConfig::default(), reading(&clock), &tasks, &stop)
                .unwrap();
        drop(entered);
        let answerer = answerer(&config, &issuers, &clock);
        clock.store(START * 1000, Ordering::SeqCst);
        let mut site = Self {
            mood,
            ring: Arc::clone(ring),
            clock,
            config,
            issuers,
            answerer,
            started: START * 1000,
            runtime,
            _stop: stop.drop_guard(),
            _folder: folder,
        };
        let loaded = async {
            while !site.issuers.complete(site.now()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = async { tokio::time::timeout(Duration::from_secs(60), loaded).await };
        site.runtime.block_on(waited).expect("the issuers' keys are loaded");
        site.freshen();
        site
    }

    /// A young service does not stay young: it is started anew, with an empty store of another epoch.
    pub(crate) fn freshen(&mut self) {
        if self.mood == Mood::Young && (self.millis() - self.started > 8_000 || self.millis() == START * 1000)
        {
            self.restart();
        }
    }

    /// An empty store of another epoch.
    pub(crate) fn restart(&mut self) {
        self.answerer = answerer(&self.config, &self.issuers, &self.clock);
        self.started = self.millis();
    }

    pub(crate) fn millis(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.millis()).unwrap()
    }

    /// Whole seconds.
    pub(crate) fn seconds(&self) -> i64 {
        self.millis().div_euclid(1000)
    }

    pub(crate) fn advance(&self, millis: i64) {
        self.clock.fetch_add(millis, Ordering::SeqCst);
    }

    pub(crate) fn answer(&self, request: CheckRequest) -> CheckResponse {
        self.runtime.block_on(self.answerer.answer(request))
    }
}

fn reading(clock: &Arc<AtomicI64>) -> exequatur_server::clock::Clock {
    let clock = Arc::clone(clock);
    Arc::new(move || Timestamp::from_millisecond(clock.load(Ordering::SeqCst)).unwrap())
}

fn answerer(config: &Config, issuers: &Arc<Issuers>, clock: &Arc<AtomicI64>) -> Answerer {
    let generation = build(config, 1).unwrap_or_else(|error| panic!("{error}"));
    Answerer::new(config, Arc::clone(issuers), generation, reading(clock)).unwrap()
}

fn configuration(mood: Mood) -> String {
    let policies = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("attack/policies");
    let algorithms = algorithms().join(", ");
    let nonce = if mood == Mood::Strict { "required" } else { "\"off\"" };
    let guarded = |name: &str, action: &str, scopes: &str, sender: &str, rest: &str| {
        format!(
            r#"
  - name: {name}
    match: {{ path: "/tenants/{{tenant}}/{name}/{{kind}}/{{id}}", methods: [GET, POST] }}
    action: {action}
    resource: {{ type: Item, id: "{{id}}", tenant: "{{tenant}}", attributes: {{ kind: "{{kind}}" }} }}
    scopes: [{scopes}]
    sender_constraint: {sender}
    {rest}"#
        )
    };
    let read = "\"documents:read\"";
    let forward = "credentials: { forward: { audience: \"https://up.example.com\" } }";
    let routes = [
        guarded("documents", "Use", read, "dpop", ""),
        guarded("notes", "Use", "\"notes:write\", \"note:{id}\"", "any", ""),
        guarded("vault", "Use", "\"vault:open\"", "mtls", ""),
        guarded("lists", "Use", "\"lists:read\"", "none", ""),
        guarded("hidden", "Use", read, "any", "hide: true"),
        guarded("upstream", "Use", read, "any", forward),
        guarded("rules", "Rule", read, "none", ""),
    ]
    .concat();
    format!(
        r#"
policies: {policies}
unauthenticated: {{ rate: 1000000/s, burst: 1000000 }}
deadline: 10s
protected_resources:
  - {{ resource: "https://api.example.com" }}
  - {{ resource: "https://files.example.com/v1", origin: "https://files.example.com:8443" }}
issuers:
  - name: corp
    issuer: https://sts.example.com
    jwks: {{ file: corp.json }}
    audiences: ["https://api.example.com", "https://files.example.com/v1", "https://up.example.com"]
    algorithms: [{algorithms}]
    max_lifetime: 15m
    leeway: 5s
    max_stale: 24h
    claims: {{ agent: client_id, user: {{ claim: sub, unless: {{ gty: client-credentials }} }}, tenant: tenant }}
    tenants: [acme, globex]
  - name: partner
    issuer: https://partner.example.net/
    jwks: {{ file: partner.json }}
    audiences: ["https://api.example.com"]
    algorithms: [EdDSA]
    max_lifetime: 5m
    leeway: 0s
    max_stale: 24h
    accept_typ_jwt: true
    claims: {{ agent: azp, user: {{ claim: uid, unless: {{ gty: client-credentials }} }}, tenant: org }}
    tenants: [globex]
sender_constraint:
  require: none
  dpop: {{ max_age: 60s, skew: 5s, future: 10s, algorithms: [{algorithms}], nonce: {nonce}, nonce_max_age: 1m }}
routes:{routes}
  - name: files
    match: {{ host: files.example.com, path: "/files/{{kind}}/{{id}}", methods: [GET] }}
    action: Use
    resource: {{ type: Item, id: "{{id}}", attributes: {{ kind: "{{kind}}" }} }}
    scopes: ["files:read"]
    sender_constraint: any
  - {{ name: health, match: {{ path: /healthz, methods: [GET] }}, access: public }}
  - {{ name: preflight, match: {{ path: "/**", methods: [OPTIONS] }}, access: preflight }}
"#,
        policies = policies.display()
    )
}
