//! `issuers`: whose tokens are accepted, and for what.

use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use exequatur_issuers::{
    Authorities, ConfigProblem, Discovery, IssuerConfig, KeySource, Proxy, ProxyCredentials, Transport,
};
use exequatur_token::{Algorithm, ClaimNames, IssuerName, IssuerProfile};
use jiff::SignedDuration;

use super::claims;
use super::keys::{
    Key, Shape, boolean, duration, either, list, map, one_of, optional, pattern, required, text, texts, words,
};
use super::reader::{Fields, Node, Notes, Value, once};
use super::resolve;
use super::resources::url;
use super::secrets::private;
use super::{introspection, status_lists, tenant_layout};

const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);
const LEEWAY: Duration = Duration::ZERO;
const LEEWAY_RANGE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);
pub(super) const REFRESH: Duration = Duration::from_secs(300);
pub(super) const COOLDOWN: Duration = Duration::from_secs(30);
pub(super) const MAX_STALE: Duration = Duration::from_secs(3600);
pub(super) const ONE_SECOND_TO_ONE_DAY: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

pub(super) const KEYS: &[Key] = &[
    required("name", "Scopes the ids of this issuer, as in `corp:crm-bot`; unique.", || {
        pattern("^([a-z0-9-]|\\{tenant\\}){1,32}$")
    }),
    required("issuer", "Compared with `iss` byte by byte; unique.", text),
    required(
        "jwks",
        "Its keys: an https URL, http for a loopback host, where its metadata says, or a file.",
        || either([url(), map(&[JWKS_FILE]), map(&[JWKS_DISCOVER])]),
    ),
    optional(
        "ca_file",
        "A PEM file with the only authorities whose certificates are trusted for this issuer.",
        text,
    ),
    optional("proxy", "An HTTP proxy that connections to this issuer are tunnelled through.", url),
    optional("proxy_credentials_file", "A file with one line `user:password` for the proxy.", text),
    required("audiences", "Audiences that its tokens may be for.", texts),
    optional("algorithms", "Signatures that are accepted.", || {
        algorithms_shape().default(jose_names(&Algorithm::DEFAULT))
    }),
    optional("max_lifetime", "Longest `exp` − `iat`.", || {
        duration(&ONE_SECOND_TO_ONE_DAY).default_duration(MAX_LIFETIME)
    }),
    optional("leeway", "Tolerance for `exp` and `nbf`.", || duration(&LEEWAY_RANGE).default_duration(LEEWAY)),
    optional("accept_typ_jwt", "Take `typ: JWT` for an access token, against RFC 9068.", || {
        boolean().default(false)
    }),
    optional("refresh", "How often keys are loaded from a URL, give or take a tenth.", || {
        duration(&ONE_SECOND_TO_ONE_DAY).default_duration(REFRESH)
    }),
    optional("cooldown", "Least time between two requests for keys, whatever key ids tokens name.", || {
        duration(&ONE_SECOND_TO_ONE_DAY).default_duration(COOLDOWN)
    }),
    optional("max_stale", "How old the last good keys may get; at least twice `refresh`.", || {
        duration(&ONE_SECOND_TO_ONE_DAY).default_duration(MAX_STALE)
    }),
    optional("claims", "Which claims say who.", || map(claims::KEYS)),
    optional(
        "status_lists",
        "Token Status Lists, where its tokens' status is kept. Without it, a token that names one is refused.",
        || map(status_lists::KEYS),
    ),
    optional(
        "introspection",
        "How it is asked about its tokens (RFC 7662). Without it, a token that is no JWT is refused.",
        introspection::shape,
    ),
    tenant_layout::TENANT,
    tenant_layout::TENANTS,
];

/// One of them, where `jwks` is a map.
const JWKS_KEYS: &[Key] = &[JWKS_FILE, JWKS_DISCOVER];
pub(super) const JWKS_FILE: Key = required("file", "A JWKS file, looked at every 2 s.", text);
const JWKS_DISCOVER: Key = discover("Which metadata of the issuer says where its keys are.");

/// What is discovered by the issuer's metadata.
pub(super) const fn discover(meaning: &'static str) -> Key {
    required("discover", meaning, || words(DISCOVERIES))
}

/// Which metadata leads to the keys.
pub(super) const DISCOVERIES: &[(&str, Discovery)] =
    &[("oauth", Discovery::OAuth), ("openid", Discovery::OpenId)];

const KEY_SOURCES: &str = "a URL, `{ file: … }` or `{ discover: oauth }`";

pub(super) fn jose_names(algorithms: &[Algorithm]) -> Vec<&'static str> {
    algorithms.iter().map(|algorithm| algorithm.jose_name()).collect()
}

/// Names of algorithms. `EdDSA` and `Ed25519` are one (J19).
pub(super) fn algorithms_shape() -> Shape {
    let names = Algorithm::ALL.iter().map(|algorithm| algorithm.jose_name()).chain(["Ed25519"]);
    list(one_of(&names.collect::<Vec<_>>())).some()
}

/// The issuers of a section whose paths are written out, if that could be done.
pub(super) fn read_expanded(
    (section, whole): &(Node, bool),
    folder: &Path,
    notes: &Notes,
) -> Option<Vec<IssuerConfig>> {
    // What could not be had of a path is told already.
    let some = *whole || section.list(notes).is_some_and(|items| !items.is_empty());
    let issuers = some.then(|| read(section, folder, notes))??;
    whole.then_some(issuers)
}

fn read(node: &Node, folder: &Path, notes: &Notes) -> Option<Vec<IssuerConfig>> {
    let (mut names, mut issuers) = (Vec::new(), Vec::new());
    let alone = node.list(notes)?.len() <= 1;
    node.some(notes, |item| {
        let fields = Fields::open(item, KEYS, notes)?;
        let name = fields.required("name").and_then(|node| {
            let name = node.parsed(notes, IssuerName::from_str)?;
            once(name.as_str(), &mut names, node.place, notes).then_some(name)
        });
        let issuer = fields.required("issuer").and_then(|node| {
            let issuer = node.text(notes)?;
            once(issuer, &mut issuers, node.place, notes).then(|| issuer.to_owned())
        });
        let source = match fields.optional("jwks") {
            Some(node) => key_source(node, folder, notes),
            None => {
                notes.hint(item.place, "key `jwks` is missing", KEY_SOURCES);
                None
            }
        };
        let transport = transport(&fields, folder, notes);
        let audiences = fields.required("audiences").and_then(|node| node.texts(notes));
        let algorithms = fields.or("algorithms", Algorithm::DEFAULT.to_vec(), |node| algorithms(node, notes));
        let max_lifetime = fields.duration("max_lifetime", MAX_LIFETIME, &ONE_SECOND_TO_ONE_DAY);
        let leeway = fields.duration("leeway", LEEWAY, &LEEWAY_RANGE);
        let accept_typ_jwt = fields.or("accept_typ_jwt", false, |node| node.boolean(notes));
        let refresh = fields.duration("refresh", REFRESH, &ONE_SECOND_TO_ONE_DAY);
        let cooldown = fields.duration("cooldown", COOLDOWN, &ONE_SECOND_TO_ONE_DAY);
        let max_stale = fields.duration("max_stale", MAX_STALE, &ONE_SECOND_TO_ONE_DAY);
        let claims = fields.or("claims", ClaimNames::default(), |node| claims::read(node, notes));
        let named = claims.as_ref().is_some_and(|claims| claims.tenant.is_some());
        let tenants = tenant_layout::scope(&fields, item, named, (alone, folder), notes);
        let lists = fields.or("status_lists", None, |node| status_lists::read(node, notes).map(Some));
        let asked =
            fields.or("introspection", None, |node| introspection::read(node, folder, notes).map(Some));
        let status_required = lists.as_ref().and_then(Option::as_ref).is_some_and(|lists| lists.required);
        let profile = IssuerProfile {
            name: name?,
            issuer: issuer?,
            audiences: audiences?,
            algorithms: algorithms?,
            max_lifetime: signed(max_lifetime?),
            leeway: signed(leeway?),
            accept_typ_jwt: accept_typ_jwt?,
            claims: claims?,
            tenants: tenants?,
            status_required,
        };
        let (refresh, cooldown, max_stale) = (refresh?, cooldown?, max_stale?);
        let (source, transport) = (source?, transport?);
        let status_lists = lists?.map(|lists| lists.config);
        let issuer = IssuerConfig {
            profile,
            source,
            transport,
            refresh,
            cooldown,
            max_stale,
            status_lists,
            introspection: asked?,
        };
        for problem in issuer.problems() {
            let entry = keys_of(problem).iter().find_map(|key| fields.entry(key));
            let place = status_lists::place_of(problem, &fields, notes);
            let place = place.or_else(|| entry.map(|entry| entry.key_place)).unwrap_or(item.place);
            notes.add(place, problem.to_string());
        }
        Some(issuer)
    })
}

/// The keys that a mistake is about, where it is one; marked is the first of them that is there.
pub(super) const fn keys_of(problem: ConfigProblem) -> &'static [&'static str] {
    match problem {
        ConfigProblem::Profile(_) => &[],
        ConfigProblem::Url(_) => &["jwks"],
        ConfigProblem::Issuer(_) => &["issuer"],
        ConfigProblem::TransportUnused => &["ca_file", "proxy"],
        ConfigProblem::AuthoritiesUnused => &["ca_file"],
        ConfigProblem::ProxyWithoutTls => &["proxy"],
        ConfigProblem::NoRefresh => &["refresh"],
        ConfigProblem::NoCooldown => &["cooldown"],
        ConfigProblem::StaleBeforeRefresh => &["max_stale"],
        ConfigProblem::IntrospectionIssuer(_) => &["introspection"],
        ConfigProblem::RequiredWithoutLists
        | ConfigProblem::NoListPrefix
        | ConfigProblem::NoListRefresh
        | ConfigProblem::NoListCooldown
        | ConfigProblem::ListStaleBeforeRefresh
        | ConfigProblem::NoRoomForLists => &["status_lists"],
    }
}

/// INVARIANT: every range in this file is far below what a signed duration holds.
pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// A URL, `{ file: path }` or `{ discover: which }`.
fn key_source(node: &Node, folder: &Path, notes: &Notes) -> Option<KeySource> {
    if let Value::Map(_) = node.value {
        let fields = Fields::open(node, JWKS_KEYS, notes)?;
        return match (fields.optional("file"), fields.optional("discover")) {
            (Some(file), None) => Some(KeySource::File { path: resolve(folder, file.text(notes)?) }),
            (None, Some(which)) => Some(KeySource::Discovered { by: which.word(DISCOVERIES, notes)? }),
            (Some(_), Some(_)) => {
                notes.hint(node.place, "keys have one source", KEY_SOURCES);
                None
            }
            (None, None) => {
                notes.hint(node.place, "key `file` or `discover` is missing", KEY_SOURCES);
                None
            }
        };
    }
    if !matches!(node.value, Value::Text(_)) {
        return node.mismatch(KEY_SOURCES, notes);
    }
    match KeySource::url(node.text(notes)?) {
        Ok(source) => Some(source),
        Err(problem) => {
            notes.hint(
                node.place,
                problem.to_string(),
                "https, or http from a loopback host; or `{ file: ./jwks.json }`",
            );
            None
        }
    }
}

pub(super) fn algorithms(node: &Node, notes: &Notes) -> Option<Vec<Algorithm>> {
    let named = node.some(notes, |item| {
        let text = item.text(notes)?;
        let algorithm = Algorithm::from_jose(text);
        if algorithm.is_none() {
            let problem = format!("algorithm `{text}` is not accepted");
            notes.hint(item.place, problem, "known are: ES256, ES384, EdDSA, PS256, RS256");
        }
        algorithm
    })?;
    // EdDSA has two names (J19).
    Some(Algorithm::ALL.into_iter().filter(|algorithm| named.contains(algorithm)).collect())
}

/// How the issuer is reached. The files are read here, so that what is wrong with them is told with its line.
pub(super) fn transport(fields: &Fields<'_>, folder: &Path, notes: &Notes) -> Option<Transport> {
    let path = |path: &str| resolve(folder, path);
    let authorities = fields
        .or("ca_file", None, |node| node.parsed(notes, |file| Authorities::read(&path(file)).map(Some)));
    let credentials = fields.or("proxy_credentials_file", None, |node| {
        node.parsed(notes, |file| {
            let file = path(file);
            private(&file).map_err(|exposed| exposed.to_string())?;
            ProxyCredentials::read(&file).map(Some).map_err(|problem| problem.to_string())
        })
    });
    let proxy = match fields.optional("proxy") {
        Some(node) => node.parsed(notes, |url| Proxy::new(url, credentials.clone().flatten())).map(Some),
        None => {
            if let Some(entry) = fields.entry("proxy_credentials_file") {
                notes.add(entry.key_place, "credentials for a proxy, and no `proxy`");
            }
            Some(None)
        }
    };
    credentials?;
    Some(Transport { authorities: authorities?, proxy: proxy?, identity: None })
}

#[cfg(test)]
mod tests;
