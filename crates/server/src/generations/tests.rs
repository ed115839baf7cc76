use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Mutex, PoisonError};

use exequatur_audit::{PublicKeys, SigningKey};
use exequatur_issuers::HttpConfig;
use tokio_util::task::TaskTracker;

use super::*;
use crate::traces::Tracer;
use crate::{clock, receipts};

/// Configuration and policies, with an issuer whose connection is made from files.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path("policies")).unwrap();
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies")).unwrap() {
            let file = entry.unwrap().path();
            if file.is_file() {
                std::fs::copy(&file, folder.path("policies").join(file.file_name().unwrap())).unwrap();
            }
        }
        folder.authority("ca.pem");
        folder.write("credentials", "me:secret word");
        folder.configure("ca.pem");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    fn authority(&self, name: &str) {
        let authority = rcgen::generate_simple_self_signed(["authority".to_owned()]).unwrap();
        self.write(name, &authority.cert.pem());
    }

    fn configure(&self, authorities: &str) {
        self.write(
            "exequatur.yaml",
            &format!(
                "policies: policies
protected_resources: [{{ resource: https://api.example.com }}]
issuers:
  - name: corp
    issuer: https://sts.example.com
    jwks: https://127.0.0.1:9/jwks
    ca_file: {authorities}
    proxy: http://127.0.0.1:9
    proxy_credentials_file: credentials
    audiences: [https://api.example.com]
routes: [{{ name: health, match: {{ path: /healthz, methods: [GET] }}, access: public }}]
"
            ),
        );
    }

    fn look(&self) -> Result<Snapshot, GenerationError> {
        Snapshot::read(&self.path("exequatur.yaml"))
    }

    /// In force, with nobody who watches.
    fn reloader(&self) -> Reloader {
        let snapshot = self.look().unwrap();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        stop.cancel();
        let issuers = snapshot.config.issuers.clone();
        let issuers = Issuers::start(issuers, HttpConfig::default(), clock::system(), &tasks, &stop).unwrap();
        Reloader {
            path: self.path("exequatur.yaml"),
            current: Arc::new(ArcSwap::from_pointee(compile(&snapshot.config, &snapshot.folder, 1).unwrap())),
            issuers,
            streams: None,
            redis: snapshot.redis.clone(),
            nonces: crate::nonce_secrets::nonces(&snapshot.config.sender).unwrap().into(),
            nonces_in_use: snapshot.state().nonces,
            fixed: fixed_part(&snapshot.config),
            recorder: None,
            rotation: None,
            collectors: Vec::new(),
            judged: Some(snapshot.state()),
            reloads: Arc::new(Reloads::started(&snapshot.config, snapshot.nonce_marks(), at(0))),
            clock: Arc::new(|| at(5)),
        }
    }
}

fn at(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// C-14, J18: authorities that were rotated, and a proxy's new password, are noticed, told and gone over to; no policy
/// waits for a restart because of them.
#[tokio::test]
async fn files_of_a_connection_change_with_the_policies() {
    let folder = Folder::new();
    let mut reloader = folder.reloader();
    let policies = reloader.current.load().policies.len();
    let log = Log::default();
    let _logging = log.begin();

    folder.authority("ca.pem");
    folder.write("policies/stop.cedar", "@id(\"stop\")\nforbid (principal, action, resource);\n");
    reloader.judge(folder.look()).await;
    assert_eq!(reloader.current.load().policies.len(), policies + 1, "{}", log.take());
    assert_eq!(reloader.current.load().number, 2);
    let said = log.take();
    assert!(said.contains("ca.pem") && said.contains("from the next load of keys on"), "{said}");
    reloader.judged = Some(folder.look().unwrap().state());

    // Each alone is a change too, and is told once.
    for (generation, file) in [(3, "ca.pem"), (4, "credentials")] {
        match file {
            "ca.pem" => folder.authority(file),
            _ => folder.write(file, "me:another word"),
        }
        let found = folder.look();
        assert_ne!(Some(State::of(&found)), reloader.judged, "{file}");
        reloader.judged = Some(State::of(&found));
        reloader.judge(found).await;
        assert_eq!(reloader.current.load().number, generation, "{file}");
        let said = log.take();
        assert!(said.contains(file) && said.matches("from the next load").count() == 1, "{said}");
        assert!(!said.contains("another word"), "{said}");
        assert_eq!(Some(State::of(&folder.look())), reloader.judged, "{file}");
    }
    reloader.judge(folder.look()).await;
    assert!(!log.take().contains("from the next load"));

    // Another file, or a broken one, is not taken in part.
    folder.authority("other.pem");
    folder.configure("other.pem");
    reloader.judge(folder.look()).await;
    assert!(log.take().contains("restart to apply"));
    folder.configure("ca.pem");
    folder.write("ca.pem", "");
    reloader.judge(folder.look()).await;
    assert!(log.take().contains("the file of authorities holds no PEM certificate"));
    assert_eq!(reloader.current.load().number, 5);
}

/// Where the generation comes from, and that a reload was refused, by its first mistake alone.
#[tokio::test]
async fn what_came_of_the_files_is_told() {
    let folder = Folder::new();
    let mut reloader = folder.reloader();
    let reloads = Arc::clone(&reloader.reloads);
    let source = || reloads.source().unwrap();
    let started = source();
    assert_eq!((started.since, &started.failed), (at(0), &None));
    assert_eq!(started.configuration.len(), 64);

    folder.write("policies/broken.cedar", "@id(\"broken\")\nforbid (principal, actoin, resource);\n");
    reloader.judge(folder.look()).await;
    let failed = source().failed.unwrap();
    assert_eq!(failed.at.0, at(5));
    assert!(failed.error.starts_with("broken.cedar:2:") && !failed.error.contains('\n'), "{}", failed.error);
    assert_eq!(source().configuration, started.configuration, "the one before goes on");

    std::fs::remove_file(folder.path("policies/broken.cedar")).unwrap();
    folder.configure("ca.pem");
    let text = std::fs::read_to_string(folder.path("exequatur.yaml")).unwrap();
    folder.write("exequatur.yaml", &format!("{text}\nunheard_of: secret\n"));
    reloader.judge(folder.look()).await;
    let failed = source().failed.unwrap();
    assert!(
        failed.error.starts_with("exequatur.yaml:") && !failed.error.contains("secret"),
        "{}",
        failed.error
    );

    folder.write("exequatur.yaml", &format!("{text}\n# another comment\n"));
    reloader.judge(folder.look()).await;
    let now = source();
    assert_eq!((now.since, now.failed), (at(5), None));
    assert_ne!(now.configuration, started.configuration);
    assert_eq!(now.rules, started.rules, "a comment decides nothing");
    folder.write("exequatur.yaml", &format!("{text}\nlimits: [{{ name: one, per: agent, rate: 9/s }}]\n"));
    reloader.judge(folder.look()).await;
    assert_ne!(source().rules, started.rules);
}

/// A folder whose configuration names the secrets of nonces, and a key that an issuer is asked with.
fn with_secrets() -> Folder {
    let folder = Folder::new();
    folder.write("nonce.secret", &"a".repeat(32));
    folder.write("previous.secret", &"b".repeat(32));
    folder.key("client.key");
    let text = std::fs::read_to_string(folder.path("exequatur.yaml")).unwrap();
    let introspection = "audiences: [https://api.example.com]
    introspection:
      endpoint: https://127.0.0.1:9/introspect
      client_id: gate
      private_key_jwt: { key_file: client.key, key_id: first }";
    let text = text.replace("audiences: [https://api.example.com]\n", &format!("{introspection}\n"));
    let sender = "sender_constraint: { dpop: { nonce_secret_file: nonce.secret, previous_nonce_secret_file: previous.secret } }\n";
    folder.write("exequatur.yaml", &(text + sender));
    folder
}

impl Folder {
    fn key(&self, name: &str) {
        self.write(name, &rcgen::KeyPair::generate().unwrap().serialize_pem());
    }
}

/// C-14: a certificate that an issuer is asked with, and the authorities of a transmitter, are looked at like those of its keys: they
/// end within hours where a mesh gives them out.
#[tokio::test]
async fn a_certificate_that_is_shown_changes_without_a_signal() {
    let folder = Folder::new();
    let identity = || {
        let made = rcgen::generate_simple_self_signed(["gate".to_owned()]).unwrap();
        folder.write("gate.crt", &made.cert.pem());
        folder.write("gate.key", &made.signing_key.serialize_pem());
    };
    identity();
    folder.authority("transmitter.pem");
    let text = std::fs::read_to_string(folder.path("exequatur.yaml")).unwrap();
    let introspection = "audiences: [https://api.example.com]
    claims: { agent: client_id, user: sub }
    introspection:
      endpoint: https://127.0.0.1:9/introspect
      client_id: gate
      mtls: { certificate_file: gate.crt, key_file: gate.key }";
    let text = text.replace("audiences: [https://api.example.com]\n", &format!("{introspection}\n"));
    let signals = "signals:
  - name: idp
    transmitter: https://idp.example.com
    jwks: https://127.0.0.1:9/jwks
    ca_file: transmitter.pem
    audience: https://api.example.com
    subjects_of: [corp]
    delivery: { push: { authorization_file: push } }
store: { embedded: { path: state } }\n";
    folder.write("push", &format!("Bearer {}", "p".repeat(40)));
    folder.write("exequatur.yaml", &(text + signals));
    let before = State::of(&folder.look());
    assert!(folder.look().is_ok(), "{:?}", folder.look().err());
    assert_eq!(State::of(&folder.look()), before);
    identity();
    let after = State::of(&folder.look());
    assert_ne!(after, before, "the certificate that is shown to the issuer");
    folder.authority("transmitter.pem");
    assert_ne!(State::of(&folder.look()), after, "the authorities of the transmitter");
}

/// D26, C-16: secrets of nonces and the key that an issuer is asked with are gone over to while the process runs, each by itself;
/// what cannot be used is refused with its file's name, and nothing of what is in it.
#[tokio::test]
async fn secrets_change_while_the_process_runs() {
    let folder = with_secrets();
    let mut reloader = folder.reloader();
    let log = Log::default();
    let _logging = log.begin();
    let mut generation = 1;
    for (file, said) in [
        ("nonce.secret", "other secrets"),
        ("previous.secret", "other secrets"),
        ("client.key", "asked with the key in it"),
    ] {
        match file {
            "client.key" => folder.key(file),
            _ => folder.write(file, &format!("{file}-{}", "c".repeat(32))),
        }
        let found = folder.look();
        assert_ne!(Some(State::of(&found)), reloader.judged, "{file}");
        reloader.judged = Some(State::of(&found));
        reloader.judge(found).await;
        generation += 1;
        assert_eq!(reloader.current.load().number, generation, "{file}: {}", log.take());
        let told = log.take();
        assert_eq!(told.matches(said).count(), 1, "{file}: {told}");
        // Looked at again, nothing has changed.
        assert_eq!(Some(State::of(&folder.look())), reloader.judged, "{file}");
    }
    // Under another name for the server that is asked, it is another.
    let text = std::fs::read_to_string(folder.path("exequatur.yaml")).unwrap();
    folder.write("exequatur.yaml", &text.replace("key_id: first", "key_id: second"));
    reloader.judge(folder.look()).await;
    let told = log.take();
    assert!(told.contains("asked with the key in it") && !told.contains("other secrets"), "{told}");
    // Another file and the id of its key, in one write: neither is ever used with the other's.
    folder.key("next.key");
    let text = std::fs::read_to_string(folder.path("exequatur.yaml")).unwrap();
    let next = "key_file: next.key, key_id: third";
    folder.write("exequatur.yaml", &text.replace("key_file: client.key, key_id: second", next));
    reloader.judge(folder.look()).await;
    let told = log.take();
    assert!(told.contains("next.key") && told.contains("asked with the key in it"), "{told}");

    let in_force = reloader.current.load().number;
    for (file, broken, said) in [
        ("nonce.secret", "zzz", "nonce.secret: a nonce secret has at least 32 bytes"),
        ("previous.secret", "zzz", "previous.secret: a nonce secret has at least 32 bytes"),
        ("next.key", "zzz", "exequatur.yaml:14: not one PEM block `PRIVATE KEY`"),
    ] {
        let whole = std::fs::read_to_string(folder.path(file)).unwrap();
        folder.write(file, broken);
        reloader.judge(folder.look()).await;
        let told = log.take();
        // Of the configuration the log shows the line itself.
        let why = said.rsplit(": ").next().unwrap();
        assert!(told.contains("reload refused") && told.contains(why), "{told}");
        let failed = reloader.reloads.source().unwrap().failed.unwrap().error;
        assert!(failed.contains(said), "{failed}");
        assert!(!told.contains(broken) && !failed.contains(broken), "{told}");
        folder.write(file, &whole);
    }
    std::fs::remove_file(folder.path("nonce.secret")).unwrap();
    reloader.judge(folder.look()).await;
    assert!(log.take().contains("reload refused"));
    assert_eq!(reloader.current.load().number, in_force, "the last good one goes on");
}

/// A folder whose records are signed, and go to a collector like spans do.
struct Signed {
    folder: Folder,
    without: String,
}

impl Signed {
    fn new() -> Self {
        let folder = Folder::new();
        let without = std::fs::read_to_string(folder.path("exequatur.yaml")).unwrap();
        folder.key("first.pem");
        folder.key("second.pem");
        folder.write("headers", "authorization: Bearer canary-1");
        folder.write("traced", "authorization: Bearer canary-1");
        let signed = Self { folder, without };
        signed.by("key_file: first.pem, key_id: first");
        signed
    }

    /// Names these keys.
    fn by(&self, checkpoints: &str) {
        let records = format!(
            "records:
  file: records.jsonl
  checkpoints: {{ {checkpoints} }}
  sinks: [{{ name: siem, otlp: {{ endpoint: 'https://127.0.0.1:9', headers_file: headers }} }}]
traces: {{ otlp: {{ endpoint: 'https://127.0.0.1:8', headers_file: traced }} }}
"
        );
        self.folder.write("exequatur.yaml", &(self.without.clone() + &records));
    }

    fn reloader(&self) -> (Reloader, Recorder) {
        let config = self.folder.look().unwrap().config;
        let kept = receipts::open(&config.records.unwrap(), None, &clock::system()).unwrap();
        let (_tracer, exporter) = Tracer::new(&config.traces.unwrap(), None, clock::system()).unwrap();
        let recorder = kept.recorder.clone().unwrap();
        let reloader = Reloader {
            recorder: kept.recorder,
            rotation: kept.rotation,
            collectors: [kept.collectors, vec![exporter.collector()]].concat(),
            ..self.folder.reloader()
        };
        (reloader, recorder)
    }
}

/// C-16: what a collector is shown is gone over to while the process runs, each by itself.
#[tokio::test]
async fn headers_of_collectors_change_while_the_process_runs() {
    let signed = Signed::new();
    let (folder, (mut reloader, _recorder)) = (&signed.folder, signed.reloader());
    let log = Log::default();
    let _logging = log.begin();
    for (file, port) in [("headers", ":9"), ("traced", ":8")] {
        folder.write(file, "authorization: Bearer canary-2");
        assert_ne!(Some(State::of(&folder.look())), reloader.judged, "{file}");
        reloader.judged = Some(State::of(&folder.look()));
        reloader.judge(folder.look()).await;
        let told = log.take();
        assert_eq!(told.matches("what a collector is reached with has changed").count(), 1, "{told}");
        assert!(told.contains(port) && !told.contains("canary"), "{told}");
    }
    reloader.judge(folder.look()).await;
    assert!(!log.take().contains("a collector"), "nothing has changed");
    folder.write("headers", "canary-3");
    reloader.judge(folder.look()).await;
    let failed = reloader.reloads.source().unwrap().failed.unwrap().error;
    assert_eq!(failed, "the collector https://127.0.0.1:9/: headers: line 1: not a header, `name: value`");
    assert!(!log.take().contains("canary"));
}

/// C-16: the key of checkpoints is gone over to while the process runs. A key whose forerunner nobody could check any more is refused, and
/// so is that nothing is signed any more; then nothing else is gone over to either.
#[tokio::test]
async fn a_key_of_checkpoints_changes_while_the_process_runs() {
    let signed = Signed::new();
    let (folder, (mut reloader, recorder)) = (&signed.folder, signed.reloader());
    let log = Log::default();
    let _logging = log.begin();
    let forgotten = "(`first`) is not in `previous_keys_file`";
    for (checkpoints, said) in [
        ("key_file: second.pem, key_id: second", forgotten),
        // What a verifier knows by one id has to stay that key.
        ("key_file: second.pem, key_id: first", forgotten),
        ("key_file: gone.pem, key_id: second", "gone.pem"),
        ("every: 1m", "restart to apply them"),
        ("key_file: first.pem, key_id: first, every: 2m", "restart to apply them"),
    ] {
        signed.by(checkpoints);
        reloader.judge(folder.look()).await;
        let told = log.take();
        assert!(told.contains("reload refused") && told.contains(said), "{checkpoints}: {told}");
        assert_eq!(reloader.current.load().number, 1);
    }
    folder.write("headers", "authorization: Bearer another");
    signed.by("key_file: second.pem, key_id: second");
    reloader.judge(folder.look()).await;
    let told = log.take();
    assert!(told.contains("reload refused") && !told.contains("reached with has changed"), "{told}");
    let failed = reloader.reloads.source().unwrap().failed.unwrap().error;
    assert!(failed.starts_with("records: second.pem: another key"), "{failed}");

    let first = SigningKey::read(&folder.path("first.pem"), Some("first")).unwrap();
    folder.write("old.json", &PublicKeys::of(&first, None).unwrap().jwks().to_string());
    signed.by("key_file: second.pem, key_id: second, previous_keys_file: old.json");
    reloader.judge(folder.look()).await;
    assert!(log.take().contains("reached with has changed"));
    // What else changes before it was handed over changes nothing about that.
    folder.write("policies/stop.cedar", "@id(\"stop\")\nforbid (principal, action, resource);\n");
    reloader.judge(folder.look()).await;
    let rotation = reloader.rotation.as_mut().unwrap();
    rotation.advance(&recorder).await;
    let told = log.take();
    assert!(told.contains("signed with another key from now on") && told.contains("second"), "{told}");
    rotation.advance(&recorder).await;
    assert!(!log.take().contains("another key from now on"), "it is handed over once");
    recorder.close().await.unwrap();
    let text = std::fs::read_to_string(folder.path("records.jsonl")).unwrap();
    let signers: Vec<_> = text.lines().filter_map(|line| Some(line.split_once("\"kid\":\"")?.1)).collect();
    assert!(signers[0].starts_with("first") && signers[1].starts_with("second"), "{text}");
}

/// D26, C-16: a secret is named where none was, and gone over to; that none is named any more is refused whole, and the one in use goes on.
#[tokio::test]
async fn a_nonce_secret_is_added_while_the_process_runs_and_not_taken_away() {
    let folder = with_secrets();
    let with = std::fs::read_to_string(folder.path("exequatur.yaml")).unwrap();
    let without: String = with
        .lines()
        .filter(|line| !line.starts_with("sender_constraint"))
        .map(|line| format!("{line}\n"))
        .collect();
    folder.write("exequatur.yaml", &without);
    let mut reloader = folder.reloader();
    let marks = |reloader: &Reloader| reloader.reloads.source().unwrap().nonces;
    assert_eq!((reloader.nonces_in_use, marks(&reloader)), (None, None));
    let log = Log::default();
    let _logging = log.begin();
    folder.write("exequatur.yaml", &with);
    reloader.judge(folder.look()).await;
    let (told, named) = (log.take(), marks(&reloader));
    assert_eq!(reloader.current.load().number, 2, "{told}");
    assert_eq!(told.matches("other secrets").count(), 1, "{told}");
    assert!(named.is_some() && named == folder.look().unwrap().nonce_marks());

    let in_use = reloader.nonces_in_use;
    // With another route besides, so that a reload in part would be seen.
    folder.write("exequatur.yaml", &without.replace("/healthz", "/ready"));
    reloader.judge(folder.look()).await;
    let (told, source) = (log.take(), reloader.reloads.source().unwrap());
    assert!(told.contains("reload refused") && !told.contains("other secrets"), "{told}");
    let failed = source.failed.unwrap().error;
    assert!(failed.contains("sender_constraint") && failed.contains("restart to apply"), "{failed}");
    assert_eq!(reloader.current.load().number, 2, "the last good one goes on");
    assert_eq!((reloader.nonces_in_use, source.nonces), (in_use, named));
}

/// C-09, C-14, C-16: a password of Redis and the authorities of tenants are gone over to while the process runs, each by itself. What cannot
/// be used, or is another Redis, is refused with its file's name and nothing of what is in it; the last good one goes on.
#[tokio::test]
async fn what_redis_is_reached_with_and_authorities_of_tenants_change_while_the_process_runs() {
    let folder = Folder::new();
    folder.write("nonce.secret", &"a".repeat(32));
    folder.write("redis.url", "redis://gate:firstword@127.0.0.1:9/0\n");
    folder.authority("tenants.pem");
    let text = std::fs::read_to_string(folder.path("exequatur.yaml")).unwrap();
    let tenant = "audiences: [https://api.example.com]
    tenant: { certificate: { ca_file: tenants.pem, uri: \"spiffe://example.com/{tenant}\" } }";
    let text = text.replace("audiences: [https://api.example.com]\n", &format!("{tenant}\n"));
    let store = "sender_constraint: { dpop: { nonce_secret_file: nonce.secret } }
store: { redis: { url_file: redis.url } }\n";
    folder.write("exequatur.yaml", &(text + store));
    let mut reloader = folder.reloader();
    let log = Log::default();
    let _logging = log.begin();
    let judged_by = |reloader: &Reloader| reloader.current.load().configuration;
    for (number, file, said) in [
        (2, "redis.url", "what Redis is reached with has changed"),
        (3, "tenants.pem", "tenants are known by the authorities in it"),
    ] {
        let before = judged_by(&reloader);
        match file {
            "redis.url" => folder.write(file, "redis://gate:secondword@127.0.0.1:9/0"),
            _ => folder.authority(file),
        }
        let found = folder.look();
        assert_ne!(Some(State::of(&found)), reloader.judged, "{file}");
        reloader.judged = Some(State::of(&found));
        reloader.judge(found).await;
        let told = log.take();
        assert_eq!(reloader.current.load().number, number, "{file}: {told}");
        assert_eq!((told.matches(said).count(), told.contains("word@")), (1, false), "{file}: {told}");
        // Tokens whose tenant was said by others are looked at anew.
        assert_eq!(judged_by(&reloader) != before, file == "tenants.pem", "{file}");
        reloader.judge(folder.look()).await;
        let told = log.take();
        assert!(!told.contains(said), "told once: {told}");
        reloader.current.store(Arc::new(
            compile(&folder.look().unwrap().config, &folder.look().unwrap().folder, number).unwrap(),
        ));
    }
    for (file, broken, said) in [
        ("redis.url", "not a thirdword", "redis.url: not a Redis URL"),
        (
            "redis.url",
            "redis://gate:thirdword@127.0.0.2:9/0",
            "redis.url: another server, database or protocol",
        ),
        (
            "redis.url",
            "rediss://gate:thirdword@127.0.0.1:9/0",
            "redis.url: another server, database or protocol",
        ),
        (
            "redis.url",
            "rediss://gate:thirdword@127.0.0.1:9/0#insecure",
            "redis.url: `#insecure` would take any",
        ),
        ("tenants.pem", "thirdword", "tenants.pem"),
    ] {
        let whole = std::fs::read_to_string(folder.path(file)).unwrap();
        folder.write(file, broken);
        reloader.judge(folder.look()).await;
        let (told, failed) = (log.take(), reloader.reloads.source().unwrap().failed.unwrap().error);
        assert!(told.contains("reload refused") && failed.contains(said), "{told} {failed}");
        assert!(![&told, &failed].iter().any(|text| text.contains("thirdword")), "{told} {failed}");
        folder.write(file, &whole);
    }
    assert_eq!(reloader.current.load().number, 3, "the last good one goes on");
    let held = reloader.redis.clone().unwrap();
    assert_eq!(held.renew(&folder.look().unwrap().redis.unwrap()), Ok(false));
}
