//! The configuration: one YAML file, read whole, and every mistake in it told at once.
//!
//! [`load`] reads the file alone. Whether routes, schema and policies fit each other is found out when the
//! routes are compiled; [`Config::place_route_problems`] then says where in the file the mistake is.

mod admin;
mod authorization_details;
mod certificate_names;
mod claims;
mod document;
mod duration;
mod federations;
#[cfg(test)]
mod folder;
mod introspection;
mod issuers;
mod keys;
mod limits;
mod listen;
mod otlp;
mod problems;
mod public_listener;
mod reader;
mod recorded;
mod records;
mod redis;
mod remarks;
mod replica;
mod resources;
mod routes;
mod rules;
mod schema;
mod secrets;
mod sender;
mod show;
mod signals;
mod sinks;
mod sizing;
mod spelling;
mod status_lists;
mod step_up;
mod store;
mod tenant_layout;
mod tenant_path;
mod tenants;
#[cfg(test)]
mod tests;
mod tls;
mod traces;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use exequatur_decide::{
    Federation, LimitRule, ProtectedResources, Route, RouteProblem, SenderRequirement, Tenants,
    default_unauthenticated,
};
use exequatur_issuers::IssuerConfig;
use exequatur_signals::StreamConfig;
use exequatur_store::{Rate, ReplicaName};
use exequatur_token::TokenSize;
use sha2::{Digest as _, Sha256};

pub use admin::Admin;
pub use duration::parse as parse_duration;
pub use listen::{GrpcAddress, Listen};
pub use otlp::OtlpEndpoint;
pub use problems::{Place, Problem, Problems, Source};
pub use public_listener::public_listener;
pub use records::{RecordCheckpoints, RecordRedaction, Records};
pub use redis::{Redis, RedisUrl};
pub use remarks::remarks;
pub use routes::{RoutePlace, RouteTexts};
pub use schema::schema;
pub use sender::{NonceSecretFiles, Sender};
pub use show::show;
pub use sinks::{SinkConfig, SinkPlace};
pub use sizing::sizing;
pub use store::Store;
pub use tls::TlsFiles;
pub use traces::{Sample, Traces};

use keys::{Key, count, duration, list, map, number, optional, required, text};
use reader::{Fields, Node, Notes};

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// Envoy waits 200 ms by default; the answer must be there before.
const DEADLINE: Duration = Duration::from_millis(150);
/// Far more than any machine has cores for.
const MAX_WORKERS: u32 = 256;
const DEADLINE_RANGE: std::ops::RangeInclusive<Duration> = Duration::from_millis(5)..=Duration::from_secs(10);

/// What the file says, defaults filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// Who may give orders over TCP, and where.
    pub admin: Option<Admin>,
    /// The folder of the policies and their schema.
    pub policies: PathBuf,
    /// What tokens are for.
    pub protected: ProtectedResources,
    /// Who issues tokens.
    pub issuers: Vec<IssuerConfig>,
    /// What policies may know of tenants.
    pub tenants: Tenants,
    /// By which routes tokens of one tenant may ask for resources of another.
    pub federations: Vec<Federation>,
    /// How senders are constrained.
    pub sender: Sender,
    /// What is remembered.
    pub store: Store,
    /// The routes, in the order of the file.
    pub routes: Vec<Route>,
    /// Where each route stands, in the same order.
    pub places: Vec<RoutePlace>,
    /// What requests to guarded routes are charged to.
    pub limits: Vec<LimitRule>,
    /// How often a source may come without credentials that hold.
    pub unauthenticated: Rate,
    /// Whose security events are received.
    pub signals: Vec<StreamConfig>,
    /// Where decisions are recorded; nowhere if `None`.
    pub records: Option<Records>,
    /// Where spans of decisions are sent; nowhere if `None`.
    pub traces: Option<Traces>,
    /// Time for one decision.
    pub deadline: Duration,
    /// Longest access token that is read.
    pub token_size: TokenSize,
    /// Threads that decide.
    pub workers: NonZeroUsize,
    /// What this process is called among the replicas, instead of by the host's name.
    pub replica: Option<ReplicaName>,
    /// SHA-256 of the file's text.
    pub digest: [u8; 32],
    /// SHA-256 of what of it decides; the same in every version of the program.
    pub rules: [u8; 32],
    /// The file.
    pub source: Source,
}

/// Reads the file. Relative paths in it are relative to its folder.
///
/// # Errors
/// Every mistake in the file, or that it cannot be read.
pub fn load(path: &Path) -> Result<Config, Problems> {
    match read(path) {
        Ok(text) => from_text(Source { path: path.to_owned(), text: text.into() }),
        Err(message) => {
            let source = Source { path: path.to_owned(), text: "".into() };
            Err(Problems::new(source, vec![Problem { place: None, message, hint: None }]))
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_BYTES {
        return Err(format!("{} is larger than {MAX_BYTES} bytes", path.display()));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Like [`load`], from text that was read before.
///
/// # Errors
/// Every mistake in the text.
pub fn from_text(source: Source) -> Result<Config, Problems> {
    let notes = Notes::default();
    let text = Arc::clone(&source.text);
    let folder = source.path.parent().unwrap_or_else(|| Path::new(""));
    let parts = document::parse(&text, &notes).and_then(|root| Parts::read(&root, folder, &notes));
    let problems = notes.into_problems();
    match parts {
        Some(parts) if problems.is_empty() => Ok(parts.into_config(source)),
        Some(_) | None => Err(Problems::new(source, problems)),
    }
}

/// What the process may use, its container's share included.
fn one_a_core() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn workers(node: &Node, notes: &Notes) -> Option<NonZeroUsize> {
    let count = Some(node.count(notes)?).filter(|count| count.get() <= MAX_WORKERS);
    let within = count.and_then(|count| NonZeroUsize::try_from(count).ok());
    if within.is_none() {
        notes.hint(
            node.place,
            format!("more than {MAX_WORKERS} workers"),
            "one for each core is the default",
        );
    }
    within
}

/// A path in the file is relative to the file's folder.
fn resolve(folder: &Path, path: &str) -> PathBuf {
    folder.join(path).components().collect()
}

/// The sections of the file.
struct Parts {
    listen: Listen,
    admin: Option<Admin>,
    policies: PathBuf,
    protected: ProtectedResources,
    issuers: Vec<IssuerConfig>,
    tenants: Tenants,
    federations: Vec<federations::Placed>,
    sender: Sender,
    store: Store,
    routes: Vec<(Route, RoutePlace)>,
    limits: Vec<limits::Placed>,
    unauthenticated: Rate,
    signals: Vec<StreamConfig>,
    records: Option<Records>,
    traces: Option<Traces>,
    deadline: Duration,
    token_size: TokenSize,
    workers: NonZeroUsize,
    replica: Option<ReplicaName>,
    rules: [u8; 32],
}

impl Parts {
    const KEYS: &[Key] = &[
        optional("listen", "Where to listen.", || map(listen::KEYS)),
        optional("admin", "Orders over TCP, and who may give them.", || map(admin::KEYS)),
        required("policies", "The folder of Cedar policies, schema and tests.", text),
        required("protected_resources", "What tokens are for.", || list(map(resources::KEYS)).some()),
        required("issuers", "Whose tokens are accepted.", || list(map(issuers::KEYS)).some()),
        optional("tenants", "What policies may know of tenants, by their names.", tenants::shape),
        optional(
            "federations",
            "By which routes tokens of one tenant may ask for resources of another. Nowhere, if this is absent.",
            || list(map(federations::KEYS)),
        ),
        optional("sender_constraint", "How callers show that a token is theirs.", || map(sender::KEYS)),
        optional("store", "What is remembered, how much of it, and where.", store::shape),
        required("routes", "What a host, path and method mean.", || list(routes::shape()).some()),
        optional("limits", "How often, and how much. All that apply to a route must have room.", || {
            list(map(limits::KEYS))
        }),
        optional(
            "unauthenticated",
            "How often one source may come without credentials that hold, before any are looked at.",
            || {
                let rate = default_unauthenticated();
                map(limits::UNAUTHENTICATED_KEYS)
                    .default(serde_json::json!({ "rate": rate.to_string(), "burst": rate.burst() }))
            },
        ),
        optional("signals", "Whose security events are received (OpenID Shared Signals).", signals::shape),
        optional("records", "Where decisions are recorded; nowhere if this is absent.", || {
            map(records::KEYS)
        }),
        optional("traces", "Where spans of decisions are sent; nowhere if this is absent.", || {
            map(traces::KEYS)
        }),
        optional(
            "deadline",
            "Time for one decision, its record included; keep it below Envoy's `timeout`.",
            || duration(&DEADLINE_RANGE).default_duration(DEADLINE),
        ),
        optional("max_token_bytes", "Longest access token that is read.", || {
            number(&TokenSize::RANGE).default(TokenSize::default().bytes())
        }),
        optional("workers", "Threads that decide; one for each core by default.", || {
            count().at_most(MAX_WORKERS)
        }),
        optional("replica", "What this process is called among its like.", || map(replica::KEYS)),
    ];

    /// Reads all sections before giving up on one of them.
    fn read(root: &Node, folder: &Path, notes: &Notes) -> Option<Self> {
        let fields = Fields::open(root, Self::KEYS, notes)?;
        let listen = fields.or("listen", Listen::default(), |node| listen::read(node, folder, notes));
        let policies =
            fields.required("policies").and_then(|node| node.text(notes)).map(|path| resolve(folder, path));
        let protected = fields.required("protected_resources").and_then(|node| resources::read(node, notes));
        let section = fields.required("issuers").map(|node| tenant_path::expanded(node, notes));
        let issuers = section.as_ref().and_then(|section| issuers::read_expanded(section, folder, notes));
        let tenants = fields.or("tenants", Tenants::default(), |node| tenants::read(node, notes));
        let federations = fields.or("federations", Vec::new(), |node| federations::read(node, notes));
        let sender =
            fields.or("sender_constraint", Sender::default(), |node| sender::read(node, folder, notes));
        let store = fields.or("store", Store::default(), |node| store::read(node, folder, notes));
        // A broken section is noted already: until it is whole, its routes may ask for anything.
        let least = sender.as_ref().map_or(SenderRequirement::None, |sender| sender.least);
        let routes = fields.required("routes").and_then(|node| routes::read(node, least, notes));
        let limits = fields.or("limits", Vec::new(), |node| limits::read(node, notes));
        let unauthenticated = fields.or("unauthenticated", default_unauthenticated(), |node| {
            limits::read_unauthenticated(node, notes)
        });
        let beside = signals::Beside { folder, issuers: issuers.as_deref() };
        let signals = fields.or("signals", Vec::new(), |node| signals::read(node, &beside, notes));
        let records = fields.or("records", None, |node| records::read(node, folder, notes).map(Some));
        let traces = fields.or("traces", None, |node| traces::read(node, folder, notes).map(Some));
        let deadline = fields.duration("deadline", DEADLINE, &DEADLINE_RANGE);
        let token_size = fields.or("max_token_bytes", TokenSize::default(), |node| {
            node.number(&TokenSize::RANGE, notes).and_then(TokenSize::new)
        });
        let workers = fields.or("workers", one_a_core(), |node| workers(node, notes));
        let replica = fields.or("replica", None, |node| replica::read(node, notes));
        let admin = fields.or("admin", None, |node| {
            admin::read(node, folder, (issuers.as_deref(), protected.as_ref()), notes).map(Some)
        });
        if let (Some(listen), Some(Some(admin)), Some(node)) = (&listen, &admin, fields.optional("admin"))
            && !listen.is_apart_from(admin.listen)
        {
            notes.add(node.place, "two listeners have one address");
        }
        if let (Some(store), Some(sender), Some(deadline)) = (&store, &sender, deadline) {
            check_shared(store, sender, deadline, fields.optional("store").map(|node| node.place), notes);
        }
        if let (Some(store), Some(node), Some([_, ..])) =
            (&store, fields.optional("signals"), signals.as_deref())
        {
            signals::check_store(store, node.place, notes);
        }
        if let (Some(protected), Some(issuers), Some(routes)) = (&protected, &issuers, &routes) {
            let resources = fields.optional("protected_resources");
            check_audiences(protected, issuers, routes, resources.map(|node| node.place), notes);
        }
        if let (Some(issuers), Some(deadline)) = (&issuers, deadline) {
            let section = section.as_ref().map(|(section, _)| section);
            status_lists::check(issuers, deadline, section, notes);
            introspection::check(issuers, deadline, section, notes);
        }
        records::check(records.as_ref(), routes.as_deref(), notes);
        federations::check(federations.as_deref(), issuers.as_deref(), routes.as_deref(), notes);
        if let (Some(limits), Some(routes)) = (&limits, &routes) {
            limits::check(limits, routes, notes);
        }
        Some(Self {
            listen: listen?,
            admin: admin?,
            policies: policies?,
            protected: protected?,
            issuers: issuers?,
            tenants: tenants?,
            federations: federations?,
            sender: sender?,
            store: store?,
            routes: routes?,
            limits: limits?,
            unauthenticated: unauthenticated?,
            signals: signals?,
            records: records?,
            traces: traces?,
            deadline: deadline?,
            token_size: token_size?,
            workers: workers?,
            replica: replica?,
            rules: rules::digest(root),
        })
    }

    fn into_config(self, source: Source) -> Config {
        let (routes, places) = self.routes.into_iter().unzip();
        Config {
            listen: self.listen,
            admin: self.admin,
            policies: self.policies,
            protected: self.protected,
            issuers: self.issuers,
            tenants: self.tenants,
            federations: self.federations.into_iter().map(|(rule, ..)| rule).collect(),
            sender: self.sender,
            store: self.store,
            routes,
            places,
            limits: self.limits.into_iter().map(|(limit, _)| limit).collect(),
            unauthenticated: self.unauthenticated,
            signals: self.signals,
            records: self.records,
            traces: self.traces,
            deadline: self.deadline,
            token_size: self.token_size,
            workers: self.workers,
            replica: self.replica,
            digest: Sha256::digest(source.text.as_bytes()).into(),
            rules: self.rules,
            source,
        }
    }
}

/// What only a store that replicas share asks for.
fn check_shared(store: &Store, sender: &Sender, deadline: Duration, place: Option<Place>, notes: &Notes) {
    let (Some(redis), place) = (&store.redis, place.unwrap_or_default()) else { return };
    if sender.nonce_secret.is_none() {
        notes.hint(
            place,
            "with Redis, replicas have to know each other's nonces",
            "give all of them the same `sender_constraint.dpop.nonce_secret_file`",
        );
    }
    if redis.timeout >= deadline {
        notes.hint(
            place,
            format!("`timeout` is not below `deadline` ({})", duration::format(deadline)),
            "a call that is not answered has to leave time for a decision",
        );
    }
}

/// An audience that no issuer may issue for would refuse every token.
fn check_audiences(
    protected: &ProtectedResources,
    issuers: &[IssuerConfig],
    routes: &[(Route, RoutePlace)],
    resources: Option<Place>,
    notes: &Notes,
) {
    let accepted = |audience: &str| {
        issuers.iter().any(|issuer| issuer.profile.audiences.iter().any(|other| other == audience))
    };
    let hint = "add it to the `audiences` of an issuer";
    let unaccepted = protected.iter().flat_map(|resource| {
        // Issuers may know a resource by another name than its identifier, but by some.
        let named = resource.audiences().any(accepted);
        let identifier = (!named).then_some(resource.identifier.as_str());
        let aliases = resource.aliases.iter().map(String::as_str).filter(|alias| !accepted(alias));
        identifier.into_iter().chain(aliases).map(|audience| (audience, resources))
    });
    let forwarded = routes.iter().filter_map(|(route, place)| {
        routes::forward_audience(route).map(|audience| (audience, Some(place.field("credentials"))))
    });
    for (audience, place) in unaccepted.chain(forwarded.filter(|(audience, _)| !accepted(audience))) {
        notes.hint(
            place.unwrap_or_default(),
            format!("no issuer's tokens are accepted for `{audience}`"),
            hint,
        );
    }
}

impl Config {
    /// Says where in the file the routes are that do not fit the schema, the policies or each other.
    #[must_use]
    pub fn place_route_problems(&self, problems: &[RouteProblem]) -> Problems {
        let placed = problems.iter().map(|problem| Problem {
            place: self.places.get(problem.index).map(|place| place.field(problem.field)),
            message: problem.to_string(),
            hint: None,
        });
        Problems::new(self.source.clone(), placed.collect())
    }
}
