//! What any store of revocations must do, as checks to run against a real one.
//!
//! Each check makes its own empty store and moves the time by argument. What a store adds (what outlives a restart,
//! what other replicas see) is tested beside that store.

use std::num::{NonZeroU16, NonZeroU32};

use jiff::{SignedDuration, Timestamp};

use crate::replicas::Report;
use crate::revocation::{
    Asked, Changed, Finding, Form, InForce, Lift, Note, Position, Revocation, RevocationError,
    RevocationKind, RevocationLimits, RevocationStore, Target,
};

/// How a store broke the contract.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevocationViolation {
    /// The store failed where it should have done something.
    #[error("the store failed: {0}")]
    Store(#[from] RevocationError),
    /// A promise was not kept.
    #[error("{0}")]
    Broken(&'static str),
}

/// Runs every check. `make` opens an empty store, whose snapshot is complete at `start` and for a day from then.
///
/// # Errors
/// The first violation found.
pub async fn check<S: RevocationStore>(
    start: Timestamp,
    make: impl AsyncFn(RevocationLimits) -> Result<S, RevocationError>,
) -> Result<(), RevocationViolation> {
    let limits = RevocationLimits::default();
    each_kind_is_a_target_of_its_own(&make(limits).await?, start).await?;
    what_is_lifted_holds_no_more(&make(limits).await?, start).await?;
    a_suspension_and_a_revocation_have_their_own_way_back(&make(limits).await?, start).await?;
    a_watermark_stops_what_was_issued_until_then(&make(limits).await?, start).await?;
    an_end_is_exclusive(&make(limits).await?, start).await?;
    nothing_added_weakens_what_holds(&make(limits).await?, start).await?;
    what_is_over_lends_nothing(&make(limits).await?, start).await?;
    changes_are_idempotent(&make(limits).await?, start).await?;
    the_first_asked_is_the_answer(&make(limits).await?, start).await?;
    the_list_is_what_holds(&make(limits).await?, start).await?;
    a_replica_tells_of_itself(&make(limits).await?, start).await?;
    let three = NonZeroU32::MIN.saturating_add(2);
    the_bound_refuses_the_new(&make(RevocationLimits { max_revocations: three, ..limits }).await?, start)
        .await
}

async fn each_kind_is_a_target_of_its_own(
    store: &impl RevocationStore,
    now: Timestamp,
) -> Result<(), RevocationViolation> {
    for kind in RevocationKind::EVERY {
        passes(store, target(kind, 1), now, "what nobody revoked passes")?;
        store.revoke(&revocation(target(kind, 1), Form::Total, None, now)?, now).await?;
        stopped(store, target(kind, 1), now, "what is revoked is stopped, of whatever kind")?;
        passes(store, target(kind, 2), now, "another of the kind passes")?;
        store.lift(target(kind, 1), Lift::Revocation, &note(now)?, now).await?;
    }
    store.revoke(&revocation(target(RevocationKind::Agent, 1), Form::Total, None, now)?, now).await?;
    for kind in RevocationKind::EVERY.into_iter().filter(|kind| *kind != RevocationKind::Agent) {
        passes(store, target(kind, 1), now, "another kind with the same digest passes")?;
    }
    Ok(())
}

async fn what_is_lifted_holds_no_more(
    store: &impl RevocationStore,
    now: Timestamp,
) -> Result<(), RevocationViolation> {
    let (one, other) = (target(RevocationKind::User, 1), target(RevocationKind::User, 2));
    for each in [one, other] {
        store.revoke(&revocation(each, Form::Total, None, now)?, now).await?;
        store.revoke(&revocation(each, Form::IssuedUntil(now), None, now)?, now).await?;
    }
    let lifted = store.lift(one, Lift::Revocation, &note(now)?, now).await?;
    holds(lifted.changed, "lifting changes something")?;
    passes(store, one, now, "what is lifted passes, whatever its form")?;
    stopped(store, other, now, "lifting one lets another stand")?;
    store.revoke(&revocation(one, Form::Total, None, now)?, now).await?;
    stopped(store, one, now, "what was lifted can be revoked again")
}

async fn a_suspension_and_a_revocation_have_their_own_way_back(
    store: &impl RevocationStore,
    now: Timestamp,
) -> Result<(), RevocationViolation> {
    let agent = target(RevocationKind::Agent, 1);
    store.revoke(&revocation(agent, Form::Suspension, None, now)?, now).await?;
    holds(form(store, agent, now) == Some(Form::Suspension), "a suspension says that it is one")?;
    let undone = store.lift(agent, Lift::Revocation, &note(now)?, now).await?;
    holds(!undone.changed, "a suspension is no revocation to be undone")?;
    stopped(store, agent, now, "a suspension stands when revocations are lifted")?;
    store.revoke(&revocation(agent, Form::Total, None, now)?, now).await?;
    store.lift(agent, Lift::Suspension, &note(now)?, now).await?;
    holds(form(store, agent, now) == Some(Form::Total), "a revocation stands when suspensions are lifted")?;
    store.lift(agent, Lift::Revocation, &note(now)?, now).await?;
    passes(store, agent, now, "both are lifted")
}

/// V05
async fn a_watermark_stops_what_was_issued_until_then(
    store: &impl RevocationStore,
    now: Timestamp,
) -> Result<(), RevocationViolation> {
    let mark = whole(now)?;
    let user = target(RevocationKind::User, 1);
    store.revoke(&revocation(user, Form::IssuedUntil(after(mark, 300)?), None, now)?, now).await?;
    let issued = |at: Timestamp| Asked { target: user, issued_at: Some(at) };
    for (at, stops) in [
        (after(mark, -3_600_000)?, true),
        (mark, true),
        (after(mark, 999)?, true),
        (after(mark, 1_000)?, false),
        (after(mark, 60_000)?, false),
    ] {
        holds(
            is_stopped(store, issued(at), now) == stops,
            "a watermark stops what was issued before it or in its second, and nothing later",
        )?;
    }
    let unknown = Asked { target: user, issued_at: None };
    holds(is_stopped(store, unknown, now), "a watermark stops what was issued nobody knows when")
}

async fn an_end_is_exclusive(
    store: &impl RevocationStore,
    now: Timestamp,
) -> Result<(), RevocationViolation> {
    let (short, long) = (target(RevocationKind::TokenId, 1), target(RevocationKind::TokenId, 2));
    let end = after(whole(now)?, 60_000)?;
    store.revoke(&revocation(short, Form::Total, Some(end), now)?, now).await?;
    store.revoke(&revocation(long, Form::Total, None, now)?, now).await?;
    stopped(store, short, after(end, -1)?, "a revocation holds to its end")?;
    passes(store, short, end, "at its end a revocation holds no more")?;
    let later = after(end, 600_000)?;
    stopped(store, long, later, "a revocation without an end has none")?;
    for _ in 0..1_000 {
        if store.health().entries == 1 {
            return stopped(store, long, later, "forgetting what is over forgets nothing else");
        }
        store.tend(later).await?;
    }
    Err(RevocationViolation::Broken("what is over is forgotten when the store is tended"))
}

async fn nothing_added_weakens_what_holds(
    store: &impl RevocationStore,
    now: Timestamp,
) -> Result<(), RevocationViolation> {
    let tenant = target(RevocationKind::Tenant, 1);
    let (soon, late) = (after(now, 60_000)?, after(now, 600_000)?);
    store.revoke(&revocation(tenant, Form::Total, Some(late), now)?, now).await?;
    store.revoke(&revocation(tenant, Form::Total, Some(soon), now)?, now).await?;
    store.revoke(&revocation(tenant, Form::IssuedUntil(after(now, -60_000)?), None, now)?, now).await?;
    stopped(store, tenant, after(soon, 5_000)?, "an earlier end takes nothing from a later one")?;
    store.revoke(&revocation(tenant, Form::Total, None, now)?, now).await?;
    store.revoke(&revocation(tenant, Form::Total, Some(late), now)?, now).await?;
    stopped(store, tenant, after(late, 5_000)?, "an end takes nothing from a revocation without")?;
    let user = target(RevocationKind::User, 1);
    store.revoke(&revocation(user, Form::IssuedUntil(now), None, now)?, now).await?;
    store.revoke(&revocation(user, Form::IssuedUntil(after(now, -60_000)?), None, now)?, now).await?;
    let asked = Asked { target: user, issued_at: Some(after(now, -30_000)?) };
    holds(is_stopped(store, asked, now), "an earlier watermark takes nothing from a later one")
}

async fn what_is_over_lends_nothing(
    store: &impl RevocationStore,
    now: Timestamp,
) -> Result<(), RevocationViolation> {
    let user = target(RevocationKind::User, 1);
    let end = after(whole(now)?, 60_000)?;
    store.revoke(&revocation(user, Form::IssuedUntil(now), Some(end), now)?, now).await?;
    let earlier = Form::IssuedUntil(after(now, -600_000)?);
    store.revoke(&revocation(user, earlier, Some(after(end, 60_000)?), end)?, end).await?;
    let asked = |issued: Timestamp| Asked { target: user, issued_at: Some(issued) };
    holds(!is_stopped(store, asked(now), end), "a watermark that is over does not come back with another")?;
    holds(is_stopped(store, asked(after(now, -660_000)?), end), "the other holds")
}

async fn changes_are_idempotent(
    store: &impl RevocationStore,
    now: Timestamp,
) -> Result<(), RevocationViolation> {
    let key = target(RevocationKind::Key, 1);
    let nothing = store.lift(key, Lift::Revocation, &note(now)?, now).await?;
    holds(!nothing.changed, "lifting what is not there changes nothing, and is no error")?;
    let revocation = revocation(key, Form::Total, None, now)?;
    let first = store.revoke(&revocation, now).await?;
    let second = store.revoke(&revocation, now).await?;
    holds(first.changed && !second.changed, "revoking what is revoked changes nothing, and is no error")?;
    let applied = |change: &Changed| store.snapshot().position() >= change.position;
    holds(applied(&first) && applied(&second), "a change is applied here before it is answered")?;
    holds(first.position <= second.position, "positions never go back")?;
    holds(store.health().entries == 1, "one target and form is one entry")?;
    store.lift(key, Lift::Revocation, &note(now)?, now).await?;
    holds(store.health().entries == 0, "what is lifted takes no room")
}

async fn the_first_asked_is_the_answer(
    store: &impl RevocationStore,
    now: Timestamp,
) -> Result<(), RevocationViolation> {
    let (agent, tenant) = (target(RevocationKind::Agent, 1), target(RevocationKind::Tenant, 1));
    let free = target(RevocationKind::User, 1);
    for each in [agent, tenant] {
        store.revoke(&revocation(each, Form::Total, None, now)?, now).await?;
    }
    for order in [[free, agent, tenant], [free, tenant, agent]] {
        let [_, first, _] = order;
        let asked = order.map(|target| Asked { target, issued_at: Some(now) });
        let answer = store.snapshot().ask(&asked, now);
        let right = matches!(answer, Finding::Revoked(revoked) if revoked.target == first);
        holds(right, "of several that are revoked, the first in the order of asking is named")?;
    }
    holds(matches!(store.snapshot().ask(&[], now), Finding::NotRevoked(_)), "nothing asked, nothing revoked")
}

async fn the_list_is_what_holds(
    store: &impl RevocationStore,
    now: Timestamp,
) -> Result<(), RevocationViolation> {
    let end = after(whole(now)?, 60_000)?;
    let mut expected = Vec::new();
    for n in 0..20_u8 {
        let user = target(RevocationKind::User, n);
        let until = (n % 4 == 1).then_some(end);
        let revocation = revocation(user, Form::Total, until, now)?;
        store.revoke(&revocation, now).await?;
        // Twice, some of them: the list has them once.
        if n % 3 == 0 {
            store.revoke(&revocation, now).await?;
        }
        if n % 4 == 2 {
            store.lift(user, Lift::Revocation, &note(now)?, now).await?;
        } else if n % 4 != 1 {
            expected.push(revocation);
        }
    }
    let listed = all_pages(store, 3, end).await?;
    holds(listed.is_sorted_by_key(|standing| standing.position), "the list is in the order of positions")?;
    holds(
        listed.iter().all(|standing| expected.contains(&standing.revocation)),
        "the list has only what holds, as it was ordered",
    )?;
    holds(listed.len() == expected.len(), "the list has each that holds, once")
}

/// Issue 5, point 2: an order tells which replica had it when, and the store what each says of itself.
async fn a_replica_tells_of_itself(
    store: &impl RevocationStore,
    now: Timestamp,
) -> Result<(), RevocationViolation> {
    let key = target(RevocationKind::Key, 1);
    let (revoked, lifted) = (
        store.revoke(&revocation(key, Form::Total, None, now)?, now).await?,
        store.lift(key, Lift::Revocation, &note(now)?, now).await?,
    );
    for changed in [&revoked, &lifted] {
        let [only] = changed.reached.replicas() else {
            return Err(RevocationViolation::Broken("there is one"));
        };
        holds(only.id == store.itself().id() && only.after.is_some(), "it has the change, and says when")?;
        holds(changed.behind() == 0 && changed.reached.unlisted() == 0, "nobody else is waited for")?;
    }
    store.itself().report(b"all well").or(Err(RevocationViolation::Broken("a short report is one")))?;
    let fleet = store.fleet().await;
    let [only] = fleet.replicas.as_slice() else { return Err(RevocationViolation::Broken("there is one")) };
    holds(fleet.current && only.itself && only.id == store.itself().id(), "it is itself")?;
    holds(only.report == Report::Said(b"all well".as_slice().into()), "it says what it was given to say")?;
    holds(fleet.position == Some(only.position) && only.position >= lifted.position, "it is up to date")?;
    store.itself().report(b"").or(Err(RevocationViolation::Broken("an empty report is one")))?;
    let fleet = store.fleet().await;
    holds(fleet.replicas.iter().all(|one| one.report == Report::Nothing), "it may take that back")
}

async fn the_bound_refuses_the_new(
    store: &impl RevocationStore,
    now: Timestamp,
) -> Result<(), RevocationViolation> {
    let user = |n| target(RevocationKind::User, n);
    let end = after(whole(now)?, 60_000)?;
    for n in 1..=3 {
        store.revoke(&revocation(user(n), Form::Total, (n == 3).then_some(end), now)?, now).await?;
    }
    let fourth = revocation(user(4), Form::Total, None, now)?;
    let refused = store.revoke(&fourth, now).await;
    holds(refused == Err(RevocationError::Full), "at the bound a new revocation is refused")?;
    passes(store, user(4), now, "what was refused does not hold")?;
    for n in 1..=3 {
        stopped(store, user(n), now, "at the bound nothing is dropped")?;
    }
    store.revoke(&revocation(user(1), Form::Total, None, now)?, now).await?;
    for _ in 0..1_000 {
        store.tend(end).await?;
    }
    store.revoke(&fourth, end).await?;
    stopped(store, user(4), end, "what is over leaves its room")
}

/// Every page of the list.
async fn all_pages(
    store: &impl RevocationStore,
    limit: u16,
    now: Timestamp,
) -> Result<Vec<InForce>, RevocationViolation> {
    let limit = NonZeroU16::new(limit).unwrap_or(NonZeroU16::MIN);
    let (mut listed, mut after) = (Vec::new(), Position::default());
    loop {
        let page = store.list(after, limit, now).await?;
        holds(page.standing.len() <= usize::from(limit.get()), "a page is no longer than asked")?;
        listed.extend(page.standing);
        match page.next {
            None => return Ok(listed),
            Some(next) if next <= after => return Err(RevocationViolation::Broken("a list goes on")),
            Some(next) => after = next,
        }
    }
}

fn target(kind: RevocationKind, n: u8) -> Target {
    // Spread, as digests are.
    Target { kind, digest: [n.wrapping_mul(83).wrapping_add(7); 16] }
}

fn revocation(
    target: Target,
    form: Form,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<Revocation, RevocationViolation> {
    Ok(Revocation { target, form, until, note: note(now)? })
}

fn note(now: Timestamp) -> Result<Note, RevocationViolation> {
    Note::new("corp:a".to_owned(), "contract".to_owned(), "local:0".to_owned(), whole(now)?)
        .or(Err(RevocationViolation::Broken("a short note is a note")))
}

fn form(store: &impl RevocationStore, target: Target, now: Timestamp) -> Option<Form> {
    match store.snapshot().ask(&[Asked { target, issued_at: Some(now) }], now) {
        Finding::Revoked(revoked) => Some(revoked.form),
        Finding::NotRevoked(_) | Finding::Unknown(_) => None,
    }
}

fn is_stopped(store: &impl RevocationStore, asked: Asked, now: Timestamp) -> bool {
    matches!(store.snapshot().ask(&[asked], now), Finding::Revoked(_))
}

fn stopped(
    store: &impl RevocationStore,
    target: Target,
    now: Timestamp,
    rule: &'static str,
) -> Result<(), RevocationViolation> {
    holds(is_stopped(store, Asked { target, issued_at: Some(now) }, now), rule)
}

fn passes(
    store: &impl RevocationStore,
    target: Target,
    now: Timestamp,
    rule: &'static str,
) -> Result<(), RevocationViolation> {
    let answer = store.snapshot().ask(&[Asked { target, issued_at: Some(now) }], now);
    holds(matches!(answer, Finding::NotRevoked(_)), rule)
}

fn holds(is_so: bool, rule: &'static str) -> Result<(), RevocationViolation> {
    if is_so { Ok(()) } else { Err(RevocationViolation::Broken(rule)) }
}

fn whole(instant: Timestamp) -> Result<Timestamp, RevocationViolation> {
    Timestamp::from_second(instant.as_second()).or(Err(RevocationViolation::Broken("the start is no time")))
}

fn after(instant: Timestamp, milliseconds: i64) -> Result<Timestamp, RevocationViolation> {
    instant
        .checked_add(SignedDuration::from_millis(milliseconds))
        .or(Err(RevocationViolation::Broken("the start leaves no room for the contract's times")))
}
