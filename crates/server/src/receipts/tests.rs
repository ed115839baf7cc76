use std::path::Path;
use std::sync::Arc;

use exequatur_audit::Mode;
use jiff::Timestamp;

use super::*;
use crate::config::RecordCheckpoints;

/// RFC 8410 §10.3: an Ed25519 key.
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
/// Its public half there.
const PUBLIC: &str = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE";

fn opened(put: impl FnOnce(&Path, &mut RecordCheckpoints)) -> Result<Receipts, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut checkpoints = RecordCheckpoints::default();
    put(folder.path(), &mut checkpoints);
    let file = Some(folder.path().join("records.jsonl"));
    let records = Records {
        file,
        mode: Mode::BestEffort,
        checkpoints,
        redaction: RecordRedaction::default(),
        sinks: Vec::new(),
    };
    let clock: Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
    let name = format!("{}/", folder.path().display());
    open(&records, None, &clock).map_err(|error| error.to_string().replace(&name, ""))
}

#[test]
fn a_key_that_cannot_be_used_is_told_with_its_file() {
    let with = |key: Option<&str>, previous: Option<&str>| {
        let outcome = opened(|folder, checkpoints| {
            checkpoints.key_file = Some(folder.join("key.pem"));
            key.into_iter().for_each(|key| std::fs::write(folder.join("key.pem"), key).unwrap());
            checkpoints.key_id = Some("now".to_owned());
            if let Some(previous) = previous {
                std::fs::write(folder.join("old.json"), previous).unwrap();
                checkpoints.previous_keys_file = Some(folder.join("old.json"));
            }
        });
        outcome.map(|_opened| ())
    };
    let set = |kid: &str, x: &str| {
        format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{kid}"}}]}}"#)
    };
    assert_eq!(with(Some(KEY), None), Ok(()));
    assert_eq!(with(Some(KEY), Some(&set("old", PUBLIC))), Ok(()));
    for (outcome, expected) in [
        (with(None, None), "key.pem: cannot be read: entity not found"),
        (with(Some("none"), None), "key.pem: not a PEM block `PRIVATE KEY` (PKCS #8, not encrypted)"),
        (with(Some(KEY), Some("[]")), "old.json: not a JWK set (RFC 7517)"),
        (
            with(Some(KEY), Some(&set("now", &PUBLIC.replace('G', "H")))),
            "old.json: two keys of the set have the id `now`",
        ),
    ] {
        assert_eq!(outcome, Err(expected.to_owned()));
    }
}

#[test]
fn without_a_key_nothing_is_shown() {
    assert!(!opened(|_folder, _checkpoints| {}).unwrap().router.has_routes());
    let signed = opened(|folder, checkpoints| {
        std::fs::write(folder.join("key.pem"), KEY).unwrap();
        checkpoints.key_file = Some(folder.join("key.pem"));
    });
    assert!(signed.unwrap().router.has_routes());
}
