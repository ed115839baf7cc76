use super::*;
use crate::entry::Closes;
use crate::key::tests::{ed25519, p256, public};
use crate::testing::Log;

fn id(text: &str) -> DecisionId {
    DecisionId::parse(text).unwrap()
}

fn proof_of(log: &[u8], decision: &str) -> Result<Proof, Unproven> {
    prove("log", &mut &log[..], &id(decision))
}

#[test]
fn each_record_is_proven_without_the_others() {
    for key in [ed25519("k"), p256("k")] {
        let keys = public(&key);
        let mut log = Log::of(Some(key), 25);
        log.close(Closes::Run);
        for n in 0..25 {
            let name = format!("d-{n}");
            let proof = proof_of(&log.bytes, &name).unwrap();
            let json = serde_json::to_vec(&proof).unwrap();
            let proven = Proof::parse(&json).unwrap().verify(&keys).unwrap();
            assert_eq!(
                (&proven.record["decision"], &proven.record["seq"]),
                (&name.into(), &proven.seq.into())
            );
            assert_eq!(proven.key, "k");
            let text = String::from_utf8(json).unwrap();
            assert_eq!(text.matches("corp:crm-bot").count(), 1, "no other record is in it: {text}");
        }
    }
}

#[test]
fn without_a_signed_checkpoint_after_it_there_is_no_proof() {
    let mut log = Log::of(Some(ed25519("k")), 15);
    assert!(proof_of(&log.bytes, "d-3").is_ok());
    assert!(matches!(proof_of(&log.bytes, "d-12"), Err(Unproven::NotSummedUp)));
    assert!(matches!(proof_of(&log.bytes, "d-99"), Err(Unproven::NotThere)));
    log.restart(None);
    log.close(Closes::Run);
    assert!(matches!(proof_of(&log.bytes, "d-12"), Err(Unproven::NotSummedUp)), "another run's");
    let mut unsigned = Log::of(None, 3);
    unsigned.close(Closes::Run);
    assert!(matches!(proof_of(&unsigned.bytes, "d-1"), Err(Unproven::Unsigned)));
    let forged = String::from_utf8(log.bytes).unwrap().replacen("crm-bot", "crm-bat", 1);
    assert!(matches!(proof_of(forged.as_bytes(), "d-3"), Err(Unproven::Unverified(_))));
}

/// E-10: whatever is changed in a proof, it shows nothing any more.
#[test]
fn a_proof_that_was_changed_shows_nothing() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::of(Some(key), 25);
    log.close(Closes::Run);
    let (proof, other) = (proof_of(&log.bytes, "d-12").unwrap(), proof_of(&log.bytes, "d-20").unwrap());
    let with = |change: &dyn Fn(&mut Proof)| {
        let mut proof = proof.clone();
        change(&mut proof);
        proof.verify(&keys).unwrap_err()
    };
    assert_eq!(with(&|proof| proof.line = proof.line.replace("crm-bot", "crm-bat")), Refuted::Line);
    assert_eq!(with(&|proof| proof.line = other.line.clone()), Refuted::Line);
    assert_eq!(with(&|proof| proof.before = other.before), Refuted::Line);
    assert_eq!(
        with(&|proof| (proof.line, proof.before) = (other.line.clone(), other.before)),
        Refuted::NotIncluded
    );
    assert_eq!(with(&|proof| proof.index += 1), Refuted::NotIncluded);
    assert_eq!(with(&|proof| proof.size += 1), Refuted::NotIncluded);
    assert_eq!(with(&|proof| proof.path.truncate(1)), Refuted::NotIncluded);
    assert_eq!(with(&|proof| proof.path[0] = proof.path[1]), Refuted::NotIncluded);
    assert_eq!(with(&|proof| proof.checkpoint = proof.line.clone()), Refuted::Checkpoint);
    let first = proof_of(&log.bytes, "d-1").unwrap();
    assert_eq!(with(&|proof| proof.checkpoint = first.checkpoint.clone()), Refuted::NotIncluded);
    let signed = with(&|proof| proof.checkpoint = proof.checkpoint.replace("\"from\":", "\"from\": "));
    assert_eq!(signed, Refuted::Signature(Wrong::Signature));
    // Its own number and hash are not signed, but follow from what is.
    let number = with(&|proof| proof.checkpoint = proof.checkpoint.replace(",\"seq\":22,", ",\"seq\":23,"));
    assert_eq!(number, Refuted::Checkpoint);
    let unknown = proof.verify(&public(&ed25519("other"))).unwrap_err();
    assert_eq!(unknown, Refuted::Signature(Wrong::UnknownKey("k".to_owned())));
    let mut unsigned = Log::of(None, 3);
    unsigned.close(Closes::Run);
    let line = String::from_utf8(unsigned.lines().pop().unwrap()).unwrap();
    assert_eq!(with(&|proof| proof.checkpoint = line.trim().to_owned()), Refuted::Unsigned);
}

/// Headers are summed up too, and are no records.
#[test]
fn a_header_is_no_record() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::of(Some(key), 3);
    log.close(Closes::Run);
    let lines: Vec<_> = log.lines().into_iter().map(|line| String::from_utf8(line).unwrap()).collect();
    let links = lines.iter().map(|line| Sealed::of(line.trim_end().as_bytes()).unwrap().stated().unwrap());
    let entries: Vec<_> = links.take(4).map(|link| link.hash).collect();
    let of = |index: usize, before| Proof {
        line: lines[index].trim_end().to_owned(),
        before,
        index: u64::try_from(index).unwrap(),
        path: path(&entries, index).unwrap(),
        ..proof_of(&log.bytes, "d-1").unwrap()
    };
    assert!(of(1, entries[0]).verify(&keys).is_ok());
    assert_eq!(of(0, Hash::NONE).verify(&keys).unwrap_err(), Refuted::Line);
}

#[test]
fn what_is_no_proof_is_refused() {
    let mut log = Log::of(Some(ed25519("k")), 3);
    log.close(Closes::Run);
    let good = serde_json::to_value(proof_of(&log.bytes, "d-1").unwrap()).unwrap();
    let with = |name: &str, value: Value| {
        let mut json = good.clone();
        json[name] = value;
        Proof::parse(json.to_string().as_bytes()).err()
    };
    assert_eq!(with("proof", 1.into()), None);
    assert_eq!(with("proof", 2.into()), Some(Refuted::Format));
    assert_eq!(with("more", 1.into()), Some(Refuted::Format));
    assert_eq!(with("before", "AA".into()), Some(Refuted::Format));
    assert_eq!(with("path", vec![good["before"].clone(); 33].into()), Some(Refuted::Format));
    assert_eq!(Proof::parse(b"").err(), Some(Refuted::Format));
}
