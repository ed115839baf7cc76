//! `exequatur doctor`: what is wrong with a configuration and everything around it, and what to do.
//!
//! Each part gathers what it sees, with a deadline, and judges it by functions that read neither clock nor network.

mod catalogue;
mod certificates;
mod clocks;
mod envoy;
mod finding;
mod issuers;
mod process;
mod redis;
mod running;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use exequatur_policy::{Limits, PolicyFolder};
use exequatur_server::config::{self, Config};
use jiff::Timestamp;
use serde_json::{Value, json};

use self::finding::{Findings, Severity};
use crate::exit::{Failure, say};
use crate::output::{Output, say_json};

/// How long Redis, and the running server, are each waited for.
const WITHIN: Duration = Duration::from_secs(3);

/// Say what is wrong with a configuration and everything around it, and what to do.
///
/// Looks at the configuration, policies and their tests, certificates, secrets, the issuers' keys and clocks, Redis, the
/// configuration of Envoy, the server that runs, and what a process may do here. Changes nothing; takes at most half a minute. Run it as
/// the service's user, on its machine. A finding is `wrong`, `doubtful`, or `unknown` where it could not be looked at.
///
/// Exit codes: 0 nothing is wrong, 1 something is.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", required_unless_present = "list")]
    config: Option<PathBuf>,
    /// The bootstrap of the Envoy that asks.
    #[arg(long, value_name = "FILE")]
    envoy: Option<PathBuf>,
    /// Show what was looked at and is fine, too.
    #[arg(long)]
    verbose: bool,
    /// End with 1 for what is doubtful or unknown, too.
    #[arg(long)]
    strict: bool,
    /// Print everything that may be found instead, as a page of Markdown.
    #[arg(long, conflicts_with_all = ["config", "envoy"])]
    list: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Doctor {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Some(file) = self.config.as_ref().filter(|_| !self.list) else {
            return say(catalogue::page().trim_end());
        };
        let mut findings = Findings::default();
        match config::load(file) {
            Ok(config) => self.look(&config, &mut findings)?,
            Err(problems) => findings.add(&catalogue::CONFIG, Severity::Wrong, problems.render(false)),
        }
        self.tell(&findings)?;
        let worst = if self.strict { Severity::Unknown } else { Severity::Wrong };
        let bad = findings.0.iter().any(|finding| finding.severity <= worst);
        if bad { Err(Failure::Findings) } else { Ok(()) }
    }

    fn look(&self, config: &Config, findings: &mut Findings) -> Result<(), Failure> {
        let clock = exequatur_server::clock::system();
        let policies = policies(config, findings);
        for remark in config::remarks(config) {
            findings.add(&catalogue::REMARK, Severity::Doubtful, remark);
        }
        let (listeners, files) = certificates::probe(config);
        certificates::judge(&listeners, &files, clock(), findings);
        secrets(config, findings);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(Failure::other)?;
        let mut clocks = Vec::new();
        match runtime.block_on(issuers::probe(config)) {
            Ok((keys, told)) => {
                issuers::judge(&keys, findings);
                clocks.extend(told);
            }
            Err(why) => findings.add(&catalogue::KEYS, Severity::Wrong, why),
        }
        if let Some(redis) = &config.store.redis {
            clocks.extend(runtime.block_on(store(config, redis, &clock, findings)));
        }
        clocks::judge(&clocks, config.sender.policy.proofs.skew, findings);
        if let Some(file) = &self.envoy {
            envoy::look(file, config, findings);
        }
        let policies = policies.unwrap_or_default();
        let files = running::Files { configuration: hexadecimal(&config.digest), policies };
        running::judge(&running::probe(config, WITHIN), &files, config.listen.public, findings);
        process::judge(&process::probe(config), findings);
        Ok(())
    }

    fn tell(&self, findings: &Findings) -> Result<(), Failure> {
        let shown = || findings.0.iter().filter(|finding| self.verbose || finding.severity != Severity::Fine);
        let [wrong, doubtful, unknown, fine] =
            [Severity::Wrong, Severity::Doubtful, Severity::Unknown, Severity::Fine]
                .map(|each| findings.count(each));
        match self.output {
            Output::Text => {
                let mut sorted: Vec<_> = shown().collect();
                sorted.sort_by_key(|finding| finding.severity);
                sorted.into_iter().try_for_each(say)?;
                say(format_args!("{wrong} wrong, {doubtful} doubtful, {unknown} unknown, {fine} fine"))
            }
            Output::Json => {
                let findings: Vec<Value> = shown().map(finding::Finding::json).collect();
                say_json(&json!({
                    "findings": findings,
                    "wrong": wrong, "doubtful": doubtful, "unknown": unknown, "fine": fine,
                }))
            }
        }
    }
}

/// Routes, schema, policies and their tests. Gives the policies' content hash.
fn policies(config: &Config, findings: &mut Findings) -> Option<String> {
    let generation = match exequatur_server::build(config, 1) {
        Ok(generation) => generation,
        Err(error) => {
            findings.add(&catalogue::CONFIG, Severity::Wrong, error.to_string());
            return None;
        }
    };
    let set = &generation.policies;
    let seen = format!("{} policies, {} routes", set.len(), generation.routes.iter().count());
    findings.add(&catalogue::CONFIG, Severity::Fine, seen);
    let seen = format!("{} of {}", set.unscoped(), set.len());
    findings.check(&catalogue::UNSCOPED, Severity::Doubtful, set.unscoped() > 0, seen);
    for warning in set.warnings() {
        findings.add(&catalogue::REMARK, Severity::Doubtful, warning.render(exequatur_policy::Colour::Plain));
    }
    let sources = PolicyFolder::read(&config.policies, Limits::default()).map(|folder| folder.tests);
    for source in sources.unwrap_or_default() {
        match exequatur_policy::run(set, &source) {
            Ok(results) => {
                let failed: Vec<_> = results.iter().filter(|result| !result.passed()).collect();
                for result in &failed {
                    let seen = format!("{}:{}: {}", result.file, result.line, result.name);
                    findings.add(&catalogue::TESTS, Severity::Wrong, seen);
                }
                if failed.is_empty() {
                    let seen = format!("{}: {} passed", source.name, results.len());
                    findings.add(&catalogue::TESTS, Severity::Fine, seen);
                }
            }
            Err(error) => findings.add(&catalogue::TESTS, Severity::Wrong, error.to_string()),
        }
    }
    Some(set.content_hash().to_owned())
}

/// Modes of files are looked at when the configuration is loaded; here, whether what is in them can be used.
fn secrets(config: &Config, findings: &mut Findings) {
    match exequatur_server::examine_nonce_secrets(config) {
        Ok(()) => findings.add(&catalogue::NONCE, Severity::Fine, "can be used"),
        Err(error) => findings.add(&catalogue::NONCE, Severity::Wrong, error),
    }
    match exequatur_server::examine_receipt_key(config) {
        Ok(()) => findings.add(&catalogue::RECEIPT, Severity::Fine, "can be used, or is not asked for"),
        Err(why) => findings.add(&catalogue::RECEIPT, Severity::Wrong, why),
    }
}

/// Redis. Gives its servers' clocks.
async fn store(
    config: &Config,
    redis: &config::Redis,
    clock: &exequatur_server::clock::Clock,
    findings: &mut Findings,
) -> Vec<clocks::Told> {
    let asked = clock();
    let examined = exequatur_server::examine_redis(config, WITHIN).await;
    let answered: Timestamp = clock();
    let servers = match examined {
        None => return Vec::new(),
        Some(Ok(Ok(servers))) => servers,
        Some(Ok(Err(error))) => {
            findings.add(&catalogue::REDIS, Severity::Wrong, error.to_string());
            return Vec::new();
        }
        Some(Err(error)) => {
            findings.add(&catalogue::REDIS, Severity::Wrong, error.to_string());
            return Vec::new();
        }
    };
    findings.add(&catalogue::REDIS, Severity::Fine, format!("{} servers answer", servers.len()));
    for server in &servers {
        redis::judge(server, redis.into(), findings);
    }
    servers.iter().filter_map(|server| redis::clock(server, asked, answered)).collect()
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|octet| format!("{octet:02x}")).collect()
}
