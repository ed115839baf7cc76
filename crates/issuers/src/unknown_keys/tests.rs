use super::*;
use crate::testing::at;

const COOLDOWN: i64 = 30;
const LIFETIME: i64 = 2 * COOLDOWN;

fn table() -> UnknownKeys {
    UnknownKeys::new(SignedDuration::from_secs(COOLDOWN))
}

fn key(table: &UnknownKeys, id: &str) -> SoughtKey {
    table.key(Some(id), Algorithm::Es256)
}

/// G16: a load that began after the key was seen has looked for it.
#[test]
fn a_key_is_looked_for_once() {
    let table = table();
    let a = key(&table, "a");
    assert!(!table.looked_for(a, at(0), at(10)), "seen first after the last load");
    assert!(!table.looked_for(a, at(0), at(11)), "no load since");
    assert!(!table.looked_for(a, at(9), at(12)), "a load that began before it was seen");
    assert!(table.looked_for(a, at(10), at(13)), "a load that began with it");
    assert!(!table.looked_for(key(&table, "b"), at(10), at(13)), "another key");
}

/// G17: for no longer than two cooldowns, and 5 minutes at most.
#[test]
fn a_key_is_forgotten_after_two_cooldowns() {
    let table = table();
    let a = key(&table, "a");
    table.looked_for(a, at(0), at(10));
    let end = at(10 + LIFETIME);
    assert!(table.looked_for(a, at(20), end - SignedDuration::from_nanos(1)));
    assert!(!table.looked_for(a, at(20), end));
    assert!(table.looked_for(a, end, end), "it counts from then");

    let slow = UnknownKeys::new(SignedDuration::from_hours(1));
    let a = key(&slow, "a");
    slow.looked_for(a, at(0), at(10));
    assert!(slow.looked_for(a, at(20), at(309)));
    assert!(!slow.looked_for(a, at(20), at(310)));
}

/// G17: other keys end every wait.
#[test]
fn cleared_nothing_was_looked_for() {
    let table = table();
    let a = key(&table, "a");
    table.looked_for(a, at(0), at(10));
    table.clear();
    assert_eq!(table.len(), 0);
    assert!(!table.looked_for(a, at(20), at(21)));
}

/// C-13: a flood fills the table and no more, pushes nothing out, and is gone after a lifetime.
#[test]
fn a_flood_is_bounded() {
    let table = table();
    let constant = key(&table, "constant");
    table.looked_for(constant, at(0), at(10));
    for n in 0..100_000 {
        assert!(!table.looked_for(key(&table, &n.to_string()), at(0), at(11)));
    }
    assert_eq!(table.len(), MAX_REMEMBERED);
    assert!(table.looked_for(constant, at(12), at(13)), "still known");

    // The first ends at 70, the others at 71: room is made as soon as there is some, and not before.
    let late = key(&table, "late");
    table.looked_for(late, at(60), at(69));
    assert!(!table.looked_for(late, at(69), at(69)), "no room yet");
    table.looked_for(late, at(60), at(70));
    assert!(table.looked_for(late, at(70), at(70)));
    assert_eq!(table.len(), MAX_REMEMBERED);
    table.looked_for(key(&table, "later"), at(60), at(71));
    assert_eq!(table.len(), 2, "late and later");
}

/// C-10: after the clock was set back nothing waits for the old time to come again.
#[test]
fn a_clock_set_back_is_survived() {
    let table = table();
    for n in 0..1000 {
        table.looked_for(key(&table, &n.to_string()), at(0), at(1000));
    }
    let first = key(&table, "0");
    assert!(table.looked_for(first, at(1001), at(1002)));
    assert!(!table.looked_for(first, at(0), at(1)), "seen in what is now the future");
    let new = key(&table, "new");
    table.looked_for(new, at(0), at(2));
    assert!(table.looked_for(new, at(2), at(3)), "room was made");
}

#[test]
fn a_key_is_its_id_and_algorithm() {
    let table = table();
    let keys = [
        table.key(Some("a"), Algorithm::Es256),
        table.key(Some("a"), Algorithm::EdDsa),
        table.key(Some(""), Algorithm::Es256),
        table.key(None, Algorithm::Es256),
    ];
    for (index, one) in keys.iter().enumerate() {
        assert_eq!(keys.iter().position(|other| other == one), Some(index));
    }
    assert_eq!(keys[0], key(&table, "a"));
}
