use std::sync::Barrier;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::download::DownloadError;
use crate::testing::{at, key_set};

const COOLDOWN: i64 = 30;
const MAX_STALE: i64 = 3600;

fn issuer() -> KeptKeys {
    let (cooldown, max_stale) = (SignedDuration::from_secs(COOLDOWN), SignedDuration::from_secs(MAX_STALE));
    KeptKeys::new("corp".parse().unwrap(), vec![Algorithm::EdDsa], cooldown, max_stale)
}

/// Loaded once, by a load that began at 0.
fn loaded() -> KeptKeys {
    let issuer = issuer();
    issuer.load_begins(at(0), 1);
    assert_eq!(issuer.load_ended(Ok(key_set("a")), at(0)), Learned::NewKeys);
    issuer
}

/// A token names some key that nobody has named before.
fn seen(issuer: &KeptKeys, now: Timestamp) {
    static NAMED: AtomicUsize = AtomicUsize::new(0);
    let id = NAMED.fetch_add(1, Ordering::Relaxed).to_string();
    issuer.unknown_key_seen(issuer.sought_key(Some(&id), Algorithm::EdDsa), now);
}

fn asked(issuer: &KeptKeys) -> u64 {
    *issuer.asked.borrow()
}

#[test]
fn without_a_load_there_are_no_keys() {
    let issuer = issuer();
    assert_eq!(issuer.keys(at(0)).err(), Some(KeysUnavailable::NeverLoaded));
    issuer.load_ended(Err(DownloadError::Timeout.into()), at(0));
    assert_eq!(issuer.keys(at(0)).err(), Some(KeysUnavailable::NeverLoaded));
}

/// C-11: the last good set serves until its hard cap, which counts from the beginning of its load.
#[test]
fn a_failure_keeps_the_last_good_set_until_it_is_too_old() {
    let issuer = loaded();
    for seconds in [300, 600, MAX_STALE] {
        issuer.load_ended(Err(DownloadError::Status(500).into()), at(seconds));
        assert_eq!(issuer.keys(at(seconds)).unwrap().id(), key_set("a").id());
        assert!(issuer.are_kept());
    }
    let over = at(MAX_STALE) + SignedDuration::from_nanos(1);
    assert_eq!(issuer.keys(over).err(), Some(KeysUnavailable::TooStale));
    issuer.load_ended(Ok(key_set("a")), over);
    assert!(issuer.keys(over).is_ok() && !issuer.are_kept());
}

/// C-11: a clock that is set back makes no set younger. Keys from a time to come are of no known age, and are asked for
/// anew.
#[test]
fn a_clock_set_back_keeps_no_keys_alive() {
    let issuer = loaded();
    assert!(issuer.keys(at(0) - MAX_AHEAD).is_ok(), "a decision that was under way");
    assert_eq!(asked(&issuer), 0);
    for back in [MAX_AHEAD + SignedDuration::from_nanos(1), SignedDuration::from_hours(100)] {
        assert_eq!(issuer.keys(at(0) - back).err(), Some(KeysUnavailable::TooStale), "{back}");
    }
    assert_eq!(asked(&issuer), 1, "once in a cooldown");
    let now = at(0) - SignedDuration::from_hours(100);
    issuer.load_ended(Ok(key_set("a")), now);
    assert!(issuer.keys(now).is_ok());
}

/// C-12: the new set replaces the old one, whose keys are gone with it.
#[test]
fn a_load_replaces_all_keys() {
    let issuer = loaded();
    let before = issuer.keys(at(0)).unwrap().id();
    assert_eq!(issuer.load_ended(Ok(key_set("b")), at(300)), Learned::NewKeys);
    let keys = issuer.keys(at(300)).unwrap();
    assert_ne!(keys.id(), before);
    assert_eq!(keys.candidates(Some("a"), Algorithm::EdDsa).count(), 0);
}

/// C-13, G16: of a hundred thousand unknown key ids in one cooldown, from many threads, one asks for a load.
#[test]
fn a_flood_of_unknown_keys_asks_once_per_cooldown() {
    let issuer = loaded();
    let barrier = Barrier::new(8);
    for (round, second) in (1..).zip([COOLDOWN, 2 * COOLDOWN, 3 * COOLDOWN + 7]) {
        std::thread::scope(|scope| {
            for thread in 0..8_i64 {
                let (issuer, barrier) = (&issuer, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for n in 0..12_500 {
                        // Nobody reads the clock in order.
                        let spread = SignedDuration::from_micros((n * 8 + thread) * 7 % 900_000);
                        seen(issuer, at(second) + spread);
                    }
                });
            }
        });
        assert_eq!(asked(&issuer), round, "second {second}");
    }
}

#[test]
fn the_cooldown_begins_with_any_load() {
    let issuer = loaded();
    seen(&issuer, at(COOLDOWN) - SignedDuration::from_millis(1));
    assert_eq!(asked(&issuer), 0, "the first load was just now");
    issuer.load_begins(at(20), 1);
    seen(&issuer, at(COOLDOWN));
    seen(&issuer, at(20 + COOLDOWN) - SignedDuration::from_millis(1));
    assert_eq!(asked(&issuer), 0, "the second was later");
    seen(&issuer, at(20 + COOLDOWN));
    assert_eq!(asked(&issuer), 1);
}

/// C-13: a load of two requests takes two cooldowns, so that there are two requests a minute at most.
#[test]
fn the_cooldown_counts_requests() {
    let issuer = loaded();
    issuer.load_begins(at(100), 2);
    seen(&issuer, at(100));
    seen(&issuer, at(100 + 2 * COOLDOWN) - SignedDuration::from_millis(1));
    assert_eq!(asked(&issuer), 0);
    seen(&issuer, at(100 + 2 * COOLDOWN));
    assert_eq!(asked(&issuer), 1);
}

/// G16, G17: a key that comes again and again is looked for once in two cooldowns; another one is not held up by
/// it, and after a rotation neither is the same one.
#[test]
fn a_key_that_stays_unknown_asks_less() {
    let issuer = loaded();
    let constant = issuer.sought_key(Some("constant"), Algorithm::EdDsa);
    let mut loads = Vec::new();
    for second in COOLDOWN..COOLDOWN * 10 {
        let before = asked(&issuer);
        issuer.unknown_key_seen(constant, at(second));
        if asked(&issuer) > before {
            issuer.load_begins(at(second), 1);
            issuer.load_ended(Ok(key_set("a")), at(second));
            loads.push(second / COOLDOWN);
        }
    }
    assert_eq!(loads, [1, 3, 5, 7, 9]);

    let second = COOLDOWN * 10;
    issuer.unknown_key_seen(constant, at(second));
    assert_eq!(asked(&issuer), 5, "looked for at 9");
    seen(&issuer, at(second));
    assert_eq!(asked(&issuer), 6, "another key");
    issuer.load_begins(at(second), 1);
    issuer.load_ended(Ok(key_set("b")), at(second));
    issuer.unknown_key_seen(constant, at(second + COOLDOWN));
    assert_eq!(asked(&issuer), 7, "there are other keys than at the last look");
}

#[test]
fn before_the_first_keys_nobody_can_ask() {
    let issuer = issuer();
    seen(&issuer, at(0));
    issuer.load_ended(Err(DownloadError::Connect.into()), at(0));
    seen(&issuer, at(COOLDOWN));
    assert_eq!(asked(&issuer), 0);
}

/// C-10: a cooldown that lies in the future after the clock was set back must not last until then.
#[test]
fn a_clock_set_back_ends_the_cooldown() {
    let issuer = loaded();
    seen(&issuer, at(-2 * COOLDOWN) + SignedDuration::from_millis(1));
    assert_eq!(asked(&issuer), 0, "a small step back is disorder");
    seen(&issuer, at(-2 * COOLDOWN));
    assert_eq!(asked(&issuer), 1);
}

#[test]
fn the_status_says_what_is_known() {
    let issuer = issuer();
    let nothing = issuer.status(at(0));
    assert_eq!((nothing.key_set, nothing.keys, nothing.keys_age, nothing.usable), (None, 0, None, false));

    let issuer = loaded();
    issuer.load_ended(Err(DownloadError::TooLarge.into()), at(300));
    let status = issuer.status(at(310));
    let expected = IssuerStatus {
        name: "corp".parse().unwrap(),
        key_set: Some(key_set("a").id()),
        keys: 1,
        skipped_keys: 0,
        keys_age: Some(SignedDuration::from_secs(310)),
        usable: true,
        last_error: Some(DownloadError::TooLarge.into()),
        loads: status.loads,
    };
    assert_eq!(status, expected);
    let counts: Vec<_> = status.loads.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counts, [(LoadOutcome::Loaded, 1), (LoadOutcome::Unacceptable, 1)]);
    assert_eq!((status.loads.succeeded(), status.loads.failed()), (1, 1));
    assert_eq!(issuer.status(at(-5)).keys_age, Some(SignedDuration::ZERO));
    // As long as a token may be verified with them, and no longer.
    for seconds in [0, 3600, 3601, -3600] {
        let now = at(seconds);
        assert_eq!(issuer.status(now).usable, issuer.keys(now).is_ok(), "{seconds}");
    }
}

#[test]
fn what_a_load_means_is_told_once() {
    let issuer = loaded();
    let ended = |outcome| issuer.load_ended(outcome, at(0));
    assert_eq!(ended(Ok(key_set("a"))), Learned::Nothing);
    assert_eq!(ended(Err(DownloadError::Timeout.into())), Learned::NewFailure);
    assert_eq!(ended(Err(DownloadError::Timeout.into())), Learned::Nothing);
    assert_eq!(ended(Err(DownloadError::Connect.into())), Learned::NewFailure);
    assert_eq!(ended(Ok(key_set("a"))), Learned::Recovered);
    assert_eq!(ended(Ok(key_set("b"))), Learned::NewKeys);
    assert_eq!(issuer.status(at(0)).last_error, None);
}
