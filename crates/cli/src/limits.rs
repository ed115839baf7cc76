//! `exequatur limits`

use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use exequatur_admin::wire::{Figure, LimitDone, Limits as Listed, ResetLimit, SetLimit, SetOtherwise};
use serde_json::{Value, json};

use crate::admin::{Admin, Ending, Rest, Sent, in_path, instant, say_kept, table};
use crate::exit::{Failure, say};
use crate::output::{Output, plain, say_json};

/// Overrides asked for at once.
const PAGE: u64 = 1_000;
/// Longest name or reason in a table.
const MOST: usize = 80;

/// Show limits, and set them otherwise for one agent or one tenant.
#[derive(Debug, Subcommand)]
pub(crate) enum Limits {
    /// The limits of the configuration, and what is set otherwise.
    Show(Show),
    /// Set a limit otherwise, in place of what was set before.
    ///
    /// A rate begins with a full bucket of its own; of a quota, what was used stays used. With several replicas the others follow within half a second.
    Set(Set),
    /// Let the configured limit count again.
    Reset(Reset),
}

/// Shows.
#[derive(Args, Debug)]
pub(crate) struct Show {
    #[command(flatten)]
    admin: Admin,
    /// How to show it.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// For whom.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// This agent, `<issuer>:<id>`; of limits that count each agent apart.
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// This tenant.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

/// Sets.
#[derive(Args, Debug)]
pub(crate) struct Set {
    /// The limit's name in the configuration.
    limit: String,
    #[command(flatten)]
    whose: Whose,
    /// In place of a rate: `100/s`, `/m` or `/h`.
    #[arg(long, conflicts_with = "quota", required_unless_present = "quota")]
    rate: Option<String>,
    /// With `--rate`: how many at once; the number of the rate, if absent.
    #[arg(long, value_name = "COUNT", requires = "rate")]
    burst: Option<NonZeroU32>,
    /// In place of a quota, of the same period: `1000/day`.
    #[arg(long)]
    quota: Option<String>,
    #[command(flatten)]
    ending: Ending,
    #[command(flatten)]
    rest: Rest,
}

/// Resets.
#[derive(Args, Debug)]
pub(crate) struct Reset {
    /// The limit's name.
    limit: String,
    #[command(flatten)]
    whose: Whose,
    #[command(flatten)]
    rest: Rest,
}

impl Limits {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Show(Show { admin, output }) => show(&admin, output),
            Self::Set(Set { limit, whose: Whose { agent, tenant }, rate, burst, quota, ending, rest }) => {
                let (until, reason) = (ending.instant()?, rest.reason.clone());
                let order = SetLimit { agent, tenant, rate, burst, quota, until, reason };
                give(&rest, &limit, "set", &order)
            }
            Self::Reset(Reset { limit, whose: Whose { agent, tenant }, rest }) => {
                let reason = rest.reason.clone();
                give(&rest, &limit, "reset", &ResetLimit { agent, tenant, reason })
            }
        }
    }
}

fn give(rest: &Rest, limit: &str, did: &str, order: &impl serde::Serialize) -> Result<(), Failure> {
    let path = format!("/v1/limits/{}/{did}", in_path(limit));
    let done: LimitDone = rest.post(&path, order)?;
    if let Output::Json = rest.output {
        return say_json(&json!(done));
    }
    let unchanged = if done.changed { "" } else { " (nothing has changed)" };
    let (limit, name) = (plain(&done.limit, MOST), plain(&done.name, 300));
    say(format_args!("{did} {limit} for {} {name}{unchanged}", done.kind))?;
    say_kept(done.kept, done.recorded);
    Ok(())
}

fn show(admin: &Admin, output: Output) -> Result<(), Failure> {
    let mut all = Listed { limits: Vec::new(), overrides: Vec::new(), next: None };
    let mut after = String::new();
    loop {
        let page: Listed = admin.ask(&format!("/v1/limits?limit={PAGE}{after}"), &Sent::<Value>::Get)?;
        all.limits.extend(page.limits);
        all.overrides.extend(page.overrides);
        let Some(next) = page.next else { break };
        after = format!("&after={next}");
    }
    if let Output::Json = output {
        return say_json(&json!({ "limits": all.limits, "overrides": all.overrides }));
    }
    if all.limits.is_empty() {
        say("no limits are configured")?;
    } else {
        let limits = all.limits.iter().map(|limit| {
            let routes = limit.routes.as_ref().map_or_else(|| "all".to_owned(), |routes| routes.join(", "));
            [plain(&limit.limit, MOST), limit.per.join(", "), allowed(&limit.figure), plain(&routes, MOST)]
        });
        table(["LIMIT", "PER", "ALLOWED", "ROUTES"], limits)?;
    }
    if all.overrides.is_empty() {
        return say("none is set otherwise");
    }
    say("")?;
    let head = ["LIMIT", "FOR", "NAME", "ALLOWED", "UNTIL", "SINCE", "BY", "REASON"];
    table(head, all.overrides.iter().map(row))
}

fn row(set: &SetOtherwise) -> [String; 8] {
    let counts = if set.applies { "" } else { " (the configuration has no such limit)" };
    [
        plain(&set.limit, MOST),
        plain(&set.kind, MOST),
        plain(&set.name, MOST),
        format!("{}{counts}", allowed(&set.figure)),
        set.until.map_or_else(|| "-".to_owned(), |until| instant(until.0)),
        instant(set.at.0),
        plain(&set.by, MOST),
        plain(&set.reason, MOST),
    ]
}

fn allowed(figure: &Figure) -> String {
    let rate = figure.rate.as_ref().map(|rate| {
        let burst = figure.burst.map_or_else(String::new, |burst| format!(", {burst} at once"));
        format!("{rate}{burst}")
    });
    plain(&rate.or_else(|| figure.quota.clone()).unwrap_or_default(), MOST)
}
