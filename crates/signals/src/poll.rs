//! Fetches the sets of a stream (RFC 8936).
//!
//! A set is acknowledged with the next poll after its effect is durable, and so is one that is refused for good; one that
//! cannot be taken now is left to come again. Every replica may poll: what two of them take is the same twice.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use exequatur_issuers::{Caller, DownloadError, Place, Question};
use exequatur_token::json::{self, Object, Value};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::config::{POLL_MOST, Poll};
use crate::receiver::{Receiver, Refusal};
use crate::secret::{Secret, SecretError};
use crate::set::SetError;
use crate::tally::PollOutcome;

/// Time for an answer, beyond what the transmitter may wait for events.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Longest answer, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Pauses after polls that failed: the first, doubled each time, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Fetches the sets of one stream.
#[derive(Debug)]
pub struct Poller {
    receiver: Arc<Receiver>,
    caller: Caller,
    place: Place,
    poll: Poll,
    token_file: Option<PathBuf>,
    /// What the transmitter is told with the next poll.
    settled: Settled,
}

/// Sets that need not come again.
#[derive(Debug, Default)]
struct Settled {
    taken: Vec<String>,
    refused: Vec<(String, SetError)>,
}

impl Settled {
    fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.refused.is_empty()
    }
}

/// What an answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    /// There is more at once.
    more: bool,
    /// A set could not be taken now.
    left: bool,
}

/// Why a poll failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PollError {
    /// The token.
    #[error("token file: {0}")]
    Token(#[from] SecretError),
    /// No whole answer.
    #[error("{0}")]
    Answer(#[from] DownloadError),
    /// Another status than 200.
    #[error("answered with status {0}")]
    Status(u16),
    /// Not what RFC 8936 §2.3 says.
    #[error("the answer is malformed")]
    Malformed,
    /// There was an answer, and some of it could not be taken.
    #[error("some events could not be taken")]
    Left,
}

impl Poller {
    /// Fetches from `place`.
    #[must_use]
    pub fn new(
        receiver: Arc<Receiver>,
        caller: Caller,
        place: Place,
        poll: Poll,
        token_file: Option<PathBuf>,
    ) -> Self {
        Self { receiver, caller, place, poll, token_file, settled: Settled::default() }
    }

    /// Polls until cancelled. One poll at a time: no sooner than `every` after the last one, unless there is more to
    /// fetch or to acknowledge; after a failure with growing pauses, so that a transmitter that is down gets no storm.
    pub async fn run(mut self, stop: CancellationToken) {
        let (mut pause_after_failure, mut told) = (FIRST_PAUSE, None);
        loop {
            let begun = Instant::now();
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = self.poll() => outcome,
            };
            let failure = match outcome {
                Ok(Progress { left: false, .. }) => None,
                Ok(Progress { left: true, .. }) => Some(PollError::Left),
                Err(error) => Some(error),
            };
            self.tell(failure, &mut told);
            let pause = match (failure, outcome) {
                (Some(_), _) | (None, Err(_)) => {
                    let pause = pause_after_failure;
                    pause_after_failure = pause.saturating_mul(2).min(LONGEST_PAUSE);
                    pause.mul_f64(0.5 + 0.5 * random_fraction())
                }
                (None, Ok(progress)) => {
                    pause_after_failure = FIRST_PAUSE;
                    let at_once = progress.more || !self.settled.is_empty();
                    if at_once { Duration::ZERO } else { self.poll.every.saturating_sub(begun.elapsed()) }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn tell(&self, failure: Option<PollError>, told: &mut Option<PollError>) {
        let stream = self.receiver.name();
        match failure {
            Some(error) if *told != Some(error) => {
                tracing::warn!(stream, %error, "security events could not be fetched");
            }
            None if told.is_some() => tracing::info!(stream, "security events are fetched again"),
            Some(_) | None => {}
        }
        *told = failure;
    }

    async fn poll(&mut self) -> Result<Progress, PollError> {
        let answered = self.ask().await;
        let tally = self.receiver.tally();
        tally.polled(if answered.is_ok() { PollOutcome::Answered } else { PollOutcome::Failed });
        let answer = answered?;
        // The transmitter has heard what became of those before.
        self.settled = Settled::default();
        self.take(&answer).await
    }

    async fn ask(&self) -> Result<Object, PollError> {
        let authorization = match &self.token_file {
            // Read each time: tokens are replaced while we run.
            Some(file) => Some(Zeroizing::new(format!("Bearer {}", Secret::read(file)?.expose()))),
            None => None,
        };
        let refused = self.settled.refused.iter().map(|(id, error)| {
            (id.clone(), json!({ "err": error.code().as_str(), "description": error.to_string() }))
        });
        let request = json!({
            "maxEvents": self.poll.max_events.min(POLL_MOST),
            "returnImmediately": self.poll.long_poll.is_none(),
            "ack": self.settled.taken,
            "setErrs": serde_json::Map::from_iter(refused),
        });
        let question = Question {
            place: &self.place,
            authorization: authorization.as_ref().map(|text| text.as_str()),
            json: Some(&request.to_string()),
            within: self.poll.long_poll.unwrap_or_default().saturating_add(ANSWER_WITHIN),
            max_bytes: MAX_ANSWER,
        };
        let reply = self.caller.ask(question).await?;
        if reply.status != 200 {
            return Err(PollError::Status(reply.status));
        }
        let limits = json::Limits { bytes: MAX_ANSWER, depth: 8, members: 1024 };
        match json::parse(&reply.body, limits) {
            Ok(Value::Object(answer)) => Ok(answer),
            Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_))
            | Err(_) => Err(PollError::Malformed),
        }
    }

    /// Takes as many sets as were asked for; what is beyond comes again.
    async fn take(&mut self, answer: &Object) -> Result<Progress, PollError> {
        let sets = answer.get("sets").and_then(Value::as_object).ok_or(PollError::Malformed)?;
        let more = matches!(answer.get("moreAvailable"), Some(Value::Bool(true)));
        let most = usize::try_from(self.poll.max_events.min(POLL_MOST)).unwrap_or_default();
        let mut left = false;
        for (id, set) in sets.iter().take(most) {
            // What is no text is no set either.
            match self.receiver.receive_as(set.as_str().unwrap_or_default(), Some(id)).await {
                Ok(()) => self.settled.taken.push(id.to_owned()),
                Err(Refusal::Set(error)) => self.settled.refused.push((id.to_owned(), error)),
                Err(Refusal::Unavailable(_)) => left = true,
            }
        }
        // Without any there is nothing to hurry for, whatever the answer says.
        Ok(Progress { more: more && !sets.is_empty(), left })
    }
}

/// Between 0 and 1; without randomness, the middle.
fn random_fraction() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}
