//! The settings in effect, defaults included. Of a secret only its file is known here, so none can be shown.

use std::fmt;
use std::time::Duration;

use exequatur_decide::{
    Access, CredentialHandling, Federation, Guard, NonceMode, Route, SenderRequirement, TenantTraits,
};
use exequatur_issuers::{IssuerConfig, KeySource, ListPrefix, StatusListConfig, Transport};
use exequatur_signals::{Delivery, PushAuthorization, StreamConfig};
use exequatur_store::{Limit, ReplayLimits, WindowBounds};
use exequatur_token::{Algorithm, CertifiedTenants, TenantScope};
use jiff::SignedDuration;

use super::admin::show as show_admin;
use super::claims::show as show_claims;
use super::issuers::DISCOVERIES;
use super::records::{self, RecordCheckpoints, Records, word};
use super::redis::WITHOUT;
use super::routes::{PRINCIPALS, RoutePlace, RouteTexts, USERS};
use super::sender::{NonceSecretFiles, REQUIREMENTS};
use super::tls::show as show_tls;
use super::traces::show as show_traces;
use super::{
    Config, RedisUrl, Store, authorization_details, duration, introspection, limits, signals, step_up,
};

/// The settings in effect, in the file's own form, and after them the routes that need no identity.
#[must_use]
pub fn show(config: &Config) -> String {
    in_yaml(&Shown(config).to_string())
}

/// Texts are written as Rust writes them, which is as YAML does but for one escape: `\u{7f}` is `\U0000007F` there.
fn in_yaml(text: &str) -> String {
    let mut yaml = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        yaml.push_str(before);
        let scalar = escape.strip_prefix("u{").and_then(|digits| digits.split_once('}'));
        let mut after = escape.chars();
        match (scalar, after.next()) {
            (Some((digits, behind)), _) => {
                yaml.push_str(&format!("\\U{digits:0>8}"));
                rest = behind;
            }
            (None, Some(escaped)) => {
                yaml.extend(['\\', escaped]);
                rest = after.as_str();
            }
            (None, None) => {
                yaml.push('\\');
                rest = "";
            }
        }
    }
    yaml + rest
}

struct Shown<'a>(&'a Config);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.0;
        writeln!(f, "# {}", config.source.path.display())?;
        write!(f, "# sha256 ")?;
        config.digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        writeln!(f, "\nlisten:")?;
        writeln!(f, "  grpc: {:?}", config.listen.grpc.to_string())?;
        if let Some(files) = &config.listen.grpc_tls {
            writeln!(f, "  grpc_tls:")?;
            show_tls(files, f)?;
        }
        if !config.listen.grpc_peers.is_empty() {
            writeln!(f, "  grpc_peers: {:?}", config.listen.grpc_peers)?;
        }
        writeln!(f, "  public: \"{}\"", config.listen.public)?;
        writeln!(f, "  metrics: \"{}\"", config.listen.metrics)?;
        match &config.listen.admin {
            Some(admin) => writeln!(f, "  admin: {:?}", format!("unix:{}", admin.display()))?,
            None => writeln!(f, "  # admin: none, nothing can be revoked")?,
        }
        if config.listen.leaves_the_machine() {
            writeln!(f, "  plaintext: accepted")?;
        }
        config.admin.iter().try_for_each(|admin| show_admin(admin, f))?;
        writeln!(f, "policies: {:?}", config.policies)?;
        writeln!(f, "protected_resources:")?;
        for resource in config.protected.iter() {
            writeln!(f, "  - resource: {:?}", resource.identifier)?;
            writeln!(f, "    origin: \"{}\"", resource.origin)?;
            if !resource.aliases.is_empty() {
                writeln!(f, "    audiences: {:?}", resource.aliases)?;
            }
            writeln!(f, "    scopes: {:?}", resource.scopes)?;
            writeln!(f, "    # metadata: {}", resource.metadata_url)?;
        }
        writeln!(f, "issuers:")?;
        config.issuers.iter().try_for_each(|issuer| show_issuer(issuer, f))?;
        show_tenants(config, f)?;
        show_sender(config, f)?;
        show_store(&config.store, f)?;
        writeln!(f, "routes:")?;
        let routes = || config.routes.iter().zip(&config.places);
        routes().try_for_each(|(route, place)| show_route(route, place, f))?;
        show_limits(config, f)?;
        show_signals(&config.signals, f)?;
        match &config.records {
            Some(records) => show_records(records, f)?,
            None => writeln!(f, "# records: none are kept")?,
        }
        match &config.traces {
            Some(traces) => show_traces(traces, f)?,
            None => writeln!(f, "# traces: none are sent")?,
        }
        writeln!(f, "deadline: {}", duration::format(config.deadline))?;
        writeln!(f, "max_token_bytes: {}", config.token_size.bytes())?;
        writeln!(f, "workers: {}", config.workers)?;
        match &config.replica {
            Some(name) => writeln!(f, "replica:\n  name: {:?}", name.as_str())?,
            None => writeln!(f, "# replica: by the host's name")?,
        }
        writeln!(f, "\n# Routes without authentication:")?;
        let mut any = false;
        for (route, place) in routes() {
            if let Some(word) = open_access(&route.access) {
                any = true;
                let (methods, host) = (route.matches.methods.join(","), host(route));
                writeln!(
                    f,
                    "#   {word} {methods} {host}{}  ({}, line {})",
                    place.texts.path, route.name, place.at.line
                )?;
            }
        }
        if any { Ok(()) } else { writeln!(f, "#   none") }
    }
}

fn open_access(access: &Access) -> Option<&'static str> {
    match access {
        Access::Public => Some("public"),
        Access::Preflight => Some("preflight"),
        Access::Guarded(_) => None,
    }
}

fn host(route: &Route) -> &str {
    route.matches.host.as_ref().map_or("*", |host| host.as_str())
}

fn show_issuer(issuer: &IssuerConfig, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let profile = &issuer.profile;
    writeln!(f, "  - name: {}\n    issuer: {:?}", profile.name, profile.issuer)?;
    match &issuer.source {
        KeySource::Url { url } => writeln!(f, "    jwks: {url:?}")?,
        KeySource::Discovered { by } => {
            let word = DISCOVERIES.iter().find(|(_, known)| known == by).map_or("", |(word, _)| word);
            writeln!(f, "    jwks: {{ discover: {word} }}")?;
        }
        KeySource::File { path } => writeln!(f, "    jwks: {{ file: {path:?} }}")?,
    }
    show_transport(&issuer.transport, f)?;
    writeln!(f, "    audiences: {:?}", profile.audiences)?;
    writeln!(f, "    algorithms: [{}]", names(&profile.algorithms))?;
    writeln!(f, "    max_lifetime: {}", signed(profile.max_lifetime))?;
    writeln!(f, "    leeway: {}", signed(profile.leeway))?;
    writeln!(f, "    accept_typ_jwt: {}", profile.accept_typ_jwt)?;
    writeln!(f, "    refresh: {}", duration::format(issuer.refresh))?;
    writeln!(f, "    cooldown: {}", duration::format(issuer.cooldown))?;
    writeln!(f, "    max_stale: {}", duration::format(issuer.max_stale))?;
    show_claims(&profile.claims, f)?;
    match &profile.tenants {
        TenantScope::Any => writeln!(f, "    tenants: any")?,
        TenantScope::Only(tenants) => writeln!(f, "    tenants: {tenants:?}")?,
        TenantScope::Always(own) => writeln!(f, "    tenant: {own:?}")?,
        TenantScope::Certified { by: CertifiedTenants { authorities, uri }, only } => {
            let (file, uri) = (authorities.file(), uri.to_string());
            writeln!(f, "    tenant: {{ certificate: {{ ca_file: {file:?}, uri: {uri:?} }} }}")?;
            match only {
                Some(tenants) => writeln!(f, "    tenants: {tenants:?}"),
                None => writeln!(f, "    tenants: any"),
            }?;
        }
    }
    match &issuer.status_lists {
        Some(lists) => show_status_lists(lists, profile.status_required, f),
        None => writeln!(f, "    # status_lists: none, a token that names one is refused"),
    }?;
    match &issuer.introspection {
        Some(asked) => introspection::show(asked, f),
        None => writeln!(f, "    # introspection: none, a token that is no JWT is refused"),
    }
}

fn show_tenants(config: &Config, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut tenants = config.tenants.iter().peekable();
    if tenants.peek().is_some() {
        writeln!(f, "tenants:")?;
    }
    for (name, TenantTraits { classification, region }) in tenants {
        let said = [("classification", classification), ("region", region)];
        let said = said.into_iter().filter_map(|(key, word)| Some(format!("{key}: {:?}", word.as_ref()?)));
        writeln!(f, "  {name:?}: {{ {} }}", said.collect::<Vec<_>>().join(", "))?;
    }
    if config.federations.is_empty() {
        return writeln!(f, "# federations: none, no token reaches another tenant's resources");
    }
    writeln!(f, "federations:")?;
    for Federation { name, from, to, routes } in &config.federations {
        writeln!(f, "  - {{ name: {name:?}, from: {from:?}, to: {to:?}, routes: {routes:?} }}")?;
    }
    Ok(())
}

fn show_status_lists(lists: &StatusListConfig, required: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let uris: Vec<_> = lists.uris.iter().map(ListPrefix::as_str).collect();
    writeln!(f, "    status_lists:\n      uris: {uris:?}\n      required: {required}")?;
    for (key, span) in [
        ("refresh", lists.refresh),
        ("cooldown", lists.cooldown),
        ("max_stale", lists.max_stale),
        ("wait", lists.wait),
    ] {
        writeln!(f, "      {key}: {}", duration::format(span))?;
    }
    writeln!(f, "      max_lists: {}\n      max_list_bytes: {}", lists.max_lists, lists.size.bytes())
}

fn show_store(store: &Store, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(redis) = &store.redis else {
        writeln!(f, "store:\n  embedded:")?;
        match &store.path {
            Some(path) => writeln!(f, "    path: {path:?}")?,
            None => writeln!(f, "    # path: none, revocations are lost at a restart")?,
        }
        let ReplayLimits { max_proofs, max_per_tenant, max_per_key } = store.replay;
        writeln!(f, "    max_proofs: {max_proofs}")?;
        writeln!(f, "    max_per_tenant: {max_per_tenant}\n    max_per_key: {max_per_key}")?;
        return writeln!(f, "    max_revocations: {}", store.max_revocations);
    };
    match &redis.url {
        RedisUrl::Here(url) => writeln!(f, "store:\n  redis:\n    url: {url:?}")?,
        RedisUrl::File(file) => writeln!(f, "store:\n  redis:\n    url_file: {file:?}")?,
    }
    if !redis.sentinels.is_empty() {
        writeln!(f, "    sentinels: {:?}", redis.sentinels)?;
    }
    writeln!(f, "    cluster: {}", redis.cluster)?;
    if let Some(file) = &redis.ca_file {
        writeln!(f, "    ca_file: {file:?}")?;
    }
    writeln!(f, "    prefix: {:?}", redis.prefix.as_str())?;
    writeln!(f, "    timeout: {}", duration::format(redis.timeout))?;
    let word = WITHOUT.iter().find(|(_, known)| *known == redis.limits_without).map_or("", |(word, _)| word);
    writeln!(f, "    limits_without: {word}\n    replicas: {}", redis.replicas)?;
    writeln!(f, "    max_staleness: {}", duration::format(redis.max_staleness))?;
    match redis.degrade_for {
        None => writeln!(f, "    stale: deny")?,
        Some(span) => writeln!(f, "    stale: degrade\n    degrade_for: {}", duration::format(span))?,
    }
    writeln!(f, "    max_revocations: {}", redis.max_revocations)?;
    let WindowBounds { max_per_tenant, max_per_key } = redis.bounds;
    writeln!(f, "    max_per_tenant: {max_per_tenant}\n    max_per_key: {max_per_key}")
}

fn show_sender(config: &Config, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (sender, proofs) = (&config.sender, &config.sender.policy.proofs);
    writeln!(f, "sender_constraint:\n  require: {}", requirement(sender.least))?;
    writeln!(f, "  dpop:\n    max_age: {}", signed(proofs.max_age))?;
    writeln!(f, "    skew: {}\n    future: {}", signed(proofs.skew), signed(proofs.future))?;
    writeln!(f, "    algorithms: [{}]", names(&proofs.algorithms))?;
    match sender.policy.nonces {
        NonceMode::Off => writeln!(f, "    nonce: \"off\"")?,
        NonceMode::Required { max_age } => {
            writeln!(f, "    nonce: required\n    nonce_max_age: {}", signed(max_age))?;
        }
    }
    let Some(NonceSecretFiles { current, previous }) = &sender.nonce_secret else {
        return writeln!(f, "    # nonce_secret_file: none, a random secret per process");
    };
    writeln!(f, "    nonce_secret_file: {current:?}")?;
    match previous {
        Some(previous) => writeln!(f, "    previous_nonce_secret_file: {previous:?}"),
        None => Ok(()),
    }
}

fn show_route(route: &Route, place: &RoutePlace, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "  - name: {:?}\n    match:", route.name)?;
    match &route.matches.host {
        Some(host) => writeln!(f, "      host: \"{host}\"")?,
        None => writeln!(f, "      # host: that of any protected resource")?,
    }
    writeln!(f, "      path: {:?}\n      methods: {:?}", place.texts.path, route.matches.methods)?;
    super::recorded::show(route.record.as_deref(), f)?;
    match &route.access {
        Access::Public | Access::Preflight => {
            writeln!(f, "    access: {}", open_access(&route.access).unwrap_or_default())
        }
        Access::Guarded(guard) => show_guard(guard, &place.texts, f),
    }
}

/// The word for a value of a table that the reader uses too.
pub(super) fn spelt<T: PartialEq + Copy>(value: T, words: &[(&'static str, T)]) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

fn show_guard(guard: &Guard, texts: &RouteTexts, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "    action: {:?}\n    resource:\n      type: {:?}", guard.action, guard.resource.kind)?;
    writeln!(f, "      id: {:?}", texts.id)?;
    if let Some(tenant) = &texts.tenant {
        writeln!(f, "      tenant: {tenant:?}")?;
    }
    if !texts.attributes.is_empty() {
        writeln!(f, "      attributes:")?;
        texts.attributes.iter().try_for_each(|(name, value)| writeln!(f, "        {name:?}: {value}"))?;
    }
    writeln!(f, "    scopes: {:?}", texts.scopes)?;
    writeln!(f, "    user: {}", spelt(guard.user, USERS))?;
    writeln!(f, "    principals: {}", spelt(guard.principals, PRINCIPALS))?;
    step_up::show(guard.step_up.as_ref(), f)?;
    authorization_details::show(&guard.authorization_details, &texts.identifiers, f)?;
    writeln!(f, "    sender_constraint: {}", requirement(guard.sender))?;
    match &guard.credentials {
        CredentialHandling::Strip => writeln!(f, "    credentials: strip")?,
        CredentialHandling::Forward { audience } => {
            writeln!(f, "    credentials: {{ forward: {{ audience: {audience:?} }} }}")?;
        }
    }
    writeln!(f, "    hide: {}", guard.hide)?;
    writeln!(f, "    upgrades: {:?}", guard.upgrades)?;
    writeln!(f, "    cost: {}", guard.cost)
}

fn show_limits(config: &Config, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let unauthenticated = &config.unauthenticated;
    writeln!(f, "unauthenticated:\n  rate: {}", unauthenticated)?;
    writeln!(f, "  burst: {}", unauthenticated.burst())?;
    if config.limits.is_empty() {
        return writeln!(f, "limits: []");
    }
    writeln!(f, "limits:")?;
    for limit in &config.limits {
        writeln!(f, "  - name: {:?}\n    per: {}", limit.name, limits::per_text(&limit.per))?;
        match &limit.limit {
            Limit::Rate(rate) => {
                writeln!(f, "    rate: {}\n    burst: {}", rate, rate.burst())?;
            }
            Limit::Quota(quota) => writeln!(f, "    quota: {}", quota)?,
        }
        if let Some(routes) = &limit.routes {
            writeln!(f, "    routes: {routes:?}")?;
        }
    }
    Ok(())
}

fn show_records(records: &Records, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Records { file, mode, checkpoints, redaction, sinks } = records;
    let RecordCheckpoints { key_file, key_id, previous_keys_file, every, records } = checkpoints;
    writeln!(f, "records:")?;
    match file {
        Some(file) => writeln!(f, "  file: {file:?}")?,
        None => writeln!(f, "  # file: none, records go to the sinks alone")?,
    }
    writeln!(f, "  mode: {}\n  checkpoints:", word(*mode))?;
    match key_file {
        Some(file) => writeln!(f, "    key_file: {file:?}")?,
        None => writeln!(f, "    # key_file: nothing is signed")?,
    }
    if let Some(id) = key_id {
        writeln!(f, "    key_id: {id:?}")?;
    }
    if let Some(file) = previous_keys_file {
        writeln!(f, "    previous_keys_file: {file:?}")?;
    }
    writeln!(f, "    every: {}\n    records: {records}", duration::format(*every))?;
    records::show_redaction(redaction, f)?;
    super::sinks::show(sinks, f)
}

fn show_signals(streams: &[StreamConfig], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if streams.is_empty() {
        return writeln!(f, "signals: []");
    }
    writeln!(f, "signals:")?;
    streams.iter().try_for_each(|stream| show_stream(stream, f))
}

fn show_stream(stream: &StreamConfig, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (keys, expected) = (&stream.keys, &stream.expected);
    writeln!(f, "  - name: {}\n    transmitter: {:?}", keys.name, expected.issuer)?;
    writeln!(f, "    audience: {:?}", expected.audience)?;
    match &keys.source {
        KeySource::Url { url } => writeln!(f, "    jwks: {url:?}")?,
        KeySource::Discovered { .. } => writeln!(f, "    # jwks: where its metadata says")?,
        KeySource::File { path } => writeln!(f, "    jwks: {{ file: {path:?} }}")?,
    }
    show_transport(&keys.transport, f)?;
    writeln!(f, "    algorithms: [{}]", names(&expected.algorithms))?;
    writeln!(f, "    refresh: {}", duration::format(keys.refresh))?;
    writeln!(f, "    cooldown: {}", duration::format(keys.cooldown))?;
    writeln!(f, "    max_stale: {}", duration::format(keys.max_stale))?;
    writeln!(f, "    subjects_of:")?;
    for speaker in &stream.speakers {
        let (name, users_by) = (&speaker.name, signals::users_by(speaker));
        writeln!(
            f,
            "      - {{ issuer: {name}, users_by: [{users_by}], sessions: {} }}",
            speaker.by_session
        )?;
    }
    for (key, response) in
        [("credential_change", stream.credential_change), ("token_claims_change", stream.token_claims_change)]
    {
        let word =
            signals::RESPONSES.iter().find(|(_, known)| *known == response).map_or("", |(word, _)| word);
        writeln!(f, "    {key}: {word}")?;
    }
    writeln!(f, "    attributes_for: {}", signed(stream.attributes_for))?;
    match &stream.delivery {
        Delivery::Push(push) => {
            writeln!(f, "    delivery:\n      push:\n        path: {:?}", push.path)?;
            match &push.authorization {
                PushAuthorization::File(file) => writeln!(f, "        authorization_file: {file:?}")?,
                PushAuthorization::NotAsked => writeln!(f, "        authorization: none")?,
            }
        }
        Delivery::Poll(poll) => {
            writeln!(f, "    delivery:\n      poll:")?;
            match &poll.url {
                Some(url) => writeln!(f, "        url: {url:?}")?,
                None => writeln!(f, "        # url: none, nothing is fetched")?,
            }
            writeln!(f, "        every: {}", duration::format(poll.every))?;
            if let Some(wait) = poll.long_poll {
                writeln!(f, "        long_poll: {}", duration::format(wait))?;
            }
            writeln!(f, "        max_events: {}", poll.max_events)?;
        }
    }
    if let Some(id) = &stream.stream_id {
        writeln!(f, "    stream_id: {id:?}")?;
    }
    for (key, file) in [("token_file", &stream.token_file), ("state_secret_file", &stream.state_secret_file)]
    {
        if let Some(file) = file {
            writeln!(f, "    {key}: {file:?}")?;
        }
    }
    Ok(())
}

fn show_transport(transport: &Transport, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(authorities) = &transport.authorities {
        writeln!(f, "    ca_file: {:?}", authorities.file())?;
    }
    if let Some(proxy) = &transport.proxy {
        writeln!(f, "    proxy: {:?}", proxy.url())?;
        if let Some(credentials) = proxy.credentials() {
            writeln!(f, "    proxy_credentials_file: {:?}", credentials.file())?;
        }
    }
    Ok(())
}

fn requirement(requirement: SenderRequirement) -> &'static str {
    REQUIREMENTS.iter().find(|(_, known)| *known == requirement).map_or("", |(word, _)| word)
}

fn names(algorithms: &[Algorithm]) -> String {
    algorithms.iter().map(|algorithm| algorithm.jose_name()).collect::<Vec<_>>().join(", ")
}

fn signed(duration: SignedDuration) -> String {
    duration::format(Duration::try_from(duration).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use saphyr::LoadableYamlNode as _;

    use super::*;

    /// What is shown is read as it was meant, whatever characters are in it.
    #[test]
    fn every_character_is_shown_as_yaml_reads_it() {
        for text in
            ["a\u{5}b", "\u{7f}\u{85}\u{2028}\u{feff}\u{10ffff}", "\\u{5}", "\\\\u{5}\\", "\0\t\r\n\"'", "é"]
        {
            let yaml = in_yaml(&format!("{text:?}"));
            let read: String = match saphyr::YamlOwned::load_from_str(&yaml) {
                Ok(documents) => documents.first().and_then(|it| it.as_str()).unwrap_or_default().to_owned(),
                Err(error) => panic!("{yaml}: {error}"),
            };
            assert_eq!(read, text, "{yaml}");
        }
    }
}
