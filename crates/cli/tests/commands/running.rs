//! `healthcheck` and `check --server`, with a server that runs.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Run, run_in};

/// A public key of RFC 7517, appendix A.1.
pub(crate) const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;
/// Far longer than a start takes on a machine that does much at once.
const TRIES: u32 = 1200;
const PAUSE: Duration = Duration::from_millis(50);

/// A server in a folder of its own, at a loopback address of its own; it ends with the value.
struct Running {
    folder: tempfile::TempDir,
    child: Child,
    ip: Ipv4Addr,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// No other test has the same one: 24 bits by chance, and no port that any process is given.
pub(crate) fn own_address() -> Ipv4Addr {
    let chance = tempfile::Builder::new().rand_bytes(12).tempfile().unwrap();
    let name = chance.path().file_name().unwrap().to_string_lossy().into_owned();
    let hash = name.bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let [_, second, third, fourth] = hash.to_be_bytes();
    Ipv4Addr::new(127, second, third, fourth.clamp(2, 250))
}

impl Running {
    /// With these keys of `listen` beside `public` and `metrics`, where `IP` is its address.
    fn start(listen: &str) -> Self {
        let (folder, ip) = (tempfile::tempdir().unwrap(), own_address());
        fs::create_dir(folder.path().join("policies")).unwrap();
        fs::write(
            folder.path().join("policies/all.cedarschema"),
            "entity File;\naction Read appliesTo { principal: [Exequatur::Agent], resource: [File], context: Exequatur::Context };",
        )
        .unwrap();
        fs::write(
            folder.path().join("policies/none.cedar"),
            "@id(\"none\") forbid (principal, action, resource);",
        )
        .unwrap();
        fs::write(folder.path().join("keys.json"), KEYS).unwrap();
        write_certificates(folder.path());
        let configuration = format!(
            "listen: {{ public: \"{ip}:9192\", metrics: \"{ip}:9193\", {} }}
policies: policies
protected_resources: [{{ resource: https://api.example.com }}]
issuers: [{{ name: corp, issuer: https://sts.example.com, jwks: {{ file: keys.json }}, audiences: [https://api.example.com] }}]
sender_constraint: {{ require: none }}
routes:
  - {{ name: health, match: {{ path: /healthz, methods: [GET] }}, access: public }}
  - name: file
    match: {{ path: \"/files/{{id}}\", methods: [GET] }}
    action: Read
    resource: {{ type: File, id: \"{{id}}\" }}
",
            listen.replace("IP", &ip.to_string())
        );
        fs::write(folder.path().join("exequatur.yaml"), configuration).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_exequatur"))
            .args(["serve", "--config", "exequatur.yaml", "--log", "warn"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut running = Self { folder, child, ip };
        running.until_ready();
        running
    }

    fn until_ready(&mut self) {
        for _ in 0..TRIES {
            if self.run(&["healthcheck", "--config", "exequatur.yaml"]).code == Some(0) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert_eq!(ended, None, "{}", fs::read_to_string(self.folder.path().join("log")).unwrap());
            std::thread::park_timeout(PAUSE);
        }
        panic!("not ready: {}", fs::read_to_string(self.folder.path().join("log")).unwrap());
    }

    fn run(&self, arguments: &[&str]) -> Run {
        run_in(self.folder.path(), arguments, b"")
    }

    fn check(&self, arguments: &[&str]) -> Run {
        self.run(&[&["check"], arguments].concat())
    }
}

fn write_certificates(folder: &Path) {
    for name in ["server", "client", "stranger"] {
        let made = rcgen::generate_simple_self_signed(vec![format!("{name}.example.com")]).unwrap();
        fs::write(folder.join(format!("{name}.crt")), made.cert.pem()).unwrap();
        let key = folder.join(format!("{name}.key"));
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let both: String = ["client", "stranger"]
        .map(|name| fs::read_to_string(folder.join(format!("{name}.crt"))).unwrap())
        .concat();
    fs::write(folder.join("both.crt"), both).unwrap();
}

/// A permit, denials, what was expected and what was not, over a Unix socket.
#[test]
fn a_running_server_is_asked_as_envoy_asks_it() {
    let server = Running::start("grpc: \"unix:grpc.sock\"");
    let socket = format!("unix:{}", server.folder.path().join("grpc.sock").display());
    let health = ["--server", &socket, "--url", "https://api.example.com/healthz"];
    let permit = server.check(&health).ended(0);
    assert!(permit.out.starts_with("permit\ndecision  "), "{}", permit.out);
    assert!(permit.out.contains("\nsets      x-exequatur-decision: "), "{}", permit.out);
    let removes = permit.out.lines().find(|line| line.starts_with("removes ")).unwrap();
    assert!(removes.contains("authorization, dpop, "), "{removes}");

    let file = ["--server", &socket, "--host", "api.example.com", "--path", "/files/1"];
    let denied = server.check(&file).ended(1);
    assert!(denied.out.starts_with("deny credentials_missing\ndecision  "), "{}", denied.out);
    assert!(denied.out.contains("\nstatus    401\n"), "{}", denied.out);
    for (expect, code) in
        [("deny", 0), ("credentials_missing", 0), ("permit", 1), ("fault", 1), ("token_expired", 1)]
    {
        server.check(&[&file[..], &["--expect", expect]].concat()).ended(code);
        server.check(&[&health[..], &["--expect", expect]].concat()).ended(i32::from(expect != "permit"));
    }
    server.check(&[&file[..], &["--expect", "no_such_reason"]].concat()).ended(2);

    let json = server.check(&[&file[..], &["--output", "json", "--expect", "deny"]].concat()).ended(0).json();
    assert_eq!(
        [&json["answer"], &json["reason"], &json["as_expected"]],
        [&serde_json::json!("deny"), &serde_json::json!("credentials_missing"), &serde_json::json!(true)]
    );
    assert_eq!([&json["status"], &json["body"]["status"]], [401, 401]);
    // The same question, decided here.
    let here =
        server.check(&["--config", "exequatur.yaml", "--host", "api.example.com", "--path", "/files/1"]);
    assert_eq!(here.ended(1).out, "deny credentials_missing\n");
}

/// E-05: the token is in no output, whether it was taken or not.
#[test]
fn the_token_is_never_printed() {
    let server = Running::start("grpc: \"IP:9191\"");
    let url = format!("http://{}:9191", server.ip);
    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzZWNyZXQifQ.c2lnbmF0dXJl";
    fs::write(server.folder.path().join("token"), format!("{token}\n")).unwrap();
    for output in ["text", "json"] {
        let run = server
            .check(&[
                "--server",
                &url,
                "--url",
                "https://api.example.com/files/1",
                "--token-file",
                "token",
                "--output",
                output,
                "--expect",
                "token_type_invalid",
            ])
            .ended(0);
        for part in token.split('.') {
            assert!(!run.out.contains(part) && !run.err.contains(part), "{}{}", run.out, run.err);
        }
    }
}

/// Over TLS the server is known by its certificate, and asks for one.
#[test]
fn a_server_with_mutual_tls_is_asked_with_a_certificate() {
    let server = Running::start(
        "grpc: \"IP:9191\", grpc_tls: { certificate_file: server.crt, key_file: server.key, client_ca_file: client.crt }",
    );
    let url = format!("https://{}:9191", server.ip);
    let health =
        ["--server", &url, "--url", "https://api.example.com/healthz", "--server-name", "server.example.com"];
    let with = |ca: &'static str, name: &str| {
        let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
        let files = ["--ca-file", ca, "--certificate-file", &certificate, "--key-file", &key];
        server.check(&[&health[..], &files].concat())
    };
    with("server.crt", "client").ended(0);
    for run in [
        with("server.crt", "stranger"),
        with("stranger.crt", "client"),
        server.check(&[&health[..], &["--ca-file", "server.crt"]].concat()),
        // Without TLS.
        server.check(&["--server", &url.replace("https", "http"), "--url", health[3]]),
    ] {
        let run = run.ended(5);
        assert!(run.err.contains("no server answers"), "{}", run.err);
    }
}

/// B-14: whose authority signs for agents too, names who may ask.
#[test]
fn a_certificate_with_another_name_is_not_answered() {
    for (clients, taken) in [
        ("[{ dns: client.example.com }]", true),
        ("[{ uri: \"spiffe://a/b\" }, { dns: client.example.com }]", true),
        ("[{ dns: example.com }]", false),
        ("[{ dns: ent.example.com }]", false),
        ("[{ uri: client.example.com }]", false),
    ] {
        let server = Running::start(&format!(
            "grpc: \"IP:9191\", grpc_tls: {{ certificate_file: server.crt, key_file: server.key, client_ca_file: both.crt, clients: {clients} }}",
        ));
        let url = format!("https://{}:9191", server.ip);
        let asked = |name: &str| {
            let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
            server.check(&[
                "--server",
                &url,
                "--url",
                "https://api.example.com/healthz",
                "--server-name",
                "server.example.com",
                "--ca-file",
                "server.crt",
                "--certificate-file",
                &certificate,
                "--key-file",
                &key,
            ])
        };
        asked("client").ended(if taken { 0 } else { 5 });
        asked("stranger").ended(5);
    }
}

/// The address is all that is read of the configuration, and no authorities are needed for a plain question.
#[test]
fn health_is_asked_whatever_else_the_file_says() {
    let mut server = Running::start("grpc: \"unix:grpc.sock\"");
    let file = server.folder.path().join("exequatur.yaml");
    let good = fs::read_to_string(&file).unwrap();
    let live = server.run(&["healthcheck", "--config", "exequatur.yaml", "--live"]).ended(0);
    assert_eq!(live.out, "ok\n");
    fs::remove_dir_all(server.folder.path().join("policies")).unwrap();
    for broken in [good.replace("issuers:", "isuers:"), format!("{good}\n  - [\n")] {
        fs::write(&file, broken).unwrap();
        server.run(&["config", "check", "--config", "exequatur.yaml"]).ended(3);
        assert_eq!(server.run(&["healthcheck", "--config", "exequatur.yaml"]).ended(0).out, "ready\n");
    }
    let bare = Command::new(env!("CARGO_BIN_EXE_exequatur"))
        .args(["healthcheck", "--address", &format!("{}:9192", server.ip)])
        .env_clear()
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .unwrap();
    assert!(bare.status.success(), "{}", String::from_utf8_lossy(&bare.stderr));

    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let gone = server.run(&["healthcheck", "--config", "exequatur.yaml"]).ended(5);
    assert!(gone.err.contains("nobody answers"), "{}", gone.err);
    server.check(&["--server", "unix:grpc.sock", "--url", "https://api.example.com/healthz"]).ended(5);
    fs::write(&file, "listen: [\n").unwrap();
    server.run(&["healthcheck", "--config", "exequatur.yaml"]).ended(3);
}

/// 503 is not ready; a service that says 200 to everything, or nothing at all, is none of ours.
#[test]
fn not_ready_and_not_ours_are_not_good_health() {
    for (answer, code, said) in [
        ("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", 1, "not ready"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>", 1, "something else"),
        ("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", 1, "something else"),
        ("", 5, ""),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 16];
            stream.read_exact(&mut head).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            // What is left unread would break the connection before the answer is read.
            drop(stream.shutdown(std::net::Shutdown::Write));
            drop(stream.read_to_end(&mut Vec::new()));
        });
        let folder = tempfile::tempdir().unwrap();
        let run = run_in(folder.path(), &["healthcheck", "--address", &address], b"").ended(code);
        assert!(run.out.contains(said), "{}", run.out);
        answering.join().unwrap();
    }
    // Nobody says anything: the wait ends.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let run =
        run_in(folder.path(), &["healthcheck", "--address", &address, "--timeout", "100ms"], b"").ended(5);
    assert!(run.err.contains("no") && run.out.is_empty(), "{}", run.err);
}
