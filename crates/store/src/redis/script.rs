//! The scripts: what they are given and what they answer.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use redis::{Cmd, Script, Value};

use super::WindowBounds;
use super::clock::{Era, Times};
use super::keys::Prefix;
use super::server::{RunId, check_memory};
use crate::admission::{Scope, StoreError, Unfit};
use crate::replay::{Bound, Claim, ClaimOutcome, Claimed, Epoch};

/// What every script begins with, and what each does then.
const CLAIM: &str = concat!(include_str!("memory.lua"), include_str!("claim.lua"));
const EPOCH: &str = concat!(include_str!("memory.lua"), include_str!("epoch.lua"));
const LOOK: &str = include_str!("look.lua");

/// How long a window of counted proofs is, beyond the life of the proof that begins it. Milliseconds.
const WINDOW_SLACK: i64 = 1000;

/// The scripts and their digests.
#[derive(Debug)]
pub(super) struct Scripts {
    claim: Script,
    epoch: Script,
    #[cfg(test)]
    pub(super) told: std::sync::Mutex<Option<Timestamp>>,
}

/// A script's call, but for what the connection adds to it.
#[derive(Debug)]
pub(super) struct Call<'a> {
    prefix: &'a Prefix,
    scope: Scope,
    claim: Option<(&'a Claim, WindowBounds)>,
}

impl<'a> Call<'a> {
    pub(super) fn claim(prefix: &'a Prefix, bounds: WindowBounds, scope: Scope, claim: &'a Claim) -> Self {
        Self { prefix, scope, claim: Some((claim, bounds)) }
    }

    pub(super) fn epoch(prefix: &'a Prefix, scope: Scope) -> Self {
        Self { prefix, scope, claim: None }
    }
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            claim: Script::new(CLAIM),
            epoch: Script::new(EPOCH),
            #[cfg(test)]
            told: std::sync::Mutex::default(),
        }
    }

    /// The command for a call: by digest, or with the whole script where the server does not know it.
    pub(super) fn command(
        &self,
        known: bool,
        call: &Call<'_>,
        run: &RunId,
        times: &Times,
        epoch: &Epoch,
    ) -> Cmd {
        let (script, text) = match call.claim {
            Some(_) => (&self.claim, CLAIM),
            None => (&self.epoch, EPOCH),
        };
        #[cfg(test)]
        let told = self.told.lock().unwrap().map(|now| tests::told(text, now));
        #[cfg(test)]
        let (known, text) = (known && told.is_none(), told.as_deref().unwrap_or(text));
        let mut command = if known { redis::cmd("EVALSHA") } else { redis::cmd("EVAL") };
        command.arg(if known { script.get_hash() } else { text });
        let (prefix, scope) = (call.prefix, call.scope);
        match call.claim {
            None => {
                command.arg(1).arg(prefix.memory(scope));
                with_run(&mut command, run, times, epoch);
            }
            Some((claim, bounds)) => {
                command
                    .arg(4)
                    .arg(prefix.memory(scope))
                    .arg(prefix.proof(scope, &claim.key.proof))
                    .arg(prefix.holder(scope, &claim.key.holder))
                    .arg(prefix.tenant(scope));
                with_run(&mut command, run, times, epoch);
                command
                    .arg(claim.issued_at.as_nanosecond().div_euclid(1000).to_string())
                    .arg(rounded_up(claim.live_until).to_string())
                    .arg(claim.nonce_epoch.as_ref().map_or(&[][..], |epoch| &epoch[..]))
                    .arg(claim.doubt_span.as_micros().to_string())
                    .arg(bounds.max_per_key.get())
                    .arg(bounds.max_per_tenant.get())
                    .arg(window(claim).to_string());
            }
        }
        command
    }

    /// The command that looks at the server.
    ///
    /// # Errors
    /// [`StoreError::NoRandomness`].
    pub(super) fn look(&self, clock: &str, known: Option<Times>) -> Result<Cmd, StoreError> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).or(Err(StoreError::NoRandomness))?;
        let next = BASE64_URL_SAFE_NO_PAD.encode(random);
        let text = LOOK;
        #[cfg(test)]
        let told = self.told.lock().unwrap().map(|now| tests::told(text, now));
        #[cfg(test)]
        let text = told.as_deref().unwrap_or(text);
        let mut command = redis::cmd("EVAL");
        command.arg(text).arg(1).arg(clock).arg(next);
        match known {
            Some(Times { era, latest, top }) => {
                command.arg(top.max(latest)).arg(&era.0[..]).arg(latest);
            }
            None => {
                command.arg(0).arg("").arg(0);
            }
        }
        Ok(command)
    }
}

fn with_run(command: &mut Cmd, run: &RunId, times: &Times, epoch: &Epoch) {
    let name = [run.as_str().as_bytes(), &times.era.0].concat();
    command.arg(name).arg(&epoch[..]).arg(times.latest).arg(times.top);
}

/// The microsecond at or after it.
fn rounded_up(instant: Timestamp) -> i128 {
    let nanos = instant.as_nanosecond();
    nanos.div_euclid(1000).saturating_add(i128::from(nanos.rem_euclid(1000) > 0))
}

/// How long the proofs of an account are counted together: as long as one that is issued now lives. Milliseconds.
fn window(claim: &Claim) -> i128 {
    let life = claim.live_until.duration_since(claim.issued_at).as_millis().max(0);
    life.saturating_add(i128::from(WINDOW_SLACK))
}

/// What a look at the server came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) times: Times,
    pub(super) fitness: Result<(), Unfit>,
}

impl Look {
    /// None if it is not of the form.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let Value::Array(parts) = value else { return None };
        let [era, latest, top, _now, info] = parts.as_slice() else { return None };
        let text = |value: &Value| {
            let Value::BulkString(bytes) = value else { return None };
            String::from_utf8(bytes.clone()).ok()
        };
        let number = |value: &Value| text(value)?.parse().ok();
        let era = Era(text(era)?.as_bytes().try_into().ok()?);
        let times = Times { era, latest: number(latest)?, top: number(top)? };
        Some(Self { times, fitness: check_memory(&text(info)?) })
    }
}

/// What a script answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    /// To the question.
    Answer(Answer),
    /// That its clock was set back since it was looked at.
    SetBack,
}

/// An answer to the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    letter: u8,
    epoch: Epoch,
    /// The server's, in microseconds.
    pub(super) time: i64,
}

impl Answered {
    /// None if it is not of the form.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let Value::BulkString(bytes) = value else { return None };
        let (letter, rest) = bytes.split_first()?;
        let (epoch, time) = rest.split_first_chunk::<16>()?;
        let time = std::str::from_utf8(time).ok()?.parse().ok()?;
        Some(match letter {
            b'S' => Self::SetBack,
            letter => Self::Answer(Answer { letter: *letter, epoch: *epoch, time }),
        })
    }
}

impl Answer {
    /// # Errors
    /// [`StoreError::Foreign`] if it is no answer to a claim.
    pub(super) fn outcome(self) -> Result<ClaimOutcome, StoreError> {
        match self.letter {
            b'F' => Ok(ClaimOutcome::Fresh(Claimed::assertion(self.epoch))),
            b'R' => Ok(ClaimOutcome::Replayed),
            b'D' => Ok(ClaimOutcome::Doubtful { epoch: self.epoch }),
            b'E' => Ok(ClaimOutcome::Expired),
            b'H' => Ok(ClaimOutcome::Full(Bound::Key)),
            b'T' => Ok(ClaimOutcome::Full(Bound::Tenant)),
            _ => Err(StoreError::Foreign),
        }
    }

    /// # Errors
    /// [`StoreError::Foreign`] if it is no answer to the question for it.
    pub(super) fn epoch(self) -> Result<Epoch, StoreError> {
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
        let epoch = [7; 16];
        let whole = [b"F".as_slice(), &epoch, b"1700000000000000"].concat();
        let Some(Answered::Answer(answer)) = Answered::read(&bulk(&whole)) else { panic!("it is whole") };
        assert_eq!(answer.outcome(), Ok(ClaimOutcome::Fresh(Claimed::assertion(epoch))));
        assert_eq!(answer.epoch(), Err(StoreError::Foreign));
        for end in 0..18 {
            assert_eq!(Answered::read(&bulk(&whole[..end])), None, "{end}");
        }
        for bad in [
            Value::Nil,
            Value::Okay,
            Value::Int(1),
            Value::Array(Vec::new()),
            Value::SimpleString("F".to_owned()),
        ] {
            assert_eq!(Answered::read(&bad), None, "{bad:?}");
        }
        let odd = [b"F".as_slice(), &epoch, b"1.5"].concat();
        assert_eq!(Answered::read(&bulk(&odd)), None);
        for letter in (0..=u8::MAX).filter(|letter| !b"FRDEHT".contains(letter)) {
            let answer = Answer { letter, epoch, time: 0 };
            assert_eq!(answer.outcome(), Err(StoreError::Foreign), "{letter}");
        }
    }
}
