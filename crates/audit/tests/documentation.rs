//! The example of docs/reference/audit.md is what it says: the format is public.

#![expect(clippy::unwrap_used, reason = "a test")]

use exequatur_audit::{Proof, PublicKeys, Verifier};

const PAGE: &str = include_str!("../../../docs/reference/audit.md");

fn blocks<'a>(kind: &str) -> Vec<&'a str> {
    let begin = format!("\n```{kind}\n");
    PAGE.split(&begin).skip(1).map(|rest| rest.split("```\n").next().unwrap()).collect()
}

#[test]
fn the_example_is_whole_and_its_proof_holds() {
    let [keys, proof] = blocks("json")[..] else { panic!("two") };
    let [log] = blocks("jsonl")[..] else { panic!("one") };
    let keys = PublicKeys::from_jwks(keys).unwrap();
    let mut verifier = Verifier::new(Some(&keys), Vec::new());
    verifier.file("example.jsonl", &mut log.as_bytes()).unwrap();
    let report = verifier.finish().unwrap();
    assert_eq!((report.unvouched.len(), report.records, report.signed), (0, 2, 1));
    assert!(PAGE.contains(&format!("head: {}\n", report.head.unwrap())));
    let proven = Proof::parse(proof.as_bytes()).unwrap().verify(&keys).unwrap();
    assert_eq!((proven.seq, &proven.record["reason"]), (3, &"policy_forbid".into()));
}
