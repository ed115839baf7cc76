//! `exequatur check`: one request, decided by the same line as under `serve`, or by a running server.
//!
//! Without `--server` the store is this command's own and empty, and taken to have been complete for long: whether a
//! proof was used before is not known here, and is said so.

mod answer;
mod expected;
mod explain;
mod request;
mod server;

use std::path::PathBuf;

use clap::Args;
use exequatur_decide::{BodySeen, RawRequest, Refusal};
use exequatur_server::config;
use serde_json::json;

use self::expected::{Expected, Verdict};
use self::request::{Described, Request};
use self::server::Server;
use crate::exit::{Failure, say};
use crate::output::{Output, say_json};

/// Decide one request, as `serve` would, and say why; or let a running server decide it.
///
/// With --config it is decided here, by the policies and routes of the files, with an empty store. With --server it is
/// sent as Envoy would send it (a Check of `ext_authz`): it is recorded there, spends its proof and is charged to limits. Tokens
/// and proofs are never printed.
///
/// Exit codes: 0 a permit, or what --expect says; 1 anything else that was answered; 5 nobody answers.
#[derive(Debug, Args)]
#[command(override_usage = "exequatur check [OPTIONS] --config <FILE> --host <HOST> --path <PATH>\n       \
                            exequatur check [OPTIONS] --server <URL> --host <HOST> --path <PATH>")]
pub(crate) struct Check {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", required_unless_present = "server", conflicts_with = "server")]
    config: Option<PathBuf>,
    #[command(flatten)]
    request: Request,
    /// Show each stage and its evidence.
    #[arg(long, conflicts_with = "server")]
    explain: bool,
    #[command(flatten)]
    server: Server,
    /// What has to be answered: `permit`, `deny` (by the caller's fault), `fault` (by the server's), or a reason.
    #[arg(long, value_name = "ANSWER")]
    expect: Option<Expected>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Check {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let described = self.request.describe()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::other)?;
        let verdict = runtime.block_on(async {
            match &self.config {
                Some(file) => self.decide(file, &described).await,
                None => {
                    let answer = self.server.ask(&described).await?;
                    answer.tell(&described, self.expect, self.output)?;
                    Ok(answer.verdict())
                }
            }
        })?;
        match self.expect {
            Some(expected) if expected.is(verdict.as_ref()) => Ok(()),
            None if matches!(verdict, Some(Verdict::Permit)) => Ok(()),
            Some(expected) => {
                crate::exit::warn(format_args!("expected {expected}"));
                Err(Failure::NotPermitted)
            }
            None => Err(Failure::NotPermitted),
        }
    }

    async fn decide(
        &self,
        file: &std::path::Path,
        described: &Described,
    ) -> Result<Option<Verdict>, Failure> {
        let config = config::load(file).map_err(Failure::invalid)?;
        let generation = exequatur_server::build(&config, 1).map_err(Failure::invalid)?;
        let headers: Vec<_> =
            described.fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let request = RawRequest {
            method: &described.method,
            host: &described.host,
            target: &described.target,
            headers: &headers,
            certificate: described.certificate.as_deref(),
            body: BodySeen::Absent,
            peer: None,
        };
        let trial =
            exequatur_server::try_once(&config, &generation, &request).await.map_err(Failure::other)?;
        let verdict = match &trial.result {
            Ok(_settled) => Verdict::Permit,
            Err(refusal) => {
                let reason = refusal.reason().code().to_owned();
                match refusal {
                    Refusal::Denied(_) => Verdict::Deny(reason),
                    Refusal::Faulted(_) => Verdict::Fault(reason),
                }
            }
        };
        match self.output {
            Output::Text => {
                if self.explain {
                    explain::explain(&trial)?;
                }
                say(&verdict)?;
            }
            Output::Json => {
                let mut document = json!({ "answer": verdict.word(), "reason": verdict.reason() });
                if let (true, Some(members)) = (self.explain, document.as_object_mut()) {
                    members.insert("stages".to_owned(), explain::stages(&trial));
                }
                say_json(&document)?;
            }
        }
        Ok(Some(verdict))
    }
}
