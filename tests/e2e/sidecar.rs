//! From where a sidecar's agent is: it shares the machine's network and files with Envoy and Exequatur, and may neither ask a
//! Check nor give an order. B-14, C-18.

use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use exequatur_tests::orders::with_orders;
use exequatur_tests::tls::{self, Shown, Wanted};
use exequatur_tests::{DOCUMENT, Options, Raw, Stack, Version, in_time};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const TLS: (&str, &str) = (
    "listen: { grpc:",
    "listen: { grpc_tls: { certificate_file: ./tls/server.crt, key_file: ./tls/server.key, client_ca_file: ./tls/ca.crt }, \
     grpc:",
);
/// Nobody's number on most machines.
const AGENT: u32 = 65_534;
/// What a server says first over HTTP/2, as the type of its frame: SETTINGS.
const SETTINGS: u8 = 4;

fn mutual() -> Options {
    Options { example: Some("mutual-tls.yaml"), exequatur: vec![TLS], ..Options::default() }
}

/// Envoy with its certificate is answered; the same bytes without one, with one of another authority, or without TLS are
/// not, and neither is a question of health.
#[tokio::test]
async fn over_tcp_nobody_asks_without_a_certificate() {
    let stack = Stack::start(mutual()).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    let answer = stack.raw(Version::Http1).send(&holder.sign(Raw::new("GET", DOCUMENT))).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");

    let folder = stack.folder().to_owned();
    let wanted = Wanted { self_signed: true, ..Wanted::default() };
    let stranger = Shown::make(&folder, "stranger", wanted).unwrap();
    let envoy = Shown::named(&folder, "client");
    for path in ["/envoy.service.auth.v3.Authorization/Check", "/grpc.health.v1.Health/Check"] {
        assert!(asks(stack.ports.grpc, Some((&folder, Some(&envoy))), path).await, "{path}");
        assert!(!asks(stack.ports.grpc, Some((&folder, None)), path).await, "{path}");
        assert!(!asks(stack.ports.grpc, Some((&folder, Some(&stranger))), path).await, "{path}");
        assert!(!asks(stack.ports.grpc, None, path).await, "{path}");
    }
    let failed = "exequatur_grpc_strangers_total{kind=\"handshake\"}";
    in_time("failed handshakes are counted", async {
        while stack.metric(failed).await.unwrap() < 6 {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    })
    .await;
    stack.logged("without a client certificate that is trusted").await;
}

/// Whether an empty question to this path is answered.
async fn asks(port: u16, secured: Option<(&Path, Option<&Shown>)>, path: &str) -> bool {
    let (folder, shown) = secured.map_or((None, None), |(folder, shown)| (Some(folder), shown));
    let Ok(connection) = tls::connect(port, folder, Version::Http2, shown).await else { return false };
    let asked = async {
        let (mut client, connection) = h2::client::handshake(connection).await.ok()?;
        let driving = tokio::spawn(connection);
        let request = http::Request::post(format!("https://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (response, mut body) = client.send_request(request, false).ok()?;
        body.send_data(vec![0; 5].into(), true).ok()?;
        let response = response.await.ok()?;
        driving.abort();
        Some(response.status() == 200)
    };
    in_time("an answer or none", asked).await.unwrap_or(false)
}

/// C-18: a client that begins a handshake and says no more is let go, and Envoy is answered meanwhile.
#[tokio::test]
async fn a_silent_handshake_holds_up_nobody() {
    let stack = Stack::start(mutual()).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, stack.ports.grpc)).await.unwrap();
        stream.write_all(b"\x16\x03\x01").await.unwrap();
        silent.push(stream);
    }
    let answer = stack.raw(Version::Http1).send(&holder.sign(Raw::new("GET", DOCUMENT))).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    for mut stream in silent {
        let ended = in_time("a silent connection ends", stream.read(&mut [0; 64])).await;
        assert!(ended.is_err() || ended.is_ok_and(|read| read == 0));
    }
}

/// What another user of this machine hears from a socket within 5 s: the first byte of a frame's type, nothing, or the name of
/// what went wrong. By a program of the system's: what is in somebody's own folder is not for others to run.
fn heard_by(user: u32, socket: &Path) -> String {
    let script = r#"
import errno, socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(5)
try:
    client.connect(sys.argv[1])
    client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
    heard = client.recv(9)
    said = f"type {heard[3]}" if len(heard) > 3 else "closed"
except TimeoutError:
    said = "silence"
except OSError as error:
    said = errno.errorcode[error.errno]
print(said, end="")
"#;
    let mut command = Command::new("python3");
    command.args(["-I", "-c", script]).arg(socket).uid(user).gid(user).current_dir("/");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Only root can be somebody else; another user is at least himself.
fn users(folder: &Path) -> (u32, bool) {
    let own = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(folder).unwrap());
    if own == 0 { (AGENT, true) } else { (own, false) }
}

async fn socket(keys: &'static str) -> Stack {
    Stack::start(Options { grpc_socket: Some(keys), ..with_orders(Options::default()) }).await.unwrap()
}

/// B-14: neither the socket for Checks nor the one for orders takes anything from another user, unless he is named; then
/// it is Checks alone.
#[tokio::test]
async fn another_user_is_not_heard_at_the_sockets() {
    let closed = socket("").await;
    let (user, another) = users(closed.folder());
    let [checks, orders] = ["grpc.sock", "admin.sock"].map(|name| closed.folder().join(name));
    for socket in [&checks, &orders] {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(socket).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{}", socket.display());
    }
    if another {
        assert_eq!(heard_by(user, &checks), "EACCES");
        assert_eq!(heard_by(user, &orders), "EACCES");
    }
    let holder = closed.holder(&Value::Null).await.unwrap();
    let answer = closed.raw(Version::Http1).send(&holder.sign(Raw::new("GET", DOCUMENT))).await.unwrap();
    assert_eq!(answer.status, 200, "Envoy is the same user: {answer:?}");

    // Somebody else is named: the file lets everybody come, and the kernel's word turns him away, unread.
    let other = socket(", grpc_peers: [1]").await;
    let checks = other.folder().join("grpc.sock");
    if another {
        let heard = heard_by(user, &checks);
        assert!(["closed", "ECONNRESET", "EPIPE"].contains(&heard.as_str()), "{heard}");
        other.wait_for_metric("exequatur_grpc_strangers_total{kind=\"user\"} 1").await.unwrap();
        assert_eq!(heard_by(user, &other.folder().join("admin.sock")), "EACCES");
    }
    let named = socket(format!(", grpc_peers: [{user}]").leak()).await;
    assert_eq!(heard_by(user, &named.folder().join("grpc.sock")), format!("type {SETTINGS}"));
}
