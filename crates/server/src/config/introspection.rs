//! `issuers[].introspection`: which tokens an issuer is asked about, and how (RFC 7662).

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use exequatur_issuers::{
    AnswerForm, AssertionAudience, ClientAuthentication, ClientIdentity, ClientKey, IntrospectionConfig,
    IntrospectionEndpoint, IssuerConfig, OpaqueTokens, Place as Address, TokenPrefix, ambiguous,
};
use exequatur_token::Algorithm;

use super::issuers::{DISCOVERIES, discover};
use super::keys::{
    Key, Shape, duration as duration_shape, either, map, number, one_of, optional, pattern, required, text,
    words,
};
use super::problems::Place;
use super::reader::{Fields, Node, Notes, Value};
use super::resources::url;
use super::secrets::private;
use super::status_lists::{entry, items};
use super::{duration, resolve};

const CACHE_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30);
const WAIT_RANGE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(5);
const TIMEOUT_RANGE: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(10);
const IN_FLIGHT_RANGE: RangeInclusive<usize> = 1..=1024;
/// A client's id and a key's (RFC 6749 appendix A.1): printable ASCII.
const NAME: &str = "^[ -~]{1,256}$";

/// Which tokens: those that are no JWTs, JWTs.
const TOKENS: &[(&str, (bool, bool))] =
    &[("opaque", (true, false)), ("jwt", (false, true)), ("all", (true, true))];
const FORMS: &[(&str, AnswerForm)] = &[("signed", AnswerForm::Signed), ("json", AnswerForm::Plain)];
const AUDIENCES: &[(&str, AssertionAudience)] =
    &[("issuer", AssertionAudience::Issuer), ("endpoint", AssertionAudience::Endpoint)];

const KEYS: &[Key] = &[
    required(
        "endpoint",
        "Where it is asked: an https URL, http for a loopback host, or where its metadata says.",
        || either([url(), map(&[discover("Which metadata of the issuer says where it is asked.")])]),
    ),
    optional(
        "tokens",
        "Which of its tokens it is asked about: those that are no JWTs, its JWTs once their signature holds, or both.",
        || words(TOKENS).default("opaque"),
    ),
    optional(
        "prefix",
        "What its tokens that are no JWTs begin with. Required for each where several issuers are asked about such.",
        || pattern("^([A-Za-z0-9._~+/-]|\\{tenant\\}){1,64}$"),
    ),
    optional(
        "response",
        "Whether it answers with a signed JWT (RFC 9701) or with JSON. The other one is refused.",
        || words(FORMS).default("signed"),
    ),
    required("client_id", "Who we are to it; a signed answer has to be for this audience.", || pattern(NAME)),
    optional(
        "private_key_jwt",
        "We show who we are by a JWT that we sign (RFC 7523). Either this or `mtls`.",
        || map(KEY_KEYS),
    ),
    optional("mtls", "We show who we are by a certificate (RFC 8705).", || map(MTLS_KEYS)),
    optional("cache", "How long an answer counts; that a token is not active, for 5 s at most.", || {
        duration_shape(&CACHE_RANGE).default_duration(IntrospectionConfig::CACHE)
    }),
    optional("wait", "How long a decision waits for an answer; at most half of `deadline`.", || {
        duration_shape(&WAIT_RANGE).default_duration(IntrospectionConfig::WAIT)
    }),
    optional("timeout", "Time for one question, which goes on when the decision waits no longer.", || {
        duration_shape(&TIMEOUT_RANGE).default_duration(IntrospectionConfig::TIMEOUT)
    }),
    optional("max_in_flight", "Most questions under way at once.", || {
        number(&IN_FLIGHT_RANGE).default(IntrospectionConfig::MAX_IN_FLIGHT)
    }),
];

pub(super) fn shape() -> Shape {
    map(KEYS).exactly_one(&["private_key_jwt", "mtls"])
}

const KEY_KEYS: &[Key] = &[
    required("key_file", "PEM: a private key (PKCS #8) that only the owner and the group may read.", text),
    optional("algorithm", "What it signs with.", || {
        one_of(&Algorithm::ALL.map(Algorithm::jose_name)).default(Algorithm::Es256.jose_name())
    }),
    optional("key_id", "The `kid` that the server knows the key by.", || pattern(NAME)),
    optional("audience", "Whom the JWT is for: the issuer, or the address that is asked.", || {
        words(AUDIENCES).default("issuer")
    }),
];

const MTLS_KEYS: &[Key] = &[
    required(
        "certificate_file",
        "PEM: our certificate, then those between it and the root. Read again when it changes.",
        text,
    ),
    required("key_file", "PEM: its key, which only the owner and the group may read.", text),
];

pub(super) fn read(node: &Node, folder: &Path, notes: &Notes) -> Option<IntrospectionConfig> {
    let fields = Fields::open(node, KEYS, notes)?;
    let endpoint = fields.required("endpoint").and_then(|node| endpoint(node, notes));
    let tokens = fields.or("tokens", (true, false), |node| node.word(TOKENS, notes));
    let prefix = fields.or("prefix", None, |node| node.parsed(notes, TokenPrefix::from_str).map(Some));
    let form = fields.or("response", AnswerForm::Signed, |node| node.word(FORMS, notes));
    let client_id = fields.required("client_id").and_then(|node| name(node, notes));
    let authentication = authentication(node, &fields, folder, notes);
    let cache = fields.duration("cache", IntrospectionConfig::CACHE, &CACHE_RANGE);
    let wait = fields.duration("wait", IntrospectionConfig::WAIT, &WAIT_RANGE);
    let timeout = fields.duration("timeout", IntrospectionConfig::TIMEOUT, &TIMEOUT_RANGE);
    let max_in_flight = fields
        .or("max_in_flight", IntrospectionConfig::MAX_IN_FLIGHT, |node| node.number(&IN_FLIGHT_RANGE, notes));
    let ((opaque, jwts), prefix) = (tokens?, prefix?);
    if let Some(entry) = fields.entry("prefix").filter(|_| !opaque) {
        notes.add(entry.key_place, "a prefix is for tokens that are no JWTs, which are not asked about");
    }
    let (endpoint, authentication) = (endpoint?, authentication?);
    let certificate = matches!(authentication, ClientAuthentication::Mtls { .. });
    let plain =
        matches!(&endpoint, IntrospectionEndpoint::Named(place) if !place.as_str().starts_with("https:"));
    if let Some(entry) = fields.entry("mtls").filter(|_| certificate && plain) {
        notes.add(entry.key_place, "a certificate is shown over https, and the endpoint is asked over http");
    }
    Some(IntrospectionConfig {
        endpoint,
        opaque: opaque.then(|| prefix.map_or(OpaqueTokens::All, OpaqueTokens::Prefixed)),
        jwts,
        form: form?,
        client_id: client_id?,
        authentication,
        cache: cache?,
        wait: wait?,
        timeout: timeout?,
        max_in_flight: max_in_flight?,
    })
}

fn endpoint(node: &Node, notes: &Notes) -> Option<IntrospectionEndpoint> {
    if let Value::Map(_) = node.value {
        let keys = [discover("")];
        let fields = Fields::open(node, &keys, notes)?;
        let by = fields.required("discover").and_then(|node| node.word(DISCOVERIES, notes))?;
        return Some(IntrospectionEndpoint::Discovered { by });
    }
    if !matches!(node.value, Value::Text(_)) {
        return node.mismatch("a URL or `{ discover: oauth }`", notes);
    }
    let text = node.text(notes)?;
    match Address::named(text) {
        Ok(place) => Some(IntrospectionEndpoint::Named(place)),
        Err(problem) => {
            notes.hint(
                node.place,
                format!("the endpoint's URL is {problem}"),
                "https, or http to a loopback host",
            );
            None
        }
    }
}

fn name(node: &Node, notes: &Notes) -> Option<String> {
    let text = node.text(notes)?;
    if (1..=256).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Some(text.to_owned());
    }
    notes.add(node.place, "1 to 256 printable ASCII characters are expected");
    None
}

fn authentication(
    node: &Node,
    fields: &Fields<'_>,
    folder: &Path,
    notes: &Notes,
) -> Option<ClientAuthentication> {
    match (fields.optional("private_key_jwt"), fields.optional("mtls")) {
        (Some(jwt), None) => private_key_jwt(jwt, folder, notes),
        (None, Some(mtls)) => identity(mtls, folder, notes),
        (Some(_), Some(_)) => {
            notes.add(node.place, "who asks is shown in one way: `private_key_jwt` or `mtls`");
            None
        }
        (None, None) => {
            let hint = "private_key_jwt: { key_file: … }, or mtls: { certificate_file: …, key_file: … }";
            notes.hint(node.place, "key `private_key_jwt` or `mtls` is missing", hint);
            None
        }
    }
}

fn private_key_jwt(node: &Node, folder: &Path, notes: &Notes) -> Option<ClientAuthentication> {
    let fields = Fields::open(node, KEY_KEYS, notes)?;
    let algorithm = fields.or("algorithm", Algorithm::Es256, |node| algorithm(node, notes));
    let key_id = fields.or("key_id", None, |node| name(node, notes).map(Some));
    let audience = fields.or("audience", AssertionAudience::Issuer, |node| node.word(AUDIENCES, notes));
    let file = fields.required("key_file")?;
    let (algorithm, key_id) = (algorithm?, key_id?);
    let key = file.parsed(notes, |path| {
        let path = resolve(folder, path);
        private(&path).map_err(|exposed| exposed.to_string())?;
        ClientKey::read(&path, algorithm, key_id).map_err(|problem| problem.to_string())
    })?;
    Some(ClientAuthentication::PrivateKeyJwt { key, audience: audience? })
}

fn algorithm(node: &Node, notes: &Notes) -> Option<Algorithm> {
    let text = node.text(notes)?;
    let algorithm = Algorithm::from_jose(text);
    if algorithm.is_none() {
        let problem = format!("algorithm `{text}` is not accepted");
        notes.hint(node.place, problem, "known are: ES256, ES384, EdDSA, PS256, RS256");
    }
    algorithm
}

fn identity(node: &Node, folder: &Path, notes: &Notes) -> Option<ClientAuthentication> {
    let fields = Fields::open(node, MTLS_KEYS, notes)?;
    let certificate: Option<PathBuf> = fields
        .required("certificate_file")
        .and_then(|node| node.text(notes))
        .map(|path| resolve(folder, path));
    let key = fields.required("key_file")?;
    let certificate = certificate?;
    let identity = key.parsed(notes, |path| {
        let path = resolve(folder, path);
        private(&path).map_err(|exposed| exposed.to_string())?;
        ClientIdentity::read(&certificate, &path).map_err(|problem| problem.to_string())
    })?;
    Some(ClientAuthentication::Mtls { identity })
}

/// That a token is one issuer's, and that no decision waits for longer than it has.
pub(super) fn check(issuers: &[IssuerConfig], deadline: Duration, section: Option<&Node>, notes: &Notes) {
    let place = |name: &str, key: &str| {
        let index = issuers.iter().position(|issuer| issuer.profile.name.as_str() == name)?;
        place(section, index, key)
    };
    if let Some((first, later)) = ambiguous(issuers) {
        let message = format!("tokens that are no JWTs could be of issuer `{}` too", first.profile.name);
        let hint = "give each issuer a `prefix` that only its tokens begin with";
        notes.hint(place(later.profile.name.as_str(), "prefix").unwrap_or_default(), message, hint);
    }
    for issuer in issuers {
        let Some(asked) = issuer.introspection.as_ref().filter(|asked| asked.wait > deadline / 2) else {
            continue;
        };
        let (wait, deadline) = (duration::format(asked.wait), duration::format(deadline));
        let message = format!("a decision would wait {wait}, more than half of `deadline` ({deadline})");
        let hint = "lower `wait`, or raise `deadline` and Envoy's `timeout`";
        notes.hint(place(issuer.profile.name.as_str(), "wait").unwrap_or_default(), message, hint);
    }
}

fn place(section: Option<&Node>, index: usize, key: &str) -> Option<Place> {
    let item = items(section?)?.get(index)?;
    let asked = entry(item, "introspection").unwrap_or(item);
    Some(entry(asked, key).unwrap_or(asked).place)
}

/// In the form of the file.
pub(super) fn show(config: &IntrospectionConfig, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "    introspection:")?;
    match &config.endpoint {
        IntrospectionEndpoint::Named(place) => writeln!(f, "      endpoint: {:?}", place.as_str())?,
        IntrospectionEndpoint::Discovered { by } => {
            writeln!(f, "      endpoint: {{ discover: {} }}", word(DISCOVERIES, by))?;
        }
    }
    writeln!(f, "      tokens: {}", word(TOKENS, &(config.opaque.is_some(), config.jwts)))?;
    if let Some(OpaqueTokens::Prefixed(prefix)) = &config.opaque {
        writeln!(f, "      prefix: {:?}", prefix.as_str())?;
    }
    writeln!(f, "      response: {}", word(FORMS, &config.form))?;
    writeln!(f, "      client_id: {:?}", config.client_id)?;
    match &config.authentication {
        ClientAuthentication::PrivateKeyJwt { key, audience } => {
            writeln!(f, "      private_key_jwt:\n        key_file: {:?}", key.file())?;
            writeln!(f, "        algorithm: {}", key.algorithm().jose_name())?;
            key.key_id().iter().try_for_each(|id| writeln!(f, "        key_id: {id:?}"))?;
            writeln!(f, "        audience: {}", word(AUDIENCES, audience))?;
        }
        ClientAuthentication::Mtls { identity } => {
            writeln!(f, "      mtls:\n        certificate_file: {:?}", identity.certificate_file())?;
            writeln!(f, "        key_file: {:?}", identity.key_file())?;
        }
    }
    for (key, span) in [("cache", config.cache), ("wait", config.wait), ("timeout", config.timeout)] {
        writeln!(f, "      {key}: {}", duration::format(span))?;
    }
    writeln!(f, "      max_in_flight: {}", config.max_in_flight)
}

fn word<T: PartialEq>(words: &[(&'static str, T)], of: &T) -> &'static str {
    words.iter().find(|(_, meaning)| meaning == of).map_or("", |(word, _)| word)
}

#[cfg(test)]
mod tests;
