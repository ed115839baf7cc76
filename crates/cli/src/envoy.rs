//! `exequatur envoy lint`

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use exequatur_lint::{Allowed, Finding, Options, Place, Report, Rule, Severity};
use exequatur_server::config;
use serde_json::{Value, json};

use crate::exit::{Failure, say};
use crate::output::Output;

/// Look at configurations of Envoy.
#[derive(Debug, Subcommand)]
pub(crate) enum Envoy {
    /// Report every setting of a bootstrap that opens a hole, with its line, what it opens, and the fix.
    ///
    /// A setting that cannot be judged from the file is reported too. What is allowed by name, with a reason, in
    /// the file's own metadata is listed and does not fail. Exit codes: 0 clean, 1 findings, 3 no such
    /// configuration, 5 missing or not to be opened.
    Lint(Lint),
}

#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// The bootstrap, in YAML or JSON; or resources of a mesh or gateway, judged together.
    #[arg(value_name = "FILE", required_unless_present = "list")]
    files: Vec<PathBuf>,
    /// Exequatur's `deadline`: Envoy has to wait at least 50 ms longer.
    #[arg(long, value_name = "DURATION", default_value = "150ms", value_parser = duration)]
    deadline: Duration,
    /// Print every rule instead.
    #[arg(long, conflicts_with = "files")]
    list: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Envoy {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Lint(lint) => lint.run(),
        }
    }
}

impl Lint {
    fn run(self) -> Result<(), Failure> {
        if self.list {
            return list(self.output);
        }
        let read = |file: &PathBuf| {
            std::fs::read_to_string(file)
                .map_err(|error| Failure::Other(format!("{}: {error}", file.display())))
        };
        let texts = self.files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let files = Files(&self.files);
        let report = exequatur_lint::lint_all(&texts, &options(self.deadline))
            .map_err(|error| Failure::Invalid(format!("{}:{error}", files.of(error.place))))?;
        match self.output {
            Output::Text => print(&files, &report)?,
            Output::Json => say(document(&files, &report))?,
        }
        if report.findings.is_empty() { Ok(()) } else { Err(Failure::Findings) }
    }
}

/// The files that were given; a place says in which of them it is.
struct Files<'f>(&'f [PathBuf]);

impl Files<'_> {
    fn of(&self, place: Place) -> String {
        self.0.get(place.text).map(|file| file.display().to_string()).unwrap_or_default()
    }

    fn all(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|file| file.display().to_string()).collect();
        names.join(" ")
    }
}

/// What the rules have to know of this version.
pub(crate) fn options(deadline: Duration) -> Options {
    Options {
        deadline,
        headers: exequatur_server::permit_headers(),
        overrides: exequatur_decide::OVERRIDES.map(str::to_owned).to_vec(),
        largest_check: exequatur_server::MAX_MESSAGE,
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    config::parse_duration(text).ok_or_else(|| "write 500ms, 60s or 15m".to_owned())
}

fn print(files: &Files<'_>, report: &Report) -> Result<(), Failure> {
    for Finding { rule, severity, place, message } in &report.findings {
        say(format_args!(
            "{}:{}:{}: {severity} {} {}: {message}\n    opens: {}\n    fix:   {}",
            files.of(*place),
            place.line,
            place.column,
            rule.requires.join(","),
            rule.id,
            rule.opens,
            rule.fix,
        ))?;
    }
    for Allowed { rule, place, message, reason } in &report.allowed {
        say(format_args!(
            "{}:{}:{}: allowed {}: {message}\n    reason: {reason}",
            files.of(*place),
            place.line,
            place.column,
            rule.id,
        ))?;
    }
    let count =
        |severity: Severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    say(format_args!(
        "{}: {} holes, {} weak, {} unknown; {} allowed by name",
        files.all(),
        count(Severity::Hole),
        count(Severity::Weak),
        count(Severity::Unknown),
        report.allowed.len(),
    ))
}

fn document(files: &Files<'_>, report: &Report) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|Finding { rule, severity, place, message }| {
            json!({
                "rule": rule.id,
                "requires": rule.requires,
                "severity": severity.to_string(),
                "line": place.line,
                "column": place.column,
                "message": message,
                "opens": rule.opens,
                "fix": rule.fix,
                "file": files.of(*place),
            })
        })
        .collect();
    let allowed: Vec<Value> = report
        .allowed
        .iter()
        .map(|Allowed { rule, place, message, reason }| {
            json!({
                "rule": rule.id,
                "line": place.line,
                "column": place.column,
                "message": message,
                "reason": reason,
                "file": files.of(*place),
            })
        })
        .collect();
    json!({ "file": files.all(), "findings": findings, "allowed": allowed })
}

/// Every rule; the table of `docs/reference/envoy.md` holds the same.
fn list(output: Output) -> Result<(), Failure> {
    match output {
        Output::Text => exequatur_lint::rules().try_for_each(|rule| {
            let Rule { id, requires, severity, opens, fix, allowable, .. } = rule;
            let allowed = if *allowable { ", may be allowed" } else { "" };
            let requires = requires.join(",");
            say(format_args!("{id}: {severity} {requires}{allowed}\n    opens: {opens}\n    fix:   {fix}"))
        }),
        Output::Json => {
            let rules: Vec<Value> = exequatur_lint::rules().map(described).collect();
            say(Value::Array(rules))
        }
    }
}

fn described(rule: &Rule) -> Value {
    json!({
        "rule": rule.id,
        "requires": rule.requires,
        "severity": rule.severity.to_string(),
        "opens": rule.opens,
        "fix": rule.fix,
        "may_be_allowed": rule.allowable,
        "key": rule.key.map(|key| json!({
            "message": key.part.message(),
            "path": key.path,
            "required": key.required,
        })),
    })
}
