//! What any store of overrides must do, as checks to run against a real one.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};

use jiff::{SignedDuration, Timestamp};

use crate::limit::{Limit, Period, Quota, Rate, RatePer};
use crate::overrides::{LimitOverride, OverrideError, OverridePlace, OverrideStore, Whose};
use crate::revocation::Note;

/// How a store broke the contract.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideViolation {
    /// The store failed where it should have done something.
    #[error("the store failed: {0}")]
    Store(#[from] OverrideError),
    /// A promise was not kept.
    #[error("{0}")]
    Broken(&'static str),
}

/// Runs every check. `make` opens an empty store that knows of its emptiness, for so many overrides.
///
/// # Errors
/// The first violation found.
pub async fn check<S: OverrideStore>(
    start: Timestamp,
    make: impl AsyncFn(usize) -> Result<S, OverrideError>,
) -> Result<(), OverrideViolation> {
    it_counts_for_whom_it_is_set(&make(100).await?, start).await?;
    the_later_stands(&make(100).await?, start).await?;
    an_end_is_exclusive(&make(100).await?, start).await?;
    changes_are_idempotent(&make(100).await?, start).await?;
    the_list_is_what_stands(&make(100).await?, start).await?;
    the_bound_refuses_the_new(&make(2).await?, start).await
}

async fn it_counts_for_whom_it_is_set(
    store: &impl OverrideStore,
    now: Timestamp,
) -> Result<(), OverrideViolation> {
    let (agent, tenant) = (place("r", Whose::Agent("corp:a".to_owned()))?, tenant("r", "acme")?);
    counts(store, now, None, "the configured limit counts")?;
    store.set(&order(&tenant, rate(2)?, None, now)?, now).await?;
    counts(store, now, Some(rate(2)?), "its tenant's counts")?;
    store.set(&order(&agent, rate(1)?, None, now)?, now).await?;
    counts(store, now, Some(rate(1)?), "its own counts first")?;
    let known = store.overrides().known().or(Err(OverrideError::Unknown))?;
    let others = known.instead_of("r", &rate(9)?, Some("corp:b"), Some("other"), now);
    holds(others.is_none(), "it counts for nobody else")?;
    store.take_back(&agent, &note(now)?, now).await?;
    counts(store, now, Some(rate(2)?), "what was taken back counts no more")?;
    store.take_back(&tenant, &note(now)?, now).await?;
    counts(store, now, None, "the configured limit counts again")
}

async fn the_later_stands(store: &impl OverrideStore, now: Timestamp) -> Result<(), OverrideViolation> {
    let place = tenant("r", "acme")?;
    for count in [5, 3, 7] {
        store.set(&order(&place, rate(count)?, None, now)?, now).await?;
        counts(store, now, Some(rate(count)?), "the later stands, lower or higher")?;
    }
    let earlier = sooner(now)?;
    store.set(&order(&place, rate(4)?, None, earlier)?, earlier).await?;
    counts(store, now, Some(rate(4)?), "the later stands, whatever the clock says")?;
    store.take_back(&place, &note(earlier)?, earlier).await?;
    counts(store, now, None, "the later stands, also one that takes back")?;
    let quota = Quota::new(NonZeroU64::MIN, Period::Day).map(Limit::Quota).ok_or(BROKEN)?;
    store.set(&order(&place, quota, None, now)?, now).await?;
    counts(store, now, None, "one of another kind counts for nothing")
}

async fn an_end_is_exclusive(store: &impl OverrideStore, now: Timestamp) -> Result<(), OverrideViolation> {
    let until = now.checked_add(SignedDuration::from_secs(10)).or(Err(BROKEN))?;
    let place = tenant("r", "acme")?;
    store.set(&order(&place, rate(1)?, Some(until), now)?, now).await?;
    let before = until.checked_sub(SignedDuration::from_nanos(1)).or(Err(BROKEN))?;
    counts(store, before, Some(rate(1)?), "it counts until its end")?;
    counts(store, until, None, "at its end it counts no more")?;
    holds(store.list(None, NonZeroU16::MAX, until)?.is_empty(), "nor is it listed")?;
    let done = store.take_back(&place, &note(until)?, until).await?;
    holds(!done.changed, "to take back what is over changes nothing")
}

async fn changes_are_idempotent(store: &impl OverrideStore, now: Timestamp) -> Result<(), OverrideViolation> {
    let place = tenant("r", "acme")?;
    holds(!store.take_back(&place, &note(now)?, now).await?.changed, "what is not there is not taken back")?;
    let order = order(&place, rate(1)?, None, now)?;
    holds(store.set(&order, now).await?.changed, "the first changes something")?;
    holds(!store.set(&order, now).await?.changed, "the same again does not")?;
    holds(store.take_back(&place, &note(now)?, now).await?.changed, "to take it back does")?;
    holds(!store.take_back(&place, &note(now)?, now).await?.changed, "and again does not")
}

async fn the_list_is_what_stands(
    store: &impl OverrideStore,
    now: Timestamp,
) -> Result<(), OverrideViolation> {
    let (mut places, two) = (Vec::new(), NonZeroU16::MIN.saturating_add(1));
    for (limit, name) in [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("b", "z")] {
        let place = tenant(limit, name)?;
        store.set(&order(&place, rate(1)?, None, now)?, now).await?;
        places.push(place);
    }
    let gone = tenant("a", "y")?;
    store.take_back(&gone, &note(now)?, now).await?;
    places.retain(|place| *place != gone);
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.list(after.as_ref(), two, now)?;
        holds(page.len() <= 2, "a page is as long as it was asked for at most")?;
        holds(page.iter().all(|found| found.note.reason() == "because"), "the note is kept")?;
        let Some(last) = page.last() else { break };
        after = Some(last.place.clone());
        listed.extend(page.into_iter().map(|found| found.place));
    }
    holds(listed == places, "the list is what stands, in order, each once")
}

async fn the_bound_refuses_the_new(
    store: &impl OverrideStore,
    now: Timestamp,
) -> Result<(), OverrideViolation> {
    let places = [tenant("r", "a")?, tenant("r", "b")?, tenant("r", "c")?];
    let [one, two, three] = &places;
    for place in [one, two] {
        store.set(&order(place, rate(1)?, None, now)?, now).await?;
    }
    let refused = store.set(&order(three, rate(1)?, None, now)?, now).await;
    holds(refused == Err(OverrideError::Full), "there is no room for a third")?;
    store.set(&order(one, rate(2)?, None, now)?, now).await?;
    holds(store.list(None, NonZeroU16::MAX, now)?.len() == 2, "what there is can be changed")
}

const BROKEN: OverrideViolation = OverrideViolation::Broken("the check itself makes no sense");

fn counts(
    store: &impl OverrideStore,
    now: Timestamp,
    expected: Option<Limit>,
    promise: &'static str,
) -> Result<(), OverrideViolation> {
    let known = store.overrides().known().or(Err(OverrideError::Unknown))?;
    let found = known.instead_of("r", &rate(9)?, Some("corp:a"), Some("acme"), now);
    holds(found == expected, promise)
}

fn holds(held: bool, promise: &'static str) -> Result<(), OverrideViolation> {
    if held { Ok(()) } else { Err(OverrideViolation::Broken(promise)) }
}

fn sooner(now: Timestamp) -> Result<Timestamp, OverrideViolation> {
    now.checked_sub(SignedDuration::from_secs(60)).or(Err(BROKEN))
}

fn place(limit: &str, whose: Whose) -> Result<OverridePlace, OverrideViolation> {
    OverridePlace::new(limit, whose).ok_or(BROKEN)
}

fn tenant(limit: &str, name: &str) -> Result<OverridePlace, OverrideViolation> {
    place(limit, Whose::Tenant(name.to_owned()))
}

fn rate(count: u32) -> Result<Limit, OverrideViolation> {
    let count = NonZeroU32::new(count).ok_or(BROKEN)?;
    Rate::new(count, RatePer::Second, count).map(Limit::Rate).ok_or(BROKEN)
}

fn note(now: Timestamp) -> Result<Note, OverrideViolation> {
    Note::new("acme".to_owned(), "because".to_owned(), "local:0".to_owned(), now).or(Err(BROKEN))
}

fn order(
    place: &OverridePlace,
    figure: Limit,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<LimitOverride, OverrideViolation> {
    Ok(LimitOverride { place: place.clone(), figure, until, note: note(now)? })
}
