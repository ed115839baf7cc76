//! A digest of what of the file decides, which every version of the program makes alike: two of them stand side by side during an upgrade.

use sha2::{Digest as _, Sha256};

use super::reader::{Entry, Node, Value};

/// The sections that a decision depends on. In others replicas may differ.
const DECIDING: [&str; 8] = [
    "federations",
    "issuers",
    "limits",
    "protected_resources",
    "routes",
    "sender_constraint",
    "tenants",
    "unauthenticated",
];

/// Of what these sections say, as the file spells it: `5m` is another text than `300s`, and a default that is written down another than
/// one that is not. The order of keys, comments and where files lie make no difference.
pub(super) fn digest(root: &Node) -> [u8; 32] {
    let mut digest = Sha256::new();
    if let Value::Map(sections) = &root.value {
        let deciding = sections.iter().filter(|section| DECIDING.contains(&section.key.as_str()));
        map(deciding.collect(), &mut digest);
    }
    digest.finalize().into()
}

fn map(mut entries: Vec<&Entry>, digest: &mut Sha256) {
    entries.sort_by_key(|entry| &entry.key);
    begin(b'm', entries.len(), digest);
    for Entry { key, key_place: _, value } in entries {
        text(key, digest);
        if is_a_place(key) {
            // That there is a file counts, and not where.
            digest.update(b"f");
        } else {
            node(value, digest);
        }
    }
}

/// Whether the key names a file.
fn is_a_place(key: &str) -> bool {
    key == "file" || key.ends_with("_file")
}

/// Each kind of value begins with a letter of its own and its length, so that no two values are written alike.
fn node(node: &Node, digest: &mut Sha256) {
    match &node.value {
        Value::Null => digest.update(b"n"),
        Value::Bool(yes) => digest.update(if *yes { b"y" } else { b"o" }),
        Value::Integer(number) => {
            digest.update(b"i");
            digest.update(number.to_be_bytes());
        }
        // Neither is in a file that is accepted.
        Value::Float | Value::Unusable => digest.update(b"u"),
        Value::Text(said) => text(said, digest),
        Value::List(items) => {
            begin(b'l', items.len(), digest);
            items.iter().for_each(|item| self::node(item, digest));
        }
        Value::Map(entries) => map(entries.iter().collect(), digest),
    }
}

fn text(said: &str, digest: &mut Sha256) {
    begin(b't', said.len(), digest);
    digest.update(said);
}

fn begin(kind: u8, length: usize, digest: &mut Sha256) {
    digest.update([kind]);
    digest.update(u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::document::parse;
    use super::super::reader::Notes;
    use super::*;

    fn of(text: &str) -> [u8; 32] {
        let notes = Notes::default();
        let root = parse(text, &notes).unwrap();
        assert!(notes.into_problems().is_empty(), "{text}");
        digest(&root)
    }

    const FILE: &str = "
issuers: [{ name: a, jwks: { file: one.json }, max_lifetime: 15m, algorithms: [ES256, EdDSA] }]
routes: [{ name: r, hide: true, match: { path: /a } }]
sender_constraint: { dpop: { nonce_secret_file: /a/one } }
limits: [{ burst: 12 }]
tenants: { acme: {} }
listen: { grpc: 127.0.0.1:1 }
";

    /// Another digest here means that two versions of the program call the same files different rules: replicas of both would seem to
    /// decide by different rules during an upgrade. Then the changelog has to say so.
    #[test]
    fn every_version_makes_it_alike() {
        let digits: String = of(FILE).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits, "0a0225a4de6a5702211d4c6cd9011fec03b4aa0846107bc2352db29ded1a4be8");
    }

    #[test]
    fn what_decides_nothing_makes_no_difference() {
        for (before, after) in [
            ("127.0.0.1:1", "0.0.0.0:2"),
            ("/a/one", "/mnt/b"),
            ("one.json", "/etc/keys.json"),
            (
                "limits: [{ burst: 12 }]\ntenants: { acme: {} }",
                "tenants: { acme: {} } # of us\nlimits: [{ \"burst\": 12 }]",
            ),
            ("name: a, jwks: { file: one.json }", "jwks: { file: one.json }, name: \"a\""),
        ] {
            assert!(FILE.contains(before), "{before}");
            assert_eq!(of(&FILE.replace(before, after)), of(FILE), "{after}");
        }
    }

    #[test]
    fn whatever_decides_makes_a_difference() {
        let mut seen = vec![of(FILE)];
        for (before, after) in [
            ("15m", "16m"),
            ("true", "false"),
            ("12", "13"),
            ("12", "\"12\""),
            ("[ES256, EdDSA]", "[EdDSA, ES256]"),
            ("[ES256, EdDSA]", "[\"ES256, EdDSA\"]"),
            ("acme", "corp"),
            ("{ acme: {} }", "{ acme: }"),
            ("{ acme: {} }", "{ acme: [] }"),
            ("path: /a", "host: /a"),
            ("nonce_secret_file: /a/one", ""),
            ("{ file: one.json }", "one.json"),
            ("tenants:", "federations:"),
        ] {
            assert!(FILE.contains(before), "{before}");
            let changed = of(&FILE.replacen(before, after, 1));
            assert!(!seen.contains(&changed), "{before} {after}");
            seen.push(changed);
        }
    }
}
