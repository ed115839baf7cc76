//! What a replica says of itself, what one tells of all, and what of that is wrong.
//!
//! A report comes from another process by way of a store: it is read strictly, shown, and never acted on.

use std::collections::BTreeSet;
use std::time::Duration;

use exequatur_store::{Fleet, MAX_REPORT, Presence, ReplicaName, Report as Found};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::When;

/// The version of a report. It changes with each change of its form: those of before are read, and one of later is shown as such.
pub const REPORT_VERSION: u32 = 2;
/// Longest text in a report, in characters.
const MAX_TEXT: usize = 200;
/// A replica that is there says so twice a second.
const SILENT: Duration = Duration::from_secs(3);
/// So many changes a replica may be behind under load, and so long.
const BEHIND: u64 = 1_000;
const BEHIND_FOR: Duration = Duration::from_secs(1);

/// What a replica says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub v: u32,
    /// Of the program.
    pub version: String,
    /// When this was said, by its clock.
    pub at: When,
    /// When the process started.
    pub started: When,
    /// Whether it may be asked.
    pub state: ReplicaState,
    /// What it decides by.
    pub generation: GenerationReport,
    /// The last reload, if it was refused.
    pub failed_reload: Option<FailedReload>,
    /// The issuers; those first that something is wrong with.
    pub issuers: Vec<IssuerReport>,
    /// How many there are besides.
    pub issuers_unlisted: u32,
    /// Where used proofs and limits are.
    pub store: StoreReport,
    /// What is revoked.
    pub revocations: RevocationsReport,
    /// Whose nonces it takes; null if its secret is random and its own, or the report is of version 1.
    #[serde(default)]
    pub nonces: Option<NoncesReport>,
    /// Limits that are set otherwise; null if that is not known.
    pub overrides: Option<u64>,
    /// Attributes of subjects; null if they are not known.
    pub attributes: Option<u64>,
}

/// Whether a replica may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// Something was not complete yet.
    Starting,
    /// Yes.
    Ready,
    /// It stops.
    Draining,
}

impl ReplicaState {
    /// As JSON has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

/// Where a generation comes from. Numbers are each process's own; two replicas decide alike if `rules` and `policies` are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerationReport {
    /// From 1 with each accepted change since the start.
    pub number: u64,
    /// SHA-256 of the configuration file, in hexadecimal digits.
    pub configuration: String,
    /// SHA-256 over what of it decides, as the file spells it: resources, issuers, tenants, federations, sender constraint, routes,
    /// limits; not over listeners, stores, names and where files lie, in which replicas may differ. Every version makes it alike.
    pub rules: String,
    /// The content hash of policies and schema.
    pub policies: String,
    /// When it was loaded.
    pub since: When,
}

/// A reload that was refused: the generation before goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailedReload {
    /// When.
    pub at: When,
    /// The first mistake.
    pub error: String,
}

/// The keys of an issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerReport {
    /// Its configured name.
    pub name: String,
    /// How many can be used.
    pub keys: u32,
    /// How many seconds ago they were loaded; null if never.
    pub age_s: Option<u64>,
    /// Whether tokens of it are verified: there are keys, and they are not too old.
    pub usable: bool,
    /// Why the last load failed, if it did.
    pub error: Option<String>,
}

/// The store of used proofs and limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreReport {
    /// `embedded` or `redis`.
    pub kind: String,
    /// Why it cannot be used, if so.
    pub error: Option<String>,
}

/// What a replica knows of revocations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevocationsReport {
    /// How many are in force, those that are over and still take room among them.
    pub entries: u32,
    /// The last change that it has.
    pub position: u64,
    /// Whether it is known what is revoked.
    pub known: Knowledge,
    /// Whether they cannot be written to the disk any more.
    pub not_kept: bool,
}

/// The secrets of nonces, by marks of 8 hexadecimal digits: the same for the same secret, and of no use for anything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoncesReport {
    /// Of the secret that nonces are made with.
    pub made: String,
    /// Of those besides whose nonces are taken.
    pub taken: Vec<String>,
}

impl NoncesReport {
    /// Whether a nonce that is made with the secret of this mark is taken.
    fn takes(&self, made: &str) -> bool {
        self.made == made || self.taken.iter().any(|taken| taken == made)
    }
}

/// Whether something is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Knowledge {
    /// It is.
    Known,
    /// As it was when it was heard last; that is gone by for a while.
    Degraded,
    /// It is not: requests are denied.
    Unknown,
}

impl Report {
    /// At most [`MAX_REPORT`] bytes of JSON: texts are cut, and issuers left out as far as it takes.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn encode(mut self) -> Result<Vec<u8>, serde_json::Error> {
        self.issuers.sort_by_key(|issuer| (issuer.usable, issuer.error.is_none()));
        for issuer in &mut self.issuers {
            if let Some(error) = &mut issuer.error {
                *error = cut(error);
            }
        }
        if let Some(failed) = &mut self.failed_reload {
            failed.error = cut(&failed.error);
        }
        loop {
            let text = serde_json::to_vec(&self)?;
            if text.len() <= MAX_REPORT || self.issuers.pop().is_none() {
                return Ok(text);
            }
            self.issuers_unlisted = self.issuers_unlisted.saturating_add(1);
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

/// `GET /v1/status`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Whether the store that the replicas share said so now; false: it is what was heard last, and the report is of the replica
    /// that was asked alone, or as somebody saw it there before.
    pub current: bool,
    /// The last change of revocations, as the store has it.
    pub position: Option<u64>,
    /// The replica that was asked first, the others by name; at most 200.
    pub replicas: Vec<ReplicaStatus>,
    /// How many there are besides.
    pub unlisted: u32,
    /// What is wrong; nothing if all is well.
    pub findings: Vec<Finding>,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaStatus {
    /// Random, new with each start.
    pub id: String,
    /// What people call it, if it said so.
    pub name: Option<String>,
    /// Whether it is the one that was asked.
    pub asked: bool,
    /// How many milliseconds ago it was heard.
    pub heard_ms: u64,
    /// The last change of revocations that it has.
    pub position: u64,
    /// How many changes of revocations it is behind; null if that is not known.
    pub lag: Option<u64>,
    /// What it says of itself.
    pub report: Option<Report>,
    /// Why there is no report, if so: `none`, `another_version`, `broken` or `too_long`.
    pub unreadable: Option<String>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// A word for programs.
    pub finding: String,
    /// With which replica, by its id; absent if with none of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// A sentence for people.
    pub message: String,
}

/// A report as far as it can be read.
#[derive(Deserialize)]
struct AnyVersion {
    v: u32,
}

fn read(found: &Found) -> Result<Report, &'static str> {
    let bytes = match found {
        Found::Nothing => return Err("none"),
        Found::TooLong => return Err("too_long"),
        Found::Said(bytes) => bytes,
    };
    match serde_json::from_slice::<AnyVersion>(bytes) {
        Ok(AnyVersion { v: 1..=REPORT_VERSION }) => serde_json::from_slice(bytes).or(Err("broken")),
        Ok(AnyVersion { .. }) => Err("another_version"),
        Err(_broken) => Err("broken"),
    }
}

impl Status {
    /// What the store tells of the replicas.
    #[must_use]
    pub fn of(fleet: &Fleet) -> Self {
        let one = |presence: &Presence| {
            let (report, unreadable) = match read(&presence.report) {
                Ok(report) => (Some(report), None),
                Err(why) => (None, Some(why.to_owned())),
            };
            ReplicaStatus {
                id: presence.id.clone(),
                name: presence.name.as_ref().map(ReplicaName::as_str).map(str::to_owned),
                asked: presence.itself,
                heard_ms: u64::try_from(presence.silent.as_millis()).unwrap_or(u64::MAX),
                position: presence.position.0,
                lag: fleet.position.map(|last| last.0.saturating_sub(presence.position.0)),
                report,
                unreadable,
            }
        };
        let mut status = Self {
            current: fleet.current,
            position: fleet.position.map(|position| position.0),
            replicas: fleet.replicas.iter().map(one).collect(),
            unlisted: fleet.unlisted,
            findings: Vec::new(),
        };
        status.findings = status.judge();
        status
    }

    fn judge(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut add = |finding: &str, replica: Option<&ReplicaStatus>, message: String| {
            let (finding, replica) = (finding.to_owned(), replica.map(|replica| replica.id.clone()));
            findings.push(Finding { finding, replica, message });
        };
        if !self.current {
            add("store_not_asked", None, "the store cannot be asked; this is what was heard last".to_owned());
        }
        for replica in &self.replicas {
            let silent = Duration::from_millis(replica.heard_ms);
            if silent > SILENT {
                let seconds = silent.as_secs();
                add("silent", Some(replica), format!("was not heard for {seconds} s"));
            }
            if let Some(lag) = replica.lag.filter(|lag| *lag > BEHIND || (*lag > 0 && silent > BEHIND_FOR)) {
                add("behind", Some(replica), format!("is {lag} changes of revocations behind"));
            }
            match (&replica.report, &replica.unreadable) {
                (Some(report), _) => report.judge(|finding, message| add(finding, Some(replica), message)),
                (None, Some(why)) => {
                    let message = format!("does not say how it is, or what it says cannot be read ({why})");
                    add("report_unreadable", Some(replica), message);
                }
                (None, None) => {}
            }
        }
        let reports = || self.replicas.iter().filter_map(|replica| Some((replica, replica.report.as_ref()?)));
        let nonces = || reports().filter_map(|(replica, report)| Some((replica, report.nonces.as_ref()?)));
        for (replica, taken) in nonces() {
            if let Some((other, _)) = nonces().find(|(_, theirs)| !taken.takes(&theirs.made)) {
                let message =
                    format!("refuses the nonces that {} makes: their secrets differ", cut(&other.id));
                add("nonce_secrets_differ", Some(replica), message);
            }
        }
        let sources: BTreeSet<_> = reports()
            .map(|(_, report)| report)
            .map(|report| (&report.generation.rules, &report.generation.policies))
            .collect();
        if sources.len() > 1 {
            let message =
                format!("the replicas decide by {} different sets of rules or policies", sources.len());
            add("generations_differ", None, message);
        }
        findings
    }
}

impl Report {
    fn judge(&self, mut add: impl FnMut(&'static str, String)) {
        if self.state != ReplicaState::Ready {
            add("not_ready", format!("is {}", self.state.word()));
        }
        if let Some(failed) = &self.failed_reload {
            let FailedReload { at, error } = failed;
            add("reload_failed", format!("refused the files at {}: {}", at.0, cut(error)));
        }
        for issuer in &self.issuers {
            let why = issuer.error.as_deref().map_or_else(String::new, |error| format!(": {}", cut(error)));
            let name = cut(&issuer.name);
            if !issuer.usable {
                add("keys_unavailable", format!("has no keys of issuer {name} that it may use{why}"));
            } else if issuer.error.is_some() {
                add("keys_failing", format!("could not load the keys of issuer {name} anew{why}"));
            }
        }
        if let Some(error) = &self.store.error {
            add("store_unavailable", format!("cannot use its store: {}", cut(error)));
        }
        match self.revocations.known {
            Knowledge::Known => {}
            Knowledge::Degraded => {
                add("revocations_degraded", "goes by revocations that it heard of a while ago".to_owned());
            }
            Knowledge::Unknown => {
                add("revocations_unknown", "does not know what is revoked, and denies".to_owned());
            }
        }
        if self.revocations.not_kept {
            add("revocations_not_kept", "cannot write revocations to its disk any more".to_owned());
        }
        if self.overrides.is_none() {
            add("overrides_unknown", "does not know which limits are set otherwise".to_owned());
        }
        if self.attributes.is_none() {
            add("attributes_unknown", "does not know what signals have said of subjects".to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
