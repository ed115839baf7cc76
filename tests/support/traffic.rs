//! Requests that go on while something fails: clients as they are in the field, thieves who keep sending proofs that
//! were used, and callers with bearer tokens.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::agent::Agent;
use crate::client::{Answer, Call, send};
use crate::holder::DOCUMENT;
use crate::jwt::random_id;
use crate::stack::{Stack, in_time};
use crate::upstream::Upstream;

/// What a configuration needs so that callers with bearer tokens may come too.
pub const BEARERS_TOO: [(&str, &str); 2] =
    [("require: any", "require: none"), ("    sender_constraint: dpop\n", "")];

/// Used proofs that thieves choose from: of some two minutes.
const MOST_USED: usize = 50_000;

/// How many of each there are, and how many requests each sends a second, if they are answered in time.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Clients with proofs, each with a key of its own.
    pub honest: usize,
    /// Thieves, who send what the clients sent.
    pub thieves: usize,
    /// Callers with bearer tokens.
    pub bearers: usize,
    /// Requests of each, a second.
    pub rate: f64,
}

impl Load {
    /// Some 500 a second in all.
    pub const USUAL: Self = Self { honest: 12, thieves: 4, bearers: 4, rate: 25.0 };
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A client with proofs: the answer is that to its second attempt, where it was asked for a nonce.
    Honest,
    /// One who sent a used proof.
    Thief,
    /// A caller with a bearer token.
    Bearer,
}

/// A request and what it came to.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Who asked.
    pub who: Who,
    /// HTTP status; 0 if there was no answer.
    pub status: u16,
    /// The reason in it, or why there was no answer.
    pub reason: String,
    /// When it was answered.
    pub at: Instant,
    /// How long the last attempt took.
    pub took: Duration,
}

/// A request whose proof is used, or may be.
#[derive(Clone, Debug)]
struct Used {
    url: String,
    token: String,
    proof: String,
}

#[derive(Debug, Default)]
struct Ledger {
    exchanges: Vec<Exchange>,
    /// The last ones: those that came before are long out of time.
    used: VecDeque<Used>,
    /// Permits in a row of each honest client.
    in_a_row: HashMap<usize, usize>,
}

impl Ledger {
    fn remember(&mut self, used: Used) {
        self.used.push_back(used);
        if self.used.len() > MOST_USED {
            self.used.pop_front();
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Ledger>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes on. It ends when it is dropped.
#[derive(Debug)]
pub struct Traffic {
    ledger: Shared,
    honest: usize,
    callers: JoinSet<()>,
    stop: Arc<AtomicUsize>,
}

impl Traffic {
    /// Begins.
    #[must_use]
    pub fn start(stack: &Stack, load: Load) -> Self {
        Self::of_tenant(stack, load, "acme")
    }

    /// Begins, with callers of this tenant.
    #[must_use]
    pub fn of_tenant(stack: &Stack, load: Load, tenant: &str) -> Self {
        let (ledger, stop) = (Shared::default(), Arc::new(AtomicUsize::new(0)));
        let mut callers = JoinSet::new();
        let pace = Duration::from_secs_f64(1.0 / load.rate);
        for number in 0..load.honest + load.thieves + load.bearers {
            let agent = Agent::new();
            let bearer = number >= load.honest + load.thieves;
            let changes =
                if bearer { json!({ "cnf": null, "tenant": tenant }) } else { json!({ "tenant": tenant }) };
            let token = stack.tokens.token(&agent, &changes);
            let caller = Caller {
                number,
                client: stack.client.clone(),
                url: stack.url(&DOCUMENT.replace("acme", tenant)),
                agent,
                token,
                ledger: ledger.clone(),
            };
            let who = match number {
                _ if bearer => Who::Bearer,
                _ if number >= load.honest => Who::Thief,
                _ => Who::Honest,
            };
            callers.spawn(caller.go_on(who, pace, Arc::clone(&stop)));
        }
        Self { ledger, honest: load.honest, callers, stop }
    }

    /// Waits until there are `count` more exchanges of the kind.
    ///
    /// # Panics
    /// When they do not come within a bounded time.
    pub async fn more(&self, what: &str, count: usize, kind: impl Fn(&Exchange) -> bool) {
        let from = self.ledger.lock().exchanges.len();
        let enough =
            || self.ledger.lock().exchanges.iter().skip(from).filter(|one| kind(one)).count() >= count;
        in_time(what, until(enough)).await;
    }

    /// Waits until each honest client was permitted `count` times in a row, from now on.
    ///
    /// # Panics
    /// When they are not within a bounded time.
    pub async fn all_well(&self, count: usize) {
        let well = self.try_all_well(count, Duration::from_secs(60)).await;
        assert_eq!(well, Ok(()), "not all honest clients were permitted");
    }

    /// The same, if it comes within a time.
    ///
    /// # Errors
    /// What became of the last requests instead, how often.
    pub async fn try_all_well(&self, count: usize, within: Duration) -> Result<(), String> {
        self.ledger.lock().in_a_row.clear();
        let all = || {
            let ledger = self.ledger.lock();
            ledger.in_a_row.values().filter(|permits| **permits >= count).count() >= self.honest
        };
        tokio::time::timeout(within, until(all)).await.map_err(|_elapsed| self.lately())
    }

    fn lately(&self) -> String {
        let ledger = self.ledger.lock();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for one in ledger.exchanges.iter().rev().take(1000) {
            *counts.entry(format!("{:?} {} {}", one.who, one.status, one.reason)).or_default() += 1;
        }
        format!("of the last 1000: {counts:?}; permits in a row: {:?}", ledger.in_a_row)
    }

    /// Ends it, once what is under way is answered.
    pub async fn stop(mut self) -> Seen {
        self.stop.store(1, Ordering::Relaxed);
        while self.callers.join_next().await.is_some() {}
        let mut ledger = self.ledger.lock();
        Seen { exchanges: std::mem::take(&mut ledger.exchanges) }
    }
}

async fn until(reached: impl Fn() -> bool) {
    while !reached() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// All that was asked and answered.
#[derive(Clone, Debug)]
pub struct Seen {
    /// In the order of the answers.
    pub exchanges: Vec<Exchange>,
}

impl Seen {
    /// Those of one kind of caller.
    pub fn of(&self, who: Who) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter().filter(move |one| one.who == who)
    }

    /// How many requests reached the upstream beyond the first with their proof.
    #[must_use]
    pub fn wrong_permits(&self, upstream: &Upstream) -> usize {
        let mut times: HashMap<String, usize> = HashMap::new();
        for received in upstream.received() {
            if let Some((_, id)) = received.target.split_once("?proof=") {
                *times.entry(id.to_owned()).or_default() += 1;
            }
        }
        times.values().map(|count| count - 1).sum()
    }

    /// Answers that no client can go on from: neither a permit, nor a demand for a nonce, nor a 503 of Exequatur's own
    /// because of its store.
    #[must_use]
    pub fn dead_ends(&self) -> Vec<&Exchange> {
        let recoverable = |one: &Exchange| match (one.status, one.reason.as_str()) {
            (200, _) | (503, "replay_store_unavailable" | "state_stale") => true,
            (401, reason) => reason == "dpop_nonce_invalid" || reason == "dpop_nonce_required",
            (_, _) => false,
        };
        self.of(Who::Honest).filter(|one| !recoverable(one)).collect()
    }

    /// The laws that hold whatever becomes of the store: no proof is permitted twice, no honest client is told what it
    /// cannot go on from, and who needs no store is let through.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn assert_lawful(&self, what: &str, upstream: &Upstream) {
        assert_eq!(self.wrong_permits(upstream), 0, "{what}: a proof was permitted twice");
        let dead_ends = self.dead_ends();
        assert!(dead_ends.is_empty(), "{what}: {} of them, {:?}", dead_ends.len(), dead_ends.first());
        let refused = self.of(Who::Bearer).find(|one| one.status != 200);
        assert!(refused.is_none(), "{what}: {refused:?}");
        for who in [Who::Honest, Who::Thief, Who::Bearer] {
            assert!(self.of(who).count() > 0, "{what}: {who:?} never asked");
        }
    }
}

struct Caller {
    number: usize,
    client: Client,
    url: String,
    agent: Agent,
    token: String,
    ledger: Shared,
}

impl Caller {
    async fn go_on(self, who: Who, pace: Duration, stop: Arc<AtomicUsize>) {
        let mut ticks = tokio::time::interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut count, mut nonce) = (0_usize, None);
        while stop.load(Ordering::Relaxed) == 0 {
            ticks.tick().await;
            count += 1;
            let answer = match who {
                Who::Honest => self.prove(&mut nonce).await,
                Who::Thief => {
                    let Some(used) = self.stolen(count) else { continue };
                    self.send(&used.url, &format!("DPoP {}", used.token), Some(&used.proof)).await
                }
                Who::Bearer => self.send(&self.url, &format!("Bearer {}", self.token), None).await,
            };
            let (status, reason, took) = match answer {
                Ok(answer) => (answer.status, answer.reason, answer.took),
                Err(error) => (0, error, Duration::ZERO),
            };
            let mut ledger = self.ledger.lock();
            if who == Who::Honest {
                let permits = ledger.in_a_row.entry(self.number).or_default();
                *permits = if status == 200 { *permits + 1 } else { 0 };
            }
            ledger.exchanges.push(Exchange { who, status, reason, at: Instant::now(), took });
        }
    }

    /// As a stock client does: it proves with the nonce that it was given last, and follows one demand for another.
    async fn prove(&self, nonce: &mut Option<String>) -> Result<Answer, String> {
        let mut answer = self.prove_once(nonce).await?;
        if answer.demanded_nonce().is_some() {
            answer = self.prove_once(nonce).await?;
        }
        Ok(answer)
    }

    async fn prove_once(&self, nonce: &mut Option<String>) -> Result<Answer, String> {
        let claims = nonce.as_ref().map_or_else(|| json!({}), |nonce| json!({ "nonce": nonce }));
        let proof = self.agent.proof("GET", &self.url, &self.token, &claims);
        // Who permits it a second time is told by it: what is behind `?` is no part of what a proof is for.
        let url = format!("{}?proof={}", self.url, random_id());
        let answer = self.send(&url, &format!("DPoP {}", self.token), Some(&proof)).await;
        self.ledger.lock().remember(Used { url, token: self.token.clone(), proof });
        let answer = answer?;
        let given = answer.field("dpop-nonce");
        if !given.is_empty() {
            *nonce = Some(given);
        }
        Ok(answer)
    }

    /// One that was sent before: in turn one of the last, and one of all.
    fn stolen(&self, count: usize) -> Option<Used> {
        let ledger = self.ledger.lock();
        let index = match count % 2 {
            0 => ledger.used.len().checked_sub(1 + (count / 2) % 20),
            _ => (count * 7919 + self.number).checked_rem(ledger.used.len()),
        };
        ledger.used.get(index?).cloned()
    }

    async fn send(&self, url: &str, authorization: &str, proof: Option<&str>) -> Result<Answer, String> {
        send(&self.client, &Call::new("GET", url), Some(authorization), proof).await
    }
}
