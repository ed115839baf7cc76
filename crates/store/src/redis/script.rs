//! The scripts: what they are given and what they answer.

use jiff::Timestamp;
use redis::{Cmd, Script, Value};

use super::WindowBounds;
use super::answer::{draw, list, text};
use super::clock::{Era, Times};
use super::keys::Prefix;
use super::server::{RunId, check_memory};
use crate::admission::{self, Ask, Scope, StoreError, Unfit};
use crate::limit::{Charge, ChargeOutcome, Charged, Judged, Level, Limit, Reserved};
use crate::replay::{Bound, Claim, ClaimOutcome, Claimed, Epoch};

/// What every script begins with, and what each does then.
const ADMIT: &str =
    concat!(include_str!("memory.lua"), include_str!("claim.lua"), include_str!("charge.lua"));
const EPOCH: &str = concat!(include_str!("memory.lua"), include_str!("epoch.lua"));
const LOOK: &str = include_str!("look.lua");
const GIVE_BACK: &str = include_str!("give_back.lua");

/// How long a window of counted proofs is, beyond the life of the proof that begins it. Milliseconds.
const WINDOW_SLACK: i128 = 1000;
/// How far the server's clock may go back unnoticed, so that its time may be before the latest that is known.
const STEP_MICROS: i64 = 1_000_000;

/// The scripts and their digests.
#[derive(Debug)]
pub(super) struct Scripts {
    admit: Script,
    epoch: Script,
    #[cfg(test)]
    pub(super) told: std::sync::Mutex<Option<Timestamp>>,
}

/// A script's call, but for what the connection adds to it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call<'a> {
    /// Claims and charges.
    Admit(&'a Ask<'a>, WindowBounds),
    /// Only begins the memory.
    Epoch(Scope),
}

impl Call<'_> {
    /// Whose memory it uses.
    pub(super) fn scope(&self) -> Scope {
        match self {
            Self::Admit(ask, _) => ask.scope,
            Self::Epoch(scope) => *scope,
        }
    }
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            admit: Script::new(ADMIT),
            epoch: Script::new(EPOCH),
            #[cfg(test)]
            told: std::sync::Mutex::default(),
        }
    }

    /// The command for a call: by digest, or with the whole script where the server does not know it.
    pub(super) fn command(
        &self,
        known: bool,
        (prefix, call): (&Prefix, Call<'_>),
        run: &RunId,
        times: &Times,
        epoch: &Epoch,
    ) -> Cmd {
        let (script, text) = match call {
            Call::Admit(..) => (&self.admit, ADMIT),
            Call::Epoch(_) => (&self.epoch, EPOCH),
        };
        #[cfg(test)]
        let told = self.told.lock().unwrap().map(|now| tests::told(text, now));
        #[cfg(test)]
        let (known, text) = (known && told.is_none(), told.as_deref().unwrap_or(text));
        let mut command = if known { redis::cmd("EVALSHA") } else { redis::cmd("EVAL") };
        command.arg(if known { script.get_hash() } else { text });
        match call {
            Call::Epoch(scope) => {
                command.arg(1).arg(prefix.memory(scope));
                with_run(&mut command, run, times, epoch, &[]);
            }
            Call::Admit(ask, bounds) => {
                let keys = if ask.claim.is_some() { 4_usize } else { 1 };
                command.arg(keys.saturating_add(ask.charges.len())).arg(prefix.memory(ask.scope));
                if let Some(claim) = ask.claim {
                    command.arg(prefix.proof(ask.scope, &claim.key.proof));
                    command.arg(prefix.holder(ask.scope, &claim.key.holder)).arg(prefix.tenant(ask.scope));
                }
                for charge in ask.charges {
                    command.arg(prefix.level(ask.scope, &charge.key));
                }
                with_run(&mut command, run, times, epoch, ask.charges);
                match ask.claim {
                    Some(claim) => with_claim(&mut command, claim, bounds),
                    None => {
                        command.arg(&[""; 7]);
                    }
                }
                ask.charges.iter().for_each(|charge| with_charge(&mut command, charge, times));
            }
        }
        command
    }

    /// The command that looks at the server, and what its answer is known by. What it is told it tells again: `top`, the
    /// latest time of any server, is in the answer if it is later than the server's.
    ///
    /// # Errors
    /// [`StoreError::NoRandomness`].
    pub(super) fn look(
        &self,
        clock: &str,
        known: Option<Times>,
        top: i64,
    ) -> Result<(Cmd, Drawn), StoreError> {
        let next = draw()?;
        let text = LOOK;
        #[cfg(test)]
        let told = self.told.lock().unwrap().map(|now| tests::told(text, now));
        #[cfg(test)]
        let text = told.as_deref().unwrap_or(text);
        let mut command = redis::cmd("EVAL");
        command.arg(text).arg(1).arg(clock).arg(&next);
        match known {
            Some(Times { era, latest, top: known, evicted }) => {
                command.arg(known.max(latest).max(top)).arg(&era.0[..]).arg(latest).arg(evicted);
            }
            None => {
                command.arg(top).arg("").arg(0).arg("");
            }
        }
        Ok((command, Drawn(next)))
    }
}

/// The command that gives charges back.
pub(super) fn give_back(prefix: &Prefix, reserved: &Reserved) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(GIVE_BACK).arg(reserved.reservations().len());
    for reservation in reserved.reservations() {
        command.arg(prefix.level(reserved.scope(), &reservation.key));
    }
    for reservation in reserved.reservations() {
        command.arg(reservation.period_end).arg(reservation.cost.get());
    }
    command
}

fn with_run(command: &mut Cmd, run: &RunId, times: &Times, epoch: &Epoch, charges: &[Charge]) {
    let name = [run.as_str().as_bytes(), &times.era.0].concat();
    let ends: Vec<_> = charges.iter().filter_map(|charge| ends_of(charge, times)).collect();
    let from = ends.iter().map(|[first, ..]| *first).max().unwrap_or(0);
    let until = ends.iter().map(|[_, _, third, _]| *third).min().unwrap_or(i64::MAX >> 11);
    command.arg(name).arg(&epoch[..]).arg(times.latest).arg(times.top).arg(from).arg(until);
}

fn with_claim(command: &mut Cmd, claim: &Claim, bounds: WindowBounds) {
    command
        .arg(claim.issued_at.as_nanosecond().div_euclid(1000).to_string())
        .arg(rounded_up(claim.live_until).to_string())
        .arg(claim.nonce_epoch.as_ref().map_or(&[][..], |epoch| &epoch[..]))
        .arg(claim.doubt_span.as_micros().to_string())
        .arg(bounds.max_per_key.get())
        .arg(bounds.max_per_tenant.get())
        .arg(window(claim).to_string());
}

fn with_charge(command: &mut Cmd, charge: &Charge, times: &Times) {
    match charge.limit {
        Limit::Rate(rate) => {
            command.arg("r").arg(rate.count().get()).arg(rate.bucket()).arg(rate.parts(charge.cost));
            command.arg(rate.refill()).arg("").arg("");
        }
        Limit::Quota(quota) => {
            command.arg("q").arg(quota.units().get()).arg(charge.cost.get());
            command.arg(&ends_of(charge, times).unwrap_or_default()[..]);
        }
    }
}

/// Where the periods of a quota end, around the latest time that is known: the beginning of that one, its end, and those
/// of the next two.
fn ends_of(charge: &Charge, times: &Times) -> Option<[i64; 4]> {
    let Limit::Quota(quota) = charge.limit else { return None };
    let (first, second) = quota.period().bounds(times.latest.saturating_sub(STEP_MICROS));
    let third = quota.period().bounds(second).1;
    Some([first, second, third, quota.period().bounds(third).1])
}

/// The microsecond at or after it.
fn rounded_up(instant: Timestamp) -> i128 {
    let nanos = instant.as_nanosecond();
    nanos.div_euclid(1000).saturating_add(i128::from(nanos.rem_euclid(1000) > 0))
}

/// How long the proofs of an account are counted together: as long as one that is issued now lives. Milliseconds.
fn window(claim: &Claim) -> i128 {
    let life = claim.live_until.duration_since(claim.issued_at).as_millis().max(0);
    life.saturating_add(WINDOW_SLACK)
}

/// What was drawn for one look; it is in the answer to it and in no other.
#[derive(Debug)]
pub(super) struct Drawn(String);

/// What a look at the server came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) times: Times,
    /// What this history of the server's data is called.
    pub(super) history: String,
    pub(super) fitness: Result<(), Unfit>,
}

impl Look {
    /// None if it is not of the form, or another's.
    pub(super) fn read(value: &Value, drawn: &Drawn) -> Option<Self> {
        let [era, latest, top, evicted, history, info, of] = list(value)? else { return None };
        let number = |value: &Value| text(value)?.parse::<i64>().ok();
        if text(of)? != drawn.0 {
            return None;
        }
        let era = Era(text(era)?.as_bytes().try_into().ok()?);
        let evicted = u64::try_from(number(evicted)?).ok()?;
        let times = Times { era, latest: number(latest)?, top: number(top)?, evicted };
        Some(Self { times, history: text(history)?.to_owned(), fitness: check_memory(text(info)?) })
    }
}

/// What a script answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answered {
    /// To the question.
    Answer(Answer),
    /// That its clock was set back, or ran on too far, since it was looked at.
    LookAgain,
}

/// An answer to the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    letter: u8,
    epoch: Epoch,
    /// The server's, in microseconds.
    pub(super) time: i64,
    /// Of each charge, before it.
    levels: Vec<Option<Level>>,
}

impl Answered {
    /// None if it is not of the form, or the answer to a question that another epoch was drawn for (C-04).
    pub(super) fn read(value: &Value, drawn: &Epoch) -> Option<Self> {
        let Value::BulkString(bytes) = value else { return None };
        let (letter, rest) = bytes.split_first()?;
        let (epoch, rest) = rest.split_first_chunk::<16>()?;
        let rest = rest.strip_prefix(drawn)?;
        let mut words = std::str::from_utf8(rest).ok()?.split(' ');
        let time = words.next()?.parse().ok()?;
        let mut levels = Vec::new();
        while let Some(word) = words.next() {
            levels.push(match word {
                "-" => None,
                over_at => {
                    Some(Level { over_at: over_at.parse().ok()?, amount: words.next()?.parse().ok()? })
                }
            });
        }
        Some(match letter {
            b'S' => Self::LookAgain,
            letter => Self::Answer(Answer { letter: *letter, epoch: *epoch, time, levels }),
        })
    }
}

impl Answer {
    /// What it says to the question. What was charged is computed anew from the levels before: the script has come to the
    /// same.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] if it is no answer to it.
    pub(super) fn to(&self, ask: &Ask<'_>) -> Result<admission::Answer, StoreError> {
        let claim = match (self.letter, ask.claim) {
            (b'N', None) => None,
            (b'F', Some(_)) => Some(ClaimOutcome::Fresh(Claimed::assertion(self.epoch))),
            (b'R', Some(_)) => Some(ClaimOutcome::Replayed),
            (b'D', Some(_)) => Some(ClaimOutcome::Doubtful { epoch: self.epoch }),
            (b'E', Some(_)) => Some(ClaimOutcome::Expired),
            (b'H', Some(_)) => Some(ClaimOutcome::Full(Bound::Key)),
            (b'T', Some(_)) => Some(ClaimOutcome::Full(Bound::Tenant)),
            (_, _) => return Err(StoreError::Foreign),
        };
        let charges = match &claim {
            None | Some(ClaimOutcome::Fresh(_)) => self.charged(ask)?,
            Some(
                ClaimOutcome::Replayed
                | ClaimOutcome::Doubtful { .. }
                | ClaimOutcome::Full(_)
                | ClaimOutcome::Expired,
            ) => ChargeOutcome::NotReached,
        };
        Ok(admission::Answer { claim, charges })
    }

    /// The level of each charge as it stands now, if all are known.
    pub(super) fn levels_after(&self, ask: &Ask<'_>) -> Vec<Option<Level>> {
        if self.levels.len() != ask.charges.len() {
            return Vec::new();
        }
        let before = |charge: &Charge| {
            let mut found = ask.charges.iter().zip(&self.levels).filter(|(other, _)| other.key == charge.key);
            found.next().and_then(|(_, level)| *level)
        };
        match Judged::of(ask.charges, before, self.time) {
            Judged::Room(levels) => levels.into_iter().map(Some).collect(),
            Judged::Refused(_) => self.levels.clone(),
        }
    }

    fn charged(&self, ask: &Ask<'_>) -> Result<ChargeOutcome, StoreError> {
        if self.levels.len() != ask.charges.len() {
            return Err(StoreError::Foreign);
        }
        let before = |charge: &Charge| {
            let mut found = ask.charges.iter().zip(&self.levels).filter(|(other, _)| other.key == charge.key);
            found.next().and_then(|(_, level)| *level)
        };
        Ok(match Judged::of(ask.charges, before, self.time) {
            Judged::Refused(standings) => ChargeOutcome::Limited(standings),
            Judged::Room(levels) => {
                ChargeOutcome::Charged(Charged::to(ask.scope, ask.charges, &levels, self.time))
            }
        })
    }

    /// # Errors
    /// [`StoreError::Foreign`] if it is no answer to the question for it.
    pub(super) fn epoch(&self) -> Result<Epoch, StoreError> {
        if self.letter == b'M' { Ok(self.epoch) } else { Err(StoreError::Foreign) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The script by another clock than the server's.
    pub(in crate::redis) fn told(text: &str, now: Timestamp) -> String {
        let micros = now.as_microsecond();
        let told =
            format!("local time = {{ {}, {} }}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        assert_eq!(
            text.matches("local time = redis.call('TIME')").count(),
            1,
            "the server's clock counts, and no other"
        );
        text.replace("local time = redis.call('TIME')", &told)
    }

    fn bulk(bytes: &[u8]) -> Value {
        Value::BulkString(bytes.to_vec())
    }

    /// C-04, C-07: only what a script answers is an answer.
    #[test]
    fn anything_else_is_no_answer() {
        let (epoch, drawn) = ([7; 16], [8; 16]);
        let read = |value: &Value| Answered::read(value, &drawn);
        let now = Timestamp::UNIX_EPOCH;
        let key = crate::ReplayKey { proof: [1; 16], holder: [2; 16] };
        let doubt_span = jiff::SignedDuration::ZERO;
        let claim = Claim { key, issued_at: now, live_until: now, nonce_epoch: None, doubt_span };
        let ask = Ask { scope: Scope([3; 16]), claim: Some(&claim), charges: &[] };
        let whole = [b"F".as_slice(), &epoch, &drawn, b"1700000000000000"].concat();
        let Some(Answered::Answer(answer)) = read(&bulk(&whole)) else { panic!("it is whole") };
        let fresh = admission::Answer {
            claim: Some(ClaimOutcome::Fresh(Claimed::assertion(epoch))),
            charges: ChargeOutcome::nothing_to_charge(ask.scope),
        };
        assert_eq!(answer.to(&ask), Ok(fresh));
        assert_eq!(answer.epoch(), Err(StoreError::Foreign));
        assert_eq!(answer.to(&Ask { claim: None, ..ask }), Err(StoreError::Foreign), "no claim was made");
        assert_eq!(Answered::read(&bulk(&whole), &[9; 16]), None, "it is another's");
        for end in 0..34 {
            assert_eq!(read(&bulk(&whole[..end])), None, "{end}");
        }
        for bad in [
            Value::Nil,
            Value::Okay,
            Value::Int(1),
            Value::Array(Vec::new()),
            Value::SimpleString("F".to_owned()),
        ] {
            assert_eq!(read(&bad), None, "{bad:?}");
        }
        for odd in ["1.5", "1 2", "1 x y", "1 2 x", "1 "] {
            let odd = [b"F".as_slice(), &epoch, &drawn, odd.as_bytes()].concat();
            assert_eq!(read(&bulk(&odd)), None, "{odd:?}");
        }
        let more = [b"F".as_slice(), &epoch, &drawn, b"1700000000000000 -"].concat();
        let Some(Answered::Answer(more)) = read(&bulk(&more)) else { panic!("it is of the form") };
        assert_eq!(more.to(&ask), Err(StoreError::Foreign), "nothing was charged");
        for letter in (0..=u8::MAX).filter(|letter| !b"FRDEHT".contains(letter)) {
            let answer = Answer { letter, ..answer.clone() };
            assert_eq!(answer.to(&ask), Err(StoreError::Foreign), "{letter}");
        }
    }
}
