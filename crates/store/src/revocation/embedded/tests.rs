use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::super::{Asked, Finding, Form, RevocationKind};
use super::*;
use crate::contract;
use crate::disk::Fuse;
use crate::folder::StateFolder;

fn start() -> Timestamp {
    Timestamp::from_millisecond(1_790_000_000_250).unwrap()
}

fn limits(compact_after: u32) -> RevocationLimits {
    RevocationLimits { max_revocations: NonZeroU32::new(1_000).unwrap(), compact_after }
}

fn open(path: &Path, limits: RevocationLimits) -> Result<EmbeddedRevocations, RevocationOpenError> {
    open_with(path, limits, Fuse::default(), start())
}

fn open_with(
    path: &Path,
    limits: RevocationLimits,
    fuse: Fuse,
    now: Timestamp,
) -> Result<EmbeddedRevocations, RevocationOpenError> {
    let folder = Arc::new(StateFolder::open(path).unwrap());
    EmbeddedRevocations::open_on(Disk { fuse }, Some(folder), limits, now)
}

fn target(n: u8) -> Target {
    Target { kind: RevocationKind::Agent, digest: [n.wrapping_mul(67); 16] }
}

fn note(label: &str) -> Note {
    Note::new(label.to_owned(), "stolen".to_owned(), "local:0".to_owned(), start()).unwrap()
}

fn revocation(n: u8, form: Form, until: Option<Timestamp>) -> Revocation {
    Revocation { target: target(n), form, until, note: note(&format!("corp:{n}")) }
}

fn form(store: &EmbeddedRevocations, n: u8, now: Timestamp) -> Option<Form> {
    match store.snapshot().ask(&[Asked { target: target(n), issued_at: None }], now) {
        Finding::Revoked(revoked) => Some(revoked.form),
        Finding::NotRevoked(_) => None,
        Finding::Unknown(unknown) => panic!("{unknown}"),
    }
}

async fn settled(store: &EmbeddedRevocations) {
    // Orders are followed one after the other, and a compaction of this size takes one slice between two of them.
    for _ in 0..20 {
        store.tend(start()).await.unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn in_memory_it_keeps_the_contract() {
    let made = contract::revocation::check(start(), async |limits| {
        EmbeddedRevocations::open(None, limits, start()).or(Err(RevocationError::Closed))
    });
    assert_eq!(made.await, Ok(()));
}

#[tokio::test]
async fn in_a_file_it_keeps_the_contract() {
    for compact_after in [0, 10_000] {
        let folders = tempfile::tempdir().unwrap();
        let next = std::sync::atomic::AtomicU32::new(0);
        let made = contract::revocation::check(start(), async |limits| {
            let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let limits = RevocationLimits { compact_after, ..limits };
            open(&folders.path().join(number.to_string()), limits).or(Err(RevocationError::Closed))
        });
        assert_eq!(made.await, Ok(()));
    }
}

#[tokio::test]
async fn what_was_ordered_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let until = Timestamp::from_second(1_790_000_100).unwrap();
    let mark = Timestamp::from_second(1_789_999_999).unwrap();
    let store = open(folder.path(), limits(10_000)).unwrap();
    assert_eq!(store.health().keeping, Keeping::OnDisk);
    let ordered = [
        revocation(1, Form::Total, None),
        revocation(2, Form::IssuedUntil(mark), None),
        revocation(3, Form::Suspension, Some(until)),
        revocation(4, Form::Total, None),
    ];
    for revocation in &ordered {
        store.revoke(revocation, start()).await.unwrap();
    }
    let last = store.lift(target(4), Lift::Revocation, &note("corp:4"), start()).await.unwrap().position;
    drop(store);
    let mode = std::fs::metadata(folder.path().join("revocations")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let store = open(folder.path(), limits(10_000)).unwrap();
    assert_eq!((store.snapshot().position(), store.health().entries, store.torn()), (last, 3, None));
    assert_eq!(form(&store, 1, start()), Some(Form::Total));
    assert_eq!(form(&store, 2, start()), Some(Form::IssuedUntil(mark)));
    assert_eq!(form(&store, 3, start()), Some(Form::Suspension));
    assert_eq!(form(&store, 4, start()), None);
    let page = store.list(Position::default(), NonZeroU16::MAX, start()).await.unwrap();
    let listed: Vec<_> = page.standing.iter().map(|standing| &standing.revocation).collect();
    assert_eq!(listed, ordered[..3].iter().collect::<Vec<_>>());
    let next = store.revoke(&revocation(5, Form::Total, None), start()).await.unwrap();
    assert_eq!(next.position, last.next(), "positions go on");
    drop(store);
    let store = open_with(folder.path(), limits(10_000), Fuse::default(), until).unwrap();
    assert_eq!(store.health().entries, 3, "what is over is not taken in");
}

#[tokio::test]
async fn in_memory_it_is_over_with_the_process() {
    let store = EmbeddedRevocations::open(None, limits(10), start()).unwrap();
    assert_eq!(store.health().keeping, Keeping::UntilRestart);
    store.revoke(&revocation(1, Form::Total, None), start()).await.unwrap();
    drop(store);
    let store = EmbeddedRevocations::open(None, limits(10), start()).unwrap();
    assert_eq!(form(&store, 1, start()), None);
}

#[tokio::test]
async fn the_file_is_written_anew_without_what_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("revocations");
    let store = open(folder.path(), limits(50)).unwrap();
    for n in 0..10 {
        store.revoke(&revocation(n, Form::Total, None), start()).await.unwrap();
    }
    for _ in 0..40 {
        store.revoke(&revocation(100, Form::Suspension, None), start()).await.unwrap();
        store.lift(target(100), Lift::Suspension, &note("corp:100"), start()).await.unwrap();
    }
    let last = store.lift(target(9), Lift::Revocation, &note("corp:9"), start()).await.unwrap().position;
    // Slices come between orders, where there is time for them.
    let draft = folder.path().join("revocations.new");
    for _ in 0..100_000 {
        settled(&store).await;
        if !draft.exists() {
            break;
        }
    }
    let length = std::fs::metadata(&file).unwrap().len();
    assert!(length < 40 * 90, "{length}");
    assert!(!draft.exists());
    assert_eq!(store.health().not_compacted, None);
    let listed = store.list(Position::default(), NonZeroU16::MAX, start()).await.unwrap().standing;
    drop(store);
    let store = open(folder.path(), limits(50)).unwrap();
    assert_eq!(store.snapshot().position(), last, "positions go on where nothing is left of the last");
    assert_eq!(store.list(Position::default(), NonZeroU16::MAX, start()).await.unwrap().standing, listed);
    assert_eq!(listed.len(), 9);
}

/// What is known of a target: whether it is stopped, or `None` after a change that was not acknowledged.
type Known = BTreeMap<u8, Option<bool>>;

/// Revokes, joins, lifts and revokes again, so often that the file is written anew some times.
async fn work(store: &EmbeddedRevocations, known: &mut Known) {
    for n in 0..24_u8 {
        let who = n % 7;
        let until = (n % 3 == 0).then(|| start() + jiff::SignedDuration::from_secs(3_600 + i64::from(n)));
        let revoked = store.revoke(&revocation(who, Form::Total, until), start()).await;
        known.insert(who, revoked.is_ok().then_some(true).or_else(|| kept(known, who, true)));
        assert!(form(store, who, start()).is_some(), "what is ordered holds at once, whatever the disk does");
        if n % 4 == 3 {
            let who = (n + 2) % 7;
            let lifted = store.lift(target(who), Lift::Revocation, &note("corp"), start()).await;
            known.insert(who, lifted.is_ok().then_some(false).or_else(|| kept(known, who, false)));
        }
        settled(store).await;
    }
}

/// A change that was not acknowledged and would change nothing leaves what was known.
fn kept(known: &Known, who: u8, wanted: bool) -> Option<bool> {
    known.get(&who).copied().flatten().filter(|is| *is == wanted)
}

fn check(store: &EmbeddedRevocations, known: &Known, when: &str) {
    for (who, stopped) in known {
        if let Some(stopped) = stopped {
            assert_eq!(form(store, *who, start()).is_some(), *stopped, "{when}: {who}");
        }
    }
}

/// Issue 4, point 3: killed at every step, it has lost nothing that was acknowledged.
#[tokio::test]
async fn a_process_that_ends_at_any_step_has_lost_nothing() {
    for step in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let fuse = Fuse::of(step);
        let mut known = Known::new();
        match open_with(folder.path(), limits(4), fuse.clone(), start()) {
            Ok(store) => work(&store, &mut known).await,
            Err(error) => assert!(matches!(error, RevocationOpenError::Io { .. }), "{error}"),
        }
        let store = open(folder.path(), limits(4)).unwrap();
        check(&store, &known, &format!("step {step}"));
        if !fuse.blown() {
            assert!(known.values().all(Option::is_some));
            // How many there are depends on which orders are synced together.
            assert!(step > 50, "{step}");
            return;
        }
    }
}

/// A step that fails once: what is acknowledged later is kept too, whatever the file went through.
#[tokio::test]
async fn a_disk_that_is_full_for_a_moment_loses_nothing() {
    for step in 6.. {
        let folder = tempfile::tempdir().unwrap();
        let fuse = Fuse::once(step);
        let mut known = Known::new();
        let store = open_with(folder.path(), limits(4), fuse.clone(), start()).unwrap();
        work(&store, &mut known).await;
        check(&store, &known, &format!("step {step}, before"));
        drop(store);
        let store = open(folder.path(), limits(4)).unwrap();
        check(&store, &known, &format!("step {step}, after"));
        if !fuse.blown() {
            return;
        }
    }
}

#[tokio::test]
async fn a_disk_that_stays_full_is_told_and_stops_what_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let fuse = Fuse::of(8);
    let store = open_with(folder.path(), limits(10), fuse, start()).unwrap();
    for n in 0..3 {
        let _kept_or_not = store.revoke(&revocation(n, Form::Total, None), start()).await;
    }
    let failed = store.revoke(&revocation(3, Form::Total, None), start()).await;
    assert_eq!(failed, Err(RevocationError::NotKept(ErrorKind::StorageFull)));
    assert_eq!(form(&store, 3, start()), Some(Form::Total));
    assert_eq!(store.health().broken, Some(ErrorKind::StorageFull));
    let failed = store.lift(target(0), Lift::Revocation, &note("corp:0"), start()).await;
    assert_eq!(failed, Err(RevocationError::NotKept(ErrorKind::StorageFull)));
    assert_eq!(form(&store, 0, start()), Some(Form::Total), "what was not lifted holds");
}

/// C-20: nobody waits for the disk alone; those who come together are synced together.
#[tokio::test]
async fn changes_that_come_together_are_one_frame() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), limits(10_000)).unwrap();
    let ordered: Vec<_> = (0..100).map(|n| revocation(n, Form::Total, None)).collect();
    let mut together = Vec::new();
    for revocation in &ordered {
        let mut change = store.revoke(revocation, start());
        // Ordered when first polled.
        let waiting =
            std::future::poll_fn(|context| std::task::Poll::Ready(Future::poll(change.as_mut(), context)));
        let first = waiting.await;
        together.push((first, change));
    }
    for (first, change) in together {
        match first {
            std::task::Poll::Ready(done) => assert!(done.is_ok()),
            std::task::Poll::Pending => assert!(change.await.is_ok()),
        }
    }
    drop(store);
    let mut frames = 0;
    let (journal, _) = Journal::open(folder.path(), Disk::default(), |_| {}).unwrap();
    let mut place = journal.place_after(Position::default());
    while let Some((_, next)) = journal.read(place).unwrap() {
        (frames, place) = (frames + 1, next);
    }
    assert!(frames < 60, "{frames}");
}

/// The files of a folder, each as it is when its turn comes; one that is written beside its work may be gone by then.
fn copied(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match std::fs::copy(entry.path(), to.path().join(entry.file_name())) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
        }
    }
    to
}

/// docs/how-to/back-up.md: the folder is copied while orders come and the file is written anew. Each copy opens, and has every order that
/// was answered before it was begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_made_meanwhile_has_what_was_answered_before() {
    use std::sync::atomic::{AtomicU8, Ordering};

    const ORDERS: u8 = 100;
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path(), limits(10)).unwrap());
    let answered = Arc::new(AtomicU8::new(0));
    let mut orders = tokio::task::JoinSet::new();
    orders.spawn({
        let (store, answered) = (Arc::clone(&store), Arc::clone(&answered));
        async move {
            for n in 1..=ORDERS {
                store.revoke(&revocation(n, Form::Total, None), start()).await.unwrap();
                // What is over is left out when the file is written anew.
                let passing = 101 + n;
                store.revoke(&revocation(passing, Form::Total, None), start()).await.unwrap();
                store.lift(target(passing), Lift::Revocation, &note("corp"), start()).await.unwrap();
                answered.store(n, Ordering::SeqCst);
                store.tend(start()).await.unwrap();
            }
        }
    });
    let mut copies = 0;
    while answered.load(Ordering::SeqCst) < ORDERS {
        let before = answered.load(Ordering::SeqCst);
        let copy = copied(folder.path());
        let restored = open(copy.path(), limits(10)).unwrap();
        for n in 1..=before {
            assert_eq!(form(&restored, n, start()), Some(Form::Total), "{n} of {before}");
        }
        copies += 1;
        tokio::task::yield_now().await;
        if let Some(ended) = orders.try_join_next() {
            ended.unwrap();
        }
    }
    orders.join_all().await;
    assert!(copies > 1, "{copies}");
}
