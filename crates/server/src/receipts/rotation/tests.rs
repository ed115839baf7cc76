use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::Path;

use exequatur_audit::{Checkpoints, Mode, Record, Sealing, Text, Verdict};
use jiff::Timestamp;

use super::*;
use crate::config::RecordCheckpoints;

/// The files of a configuration.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        for name in ["a", "b", "c"] {
            std::fs::write(files.path(name), rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        }
        files
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// That key under its name, beside the public halves of others.
    fn keys(&self, name: &str, previous: &[&str]) -> ReceiptKeys {
        let of = |name: &str| SigningKey::read(&self.path(name), Some(name)).unwrap();
        let public: Vec<_> = previous
            .iter()
            .map(|name| {
                let set = exequatur_audit::PublicKeys::of(&of(name), None).unwrap().jwks();
                set["keys"][0].clone()
            })
            .collect();
        let file = self.path("previous.json");
        std::fs::write(&file, serde_json::json!({ "keys": public }).to_string()).unwrap();
        let checkpoints = RecordCheckpoints {
            key_file: Some(self.path(name)),
            key_id: Some(name.to_owned()),
            previous_keys_file: (!previous.is_empty()).then_some(file),
            ..RecordCheckpoints::default()
        };
        ReceiptKeys::read(&checkpoints).unwrap().unwrap()
    }
}

fn recorder(path: &Path, keys: &ReceiptKeys) -> Recorder {
    let checkpoints = Checkpoints { key: Some(keys.signing().clone()), ..Checkpoints::default() };
    let sealing = Sealing { checkpoints, clock: Arc::new(|| Timestamp::UNIX_EPOCH) };
    Recorder::open(path, Mode::BestEffort, NonZeroUsize::new(1000).unwrap(), sealing).unwrap()
}

async fn write(recorder: &Recorder) {
    let (id, reason) = (Text::from("d"), Text::from("policy_forbid"));
    recorder.record(&Record::new(Timestamp::UNIX_EPOCH, id, Verdict::Deny, reason, 403)).await.unwrap();
}

fn ids(keys: &[SigningKey]) -> Vec<&str> {
    keys.iter().map(SigningKey::id).collect()
}

/// C-16: what was signed with the key in use has to stay verifiable, under the id that it has there.
#[test]
fn a_key_is_followed_by_a_set_that_has_it() {
    let files = Files::new();
    let used = [files.keys("a", &[]).signing().clone()];
    files.keys("a", &[]).follow(&used).unwrap();
    files.keys("b", &["a"]).follow(&used).unwrap();
    files.keys("b", &["c", "a"]).follow(&used).unwrap();
    for (keys, other) in [(files.keys("b", &[]), "b"), (files.keys("b", &["c"]), "b")] {
        let refused = keys.follow(&used).unwrap_err().to_string();
        assert!(refused.contains(&format!("/{other}: another key")) && refused.contains("`a`"), "{refused}");
    }
    std::fs::copy(files.path("a"), files.path("d")).unwrap();
    assert!(files.keys("d", &[]).follow(&used).is_err(), "the same key under another id");
}

/// It is shown before it signs, and handed over once.
#[tokio::test]
async fn a_key_that_is_shown_signs_once_it_was_taken() {
    let (files, records) = (Files::new(), tempfile::NamedTempFile::new().unwrap());
    let (first, second) = (files.keys("a", &[]), files.keys("b", &["a"]));
    let recorder = recorder(records.path(), &first);
    let mut rotation = Rotation::new(&first);
    let shown = |rotation: &Rotation| String::from_utf8(rotation.shown.0.load().to_vec()).unwrap();
    assert!(!shown(&rotation).contains(r#""kid":"b""#));
    write(&recorder).await;

    rotation.go_over(&second);
    assert!(shown(&rotation).contains(r#""kid":"a""#) && shown(&rotation).contains(r#""kid":"b""#));
    assert!(!shown(&rotation).contains(r#""d""#));
    assert_eq!(ids(&rotation.in_use()), ["a"]);
    // What else changes meanwhile changes nothing about that.
    rotation.go_over(&second);
    rotation.advance(&recorder).await;
    assert_eq!(ids(&rotation.in_use()), ["b"]);
    rotation.advance(&recorder).await;
    write(&recorder).await;
    recorder.close().await.unwrap();
    let text = std::fs::read_to_string(records.path()).unwrap();
    assert_eq!(text.matches(r#""kid":"#).count(), 2, "{text}");
    // The old one may go once nothing that it has signed is left.
    let alone = files.keys("b", &[]);
    alone.follow(&rotation.in_use()).unwrap();
    rotation.go_over(&alone);
    assert!(!shown(&rotation).contains(r#""kid":"a""#));

    // Whom nobody can hand anything goes on with the one before, and who verifies has to know that one.
    rotation.go_over(&files.keys("c", &["b"]));
    rotation.advance(&recorder).await;
    assert_eq!(ids(&rotation.in_use()), ["b"]);
}

/// A disk that hangs: one order waits, however often it is looked at, and until it is answered both keys may sign.
#[tokio::test]
async fn a_writer_that_hangs_is_asked_once() {
    let files = Files::new();
    let (first, second) = (files.keys("a", &[]), files.keys("b", &["a"]));
    let pipe = files.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Whoever opens a pipe for both waits for nobody.
    let mut reader = File::options().read(true).write(true).open(&pipe).unwrap();
    let recorder = recorder(&pipe, &first);
    let mut rotation = Rotation::new(&first);
    // More than the pipe takes.
    for _ in 0..900 {
        write(&recorder).await;
    }
    rotation.go_over(&second);
    rotation.advance(&recorder).await;
    let waiting = recorder.queue().0;
    rotation.advance(&recorder).await;
    rotation.advance(&recorder).await;
    assert_eq!(recorder.queue().0, waiting);
    assert_eq!(ids(&rotation.in_use()), ["a", "b"]);
    assert!(files.keys("a", &[]).follow(&rotation.in_use()).is_err(), "the other may sign any moment");
    assert!(files.keys("b", &[]).follow(&rotation.in_use()).is_err());
    // Back to the one before: it is handed over after the other.
    rotation.go_over(&files.keys("a", &["b"]));
    rotation.advance(&recorder).await;
    assert_eq!(recorder.queue().0, waiting);

    let drained = std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while reader
            .read(&mut buffer)
            .is_ok_and(|count| !buffer[..count].windows(5).any(|part| part == b"\"run\""))
        {}
    });
    for _ in 0..1000 {
        rotation.advance(&recorder).await;
        if ids(&rotation.in_use()) == ["a"] && rotation.under_way.is_none() {
            break;
        }
    }
    assert_eq!(ids(&rotation.in_use()), ["a"]);
    recorder.close().await.unwrap();
    drained.join().unwrap();
}
