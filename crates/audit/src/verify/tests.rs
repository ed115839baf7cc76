mod tampering;

use super::*;
use crate::key::tests::{ed25519, p256, public};
use crate::ledger::{Begin, Ledger};
use crate::testing::{Log, verified};

/// The line and what is wrong with it.
fn wrong(keys: Option<&PublicKeys>, files: &[&[u8]]) -> (Option<(String, u64)>, Wrong) {
    let Violation { place, wrong } = verified(keys, files).unwrap_err();
    (place.map(|place| (place.file, place.line)), wrong)
}

fn at_line(file: &str, line: u64) -> Option<(String, u64)> {
    Some((file.to_owned(), line))
}

/// Why which lines are not vouched for.
fn unvouched(report: &Report) -> Vec<(Why, u64, u64)> {
    let line = |place: &Option<Place>| place.as_ref().map_or(0, |place| place.line);
    report.unvouched.iter().map(|one| (one.why, line(&one.from), line(&one.through))).collect()
}

#[test]
fn a_log_that_was_closed_is_whole() {
    for key in [ed25519("k"), p256("k")] {
        let keys = public(&key);
        let mut log = Log::of(Some(key), 25);
        log.close(Closes::Run);
        let report = verified(Some(&keys), &[&log.bytes]).unwrap();
        assert_eq!((unvouched(&report), report.remarks.len()), (vec![], 0));
        // A header, 25 records, checkpoints after lines 10 and 21, and the last one.
        let counts = (report.lines, report.records, report.checkpoints, report.signed, report.runs);
        assert_eq!(counts, (29, 25, 3, 3, 1));
        assert_eq!(report.head.map(|head| head.seq), Some(29));
    }
}

/// E-10: what a thief of the file, not of the key, can do: make another chain. It is not signed.
#[test]
fn a_chain_without_signatures_vouches_for_nothing() {
    let (key, mut log) = (ed25519("k"), Log::of(None, 25));
    log.close(Closes::Run);
    let report = verified(Some(&public(&key)), &[&log.bytes]).unwrap();
    assert_eq!(unvouched(&report), [(Why::Unsigned, 1, 29)]);
    assert_eq!(unvouched(&verified(None, &[&log.bytes]).unwrap()), []);
    let nothing = verified(Some(&public(&key)), &[b""]).unwrap();
    assert_eq!(unvouched(&nothing), [(Why::Nothing, 1, 1)]);
    assert_eq!(unvouched(&verified(Some(&public(&key)), &[]).unwrap()), [(Why::Nothing, 0, 0)]);
}

#[test]
fn lines_after_the_last_signed_checkpoint_are_told_from_the_first_on() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::of(Some(key), 15);
    assert_eq!(unvouched(&verified(Some(&keys), &[&log.bytes]).unwrap()), [(Why::Unended, 12, 17)]);
    log.checkpoints.key = None;
    log.close(Closes::Run);
    assert_eq!(unvouched(&verified(Some(&keys), &[&log.bytes]).unwrap()), [(Why::Unsigned, 12, 18)]);
}

/// Nothing is missing that could be known, and more may be: lines up to a checkpoint are what is left by whoever cuts there.
#[test]
fn a_log_that_is_cut_after_a_checkpoint_has_no_end() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::of(Some(key), 25);
    log.close(Closes::Run);
    let cut = log.lines()[..11].concat();
    assert_eq!(unvouched(&verified(Some(&keys), &[&cut]).unwrap()), [(Why::Unended, 11, 11)]);
}

#[test]
fn the_key_has_to_be_a_given_one() {
    let mut log = Log::of(Some(ed25519("k")), 3);
    log.close(Closes::Run);
    let unknown = (at_line("a", 5), Wrong::UnknownKey("k".to_owned()));
    assert_eq!(wrong(Some(&public(&ed25519("other"))), &[&log.bytes]), unknown);
    for other in [ed25519("k"), p256("k")] {
        assert_eq!(wrong(Some(&public(&other)), &[&log.bytes]), (at_line("a", 5), Wrong::Signature));
    }
}

#[test]
fn a_new_key_stands_beside_the_old_one() {
    let (old, new) = (ed25519("old"), p256("new"));
    let mut log = Log::of(Some(old.clone()), 3);
    log.close(Closes::Run);
    log.restart(Some(new.clone()));
    log.records(3);
    log.close(Closes::Run);
    let both = PublicKeys::of(&new, Some(public(&old))).unwrap();
    let report = verified(Some(&both), &[&log.bytes]).unwrap();
    assert_eq!((unvouched(&report), report.runs, report.signed), (vec![], 2, 2));
    let unknown = Wrong::UnknownKey("old".to_owned());
    assert_eq!(wrong(Some(&public(&new)), &[&log.bytes]), (at_line("a", 5), unknown));
}

#[test]
fn rotation_and_retention_keep_the_chain() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::of(Some(key.clone()), 15);
    let first = log.rotate();
    log.records(15);
    let second = log.rotate();
    log.records(2);
    log.close(Closes::Run);
    log.restart(Some(key));
    log.records(1);
    log.close(Closes::Run);
    let third = log.bytes;
    let whole = |files: &[&[u8]]| verified(Some(&keys), files).unwrap();
    let report = whole(&[&first, &second, &third]);
    assert_eq!((unvouched(&report), report.remarks, report.runs), (vec![], vec![], 2));
    // The oldest ones were deleted: the header says what it goes on from.
    for (files, begins) in [(vec![&second[..], &third], 19), (vec![&third], 37)] {
        let report = whole(&files);
        assert_eq!(unvouched(&report), []);
        assert!(matches!(&report.remarks[..], [Remark::Begins { after, .. }] if after.seq == begins - 1));
    }
    // The newest one is somewhere else, or emptied.
    for (files, and) in
        [(vec![&first[..], &second], None), (vec![&first, &second, b""], Some((Why::Nothing, 1, 1)))]
    {
        let report = whole(&files);
        let missing: Vec<_> = and.into_iter().chain([(Why::FileMissing, 18, 18)]).collect();
        assert_eq!(unvouched(&report), missing);
    }
    // One between is missing, or the order is another one, or one is there twice.
    for files in [[&first[..], &third], [&second, &first], [&first, &first]] {
        let (place, wrong) = wrong(Some(&keys), &files);
        assert!(matches!(wrong, Wrong::Follows { .. } | Wrong::Order { .. }), "{wrong:?}");
        assert_eq!(place, at_line("b", 1));
    }
}

/// A process that is killed after a rotation, and one that begins with an empty file: what was between is not known.
#[test]
fn a_run_that_goes_on_elsewhere_is_missing_where_another_one_comes_next() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::of(Some(key.clone()), 5);
    let first = log.rotate();
    log.bytes.clear();
    log.restart(Some(key));
    log.close(Closes::Run);
    let report = verified(Some(&keys), &[&first, &log.bytes]).unwrap();
    assert_eq!(unvouched(&report), [(Why::FileMissing, 7, 7), (Why::Anew, 1, 1)]);
}

#[test]
fn a_file_that_has_a_chain_is_gone_on_with_as_by_another_run() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut earlier = Log::of(Some(key.clone()), 3);
    earlier.close(Closes::Run);
    let mut log = Log::of(Some(key), 3);
    log.close(Closes::Run);
    let first = std::mem::replace(&mut log.bytes, earlier.bytes);
    log.begin(Begin::File);
    log.records(2);
    log.close(Closes::Run);
    let report = verified(Some(&keys), &[&first, &log.bytes]).unwrap();
    assert_eq!((unvouched(&report), report.runs), (vec![(Why::Anew, 1, 1)], 3));
}

/// E-10: a crash is told as one, neither as tampering nor not at all.
#[test]
fn a_killed_writer_is_told_from_a_forger() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::of(Some(key.clone()), 15);
    let whole_lines = log.bytes.len();
    log.records(1);
    for cut in [1, 20, 60] {
        let mut log = log.clone();
        log.bytes.truncate(whole_lines + cut);
        assert_eq!(
            unvouched(&verified(Some(&keys), &[&log.bytes]).unwrap()),
            [(Why::Torn, 18, 18), (Why::Unended, 12, 17)]
        );
        log.restart(Some(key.clone()));
        log.close(Closes::Run);
        let report = verified(Some(&keys), &[&log.bytes]).unwrap();
        assert_eq!(unvouched(&report), [(Why::Torn, 18, 19), (Why::Unended, 12, 17)], "{cut}");

        // What was torn stands as it was found.
        let mut changed = log.bytes.clone();
        changed[whole_lines] ^= 1;
        assert_eq!(wrong(Some(&keys), &[&changed]), (at_line("a", 18), Wrong::NotALine));
        let mut lines = log.lines();
        lines.remove(17);
        assert_eq!(wrong(Some(&keys), &[&lines.concat()]), (at_line("a", 18), Wrong::TornGone));
    }
    // Cut within the line break: the line is whole.
    log.bytes.truncate(log.bytes.len() - 1);
    log.restart(Some(key));
    log.close(Closes::Run);
    let report = verified(Some(&keys), &[&log.bytes]).unwrap();
    assert_eq!((unvouched(&report), report.remarks), (vec![(Why::Unended, 12, 18)], vec![]));
}

/// An append that could not be undone leaves lines and pieces; its writer goes on after them.
#[test]
fn a_writer_goes_on_after_what_he_has_torn() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::of(Some(key), 3);
    let before = log.ledger.clone();
    log.records(2);
    log.bytes.truncate(log.bytes.len() - 30);
    log.ledger = before;
    log.begin(Begin::Torn);
    log.records(2);
    log.close(Closes::Run);
    let report = verified(Some(&keys), &[&log.bytes]).unwrap();
    assert_eq!((unvouched(&report), report.runs), (vec![(Why::Torn, 6, 7)], 1));
}

/// E-10: whoever can write the file while nobody else does can have the next writer call anything a torn line. Half a line is
/// vouched for by nobody, and a whole object is no half line.
#[test]
fn what_was_put_in_between_two_runs_is_no_torn_line() {
    let key = ed25519("k");
    let keys = public(&key);
    let object = r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","decision":"x","verdict":"permit"}"#;
    for (put, line) in [
        (format!("{object}\n"), 6),
        (object.to_owned(), 6),
        (format!("half\n {object}\nhalf"), 7),
        ("{}\n".to_owned(), 6),
    ] {
        let mut log = Log::of(Some(key.clone()), 3);
        log.close(Closes::Run);
        log.bytes.extend(put.as_bytes());
        log.restart(Some(key.clone()));
        log.close(Closes::Run);
        assert_eq!(wrong(Some(&keys), &[&log.bytes]), (at_line("a", line), Wrong::NotALine), "{put}");
    }
    let mut log = Log::of(Some(key.clone()), 3);
    log.close(Closes::Run);
    log.bytes.extend(b"half\n");
    log.restart(Some(key));
    log.close(Closes::Run);
    assert_eq!(unvouched(&verified(Some(&keys), &[&log.bytes]).unwrap()), [(Why::Torn, 6, 7)]);
}

/// E-10: a header that goes on from a line of its own file has that line before it.
#[test]
fn runs_that_were_cut_off_at_the_front_are_missed() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::of(Some(key.clone()), 3);
    log.close(Closes::Run);
    log.restart(Some(key));
    log.records(2);
    log.close(Closes::Run);
    let cut = log.lines()[5..].concat();
    assert_eq!(wrong(Some(&keys), &[&cut]), (at_line("a", 1), Wrong::Headless));
}

/// E-10: a run of another replica, or an old one of this, signed by the same key.
#[test]
fn a_run_that_was_put_in_is_found() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut other = Log::of(Some(key.clone()), 2);
    other.close(Closes::Run);
    for next in [false, true] {
        let mut log = Log::of(Some(key.clone()), 3);
        log.close(Closes::Run);
        log.bytes.extend(&other.bytes);
        if next {
            log.restart(Some(key.clone()));
            log.close(Closes::Run);
        }
        let order = Wrong::Order { expected: 6, found: 1 };
        assert_eq!(wrong(Some(&keys), &[&log.bytes]), (at_line("a", 6), order), "{next}");
    }
}

/// What was written into a pipe is what its readers took: a piece here, and runs that cannot know of each other.
#[test]
fn runs_in_a_pipe_vouch_for_themselves() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::new(Some(key));
    log.piped = true;
    log.begin(Begin::Run);
    log.records(3);
    // Its reader went, and took half a line, or whole ones of which the writer does not know.
    let before = log.ledger.clone();
    log.records(2);
    log.bytes.extend(b"{\"v\":1,\"ti");
    log.ledger = before;
    log.begin(Begin::Torn);
    log.records(1);
    log.close(Closes::Run);
    let report = verified(Some(&keys), &[&log.bytes]).unwrap();
    let expected = [(Why::Torn, 7, 8), (Why::Unended, 1, 6), (Why::Anew, 8, 8)];
    assert_eq!((unvouched(&report), report.runs), (expected.to_vec(), 2));
    // The next reader begins with the line break that ends what the last one had.
    let next = [b"\n", log.lines()[7..].concat().as_slice()].concat();
    assert_eq!(unvouched(&verified(Some(&keys), &[&next]).unwrap()), [(Why::Torn, 1, 2)]);
}

/// A first append whose bytes stayed, though it failed: its writer begins anew under another name.
#[test]
fn a_begin_that_could_not_be_undone_is_another_run() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::new(Some(key));
    let before = log.ledger.clone();
    log.begin(Begin::Run);
    log.ledger = before;
    log.begin(Begin::Run);
    log.close(Closes::Run);
    let report = verified(Some(&keys), &[&log.bytes]).unwrap();
    assert_eq!((unvouched(&report), report.runs), (vec![(Why::Unended, 1, 1)], 2));
}

#[test]
fn a_writer_has_a_name_of_32_hex_digits() {
    let header = r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","open":{"chain":1,"writer":"NAME"}}"#;
    for name in ["x", "0123456789abcdef0123456789abcdeF", &"0".repeat(33)] {
        let mut log = Log::new(None);
        log.put(|page| page.record(header.replace("NAME", name).as_bytes()).unwrap());
        assert_eq!(wrong(None, &[&log.bytes]), (at_line("a", 1), Wrong::Header), "{name}");
    }
}

#[test]
fn what_is_not_vouched_for_is_told_of_so_often_and_counted() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::of(Some(key.clone()), 1);
    for _ in 0..MAX_REMARKS + 4 {
        log.restart(Some(key.clone()));
    }
    log.close(Closes::Run);
    let report = verified(Some(&keys), &[&log.bytes]).unwrap();
    assert_eq!((report.unvouched.len(), report.more_unvouched), (MAX_REMARKS, 4));
}

#[test]
fn two_writers_of_one_file_are_found() {
    let key = ed25519("k");
    let keys = public(&key);
    let first = Log::of(Some(key.clone()), 3);
    let mut second = first.clone();
    second.restart(Some(key));
    // The first one writes on after the second one has begun.
    let mut both = second.bytes.clone();
    let mut more = first.clone();
    more.records(1);
    both.extend(&more.bytes[first.bytes.len()..]);
    assert_eq!(wrong(Some(&keys), &[&both]), (at_line("a", 6), Wrong::TwoWriters));
    // Or after the second one has looked where it ends.
    let mut both = more.bytes.clone();
    both.extend(&second.bytes[first.bytes.len()..]);
    assert_eq!(wrong(Some(&keys), &[&both]), (at_line("a", 6), Wrong::TwoWriters));
}

#[test]
fn what_was_there_before_the_chain_is_not_vouched_for() {
    let key = ed25519("k");
    let keys = public(&key);
    for old in ["{\"v\":1,\"time\":\"2026\"}\n{\"v\":1}\n", "{\"v\":1}\n{\"v\"", "\n{}\n"] {
        let mut log = Log::new(Some(key.clone()));
        log.bytes = old.as_bytes().to_vec();
        log.begin(Begin::Run);
        log.close(Closes::Run);
        assert_eq!(
            unvouched(&verified(Some(&keys), &[&log.bytes]).unwrap()),
            [(Why::Unchained, 1, 3)],
            "{old:?}"
        );
        let longer = [b"{}\n", log.bytes.as_slice()].concat();
        assert_eq!(wrong(Some(&keys), &[&longer]), (at_line("a", 1), Wrong::NotALine));
        assert_eq!(wrong(Some(&keys), &[&log.lines()[2..].concat()]), (at_line("a", 1), Wrong::TornGone));
    }
}

#[test]
fn a_head_that_was_noted_elsewhere_has_to_be_there() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::of(Some(key), 25);
    let noted = log.ledger.checkpoint().unwrap().link;
    log.close(Closes::Run);
    let with = |bytes: &[u8], expected: Link| {
        let mut verifier = Verifier::new(Some(&keys), vec![expected]);
        verifier.file("a", &mut &bytes[..]).unwrap();
        verifier.finish()
    };
    assert!(with(&log.bytes, noted).is_ok());
    let elsewhere = Link { seq: noted.seq + 1, ..noted };
    let lines = log.lines();
    for (bytes, expected) in [(lines.concat(), elsewhere), (lines[..11].concat(), noted)] {
        let violation = with(&bytes, expected).unwrap_err();
        assert_eq!(*violation, Violation { place: None, wrong: Wrong::NotThere(expected) });
    }
}

#[test]
fn a_clock_that_is_set_back_is_remarked_once() {
    let key = ed25519("k");
    let keys = public(&key);
    let mut log = Log::of(Some(key), 2);
    // Records of decisions that took longer than others.
    for second in [100, 90, 85, 100, 84, 84, 85] {
        log.second = second;
        log.records(1);
    }
    log.close(Closes::Run);
    let report = verified(Some(&keys), &[&log.bytes]).unwrap();
    assert_eq!(unvouched(&report), []);
    let [Remark::ClockBack { place, seconds: 16 }] = &report.remarks[..] else { panic!("{report:?}") };
    assert_eq!(place.line, 8);
}

/// What only whoever has the key can do, and no writer does.
#[test]
fn lines_that_no_writer_writes_are_refused() {
    let key = ed25519("k");
    let keys = public(&key);
    let log = Log::of(Some(key), 3);
    let with = |put: &dyn Fn(&mut Log)| {
        let mut log = log.clone();
        put(&mut log);
        wrong(Some(&keys), &[&log.bytes])
    };
    let after_end = with(&|log| {
        log.close(Closes::Run);
        log.records(1);
    });
    assert_eq!(after_end, (at_line("a", 6), Wrong::AfterEnd));
    let after_end = with(&|log| {
        log.close(Closes::Run);
        log.begin(Begin::Torn);
    });
    assert_eq!(after_end, (at_line("a", 6), Wrong::AfterEnd));
    // A checkpoint of another chain.
    let mut forged = log.clone();
    forged.ledger = Ledger::new().unwrap();
    let checkpoint = with(&|log| {
        let mut other = Log::of(log.checkpoints.key.clone(), 3);
        other.close(Closes::Run);
        let line = String::from_utf8(other.lines().pop().unwrap()).unwrap();
        let (json, _) = line.split_once(",\"seq\"").unwrap();
        log.put(|page| page.record(format!("{json}}}").as_bytes()).unwrap());
    });
    assert_eq!(checkpoint, (at_line("a", 5), Wrong::Checkpoint));
    let version = with(&|log| {
        let header = r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","open":{"chain":2,"writer":"x"}}"#;
        log.put(|page| page.record(header.as_bytes()).unwrap());
    });
    assert_eq!(version, (at_line("a", 5), Wrong::Version(2)));
    let long = with(&|log| {
        let long = format!(r#"{{"v":1,"time":"2026-11-22T10:11:12.345Z","x":"{}"}}"#, "y".repeat(70_000));
        log.put(|page| page.record(long.as_bytes()).unwrap());
    });
    assert_eq!(long, (at_line("a", 5), Wrong::TooLong));
    let no_record = with(&|log| log.put(|page| page.record(br#"{"v":2}"#).unwrap()));
    assert_eq!(no_record, (at_line("a", 5), Wrong::Changed));
}
