use std::sync::Barrier;

use super::*;
use crate::testing::{at, key_set, profile};

const COOLDOWN: i64 = 30;
const MAX_STALE: i64 = 3600;

fn issuer() -> Issuer {
    let (cooldown, max_stale) = (SignedDuration::from_secs(COOLDOWN), SignedDuration::from_secs(MAX_STALE));
    Issuer::new(profile("corp"), cooldown, max_stale)
}

/// Loaded once, by a load that began at 0.
fn loaded() -> Issuer {
    let issuer = issuer();
    issuer.load_begins(at(0));
    assert_eq!(issuer.load_ended(Ok(key_set("a")), at(0)), Learned::NewKeys);
    issuer
}

fn asked(issuer: &Issuer) -> u64 {
    *issuer.asked.borrow()
}

#[test]
fn without_a_load_there_are_no_keys() {
    let issuer = issuer();
    assert_eq!(issuer.keys(at(0)).err(), Some(KeysUnavailable::NeverLoaded));
    issuer.load_ended(Err(FetchError::Timeout), at(0));
    assert_eq!(issuer.keys(at(0)).err(), Some(KeysUnavailable::NeverLoaded));
}

/// C-11: the last good set serves until its hard cap, which counts from the beginning of its load.
#[test]
fn a_failure_keeps_the_last_good_set_until_it_is_too_old() {
    let issuer = loaded();
    for seconds in [300, 600, MAX_STALE] {
        issuer.load_ended(Err(FetchError::Status(500)), at(seconds));
        assert_eq!(issuer.keys(at(seconds)).unwrap().id(), key_set("a").id());
    }
    let over = at(MAX_STALE) + SignedDuration::from_nanos(1);
    assert_eq!(issuer.keys(over).err(), Some(KeysUnavailable::TooStale));
    issuer.load_ended(Ok(key_set("a")), over);
    assert!(issuer.keys(over).is_ok());
}

/// C-12: the new set replaces the old one, whose keys are gone with it.
#[test]
fn a_load_replaces_all_keys() {
    let issuer = loaded();
    let before = issuer.keys(at(0)).unwrap().id();
    assert_eq!(issuer.load_ended(Ok(key_set("b")), at(300)), Learned::NewKeys);
    let keys = issuer.keys(at(300)).unwrap();
    assert_ne!(keys.id(), before);
    assert_eq!(keys.candidates(Some("a"), exequatur_token::Algorithm::EdDsa).count(), 0);
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
                        issuer.unknown_key_seen(at(second) + spread);
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
    issuer.unknown_key_seen(at(COOLDOWN) - SignedDuration::from_millis(1));
    assert_eq!(asked(&issuer), 0, "the first load was just now");
    issuer.load_begins(at(20));
    issuer.unknown_key_seen(at(COOLDOWN));
    issuer.unknown_key_seen(at(20 + COOLDOWN) - SignedDuration::from_millis(1));
    assert_eq!(asked(&issuer), 0, "the second was later");
    issuer.unknown_key_seen(at(20 + COOLDOWN));
    assert_eq!(asked(&issuer), 1);
}

#[test]
fn before_the_first_keys_nobody_can_ask() {
    let issuer = issuer();
    issuer.unknown_key_seen(at(0));
    issuer.load_ended(Err(FetchError::Connect), at(0));
    issuer.unknown_key_seen(at(COOLDOWN));
    assert_eq!(asked(&issuer), 0);
}

/// C-10: a cooldown that lies in the future after the clock was set back must not last until then.
#[test]
fn a_clock_set_back_ends_the_cooldown() {
    let issuer = loaded();
    issuer.unknown_key_seen(at(-COOLDOWN) + SignedDuration::from_millis(1));
    assert_eq!(asked(&issuer), 0, "a small step back is disorder");
    issuer.unknown_key_seen(at(-COOLDOWN));
    assert_eq!(asked(&issuer), 1);
}

#[test]
fn the_status_says_what_is_known() {
    let issuer = issuer();
    let nothing = issuer.status(at(0));
    assert_eq!((nothing.key_set, nothing.keys, nothing.keys_age), (None, 0, None));

    let issuer = loaded();
    issuer.load_ended(Err(FetchError::TooLarge), at(300));
    let status = issuer.status(at(310));
    let expected = IssuerStatus {
        name: "corp".parse().unwrap(),
        key_set: Some(key_set("a").id()),
        keys: 1,
        skipped_keys: 0,
        keys_age: Some(SignedDuration::from_secs(310)),
        last_error: Some(FetchError::TooLarge),
        loads_succeeded: 1,
        loads_failed: 1,
    };
    assert_eq!(status, expected);
    assert_eq!(issuer.status(at(-5)).keys_age, Some(SignedDuration::ZERO));
}

#[test]
fn what_a_load_means_is_told_once() {
    let issuer = loaded();
    let ended = |outcome| issuer.load_ended(outcome, at(0));
    assert_eq!(ended(Ok(key_set("a"))), Learned::Nothing);
    assert_eq!(ended(Err(FetchError::Timeout)), Learned::NewFailure);
    assert_eq!(ended(Err(FetchError::Timeout)), Learned::Nothing);
    assert_eq!(ended(Err(FetchError::Connect)), Learned::NewFailure);
    assert_eq!(ended(Ok(key_set("a"))), Learned::Recovered);
    assert_eq!(ended(Ok(key_set("b"))), Learned::NewKeys);
    assert_eq!(issuer.status(at(0)).last_error, None);
}
