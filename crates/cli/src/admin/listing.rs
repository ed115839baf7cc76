//! What is revoked, as a table or as JSON.

use clap::Args;
use exequatur_admin::wire::{List, Listed, ListedForm};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Admin, Sent, table};
use crate::exit::{Failure, say};
use crate::output::{Output, plain, say_json};

/// Revocations asked for at once.
const PAGE: u64 = 1_000;
/// Longest name or reason in a table.
const MOST: usize = 80;

/// How much of the list.
#[derive(Args, Debug)]
pub(crate) struct Listing {
    /// Begin after this position, as an earlier list names it.
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: u64,
    /// Show at most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    limit: u64,
}

/// Shows what is revoked, of one kind or of all.
pub(crate) fn list(
    admin: &Admin,
    listing: &Listing,
    kind: Option<&str>,
    output: Output,
) -> Result<(), Failure> {
    let (mut found, mut after, mut more) = (Vec::new(), Some(listing.after), None);
    while let Some(position) = after.filter(|_| more.is_none()) {
        let kind = kind.map_or_else(String::new, |kind| format!("&kind={kind}"));
        let path = format!("/v1/revocations?after={position}&limit={PAGE}{kind}");
        let page: List = admin.ask(&path, &Sent::<Value>::Get)?;
        for each in page.revocations {
            if u64::try_from(found.len()).unwrap_or(u64::MAX) < listing.limit {
                found.push(each);
            } else if more.is_none() {
                more = found.last().map(|last: &Listed| last.position);
            }
        }
        after = page.next;
    }
    match output {
        Output::Json => say_json(&json!({ "revocations": found, "next": more })),
        Output::Text => show(&found, more),
    }
}

fn show(found: &[Listed], more: Option<u64>) -> Result<(), Failure> {
    if found.is_empty() {
        return say("nothing is revoked");
    }
    table(["KIND", "NAME", "HOW", "UNTIL", "SINCE", "BY", "REASON"], found.iter().map(row))?;
    match more {
        Some(position) => say(format_args!("more: --after {position}")),
        None => Ok(()),
    }
}

/// To the millisecond, as records have it.
pub(crate) fn instant(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn row(listed: &Listed) -> [String; 7] {
    let how = match (listed.form, listed.not_before) {
        (ListedForm::Revoked, _) => "revoked".to_owned(),
        (ListedForm::Suspended, _) => "suspended".to_owned(),
        (ListedForm::NotBefore, Some(mark)) => format!("issued until {}", instant(mark.0)),
        (ListedForm::NotBefore, None) => "issued until".to_owned(),
    };
    let name = if listed.name.is_empty() { "-".to_owned() } else { plain(&listed.name, MOST) };
    [
        plain(&listed.kind, MOST),
        name,
        how,
        listed.until.map_or_else(|| "-".to_owned(), |until| instant(until.0)),
        instant(listed.at.0),
        plain(&listed.by, MOST),
        plain(&listed.reason, MOST),
    ]
}
