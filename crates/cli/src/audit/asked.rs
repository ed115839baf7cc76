//! What somebody looks for in records, as options.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use exequatur_audit::{Criteria, DecisionId, Delegation, DigestKey, Filter, LineKind, Tally};
use exequatur_server::{clock, config};
use jiff::{SignedDuration, Timestamp};

use super::query::all_read;
use super::source::Source;
use crate::exit::Failure;

/// All of them have to be so.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// An agent, wherever it stands in the delegation: acting, before that, or as the client; of orders, what they are about.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// The user on whose behalf; of orders, what they are about.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A delegation: names from the user to who acts now, such as `corp:alice > corp:crm-bot`, with another `>` at the end for
    /// whatever was handed on from there; or the id of a decision, for all under the same delegation.
    #[arg(long, value_name = "NAMES")]
    chain: Option<String>,
    /// The trace, in hex.
    #[arg(long, value_name = "TRACE")]
    trace: Option<String>,
    /// The tenant of the token or of the resource; of orders, what they are about.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// What was decided.
    #[arg(long, value_enum)]
    verdict: Option<Verdict>,
    /// The reason of the decision, a word of the reason vocabulary.
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// The id of a decision, whose outcomes have it too, or of an order.
    #[arg(long, value_name = "ID")]
    decision: Option<String>,
    /// A token, by the digest of its id that records have; of orders, what they are about.
    #[arg(long, value_name = "DIGEST")]
    token: Option<String>,
    /// From then on: RFC 3339, or how long ago, such as 1h.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Before then, likewise.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// What kind of line. May be repeated; all of these, unless it is given.
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Vec<Kind>,
    /// The key of digests (`records.redaction.digest_key_file`), to find by name what was recorded as a digest.
    #[arg(long, value_name = "FILE")]
    digest_key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Verdict {
    Permit,
    Deny,
    Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    Decision,
    Order,
    Outcome,
    Gap,
}

impl Asked {
    /// The filter, and when what it looks for begins. `files` are searched for the decision whose delegation is asked for.
    pub(super) fn criteria(&self, files: &[PathBuf]) -> Result<Criteria, Failure> {
        let key = self.digest_key_file.as_deref().map(|file| {
            DigestKey::read(file).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
        });
        if let Some(id) = &self.decision {
            DecisionId::parse(id).map_err(|error| Failure::Usage(format!("--decision: {error}")))?;
        }
        let verdict = self.verdict.map(|verdict| match verdict {
            Verdict::Permit => "permit",
            Verdict::Deny => "deny",
            Verdict::Fault => "fault",
        });
        let kinds = self.kind.iter().flat_map(|kind| match kind {
            Kind::Decision => &[LineKind::Decision][..],
            Kind::Order => &[LineKind::Order],
            Kind::Outcome => &[LineKind::Outcome],
            Kind::Gap => &[LineKind::Gap, LineKind::SinkGap],
        });
        Ok(Criteria {
            agent: self.agent.clone(),
            user: self.user.clone(),
            tenant: self.tenant.clone(),
            chain: self.chain.as_deref().map(|chain| delegation(chain, files)).transpose()?,
            trace: self.trace.clone(),
            verdict: verdict.map(str::to_owned),
            reason: self.reason.clone(),
            decision: self.decision.clone(),
            token: self.token.clone(),
            since: self.since.as_deref().map(|when| instant("--since", when)).transpose()?,
            until: self.until.as_deref().map(|when| instant("--until", when)).transpose()?,
            kinds: kinds.copied().collect(),
            key: key.transpose()?,
        })
    }
}

fn instant(option: &str, when: &str) -> Result<Timestamp, Failure> {
    if let Ok(instant) = when.parse() {
        return Ok(instant);
    }
    let ago = config::parse_duration(when).and_then(|duration| SignedDuration::try_from(duration).ok());
    let ago = ago.ok_or_else(|| {
        let text =
            format!("{option}: `{when}` is neither an instant (2026-11-22T10:11:12Z) nor how long ago (1h)");
        Failure::Usage(text)
    })?;
    (clock::system())().checked_sub(ago).map_err(Failure::other)
}

/// An id of ours is looked up first, and so are the names of its delegation.
fn delegation(chain: &str, files: &[PathBuf]) -> Result<Delegation, Failure> {
    let Some(id) = DecisionId::parse(chain).ok().filter(|id| id.made().is_some()) else {
        return Delegation::parse(chain).map_err(|error| Failure::Usage(format!("--chain: {error}")));
    };
    if files.iter().any(|file| file == Path::new("-")) {
        return Err(Failure::Usage(
            "--chain with a decision's id reads twice, and standard input is there once".to_owned(),
        ));
    }
    let filter = Filter::new(&Criteria {
        decision: Some(id.as_str().to_owned()),
        kinds: vec![LineKind::Decision],
        ..Criteria::default()
    });
    let mut read = Vec::new();
    for file in files {
        let (mut source, mut tally) = (Source::open(file)?, Tally::default());
        while let Some(line) = source.next_line()? {
            if tally.take(&filter, &line) {
                return Delegation::of_record(line.bytes).ok_or_else(|| {
                    Failure::Usage(format!("--chain: decision {id} names nobody", id = id.as_str()))
                });
            }
        }
        read.push((source.name, tally));
    }
    crate::exit::warn(format_args!("no record of decision {}", id.as_str()));
    all_read(&read)?;
    Err(Failure::NotFound)
}
