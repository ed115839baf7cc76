//! What the replicas say of themselves: kept beside their signs of life, and forgotten with them.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::time::Instant;

use super::super::answer::{bytes, list, number};
use super::super::link::Line;
use super::script::{Caller, Incarnation, Replica, position_in};
use super::{FORGOTTEN, RedisRevocations};
use crate::admission::StoreError;
use crate::replicas::{Fleet, MOST_LISTED, Presence, ReplicaName, Report};
use crate::revocation::{FleetFuture, Position};

/// How often a replica says anew what it says of itself.
pub(super) const SAY_EVERY: Duration = Duration::from_secs(1);
/// Time for that, and for a name that is not known yet.
const SAY_WITHIN: Duration = Duration::from_millis(200);
/// Time for all replicas: somebody looks at a screen.
const ALL_WITHIN: Duration = Duration::from_secs(1);

/// What was heard of the replicas last.
#[derive(Debug, Default)]
pub(super) struct HeardOf {
    /// As of the last beat, and when that was.
    pub(super) replicas: Vec<Replica>,
    at: Option<Instant>,
    names: BTreeMap<String, ReplicaName>,
    /// As of the last time that anybody asked here.
    reports: BTreeMap<String, Report>,
}

impl HeardOf {
    pub(super) fn beat(&mut self, replicas: &[Replica]) {
        self.replicas = replicas.to_vec();
        self.at = Some(Instant::now());
    }
}

impl RedisRevocations {
    /// Says what this replica says of itself, and hears what the others are called. Nothing hangs on it: what goes wrong is
    /// tried again.
    pub(super) async fn say_of_itself(&self, line: &Line) -> Result<(), StoreError> {
        let caller = self.caller()?;
        let name = self.itself.name().map(ReplicaName::as_str).unwrap_or_default();
        let command = caller.report(self.itself.id(), name, &self.itself.reported());
        let answer = line.say_one(command, SAY_WITHIN).await?;
        let names = told_names(&answer, &caller.next).ok_or(StoreError::Foreign)?;
        self.heard_of.lock().or(Err(StoreError::Poisoned))?.names = names;
        Ok(())
    }

    /// What replicas are called, asked anew if one of these is not known.
    pub(super) async fn names_of(&self, ids: impl Iterator<Item = &String>) -> BTreeMap<String, ReplicaName> {
        let known = self.heard_of.lock().map(|heard| heard.names.clone()).unwrap_or_default();
        if ids.into_iter().all(|id| known.contains_key(id)) {
            return known;
        }
        let asked = async {
            let mut command = redis::cmd("HGETALL");
            command.arg(self.prefix.revocations("names"));
            let answer = self.line().await?.say_one(command, SAY_WITHIN).await?;
            names(&answer).ok_or(StoreError::Foreign)
        };
        match tokio::time::timeout(SAY_WITHIN, asked).await {
            Ok(Ok(names)) => names,
            Ok(Err(_)) | Err(_) => known,
        }
    }

    pub(super) fn tell_fleet(&self) -> FleetFuture<'_> {
        Box::pin(async move {
            let asked = tokio::time::timeout(ALL_WITHIN, self.ask_all()).await;
            match asked.unwrap_or(Err(StoreError::Unavailable)) {
                Ok(fleet) => fleet,
                Err(error) => {
                    tracing::debug!(%error, "the store does not tell of the replicas");
                    self.heard_fleet()
                }
            }
        })
    }

    async fn ask_all(&self) -> Result<Fleet, StoreError> {
        let line = self.line().await?;
        let mut commands = Pipeline::new();
        commands.cmd("TIME").cmd("HGETALL").arg(self.prefix.revocations("replicas"));
        commands.cmd("HGETALL").arg(self.prefix.revocations("names"));
        commands.cmd("GET").arg(self.prefix.revocation_memory());
        let answers = line.say(&commands, ALL_WITHIN).await?;
        let [time, replicas, called, memory] = answers.as_slice() else { return Err(StoreError::Foreign) };
        let replicas = present(time, replicas).ok_or(StoreError::Foreign)?;
        let called = names(called).ok_or(StoreError::Foreign)?;
        let mut reports = Pipeline::new();
        let listed: Vec<_> = replicas.iter().take(MOST_LISTED).map(|replica| replica.id.clone()).collect();
        for id in &listed {
            reports.cmd("HGET").arg(self.prefix.revocations("reports")).arg(id);
        }
        let answers = if listed.is_empty() { Vec::new() } else { line.say(&reports, ALL_WITHIN).await? };
        let said =
            listed.into_iter().zip(answers.iter().map(|one| Report::of(bytes(one).unwrap_or_default())));
        let said: BTreeMap<_, _> = said.collect();
        let fleet = self.fleet_of(true, position_in(memory), &replicas, &called, &said);
        let mut heard = self.heard_of.lock().or(Err(StoreError::Poisoned))?;
        (heard.names, heard.reports) = (called, said);
        Ok(fleet)
    }

    /// As of the last beat of this replica.
    fn heard_fleet(&self) -> Fleet {
        let Ok(heard) = self.heard_of.lock() else { return self.fleet_of_nothing() };
        let since = heard.at.map_or(Duration::ZERO, |at| at.elapsed());
        let mut replicas = heard.replicas.clone();
        for replica in &mut replicas {
            replica.silent = replica.silent.saturating_add(since);
        }
        self.fleet_of(false, None, &replicas, &heard.names, &heard.reports)
    }

    fn fleet_of_nothing(&self) -> Fleet {
        self.fleet_of(false, None, &[], &BTreeMap::new(), &BTreeMap::new())
    }

    /// What this process knows of itself comes before what the store tells of it.
    fn fleet_of(
        &self,
        current: bool,
        position: Option<Position>,
        replicas: &[Replica],
        names: &BTreeMap<String, ReplicaName>,
        reports: &BTreeMap<String, Report>,
    ) -> Fleet {
        let others = replicas.iter().filter(|replica| replica.id != self.itself.id());
        let mut fleet: Vec<_> = others
            .map(|replica| Presence {
                id: replica.id.clone(),
                name: names.get(&replica.id).cloned(),
                itself: false,
                position: replica.position,
                silent: replica.silent,
                report: reports.get(&replica.id).cloned().unwrap_or(Report::Nothing),
            })
            .collect();
        fleet.push(Presence {
            id: self.itself.id().to_owned(),
            name: self.itself.name().cloned(),
            itself: true,
            position: self.position(),
            silent: self.heard.borrow().elapsed(),
            report: Report::of(&self.itself.reported()),
        });
        Fleet::of(current, position, fleet)
    }
}

impl Caller<'_> {
    fn report(&self, replica: &str, name: &str, report: &[u8]) -> redis::Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(include_str!("report.lua")).arg(3);
        for key in ["replicas", "names", "reports"] {
            command.arg(self.prefix.revocations(key));
        }
        command.arg(&self.next[..]).arg(replica).arg(name).arg(report);
        command
    }
}

fn told_names(answer: &Value, drawn: &Incarnation) -> Option<BTreeMap<String, ReplicaName>> {
    let [of, told] = list(answer)? else { return None };
    (bytes(of)? == drawn).then(|| names(told))?
}

/// What is no name is left out: it is only shown.
fn names(told: &Value) -> Option<BTreeMap<String, ReplicaName>> {
    let text = |value: &Value| std::str::from_utf8(bytes(value)?).ok().map(str::to_owned);
    let pair = |pair: &[Value]| Some((text(pair.first()?)?, ReplicaName::parse(&text(pair.get(1)?)?)?));
    Some(list(told)?.chunks(2).filter_map(pair).collect())
}

/// The replicas that were heard in the last minute. How one says so may be of another version: then it is none of ours.
fn present(time: &Value, replicas: &Value) -> Option<Vec<Replica>> {
    let [seconds, micros] = list(time)? else { return None };
    let now = number(seconds)?.checked_mul(1000)?.checked_add(number(micros)? / 1000)?;
    let one = |pair: &[Value]| {
        let text = |at: usize| std::str::from_utf8(bytes(pair.get(at)?)?).ok();
        let mut words = text(1)?.split(' ').map(|word| word.parse::<u64>().ok());
        let (position, heard, owed) = (words.next()??, words.next()??, words.next()??);
        let silent = Duration::from_millis(now.saturating_sub(heard));
        Some(Replica { id: text(0)?.to_owned(), position: Position(position), silent, owed })
    };
    let found = list(replicas)?.chunks(2).filter_map(one);
    Some(found.filter(|replica| replica.silent <= FORGOTTEN).collect())
}
