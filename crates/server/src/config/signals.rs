//! `signals`: whose security events are received, and what they may stop.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use exequatur_issuers::{Discovery, IssuerConfig, KeySource, KeysConfig, Place as Address};
use exequatur_signals::{
    Delivery, Expected, POLL_MOST, Poll, Push, PushAuthorization, Response, Speaker, StreamConfig,
};
use exequatur_token::{Algorithm, IssuerName};

use super::issuers::{
    COOLDOWN, JWKS_FILE, MAX_STALE, ONE_SECOND_TO_ONE_DAY, REFRESH, algorithms, algorithms_shape, jose_names,
    keys_of, signed, transport,
};
use super::keys::{
    Key, Shape, boolean, count, duration, either, list, map, optional, pattern, required, text, words,
};
use super::problems::Place;
use super::reader::{Fields, Node, Notes, Value, once};
use super::resolve;
use super::resources::url;
use super::secrets::private;
use super::store::Store;

const EVERY: Duration = Duration::from_secs(5);
const EVERY_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
const LONG_POLL_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
const MAX_EVENTS: u32 = 50;
/// Events tell of changes, which may be rare; what is not said anew for so long is not known any more.
const ATTRIBUTES_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
const ATTRIBUTES_FOR_RANGE: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(90 * 24 * 3600);
/// Most issuers that one transmitter speaks for: an event may be about a session of each.
const MAX_SPEAKERS: usize = 16;

pub(super) const KEYS: &[Key] = &[
    required(
        "name",
        "In logs, records and metrics, and in the path that sets are posted to; unique.",
        || pattern("^[a-z0-9-]{1,32}$"),
    ),
    required("transmitter", "Compared with `iss` byte by byte.", text),
    required("audience", "What `aud` has to name.", text),
    optional(
        "jwks",
        "Its keys: an https URL, http for a loopback host, or a file. If absent, where \
         `/.well-known/ssf-configuration` says.",
        || either([url(), map(&[JWKS_FILE])]),
    ),
    optional("ca_file", "A PEM file with the only authorities whose certificates are trusted for it.", text),
    optional("proxy", "An HTTP proxy that connections to it are tunnelled through.", url),
    optional("proxy_credentials_file", "A file with one line `user:password` for the proxy.", text),
    optional(
        "algorithms",
        "Signatures of sets that are accepted; the interoperability profile has RS256.",
        || algorithms_shape().default(jose_names(&Algorithm::ALL)),
    ),
    optional("refresh", "How often keys are loaded from a URL, give or take a tenth.", || {
        duration(&ONE_SECOND_TO_ONE_DAY).default_duration(REFRESH)
    }),
    optional("cooldown", "Least time between two requests for keys, whatever key ids sets name.", || {
        duration(&ONE_SECOND_TO_ONE_DAY).default_duration(COOLDOWN)
    }),
    optional("max_stale", "How old the last good keys may get; at least twice `refresh`.", || {
        duration(&ONE_SECOND_TO_ONE_DAY).default_duration(MAX_STALE)
    }),
    required(
        "subjects_of",
        "The issuers that it may speak for, by their `name`. An event about anybody else is refused.",
        || list(either([text(), map(SPEAKER_KEYS)])).some(),
    ),
    optional("credential_change", "To a credential that was revoked, changed or deleted.", || {
        words(RESPONSES).default("revoke")
    }),
    optional("token_claims_change", "To a claim that has changed.", || words(RESPONSES).default("revoke")),
    optional(
        "attributes_for",
        "How long holds what an event says of a user's or a session's risk, assurance or device.",
        || duration(&ATTRIBUTES_FOR_RANGE).default_duration(ATTRIBUTES_FOR),
    ),
    required("delivery", "How sets arrive.", || either([map(&[PUSH]), map(&[POLL])])),
    optional(
        "stream_id",
        "The stream's id at the transmitter, as `exequatur signals create` prints it.",
        text,
    ),
    optional("token_file", "A file with the bearer token for polls and for `exequatur signals`.", text),
    optional(
        "state_secret_file",
        "A file with the secret that verification requests are made with. If absent, `authorization_file`, else \
         `token_file`.",
        text,
    ),
];

const SPEAKER_KEYS: &[Key] = &[
    required("issuer", "Its `name`.", text),
    optional(
        "users_by",
        "What of a subject its tokens name the user by. If absent, `sub`, where `claims.user` is `sub`.",
        || list(words(NAMINGS)).some().unique(),
    ),
    optional("sessions", "Whether its tokens have `sid`. If not, the session's user is stopped.", || {
        boolean().default(true)
    }),
];

const NAMINGS: &[(&str, Naming)] = &[("sub", Naming::Subject), ("email", Naming::Email)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    Subject,
    Email,
}

/// What an event that only may stop somebody does.
pub(super) const RESPONSES: &[(&str, Response)] = &[("revoke", Response::Revoke), ("log", Response::Log)];

const PUSH: Key =
    required("push", "The transmitter posts them to the public listener (RFC 8935).", || map(PUSH_KEYS));
const POLL: Key = required("poll", "They are fetched from the transmitter (RFC 8936).", || map(POLL_KEYS));

const PUSH_KEYS: &[Key] = &[
    optional("path", "Where they are posted to. If absent, `/signals/` and the name.", || pattern(PATH)),
    optional(
        "authorization_file",
        "A file with the `Authorization` header that the transmitter sends, whole; a second line is accepted too.",
        text,
    ),
    optional(
        "authorization",
        "`none`: whoever reaches the listener may post what the transmitter signed.",
        || words(NO_AUTHORIZATION),
    ),
];

const POLL_KEYS: &[Key] = &[
    optional("url", "The transmitter's endpoint. If absent nothing is fetched.", url),
    optional("every", "From the begin of a poll to the next, unless there is more.", || {
        duration(&EVERY_RANGE).default_duration(EVERY)
    }),
    optional(
        "long_poll",
        "How long the transmitter may wait for events. If absent, it answers at once.",
        || duration(&LONG_POLL_RANGE),
    ),
    optional("max_events", "Sets in one answer.", || count().at_most(POLL_MOST).default(MAX_EVENTS)),
];

const PATH: &str = "^/[A-Za-z0-9._/-]+$";
const NO_AUTHORIZATION: &[(&str, ())] = &[("none", ())];

/// What streams are read beside.
pub(super) struct Beside<'a> {
    pub(super) folder: &'a Path,
    /// Whose tokens are accepted; `None` if that is not known for mistakes of its own.
    pub(super) issuers: Option<&'a [IssuerConfig]>,
}

pub(super) fn read(node: &Node, beside: &Beside<'_>, notes: &Notes) -> Option<Vec<StreamConfig>> {
    let (mut names, mut paths) = (Vec::new(), Vec::new());
    node.each(notes, |item| {
        let fields = Fields::open(item, KEYS, notes)?;
        let name = fields.required("name").and_then(|node| {
            let name = node.parsed(notes, IssuerName::from_str)?;
            once(name.as_str(), &mut names, node.place, notes).then_some(name)
        });
        let own = |key| fields.required(key).and_then(|node| node.text(notes)).map(str::to_owned);
        let (issuer, audience) = (own("transmitter"), own("audience"));
        let source = key_source(&fields, beside.folder, notes);
        let transport = transport(&fields, beside.folder, notes);
        let algorithms = fields.or("algorithms", Algorithm::ALL.to_vec(), |node| algorithms(node, notes));
        let refresh = fields.duration("refresh", REFRESH, &ONE_SECOND_TO_ONE_DAY);
        let cooldown = fields.duration("cooldown", COOLDOWN, &ONE_SECOND_TO_ONE_DAY);
        let max_stale = fields.duration("max_stale", MAX_STALE, &ONE_SECOND_TO_ONE_DAY);
        let speakers = fields.required("subjects_of").and_then(|node| speakers(node, beside.issuers, notes));
        let response = |key| fields.or(key, Response::Revoke, |node| node.word(RESPONSES, notes));
        let (credential_change, token_claims_change) =
            (response("credential_change"), response("token_claims_change"));
        let attributes_for = fields.duration("attributes_for", ATTRIBUTES_FOR, &ATTRIBUTES_FOR_RANGE);
        let known = name.as_ref().map(IssuerName::as_str);
        let delivery = fields.required("delivery").and_then(|node| {
            let delivery = delivery(node, known, beside.folder, notes)?;
            let Delivery::Push(Push { path, .. }) = &delivery else { return Some(delivery) };
            once(path, &mut paths, node.place, notes).then_some(delivery)
        });
        let stream_id = fields.or("stream_id", None, |node| node.text(notes).map(|id| Some(id.to_owned())));
        let secret = |key| fields.or(key, None, |node| secret(node, beside.folder, notes).map(Some));
        let (token_file, state_secret_file) = (secret("token_file"), secret("state_secret_file"));
        let (issuer, algorithms) = (issuer?, algorithms?);
        let keys = KeysConfig {
            name: name?,
            issuer: issuer.clone(),
            algorithms: algorithms.clone(),
            source: source?,
            transport: transport?,
            refresh: refresh?,
            cooldown: cooldown?,
            max_stale: max_stale?,
        };
        for problem in keys.problems() {
            // What issuers call `issuer` is the transmitter here.
            let keys = keys_of(problem).iter().map(|key| if *key == "issuer" { "transmitter" } else { key });
            let entry = keys.into_iter().find_map(|key| fields.entry(key));
            notes.add(entry.map_or(item.place, |entry| entry.key_place), problem.to_string());
        }
        Some(StreamConfig {
            keys,
            expected: Expected { issuer, audience: audience?, algorithms },
            stream_id: stream_id?,
            speakers: speakers?,
            credential_change: credential_change?,
            token_claims_change: token_claims_change?,
            attributes_for: signed(attributes_for?),
            delivery: delivery?,
            token_file: token_file?,
            state_secret_file: state_secret_file?,
        })
    })
}

/// V02: a set is acknowledged once its effect is durable, and a store that forgets at a restart has no such effect.
pub(super) fn check_store(store: &Store, place: Place, notes: &Notes) {
    if store.path.is_none() && store.redis.is_none() {
        notes.hint(
            place,
            "security events need a store that outlives the process",
            "say `store: { embedded: { path: … } }`, or `redis`",
        );
    }
}

fn key_source(fields: &Fields<'_>, folder: &Path, notes: &Notes) -> Option<KeySource> {
    let Some(node) = fields.optional("jwks") else {
        return Some(KeySource::Discovered { by: Discovery::SharedSignals });
    };
    match &node.value {
        Value::Map(_) => {
            let fields = Fields::open(node, &[JWKS_FILE], notes)?;
            let file = fields.required("file")?;
            Some(KeySource::File { path: resolve(folder, file.text(notes)?) })
        }
        Value::Text(_) => node.parsed(notes, KeySource::url),
        Value::Null
        | Value::Bool(_)
        | Value::Integer(_)
        | Value::Float
        | Value::List(_)
        | Value::Unusable => node.mismatch("a URL or `{ file: … }`", notes),
    }
}

fn speakers(node: &Node, issuers: Option<&[IssuerConfig]>, notes: &Notes) -> Option<Vec<Speaker>> {
    let mut seen = Vec::new();
    let speakers = node.some(notes, |item| {
        let (name, users_by, sessions) = match &item.value {
            Value::Map(_) => {
                let fields = Fields::open(item, SPEAKER_KEYS, notes)?;
                let users_by = fields.or("users_by", None, |node| namings(node, notes).map(Some));
                let sessions = fields.or("sessions", true, |node| node.boolean(notes));
                (fields.required("issuer")?, users_by?, sessions?)
            }
            Value::Text(_) => (item, None, true),
            Value::Null
            | Value::Bool(_)
            | Value::Integer(_)
            | Value::Float
            | Value::List(_)
            | Value::Unusable => return item.mismatch("the name of an issuer, or a map", notes),
        };
        let text = name.text(notes)?;
        if !once(text, &mut seen, name.place, notes) {
            return None;
        }
        speaker(name, text, issuers?, (users_by, sessions), notes)
    })?;
    if speakers.len() > MAX_SPEAKERS {
        notes.add(node.place, format!("more than {MAX_SPEAKERS} issuers"));
        return None;
    }
    Some(speakers)
}

fn namings(node: &Node, notes: &Notes) -> Option<Vec<Naming>> {
    let mut seen = Vec::new();
    node.some(notes, |item| {
        let naming = item.word(NAMINGS, notes)?;
        once(item.text(notes)?, &mut seen, item.place, notes).then_some(naming)
    })
}

/// A name that no token has would look like something that was stopped: it has to be certain what tokens call a user.
fn speaker(
    node: &Node,
    name: &str,
    issuers: &[IssuerConfig],
    (users_by, by_session): (Option<Vec<Naming>>, bool),
    notes: &Notes,
) -> Option<Speaker> {
    let Some(issuer) = issuers.iter().find(|issuer| issuer.profile.name.as_str() == name) else {
        notes.hint(node.place, format!("no issuer is called `{name}`"), "the `name` of one of `issuers`");
        return None;
    };
    let profile = &issuer.profile;
    let users_by = match (profile.claims.user.as_ref().map(|user| user.name.as_str()), users_by) {
        (None, _) => {
            let message = format!("tokens of `{name}` name no user");
            notes.hint(node.place, message, "say which claim does: `claims.user` of the issuer");
            return None;
        }
        (Some(_), Some(users_by)) => users_by,
        (Some("sub"), None) => vec![Naming::Subject],
        (Some(claim), None) => {
            let message =
                format!("what tokens of `{name}` call the user is `{claim}`, which subjects do not have");
            let hint = "say what it is: `{ issuer: …, users_by: [email] }`, or `[sub]`";
            notes.hint(node.place, message, hint);
            return None;
        }
    };
    Some(Speaker {
        name: profile.name.clone(),
        issuer: profile.issuer.clone(),
        by_subject: users_by.contains(&Naming::Subject),
        by_email: users_by.contains(&Naming::Email),
        by_session,
        longest: profile.max_lifetime.saturating_add(profile.leeway),
    })
}

fn delivery(node: &Node, name: Option<&str>, folder: &Path, notes: &Notes) -> Option<Delivery> {
    let fields = Fields::open(node, &[PUSH, POLL], notes)?;
    match (fields.optional("push"), fields.optional("poll")) {
        (Some(node), None) => push(node, name, folder, notes).map(Delivery::Push),
        (None, Some(node)) => poll(node, notes).map(Delivery::Poll),
        (Some(_), Some(_)) => {
            notes.add(node.place, "sets arrive in one way");
            None
        }
        (None, None) => {
            notes.add(node.place, "key `push` or `poll` is missing");
            None
        }
    }
}

fn push(node: &Node, name: Option<&str>, folder: &Path, notes: &Notes) -> Option<Push> {
    let fields = Fields::open(node, PUSH_KEYS, notes)?;
    let path = fields.or("path", format!("/signals/{}", name.unwrap_or_default()), |node| path(node, notes));
    let file = fields.or("authorization_file", None, |node| secret(node, folder, notes).map(Some));
    let without = fields.or("authorization", false, |node| node.word(NO_AUTHORIZATION, notes).map(|()| true));
    let authorization = match (file?, without?) {
        (Some(file), false) => PushAuthorization::File(file),
        (None, true) => PushAuthorization::NotAsked,
        (None, false) => {
            let hint = "`authorization_file: …`; or `authorization: none`, if the signature alone is to do";
            notes.hint(node.place, "what the transmitter shows is not said", hint);
            return None;
        }
        (Some(_), true) => {
            notes.add(node.place, "`authorization: none`, and an `authorization_file`");
            return None;
        }
    };
    Some(Push { path: path?, authorization })
}

/// Nothing else is served there, and there is one spelling of it.
fn path(node: &Node, notes: &Notes) -> Option<String> {
    let path = node.text(notes)?;
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'/' | b'-');
    let segments = || path.split('/').skip(1);
    let plain = path.len() <= 256
        && path.starts_with('/')
        && path.bytes().all(allowed)
        && segments().all(|segment| !matches!(segment, "" | "." | ".."));
    let first = segments().next().unwrap_or_default();
    if !plain {
        notes.hint(
            node.place,
            format!("`{path}` is no path that sets are posted to"),
            "such as `/signals/idp`",
        );
        return None;
    }
    if matches!(first, "healthz" | "readyz" | ".well-known") {
        notes.add(node.place, format!("something else is served at `/{first}`"));
        return None;
    }
    Some(path.to_owned())
}

fn poll(node: &Node, notes: &Notes) -> Option<Poll> {
    let fields = Fields::open(node, POLL_KEYS, notes)?;
    let url = fields.or("url", None, |node| {
        node.parsed(notes, |url| {
            let checked = Address::named(url).map_err(|problem| format!("the endpoint is {problem}"));
            checked.map(|_place| Some(url.to_owned()))
        })
    });
    let every = fields.duration("every", EVERY, &EVERY_RANGE);
    let long_poll = fields.or("long_poll", None, |node| node.duration(&LONG_POLL_RANGE, notes).map(Some));
    let max_events = fields.or("max_events", MAX_EVENTS, |node| {
        let most = node.count(notes)?.get();
        if most > POLL_MOST {
            notes.add(node.place, format!("more than {POLL_MOST}"));
            return None;
        }
        Some(most)
    });
    Some(Poll { url: url?, every: every?, long_poll: long_poll?, max_events: max_events? })
}

fn secret(node: &Node, folder: &Path, notes: &Notes) -> Option<PathBuf> {
    node.parsed(notes, |file| {
        let file = resolve(folder, file);
        private(&file).map(|()| file)
    })
}

/// What of a subject names users, in words.
pub(super) fn users_by(speaker: &Speaker) -> String {
    let words = [("sub", speaker.by_subject), ("email", speaker.by_email)];
    words.into_iter().filter(|(_, by)| *by).map(|(word, _)| word).collect::<Vec<_>>().join(", ")
}

/// The shape of the whole list.
pub(super) fn shape() -> Shape {
    list(map(KEYS))
}
