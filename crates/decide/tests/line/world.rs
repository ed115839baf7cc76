//! The parts of a decision, put together as a server would.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use exequatur_decide::{
    Access, AttributeTemplate, BodySeen, CacheConfig, CredentialHandling, Decider, DeciderParts,
    DetailTemplate, Facts, Generation, Guard, Host, Locations, NonceMode, PathPattern, ProtectedResource,
    ProtectedResources, RawRequest, Refusal, ResourceTemplate, Revocable, Route, RouteMatch, Routes,
    SenderPolicy, SenderRequirement, Settled, StepUp, Template, TokenCache, Trail, UserRequirement,
};
use exequatur_issuers::{
    AnswerForm, AssertionAudience, ClientAuthentication, ClientKey, Clock, HttpConfig, IntrospectionConfig,
    IntrospectionEndpoint, Issuer, IssuerConfig, Issuers, KeySource, Place, StatusListConfig,
};
use exequatur_policy::{PolicyFolder, PolicySet, Principals, Source};
use exequatur_store::{
    AdmissionStore as _, AttributeStore as _, EmbeddedAttributes, EmbeddedOverrides, EmbeddedRevocations,
    EmbeddedStore, Form, Lift, MAX_ATTRIBUTES, MAX_OVERRIDES, Note, OverrideStore as _, Rate, ReplayLimits,
    Revocation, RevocationKind, RevocationLimits, RevocationStore as _, Snapshot, Staleness, Subjects,
};
use exequatur_token::{
    Algorithm, ClaimNames, ClaimWords, IssuerProfile, NonceSecret, Nonces, Origin, ProofLimits, TokenSize,
    UserClaim,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ask::{API, Ask, ISSUER, NOW};
use crate::key::Key;

/// `seconds` after [`NOW`].
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds).unwrap()
}

const SCHEMA: &str = r#"
entity Document in [Exequatur::Tenant] { tenant: Exequatur::Tenant, sensitivity: String };
action ReadDocument appliesTo {
    principal: [Exequatur::Agent, Exequatur::User], resource: [Document], context: Exequatur::Context
};
"#;

/// `broken` adds 1 to the largest number, which fails; nothing else can.
const POLICIES: &str = r#"
@id("crm-bot-reads")
permit (principal == Exequatur::Agent::"corp:crm-bot", action == Action::"ReadDocument", resource);
@id("no-secrets")
forbid (principal, action == Action::"ReadDocument", resource) when { resource.sensitivity == "secret" };
@id("broken")
forbid (principal, action == Action::"ReadDocument", resource)
when { (if context.scopes.contains("broken") then 1 else 0) + 9223372036854775807 < 0 };
"#;

/// The key of RFC 8410 section 10.3: nobody is known by it.
const CLIENT_KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";

pub(crate) fn policies() -> Arc<PolicySet> {
    policies_and("")
}

/// These, and no others.
pub(crate) fn only_policies(text: &str) -> Arc<PolicySet> {
    let folder = PolicyFolder {
        schema: vec![Source::new("documents.cedarschema", SCHEMA)],
        policies: vec![Source::new("documents.cedar", text)],
        tests: Vec::new(),
    };
    PolicySet::load(&folder).unwrap()
}

/// The usual ones, and more.
pub(crate) fn policies_and(more: &str) -> Arc<PolicySet> {
    let folder = PolicyFolder {
        schema: vec![Source::new("documents.cedarschema", SCHEMA)],
        policies: vec![Source::new("documents.cedar", POLICIES), Source::new("more.cedar", more)],
        tests: Vec::new(),
    };
    PolicySet::load(&folder).unwrap()
}

pub(crate) fn protected() -> ProtectedResources {
    let resource = |name: &str, aliases: &[&str]| ProtectedResource {
        identifier: format!("https://{name}"),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        origin: Origin::parse(&format!("https://{name}")).unwrap(),
        host: Host::parse(name).unwrap(),
        scopes: Vec::new(),
        metadata_url: format!("https://{name}/.well-known/oauth-protected-resource"),
    };
    // The issuer does not issue for the second alias.
    let api = resource("api.example.com", &["api://documents", "api://nobody"]);
    ProtectedResources::new(vec![api, resource("files.example.com", &[])])
}

pub(crate) fn guard() -> Guard {
    let sensitivity = AttributeTemplate::Text(Template::parse("{sensitivity}").unwrap());
    Guard {
        action: "ReadDocument".to_owned(),
        resource: ResourceTemplate {
            kind: "Document".to_owned(),
            id: Template::parse("{id}").unwrap(),
            tenant: Some(Template::parse("{tenant}").unwrap()),
            attributes: vec![("sensitivity".to_owned(), sensitivity)],
        },
        scopes: vec![Template::parse("documents:read").unwrap()],
        user: UserRequirement::Any,
        principals: Principals::Agent,
        step_up: None,
        authorization_details: Vec::new(),
        sender: SenderRequirement::Dpop,
        credentials: CredentialHandling::Strip,
        hide: false,
        upgrades: Vec::new(),
        cost: NonZeroU32::MIN,
    }
}

pub(crate) fn route(name: &str, path: &str, access: Access) -> Route {
    let method = if matches!(access, Access::Preflight) { "OPTIONS" } else { "GET" };
    let matches =
        RouteMatch { host: None, path: PathPattern::parse(path).unwrap(), methods: vec![method.to_owned()] };
    Route { name: name.to_owned(), matches, access, record: None }
}

/// A guarded route for `/tenants/{tenant}/<name>/{sensitivity}/{id}`.
pub(crate) fn guarded(name: &str, change: impl FnOnce(&mut Guard)) -> Route {
    let mut guard = guard();
    change(&mut guard);
    let path = format!("/tenants/{{tenant}}/{name}/{{sensitivity}}/{{id}}");
    route(name, &path, Access::Guarded(Arc::new(guard)))
}

fn step_up(acr_values: &[&str], max_age: Option<i64>) -> StepUp {
    let acr_values = acr_values.iter().map(|value| (*value).to_owned()).collect();
    StepUp { acr_values, max_age: max_age.map(SignedDuration::from_secs) }
}

/// An entry that asks for the type alone, changed.
fn detail(change: impl FnOnce(&mut DetailTemplate)) -> Arc<DetailTemplate> {
    let mut detail = DetailTemplate {
        kind: "document".to_owned(),
        actions: Vec::new(),
        datatypes: Vec::new(),
        privileges: Vec::new(),
        identifier: None,
        locations: Locations::Optional,
        unjudged: Vec::new(),
    };
    change(&mut detail);
    Arc::new(detail)
}

/// An entry that asks for something of each member.
fn whole_detail() -> Arc<DetailTemplate> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    detail(|detail| {
        detail.actions = words(&["read", "print"]);
        detail.datatypes = words(&["text"]);
        detail.privileges = words(&["reader"]);
        detail.identifier = Some(Template::parse("{tenant}/{id}").unwrap());
    })
}

fn routes() -> Vec<Route> {
    let mut documents = guarded("documents", |_| {});
    documents.matches.methods.push("POST".to_owned());
    vec![
        documents,
        guarded("hidden", |guard| guard.hide = true),
        guarded("live", |guard| guard.upgrades = vec!["websocket".to_owned()]),
        guarded("lax", |guard| guard.sender = SenderRequirement::None),
        guarded("either", |guard| guard.sender = SenderRequirement::Any),
        guarded("certified", |guard| guard.sender = SenderRequirement::Mtls),
        guarded("forwarded", |guard| {
            guard.credentials = CredentialHandling::Forward { audience: "https://up.example.com".to_owned() };
        }),
        guarded("classed", |guard| guard.step_up = Some(step_up(&["gold", "platinum"], None))),
        guarded("fresh", |guard| guard.step_up = Some(step_up(&[], Some(300)))),
        guarded("strong", |guard| {
            guard.step_up = Some(step_up(&["gold"], Some(300)));
            guard.authorization_details = vec![detail(|_| {})];
        }),
        guarded("granted", |guard| guard.authorization_details = vec![whole_detail()]),
        guarded("typed", |guard| guard.authorization_details = vec![detail(|_| {})]),
        guarded("placed", |guard| {
            guard.authorization_details = vec![detail(|detail| detail.locations = Locations::Required)];
        }),
        guarded("placed-upstream", |guard| {
            guard.authorization_details = vec![detail(|_| {})];
            guard.credentials = CredentialHandling::Forward { audience: "https://up.example.com".to_owned() };
        }),
        guarded("left", |guard| {
            let left = ["actions", "datatypes", "privileges", "identifier", "max_pages"];
            guard.authorization_details =
                vec![detail(|detail| detail.unjudged = left.map(str::to_owned).to_vec())];
        }),
        guarded("twofold", |guard| {
            guard.authorization_details =
                vec![whole_detail(), detail(|detail| detail.kind = "quota".to_owned())];
        }),
        guarded("dear", |guard| guard.cost = NonZeroU32::new(3).unwrap()),
        route("health", "/healthz", Access::Public),
        route("wide", "/tenants/{tenant}/{kind}/{level}/{id}", Access::Public),
        route("preflight", "/**", Access::Preflight),
    ]
}

/// A claim with the word that it has to hold.
pub(crate) fn mark(name: &str, word: &str) -> ClaimWords {
    ClaimWords { name: name.to_owned(), words: vec![word.to_owned()] }
}

/// The subject is the user, unless the token is marked as a client's own.
fn usual_user() -> UserClaim {
    UserClaim { unless: vec![mark("gty", "client-credentials")], ..UserClaim::new("sub") }
}

fn profile() -> IssuerProfile {
    IssuerProfile {
        name: "corp".parse().unwrap(),
        issuer: ISSUER.to_owned(),
        audiences: [API, "api://documents", "https://files.example.com", "https://up.example.com"]
            .map(str::to_owned)
            .to_vec(),
        algorithms: vec![Algorithm::Es256],
        max_lifetime: SignedDuration::from_mins(15),
        leeway: SignedDuration::from_secs(5),
        accept_typ_jwt: false,
        claims: ClaimNames {
            user: Some(usual_user()),
            tenant: Some("tenant".to_owned()),
            ..ClaimNames::default()
        },
        tenants: exequatur_token::TenantScope::Any,
        status_required: false,
    }
}

/// What differs between worlds.
#[derive(Clone)]
pub(crate) struct Setting {
    /// How users are told from clients.
    pub(crate) user: UserClaim,
    pub(crate) nonces: NonceMode,
    /// Since when the replay store knows of every proof.
    pub(crate) complete_since: Timestamp,
    pub(crate) limits: ReplayLimits,
    pub(crate) token_size: TokenSize,
    /// How long a feed of revocations may be silent; there is none otherwise, and they are made here.
    pub(crate) max_staleness: Option<SignedDuration>,
    /// How long in all such a silence is put up with.
    pub(crate) degraded: SignedDuration,
    pub(crate) unauthenticated: Rate,
    /// Whether it was heard which limits are set otherwise.
    pub(crate) overrides_known: bool,
    /// Where status lists come from; none are asked for otherwise.
    pub(crate) status_lists: Option<&'static str>,
    /// What signals have said comes from elsewhere, and was not heard.
    pub(crate) signals_heard: Option<Staleness>,
    /// Answers are waited for as long as usual, not until they come.
    pub(crate) usual_wait: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            user: usual_user(),
            nonces: NonceMode::Off,
            complete_since: at(-3600),
            limits: ReplayLimits::default(),
            token_size: TokenSize::default(),
            max_staleness: None,
            degraded: SignedDuration::ZERO,
            unauthenticated: exequatur_decide::default_unauthenticated(),
            overrides_known: true,
            status_lists: None,
            signals_heard: None,
            usual_wait: false,
        }
    }
}

pub(crate) struct World {
    decider: Decider,
    pub(crate) generation: Generation,
    pub(crate) store: Arc<EmbeddedStore>,
    /// Made here.
    pub(crate) revocations: EmbeddedRevocations,
    pub(crate) overrides: EmbeddedOverrides,
    pub(crate) attributes: EmbeddedAttributes,
    keys: PathBuf,
    _stop: tokio_util::sync::DropGuard,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Setting::default()).await
    }

    /// Ready to decide: the issuer's keys are loaded.
    pub(crate) async fn with(setting: Setting) -> Self {
        let world = Self::unready(setting);
        world.write_keys(&[Key::issuer().named("k1")]);
        let issuers = world.decider.issuers();
        eventually(|| issuers.complete(at(0))).await;
        world
    }

    /// The issuer has no keys.
    pub(crate) fn unready(setting: Setting) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("jwks.json");
        let mut config = IssuerConfig::new(profile(), KeySource::File { path: keys.clone() });
        config.refresh = Duration::from_millis(10);
        config.status_lists =
            setting.status_lists.map(|prefix| StatusListConfig::new(vec![prefix.parse().unwrap()]));
        Self::of(setting, config, Arc::new(|| at(0)), keys, folder)
    }

    /// Ready to decide; the issuer is asked at `url` about opaque tokens, and about its JWTs if `jwts`.
    pub(crate) async fn asking(setting: Setting, url: &str, jwts: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (keys, own) = (folder.path().join("jwks.json"), folder.path().join("client.pem"));
        std::fs::write(&own, CLIENT_KEY).unwrap();
        let authentication = ClientAuthentication::PrivateKeyJwt {
            key: ClientKey::read(&own, Algorithm::EdDsa, None).unwrap(),
            audience: AssertionAudience::Issuer,
        };
        let endpoint = IntrospectionEndpoint::Named(Place::named(url).unwrap());
        let mut asking = IntrospectionConfig::new(endpoint, "exequatur".to_owned(), authentication);
        asking.form = AnswerForm::Plain;
        asking.jwts = jwts;
        // A machine that does much else must not fail a test.
        (asking.wait, asking.timeout) = (Duration::from_secs(60), Duration::from_secs(60));
        if setting.usual_wait {
            asking.wait = IntrospectionConfig::WAIT;
        }
        let mut config = IssuerConfig::new(profile(), KeySource::File { path: keys.clone() });
        config.introspection = Some(asking);
        let world = Self::of(setting, config, Arc::new(|| at(0)), keys, folder);
        world.write_keys(&[Key::issuer().named("k1")]);
        let issuers = world.decider.issuers();
        eventually(|| issuers.complete(at(0))).await;
        world
    }

    /// The issuer whose opaque tokens are asked about.
    pub(crate) fn asked(&self) -> &Issuer {
        self.decider.issuers().of_opaque("opaque").unwrap()
    }

    /// The issuer's keys are at `url`, loaded with the usual periods by `clock`; there are none yet.
    pub(crate) fn at_url(url: &str, clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = IssuerConfig::new(profile(), KeySource::Url { url: url.to_owned() });
        Self::of(Setting::default(), config, clock, PathBuf::new(), folder)
    }

    fn of(
        setting: Setting,
        mut config: IssuerConfig,
        clock: Clock,
        keys: PathBuf,
        folder: tempfile::TempDir,
    ) -> Self {
        config.profile.claims.user = Some(setting.user);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let issuers = Issuers::start(vec![config], HttpConfig::default(), clock, &tasks, &stop).unwrap();
        let store = Arc::new(EmbeddedStore::new(setting.limits, setting.complete_since).unwrap());
        let policies = policies();
        let revocations = EmbeddedRevocations::open(None, RevocationLimits::default(), at(0)).unwrap();
        let snapshot = match setting.max_staleness {
            None => Arc::clone(revocations.snapshot()),
            Some(usual) => Arc::new(Snapshot::fed(Staleness { usual, degraded: setting.degraded })),
        };
        let overrides = EmbeddedOverrides::open(None, MAX_OVERRIDES).unwrap();
        let known = if setting.overrides_known { Arc::clone(overrides.overrides()) } else { Arc::default() };
        let attributes = EmbeddedAttributes::open(None, MAX_ATTRIBUTES).unwrap();
        let subjects = match setting.signals_heard {
            None => Arc::clone(attributes.subjects()),
            Some(staleness) => Arc::new(Subjects::fed(staleness)),
        };
        let decider = Decider::new(DeciderParts {
            revocations: snapshot,
            overrides: known,
            subjects,
            issuers,
            store: Arc::<EmbeddedStore>::clone(&store),
            cache: TokenCache::new(CacheConfig::default()),
            nonces: Nonces::new(NonceSecret::new(&[7; 32]).unwrap(), Vec::new()).into(),
            sender: SenderPolicy { proofs: ProofLimits::default(), nonces: setting.nonces },
        });
        let decider =
            decider.with_token_size(setting.token_size).with_unauthenticated(setting.unauthenticated);
        let routes = Routes::compile(routes(), protected(), &policies, SenderRequirement::None).unwrap();
        let limits = Arc::default();
        let generation = Generation {
            number: 1,
            routes,
            limits,
            tenants: exequatur_decide::Tenants::default(),
            federations: exequatur_decide::Federations::default(),
            policies,
            configuration: [1; 32],
        };
        Self {
            decider,
            generation,
            store,
            revocations,
            overrides,
            attributes,
            keys,
            _stop: stop.drop_guard(),
            _folder: folder,
        }
    }

    fn write_keys(&self, keys: &[Value]) {
        let draft = self.keys.with_extension("draft");
        std::fs::write(&draft, json!({ "keys": keys }).to_string()).unwrap();
        std::fs::rename(draft, &self.keys).unwrap();
    }

    /// The issuer publishes another set, and it is loaded.
    pub(crate) async fn rotate(&self, keys: &[Value]) {
        let issuer = self.decider.issuers().find(ISSUER).unwrap();
        let before = issuer.keys(at(0)).unwrap().id();
        self.write_keys(keys);
        eventually(|| issuer.keys(at(0)).unwrap().id() != before).await;
    }

    /// Under these policies and routes from now on.
    pub(crate) fn switch(&mut self, policies: Arc<PolicySet>, routes: Vec<Route>) {
        let routes = Routes::compile(routes, protected(), &policies, SenderRequirement::None).unwrap();
        let (number, configuration) = (self.generation.number + 1, self.generation.configuration);
        self.generation = Generation {
            number,
            routes,
            limits: Arc::default(),
            tenants: exequatur_decide::Tenants::default(),
            federations: exequatur_decide::Federations::default(),
            policies,
            configuration,
        };
    }

    /// Whether there are keys at `now`.
    pub(crate) fn has_keys(&self, now: Timestamp) -> bool {
        self.decider.issuers().complete(now)
    }

    pub(crate) async fn live_proofs(&self) -> u64 {
        self.store.health(at(0)).await.unwrap().live_proofs.unwrap()
    }

    pub(crate) async fn check(&self, ask: &Ask) -> Result<Settled, Refusal> {
        self.check_at(ask, at(0)).await.0
    }

    pub(crate) async fn check_at(&self, ask: &Ask, now: Timestamp) -> (Result<Settled, Refusal>, Facts) {
        let headers: Vec<_> =
            ask.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = RawRequest {
            method: &ask.method,
            host: &ask.host,
            target: &ask.target,
            headers: &headers,
            certificate: ask.certificate.as_deref(),
            body: if ask.has_body { BodySeen::Present } else { BodySeen::Absent },
            peer: ask.peer,
        };
        let mut observer = |_stage| {};
        let mut trail = Trail::new(&mut observer);
        let result = self.decider.check(&request, &self.generation, now, &mut trail).await;
        (result, trail.facts)
    }

    /// What decisions ask.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        self.decider.revocations()
    }

    pub(crate) async fn revoke(&self, revocable: &Revocable, form: Form) {
        let (target, note) = (revocable.target(), note());
        let revocation = Revocation { target, form, until: None, note };
        self.revocations.revoke(&revocation, at(0)).await.unwrap();
    }

    pub(crate) async fn lift(&self, revocable: &Revocable, lift: Lift) {
        self.revocations.lift(revocable.target(), lift, &note(), at(0)).await.unwrap();
    }

    /// The refusal.
    pub(crate) async fn refusal(&self, ask: &Ask) -> Refusal {
        self.check(ask).await.unwrap_err()
    }
}

/// A name.
pub(crate) fn named(kind: RevocationKind, name: &str) -> Revocable {
    Revocable::parse(kind, name).unwrap()
}

fn note() -> Note {
    Note::new(String::new(), "stolen".to_owned(), "local:0".to_owned(), at(0)).unwrap()
}

/// Lets background tasks run until `reached`.
pub(crate) async fn eventually(reached: impl Fn() -> bool) {
    let reached = async {
        while !reached() {
            tokio::task::yield_now().await;
        }
    };
    // A machine that does much else must not fail a test, nor kill a mutant.
    tokio::time::timeout(Duration::from_secs(300), reached).await.unwrap();
}
