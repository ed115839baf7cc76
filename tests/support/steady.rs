//! A steady load of which every answer is known beforehand, whatever becomes of one replica of several: whoever may is
//! permitted at the first try, and whoever may not is refused for his own reason.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::agent::Agent;
use crate::client::{Answer, Call, send};
use crate::holder::{DOCUMENT, OPEN};
use crate::jwt::random_id;
use crate::stack::{Stack, in_time};
use crate::upstream::Upstream;

/// What each caller asks, over and over.
const TURNS: [Ask; 14] = [
    Ask::Fresh,
    Ask::Fresh,
    Ask::Replayed,
    Ask::Fresh,
    Ask::Twice,
    Ask::Fresh,
    Ask::Stolen,
    Ask::Open,
    Ask::Fresh,
    Ask::OtherTenant,
    Ask::Fresh,
    Ask::Nobody,
    Ask::Fresh,
    Ask::Nowhere,
];
/// [`Ask::Twice`] is two.
const REQUESTS_A_TURN: f64 = 15.0 / 14.0;
/// Used proofs that a caller keeps to send them again: the last one in turn with the oldest, of some seconds ago.
const KEPT: usize = 32;
/// Answers that are told of, of each kind.
const TOLD: usize = 20;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// With a fresh proof.
    Fresh,
    /// With one fresh proof in two requests at once: one of them is permitted.
    Twice,
    /// With a proof that was permitted before.
    Replayed,
    /// With somebody else's token and a proof of one's own.
    Stolen,
    /// For a document of another tenant.
    OtherTenant,
    /// Without credentials, where they are needed.
    Nobody,
    /// For what no route is for.
    Nowhere,
    /// Without credentials, where none are needed.
    Open,
}

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Callers, each with a key and a token of its own.
    pub callers: usize,
    /// Requests of all, a second. A caller that is late catches up.
    pub requests: f64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Requests that were answered.
    pub asked: usize,
    /// Those of them that are never permitted.
    pub hostile: usize,
    /// Answers, or none, that are not what they always are; the first ones.
    pub failed: Vec<String>,
    /// How many.
    pub failures: usize,
    /// Hostile requests that were permitted.
    pub wrong: usize,
    /// For how long it went on.
    pub took: Duration,
}

impl Found {
    fn fail(&mut self, what: String) {
        self.failures += 1;
        if self.failed.len() < TOLD {
            self.failed.push(what);
        }
    }

    /// Requests a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        f64::from(u32::try_from(self.asked).unwrap_or(u32::MAX)) / self.took.as_secs_f64()
    }
}

/// A load that goes on until it is stopped.
#[derive(Debug)]
pub struct Steady {
    found: Shared,
    callers: JoinSet<()>,
    stop: Arc<AtomicBool>,
    begun: Instant,
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Found>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Steady {
    /// Begins. No proof is in doubt any more when this is called.
    #[must_use]
    pub fn start(stack: &Stack, rate: Rate) -> Self {
        let (found, stop) = (Shared::default(), Arc::new(AtomicBool::new(false)));
        let begun = Instant::now();
        let mut callers = JoinSet::new();
        let apart = f64::from(u32::try_from(rate.callers).unwrap_or(u32::MAX)) * REQUESTS_A_TURN;
        let pace = Duration::from_secs_f64(apart / rate.requests);
        for _ in 0..rate.callers {
            let (agent, thief) = (Agent::new(), Agent::new());
            let caller = Caller {
                client: stack.client.clone(),
                document: stack.url(DOCUMENT),
                elsewhere: stack.url(&DOCUMENT.replace("acme", "globex")),
                open: stack.url(OPEN),
                nowhere: stack.url("/nowhere"),
                token: stack.tokens.token(&agent, &json!({ "client_id": "crm-bot" })),
                agent,
                thief,
                used: VecDeque::new(),
                found: found.clone(),
                begun,
            };
            callers.spawn(caller.go_on(pace, Arc::clone(&stop)));
        }
        Self { found, callers, stop, begun }
    }

    /// Waits until as many more were answered, as they should or not.
    ///
    /// # Panics
    /// When they are not within a bounded time.
    pub async fn more(&self, answers: usize) {
        let from = self.found.lock().asked;
        let comes = async {
            while self.found.lock().asked < from + answers {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        in_time("answers", comes).await;
    }

    /// Ends it, once what is under way is answered, and counts besides what reached the upstream and should not have.
    ///
    /// # Panics
    /// When a caller did.
    pub async fn stop(mut self, upstream: &Upstream) -> Found {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended.expect("a caller goes on");
        }
        let mut found = std::mem::take(&mut *self.found.lock());
        found.took = self.begun.elapsed();
        let mut times: HashMap<String, usize> = HashMap::new();
        for received in upstream.received() {
            let Some((_, ask)) = received.target.split_once("?ask=") else { continue };
            let count = times.entry(ask.to_owned()).or_default();
            *count += 1;
            if ask.starts_with("hostile-") || *count > 1 {
                found.wrong += 1;
            }
        }
        found
    }
}

struct Caller {
    client: Client,
    document: String,
    elsewhere: String,
    open: String,
    nowhere: String,
    token: String,
    agent: Agent,
    thief: Agent,
    used: VecDeque<String>,
    found: Shared,
    begun: Instant,
}

impl Caller {
    async fn go_on(mut self, pace: Duration, stop: Arc<AtomicBool>) {
        let mut ticks = tokio::time::interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for (count, ask) in TURNS.into_iter().cycle().enumerate() {
            ticks.tick().await;
            if stop.load(Ordering::Relaxed) {
                return;
            }
            self.take_turn(ask, count).await;
        }
    }

    async fn take_turn(&mut self, ask: Ask, count: usize) {
        let (document, elsewhere) = (&self.document, &self.elsewhere);
        let proof = |agent: &Agent, url: &str| agent.proof("GET", url, &self.token, &Value::Null);
        match ask {
            Ask::Fresh => {
                let proof = proof(&self.agent, document);
                let answer = self.send(&marked(document, "once"), Some(&proof)).await;
                if self.judge(ask, answer, (200, "")) {
                    self.used.push_back(proof);
                    if self.used.len() > KEPT {
                        self.used.pop_front();
                    }
                }
            }
            Ask::Twice => {
                let (url, proof) = (marked(document, "once"), proof(&self.agent, document));
                let (one, other) = tokio::join!(self.send(&url, Some(&proof)), self.send(&url, Some(&proof)));
                let permitted =
                    |answer: &Result<Answer, String>| answer.as_ref().is_ok_and(|it| it.status == 200);
                let (first, second) = if permitted(&one) { (one, other) } else { (other, one) };
                self.judge(ask, first, (200, ""));
                self.judge_hostile(ask, second, (401, "dpop_replay"));
            }
            Ask::Replayed => {
                let used = if count % 20 < 10 { self.used.back() } else { self.used.front() };
                let Some(proof) = used else { return };
                let answer = self.send(&marked(document, "hostile"), Some(proof)).await;
                self.judge_hostile(ask, answer, (401, "dpop_replay"));
            }
            Ask::Stolen => {
                let stolen = proof(&self.thief, document);
                let answer = self.send(&marked(document, "hostile"), Some(&stolen)).await;
                self.judge_hostile(ask, answer, (401, "dpop_key_mismatch"));
            }
            Ask::OtherTenant => {
                let fresh = proof(&self.agent, elsewhere);
                let answer = self.send(&marked(elsewhere, "hostile"), Some(&fresh)).await;
                self.judge_hostile(ask, answer, (403, "tenant_mismatch"));
            }
            Ask::Nobody => {
                let answer = self.send(&marked(document, "hostile"), None).await;
                self.judge_hostile(ask, answer, (401, "credentials_missing"));
            }
            Ask::Nowhere => {
                let answer = self.send(&marked(&self.nowhere, "hostile"), None).await;
                self.judge_hostile(ask, answer, (403, "route_unmatched"));
            }
            Ask::Open => {
                let answer = self.send(&self.open, None).await;
                self.judge(ask, answer, (200, ""));
            }
        }
    }

    /// With the token, where there is a proof.
    async fn send(&self, url: &str, proof: Option<&str>) -> Result<Answer, String> {
        let authorization = proof.map(|_| format!("DPoP {}", self.token));
        send(&self.client, &Call::new("GET", url), authorization.as_deref(), proof).await
    }

    fn judge_hostile(&self, ask: Ask, answer: Result<Answer, String>, expected: (u16, &str)) {
        let mut found = self.found.lock();
        found.hostile += 1;
        found.wrong += usize::from(answer.as_ref().is_ok_and(|answer| answer.status == 200));
        drop(found);
        self.judge(ask, answer, expected);
    }

    fn judge(&self, ask: Ask, answer: Result<Answer, String>, expected: (u16, &str)) -> bool {
        let mut found = self.found.lock();
        found.asked += 1;
        let instead = match answer {
            Ok(answer) if (answer.status, answer.reason.as_str()) == expected => return true,
            Ok(Answer { status, reason, body, took, .. }) => {
                format!("{status} {reason} {body} after {took:?}")
            }
            Err(error) => error,
        };
        found.fail(format!("{ask:?} at {:?}: {instead}", self.begun.elapsed()));
        false
    }
}

/// What is behind `?` is no part of what a proof is for.
fn marked(url: &str, kind: &str) -> String {
    format!("{url}?ask={kind}-{}", random_id())
}
