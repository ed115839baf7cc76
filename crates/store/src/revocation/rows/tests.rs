use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::revocation::entry::{Note, RevocationKind};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn row(kind: RevocationKind, digest: [u8; 16], form: Form, until: Option<i64>, position: u64) -> Row {
    let note = Note::new(String::new(), String::new(), String::new(), at(0)).unwrap();
    let revocation = Revocation { target: Target { kind, digest }, form, until: until.map(at), note };
    Row::of(&revocation, Position(position))
}

/// Digests whose leading 14 bits are alike, as all of one stripe are, and which crowd in places or not.
fn digest() -> impl Strategy<Value = [u8; 16]> {
    prop_oneof![
        any::<[u8; 14]>(),
        (0..8_u8).prop_map(|n| [n; 14]),
        (0..8_u8).prop_map(|n| {
            let mut near = [0x7f; 14];
            near[13] = n;
            near
        })
    ]
    .prop_map(|rest| {
        let mut digest = [0xab; 16];
        digest[2..].copy_from_slice(&rest);
        digest
    })
}

fn kind() -> impl Strategy<Value = RevocationKind> {
    prop_oneof![Just(RevocationKind::TokenId), Just(RevocationKind::Agent), Just(RevocationKind::All)]
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![
        Just(Form::Total),
        (0..100_i64).prop_map(|s| Form::IssuedUntil(at(s))),
        Just(Form::Suspension)
    ]
}

/// Digest, kind and form.
type Slot = ([u8; 16], u8, u8);

#[derive(Debug, Clone)]
enum Step {
    Put([u8; 16], RevocationKind, Form, Option<i64>),
    Lift([u8; 16], RevocationKind, Lift),
    Sweep(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (digest(), kind(), form(), proptest::option::of(0..100_i64))
            .prop_map(|(digest, kind, form, until)| Step::Put(digest, kind, form, until)),
        2 => (digest(), kind(), prop_oneof![Just(Lift::Revocation), Just(Lift::Suspension)])
            .prop_map(|(digest, kind, lift)| Step::Lift(digest, kind, lift)),
        1 => (0..100_i64).prop_map(Step::Sweep),
    ]
}

proptest! {
    /// C-20: rows answer as a plain map would, however their digests crowd.
    #[test]
    fn a_stripe_is_a_map(steps in proptest::collection::vec(step(), 0..200), now in 0..100_i64, issued in 0..100_i64) {
        let mut stripe = Stripe::default();
        let mut model: BTreeMap<Slot, (Option<i64>, i64)> = BTreeMap::new();
        let mut asked = Vec::new();
        for (position, step) in (1..).zip(steps) {
            match step {
                Step::Put(digest, kind, form, until) => {
                    asked.push((digest, kind));
                    stripe.put(row(kind, digest, form, until, position));
                    let mark = if let Form::IssuedUntil(mark) = form { mark.as_second() } else { 0 };
                    let entry = model.entry((digest, kind.code(), form.code())).or_insert((until, mark));
                    entry.0 = entry.0.zip(until).map(|(one, other)| one.max(other));
                    entry.1 = entry.1.max(mark);
                }
                Step::Lift(digest, kind, lift) => {
                    let target = Target { kind, digest };
                    let mut told = 0;
                    stripe.lift(&target, lift, Position(u64::MAX), |_| told += 1);
                    let before = model.len();
                    model.retain(|(d, k, form), _| *d != digest || *k != kind.code() || !lift.takes(*form));
                    prop_assert_eq!(told, before - model.len());
                    prop_assert!(!stripe.has(&target, lift));
                }
                Step::Sweep(now) => {
                    stripe.sweep(now, |_| {});
                    model.retain(|_, (until, _)| until.is_none_or(|until| until > now));
                    prop_assert!(!stripe.any_over(now));
                }
            }
        }
        prop_assert_eq!(stripe.rows.len(), model.len());
        prop_assert!(stripe.rows.is_sorted_by(|a, b| a.order(&b.digest, b.sort()) == Ordering::Less));
        for (digest, kind) in asked {
            let stops = model.iter().find(|((d, k, form), (until, mark))| {
                *d == digest && *k == kind.code()
                    && until.is_none_or(|until| until > now)
                    && (*form != ISSUED_UNTIL || issued <= *mark)
            });
            let target = Target { kind, digest };
            let found = stripe.find(&target, Some(issued), now).map(Row::form_code);
            prop_assert_eq!(found, stops.map(|((_, _, form), _)| *form));
        }
    }
}

#[test]
fn times_beyond_what_a_row_holds_count_as_its_ends() {
    let digest = [0; 16];
    let never = row(RevocationKind::User, digest, Form::Total, Some(i64::from(u32::MAX) + 9), 1);
    assert_eq!(never.until(), None);
    let early = row(RevocationKind::User, digest, Form::IssuedUntil(at(-5)), Some(-5), 1);
    assert!(early.is_over(0) && early.stops(None, -1));
    assert_eq!(early.form(), Form::IssuedUntil(at(0)));
    let far = row(RevocationKind::User, digest, Form::IssuedUntil(Timestamp::MAX), None, 1);
    assert!(far.stops(Some(i64::from(u32::MAX)), 0));
}

/// An end within a second is rounded up, a watermark covers the whole of its second.
#[test]
fn fractions_of_a_second_err_to_the_safe_side() {
    let half = Timestamp::from_millisecond(10_500).unwrap();
    assert_eq!(up_to_the_second(half), at(11));
    assert_eq!(up_to_the_second(at(11)), at(11));
    assert_eq!(up_to_the_second(Timestamp::from_millisecond(-10_500).unwrap()), at(-10));
}

#[test]
fn rows_are_32_bytes_and_little_is_spare() {
    assert_eq!(size_of::<Row>(), 32);
    let mut stripe = Stripe::default();
    for n in 0..600_u64 {
        let mut digest = [0; 16];
        digest[2..10].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        stripe.put(row(RevocationKind::TokenId, digest, Form::Total, Some(50), n + 1));
        assert!(stripe.rows.capacity() < stripe.rows.len() + STEP);
    }
    stripe.sweep(50, |_| {});
    assert!(stripe.rows.capacity() <= STEP);
}
