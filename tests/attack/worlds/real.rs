//! The real parts, made to be the same world as the model's.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use exequatur_decide::{
    Access, AttributeTemplate, BodySeen, CacheConfig, CredentialHandling, Decider, DeciderParts, Facts,
    FreshNonce, Guard, Host, NonceMode, PathPattern, ProtectedResource, ProtectedResources, RawRequest,
    Refusal, ResourceTemplate, Route as RealRoute, RouteMatch, Routes, SenderPolicy, SenderRequirement,
    Settled, Template, TokenCache, Trail, UserRequirement,
};
use exequatur_decide::{Denial, Federations, Generation as RealGeneration, Tenants};
use exequatur_issuers::{HttpConfig, IssuerConfig, Issuers, KeySource};
use exequatur_policy::{PolicyFolder, PolicySet, Principals, Source};
use exequatur_store::{EmbeddedStore, MAX_UNITS, Rate, RatePer, ReplayLimits};
use exequatur_token::{
    Algorithm, ClaimNames, IssuerProfile, NonceSecret, Nonces, Origin, ProofLimits, TenantScope, Unmarked,
    UserClaim,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::certificates;
use crate::dice::Dice;
use crate::facts::{
    AGE, Actions, Credentials, FUTURE, Generation, Id, Identity, Issuer, Nonce, Outcome, Policy, Proof,
    Request, Route, SKEW, Sender, Things, Token, User,
};
use crate::jose::{Document, Jws, Seal};
use crate::keys::{Key, digest};
use crate::worlds::START;
use crate::worlds::draw::{self, AGENTS, HOSTS, PUBLISHED, Setting};

const SCHEMA: &str = r"
entity Item, Shelf in [Exequatur::Tenant] { tenant: Exequatur::Tenant, kind: String };
action Touch;
action Use, Keep in [Touch] appliesTo { principal: [Exequatur::Agent, Exequatur::User], resource: [Item, Shelf], context: Exequatur::Context };
action Drop appliesTo { principal: [Exequatur::Agent, Exequatur::User], resource: [Item, Shelf], context: Exequatur::Context };
";
/// When keys are loaded, whenever that is: before every world, however far it goes back.
const LOADED: i64 = START - 10_000;
/// How many generations there are to choose from.
const GENERATIONS: usize = 240;

/// What is made once for all worlds.
pub(crate) struct Bench {
    runtime: Runtime,
    issuers: Arc<Issuers>,
    keys: BTreeMap<Id, usize>,
    ring: Vec<Key>,
    generations: Vec<(Generation, OnceCell<RealGeneration>)>,
    folder: tempfile::TempDir,
    asked: AtomicI64,
    _stop: DropGuard,
}

/// The two texts of a request.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    pub(crate) token: String,
    pub(crate) proof: Option<String>,
}

fn url(name: &str) -> String {
    format!("https://{name}.example.com")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("in range")
}

impl Bench {
    pub(crate) fn new(seed: u64) -> Self {
        let (mut keys, mut ring) = (BTreeMap::new(), Vec::new());
        for id in AGENTS.into_iter().chain(10..10 + PUBLISHED).chain(20..20 + PUBLISHED) {
            keys.insert(id, ring.len());
            ring.push(Key::generate(if id % crate::facts::ALGORITHMS == 0 { "ES256" } else { "EdDSA" }));
        }
        let folder = tempfile::tempdir().unwrap();
        let configs =
            draw::issuers().iter().map(|issuer| config(issuer, folder.path().join(issuer.name))).collect();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let entered = runtime.enter();
        let issuers =
            Issuers::start(configs, HttpConfig::default(), Arc::new(|| at(LOADED)), &tasks, &stop).unwrap();
        drop(entered);
        let mut dice = Dice::new(seed);
        let generations = (0..GENERATIONS).map(|_| (draw::generation(&mut dice), OnceCell::new())).collect();
        let asked = AtomicI64::new(0);
        Self { runtime, issuers, keys, ring, generations, folder, asked, _stop: stop.drop_guard() }
    }

    pub(crate) fn generations(&self) -> usize {
        self.generations.len()
    }

    pub(crate) fn facts(&self, index: usize) -> Generation {
        self.generations[index].0.clone()
    }

    /// Compiled when it is first in force.
    fn real(&self, index: usize) -> &RealGeneration {
        let (facts, real) = &self.generations[index];
        real.get_or_init(|| compile(facts, index))
    }

    fn key(&self, id: Id) -> &Key {
        &self.ring[self.keys[&id]]
    }
}

fn config(issuer: &Issuer, keys: PathBuf) -> IssuerConfig {
    let profile = IssuerProfile {
        name: issuer.name.parse().unwrap(),
        issuer: url(issuer.name),
        audiences: issuer.audiences.iter().map(|audience| (*audience).to_owned()).collect(),
        algorithms: vec![Algorithm::Es256, Algorithm::EdDsa],
        max_lifetime: SignedDuration::from_secs(issuer.lifetime),
        leeway: SignedDuration::from_secs(issuer.leeway),
        accept_typ_jwt: false,
        claims: ClaimNames {
            // Tokens without a user are the client's own here, unmarked.
            user: Some(UserClaim { otherwise: Unmarked::Client, ..UserClaim::new("uid") }),
            tenant: Some("tenant".to_owned()),
            ..ClaimNames::default()
        },
        tenants: TenantScope::Only(issuer.tenants.iter().map(|tenant| (*tenant).to_owned()).collect()),
        status_required: false,
    };
    let mut config = IssuerConfig::new(profile, KeySource::File { path: keys });
    config.cooldown = Duration::from_millis(1);
    config.max_stale = Duration::from_secs(24 * 3600);
    config
}

/// A world's own decider and store.
pub(crate) struct Real<'a> {
    bench: &'a Bench,
    setting: Setting,
    generation: usize,
    decider: Decider,
}

impl<'a> Real<'a> {
    pub(crate) fn new(bench: &'a Bench, setting: &Setting) -> Self {
        let decider = decider(bench, setting, START - setting.known_for);
        Self { bench, setting: setting.clone(), generation: setting.generation, decider }
    }

    pub(crate) fn restart(&mut self, now: i64) {
        self.decider = decider(self.bench, &self.setting, now);
    }

    pub(crate) fn reload(&mut self, index: usize) -> Generation {
        self.generation = index;
        self.bench.facts(index)
    }

    /// Publishes keys, and waits until they are loaded.
    pub(crate) fn publish(&self, index: usize, keys: &BTreeSet<Id>) {
        if keys.is_empty() {
            return;
        }
        let name = draw::issuers()[index].name;
        let set: Vec<_> = keys.iter().map(|id| self.bench.key(*id).named(&format!("k{id}"))).collect();
        let set = json!({ "keys": set }).to_string();
        let path = self.bench.folder.path().join(name);
        if std::fs::read_to_string(&path).is_ok_and(|now| now == set) {
            return;
        }
        let issuer = self.bench.issuers.find(&url(name)).expect("configured");
        let before = issuer.keys(at(START)).ok().map(|keys| keys.id());
        let draft = path.with_extension("draft");
        std::fs::write(&draft, set).unwrap();
        std::fs::rename(draft, path).unwrap();
        let changed = || issuer.keys(at(START)).ok().map(|keys| keys.id()) != before;
        for _ in 0..1_000_000 {
            // Each at another instant, so that no cooldown stands in the way.
            let instant = self.bench.asked.fetch_add(1, Ordering::Relaxed);
            let another =
                issuer.sought_key(Some(&format!("another-{instant}")), exequatur_token::Algorithm::Es256);
            issuer.unknown_key_seen(another, at(START + 10 + instant % 2));
            for _ in 0..100 {
                if changed() {
                    return;
                }
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_micros(50));
        }
        panic!("the keys of {name} are not loaded");
    }

    pub(crate) fn sign_token(&self, token: &Token) -> String {
        let key = self.bench.key(token.signer);
        let mut header = json!({"typ": "at+jwt", "alg": key.alg});
        if let Some(name) = token.names_key {
            header["kid"] = json!(format!("k{name}"));
        }
        let issuer = token.issuer.map_or_else(
            || "https://nobody.example.com".to_owned(),
            |index| url(draw::issuers()[index].name),
        );
        let mut claims = json!({
            "iss": issuer, "sub": "s", "client_id": token.agent, "jti": format!("t{}", token.id), "aud": token.audience,
            "iat": token.issued, "exp": token.expires, "scope": token.scopes.join(" "),
        });
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                claims[name] = value;
            }
        };
        put("uid", token.user.map(Value::from));
        put("tenant", token.tenant.map(Value::from));
        put("nbf", token.not_before.map(Value::from));
        let actors =
            token.actors.iter().rev().fold(None, |inner, actor| {
                Some(inner.map_or_else(
                    || json!({"sub": actor}),
                    |inner: Value| json!({"sub": actor, "act": inner}),
                ))
            });
        put("act", actors);
        put("may_act", token.may_act.map(|named| json!({"sub": named})));
        let mut cnf = serde_json::Map::new();
        if let Some(key) = token.key {
            cnf.insert("jkt".to_owned(), json!(self.bench.key(key).thumbprint));
        }
        if let Some(number) = token.certificate {
            cnf.insert("x5t#S256".to_owned(), json!(certificates::thumbprint(small(number))));
        }
        put("cnf", (!cnf.is_empty()).then_some(Value::Object(cnf)));
        self.sign(&header, &claims, token.signer)
    }

    pub(crate) fn sign_proof(&self, proof: &Proof, token: &str, nonce: Option<&str>) -> String {
        let key = self.bench.key(proof.shows);
        let header = json!({"typ": "dpop+jwt", "alg": key.alg, "jwk": key.jwk});
        let mut claims = json!({
            "jti": format!("p{}", proof.id), "htm": proof.method, "iat": proof.issued, "ath": digest(token.as_bytes()),
            "htu": format!("https://{}{}", proof.host, path(&proof.path)),
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        self.sign(&header, &claims, proof.signer)
    }

    fn sign(&self, header: &Value, claims: &Value, signer: Id) -> String {
        let seal = Seal::Key(self.bench.keys[&signer]);
        Jws { header: Document::of(header), payload: Document::of(claims), seal }.compact(&self.bench.ring)
    }

    /// The decision, and the nonce that came with it.
    pub(crate) fn decide(&self, request: &Request, texts: &Texts, now: i64) -> (Outcome, Option<String>) {
        let authorization = match &request.credentials {
            Credentials::None => None,
            Credentials::Bearer(_) => Some(format!("Bearer {}", texts.token)),
            Credentials::Dpop(..) => Some(format!("DPoP {}", texts.token)),
        };
        let mut headers: Vec<(&str, &[u8])> = Vec::new();
        headers.extend(authorization.as_ref().map(|value| ("authorization", value.as_bytes())));
        headers.extend(texts.proof.as_ref().map(|value| ("dpop", value.as_bytes())));
        let certificate = request.certificate.map(|number| certificates::encoded(small(number)));
        let target = path(&request.path);
        let raw = RawRequest {
            method: request.method,
            host: request.host,
            target: &target,
            headers: &headers,
            certificate: certificate.as_deref(),
            body: BodySeen::Absent,
            peer: None,
        };
        let mut observer = |_stage| {};
        let mut trail = Trail::new(&mut observer);
        let generation = self.bench.real(self.generation);
        let result = self.bench.runtime.block_on(self.decider.check(&raw, generation, at(now), &mut trail));
        outcome(&result, &trail.facts)
    }
}

fn small(number: Id) -> u8 {
    u8::try_from(number).expect("few")
}

fn path(path: &crate::facts::Path) -> String {
    format!("/tenants/{}/{}/{}/{}", path.tenant, path.route, path.kind, path.id)
}

fn outcome(result: &Result<Settled, Refusal>, facts: &Facts) -> (Outcome, Option<String>) {
    let (decision, nonce) = match result {
        Ok(settled) => (Ok(settled.grant().map(identity)), settled.next_nonce()),
        Err(refusal) => {
            let nonce = match refusal {
                Refusal::Denied(Denial::NonceRequired(nonce) | Denial::NonceInvalid(nonce)) => Some(nonce),
                _ => None,
            };
            (Err(refusal.reason().code()), nonce)
        }
    };
    let nonce = nonce.map(FreshNonce::as_str).map(str::to_owned);
    let policies = facts.policies.iter().cloned().collect();
    // Which nonce it is, only its text says.
    (Outcome { decision, policies, nonce: nonce.as_ref().map(|_| Nonce::Foreign) }, nonce)
}

fn identity(grant: &exequatur_decide::Grant) -> Identity {
    Identity {
        agent: grant.agent.clone(),
        client: String::new(),
        user: grant.user.clone(),
        tenant: grant.tenant.clone(),
        scopes: grant.scopes.clone(),
        actors: grant.delegation.clone(),
        forwarded: matches!(grant.credentials, CredentialHandling::Forward { .. }),
    }
}

fn decider(bench: &Bench, setting: &Setting, complete_since: i64) -> Decider {
    let bound = |count: usize| u32::try_from(count).ok().and_then(NonZeroU32::new).expect("not zero");
    let limits = ReplayLimits {
        max_proofs: bound(setting.limits.all),
        max_per_tenant: bound(setting.limits.tenant),
        max_per_key: bound(setting.limits.key),
    };
    let proofs = ProofLimits {
        max_age: SignedDuration::from_secs(AGE),
        skew: SignedDuration::from_secs(SKEW),
        future: SignedDuration::from_secs(FUTURE),
        ..ProofLimits::default()
    };
    let nonces = setting.nonces.map_or(NonceMode::Off, |seconds| NonceMode::Required {
        max_age: SignedDuration::from_secs(seconds),
    });
    let decider = Decider::new(DeciderParts {
        revocations: Arc::new(exequatur_store::Snapshot::local()),
        overrides: Arc::new(exequatur_store::Overrides::none()),
        subjects: Arc::new(exequatur_store::Subjects::local()),
        issuers: Arc::clone(&bench.issuers),
        store: Arc::new(EmbeddedStore::new(limits, at(complete_since)).unwrap()),
        cache: TokenCache::new(CacheConfig { entries: 16 }),
        nonces: Nonces::new(NonceSecret::new(&[7; 32]).unwrap(), Vec::new()).into(),
        sender: SenderPolicy { proofs, nonces },
    });
    // Sources are not told apart in these worlds, and nobody is to be held back.
    let most = NonZeroU32::new(MAX_UNITS).expect("not zero");
    decider.with_unauthenticated(Rate::new(NonZeroU32::MIN, RatePer::Hour, most).expect("within bounds"))
}

fn compile(generation: &Generation, number: usize) -> RealGeneration {
    let mut text = String::new();
    for policy in &generation.policies {
        write_policy(&mut text, policy);
    }
    let folder = PolicyFolder {
        schema: vec![Source::new("world.cedarschema", SCHEMA)],
        policies: vec![Source::new("world.cedar", text)],
        tests: Vec::new(),
    };
    let policies = PolicySet::load(&folder).unwrap_or_else(|problems| panic!("{problems}"));
    let resource = |(name, identifier): &(&str, &str)| ProtectedResource {
        identifier: (*identifier).to_owned(),
        aliases: Vec::new(),
        origin: Origin::parse(&format!("https://{name}")).unwrap(),
        host: Host::parse(name).unwrap(),
        scopes: Vec::new(),
        metadata_url: format!("https://{name}/.well-known/oauth-protected-resource"),
    };
    let protected = ProtectedResources::new(HOSTS.iter().map(resource).collect());
    let routes = generation.routes.iter().map(route).collect();
    let routes = Routes::compile(routes, protected, &policies, SenderRequirement::None).unwrap();
    let mut configuration = [0; 32];
    configuration[..8].copy_from_slice(&number.to_be_bytes());
    RealGeneration {
        number: 1,
        routes,
        limits: Arc::default(),
        tenants: Tenants::default(),
        federations: Federations::default(),
        policies,
        configuration,
    }
}

fn route(route: &Route) -> RealRoute {
    let template = |text: &str| Template::parse(text).unwrap();
    let item = route.item_scope.then_some("item:{id}");
    let guard = Guard {
        action: route.action.to_owned(),
        resource: ResourceTemplate {
            kind: route.of.to_owned(),
            id: template("{id}"),
            tenant: Some(template("{tenant}")),
            attributes: vec![("kind".to_owned(), AttributeTemplate::Text(template("{kind}")))],
        },
        scopes: route.scopes.iter().copied().chain(item).map(template).collect(),
        user: match route.user {
            User::Any => UserRequirement::Any,
            User::Required => UserRequirement::Required,
            User::Refused => UserRequirement::Refused,
        },
        principals: if route.both { Principals::Both } else { Principals::Agent },
        step_up: None,
        authorization_details: Vec::new(),
        sender: match route.sender {
            Sender::None => SenderRequirement::None,
            Sender::Any => SenderRequirement::Any,
            Sender::Dpop => SenderRequirement::Dpop,
            Sender::Mtls => SenderRequirement::Mtls,
        },
        credentials: route.forward.map_or(CredentialHandling::Strip, |audience| {
            CredentialHandling::Forward { audience: audience.to_owned() }
        }),
        hide: false,
        upgrades: Vec::new(),
        cost: NonZeroU32::MIN,
    };
    RealRoute {
        name: route.name.to_owned(),
        matches: RouteMatch {
            host: None,
            path: PathPattern::parse(&format!("/tenants/{{tenant}}/{}/{{kind}}/{{id}}", route.name)).unwrap(),
            methods: route.methods.iter().map(|method| (*method).to_owned()).collect(),
        },
        access: if route.public { Access::Public } else { Access::Guarded(Arc::new(guard)) },
        record: None,
    }
}

fn write_policy(text: &mut String, policy: &Policy) {
    let effect = if policy.forbid { "forbid" } else { "permit" };
    let mut agent =
        policy.agent.map(|agent| format!(" == Exequatur::Agent::\"{agent}\"")).unwrap_or_default();
    agent.extend(policy.person.map(|person| format!(" == Exequatur::User::\"{person}\"")));
    agent.extend(policy.agents_of.map(in_tenant));
    let action = policy.actions.map(actions).unwrap_or_default();
    let resource = policy.things.map(things).unwrap_or_default();
    let mut conditions = Vec::new();
    let mut when =
        |named: Option<&str>, condition: fn(&str) -> String| conditions.extend(named.map(condition));
    when(policy.user, |user| format!("context has user && context.user == Exequatur::User::\"{user}\""));
    when(policy.kind, |kind| format!("resource.kind == \"{kind}\""));
    when(policy.tenant, |tenant| format!("resource in Exequatur::Tenant::\"{tenant}\""));
    when(policy.scope, |scope| format!("context.scopes.contains(\"{scope}\")"));
    when(policy.constraint, |constraint| format!("context.sender_constraint == \"{constraint}\""));
    when(policy.actor, |actor| {
        format!("context.delegation.depth > 0 && context.actor == Exequatur::Agent::\"{actor}\"")
    });
    when(policy.prior, |prior| format!("context.delegation.prior.contains(Exequatur::Agent::\"{prior}\")"));
    when(policy.client, |client| format!("context.client == Exequatur::Agent::\"{client}\""));
    when(policy.route, |route| format!("context.route == \"{route}\""));
    // Too large a sum, where it comes to that.
    let sum = "(if context.method == \"NEVER\" then 0 else 1) + 9223372036854775807 > 0";
    when(policy.fails.then_some(sum), str::to_owned);
    let conditions = conditions.join(" && ");
    let conditions = if conditions.is_empty() { String::new() } else { format!(" when {{ {conditions} }}") };
    writeln!(
        text,
        "@id(\"{}\")\n{effect} (principal{agent}, action{action}, resource{resource}){conditions};",
        policy.id
    )
    .unwrap();
}

fn in_tenant(tenant: &str) -> String {
    format!(" in Exequatur::Tenant::\"{tenant}\"")
}

fn actions(actions: Actions) -> String {
    match actions {
        Actions::One(action) => format!(" == Action::\"{action}\""),
        Actions::Group => " in Action::\"Touch\"".to_owned(),
        Actions::OneOf(actions) => {
            let named: Vec<_> = actions.iter().map(|action| format!("Action::\"{action}\"")).collect();
            format!(" in [{}]", named.join(", "))
        }
    }
}

fn things(things: Things) -> String {
    match things {
        Things::All(kind) => format!(" is {kind}"),
        Things::One(kind, id) => format!(" == {kind}::\"{id}\""),
        Things::Of(tenant) => in_tenant(tenant),
        Things::AllOf(kind, tenant) => format!(" is {kind}{}", in_tenant(tenant)),
    }
}
