//! E-10: records are evidence: what a real server has written is whole for whoever has its public keys, and what was changed in
//! it is named.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use exequatur_tests::orders::{Said, order, with_orders};
use exequatur_tests::{Agent, Call, DOCUMENT, OPEN, Options, Stack, binaries, in_time};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// A stack whose records are signed, where the key is, and the public keys as the server shows them.
struct Site {
    stack: Stack,
    folder: TempDir,
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("receipts.pem");
        new_key(&key);
        let checkpoints =
            format!("mode: required, checkpoints: {{ key_file: {}, every: 1s, records: 7 }}", key.display());
        let mut options = with_orders(Options::default());
        options.exequatur.push(("mode: best_effort", checkpoints.leak()));
        let site = Self { stack: Stack::start(options).await.unwrap(), folder };
        site.fetch("keys.json").await;
        site
    }

    /// Keeps the public keys as the server shows them now.
    async fn fetch(&self, name: &str) -> PathBuf {
        let url = format!("http://127.0.0.1:{}/.well-known/exequatur-receipt-keys", self.stack.ports.public);
        let answer = reqwest::get(url).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/jwk-set+json");
        let keys = answer.text().await.unwrap();
        assert!(!keys.contains("\"d\""), "{keys}");
        let file = self.folder.path().join(name);
        std::fs::write(&file, keys).unwrap();
        file
    }

    async fn calls(&self, count: usize) {
        let agent = Agent::new();
        let token = self.stack.tokens.token(&agent, &Value::Null);
        for n in 0..count {
            let answer = self.stack.call(&agent, &token, &Call::new("GET", &self.stack.url(DOCUMENT))).await;
            assert_eq!(answer.unwrap().status, 200, "{n}");
        }
        let open = self.stack.client.get(self.stack.url(OPEN)).send().await.unwrap();
        assert_eq!(open.status(), 200);
    }

    /// A checkpoint after all that was written so far: it comes though nothing else happens.
    async fn until_summed_up(&self) {
        let lines = self.stack.metric("exequatur_record_lines_total").await.unwrap();
        in_time("a checkpoint", async {
            while self.stack.metric("exequatur_record_lines_summed_up_total").await.unwrap() < lines {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        })
        .await;
    }

    async fn audit(&self, words: &[&str]) -> Said {
        let mut command = Command::new(binaries::exequatur().unwrap());
        command.arg("audit").args(words).current_dir(self.stack.folder());
        let done = command.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
    }

    fn keys(&self) -> String {
        self.folder.path().join("keys.json").display().to_string()
    }
}

/// Another key, in this file.
fn new_key(file: &Path) {
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new());
    let base64 = STANDARD.encode(pair.unwrap().as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n");
    std::fs::write(file, pem).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Without what colours it.
fn plain(line: &str) -> String {
    let mut pieces = line.split('\u{1b}');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once('m').map_or(piece, |(_, rest)| rest))
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_a_server_has_written_is_whole_and_one_byte_is_not() {
    let mut site = Site::start().await;
    let folder = site.stack.folder().to_owned();
    site.calls(20).await;
    order(&site.stack, &["revoke", "user", "corp:mallory"]).await.unwrap();
    site.until_summed_up().await;
    let keys = site.keys();
    let live = site.audit(&["verify", "--keys", &keys, "decisions.jsonl"]).await;
    assert_eq!(live.code, Some(6), "{}{}", live.out, live.err);
    assert!(live.out.contains("the run has no end"), "{}", live.out);

    std::fs::rename(folder.join("decisions.jsonl"), folder.join("old.jsonl")).unwrap();
    site.stack.signal_exequatur("HUP").await.unwrap();
    in_time("the new file", async {
        while !folder.join("decisions.jsonl").exists() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    site.calls(10).await;
    let records = site.stack.records_so_far().unwrap();
    let decision = records.iter().find(|one| one["verdict"] == "permit").unwrap()["decision"].clone();
    site.stack.terminate_exequatur().await.unwrap();

    let files = ["old.jsonl", "decisions.jsonl"];
    let verify = |more: &[&str]| {
        let words: Vec<_> = ["verify", "--keys", &keys]
            .iter()
            .chain(&files)
            .chain(more)
            .map(|word| (*word).to_owned())
            .collect();
        let site = &site;
        async move { site.audit(&words.iter().map(String::as_str).collect::<Vec<_>>()).await }
    };
    let whole = verify(&[]).await;
    assert_eq!(whole.code, Some(0), "{}{}", whole.out, whole.err);
    assert!(whole.out.starts_with("whole: "), "{}", whole.out);

    // One record, shown without the others.
    let decision = decision.as_str().unwrap();
    let proof = site.audit(&["prove", "--decision", decision, "decisions.jsonl"]).await;
    assert_eq!(proof.code, Some(0), "{}", proof.err);
    std::fs::write(folder.join("proof.json"), &proof.out).unwrap();
    let proven = site.audit(&["verify-proof", "--keys", &keys, "proof.json"]).await;
    assert_eq!(proven.code, Some(0), "{}", proven.err);
    assert!(proven.out.contains(decision), "{}", proven.out);
    let shown = site.audit(&["show", decision, "--file", "decisions.jsonl"]).await;
    assert_eq!(shown.code, Some(0), "{}", shown.err);

    // The log is the witness of what is cut from the file.
    let log = site.stack.log().unwrap();
    let noted = log.lines().rfind(|line| line.contains("checkpoint of the records")).map(plain).unwrap();
    let noted = noted.split_once("head=").unwrap().1.split_whitespace().next().unwrap();
    let expected = verify(&["--expect", noted]).await;
    assert_eq!(expected.code, Some(0), "{noted}: {}{}", expected.out, expected.err);
    let path = folder.join("decisions.jsonl");
    let written = lines(&path);
    std::fs::write(&path, written[..written.len() - 3].join("\n") + "\n").unwrap();
    let cut = verify(&[]).await;
    assert_eq!(cut.code, Some(6), "{}{}", cut.out, cut.err);
    let cut = verify(&["--expect", noted]).await;
    assert_eq!(cut.code, Some(1), "{}{}", cut.out, cut.err);
    assert!(
        cut.out.starts_with(&format!("violated: cut: the line that was noted as {noted}")),
        "{}",
        cut.out
    );

    // A denial becomes a permit, or anything else.
    let mut forged = written;
    let decision = forged.iter().position(|line| line.contains(r#""agent":"corp:"#)).unwrap();
    forged[decision] = forged[decision].replace("corp:", "corq:");
    std::fs::write(&path, forged.join("\n") + "\n").unwrap();
    let violated = verify(&[]).await;
    assert_eq!(violated.code, Some(1), "{}{}", violated.out, violated.err);
    let place = format!("violated: decisions.jsonl, line {}, byte ", decision + 1);
    assert!(violated.out.starts_with(&place), "{}", violated.out);
    assert!(violated.out.contains("changed"), "{}", violated.out);
}

/// A process that is killed is told as such, and the next one vouches for what it does itself.
#[tokio::test]
async fn a_killed_server_has_no_end_and_the_next_one_goes_on() {
    let mut site = Site::start().await;
    site.calls(5).await;
    site.stack.restart_exequatur().await.unwrap();
    site.calls(5).await;
    site.stack.terminate_exequatur().await.unwrap();
    let keys = site.keys();
    let said = site.audit(&["verify", "--keys", &keys, "decisions.jsonl"]).await;
    assert_eq!(said.code, Some(6), "{}{}", said.out, said.err);
    assert_eq!(said.out.matches("the run has no end").count(), 1, "{}", said.out);
    assert!(said.out.contains("2 runs"), "{}", said.out);
}

/// C-16: the key of checkpoints is replaced while the server runs: not before who verifies can know the old one for what it was, and
/// with both, all that either has signed is whole.
#[tokio::test]
async fn the_key_of_checkpoints_is_replaced_without_a_restart() {
    let mut site = Site::start().await;
    let config = site.stack.folder().join("exequatur.yaml");
    let (old, previous) = (site.keys(), site.folder.path().join("previous.json"));
    site.calls(3).await;
    new_key(&site.folder.path().join("receipts.pem"));
    site.stack.logged("is not in `previous_keys_file`").await;
    site.calls(3).await;

    std::fs::copy(&old, &previous).unwrap();
    let named = format!("previous_keys_file: {}, every: 1s", previous.display());
    let text = std::fs::read_to_string(&config).unwrap();
    assert_eq!(text.matches("every: 1s").count(), 1);
    std::fs::write(&config, text.replace("every: 1s", &named)).unwrap();
    site.stack.logged("checkpoints of the records are signed with another key from now on").await;
    let both = site.fetch("both.json").await.display().to_string();
    site.calls(3).await;
    site.until_summed_up().await;
    site.stack.terminate_exequatur().await.unwrap();

    let whole = site.audit(&["verify", "--keys", &both, "decisions.jsonl"]).await;
    assert_eq!(whole.code, Some(0), "{}{}", whole.out, whole.err);
    assert!(whole.out.starts_with("whole: ") && !whole.out.contains("2 runs"), "{}", whole.out);
    let unknown = site.audit(&["verify", "--keys", &old, "decisions.jsonl"]).await;
    assert_eq!(unknown.code, Some(1), "{}{}", unknown.out, unknown.err);
}
