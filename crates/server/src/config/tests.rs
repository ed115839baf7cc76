use std::fmt::Write as _;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use exequatur_audit::{Form, PeerForm};
use exequatur_decide::{
    Access, CredentialHandling, Locations, NonceMode, PartForm, Per, RouteMisfit, Template,
};
use exequatur_issuers::KeySource;
use exequatur_token::{Algorithm, CertificateName, TenantScope};
use jiff::SignedDuration;

use super::*;

pub(super) const WHOLE: &str = r#"
listen: { grpc: "unix:run/grpc.sock", public: "0.0.0.0:9192", metrics: "[::1]:9193", admin: "unix:run/admin.sock", plaintext: accepted }
admin:
  listen: 10.0.0.1:9194
  tls: { certificate_file: ./tls/admin.crt, key_file: ./tls/admin.key, client_ca_file: ./tls/operators.crt }
  tokens:
    - { issuer: corp, audience: https://exequatur.example.com/admin, claim: [realm, roles], roles: { reader: [viewer], revoker: [oncall, "on call 2"], approver: [approver], administrator: [platform] }, reach: own_tenant }
  certificates:
    - { uri: "spiffe://example.com/oncall", role: revoker, reach: everything }
    - { dns: ops.acme.example, role: administrator, reach: { tenant: acme } }
policies: ./policies
protected_resources:
  - resource: https://api.example.com
    origin: http://localhost:10000
    scopes: [documents:read, documents:write]
  - { resource: https://other.example.com/v1, audiences: ["api://documents"] }
issuers:
  - name: corp
    issuer: https://sts.example.com
    jwks: { file: ./jwks.json }
    audiences: [https://api.example.com, https://other.example.com/v1, https://up.example.com, "api://documents"]
    algorithms: [Ed25519, ES256]
    max_lifetime: 15m
    refresh: 60s
    claims: { agent: client_id, client: azp, id: uti, scopes: [scope, roles], user: { claim: sub, when: { idtyp: user }, unless: { gty: [client-credentials, "11"] }, own_subject: client, otherwise: client }, tenant: tenant, purpose: why, prompt_hash: prompt }
sender_constraint:
  require: any
  dpop: { max_age: 30s, skew: 500ms, nonce: required, nonce_max_age: 2m, nonce_secret_file: /etc/nonce, previous_nonce_secret_file: /etc/nonce-before }
store: { embedded: { path: ./state, max_proofs: 10, max_per_tenant: 5, max_per_key: 2, max_revocations: 7 } }
routes:
  - name: read-document
    match: { host: localhost, path: "/tenants/{tenant}/documents/{id}", methods: [GET, HEAD] }
    action: ReadDocument
    resource:
      type: Document
      id: "{id}"
      tenant: "{tenant}"
      attributes: { sensitivity: confidential, size: 7, draft: false, tags: [a, "{id}"], owner: { entity: "Exequatur::User", id: "corp:alice" } }
    scopes: ["documents:read", "doc:{id}"]
    user: required
    principals: agent
    step_up: { acr_values: ["urn:example:gold", phr], max_age: 5m }
    authorization_details:
      - type: document
        actions: [read, "print it"]
        datatypes: [text]
        privileges: [reader]
        identifier: "{tenant}/{id}"
        locations: required
        unjudged: [max_pages]
      - { type: "https://example.com/quota", unjudged: [identifier, actions] }
    sender_constraint: dpop
    credentials: { forward: { audience: https://up.example.com } }
    hide: true
    upgrades: [websocket]
    cost: 5
    record: { headers: [{ name: user-agent, as: plain }, X-Request-Id], query: [{ name: page, as: digest }], path_parameters: [{ name: id, as: digest }] }
  - name: list
    match: { path: /documents, methods: [GET] }
    action: ListDocuments
    resource: { type: Collection, id: all }
  - { name: health, match: { path: /healthz, methods: [GET] }, access: public }
  - { name: cors, match: { path: "/**", methods: [OPTIONS] }, access: preflight }
limits:
  - { name: agent-burst, per: agent, rate: 100/s, burst: 200 }
  - { name: user-route, per: [user, route], rate: 60/m, routes: [read-document] }
  - { name: tenant-day, per: tenant, quota: 1000000/1d }
  - { name: tenant-month, per: tenant, quota: 20000000/month, routes: [list, read-document] }
unauthenticated: { rate: 50/s, burst: 75 }
signals:
  - name: idp
    transmitter: https://idp.example.com
    audience: https://gateway.example.com
    subjects_of: [{ issuer: corp, users_by: [sub], sessions: true }]
    credential_change: log
    attributes_for: 24h
    delivery: { push: { path: /events/idp, authorization_file: /etc/push } }
    stream_id: stream-1
    state_secret_file: /etc/states
  - name: mail
    transmitter: https://mail.example.com
    audience: https://gateway.example.com
    jwks: https://mail.example.com/jwks
    algorithms: [RS256]
    refresh: 60s
    subjects_of: [{ issuer: corp, users_by: [email, sub], sessions: false }]
    token_claims_change: log
    delivery: { poll: { url: https://mail.example.com/poll, every: 10s, long_poll: 30s, max_events: 20 } }
    token_file: /etc/token
records:
  file: ./decisions.jsonl
  mode: required
  checkpoints: { key_file: ./receipts.pem, key_id: "receipts 2", previous_keys_file: ./old.json, every: 90s, records: 500 }
  redaction: { digest_key_file: ./digests.key, user: plain, agent: digest, tenant: omit, peer: prefix, token: omit, arguments: omit }
  sinks:
    - { name: siem, syslog: { address: "tcp:siem.example.com:601", facility: audit, max_bytes: 2048 }, format: own, queue: 100 }
    - { name: copy, file: ./copy.jsonl, format: own, queue: 100 }
    - { name: out, stdout: {} }
    - { name: local, syslog: { address: "unix:/dev/log" } }
    - { name: collector, otlp: { endpoint: "https://otel.example.com:4317", plaintext: accepted, ca_file: ./otel.pem, headers_file: ./otel-headers, timeout: 5s } }
traces:
  otlp: { endpoint: "https://otel.example.com:4317", plaintext: accepted, ca_file: ./otel.pem, headers_file: ./otel-headers, timeout: 5s }
  sample: 0.05%
  max_per_second: 500
deadline: 100ms
max_token_bytes: 12000
workers: 3
replica: { name: eu-1.a }
tenants: { acme: { classification: restricted, region: eu } }
federations: [{ name: partners, from: globex, to: acme, routes: [read-document] }]
"#;

pub(super) const SMALL: &str = "\
policies: p
protected_resources: [{ resource: https://api.example.com }]
issuers: [{ name: corp, issuer: https://sts.example.com, jwks: https://sts.example.com/jwks, audiences: [https://api.example.com] }]
routes: [{ name: health, match: { path: /healthz, methods: [GET] }, access: public }]
";

pub(super) fn config(text: &str) -> Result<Config, Problems> {
    from_text(Source { path: "/etc/exequatur/config.yaml".into(), text: text.into() })
}

pub(super) fn read(text: &str) -> Config {
    config(text).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

pub(super) fn mistakes(text: &str) -> Vec<String> {
    told(&config(text).expect_err("a mistake"))
}

/// `line: message` of each; line 0 for one that has no place.
pub(super) fn told(problems: &Problems) -> Vec<String> {
    let line = |problem: &Problem| problem.place.map_or(0, |place| place.line);
    problems.iter().map(|problem| format!("{}: {}", line(problem), problem.message)).collect()
}

/// B-14: over a network with TLS or by consent; a Unix socket for whom the kernel knows.
#[test]
fn the_grpc_listener_is_for_envoy() {
    let with = |listen: &str| format!("listen: {{ {listen} }}\n{SMALL}");
    let tls = "grpc_tls: { certificate_file: a.crt, key_file: a.key, client_ca_file: envoys.crt }";
    let config = read(&with(&format!("grpc: \"10.0.0.2:9191\", {tls}")));
    let files = config.listen.grpc_tls.as_ref().unwrap();
    assert_eq!(files.certificate, Path::new("/etc/exequatur/a.crt"));
    assert_eq!(files.client_authority.as_deref(), Some(Path::new("/etc/exequatur/envoys.crt")));
    let shown = show(&config);
    assert!(!shown.contains("plaintext"), "{shown}");
    assert_eq!(read(&shown).listen, config.listen);

    let named = |clients: &str| {
        format!("grpc: \"10.0.0.2:9191\", {}", tls.replace(" }", &format!(", clients: {clients} }}")))
    };
    let config = read(&with(&named("[{ uri: \"spiffe://example.com/envoy\" }, { dns: envoy.example.com }]")));
    let names = [
        CertificateName::Uri("spiffe://example.com/envoy".to_owned()),
        CertificateName::Dns("envoy.example.com".to_owned()),
    ];
    assert_eq!(config.listen.grpc_tls.as_ref().unwrap().clients, names);
    assert_eq!(read(&show(&config)).listen, config.listen);
    let many = format!("[{}]", (0..257).map(|n| format!("{{ dns: h{n} }},")).collect::<String>());
    for (clients, mistake) in [
        ("[]", "at least one is needed"),
        ("envoy", "a list expected, text found"),
        ("[{ uri: \"spiffe://a/b\", dns: b }]", "either `uri` or `dns` is needed"),
        ("[{ dns: b }, { dns: b }]", "`b` stands here a second time"),
        ("[{ dns: \"*.example.com\" }]", "`*.example.com` has a `*`"),
        ("[{ dns: b }, { uri: \"spiffe://a/*\" }]", "`spiffe://a/*` has a `*`"),
        (&many, "more than 256 names"),
    ] {
        assert_eq!(mistakes(&with(&named(clients))), [format!("1: {mistake}")], "{clients}");
    }
    let wildcard = self::config(&with(&named("[{ dns: \"*.example.com\" }]"))).unwrap_err();
    let hints: Vec<_> = wildcard.iter().filter_map(|problem| problem.hint.as_deref()).collect();
    assert_eq!(hints, ["each name in full: there are no wildcards"]);
    let nobodys = named("[{ dns: b }]").replace("client_ca_file: envoys.crt, ", "");
    let mistake = "1: `clients` without `client_ca_file`: nobody vouches for their names";
    assert_eq!(mistakes(&with(&nobodys)), [mistake]);

    let config = read(&with("grpc: unix:run/grpc.sock, grpc_peers: [101, 0]"));
    assert_eq!(config.listen.grpc_peers, [101, 0]);
    assert_eq!(read(&show(&config)).listen, config.listen);
    assert!(read(SMALL).listen.grpc_peers.is_empty());

    for (listen, mistake) in [
        ("grpc: \"10.0.0.2:9191\"".to_owned(), "without TLS, only a loopback address is listened on"),
        (format!("public: \"10.0.0.2:9192\", {tls}"), "without TLS, only a loopback address is listened on"),
        (format!("grpc: unix:run/grpc.sock, {tls}"), "a Unix socket has no TLS"),
        ("grpc_peers: [101]".to_owned(), "over TCP nobody knows the other's user"),
        ("grpc: unix:run/grpc.sock, grpc_peers: []".to_owned(), "at least one is needed"),
        ("grpc: unix:run/grpc.sock, grpc_peers: [-1]".to_owned(), "must be between 0 and 4294967294"),
        ("grpc: unix:run/grpc.sock, grpc_peers: [envoy]".to_owned(), "a whole number expected, text found"),
        ("grpc_tls: { key_file: a.key }".to_owned(), "key `certificate_file` is missing"),
    ] {
        assert_eq!(mistakes(&with(&listen)), [format!("1: {mistake}")], "{listen}");
    }
    read(&with("grpc: \"10.0.0.2:9191\", plaintext: accepted"));
}

#[test]
fn a_whole_file_is_read() {
    let config = config(WHOLE).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    assert_eq!(config.listen.grpc, GrpcAddress::Unix("/etc/exequatur/run/grpc.sock".into()));
    assert_eq!(config.listen.public, SocketAddr::from(([0, 0, 0, 0], 9192)));
    assert_eq!(config.policies, Path::new("/etc/exequatur/./policies"));

    let resources: Vec<_> = config.protected.iter().collect();
    assert_eq!(resources[0].origin.as_str(), "http://localhost:10000");
    assert_eq!(resources[0].host.as_str(), "localhost");
    assert_eq!(resources[0].metadata_url, "https://api.example.com/.well-known/oauth-protected-resource");
    assert_eq!(resources[1].origin.as_str(), "https://other.example.com");
    assert_eq!(
        resources[1].metadata_url,
        "https://other.example.com/.well-known/oauth-protected-resource/v1"
    );

    let issuer = &config.issuers[0];
    assert_eq!(issuer.source, KeySource::File { path: "/etc/exequatur/./jwks.json".into() });
    assert_eq!(issuer.profile.max_lifetime, SignedDuration::from_mins(15));
    assert_eq!(issuer.profile.algorithms.len(), 2);
    assert_eq!(issuer.refresh, Duration::from_secs(60));

    assert_eq!(config.sender.policy.proofs.skew, SignedDuration::from_millis(500));
    assert_eq!(config.sender.policy.nonces, NonceMode::Required { max_age: SignedDuration::from_secs(120) });
    assert_eq!(config.store.replay.max_per_key.get(), 2);
    assert_eq!(config.store.path.as_deref(), Some(Path::new("/etc/exequatur/./state")));
    assert_eq!(config.store.max_revocations.get(), 7);
    let shown: Vec<_> =
        config.limits.iter().map(|limit| (limit.name.as_str(), &limit.per[..], limit.limit.most())).collect();
    assert_eq!(
        shown,
        [
            ("agent-burst", &[Per::Agent][..], 200),
            ("user-route", &[Per::User, Per::Route], 60),
            ("tenant-day", &[Per::Tenant], 1_000_000),
            ("tenant-month", &[Per::Tenant], 20_000_000),
        ]
    );
    assert_eq!(config.limits[1].routes, Some(vec!["read-document".to_owned()]));
    assert_eq!(config.unauthenticated.burst().get(), 75);
    assert_eq!(config.listen.admin.as_deref(), Some(Path::new("/etc/exequatur/run/admin.sock")));
    assert_eq!(config.deadline, Duration::from_millis(100));
    assert_eq!(config.workers.get(), 3);
    let records = config.records.as_ref().unwrap();
    assert_eq!(records.mode, exequatur_audit::Mode::Required);
    let receipts = RecordCheckpoints {
        key_file: Some("/etc/exequatur/receipts.pem".into()),
        key_id: Some("receipts 2".to_owned()),
        previous_keys_file: Some("/etc/exequatur/old.json".into()),
        every: Duration::from_secs(90),
        records: NonZeroU32::new(500).unwrap(),
    };
    assert_eq!(records.checkpoints, receipts);
    let guards: Vec<_> = config
        .routes
        .iter()
        .filter_map(|route| if let Access::Guarded(guard) = &route.access { Some(guard) } else { None })
        .collect();
    assert_eq!(guards[0].sender, SenderRequirement::Dpop);
    assert_eq!(
        guards[0].credentials,
        CredentialHandling::Forward { audience: "https://up.example.com".into() }
    );
    assert_eq!(guards[0].resource.attributes.len(), 5);
    let step_up = guards[0].step_up.as_ref().unwrap();
    assert_eq!(step_up.acr_values, ["urn:example:gold", "phr"]);
    assert_eq!(step_up.max_age, Some(SignedDuration::from_mins(5)));
    let [document, quota] = &guards[0].authorization_details[..] else { panic!("two") };
    assert_eq!((document.kind.as_str(), document.locations), ("document", Locations::Required));
    assert_eq!(document.actions, ["read", "print it"]);
    assert_eq!((document.datatypes[0].as_str(), document.privileges[0].as_str()), ("text", "reader"));
    assert_eq!(document.identifier, Some(Template::parse("{tenant}/{id}").unwrap()));
    assert_eq!(document.unjudged, ["max_pages"]);
    assert_eq!((quota.locations, &quota.identifier), (Locations::Optional, &None));
    assert_eq!((&guards[1].step_up, guards[1].authorization_details.len()), (&None, 0));
    assert!(guards[0].hide);
    assert_eq!(guards.iter().map(|guard| guard.cost.get()).collect::<Vec<_>>(), [5, 1]);
    assert_eq!(guards[1].sender, SenderRequirement::Any, "the general setting");
    assert_eq!(guards[1].credentials, CredentialHandling::Strip);
}

#[test]
fn a_whole_file_says_where_spans_go() {
    let config = read(WHOLE);
    let traces = config.traces.as_ref().unwrap();
    assert_eq!((traces.sample.roots, traces.max_per_second), (500, 500));
    let otlp = OtlpEndpoint {
        endpoint: "https://otel.example.com:4317".parse().unwrap(),
        plaintext: true,
        ca_file: Some("/etc/exequatur/otel.pem".into()),
        headers_file: Some("/etc/exequatur/otel-headers".into()),
        timeout: Duration::from_secs(5),
    };
    assert_eq!(traces.otlp, otlp);
}

#[test]
fn what_is_recorded_is_read() {
    let config = read(WHOLE);
    let redaction = RecordRedaction {
        digest_key_file: Some("/etc/exequatur/digests.key".into()),
        user: Form::Plain,
        agent: Form::Digest,
        tenant: Form::Omit,
        peer: PeerForm::Prefix,
        token: false,
        arguments: false,
    };
    assert_eq!(config.records.as_ref().unwrap().redaction, redaction);
    let parts = config.routes[0].record.as_ref().unwrap();
    let parts: Vec<_> = parts.iter().map(|part| (part.name.as_str(), part.form)).collect();
    let (digest, plain) = (PartForm::Digest, PartForm::Plain);
    assert_eq!(parts, [("user-agent", plain), ("x-request-id", digest), ("page", digest), ("id", digest)]);
    let claims = &config.issuers[0].profile.claims;
    assert_eq!((claims.purpose.as_deref(), claims.prompt_hash.as_deref()), (Some("why"), Some("prompt")));
}

/// What can be guessed is not digested without a key, and what lets somebody in is not recorded at all.
#[test]
fn records_show_what_they_are_told_to() {
    let with = |redaction: &str, record: &str| {
        let route = format!("access: public, record: {{ {record} }} }}]");
        format!(
            "{}records: {{ file: r, redaction: {{ {redaction} }} }}\n",
            SMALL.replace("access: public }]", &route)
        )
    };
    let key = "digest_key_file: /nowhere/key";
    let (plain, digest) = ("headers: [{ name: a, as: plain }]", "headers: [a]");
    let keyed = read(&with(key, digest));
    assert_eq!(keyed.records.as_ref().unwrap().redaction.user, Form::Digest, "the default with a key");
    assert_eq!(read(&show(&keyed)).records, keyed.records);
    assert_eq!(read(&show(&keyed)).routes[0].record, keyed.routes[0].record);
    let unkeyed = read(&with("agent: omit", plain));
    assert_eq!(unkeyed.records.as_ref().unwrap().redaction.user, Form::Plain, "the default without");
    for word in ["user", "agent", "tenant"] {
        let found = mistakes(&with(&format!("{word}: digest"), plain));
        let expected = "5: a digest without a key: whoever guesses an id could see whether it is the one";
        assert_eq!(found, [expected], "{word}");
    }
    let found = mistakes(&with("", digest));
    assert_eq!(found, ["4: parts are recorded as digests, and there is no key for them"]);
    let nowhere = with("", plain).lines().take(4).collect::<Vec<_>>().join("\n");
    assert_eq!(mistakes(&nowhere), ["4: nothing is recorded without `records`"]);
    for (record, mistake) in [
        ("headers: [Authorization]", "`authorization` holds what lets somebody in, which no record may have"),
        (
            "headers: [{ name: dpop, as: digest }]",
            "`dpop` holds what lets somebody in, which no record may have",
        ),
        ("headers: [cookie]", "`cookie` holds what lets somebody in, which no record may have"),
        ("query: [access_token]", "`access_token` holds what lets somebody in, which no record may have"),
        ("headers: [a, A]", "`a` stands here a second time"),
        ("headers: [\"a b\"]", "a name of 1 to 64 letters, digits, `-`, `_` and `.` is expected"),
        ("headers: []", "at least one is needed"),
        ("", "at least one part is needed"),
        (
            "query: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q]",
            "at most 16 parts of one route are recorded",
        ),
    ] {
        assert_eq!(mistakes(&with(key, record)), [format!("4: {mistake}")], "{record}");
    }
}

#[test]
fn defaults_are_filled_in() {
    let config = config(SMALL).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    assert_eq!(config.listen, Listen::default());
    assert_eq!(config.sender.least, SenderRequirement::Any);
    assert_eq!(config.deadline, DEADLINE);
    assert_eq!(config.token_size.bytes(), 8192);
    assert!(config.records.is_none());
    assert_eq!(config.traces, None);
    assert_eq!(config.store, Store::default());
    assert!(config.limits.is_empty());
    assert_eq!((config.unauthenticated.count().get(), config.unauthenticated.burst().get()), (100, 1000));
}

// J12
#[test]
fn j12_token_size() {
    for bytes in [1024, 16_384] {
        let text = format!("{SMALL}max_token_bytes: {bytes}\n");
        assert_eq!(config(&text).unwrap().token_size.bytes(), bytes);
    }
    for bytes in ["0", "1023", "16385", "-1"] {
        let text = format!("{SMALL}max_token_bytes: {bytes}\n");
        assert_eq!(mistakes(&text), ["5: must be between 1024 and 16384"], "{bytes}");
    }
    let text = format!("{SMALL}max_token_bytes: 8KiB\n");
    assert_eq!(mistakes(&text), ["5: a whole number expected, text found"]);
}

#[test]
fn a_replica_has_a_plain_name() {
    for name in ["eu-1", "pod.ns_x"] {
        let config = config(&format!("{SMALL}replica: {{ name: {name} }}\n")).unwrap();
        assert_eq!(config.replica.as_ref().map(ReplicaName::as_str), Some(name));
    }
    assert_eq!(config(SMALL).unwrap().replica, None);
    for name in ["\"a b\"", "a/b", "ä"] {
        let found = mistakes(&format!("{SMALL}replica: {{ name: {name} }}\n"));
        assert_eq!(found, ["5: a name is 1 to 253 letters, digits, `-`, `_` and `.`"], "{name}");
    }
}

// D05, J04: RS256 only where it is said, for tokens and for proofs each.
#[test]
fn d05_algorithms() {
    let default = config(SMALL).unwrap();
    let expected = [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa, Algorithm::Ps256];
    assert_eq!(default.issuers[0].profile.algorithms, expected);
    assert_eq!(default.sender.policy.proofs.algorithms, expected);

    let issuer = SMALL.replace("jwks:", "algorithms: [RS256, Ed25519, EdDSA], jwks:");
    let issuer = config(&issuer).unwrap();
    assert_eq!(issuer.issuers[0].profile.algorithms, [Algorithm::EdDsa, Algorithm::Rs256]);
    assert_eq!(issuer.sender.policy.proofs.algorithms, expected);

    let proofs = format!("{SMALL}sender_constraint: {{ dpop: {{ algorithms: [RS256] }} }}\n");
    let proofs = config(&proofs).unwrap();
    assert_eq!(proofs.issuers[0].profile.algorithms, expected);
    assert_eq!(proofs.sender.policy.proofs.algorithms, [Algorithm::Rs256]);

    for name in ["HS256", "none", "RS1", "ES512", "PS384", "es256", "ES256K", "Ed448"] {
        let refused = SMALL.replace("jwks:", &format!("algorithms: [{name}], jwks:"));
        assert_eq!(mistakes(&refused), [format!("3: algorithm `{name}` is not accepted")]);
    }
}

/// S01: what could never be met, or not be said in a challenge, is a mistake.
#[test]
fn s01_step_up() {
    let with = |step_up: &str| {
        let route = "routes: [{ name: a, match: { path: /a, methods: [GET] }, action: Read, \
            resource: { type: Document, id: a }, step_up: @ }]";
        SMALL.lines().take(3).collect::<Vec<_>>().join("\n") + "\n" + &route.replace('@', step_up)
    };
    for step_up in ["{ acr_values: [\"0\"] }", "{ max_age: 1s }", "{ max_age: 720h }"] {
        let config = read(&with(step_up));
        let Access::Guarded(guard) = &config.routes[0].access else { panic!("guarded") };
        assert!(guard.step_up.is_some(), "{step_up}");
    }
    let class = "a class is 1 to 256 printable characters but space, `\"` and `\\`";
    for (step_up, mistake) in [
        ("{}", "`acr_values`, `max_age` or both are needed"),
        ("{ acr_values: [] }", "at least one is needed"),
        ("{ acr_values: gold }", "a list expected, text found"),
        ("{ acr_values: [1] }", "text expected, a number found"),
        ("{ acr_values: [a, a] }", "`a` stands here a second time"),
        ("{ acr_values: [\"gold silver\"] }", class),
        ("{ acr_values: ['\"'] }", class),
        ("{ acr_values: ['\\'] }", class),
        ("{ acr_values: [é] }", class),
        (&format!("{{ acr_values: [{}] }}", "a".repeat(257)), class),
        ("{ max_age: 300 }", "a duration such as 500ms, 60s or 15m expected, a number found"),
        ("{ max_age: 0s }", "must be between 1s and 720h"),
        ("{ max_age: 721h }", "must be between 1s and 720h"),
        ("{ max_age: 1500ms }", "whole seconds are needed"),
        ("{ max_age: 1s, acr: [a] }", "key `acr` is not known here"),
    ] {
        let found = mistakes(&with(step_up));
        assert_eq!(found[0], format!("4: {mistake}"), "{step_up}");
    }
}

/// S02
#[test]
fn s02_authorization_details() {
    let with = |details: &str| {
        let route = "routes: [{ name: a, match: { path: /a, methods: [GET] }, action: Read, \
            resource: { type: Document, id: a }, authorization_details: @ }]";
        SMALL.lines().take(3).collect::<Vec<_>>().join("\n") + "\n" + &route.replace('@', details)
    };
    read(&with("[{ type: a }]"));
    read(&with("[]"));
    let long = "1 to 256 characters are needed, without control characters";
    for (details, mistake) in [
        ("{ type: a }", "a list expected, a map found"),
        ("[{}]", "key `type` is missing"),
        ("[{ type: \"\" }]", "must not be empty"),
        ("[{ type: \"a\\n\" }]", long),
        (&format!("[{{ type: {} }}]", "a".repeat(257)), long),
        ("[{ type: a, actions: [] }]", "at least one is needed"),
        ("[{ type: a, actions: read }]", "a list expected, text found"),
        ("[{ type: a, actions: [read, read] }]", "`read` stands here a second time"),
        ("[{ type: a, actions: [\"a\\0\"] }]", long),
        ("[{ type: a, identifier: \"{a\" }]", "a brace is not closed, or closes nothing"),
        ("[{ type: a, locations: [b] }]", "text expected, a list found"),
        ("[{ type: a, locations: any }]", "`any` is not known here"),
        ("[{ type: a, unjudged: [type] }]", "`type` is judged here"),
        ("[{ type: a, unjudged: [locations] }]", "`locations` is judged here"),
        ("[{ type: a, actions: [b], unjudged: [actions] }]", "`actions` is judged here"),
        ("[{ type: a, unjudged: [b, b] }]", "`b` stands here a second time"),
        ("[{ type: a, action: [b] }]", "key `action` is not known here"),
    ] {
        let found = mistakes(&with(details));
        assert_eq!(found[0], format!("4: {mistake}"), "{details}");
    }
}

/// What `show` prints is a configuration of its own, and shows the same.
#[test]
fn shown_settings_can_be_read_again() {
    for text in [WHOLE, SMALL] {
        let shown = show(&config(text).unwrap());
        let again =
            show(&config(&shown).unwrap_or_else(|problems| panic!("{shown}\n{}", problems.render(false))));
        let settings =
            |text: &str| text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        assert_eq!(settings(&shown), settings(&again));
    }
    let shown = show(&config(WHOLE).unwrap());
    assert!(shown.contains("#   public GET */healthz  (health, line 62)"), "{shown}");
    assert!(shown.contains("#   preflight OPTIONS */**  (cors, line 63)"), "{shown}");
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = r#"listen: { grpc: "10.0.0.1:9191" }
polices: ./policies
protected_resources:
  - resource: http://api.example.com
  - resource: https://b.example.com
issuers:
  - name: Corp
    jwks: http://sts.example.com/jwks
    audiences: []
    algorithms: [ES256, RS384]
    max_lifetime: 15 minutes
    max_lifetime: 15m
sender_constraint: { require: anny, dpop: { max_age: 1h, skew: 5 } }
routes:
  - name: a
    match: { path: "/x/{id", methods: [get] }
    action: 7
    resource: { type: Document, id: "{id}}" }
  - name: a
    match: { path: /y, methods: [GET] }
    access: public
    scopes: [x]
deadline: 1h
"#;
    let expected = [
        "1: key `policies` is missing",
        "1: without TLS, only a loopback address is listened on",
        "2: key `polices` is not known here",
        "4: a resource identifier begins with https://",
        "7: key `issuer` is missing",
        "7: an issuer name is 1 to 32 of a-z, 0-9 and -",
        "8: the key set's URL is neither https nor http to a loopback host",
        "9: at least one is needed",
        "10: algorithm `RS384` is not accepted",
        "11: `15 minutes` is no duration",
        "12: this key stands here a second time",
        "13: `anny` is not known here",
        "13: must be between 0s and 5m",
        "13: a duration such as 500ms, 60s or 15m expected, a number found",
        "16: a parameter is a whole segment, `{name}`: a brace is not closed, or closes nothing",
        "16: methods are case-sensitive, and this one matches nothing",
        "17: text expected, a number found",
        "18: a brace is not closed, or closes nothing",
        "19: `a` stands here a second time",
        "22: `scopes` has no meaning on a route without authentication",
        "23: must be between 5ms and 10s",
    ];
    assert_eq!(mistakes(text), expected);
}

#[test]
fn a_mistake_is_shown_in_its_line() {
    let problems = config(&SMALL.replace("policies: p", "polices: pé")).unwrap_err();
    let unknown = problems.iter().find(|problem| problem.message.contains("polices")).unwrap();
    assert_eq!(unknown.place, Some(Place { offset: 0, length: 7, line: 1, column: 1 }));
    let rendered = problems.render(false);
    for part in ["config.yaml:1:1", "polices: pé", "did you mean `policies`?", "2 mistakes in"] {
        assert!(rendered.contains(part), "{part} in\n{rendered}");
    }
    assert!(!rendered.contains('\u{1b}'), "no colour");
}

#[test]
fn text_that_is_no_configuration_is_refused() {
    for (text, expected) in [
        ("", "1: the file is empty"),
        ("[]", "1: a map expected, a list found"),
        ("a: [", "2: not YAML: "),
        ("a: 1\n---\nb: 2\n", "3: a second document begins here: one file holds one configuration"),
        ("listen: !own {}", "1: tags and unknown aliases are not used here"),
        ("1: 2", "1: a key is text"),
    ] {
        let found = mistakes(text);
        assert!(found.iter().any(|mistake| mistake.starts_with(expected)), "{text:?}: {found:?}");
    }
}

/// A text of a few lines does not become a tree without end: neither by aliases nor by nesting.
#[test]
fn a_small_text_stays_a_small_tree() {
    let mut bomb = format!("{SMALL}a0: &a0 [x]\n");
    for level in 1..20 {
        let nine = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{nine}]").unwrap();
    }
    let found = mistakes(&bomb);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("aliases make more than 1048576"), "{found:?}");
    let found = mistakes(&format!("routes:\n{}x\n", "- ".repeat(400_000)));
    assert_eq!(found, ["2: nested deeper than 64"]);
}

/// Each line alone is a mistake that `SMALL` does not make.
fn are_mistakes(cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        let found = mistakes(&format!("{SMALL}{line}\n"));
        assert!(found.contains(&format!("5: {expected}")), "{line}: {found:?}");
    }
}

#[test]
fn mistakes_in_sinks() {
    are_mistakes(&[
        (
            "records: { mode: required, sinks: [{ name: a, stdout: {} }] }",
            "`mode: required` without `file`: only the file is on the disk before the answer",
        ),
        ("records: { file: f, sinks: [{ name: a, file: f }] }", "the sink `a` is the record file itself"),
        (
            "records: { file: /dev/stdout, sinks: [{ name: a, stdout: {} }] }",
            "the sink `a` is the record file itself",
        ),
        (
            "records: { sinks: [{ name: a, stdout: {} }, { name: b, file: f }, { name: c, stdout: {}, format: ecs }] }",
            "the sinks `a` and `c` are one place",
        ),
        (
            "records: { sinks: [{ name: a, file: f }, { name: b, file: ./f }] }",
            "the sinks `a` and `b` are one place",
        ),
        ("records: { sinks: [{ name: a }] }", "one of `stdout`, `file`, `syslog`, `otlp` is missing"),
        (
            "records: { sinks: [{ name: a, stdout: {}, file: f }] }",
            "only one of `stdout`, `file`, `syslog`, `otlp`: each sink is one place",
        ),
        (
            "records: { sinks: [{ name: a, stdout: {} }, { name: a, file: f }] }",
            "`a` stands here a second time",
        ),
        (
            "records: { sinks: [{ name: A, stdout: {} }] }",
            "a name is 1 to 32 of the characters a-z, 0-9 and `-`",
        ),
        ("records: { sinks: [{ name: a, stdout: {}, queue: 0 }] }", "must be between 1 and 1000000"),
        ("records: { sinks: [{ name: a, stdout: {}, format: xml }] }", "`xml` is not known here"),
        (
            "records: { sinks: [{ name: a, syslog: { address: \"udp:localhost\" } }] }",
            "`udp:localhost` is no address of a syslog receiver",
        ),
        (
            "records: { sinks: [{ name: a, syslog: { address: \"unix:l\", facility: kern } }] }",
            "`kern` is not known here",
        ),
        (
            "records: { sinks: [{ name: a, syslog: { address: \"unix:l\", max_bytes: 479 } }] }",
            "must be between 480 and 65507",
        ),
    ]);
}

#[test]
fn single_mistakes() {
    let cases = [
        ("listen: { public: \"127.0.0.1:9193\" }", "two listeners have one address"),
        ("listen: { public: localhost }", "`localhost` is no address"),
        ("listen: { public: \"[::]:9192\" }", "without TLS, only a loopback address is listened on"),
        ("listen: { plaintext: true }", "text expected, a truth value found"),
        ("store: { embedded: { max_revocations: 0 } }", "must be between 1 and 4294967295"),
        ("store: {}", "key `embedded` or `redis` is missing"),
        ("store: { redis: {} }", "key `url` or `url_file` is missing"),
        (
            "store: { redis: { url: redis://h }, embedded: {} }",
            "both `embedded` and `redis`: what is remembered is in one place",
        ),
        ("store: { redis: { url: redis://h, url_file: f } }", "both `url` and `url_file`"),
        (
            "store: { redis: { url: \"rediss://h#insecure\" } }",
            "`#insecure` would take any certificate: leave it out, and name the authorities in `ca_file`",
        ),
        (
            "store: { redis: { url: http://h } }",
            "not a Redis URL; write redis://[user:password@]host[:port][/database], or rediss:// for TLS",
        ),
        ("store: { redis: { url: \"redis://u:p@h\" } }", "a password in the configuration"),
        (
            "store: { redis: { url: redis://h, prefix: \"{a}\" } }",
            "must be 1 to 64 of the characters a-z A-Z 0-9 . _ : -",
        ),
        ("store: { redis: { url: redis://h, sentinels: [] } }", "at least one is needed"),
        ("store: { redis: { url: redis://h, cluster: 1 } }", "true or false expected, a number found"),
        ("store: { redis: { url: redis://h/1, cluster: true } }", "a cluster has the database 0 alone"),
        (
            "store: { redis: { url: \"redis+unix:///s\", cluster: true } }",
            "a cluster is reached over TCP, not by a socket",
        ),
        (
            "store: { redis: { url: redis://h, cluster: true, sentinels: [redis://s] } }",
            "`sentinels` with `cluster`: a cluster makes its copies primaries by itself",
        ),
        ("store: { redis: { url: redis://h } }", "with Redis, replicas have to know each other's nonces"),
        ("store: { redis: { url: redis://h, timeout: 150ms } }", "`timeout` is not below `deadline` (150ms)"),
        ("listen: { admin: \"127.0.0.1:9194\" }", "the admin socket is a Unix socket, not `127.0.0.1:9194`"),
        ("listen: { admin: \"unix:\" }", "a Unix socket needs a path"),
        ("listen: { admin: \"unix:s\", grpc: \"unix:s\" }", "two listeners have one address"),
        ("store: { embedded: { max_proofs: 0 } }", "must be between 1 and 4294967295"),
        ("records: {}", "key `file` is missing"),
        ("records: { file: f, checkpoints: { every: 999ms } }", "must be between 1s and 1h"),
        ("records: { file: f, checkpoints: { every: 61m } }", "must be between 1s and 1h"),
        ("records: { file: f, checkpoints: { records: 0 } }", "must be between 1 and 1000000"),
        (
            "records: { file: f, checkpoints: { key_id: k } }",
            "`key_id` without `key_file`: nothing is signed",
        ),
        (
            "records: { file: f, checkpoints: { previous_keys_file: k } }",
            "`previous_keys_file` without `key_file`: nothing is signed",
        ),
        (
            "records: { file: f, checkpoints: { key_file: k, key_id: é } }",
            "a key's id is 1 to 128 printable characters of ASCII without quotes and backslashes",
        ),
        ("deadline:", "a duration such as 500ms, 60s or 15m expected, nothing found"),
    ];
    are_mistakes(&cases);
    let unaccepted = SMALL.replace("audiences: [https://api", "audiences: [https://other");
    assert_eq!(mistakes(&unaccepted), ["2: no issuer's tokens are accepted for `https://api.example.com`"]);
    // A resource that its issuers know by other names alone.
    let aliases = |names: &str| unaccepted.replace("com }]", &format!("com, audiences: [{names}] }}]"));
    config(&aliases("https://other.example.com")).unwrap();
    assert_eq!(
        mistakes(&aliases("https://other.example.com, api://a")),
        ["2: no issuer's tokens are accepted for `api://a`"]
    );
    let own = aliases("https://other.example.com, https://api.example.com");
    assert_eq!(mistakes(&own), ["2: `https://api.example.com` stands here a second time"]);
    assert_eq!(mistakes(&aliases("")), ["2: at least one is needed"]);
    let stale = SMALL.replace("jwks: ", "max_stale: 5m, jwks: ");
    assert_eq!(mistakes(&stale), ["3: the longest age of keys is less than two refresh periods"]);
    let twins = SMALL.replace("com }]", "com }, { resource: https://API.example.com }]");
    assert!(mistakes(&twins).contains(&"2: `api.example.com` stands here a second time".to_owned()));
}

/// Each is one mistake in one limit; a limit that cannot be kept is refused, never left out.
#[test]
fn mistakes_in_limits() {
    let guarded =
        "{ name: a, match: { path: /a, methods: [GET] }, action: A, resource: { type: R, id: r }, cost: 3 }";
    let routes = SMALL.replace("routes: [", &format!("routes: [{guarded}, "));
    let mistakes_of = |limit: &str| mistakes(&format!("{routes}limits:\n  - {limit}\n"));
    let good =
        ["{ name: x, per: agent, rate: 3/s }", "{ name: x, per: [user, route], quota: 3/1mo, routes: [a] }"];
    for limit in good {
        assert!(config(&format!("{routes}limits:\n  - {limit}\n")).is_ok(), "{limit}");
    }
    let cases = [
        ("{ name: x, per: agent }", "6: neither `rate` nor `quota`"),
        ("{ name: x, per: agent, rate: 3/s, quota: 3/day }", "6: `rate` and `quota` in one limit"),
        ("{ name: x, per: agent, quota: 3/day, burst: 3 }", "6: a quota has no burst"),
        ("{ name: x, per: agent, rate: 0/s }", "6: `0/s` says no number in a time"),
        ("{ name: x, per: agent, rate: 3 }", "6: text expected, a number found"),
        ("{ name: x, per: agent, rate: 3/d }", "6: `3/d` says no number in a time"),
        ("{ name: x, per: agent, rate: 1000001/s }", "6: more than 1000000"),
        ("{ name: x, per: agent, rate: 3/s, burst: 0 }", "6: must be between 1 and 4294967295"),
        ("{ name: x, per: agent, rate: 3/s, burst: 1000001 }", "6: more than 1000000"),
        ("{ name: x, per: agent, quota: 3/week }", "6: `3/week` says no number in a time"),
        ("{ name: x, per: agent, quota: 1000000000001/day }", "6: more than 1000000000000 units"),
        ("{ name: x, per: client, rate: 3/s }", "6: `client` is not known here"),
        ("{ name: x, per: [], rate: 3/s }", "6: at least one is needed"),
        ("{ name: x, per: [user, user], rate: 3/s }", "6: `user` stands here a second time"),
        (
            "{ name: \"x y\", per: user, rate: 3/s }",
            "6: a limit's name is 1 to 64 letters, digits, `-`, `_` and `.`",
        ),
        ("{ name: x, per: user, rate: 3/s, routes: [b] }", "6: limit `x`: there is no route `b`"),
        (
            "{ name: x, per: user, rate: 3/s, routes: [health] }",
            "6: limit `x`: route `health` needs no identity, so nobody is counted",
        ),
        ("{ name: x, per: user, rate: 2/s }", "4: a request costs 3, and limit `x` never has more than 2"),
        (
            "{ name: x, per: user, rate: 3/s, across: tenants }",
            "6: a limit across tenants is not built yet: each tenant is counted on its own",
        ),
    ];
    for (limit, expected) in cases {
        assert_eq!(mistakes_of(limit), [expected], "{limit}");
    }
    let many: String = (0..17).map(|n| format!("  - {{ name: l{n}, per: agent, rate: 3/s }}\n")).collect();
    assert_eq!(mistakes(&format!("{routes}limits:\n{many}")), ["4: 17 limits for one route; at most 16"]);
    let twice = "{ name: x, per: agent, rate: 3/s }\n  - { name: x, per: user, rate: 3/s }";
    assert_eq!(mistakes_of(twice), ["7: `x` stands here a second time"]);
    let cost = SMALL.replace("access: public", "access: public, cost: 2");
    assert_eq!(mistakes(&cost), ["4: `cost` has no meaning on a route without authentication"]);
    assert_eq!(mistakes(&format!("{SMALL}unauthenticated: {{ burst: 3 }}\n")), ["5: key `rate` is missing"]);
}

/// One issuer may name any tenant; beside another one, each says which.
#[test]
fn tenants_of_issuers() {
    let issuer = |name: &str, rest: &str| {
        let url = format!("https://{name}.example.com");
        format!(
            "  - {{ name: {name}, issuer: {url}, jwks: {url}/jwks, audiences: [https://api.example.com]{rest} }}\n"
        )
    };
    let rest = SMALL.lines().filter(|line| !line.starts_with("issuers")).collect::<Vec<_>>().join("\n");
    let text = |issuers: &[String]| format!("{rest}\nissuers:\n{}", issuers.concat());
    let claims = ", claims: { tenant: tenant }";
    let read = |text: &str| config(text).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let tenants = |config: &Config| {
        config.issuers.iter().map(|issuer| issuer.profile.tenants.clone()).collect::<Vec<_>>()
    };
    let scopes = |issuers: &[String]| {
        let first = read(&text(issuers));
        let shown = show(&first);
        assert_eq!(tenants(&read(&shown)), tenants(&first));
        (tenants(&first), shown)
    };
    assert_eq!(scopes(&[issuer("a", claims)]).0, [TenantScope::Any]);
    assert_eq!(scopes(&[issuer("a", ""), issuer("b", "")]).0, [TenantScope::Any, TenantScope::Any]);
    let both = ["tenants: [acme, globex]", "tenants: any"].map(|key| format!("{claims}, {key}"));
    let (found, shown) = scopes(&[issuer("a", &both[0]), issuer("b", &both[1])]);
    assert_eq!(found, [TenantScope::Only(vec!["acme".into(), "globex".into()]), TenantScope::Any]);
    for line in ["    tenants: [\"acme\", \"globex\"]\n", "    tenants: any\n"] {
        assert!(shown.contains(line), "{shown}");
    }

    let missing = text(&[issuer("a", &both[0]), issuer("b", claims)]);
    assert_eq!(mistakes(&missing), ["6: key `tenants` is missing"]);
    assert!(config(&missing).unwrap_err().render(false).contains("`tenants: any`"));
    for (value, expected) in [
        ("[]", "at least one is needed"),
        ("[acme, acme]", "`acme` stands here a second time"),
        ("[\"\"]", "must not be empty"),
        ("acme", "`acme` is not known here"),
        ("true", "a list of tenants or `any` expected, a truth value found"),
    ] {
        let found = mistakes(&text(&[issuer("a", &format!("{claims}, tenants: {value}"))]));
        assert!(found.contains(&format!("5: {expected}")), "{value}: {found:?}");
    }
}

/// Any number of keys may stand twice, quoted or not, and the rest is still read.
#[test]
fn keys_that_stand_twice_are_all_told() {
    let mut text = SMALL.to_owned();
    for key in ["policies: q", "\"policies\": r", "'routes': []", "deadline: 1d", "deadline: 1s"] {
        writeln!(text, "{key}").unwrap();
    }
    let twice = "this key stands here a second time";
    let expected = [
        format!("5: {twice}"),
        format!("6: {twice}"),
        format!("7: {twice}"),
        "8: `1d` is no duration".into(),
        format!("9: {twice}"),
    ];
    assert_eq!(mistakes(&text), expected);
}

#[test]
fn route_problems_are_placed() {
    let config = config(WHOLE).unwrap();
    let problem = |index, field, cause| RouteProblem { index, route: "r".into(), field, cause };
    let problems = config.place_route_problems(&[
        problem(2, "match", RouteMisfit::PreflightMethod),
        problem(0, "sender_constraint", RouteMisfit::Loosened),
        problem(1, "name", RouteMisfit::NameTaken),
        problem(1, "scopes", RouteMisfit::ParameterUnknown("x".into())),
    ]);
    let lines: Vec<_> = problems.iter().filter_map(|problem| problem.place).map(|place| place.line).collect();
    assert_eq!(lines, [52, 58, 58, 62]);
}

#[test]
fn a_missing_file_is_a_mistake_too() {
    let problems = load(Path::new("/nonexistent/exequatur.yaml")).unwrap_err();
    assert!(problems.render(false).contains("/nonexistent/exequatur.yaml cannot be read"));
}
