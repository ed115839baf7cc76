use std::sync::Arc;

use exequatur_audit::Mode;
use jiff::Timestamp;

use super::*;

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

/// A key of the test's own, as the files would say it beside the public halves of `before`.
fn keys(kid: &str, pem: &str, before: Option<&ReceiptKeys>) -> ReceiptKeys {
    let signing = SigningKey::from_pem(pem, Some(kid)).unwrap();
    let public = PublicKeys::of(&signing, before.map(|before| before.public.clone())).unwrap();
    ReceiptKeys { file: "key.pem".into(), signing, public }
}

/// C-16: what was signed with the key in use has to stay verifiable, and only another key is handed on.
#[test]
fn a_key_is_replaced_by_one_whose_set_has_it() {
    let pem = || rcgen::KeyPair::generate().unwrap().serialize_pem();
    let (first, second) = (pem(), pem());
    let old = keys("old", &first, None);
    let used = KeysInUse::new(old.clone());
    assert_eq!(used.replace(old.clone()), None, "the same");

    let alone = keys("new", &second, None);
    let refused = used.admits(&alone).unwrap_err().to_string();
    assert!(refused.starts_with("key.pem: another key") && refused.contains("`old`"), "{refused}");
    // The same key under another id is another for who verifies.
    assert!(used.admits(&keys("other", &first, None)).is_err());

    let both = keys("new", &second, Some(&old));
    used.admits(&both).unwrap();
    assert_eq!(used.replace(both).unwrap().id(), "new");
    let said = String::from_utf8(used.0.load().body.to_vec()).unwrap();
    assert!(said.contains(r#""kid":"new""#) && said.contains(r#""kid":"old""#), "{said}");
    assert!(!said.contains(r#""d""#), "{said}");
    // The old one may go once nothing that it signed is left.
    used.admits(&alone).unwrap();
    assert_eq!(used.replace(alone), None, "the key that signs is the same");
    assert!(!used.0.load().body.windows(5).any(|part| part == b"\"old\""));
}
