//! `exequatur audit prove` and `exequatur audit verify-proof`

use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use exequatur_audit::{DecisionId, Proof, Proven, Unproven, Unverified, prove};
use serde_json::json;

use super::verify::{keys, open, unreadable};
use crate::exit::{Failure, say, warn};
use crate::output::{Output, harmless, in_one_line, say_json};

/// The largest proof, in bytes: a line of 64 KiB, escaped, and a path.
const MAX_PROOF: u64 = 1024 * 1024;
/// Longest text of the record, in characters.
const MOST: usize = 64 * 1024;

/// Show one record without the others.
///
/// Prints a JSON document with the record's line, the signed checkpoint that sums it up, and the hashes that lead from one to the
/// other. `audit verify-proof` checks it. Ends with 1 if the file has no record of it, and with 6 if no signed checkpoint
/// sums it up.
#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// The decision's id, or that of an order.
    #[arg(long, value_name = "ID")]
    decision: String,
    /// The file that has its record; `-` for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Prove {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let id = DecisionId::parse(&self.decision).map_err(|error| Failure::Usage(error.to_string()))?;
        let (name, mut records) = open(&self.file)?;
        let complain = |text: String, failure: Failure| {
            warn(harmless(&text));
            Err(failure)
        };
        match prove(&name, &mut records, &id) {
            Ok(proof) => say_json(&json!(proof)),
            Err(Unproven::Unverified(Unverified::Unreadable(error))) => Err(unreadable(&self.file, &error)),
            Err(Unproven::Unverified(Unverified::Violation(violation))) => {
                complain(format!("violated: {violation}"), Failure::Findings)
            }
            Err(error @ Unproven::NotThere) => complain(format!("{name}: {error}"), Failure::NotFound),
            Err(error @ (Unproven::NotSummedUp | Unproven::Unsigned)) => {
                complain(format!("{name}: {error}"), Failure::Unvouched)
            }
        }
    }
}

/// Check what `audit prove` has printed.
///
/// Needs no more than the public keys. Ends with 1 if the proof shows nothing.
#[derive(Debug, Args)]
pub(crate) struct VerifyProof {
    /// The proof; `-` for standard input.
    #[arg(value_name = "PROOF")]
    proof: PathBuf,
    /// A JWK set with the public keys: what `/.well-known/exequatur-receipt-keys` shows.
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// How to say what it shows.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl VerifyProof {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let keys = keys(&self.keys)?;
        let (_name, records) = open(&self.proof)?;
        let mut json = Vec::new();
        let read = records.take(MAX_PROOF).read_to_end(&mut json);
        read.map_err(|error| unreadable(&self.proof, &error))?;
        let proven = match Proof::parse(&json).and_then(|proof| proof.verify(&keys)) {
            Ok(proven) => proven,
            Err(refuted) => {
                warn(harmless(&format!("not proven: {refuted}")));
                return Err(Failure::Findings);
            }
        };
        match self.output {
            Output::Text => {
                let Proven { record, seq, writer, summed_up, key } = &proven;
                let by =
                    format!("record {seq} of writer {writer}, summed up at {summed_up}, signed with {key}");
                say(harmless(&format!("proven: {by}\n{}", in_one_line(record, MOST))))
            }
            Output::Json => say_json(&json!(proven)),
        }
    }
}
