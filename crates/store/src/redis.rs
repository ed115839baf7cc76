//! The store in Redis (or Valkey): for many replicas.
//!
//! Whatever the server forgets, it never forgets that: the memory of a scope names the run of the server that it was
//! begun in, and a claim names the run that its connection was made to. If the two differ, or the memory is not there,
//! it begins anew, with doubt (G11, C-09).

mod address;
mod answer;
mod attributes;
mod clock;
mod cluster;
mod examination;
mod gate;
mod keys;
mod link;
mod overrides;
mod revocation;
mod script;
mod server;
mod servers;
mod slots;
mod suspicion;
mod without;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Poll;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

pub use address::{Address, AddressError, RedisPlace};
pub use attributes::RedisAttributes;
pub use examination::{Examination, examine};
pub use keys::Prefix;
pub use overrides::RedisOverrides;
pub use revocation::{FeedClock, RedisRevocations, Replica};
pub use without::LimitsWithout;

use crate::admission::{AdmissionStore, Answer, Ask, Scope, StoreError, StoreFuture};
use crate::embedded::MAX_CHARGES;
use crate::limit::{Reserved, micros};
use crate::replay::{Epoch, ReplayHealth};
use crate::revocation::{RevocationLimits, Staleness};
use clock::Times;
use link::{Line, Links, Unanswered};
use script::{Answered, Call, Look, Scripts};
use servers::Servers;
use without::Local;

/// How many givings back of quotas may be on their way at once.
const MOST_GIVEN_BACK: usize = 1024;

/// How a store in Redis is reached, and what it bounds.
#[derive(Debug)]
pub struct RedisConfig {
    /// Where it is.
    pub address: Address,
    /// What its keys begin with. All replicas need the same; whoever has another shares nothing with them.
    pub prefix: Prefix,
    /// Time for one call. Longer than it, and the request that waits for it is refused.
    pub timeout: Duration,
    /// How many proofs are taken.
    pub bounds: WindowBounds,
    /// Limits while Redis cannot be asked.
    pub limits_without: LimitsWithout,
    /// How many replicas there are, as long as they have not heard of each other.
    pub replicas: NonZeroU32,
}

/// How many proofs are taken in a window, which begins with the first and is as long as that one lives. So at most twice
/// as many are live at once. In all, the server's memory is the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowBounds {
    /// Per scope, so that one tenant cannot take the others' room.
    pub max_per_tenant: NonZeroU32,
    /// Per holder, so that a flood under one key stops at that key.
    pub max_per_key: NonZeroU32,
}

impl Default for WindowBounds {
    /// 250 000 per tenant and 10 000 per holder.
    fn default() -> Self {
        let bound = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self { max_per_tenant: bound(250_000), max_per_key: bound(10_000) }
    }
}

/// A store in Redis, shared by all replicas with the same prefix. Times are the server's; `now` of the caller counts only
/// for limits while the server cannot be asked.
#[derive(Debug)]
pub struct RedisStore {
    servers: Servers,
    prefix: Prefix,
    bounds: WindowBounds,
    scripts: Scripts,
    given_back: TaskTracker,
    local: Arc<Local>,
    /// How many attributes are to be said again.
    owed: Arc<AtomicUsize>,
}

impl RedisStore {
    /// Connects to nothing yet: each runtime does so with its first call.
    #[must_use]
    pub fn new(config: RedisConfig) -> Self {
        let RedisConfig { address, prefix, timeout, bounds, limits_without, replicas } = config;
        let servers = Servers::new(address, timeout);
        let local = Arc::new(Local::new(limits_without, replicas));
        let (scripts, given_back) = (Scripts::new(), TaskTracker::new());
        Self { servers, prefix, bounds, scripts, given_back, local, owed: Arc::default() }
    }

    /// The revocations in the same Redis. `staleness`: for how long a snapshot answers that hears nothing.
    ///
    /// # Errors
    /// [`StoreError::NoRandomness`].
    pub fn revocations(
        &self,
        limits: RevocationLimits,
        staleness: Staleness,
    ) -> Result<RedisRevocations, StoreError> {
        let (servers, local) = (self.servers.clone(), Arc::clone(&self.local));
        RedisRevocations::new(
            servers,
            (local, Arc::clone(&self.owed)),
            self.prefix.clone(),
            limits,
            staleness,
        )
    }

    /// One trip to the server that has the scope.
    async fn run(&self, call: Call<'_>) -> Result<script::Answer, StoreError> {
        let links = self.servers.of_scope(call.scope()).await?;
        self.run_by(&links, call).await.inspect_err(|_| self.servers.doubt())
    }

    /// The overrides in the same Redis, `most` of them.
    #[must_use]
    pub fn overrides(&self, most: usize) -> RedisOverrides {
        RedisOverrides::new(self.servers.clone(), self.prefix.clone(), most)
    }

    /// The attributes of subjects in the same Redis, `most` of them. `staleness`: for how long they are known without hearing
    /// anything.
    #[must_use]
    pub fn attributes(&self, most: usize, staleness: Staleness) -> RedisAttributes {
        let (servers, prefix) = (self.servers.clone(), self.prefix.clone());
        RedisAttributes::new(servers, prefix, most, staleness, Arc::clone(&self.owed))
    }

    /// One trip. Where the server's clock is not what was known of it: then a look at it, and another.
    async fn run_by(&self, links: &Arc<Links>, call: Call<'_>) -> Result<script::Answer, StoreError> {
        let mut epoch = Epoch::default();
        getrandom::fill(&mut epoch).or(Err(StoreError::NoRandomness))?;
        let line = links.fit_line().await?;
        let (line, known) = match links.clock().times()? {
            Some(times) if line.looked() => (line, times),
            Some(_) | None => self.looked_at(links, line).await?,
        };
        match self.run_in(links, (known, &line), call, &epoch).await? {
            Answered::Answer(answer) => Ok(answer),
            Answered::LookAgain => {
                let (line, known) = self.looked_at(links, line).await?;
                match self.run_in(links, (known, &line), call, &epoch).await? {
                    Answered::Answer(answer) => Ok(answer),
                    Answered::LookAgain => Err(StoreError::Unavailable),
                }
            }
        }
    }

    async fn run_in(
        &self,
        links: &Links,
        (times, line): (Times, &Arc<Line>),
        call: Call<'_>,
        epoch: &Epoch,
    ) -> Result<Answered, StoreError> {
        let command = |known| self.scripts.command(known, (&self.prefix, call), &line.run, &times, epoch);
        let value = match links.ask(line, &command(true)).await {
            // Not kept: the server is new, or its scripts were flushed. Said in full, it keeps it.
            Err(Unanswered::NoScript) => links.ask(line, &command(false)).await,
            answer => answer,
        };
        let Some(answered) = Answered::read(&value?, epoch) else { return Err(links.distrust(line)) };
        if let Answered::Answer(answer) = &answered {
            links.clock().seen(times.era, answer.time)?;
        }
        Ok(answered)
    }

    /// A connection over which the server was looked at: this one, or a new one if the server is called otherwise now.
    async fn looked_at(&self, links: &Links, line: Arc<Line>) -> Result<(Arc<Line>, Times), StoreError> {
        if let Some(times) = self.look_by(links, &line).await? {
            return Ok((line, times));
        }
        let line = links.line().await?;
        let times = self.look_by(links, &line).await?.ok_or(StoreError::Unavailable)?;
        Ok((line, times))
    }

    /// Looks at the server's clock and memory; `None` if it is not called what it was when this connection was made.
    async fn look_by(&self, links: &Links, line: &Arc<Line>) -> Result<Option<Times>, StoreError> {
        let (key, clock) = (links.clock_key(&self.prefix, line), links.clock());
        let (command, drawn) = self.scripts.look(&key, clock.times()?, clock.top())?;
        let value = links.ask(line, &command).await?;
        let Some(look) = Look::read(&value, &drawn) else { return Err(links.distrust(line)) };
        if !line.run.is_of(&look.history) {
            // It was a replica in between, or has its first one: whoever connects anew learns what it is called now.
            links.give_up(line);
            return Ok(None);
        }
        links.judge(look.fitness)?;
        look.fitness.map_err(StoreError::Unfit)?;
        links.clock().looked(look.times)?;
        line.has_looked();
        Ok(Some(look.times))
    }

    /// Looks at every server. One that can be used is enough: what lies on others is refused when it is asked for.
    async fn look(&self) -> Result<ReplayHealth, StoreError> {
        let servers = self.servers.all().await?;
        let looks = servers.iter().map(|links| async { self.looked_at(links, links.line().await?).await });
        let looked = together(looks).await;
        let down = looked.iter().filter(|look| look.is_err()).count();
        if down == looked.len() {
            looked.into_iter().next().ok_or(StoreError::Unavailable)??;
        }
        Ok(ReplayHealth {
            live_proofs: None,
            complete_since: None,
            interruptions: self.servers.interruptions(),
            charged_locally: self.local.charged(),
            nodes: self.servers.nodes(down),
        })
    }
}

impl AdmissionStore for RedisStore {
    fn admit<'a>(&'a self, ask: &'a Ask<'a>, now: Timestamp) -> StoreFuture<'a, Answer> {
        Box::pin(async move {
            if ask.charges.len() > MAX_CHARGES {
                return Err(StoreError::Full);
            }
            match self.run(Call::Admit(ask, self.bounds)).await {
                Ok(answer) => {
                    self.local.note(ask, &answer)?;
                    answer.to(ask)
                }
                Err(error) => self.local.admit(ask, error, micros(now)),
            }
        })
    }

    /// At most [`MOST_GIVEN_BACK`] at once are on their way; others stay used.
    fn give_back(&self, reserved: Reserved) {
        if reserved.is_empty() || self.given_back.len() >= MOST_GIVEN_BACK {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let (servers, scope) = (self.servers.clone(), reserved.scope());
        let command = script::give_back(&self.prefix, &reserved);
        let giving = async move {
            let Ok(links) = servers.of_scope(scope).await else { return };
            let Ok(line) = links.fit_line().await else { return };
            if let Err(error) = links.ask(&line, &command).await {
                tracing::debug!(?error, "a quota was not given back");
            }
        };
        self.given_back.spawn_on(giving, &runtime);
    }

    fn epoch(&self, scope: Scope, _now: Timestamp) -> StoreFuture<'_, Epoch> {
        Box::pin(async move { self.run(Call::Epoch(scope)).await?.epoch() })
    }

    fn health(&self, _now: Timestamp) -> StoreFuture<'_, ReplayHealth> {
        Box::pin(self.look())
    }
}

/// What all of them come to, in their order; each goes on while others wait.
async fn together<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut all = Poll::Ready(());
        for (future, outcome) in waiting.iter_mut().filter(|(_, outcome)| outcome.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(come) => *outcome = Some(come),
                Poll::Pending => all = Poll::Pending,
            }
        }
        all
    })
    .await;
    waiting.into_iter().filter_map(|(_, outcome)| outcome).collect()
}

#[cfg(test)]
mod tests;
