//! Replicas that are stopped and started again as a rollout does it, and what Envoy says of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Child;

use super::{Stack, in_time, plain_client, start_exequatur, wait_for_exequatur};
use crate::agent::Agent;
use crate::configuration::Ports;
use crate::direct::{Decision, Direct, check};
use crate::holder::DOCUMENT;

/// C-17: how long a stop may take where no disk hangs, whatever callers and Redis do.
const ORDERLY_WITHIN: Duration = Duration::from_secs(10);

/// What Envoy counts where a Check had no answer: it could not ask, was cut off, or waited in vain.
const LOST: [&str; 7] = [
    "http.ingress.ext_authz.exequatur.error",
    "cluster.exequatur.upstream_cx_connect_fail",
    "cluster.exequatur.upstream_cx_destroy_remote_with_active_rq",
    "cluster.exequatur.upstream_rq_pending_failure_eject",
    "cluster.exequatur.upstream_rq_pending_overflow",
    "cluster.exequatur.upstream_rq_rx_reset",
    "cluster.exequatur.upstream_rq_timeout",
];

/// One of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replica {
    /// Of `exequatur.yaml`.
    First,
    /// Of `second.yaml`.
    Second,
}

impl Stack {
    /// Asks a replica to stop (SIGTERM) and waits until it has ended.
    ///
    /// # Errors
    /// When there is none, it ends with an error, or not within ten seconds.
    pub async fn terminate(&mut self, which: Replica) -> Result<(), String> {
        self.signal(which, "TERM").await?;
        self.until_ended(which).await
    }

    /// Waits until a replica has ended.
    ///
    /// # Errors
    /// When it ends with an error, or not within ten seconds.
    pub async fn until_ended(&mut self, which: Replica) -> Result<(), String> {
        let (process, _) = self.replica(which)?;
        let ended = tokio::time::timeout(ORDERLY_WITHIN, process.wait()).await;
        let status = ended.map_err(|_elapsed| "it did not end")?.map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("{which:?} ended with {status}")) }
    }

    /// Sends a replica a signal, by its name without `SIG`.
    ///
    /// # Errors
    /// When there is none, or it has ended.
    pub async fn signal(&mut self, which: Replica, signal: &str) -> Result<(), String> {
        let (process, _) = self.replica(which)?;
        let id = process.id().ok_or_else(|| format!("{which:?} has ended already"))?;
        crate::signal::send(signal, id).map_err(|error| error.to_string())
    }

    /// Stops a replica as a rollout does, starts another in its place, and waits until Envoy sends to both again.
    ///
    /// # Errors
    /// When it does not end well, or its successor does not become ready.
    pub async fn roll(&mut self, which: Replica) -> Result<(), String> {
        self.terminate(which).await?;
        self.begin_again(which).await?;
        self.until_healthy(2).await;
        Ok(())
    }

    /// Starts a replica that has ended, with the configuration that is there now, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn begin_again(&mut self, which: Replica) -> Result<(), String> {
        let (options, folder) = (self.options.clone(), self.folder.0.clone());
        let (process, ports) = self.replica(which)?;
        let name = match which {
            Replica::First => "exequatur",
            Replica::Second => "second",
        };
        *process = start_exequatur(&options, &folder, name)?;
        wait_for_exequatur(&options, &folder, &ports, process).await
    }

    /// Waits until a proof without a nonce is permitted by the replica at this port itself: none is in doubt from then on.
    ///
    /// # Panics
    /// When it answers otherwise, or not at all.
    pub async fn until_beyond_doubt(&self, port: u16) {
        let direct = Direct::connect(port).await.expect("a replica answers");
        let agent = Agent::new();
        let token = self.tokens.token(&agent, &Value::Null);
        let permitted = async {
            loop {
                let proof = agent.proof("GET", &self.url(DOCUMENT), &token, &Value::Null);
                let fields = [("authorization", &*format!("DPoP {token}")), ("dpop", &proof)];
                match direct.ask(check("GET", "localhost", DOCUMENT, &fields)).await.expect("an answer") {
                    Decision::Permit => return,
                    decision => assert_eq!(decision.reason(), "dpop_nonce_required"),
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        in_time("a replica without doubt", permitted).await;
    }

    fn replica(&mut self, which: Replica) -> Result<(&mut Child, Ports), String> {
        match which {
            Replica::First => Ok((&mut self.exequatur, self.ports)),
            Replica::Second => {
                let second = self.second.as_mut().ok_or("there is no second replica")?;
                Ok((second, self.ports.of_second()))
            }
        }
    }

    /// Waits until Envoy takes as many replicas for healthy. Its cluster has to check them.
    pub async fn until_healthy(&self, replicas: u64) {
        let comes = async {
            while self.envoy_stat("cluster.exequatur.membership_healthy").await != Ok(replicas) {
                tokio::time::sleep(super::POLL).await;
            }
        };
        in_time("replicas that are healthy to Envoy", comes).await;
    }

    /// What Envoy counted of Checks that had no answer: nothing, or names and numbers.
    ///
    /// # Errors
    /// When Envoy does not say, or does not count it.
    pub async fn lost_checks(&self) -> Result<BTreeMap<String, u64>, String> {
        let stats = self.envoy_stats("exequatur.").await?;
        let counted = LOST.iter().map(|name| {
            let count = stats.get(*name).copied().ok_or_else(|| format!("no {name} in {stats:#?}"))?;
            Ok(((*name).to_owned(), count))
        });
        let counted: Vec<_> = counted.collect::<Result<_, String>>()?;
        Ok(counted.into_iter().filter(|(_, count)| *count > 0).collect())
    }

    /// One of Envoy's counters or gauges.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn envoy_stat(&self, name: &str) -> Result<u64, String> {
        let stats = self.envoy_stats(name).await?;
        stats.get(name).copied().ok_or_else(|| format!("Envoy has no {name}"))
    }

    /// Envoy's counters and gauges whose names have this in them.
    ///
    /// # Errors
    /// When Envoy does not say.
    pub async fn envoy_stats(&self, part: &str) -> Result<BTreeMap<String, u64>, String> {
        let url = format!("http://127.0.0.1:{}/stats", self.ports.envoy_admin);
        let answer = plain_client()?.get(&url).send().await.map_err(|error| error.to_string())?;
        let text = answer.text().await.map_err(|error| error.to_string())?;
        let values = text.lines().filter(|line| line.contains(part));
        let values = values.filter_map(|line| line.split_once(": "));
        // Histograms are no numbers.
        Ok(values.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }
}
