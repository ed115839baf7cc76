//! What any store of attributes must do, as checks to run against a real one (V08).

use std::num::NonZeroU16;

use jiff::{SignedDuration, Timestamp};

use crate::attributes::{
    Assurance, Attribute, AttributeError, AttributeStore, DeviceCompliance, MAX_AHEAD, MAX_ATTRIBUTE_LIFE,
    OfSubject, RiskLevel, SubjectAttribute,
};
use crate::revocation::{Note, RevocationKind, Target};

/// How a store broke the contract.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeViolation {
    /// The store failed where it should have done something.
    #[error("the store failed: {0}")]
    Store(#[from] AttributeError),
    /// A promise was not kept.
    #[error("{0}")]
    Broken(&'static str),
}

/// Runs every check. `make` opens an empty store that knows of its emptiness, for so many attributes.
///
/// # Errors
/// The first violation found.
pub async fn check<S: AttributeStore>(
    start: Timestamp,
    make: impl AsyncFn(usize) -> Result<S, AttributeError>,
) -> Result<(), AttributeViolation> {
    each_subject_has_its_own(&make(100).await?, start).await?;
    the_later_event_counts_whoever_comes_first(&make(100).await?, start).await?;
    at_one_instant_the_worse_counts(&make(100).await?, start).await?;
    an_end_is_exclusive(&make(100).await?, start).await?;
    what_is_over_is_remembered_for_a_day(&make(100).await?, start).await?;
    what_is_too_far_is_refused(&make(100).await?, start).await?;
    the_list_is_what_is_in_force(&make(100).await?, start).await?;
    the_bound_refuses_the_new(&make(2).await?, start).await
}

async fn each_subject_has_its_own(
    store: &impl AttributeStore,
    now: Timestamp,
) -> Result<(), AttributeViolation> {
    let (user, agent) = (subject(RevocationKind::User, 1), subject(RevocationKind::Agent, 1));
    holds(of(store, user, now)? == OfSubject::default(), "nobody has what nobody said")?;
    for told in [risk(RiskLevel::High), Attribute::Device(DeviceCompliance::NotCompliant), aal("1")?] {
        let done = store.set(&event(user, told, now, 60)?, now).await?;
        holds(done.changed, "what is new changes something")?;
    }
    store.set(&event(user, assurance("ial", "2")?, now, 60)?, now).await?;
    let expected = OfSubject {
        risk: Some(RiskLevel::High),
        device: Some(DeviceCompliance::NotCompliant),
        assurance: vec![Assurance::new("aal", "1").ok_or(BROKEN)?, Assurance::new("ial", "2").ok_or(BROKEN)?],
    };
    holds(of(store, user, now)? == expected, "each attribute is apart, and each namespace")?;
    holds(
        of(store, agent, now)? == OfSubject::default(),
        "another kind with the same digest has none of it",
    )?;
    holds(of(store, subject(RevocationKind::User, 2), now)? == OfSubject::default(), "nor has another")
}

async fn the_later_event_counts_whoever_comes_first(
    store: &impl AttributeStore,
    now: Timestamp,
) -> Result<(), AttributeViolation> {
    let session = subject(RevocationKind::Session, 1);
    let told = async |level: RiskLevel, at: i64| {
        store.set(&event(session, risk(level), after(now, at)?, 60)?, now).await.map_err(Into::into)
    };
    let is = |level| Ok::<_, AttributeViolation>(of(store, session, now)?.risk == Some(level));
    told(RiskLevel::Medium, -20).await?;
    holds(told(RiskLevel::Low, -10).await?.changed && is(RiskLevel::Low)?, "a later event counts")?;
    let late: Result<_, AttributeViolation> = told(RiskLevel::High, -15).await;
    holds(!late?.changed && is(RiskLevel::Low)?, "an earlier one that comes later changes nothing")?;
    holds(!told(RiskLevel::Low, -10).await?.changed, "the same again changes nothing, and is no error")?;
    holds(told(RiskLevel::High, -5).await?.changed && is(RiskLevel::High)?, "and a later one counts again")
}

async fn at_one_instant_the_worse_counts(
    store: &impl AttributeStore,
    now: Timestamp,
) -> Result<(), AttributeViolation> {
    let (one, other) = (subject(RevocationKind::User, 1), subject(RevocationKind::User, 2));
    let (bad, good) = (risk(RiskLevel::High), risk(RiskLevel::Low));
    for (subject, order) in [(one, [&bad, &good]), (other, [&good, &bad])] {
        for attribute in order {
            store.set(&event(subject, attribute.clone(), now, 60)?, now).await?;
        }
        holds(of(store, subject, now)?.risk == Some(RiskLevel::High), "at one instant the worse counts")?;
    }
    let (a, b) = (assurance("aal", "1")?, assurance("aal", "2")?);
    for (subject, order) in [(one, [&a, &b]), (other, [&b, &a])] {
        for attribute in order {
            store.set(&event(subject, attribute.clone(), now, 60)?, now).await?;
        }
    }
    holds(of(store, one, now)? == of(store, other, now)?, "whichever comes first, it comes to the same")
}

async fn an_end_is_exclusive(store: &impl AttributeStore, now: Timestamp) -> Result<(), AttributeViolation> {
    let user = subject(RevocationKind::User, 1);
    store.set(&event(user, risk(RiskLevel::High), now, 10)?, now).await?;
    let end = after(now, 10)?;
    let before = end.checked_sub(SignedDuration::from_micros(1)).or(Err(BROKEN))?;
    holds(of(store, user, before)?.risk.is_some(), "it holds to its end")?;
    holds(of(store, user, end)? == OfSubject::default(), "at its end it holds no more")?;
    holds(store.list(None, NonZeroU16::MAX, end)?.is_empty(), "nor is it listed")
}

async fn what_is_over_is_remembered_for_a_day(
    store: &impl AttributeStore,
    now: Timestamp,
) -> Result<(), AttributeViolation> {
    let user = subject(RevocationKind::User, 1);
    store.set(&event(user, risk(RiskLevel::Low), now, 10)?, now).await?;
    let later = after(now, 20)?;
    let earlier = event(user, risk(RiskLevel::High), after(now, -5)?, 600)?;
    holds(
        !store.set(&earlier, later).await?.changed,
        "an earlier event is not told after a later that is over",
    )?;
    holds(of(store, user, later)? == OfSubject::default(), "nor does it come into force")?;
    store.tend(after(now, 24 * 3600)?)?;
    holds(store.subjects().count() == 1, "so it is remembered for a day")?;
    store.tend(after(now, 26 * 3600)?)?;
    holds(store.subjects().count() == 0, "and no longer")
}

async fn what_is_too_far_is_refused(
    store: &impl AttributeStore,
    now: Timestamp,
) -> Result<(), AttributeViolation> {
    let user = subject(RevocationKind::User, 1);
    let (ahead, life) = (MAX_AHEAD.as_secs(), MAX_ATTRIBUTE_LIFE.as_secs());
    for (at, span) in [(ahead.saturating_add(1), 1), (0, life.saturating_add(1))] {
        let event = event(user, risk(RiskLevel::High), after(now, at)?, span)?;
        let told = store.set(&event, now).await;
        holds(told == Err(AttributeError::TooFar), "what is too far ahead, or lasts too long, is refused")?;
    }
    holds(store.subjects().count() == 0, "and not kept")
}

async fn the_list_is_what_is_in_force(
    store: &impl AttributeStore,
    now: Timestamp,
) -> Result<(), AttributeViolation> {
    for n in 0..5 {
        let span = if n == 3 { 1 } else { 60 };
        store.set(&event(subject(RevocationKind::User, n), risk(RiskLevel::Medium), now, span)?, now).await?;
    }
    let (two, then) = (NonZeroU16::MIN.saturating_add(1), after(now, 2)?);
    let (mut listed, mut last) = (Vec::new(), None);
    loop {
        let page = store.list(last.as_ref(), two, then)?;
        holds(page.len() <= 2, "a page is as long as it was asked for at most")?;
        let Some(end) = page.last() else { break };
        last = Some(end.clone());
        listed.extend(page);
    }
    holds(listed.len() == 4, "the list is what is in force, each once")?;
    holds(listed.iter().all(|one| one.note.reason() == "because" && one.at == now), "as it was told")
}

async fn the_bound_refuses_the_new(
    store: &impl AttributeStore,
    now: Timestamp,
) -> Result<(), AttributeViolation> {
    let user = |n| subject(RevocationKind::User, n);
    for n in [1, 2] {
        store.set(&event(user(n), risk(RiskLevel::Low), now, 10)?, now).await?;
    }
    let third = event(user(3), risk(RiskLevel::High), now, 60)?;
    holds(store.set(&third, now).await == Err(AttributeError::Full), "there is no room for a third")?;
    holds(of(store, user(3), now)? == OfSubject::default(), "what was refused is not in force")?;
    let later = after(now, 1)?;
    store.set(&event(user(1), risk(RiskLevel::High), later, 10)?, later).await?;
    holds(of(store, user(1), later)?.risk == Some(RiskLevel::High), "what there is can be changed")
}

const BROKEN: AttributeViolation = AttributeViolation::Broken("the check itself makes no sense");

fn of(store: &impl AttributeStore, subject: Target, now: Timestamp) -> Result<OfSubject, AttributeViolation> {
    let [found] = store.subjects().ask([Some(&subject)], true, now).or(Err(AttributeError::Unknown))?;
    Ok(found)
}

fn holds(held: bool, promise: &'static str) -> Result<(), AttributeViolation> {
    if held { Ok(()) } else { Err(AttributeViolation::Broken(promise)) }
}

fn subject(kind: RevocationKind, n: u8) -> Target {
    Target { kind, digest: [n.wrapping_mul(83).wrapping_add(7); 16] }
}

fn risk(level: RiskLevel) -> Attribute {
    Attribute::Risk(level)
}

fn assurance(namespace: &str, level: &str) -> Result<Attribute, AttributeViolation> {
    Assurance::new(namespace, level).map(Attribute::Assurance).ok_or(BROKEN)
}

fn aal(level: &str) -> Result<Attribute, AttributeViolation> {
    assurance("aal", level)
}

fn event(
    subject: Target,
    attribute: Attribute,
    at: Timestamp,
    span: i64,
) -> Result<SubjectAttribute, AttributeViolation> {
    let note = Note::new("corp:a".to_owned(), "because".to_owned(), "corp".to_owned(), at).or(Err(BROKEN))?;
    SubjectAttribute::new(subject, attribute, (at, after(at, span)?), note).ok_or(BROKEN)
}

fn after(instant: Timestamp, seconds: i64) -> Result<Timestamp, AttributeViolation> {
    instant.checked_add(SignedDuration::from_secs(seconds)).or(Err(BROKEN))
}
