//! Who is there besides the callers: issuers, a transmitter, a collector; and the configuration that names them.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use exequatur_tests::fault_proxy::{Fault, FaultProxy};
use exequatur_tests::jwt::{merged, now, random_id};
use exequatur_tests::orders::with_orders;
use exequatur_tests::ports::Reserved;
use exequatur_tests::redis::Kind;
use exequatur_tests::status_lists::StatusLists;
use exequatur_tests::traffic::BEARERS_TOO;
use exequatur_tests::transmitter::{CAEP, Desk, claims, opaque};
use exequatur_tests::{Agent, Introspector, Options, Stack, TokenService, Transmitter};
use prost::bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::scene::signing_key;

/// The issuer that is asked about its tokens, and the one that goes away.
pub(crate) const ASKED: &str = "https://opaque.example.com";
pub(crate) const PARTNER: &str = "https://partner.example.com";
/// What operators' tokens are for.
const OPERATORS: &str = "https://exequatur.example.com/admin";
/// The list in which tokens of `corp` have a status, by its name.
const LIST: &str = "boards";
/// Documents are read by whoever may; they are written so often by one agent.
const LIMIT: &str =
    "limits:\n  - { name: writes, per: agent, rate: 2/s, burst: 4, routes: [write-document] }\n";
const CLAIMS: &str = "claims: { agent: client_id, user: { claim: sub, unless: { gty: client-credentials } }, tenant: tenant }\n";

/// Everybody but the callers.
#[derive(Debug)]
pub(crate) struct Cast {
    pub(crate) asked: Introspector,
    partner: TokenService,
    lists: StatusLists,
    pub(crate) desk: Desk,
    transmitter: Transmitter,
    /// What lies before the partner's keys, and before the collector of spans.
    to_partner: FaultProxy,
    to_collector: FaultProxy,
    pub(crate) admin_port: u16,
    _reserved: Reserved,
}

impl Cast {
    pub(crate) async fn assemble() -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let reserved = Reserved::block().map_err(text)?;
        let [admin_port, ..] = reserved.all();
        let asked = Introspector::start(now).await.map_err(text)?;
        asked.speak_for("opaque", ASKED);
        let partner = TokenService::start().await.map_err(text)?;
        let to_partner = FaultProxy::start(partner.port()).await.map_err(text)?;
        let collector = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(text)?;
        let port = collector.local_addr().map_err(text)?.port();
        let to_collector = FaultProxy::start(port).await.map_err(text)?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = collector.accept().await {
                tokio::spawn(takes_everything(stream));
            }
        });
        let transmitter = Transmitter::start().await?;
        let desk = Desk::open(transmitter.jwks()).await.map_err(text)?;
        Ok(Self {
            asked,
            partner,
            lists: StatusLists::start().await?,
            desk,
            transmitter,
            to_partner,
            to_collector,
            admin_port,
            _reserved: reserved,
        })
    }

    /// Two replicas on a Redis, which keep their records in `disk` and know everybody here. `folder` is for keys.
    pub(crate) fn options(&self, folder: &Path, disk: &Path) -> Result<Options, String> {
        let options = Options {
            terse: true,
            timely: true,
            exequatur: BEARERS_TOO.to_vec(),
            ..Options::shared(Kind::Newest)
        };
        let mut options = with_orders(options);
        let key = secret(folder, "receipts.pem", &signing_key()?)?;
        // The second replica's file is `second.jsonl` there, and its listener for orders on another address.
        let records = format!(
            "{LIMIT}{}records: {{ file: {}/./decisions.jsonl, mode: best_effort, checkpoints: {{ key_file: {}, every: 20s }}, \
             sinks: [ {{ name: siem, otlp: {{ endpoint: \"http://127.0.0.1:{}\", timeout: 1s }} }} ] }}\n\
             traces: {{ otlp: {{ endpoint: \"http://127.0.0.1:{}\", timeout: 1s }}, sample: from_parent, max_per_second: 5 }}\n",
            self.signals()?,
            disk.display(),
            key.display(),
            self.to_collector.port(),
            self.to_collector.port(),
        );
        let admin = format!(
            "admin:\n  listen: \"127.0.0.2:{}\"\n  tokens: [{{ issuer: corp, audience: {OPERATORS}, claim: roles, roles: {{ reader: [viewer] }}, \
             reach: everything }}]\nworkers: 1\npolicies: ",
            self.admin_port
        );
        // Replacements live as long as the process.
        options.exequatur.extend([
            (CLAIMS, &*self.issuers().leak()),
            ("records: { file: ./decisions.jsonl, mode: best_effort }\n", records.leak()),
            ("policies: ", admin.leak()),
        ]);
        Ok(options)
    }

    fn issuers(&self) -> String {
        format!(
            "{CLAIMS}    tenants: any
    ca_file: {ca}
    status_lists: {{ uris: [{prefix}], refresh: 5s, max_stale: 10s, cooldown: 1s, wait: 50ms }}
  - {{ name: opaque, issuer: {ASKED}, jwks: {jwks}, audiences: [{audience}], claims: {{ tenant: tenant }}, tenants: any,
      introspection: {{ endpoint: {endpoint}, client_id: exequatur, private_key_jwt: {{ key_file: {key} }}, cache: 1s, wait: 50ms }} }}
  - {{ name: partner, issuer: {PARTNER}, jwks: http://127.0.0.1:{partners}/jwks, audiences: [{audience}], refresh: 5s, cooldown: 2s, max_stale: 15s,
      claims: {{ agent: client_id, tenant: tenant }}, tenants: any }}
",
            ca = self.lists.authority().display(),
            prefix = self.lists.prefix(),
            jwks = self.asked.jwks_url("opaque"),
            audience = TokenService::AUDIENCE,
            endpoint = self.asked.endpoint("opaque"),
            key = self.asked.client_key().display(),
            partners = self.to_partner.port(),
        )
    }

    fn signals(&self) -> Result<String, String> {
        let token = self.transmitter.secret("token", "a-token-for-the-transmitter")?;
        let (desk, audience) = (&self.desk.url, Transmitter::AUDIENCE);
        Ok(format!(
            "signals:\n  - name: idp\n    transmitter: {desk}\n    audience: {audience}\n    subjects_of: [corp]\n    \
             delivery: {{ poll: {{ url: {desk}/poll, every: 1s }} }}\n    token_file: {}\n",
            token.display()
        ))
    }

    /// A new token of the issuer that is asked about it; nobody has to prove anything with it.
    pub(crate) fn opaque_token(&self) -> String {
        let (token, now) = (random_id(), now());
        let said = json!({
            "token_type": "Bearer", "iss": ASKED, "client_id": "report-bot", "tenant": "globex",
            "aud": TokenService::AUDIENCE, "scope": "documents:read", "iat": now, "exp": now + 300,
        });
        self.asked.know("opaque", &token, &said);
        token
    }

    /// Publishes the list: the first of its tokens are well, the others revoked.
    pub(crate) async fn publish(&self, stack: &Stack) -> Result<(), String> {
        let (header, payload) = self.lists.pack(LIST, 2, &[0, 1], &Value::Null).await?;
        self.lists.publish(LIST, &stack.tokens.sign(&header, &payload));
        Ok(())
    }

    pub(crate) fn withdraw_list(&self) {
        self.lists.break_off(LIST);
    }

    /// Where a token's status stands.
    pub(crate) fn status(&self, index: u64) -> Value {
        self.lists.claim(LIST, index)
    }

    /// A session has ended, says the transmitter.
    pub(crate) async fn end_session(&self, session: &str) -> Result<(), String> {
        let event = json!({ "event_timestamp": now() });
        let changes = json!({ "iss": self.desk.url });
        let claims = claims(&opaque(session), &format!("{CAEP}session-revoked"), &event, &changes);
        let id = claims["jti"].as_str().unwrap_or_default().to_owned();
        let set = self.transmitter.sign(&Value::Null, &claims).await?;
        self.desk.state(|state| state.sets.push((id, json!(set))));
        Ok(())
    }

    /// Nobody can be reached there any more, or again.
    pub(crate) fn partner_is_away(&self, away: bool) {
        self.to_partner.set(if away { Fault::Closed } else { Fault::None });
    }

    /// The same of the collector of spans.
    pub(crate) fn collector_is_away(&self, away: bool) {
        self.to_collector.set(if away { Fault::Closed } else { Fault::None });
    }

    /// A token of the partner.
    pub(crate) fn partners_token(&self, agent: &Agent) -> String {
        let claims = json!({ "iss": PARTNER, "cnf": null, "tenant": "globex", "client_id": "partner-bot" });
        self.partner.token(agent, &claims)
    }
}

/// An answer to every call of gRPC: an empty message, and that all is well.
async fn takes_everything(stream: TcpStream) -> Option<()> {
    let mut connection = h2::server::handshake(stream).await.ok()?;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let mut body = request.into_body();
            while let Some(Ok(part)) = body.data().await {
                body.flow_control().release_capacity(part.len()).ok()?;
            }
            let answer =
                http::Response::builder().header("content-type", "application/grpc").body(()).ok()?;
            let mut stream = respond.send_response(answer, false).ok()?;
            stream.send_data(Bytes::from_static(&[0; 5]), false).ok()?;
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
            stream.send_trailers(trailers).ok()
        });
    }
    Some(())
}

/// A file that nobody else may read.
fn secret(folder: &Path, name: &str, text: &str) -> Result<PathBuf, String> {
    let (file, own) = (folder.join(name), std::fs::Permissions::from_mode(0o600));
    let written = std::fs::write(&file, text).and_then(|()| std::fs::set_permissions(&file, own));
    written.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(file)
}

/// Claims of a bearer token.
pub(crate) fn bearer(changes: &Value) -> Value {
    merged(json!({ "cnf": null }), changes)
}
