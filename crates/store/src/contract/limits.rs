//! What any store must do with charges.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{ContractViolation, SCOPE, after, known_from, proof};
use crate::admission::{AdmissionStore, Answer, Ask};
use crate::limit::{
    Charge, ChargeOutcome, Charged, Limit, LimitKey, Period, Quota, Rate, RatePer, Standing, micros,
};
use crate::replay::{Claim, ClaimOutcome};

const BROKEN: ContractViolation = ContractViolation::Broken("the contract's own figures are wrong");

/// Every check; `make` opens an empty store.
pub(super) async fn check<S: AdmissionStore>(
    start: Timestamp,
    make: impl AsyncFn() -> Result<S, ContractViolation>,
) -> Result<(), ContractViolation> {
    let now = known_from(start)?;
    a_rate_lets_its_burst_through(&make().await?, now).await?;
    a_quota_lasts_a_calendar_period(&make().await?, now).await?;
    a_quota_is_given_back_to_its_period(&make().await?, now).await?;
    all_are_charged_or_none(&make().await?, now).await?;
    costs_and_fractions_are_exact(&make().await?, now).await?;
    figures_may_change(&make().await?, now).await?;
    a_lagging_clock_gives_nothing(&make().await?, now).await?;
    the_claim_comes_first(&make().await?, now).await
}

/// L01, L02
async fn a_rate_lets_its_burst_through(
    store: &impl AdmissionStore,
    now: Timestamp,
) -> Result<(), ContractViolation> {
    // One each 100 ms, three at once.
    let charges = [rate(1, 10, 3)?];
    for left in [2, 1, 0] {
        let rule = "a rate lets its burst through, and says what is left";
        let reset = Duration::from_millis(300_u64.saturating_sub(100_u64.saturating_mul(left)));
        expect(passes(store, &charges, now, rule).await?.standings(), &[(3, left, reset, None)], rule)?;
    }
    let rule = "a rate refuses beyond its burst, and says for how long";
    let refused = limited(store, &charges, now, rule).await?;
    let (reset, wait) = (Duration::from_millis(300), Duration::from_millis(100));
    expect(&refused, &[(3, 0, reset, Some(wait))], rule)?;
    passes(store, &[rate(2, 10, 3)?], now, "another key is not charged").await?;
    let early = after(now, SignedDuration::from_micros(99_999))?;
    limited(store, &charges, early, "a microsecond before the wait is over there is no room").await?;
    let then = after(now, SignedDuration::from_millis(100))?;
    passes(store, &charges, then, "what was refused was not charged, and there is room after the wait")
        .await?;
    limited(store, &charges, then, "the room is for one").await?;
    let full = after(then, SignedDuration::from_millis(300))?;
    for _ in 0..3 {
        passes(store, &charges, full, "a bucket fills to its burst").await?;
    }
    limited(store, &charges, full, "and not beyond").await.map(drop)
}

/// By the calendar of UTC, not from the first request on.
async fn a_quota_lasts_a_calendar_period(
    store: &impl AdmissionStore,
    now: Timestamp,
) -> Result<(), ContractViolation> {
    for (n, period) in (1..).zip([Period::Minute, Period::Hour, Period::Day, Period::Month]) {
        let (start, end) = period.bounds(micros(now));
        let (last, next) = (at(end.saturating_sub(1))?, at(end)?);
        let charges = [quota(n, 2, period)?];
        let rule = "a quota is used up by its units";
        let length = Duration::from_micros(end.abs_diff(start));
        let standing = passes(store, &charges, now, rule).await?;
        let left = Duration::from_micros(end.abs_diff(micros(now)));
        expect(standing.standings(), &[(2, 1, left, None)], rule)?;
        if standing.standings().iter().any(|standing| standing.window != length) {
            return Err(ContractViolation::Broken("a quota's window is its period"));
        }
        passes(store, &charges, last, rule).await?;
        let microsecond = Duration::from_micros(1);
        let refused = limited(store, &charges, last, "a quota that is used up refuses").await?;
        expect(&refused, &[(2, 0, microsecond, Some(microsecond))], "a quota comes again with its period")?;
        let rule = "a quota begins anew with its period";
        let standing = passes(store, &charges, next, rule).await?;
        if standing.standings().iter().any(|standing| standing.remaining != 1) {
            return Err(ContractViolation::Charges { rule, got: ChargeOutcome::Charged(standing) });
        }
    }
    Ok(())
}

async fn a_quota_is_given_back_to_its_period(
    store: &impl AdmissionStore,
    now: Timestamp,
) -> Result<(), ContractViolation> {
    let charges = [quota(1, 3, Period::Day)?, rate(2, 1, 5)?];
    let (_, twice) = passes(store, &with_cost(&charges, 2)?, now, "there is room").await?.into_parts();
    store.give_back(twice);
    let rule = "a quota is given back, a rate is not";
    let standing = passes(store, &charges, now, rule).await?;
    let left: Vec<_> = standing.standings().iter().map(|standing| standing.remaining).collect();
    if left != [2, 2] {
        return Err(ContractViolation::Charges { rule, got: ChargeOutcome::Charged(standing) });
    }
    let (_, yesterday) = standing.into_parts();
    let tomorrow = at(Period::Day.bounds(micros(now)).1)?;
    let charges = [quota(1, 3, Period::Day)?];
    passes(store, &charges, tomorrow, "a day begins anew").await?;
    store.give_back(yesterday);
    let rule = "nothing is given back to another period";
    let standing = passes(store, &charges, tomorrow, rule).await?;
    if standing.standings().iter().any(|standing| standing.remaining != 1) {
        return Err(ContractViolation::Charges { rule, got: ChargeOutcome::Charged(standing) });
    }
    Ok(())
}

async fn all_are_charged_or_none(
    store: &impl AdmissionStore,
    now: Timestamp,
) -> Result<(), ContractViolation> {
    let wide = [rate(1, 1, 9)?, quota(2, 9, Period::Day)?];
    let narrow = [rate(1, 1, 9)?, quota(3, 1, Period::Day)?, quota(2, 9, Period::Day)?];
    passes(store, &narrow, now, "there is room").await?;
    let rule = "one limit without room refuses, and the others say that they had some";
    for _ in 0..3 {
        let refused = limited(store, &narrow, now, rule).await?;
        let violated: Vec<_> = refused.iter().map(|standing| standing.wait.is_some()).collect();
        let left: Vec<_> = refused.iter().map(|standing| standing.remaining).collect();
        if violated != [false, true, false] || left != [8, 0, 8] {
            return Err(ContractViolation::Charges { rule, got: ChargeOutcome::Limited(refused) });
        }
    }
    let rule = "a refused request charges nothing to any limit";
    let standing = passes(store, &wide, now, rule).await?;
    if standing.standings().iter().any(|standing| standing.remaining != 7) {
        return Err(ContractViolation::Charges { rule, got: ChargeOutcome::Charged(standing) });
    }
    Ok(())
}

/// Three a second: a third of a microsecond is neither lost nor given.
async fn costs_and_fractions_are_exact(
    store: &impl AdmissionStore,
    now: Timestamp,
) -> Result<(), ContractViolation> {
    let charges = with_cost(&[rate(1, 3, 4)?], 4)?;
    passes(store, &charges, now, "a cost of the whole burst passes").await?;
    let one = [rate(1, 3, 4)?];
    for (early, late) in
        [(333_333, 333_334), (666_666, 666_667), (999_999, 1_000_000), (1_333_333, 1_333_334)]
    {
        let rule = "a unit comes back after a third of a second, rounded up";
        limited(store, &one, after(now, SignedDuration::from_micros(early))?, rule).await?;
        passes(store, &one, after(now, SignedDuration::from_micros(late))?, rule).await?;
    }
    let later = after(now, SignedDuration::from_secs(10))?;
    let rule = "a cost above the burst never passes";
    let refused = limited(store, &with_cost(&one, 5)?, later, rule).await?;
    if refused.iter().any(|standing| standing.remaining != 4 || standing.wait.is_none()) {
        return Err(ContractViolation::Charges { rule, got: ChargeOutcome::Limited(refused) });
    }
    Ok(())
}

async fn figures_may_change(store: &impl AdmissionStore, now: Timestamp) -> Result<(), ContractViolation> {
    for _ in 0..4 {
        passes(store, &[quota(1, 4, Period::Day)?], now, "there is room").await?;
    }
    limited(store, &[quota(1, 4, Period::Day)?], now, "a quota that is used up refuses").await?;
    limited(store, &[quota(1, 2, Period::Day)?], now, "fewer units do not begin anew").await?;
    let rule = "more units do not begin anew";
    let standing = passes(store, &[quota(1, 6, Period::Day)?], now, rule).await?;
    if standing.standings().iter().any(|standing| standing.remaining != 1) {
        return Err(ContractViolation::Charges { rule, got: ChargeOutcome::Charged(standing) });
    }
    // What a faster rate has used up, a slower one still misses.
    passes(store, &with_cost(&[rate(2, 1, 5)?], 5)?, now, "there is room").await?;
    let rule = "a bucket is full again when it would have been";
    let refused = limited(store, &with_cost(&[rate_per(2, 1, RatePer::Minute, 1)?], 1)?, now, rule).await?;
    expect(&refused, &[(1, 0, Duration::from_secs(5), Some(Duration::from_secs(5)))], rule)
}

/// Requests read the clock before they come, in no order.
async fn a_lagging_clock_gives_nothing(
    store: &impl AdmissionStore,
    now: Timestamp,
) -> Result<(), ContractViolation> {
    let lagging = after(now, SignedDuration::from_millis(-500))?;
    let charges = [rate(1, 1, 4)?];
    for now in [lagging, now, lagging, now] {
        passes(store, &charges, now, "there is room").await?;
    }
    for now in [now, lagging, now, lagging] {
        limited(store, &charges, now, "a clock that goes to and fro refills nothing").await?;
    }
    Ok(())
}

/// C-08: a replay charges nothing; a limited request has spent its proof.
async fn the_claim_comes_first(store: &impl AdmissionStore, now: Timestamp) -> Result<(), ContractViolation> {
    let charges = [quota(1, 2, Period::Day)?, rate(2, 1, 5)?];
    let [first, second, third] = [proof(1, now)?, proof(2, now)?, proof(3, now)?];
    let with = async |claim: &Claim| ask(store, Some(claim), &charges, now).await;
    let rule = "a fresh proof is claimed, and its request charged";
    let answer = with(&first).await?;
    if !matches!(answer, Answer { claim: Some(ClaimOutcome::Fresh(_)), charges: ChargeOutcome::Charged(_) }) {
        return Err(broken(rule, answer));
    }
    for _ in 0..5 {
        let answer = with(&first).await?;
        let replayed = Answer { claim: Some(ClaimOutcome::Replayed), charges: ChargeOutcome::NotReached };
        if answer != replayed {
            return Err(broken("a replay charges nothing", answer));
        }
    }
    let rule = "a replay has charged nothing";
    let answer = with(&second).await?;
    let ChargeOutcome::Charged(charged) = &answer.charges else { return Err(broken(rule, answer)) };
    let left: Vec<_> = charged.standings().iter().map(|standing| standing.remaining).collect();
    if left != [0, 3] {
        return Err(broken(rule, answer));
    }
    let answer = with(&third).await?;
    if !matches!(answer, Answer { claim: Some(ClaimOutcome::Fresh(_)), charges: ChargeOutcome::Limited(_) }) {
        return Err(broken("a limited request is limited after its claim", answer));
    }
    let answer = with(&third).await?;
    if answer.claim != Some(ClaimOutcome::Replayed) {
        return Err(broken("a limited request has spent its proof", answer));
    }
    let answer = ask(store, None, &charges, now).await?;
    if !matches!(answer, Answer { claim: None, charges: ChargeOutcome::Limited(_) }) {
        return Err(broken("without a proof the charges are judged all the same", answer));
    }
    let answer = ask(store, Some(&proof(4, now)?), &[], now).await?;
    if !matches!(answer, Answer { claim: Some(ClaimOutcome::Fresh(_)), charges: ChargeOutcome::Charged(_) }) {
        return Err(broken("what has no limits is not limited", answer));
    }
    Ok(())
}

fn broken(rule: &'static str, answer: Answer) -> ContractViolation {
    match answer.claim {
        Some(got) => ContractViolation::Outcome { rule, got },
        None => ContractViolation::Charges { rule, got: answer.charges },
    }
}

async fn ask(
    store: &impl AdmissionStore,
    claim: Option<&Claim>,
    charges: &[Charge],
    now: Timestamp,
) -> Result<Answer, ContractViolation> {
    let ask = Ask { scope: SCOPE, claim, charges };
    Ok(store.admit(&ask, now).await?)
}

async fn passes(
    store: &impl AdmissionStore,
    charges: &[Charge],
    now: Timestamp,
    rule: &'static str,
) -> Result<Charged, ContractViolation> {
    match ask(store, None, charges, now).await?.charges {
        ChargeOutcome::Charged(charged) => Ok(charged),
        got @ (ChargeOutcome::Limited(_) | ChargeOutcome::NotReached | ChargeOutcome::NoRoom) => {
            Err(ContractViolation::Charges { rule, got })
        }
    }
}

async fn limited(
    store: &impl AdmissionStore,
    charges: &[Charge],
    now: Timestamp,
    rule: &'static str,
) -> Result<Vec<Standing>, ContractViolation> {
    match ask(store, None, charges, now).await?.charges {
        ChargeOutcome::Limited(standings) => Ok(standings),
        got @ (ChargeOutcome::Charged(_) | ChargeOutcome::NotReached | ChargeOutcome::NoRoom) => {
            Err(ContractViolation::Charges { rule, got })
        }
    }
}

/// Most, remaining, reset and wait of each.
fn expect(
    standings: &[Standing],
    expected: &[(u64, u64, Duration, Option<Duration>)],
    rule: &'static str,
) -> Result<(), ContractViolation> {
    let found: Vec<_> = standings.iter().map(|it| (it.most, it.remaining, it.reset, it.wait)).collect();
    if found == expected {
        return Ok(());
    }
    Err(ContractViolation::Charges { rule, got: ChargeOutcome::Limited(standings.to_vec()) })
}

fn at(micros: i64) -> Result<Timestamp, ContractViolation> {
    Timestamp::from_microsecond(micros).or(Err(BROKEN))
}

/// So many a second.
fn rate(n: u8, count: u32, burst: u32) -> Result<Charge, ContractViolation> {
    rate_per(n, count, RatePer::Second, burst)
}

fn rate_per(n: u8, count: u32, per: RatePer, burst: u32) -> Result<Charge, ContractViolation> {
    let (count, burst) = (NonZeroU32::new(count).ok_or(BROKEN)?, NonZeroU32::new(burst).ok_or(BROKEN)?);
    let limit = Limit::Rate(Rate::new(count, per, burst).ok_or(BROKEN)?);
    Ok(Charge { key: LimitKey([n; 16]), limit, cost: NonZeroU32::MIN })
}

fn quota(n: u8, units: u64, period: Period) -> Result<Charge, ContractViolation> {
    let quota = NonZeroU64::new(units).and_then(|units| Quota::new(units, period)).ok_or(BROKEN)?;
    Ok(Charge { key: LimitKey([n; 16]), limit: Limit::Quota(quota), cost: NonZeroU32::MIN })
}

fn with_cost(charges: &[Charge], cost: u32) -> Result<Vec<Charge>, ContractViolation> {
    let cost = NonZeroU32::new(cost).ok_or(BROKEN)?;
    Ok(charges.iter().map(|charge| Charge { cost, ..*charge }).collect())
}
