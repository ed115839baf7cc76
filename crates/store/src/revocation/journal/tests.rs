use super::*;
use crate::revocation::entry::{Form, InForce, Lift, Note, Revocation, RevocationKind, Target};

fn record(n: u64) -> Record {
    let at = jiff::Timestamp::from_second(1_000).unwrap();
    let note = Note::new(format!("corp:{n}"), "why".to_owned(), "local:0".to_owned(), at).unwrap();
    let target = Target { kind: RevocationKind::Agent, digest: [3; 16] };
    if n % 5 == 4 {
        return Record::Lifted { position: Position(n), target, lift: Lift::Suspension, note };
    }
    let form = match n % 3 {
        0 => Form::Total,
        1 => Form::IssuedUntil(at),
        _ => Form::Suspension,
    };
    let until = n.is_multiple_of(2).then_some(at);
    Record::Revoked(InForce { position: Position(n), revocation: Revocation { target, form, until, note } })
}

type Opened = Result<(Vec<Record>, Option<TornTail>), RevocationOpenError>;

fn open(folder: &Path) -> Opened {
    let mut told = Vec::new();
    let (_, torn) = Journal::open(folder, Disk::default(), |record| told.push(record))?;
    Ok((told, torn))
}

/// A folder with a file of `frames` frames of three records each, and where each frame begins.
fn written(frames: u64) -> (tempfile::TempDir, Vec<u64>) {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, torn) = Journal::open(folder.path(), Disk::default(), |_| {}).unwrap();
    assert_eq!(torn, None);
    let mut places = Vec::new();
    for frame in 0..frames {
        places.push(journal.written.length);
        journal.append(&[record(3 * frame), record(3 * frame + 1), record(3 * frame + 2)]).unwrap();
    }
    places.push(journal.written.length);
    (folder, places)
}

fn bytes(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join(NAME)).unwrap()
}

fn replace(folder: &Path, bytes: &[u8]) {
    std::fs::write(folder.join(NAME), bytes).unwrap();
}

#[test]
fn every_record_is_read_as_it_was_written() {
    let (folder, _) = written(20);
    let (told, torn) = open(folder.path()).unwrap();
    assert_eq!((told, torn), ((0..60).map(record).collect(), None));
}

/// Issue 4, point 3: a process that is killed while it writes leaves any part of its last frame.
#[test]
fn a_torn_end_is_cut_wherever_it_ends() {
    let (folder, places) = written(4);
    let whole = bytes(folder.path());
    let last = usize::try_from(places[3]).unwrap();
    for length in last + 1..whole.len() {
        replace(folder.path(), &whole[..length]);
        let (told, torn) = open(folder.path()).unwrap();
        assert_eq!(told, (0..9).map(record).collect::<Vec<_>>(), "{length}");
        let bytes_cut = u64::try_from(length - last).unwrap();
        assert_eq!(torn, Some(TornTail { offset: places[3], bytes: bytes_cut }), "{length}");
        assert_eq!(bytes(folder.path()).len(), last);
        let (_, torn) = open(folder.path()).unwrap();
        assert_eq!(torn, None, "it is cut once");
    }
}

/// A machine that loses power may have given the file its length, and not every sector its contents.
#[test]
fn a_last_frame_with_a_sector_never_written_is_torn() {
    let (folder, _) = written(1);
    let (mut journal, _) = Journal::open(folder.path(), Disk::default(), |_| {}).unwrap();
    let at = journal.written.length;
    journal.append(&(3..40).map(record).collect::<Vec<_>>()).unwrap();
    drop(journal);
    let whole = bytes(folder.path());
    let sectors = (at.next_multiple_of(SECTOR)..u64::try_from(whole.len()).unwrap() - SECTOR).step_by(512);
    for sector in sectors {
        let mut torn = whole.clone();
        let sector = usize::try_from(sector).unwrap();
        torn[sector..sector + 512].fill(0);
        replace(folder.path(), &torn);
        let (told, torn) = open(folder.path()).unwrap();
        assert_eq!(told, (0..3).map(record).collect::<Vec<_>>());
        assert_eq!(torn.unwrap().offset, at);
    }
}

/// What was on the disk and reads otherwise now is damage, in the middle and at the end: never guessed about.
#[test]
fn any_other_changed_byte_is_damage() {
    let (folder, places) = written(4);
    let whole = bytes(folder.path());
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 0x41;
        replace(folder.path(), &changed);
        let frame = places.iter().rfind(|frame| **frame <= u64::try_from(place).unwrap()).copied();
        match open(folder.path()) {
            Err(RevocationOpenError::Damaged { file, offset }) => {
                assert_eq!(file, folder.path().join(NAME));
                assert_eq!(offset, frame.unwrap_or(0), "{place}");
            }
            Err(RevocationOpenError::Version { .. }) if (14..16).contains(&place) => {}
            other => panic!("{place}: {other:?}"),
        }
        assert_eq!(bytes(folder.path()), changed, "a damaged file is left as it is");
    }
}

/// Frames name their places, so that one that is moved or comes twice is damage too.
#[test]
fn frames_in_another_order_are_damage() {
    let (folder, places) = written(3);
    let whole = bytes(folder.path());
    let part = |from: usize, to: usize| {
        &whole[usize::try_from(places[from]).unwrap()..usize::try_from(places[to]).unwrap()]
    };
    for parts in [[part(1, 2), part(0, 1), part(2, 3)], [part(0, 1), part(0, 1), part(2, 3)]] {
        let mut moved = whole[..16].to_vec();
        parts.iter().for_each(|part| moved.extend(*part));
        replace(folder.path(), &moved);
        assert!(matches!(open(folder.path()), Err(RevocationOpenError::Damaged { .. })));
    }
}

#[test]
fn a_file_of_another_kind_or_version_is_left_alone() {
    let (folder, _) = written(1);
    for contents in [b"".as_slice(), b"exequatur", b"something else altogether"] {
        replace(folder.path(), contents);
        assert!(matches!(open(folder.path()), Err(RevocationOpenError::Damaged { offset: 0, .. })));
    }
    replace(folder.path(), b"exequatur-rev\0\x02\x00");
    let Err(RevocationOpenError::Version { version, .. }) = open(folder.path()) else { panic!() };
    assert_eq!(version, 2);
}

#[test]
fn the_index_finds_what_comes_after_a_position() {
    let (folder, _) = written(1_000);
    let (journal, _) = Journal::open(folder.path(), Disk::default(), |_| {}).unwrap();
    for after in [0, 1, 255, 256, 257, 1_500, 2_999, 9_999] {
        let (records, _) = journal.read(journal.place_after(Position(after))).unwrap().unwrap();
        let first = records[0].position().0;
        assert!(first <= after && after < first + 600 || after > 2_999, "{after}: {first}");
    }
    assert!(journal.written.index.len() < 20);
}
