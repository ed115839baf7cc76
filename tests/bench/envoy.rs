//! What Exequatur adds to a request through Envoy, and how Envoy with it compares with Envoy's own token filter.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use exequatur_tests::binaries;
use exequatur_tests::ports::Reserved;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::capacity::p50;
use crate::cost::bare;
use crate::figure::{Figure, Floor};
use crate::process::{Server, listening};
use crate::scene::{Scene, Size};
use crate::{Effort, LOAD_CORE, SERVER_CORE};

/// Connections of the throughput figure.
const CONNECTIONS: usize = 32;
/// Requests to one service before it is the next one's turn. Whoever is asked in turn with two others on one core finds the
/// core's caches full of theirs each time.
const BLOCK: usize = 100;

/// `envoy_added_p50_us`: one connection, a fresh proof each time; Exequatur against a service that says yes. Beside it
/// what a service adds that verifies one signature and then says yes: whatever answers cannot add less.
pub(crate) async fn added(folder: &Path, effort: Effort) -> Result<Vec<Figure>, String> {
    let scene = Scene::new(folder, Size::USUAL)?;
    let (yes, verified) = (bare(&scene, false, LOAD_CORE).await?, bare(&scene, true, LOAD_CORE).await?);
    let subject = scene.start(LOAD_CORE).await?;
    let reserved = Reserved::block().map_err(|error| error.to_string())?;
    let [admin, through_yes, through_verified, through_subject, ..] = reserved.all();
    let text = configuration(
        admin,
        &[
            Listener { port: through_yes, guard: ext_authz("constant") },
            Listener { port: through_verified, guard: ext_authz("verified") },
            Listener { port: through_subject, guard: ext_authz("exequatur") },
        ],
        &[("constant", yes.grpc), ("verified", verified.grpc), ("exequatur", subject.grpc)],
    );
    let _envoy = start(folder, &text, through_subject).await?;
    let mut connections = Vec::new();
    for port in [through_yes, through_verified, through_subject] {
        connections.push(Connection::open(port).await?);
    }
    let mut rounds = Vec::new();
    for round in 0..=effort.pairs {
        let requests: Vec<_> = (0..effort.requests / 10).map(|number| request(&scene, number)).collect();
        let mut took = [const { Vec::new() }; 3];
        for block in requests.chunks(BLOCK) {
            for (connection, took) in connections.iter_mut().zip(&mut took) {
                for request in block {
                    took.push(connection.ask(request).await?);
                }
            }
        }
        if round > 0 {
            rounds.push(took.map(|took| p50(&took)));
        }
    }
    let added: Vec<f64> = rounds.iter().map(|[yes, _, ours]| ours - yes).collect();
    let by_verification: Vec<f64> = rounds.iter().map(|[yes, verified, _]| verified - yes).collect();
    Ok(vec![
        Figure::alone("envoy_added_p50_us", "us", &added, Some(Floor::AtMost(120.0))),
        Figure::alone("envoy_added_by_verifying", "us", &by_verification, None),
    ])
}

/// `jwt_authn_ratio`: requests a second, each with a token of its own.
pub(crate) async fn against_jwt_authn(folder: &Path, effort: Effort) -> Result<Figure, String> {
    // So many that hardly any is still in the cache when its turn comes again.
    let scene = Scene::new(folder, Size { tokens: 60_000, bound: false, ..Size::USUAL })?;
    let subject = scene.start(LOAD_CORE).await?;
    let keys = std::fs::read_to_string(folder.join("jwks-0.json")).map_err(|error| error.to_string())?;
    let reserved = Reserved::block().map_err(|error| error.to_string())?;
    let [admin, own, ours, ..] = reserved.all();
    let text = configuration(
        admin,
        &[
            Listener { port: own, guard: jwt_authn(&keys) },
            Listener { port: ours, guard: ext_authz("exequatur") },
        ],
        &[("exequatur", subject.grpc)],
    );
    let _envoy = start(folder, &text, ours).await?;
    let mut pairs = Vec::new();
    for round in 0..=effort.pairs {
        let first = round * effort.requests;
        let requests: Vec<_> =
            (first..first + effort.requests).map(|number| request(&scene, number)).collect();
        let pair = (rate(own, &requests).await?, rate(ours, &requests).await?);
        if round > 0 {
            pairs.push(pair);
        }
    }
    let floor = Floor::AtLeast(0.70);
    Ok(Figure::of_pairs("jwt_authn_ratio", "requests/s", &pairs, |own, ours| ours / own, floor))
}

/// Requests a second over [`CONNECTIONS`], one at a time on each.
async fn rate(port: u16, requests: &[Vec<u8>]) -> Result<f64, String> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(port).await?);
    }
    let shares: Vec<&[Vec<u8>]> = requests.chunks(requests.len().div_ceil(CONNECTIONS)).collect();
    let begun = Instant::now();
    let shares = connections.into_iter().zip(shares).map(|(mut connection, share)| {
        let share = share.to_vec();
        tokio::spawn(async move {
            for request in &share {
                connection.ask(request).await?;
            }
            Ok::<_, String>(())
        })
    });
    for share in shares.collect::<Vec<_>>() {
        share.await.map_err(|error| error.to_string())??;
    }
    Ok(requests.len() as f64 / begun.elapsed().as_secs_f64())
}

fn request(scene: &Scene, number: usize) -> Vec<u8> {
    let (path, authorization, proof) = scene.headers(number);
    let proof = proof.map(|proof| format!("dpop: {proof}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nhost: api.example.com\r\nauthorization: {authorization}\r\n{proof}\r\n")
        .into_bytes()
}

/// One connection of HTTP/1.1, as little as will do, so that the load costs little beside what is measured.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(port: u16) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self { stream, buffer: vec![0; 16 * 1024] })
    }

    /// Sends the request and waits for its answer, which has to be 200 and have no body.
    async fn ask(&mut self, request: &[u8]) -> Result<Duration, String> {
        let begun = Instant::now();
        self.stream.write_all(request).await.map_err(|error| error.to_string())?;
        let mut length = 0;
        loop {
            let read =
                self.stream.read(&mut self.buffer[length..]).await.map_err(|error| error.to_string())?;
            length += read;
            if self.buffer[..length].ends_with(b"\r\n\r\n") {
                break;
            }
            if read == 0 || length == self.buffer.len() || !self.buffer[..length].starts_with(b"HTTP/1.1 200")
            {
                break;
            }
        }
        if self.buffer[..length].starts_with(b"HTTP/1.1 200") {
            Ok(begun.elapsed())
        } else {
            Err(format!("Envoy answered {}", String::from_utf8_lossy(&self.buffer[..length])))
        }
    }
}

struct Listener {
    port: u16,
    guard: String,
}

async fn start(folder: &Path, text: &str, port: u16) -> Result<Server, String> {
    let file = folder.join("envoy.yaml");
    std::fs::write(&file, text).map_err(|error| error.to_string())?;
    let mut command = Command::new(binaries::envoy()?);
    command.arg("-c").arg(&file).args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"]);
    let server = Server::start(SERVER_CORE, &command, &folder.join("envoy.log"))?;
    listening(port).await?;
    // The cluster of the authorization service is connected at the first request.
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(server)
}

fn ext_authz(cluster: &str) -> String {
    format!(
        r#"          - name: envoy.filters.http.ext_authz
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
              transport_api_version: V3
              grpc_service: {{ envoy_grpc: {{ cluster_name: {cluster}, skip_envoy_headers: true }}, timeout: 1s }}
              encode_raw_headers: true
              include_peer_certificate: true
              validate_mutations: true
"#
    )
}

fn jwt_authn(keys: &str) -> String {
    format!(
        r#"          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                sts: {{ issuer: "https://sts-0.example.com", audiences: ["https://api.example.com"], local_jwks: {{ inline_string: '{keys}' }} }}
              rules: [ {{ match: {{ prefix: / }}, requires: {{ provider_name: sts }} }} ]
"#
    )
}

fn configuration(admin: u16, listeners: &[Listener], services: &[(&str, u16)]) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {admin} }} }} }}\nstatic_resources:\n  listeners:\n"
    );
    for Listener { port, guard } in listeners {
        write!(
            text,
            r#"  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          http_filters:
{guard}          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
          route_config:
            virtual_hosts: [ {{ name: all, domains: ["*"], routes: [ {{ match: {{ prefix: / }}, direct_response: {{ status: 200 }} }} ] }} ]
"#
        )
        .expect("text grows");
    }
    text.push_str("  clusters:\n");
    for (name, port) in services {
        write!(
            text,
            r#"  - name: {name}
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http2_protocol_options: {{}} }}
    load_assignment: {{ cluster_name: {name}, endpoints: [ {{ lb_endpoints: [ {{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }} }} ] }} ] }}
"#
        )
        .expect("text grows");
    }
    text
}
