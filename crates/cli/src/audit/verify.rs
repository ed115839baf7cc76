//! `exequatur audit verify`

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::Args;
use exequatur_audit::{Link, PublicKeys, Report, Unverified, Verifier, Violation};
use serde_json::{Value, json};

use super::BUFFER;
use crate::exit::{Failure, say};
use crate::output::{Output, harmless, say_json};

/// Check that files of records are as they were written.
///
/// Needs no more than the public keys. Files are given in the order in which they were written; each has to go on from the one
/// before. Ends with 1 at the first line that was changed, removed, moved, repeated or put in, and says where it is. Ends
/// with 6 if there is none, but lines that nothing vouches for: those after the last signed checkpoint of a writer who is
/// at work, was killed, or whose last lines were cut.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A file of records; `-` for standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// A JWK set with the public keys: what `/.well-known/exequatur-receipt-keys` shows.
    #[arg(long, value_name = "FILE", required_unless_present = "unsigned", conflicts_with = "unsigned")]
    keys: Option<PathBuf>,
    /// Check the chain alone. Whoever can write the file can make such a chain.
    #[arg(long)]
    unsigned: bool,
    /// A line that must be there, as the log notes it at each checkpoint. May be repeated.
    #[arg(long, value_name = "SEQ:HASH", value_parser = link)]
    expect: Vec<Link>,
    /// How to say what was found.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

fn link(text: &str) -> Result<Link, String> {
    Link::parse(text).ok_or_else(|| "a number, `:` and 43 characters of base64url expected".to_owned())
}

/// Reads the public keys.
pub(super) fn keys(file: &Path) -> Result<PublicKeys, Failure> {
    PublicKeys::read(file).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}

/// Opens a file, or standard input.
pub(super) fn open(path: &Path) -> Result<(String, Box<dyn BufRead>), Failure> {
    if path == Path::new("-") {
        return Ok(("standard input".to_owned(), Box::new(std::io::stdin().lock())));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    Ok((path.display().to_string(), Box::new(BufReader::with_capacity(BUFFER, file))))
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Other(format!("{} cannot be read: {error}", path.display()))
}

impl Verify {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let keys = self.keys.as_deref().map(keys).transpose()?;
        match self.verify(keys.as_ref())? {
            Ok(report) => self.tell(&report),
            Err(violation) => {
                match self.output {
                    Output::Text => say(harmless(&format!("violated: {violation}")))?,
                    Output::Json => say_json(&json!({ "result": "violated", "violation": of(&violation) }))?,
                }
                Err(Failure::Findings)
            }
        }
    }

    fn verify(&self, keys: Option<&PublicKeys>) -> Result<Result<Report, Box<Violation>>, Failure> {
        let mut verifier = Verifier::new(keys, self.expect.clone());
        for path in &self.files {
            let (name, mut records) = open(path)?;
            match verifier.file(&name, &mut records) {
                Ok(()) => {}
                Err(Unverified::Violation(violation)) => return Ok(Err(violation)),
                Err(Unverified::Unreadable(error)) => return Err(unreadable(path, &error)),
            }
        }
        Ok(verifier.finish())
    }

    fn tell(&self, report: &Report) -> Result<(), Failure> {
        let whole = report.unvouched.is_empty();
        match self.output {
            Output::Text => say(harmless(&text(report, self.unsigned)))?,
            Output::Json => {
                let result = if whole { "whole" } else { "unvouched" };
                say_json(&json!({ "result": result, "signatures": !self.unsigned, "report": report }))?;
            }
        }
        if whole { Ok(()) } else { Err(Failure::Unvouched) }
    }
}

fn text(report: &Report, unsigned: bool) -> String {
    let Report { files, lines, records, runs, checkpoints, signed, head, .. } = report;
    let result =
        if report.unvouched.is_empty() { "whole" } else { "nothing is wrong, but not all is vouched for" };
    let mut said = vec![
        format!("{result}: {lines} lines in {files} files, {records} records, {runs} runs of writers"),
        format!("checkpoints: {checkpoints}, of which {signed} are signed"),
    ];
    if unsigned {
        said.push(
            "signatures were not checked: whoever can write the files can make such a chain".to_owned(),
        );
    }
    said.extend(head.iter().map(|head| format!("head: {head}")));
    said.extend(report.unvouched.iter().map(|stretch| format!("not vouched for: {stretch}")));
    if report.more_unvouched > 0 {
        said.push(format!("not vouched for: {} more", report.more_unvouched));
    }
    said.extend(report.remarks.iter().map(|remark| format!("remark: {remark}")));
    if report.more_remarks > 0 {
        said.push(format!("{} more remarks", report.more_remarks));
    }
    said.join("\n")
}

fn of(violation: &Violation) -> Value {
    let mut value = json!(violation.place);
    if let Value::Object(members) = &mut value {
        members.insert("wrong".to_owned(), json!(violation.wrong.to_string()));
        return value;
    }
    json!({ "wrong": violation.wrong.to_string() })
}
