//! `exequatur check`: one request, decided by the same line as under `serve`.
//!
//! The store is this command's own and empty, and taken to have been complete for long: whether a proof was
//! used before is not known here, and is said so.

use std::path::PathBuf;

use clap::Args;
use exequatur_decide::{BodySeen, Facts, RawRequest, Refusal, Stage};
use exequatur_server::{Trial, config};

use crate::exit::{Failure, say};

/// Decide one request, as `serve` would, and say why.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// The method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// The host.
    #[arg(long)]
    host: String,
    /// Path and query.
    #[arg(long)]
    path: String,
    /// A header field, `name: value`; may be repeated.
    #[arg(long, short = 'H', value_name = "FIELD")]
    header: Vec<String>,
    /// Show each stage and its evidence.
    #[arg(long)]
    explain: bool,
}

impl Check {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Runtime::new().map_err(Failure::other)?;
        runtime.block_on(self.decide())
    }

    async fn decide(self) -> Result<(), Failure> {
        let config = config::load(&self.config).map_err(Failure::invalid)?;
        let generation = exequatur_server::build(&config, 1).map_err(Failure::invalid)?;
        let fields = parse_fields(&self.header)?;
        let headers: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = RawRequest {
            method: &self.method,
            host: &self.host,
            target: &self.path,
            headers: &headers,
            certificate: None,
            body: BodySeen::Absent,
            peer: None,
        };
        let trial =
            exequatur_server::try_once(&config, &generation, &request).await.map_err(Failure::other)?;
        if self.explain {
            explain(&trial)?;
        }
        match trial.result {
            Ok(_settled) => say("permit"),
            Err(refusal) => {
                say(format_args!("{} {}", verdict(&refusal), refusal.reason()))?;
                Err(Failure::NotPermitted)
            }
        }
    }
}

fn parse_fields(fields: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let parse = |field: &String| {
        let (name, value) = field.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    let parsed: Option<Vec<_>> = fields.iter().map(parse).collect();
    parsed.ok_or_else(|| Failure::Usage("a header field is written `name: value`".to_owned()))
}

fn verdict(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Denied(_) => "deny",
        Refusal::Faulted(_) => "fault",
    }
}

fn explain(trial: &Trial) -> Result<(), Failure> {
    let Trial { stages, facts, result } = trial;
    for (position, stage) in stages.iter().enumerate() {
        let last = position.saturating_add(1) == stages.len();
        let mark = match result {
            Err(_) if last => "fails",
            Ok(_) | Err(_) => "holds",
        };
        say(format_args!("{:<13} {mark}  {}", stage.name(), evidence(*stage, facts)))?;
    }
    if let Err(refusal) = result {
        say(format_args!("{:<13} {:?}", "because", refusal))?;
    }
    Ok(())
}

fn evidence(stage: Stage, facts: &Facts) -> String {
    let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    match stage {
        Stage::Present => {
            format!(
                "{} to {}",
                or_none(&facts.method),
                facts.host.as_ref().map_or_else(|| "no host".into(), ToString::to_string)
            )
        }
        Stage::Route => format!(
            "route {}, action {}, resource {} {}, tenant {}",
            or_none(&facts.route),
            or_none(&facts.action),
            or_none(&facts.resource_type),
            or_none(&facts.resource_id),
            or_none(&facts.resource_tenant),
        ),
        Stage::Authenticate => format!(
            "agent {}, user {}, tenant {}, sender {}",
            or_none(&facts.agent),
            or_none(&facts.user),
            or_none(&facts.tenant),
            facts.sender.map_or("unproven", exequatur_decide::SenderFact::word),
        ),
        Stage::Require => format!("scopes needed: {}", facts.scopes_needed.join(" ")),
        Stage::Admit => {
            format!(
                "status list {}, proof {} (in this command's own, empty store)",
                facts.status.map_or("not named", exequatur_decide::StatusFact::word),
                facts.replay.map_or("not needed", exequatur_decide::ReplayFact::word)
            )
        }
        Stage::Authorize => {
            if facts.policies.is_empty() {
                "no policy determined it".to_owned()
            } else {
                format!("determined by {}", facts.policies.join(", "))
            }
        }
        Stage::Settle => "permit".to_owned(),
    }
}
