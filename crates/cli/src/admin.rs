//! What the commands that give orders to a running server have in common: the socket, and what is said of an answer.

mod confirm;
mod listing;
mod server;
mod table;

pub(crate) use confirm::{Confirmed, confirm};
pub(crate) use listing::{Listing, instant, list};
pub(crate) use server::{Admin, Sent, in_path};
pub(crate) use table::table;

use exequatur_admin::wire::{Acknowledged, Done, Kept, When};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::exit::{Failure, say, warn};
use crate::output::{Output, plain, say_json};

/// Why, to whom, and how to say it.
#[derive(Debug, clap::Args)]
pub(crate) struct Rest {
    /// Why; recorded.
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    admin: Admin,
    /// How to show what was done.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

impl Rest {
    /// Gives an order.
    pub(crate) fn post<A: DeserializeOwned>(&self, path: &str, order: &impl Serialize) -> Result<A, Failure> {
        self.admin.ask(path, &Sent::Post(order))
    }
}

/// When an order ends.
#[derive(Debug, clap::Args)]
pub(crate) struct Ending {
    /// It ends at this instant (RFC 3339); without it and `--for`, when it is taken back.
    #[arg(long, value_name = "TIME", conflicts_with = "within")]
    until: Option<Timestamp>,
    /// It ends after this time: digits and `ms`, `s`, `m` or `h`.
    #[arg(long = "for", id = "within", value_name = "DURATION")]
    within: Option<String>,
}

impl Ending {
    pub(crate) fn instant(&self) -> Result<Option<When>, Failure> {
        let Some(within) = &self.within else { return Ok(self.until.map(When)) };
        let duration = exequatur_server::config::parse_duration(within)
            .and_then(|duration| SignedDuration::try_from(duration).ok())
            .ok_or_else(|| Failure::Usage(format!("--for: `{within}` is no duration, such as 15m or 2h")))?;
        let now = (exequatur_server::clock::system())();
        now.checked_add(duration).map(|end| Some(When(end))).map_err(Failure::other)
    }
}

/// What was done, for people or for programs.
pub(crate) fn tell(done: &Done, did: &str, output: Output) -> Result<(), Failure> {
    if let Output::Json = output {
        return say_json(&json!(done));
    }
    let name = if done.name.is_empty() { String::new() } else { format!(" {}", plain(&done.name, 300)) };
    let unchanged = if done.changed { "" } else { " (nothing has changed)" };
    say(format_args!("{} {}{name}{unchanged}", did, done.kind))?;
    table(["REPLICA", "ID", "HAD IT"], done.replicas.iter().map(acknowledged))?;
    if done.unlisted > 0 {
        say(format_args!("and {} more", done.unlisted))?;
    }
    if done.behind > 0 {
        warn(format_args!("{} replicas have not said yet that they have applied it", done.behind));
    }
    say_kept(done.kept, done.recorded);
    Ok(())
}

fn acknowledged(one: &Acknowledged) -> [String; 3] {
    let had_it = one
        .after_ms
        .map_or_else(|| "did not answer in time".to_owned(), |millis| format!("after {millis} ms"));
    [one.name.as_deref().map_or_else(|| "-".to_owned(), |name| plain(name, 253)), plain(&one.id, 64), had_it]
}

/// Warns of what does not last, or is not recorded.
pub(crate) fn say_kept(kept: Kept, recorded: bool) {
    if kept == Kept::UntilRestart {
        warn("lost at restart: the server has no `store.embedded.path`");
    }
    if !recorded {
        warn("not recorded: the server keeps no records");
    }
}
