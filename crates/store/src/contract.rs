//! What any store must do, as checks to run against a real one.
//!
//! Each check makes its own empty stores with the function it is given and moves the time by argument. Together
//! they state the promise of [`AdmissionStore`]; what a store adds to it is tested beside that store.

pub mod attributes;
mod limits;
pub mod overrides;
pub mod revocation;

use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};

use crate::admission::{AdmissionStore, Scope, StoreError};
use crate::limit::ChargeOutcome;
use crate::replay::{Bound, Claim, ClaimOutcome, Epoch, ReplayKey, ReplayLimits};

/// How a store broke the contract.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractViolation {
    /// The store failed where it should have answered.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// The store answered otherwise than it must.
    #[error("{rule}: got {got:?}")]
    Outcome {
        /// The promise, in a sentence.
        rule: &'static str,
        /// What the store said instead.
        got: ClaimOutcome,
    },
    /// The store charged otherwise than it must.
    #[error("{rule}: got {got:?}")]
    Charges {
        /// The promise, in a sentence.
        rule: &'static str,
        /// What the store said instead.
        got: ChargeOutcome,
    },
    /// Something else than an outcome is wrong.
    #[error("{0}")]
    Broken(&'static str),
}

/// How long the contract's proofs live, past their issue.
const LIFE: SignedDuration = SignedDuration::from_secs(65);
/// The contract's future tolerance plus skew.
const DOUBT: SignedDuration = SignedDuration::from_secs(15);
/// Where the contract's proofs are claimed, unless it says otherwise.
const SCOPE: Scope = Scope([201; 16]);
/// How much later than its last instant an entry must be gone.
const GRACE: SignedDuration = SignedDuration::from_secs(1);

/// Runs every check that each store must pass. `make` opens an empty store that knows nothing from before the instant it
/// is given.
///
/// # Errors
/// The first violation found.
pub async fn check<S: AdmissionStore>(
    start: Timestamp,
    make: impl AsyncFn(ReplayLimits, Timestamp) -> Result<S, StoreError>,
) -> Result<(), ContractViolation> {
    let limits = ReplayLimits::default();
    let make = async |limits, start| {
        let store = make(limits, start).await?;
        begin(&store, SCOPE, start).await?;
        Ok::<_, ContractViolation>(store)
    };
    a_proof_is_fresh_once(&make(limits, start).await?, start).await?;
    an_entry_lives_to_its_last_instant(&make(limits, start).await?, start).await?;
    what_is_over_is_neither_new_nor_used(&make(limits, start).await?, start).await?;
    what_is_too_far_ahead_is_not_taken(&make(limits, start).await?, start).await?;
    a_young_store_doubts(&make(limits, start).await?, start).await?;
    a_doubtful_claim_writes_nothing(&make(limits, start).await?, start).await?;
    a_store_has_its_own_epoch(&make(limits, start).await?, &make(limits, start).await?, start).await?;
    for bound in [Bound::Key, Bound::Tenant] {
        a_bound_refuses_the_new_and_keeps_the_live(&make(three(limits, bound), start).await?, start, bound)
            .await?;
    }
    limits::check(start, async || make(limits, start).await).await
}

/// Runs the checks that only a store can pass which counts what it holds: bounds are exact, also that of the whole store.
/// A store without that refuses too early after a burst, and is full when its machine is.
///
/// # Errors
/// The first violation found.
pub async fn check_exact_bounds<S: AdmissionStore>(
    start: Timestamp,
    make: impl AsyncFn(ReplayLimits, Timestamp) -> Result<S, StoreError>,
) -> Result<(), ContractViolation> {
    for bound in [Bound::Key, Bound::Tenant, Bound::Global] {
        let store = make(three(ReplayLimits::default(), bound), start).await?;
        what_is_over_leaves_its_room(&store, start, bound).await?;
    }
    Ok(())
}

/// D18: single use, of the whole key: the same proof under another holder is still the same proof.
async fn a_proof_is_fresh_once(
    store: &impl AdmissionStore,
    start: Timestamp,
) -> Result<(), ContractViolation> {
    let now = known_from(start)?;
    let first = proof(1, now)?;
    fresh(store, &first, now, "an unknown proof is fresh").await?;
    replayed(store, &first, now, "a known proof is replayed").await?;
    replayed(store, &first, now, "a proof stays replayed").await?;
    let mut moved = first.clone();
    moved.key.holder = [9; 16];
    moved.issued_at = after(now, SignedDuration::from_secs(1))?;
    moved.live_until = after(moved.issued_at, LIFE)?;
    replayed(store, &moved, now, "a known proof is replayed whatever else its claim says").await?;
    fresh(store, &proof(2, now)?, now, "another proof of the same holder is fresh").await
}

/// G08: an entry outlives every instant at which its proof could pass, and not by more than a second.
async fn an_entry_lives_to_its_last_instant(
    store: &impl AdmissionStore,
    start: Timestamp,
) -> Result<(), ContractViolation> {
    let now = known_from(start)?;
    let early = proof(1, now)?;
    let ahead = proof(2, after(now, SignedDuration::from_secs(10))?)?;
    fresh(store, &early, now, "an unknown proof is fresh").await?;
    fresh(store, &ahead, now, "a proof from slightly ahead is fresh").await?;
    replayed(store, &early, early.live_until, "an entry lives to its last instant, inclusive").await?;
    expect_live(store, early.live_until, 2).await?;
    let later = after(early.live_until, GRACE)?;
    replayed(store, &ahead, later, "each entry has its own last instant").await?;
    replayed(store, &ahead, ahead.live_until, "a proof from ahead does not outlive its entry").await?;
    expect_live(store, ahead.live_until, 1).await?;
    expect_live(store, after(ahead.live_until, GRACE)?, 0).await
}

async fn what_is_over_is_neither_new_nor_used(
    store: &impl AdmissionStore,
    start: Timestamp,
) -> Result<(), ContractViolation> {
    let issued = known_from(start)?;
    let claim = proof(1, issued)?;
    fresh(store, &claim, claim.live_until, "a proof is fresh at its last instant").await?;
    let over = after(claim.live_until, GRACE)?;
    expect(store, &claim, over, |got| *got == ClaimOutcome::Expired, "a used proof that is over is expired")
        .await?;
    let unused = proof(2, issued)?;
    expect(
        store,
        &unused,
        over,
        |got| *got == ClaimOutcome::Expired,
        "an unused proof that is over is expired",
    )
    .await
}

/// C-10: a proof from further ahead than the span of doubt would escape the doubt after a loss.
async fn what_is_too_far_ahead_is_not_taken(
    store: &impl AdmissionStore,
    start: Timestamp,
) -> Result<(), ContractViolation> {
    let now = known_from(start)?;
    let epoch = store.epoch(SCOPE, now).await?;
    let ahead = after(after(now, DOUBT)?, SignedDuration::from_millis(1))?;
    for nonce_epoch in [None, Some(epoch)] {
        let claim = Claim { nonce_epoch, ..proof(1, ahead)? };
        let rule = "a proof from too far ahead is not taken";
        expect(store, &claim, now, |got| *got == ClaimOutcome::Expired, rule).await?;
    }
    fresh(store, &proof(2, after(now, DOUBT)?)?, now, "one from just as far ahead as may be is").await
}

/// G11: a store that may have forgotten says so, to the instant, unless the nonce is of its epoch.
async fn a_young_store_doubts(
    store: &impl AdmissionStore,
    start: Timestamp,
) -> Result<(), ContractViolation> {
    let epoch = store.epoch(SCOPE, start).await?;
    let doubtful = |got: &ClaimOutcome| *got == ClaimOutcome::Doubtful { epoch };
    let last_doubtful = after(start, DOUBT)?;
    let now = last_doubtful;
    expect(store, &proof(1, start)?, now, doubtful, "a proof from the start is doubtful").await?;
    expect(store, &proof(2, last_doubtful)?, now, doubtful, "the span of doubt is inclusive").await?;
    let first_known = after(last_doubtful, SignedDuration::from_millis(1))?;
    fresh(store, &proof(3, first_known)?, now, "a proof from after the span is known").await?;

    let foreign = Claim { nonce_epoch: Some(epoch.map(|byte| !byte)), ..proof(4, start)? };
    expect(store, &foreign, now, doubtful, "a nonce of another epoch takes no doubt away").await?;
    let current = Claim { nonce_epoch: Some(epoch), ..proof(4, start)? };
    fresh(store, &current, now, "a nonce of the epoch takes the doubt away").await?;
    replayed(store, &current, now, "a nonce is no licence to repeat").await?;
    expect(store, &proof(4, start)?, now, doubtful, "doubt comes before replay").await?;
    let known = Claim { nonce_epoch: Some([0; 16]), ..proof(5, first_known)? };
    fresh(store, &known, now, "without doubt a nonce's epoch does not matter").await
}

/// A doubtful proof is followed up by the same key with a new proof, and must not have spent anything.
async fn a_doubtful_claim_writes_nothing(
    store: &impl AdmissionStore,
    start: Timestamp,
) -> Result<(), ContractViolation> {
    let epoch = store.epoch(SCOPE, start).await?;
    let claim = proof(1, start)?;
    let doubtful = |got: &ClaimOutcome| *got == ClaimOutcome::Doubtful { epoch };
    expect(store, &claim, start, doubtful, "a proof from the start is doubtful").await?;
    expect_live(store, start, 0).await?;
    fresh(store, &Claim { nonce_epoch: Some(epoch), ..claim }, start, "a doubtful claim has spent nothing")
        .await
}

async fn a_store_has_its_own_epoch(
    one: &impl AdmissionStore,
    other: &impl AdmissionStore,
    start: Timestamp,
) -> Result<(), ContractViolation> {
    let epoch = one.epoch(SCOPE, start).await?;
    if epoch == other.epoch(SCOPE, start).await? {
        return Err(ContractViolation::Broken("two memories share an epoch"));
    }
    if epoch != one.epoch(SCOPE, after(start, LIFE)?).await? {
        return Err(ContractViolation::Broken("an epoch changed although nothing was forgotten"));
    }
    Ok(())
}

/// C-20: three live proofs fill the bound; the fourth is refused, the three stay, another account goes on.
async fn a_bound_refuses_the_new_and_keeps_the_live(
    store: &impl AdmissionStore,
    start: Timestamp,
    bound: Bound,
) -> Result<(), ContractViolation> {
    let now = known_from(start)?;
    let full = |got: &ClaimOutcome| *got == ClaimOutcome::Full(bound);
    for n in 1..=6 {
        begin(store, counted_for(bound, n, now)?.0, start).await?;
    }
    let (elsewhere, mut other) = (Scope([101; 16]), proof(101, now)?);
    other.key.holder = [101; 16];
    begin(store, elsewhere, start).await?;
    for n in 1..=3 {
        let (scope, claim) = counted_for(bound, n, now)?;
        expect_in(store, scope, &claim, now, is_fresh, "below the bound a proof is fresh").await?;
    }
    let (scope, claim) = counted_for(bound, 4, now)?;
    expect_in(store, scope, &claim, now, full, "at the bound a proof is refused").await?;
    expect_in(store, scope, &claim, now, full, "what was refused was not used").await?;
    for n in 1..=3 {
        let (scope, claim) = counted_for(bound, n, now)?;
        let replayed = |got: &ClaimOutcome| *got == ClaimOutcome::Replayed;
        expect_in(store, scope, &claim, now, replayed, "at the bound no live entry is evicted").await?;
    }
    match bound {
        Bound::Key | Bound::Tenant => {
            let rule = "a bound holds for its own account only";
            expect_in(store, elsewhere, &other, now, is_fresh, rule).await
        }
        Bound::Global => {
            expect_in(store, elsewhere, &other, now, full, "the bound of the store holds for all").await
        }
    }
}

async fn what_is_over_leaves_its_room(
    store: &impl AdmissionStore,
    start: Timestamp,
    bound: Bound,
) -> Result<(), ContractViolation> {
    a_bound_refuses_the_new_and_keeps_the_live(store, start, bound).await?;
    let later = after(after(known_from(start)?, LIFE)?, GRACE)?;
    let (scope, claim) = counted_for(bound, 6, later)?;
    expect_in(store, scope, &claim, later, is_fresh, "what is over leaves its room").await
}

/// A proof that counts for the same account of this bound as all others. What the bound does not count differs, so that
/// no other bound can be the reason.
fn counted_for(bound: Bound, n: u8, now: Timestamp) -> Result<(Scope, Claim), ContractViolation> {
    let (mut scope, mut claim) = (SCOPE, proof(n, now)?);
    match bound {
        Bound::Key => {}
        Bound::Tenant => claim.key.holder = [n; 16],
        Bound::Global => (claim.key.holder, scope) = ([n; 16], Scope([n; 16])),
    }
    Ok((scope, claim))
}

fn three(limits: ReplayLimits, bound: Bound) -> ReplayLimits {
    let three = NonZeroU32::MIN.saturating_add(2);
    match bound {
        Bound::Key => ReplayLimits { max_per_key: three, ..limits },
        Bound::Tenant => ReplayLimits { max_per_tenant: three, ..limits },
        Bound::Global => ReplayLimits { max_proofs: three, ..limits },
    }
}

/// Lets the memory of a scope begin at `start`: a store may keep one for each.
async fn begin(store: &impl AdmissionStore, scope: Scope, start: Timestamp) -> Result<(), ContractViolation> {
    store.epoch(scope, start).await?;
    Ok(())
}

/// The first instant at which a proof issued then is beyond doubt, and a second's breadth more.
fn known_from(start: Timestamp) -> Result<Timestamp, ContractViolation> {
    after(after(start, DOUBT)?, SignedDuration::from_secs(1))
}

fn proof(n: u8, issued_at: Timestamp) -> Result<Claim, ContractViolation> {
    Ok(Claim {
        key: ReplayKey { proof: [n; 16], holder: [200; 16] },
        issued_at,
        live_until: after(issued_at, LIFE)?,
        nonce_epoch: None::<Epoch>,
        doubt_span: DOUBT,
    })
}

fn after(instant: Timestamp, span: SignedDuration) -> Result<Timestamp, ContractViolation> {
    instant
        .checked_add(span)
        .or(Err(ContractViolation::Broken("the start leaves no room for the contract's times")))
}

fn is_fresh(got: &ClaimOutcome) -> bool {
    matches!(got, ClaimOutcome::Fresh(_))
}

async fn fresh(
    store: &impl AdmissionStore,
    claim: &Claim,
    now: Timestamp,
    rule: &'static str,
) -> Result<(), ContractViolation> {
    expect(store, claim, now, is_fresh, rule).await
}

async fn replayed(
    store: &impl AdmissionStore,
    claim: &Claim,
    now: Timestamp,
    rule: &'static str,
) -> Result<(), ContractViolation> {
    expect(store, claim, now, |got| *got == ClaimOutcome::Replayed, rule).await
}

async fn expect(
    store: &impl AdmissionStore,
    claim: &Claim,
    now: Timestamp,
    holds: impl FnOnce(&ClaimOutcome) -> bool,
    rule: &'static str,
) -> Result<(), ContractViolation> {
    expect_in(store, SCOPE, claim, now, holds, rule).await
}

async fn expect_in(
    store: &impl AdmissionStore,
    scope: Scope,
    claim: &Claim,
    now: Timestamp,
    holds: impl FnOnce(&ClaimOutcome) -> bool,
    rule: &'static str,
) -> Result<(), ContractViolation> {
    let got = store.claim(scope, claim, now).await?;
    if holds(&got) { Ok(()) } else { Err(ContractViolation::Outcome { rule, got }) }
}

async fn expect_live(
    store: &impl AdmissionStore,
    now: Timestamp,
    live: u64,
) -> Result<(), ContractViolation> {
    match store.health(now).await?.live_proofs {
        Some(count) if count != live => Err(ContractViolation::Broken("the count of live proofs is wrong")),
        Some(_) | None => Ok(()),
    }
}
