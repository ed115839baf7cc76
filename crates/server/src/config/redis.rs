//! `store.redis`: where Redis is, and how it is used.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exequatur_store::{LimitsWithout, Prefix, RedisPlace, RevocationLimits, WindowBounds};

use super::keys::{Key, boolean, count, count_or, duration, optional, pattern, text, texts, words};
use super::reader::{Fields, Node, Notes};
use super::resolve;
use super::secrets::private;

/// A trip within one data centre takes well under a millisecond.
const TIMEOUT: Duration = Duration::from_millis(25);
const TIMEOUT_RANGE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(5);
/// `local`: each replica limits by itself, rates at their part, quotas on what was used when Redis was last heard.
pub(super) const WITHOUT: &[(&str, LimitsWithout)] =
    &[("local", LimitsWithout::Local), ("deny", LimitsWithout::Deny)];
/// Beats come twice a second; a primary that fails over is gone for a few seconds.
const STALENESS: Duration = Duration::from_secs(5);
/// Whether revocations that were not heard of for too long are gone by for a while.
pub(super) const STALE: &[(&str, bool)] = &[("deny", false), ("degrade", true)];
const DEGRADE_FOR: Duration = Duration::from_secs(300);
const DEGRADE_RANGE: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(24 * 3600);
const STALENESS_RANGE: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(3600);
const PREFIX: &str = "^[A-Za-z0-9._:-]{1,64}$";

pub(super) const KEYS: &[Key] = &[
    optional("url", "`redis://`, `rediss://` (TLS) or `redis+unix://`, without user and password.", text),
    optional("url_file", "A file with the URL, user and password included. Instead of `url`.", text),
    optional(
        "sentinels",
        "URLs of sentinels. The host in the server's URL is then the name of the primary that they watch.",
        texts,
    ),
    optional(
        "cluster",
        "Whether it is a cluster. The URL is then that of any node, or a name of all; user, password and TLS are for \
         every node.",
        || boolean().default(false),
    ),
    optional("ca_file", "PEM certificates to trust for TLS, instead of the system's.", text),
    optional("prefix", "What every key begins with; the same for all replicas.", || {
        pattern(PREFIX).default(Prefix::default().as_str())
    }),
    optional("timeout", "Time for one call; below `deadline`.", || {
        duration(&TIMEOUT_RANGE).default_duration(TIMEOUT)
    }),
    optional("limits_without", "Limits of requests without a proof, while Redis cannot be asked.", || {
        words(WITHOUT).default("local")
    }),
    optional(
        "replicas",
        "How many replicas there are, as long as they have not heard of each other.",
        || count().default(1),
    ),
    optional("max_staleness", "For how long revocations that nothing is heard of are gone by.", || {
        duration(&STALENESS_RANGE).default_duration(STALENESS)
    }),
    optional("stale", "What becomes of requests after that: `deny`, or `degrade` for `degrade_for`.", || {
        words(STALE).default("deny")
    }),
    optional(
        "degrade_for",
        "For how long in all, where `stale: degrade`; each permit is marked in its record.",
        || duration(&DEGRADE_RANGE).default_duration(DEGRADE_FOR),
    ),
    optional("max_revocations", "Revocations at once.", || {
        count_or(RevocationLimits::default().max_revocations)
    }),
    optional("max_per_tenant", "Proofs taken per tenant, in as long as one lives.", || {
        count_or(WindowBounds::default().max_per_tenant)
    }),
    optional("max_per_key", "Proofs taken per key, in as long as one lives.", || {
        count_or(WindowBounds::default().max_per_key)
    }),
];

/// Where Redis is, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// Where the URL is.
    pub url: RedisUrl,
    /// The sentinels' URLs, if there are any.
    pub sentinels: Vec<String>,
    /// Whether it is a cluster.
    pub cluster: bool,
    /// PEM certificates to trust.
    pub ca_file: Option<PathBuf>,
    /// What every key begins with.
    pub prefix: Prefix,
    /// Time for one call.
    pub timeout: Duration,
    /// Limits while Redis cannot be asked.
    pub limits_without: LimitsWithout,
    /// How many replicas there are, as long as they have not heard of each other.
    pub replicas: NonZeroU32,
    /// For how long revocations that nothing is heard of are gone by.
    pub max_staleness: Duration,
    /// For how long in all, where that is accepted.
    pub degrade_for: Option<Duration>,
    /// How many revocations.
    pub max_revocations: NonZeroU32,
    /// How many proofs are taken.
    pub bounds: WindowBounds,
}

/// Where the URL is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisUrl {
    /// In the configuration; it has no password.
    Here(String),
    /// In a file, since it may have one.
    File(PathBuf),
}

pub(super) fn read(node: &Node, folder: &Path, notes: &Notes) -> Option<Redis> {
    let fields = Fields::open(node, KEYS, notes)?;
    let cluster = fields.or("cluster", false, |node| node.boolean(notes));
    let url = match (fields.optional("url"), fields.entry("url_file")) {
        (Some(url), None) => {
            let url = open_url(url, notes, cluster == Some(true));
            url.map(RedisUrl::Here)
        }
        (None, Some(entry)) => entry.value.parsed(notes, |file| {
            let file = resolve(folder, file);
            private(&file).map(|()| RedisUrl::File(file))
        }),
        (Some(_), Some(entry)) => {
            notes.add(entry.key_place, "both `url` and `url_file`");
            None
        }
        (None, None) => {
            notes.hint(node.place, "key `url` or `url_file` is missing", "redis://127.0.0.1:6379");
            None
        }
    };
    let sentinels =
        fields.or("sentinels", Vec::new(), |node| node.some(notes, |item| open_url(item, notes, false)));
    if let (Some(true), Some(entry)) = (cluster, fields.entry("sentinels")) {
        notes.add(
            entry.key_place,
            "`sentinels` with `cluster`: a cluster makes its copies primaries by itself",
        );
    }
    let ca_file = fields.or("ca_file", None, |node| node.text(notes).map(|path| Some(resolve(folder, path))));
    let prefix = fields.or("prefix", Prefix::default(), |node| {
        let prefix = Prefix::parse(node.text(notes)?);
        if prefix.is_none() {
            notes.add(node.place, "must be 1 to 64 of the characters a-z A-Z 0-9 . _ : -");
        }
        prefix
    });
    let timeout = fields.duration("timeout", TIMEOUT, &TIMEOUT_RANGE);
    let limits_without = fields.or("limits_without", LimitsWithout::Local, |node| node.word(WITHOUT, notes));
    let replicas = fields.or("replicas", NonZeroU32::MIN, |node| node.count(notes));
    let max_staleness = fields.duration("max_staleness", STALENESS, &STALENESS_RANGE);
    let stale = fields.or("stale", false, |node| node.word(STALE, notes));
    let degrade_for = fields.duration("degrade_for", DEGRADE_FOR, &DEGRADE_RANGE);
    let max_revocations =
        fields.or("max_revocations", RevocationLimits::default().max_revocations, |node| node.count(notes));
    let default = WindowBounds::default();
    let max_per_tenant = fields.or("max_per_tenant", default.max_per_tenant, |node| node.count(notes));
    let max_per_key = fields.or("max_per_key", default.max_per_key, |node| node.count(notes));
    Some(Redis {
        url: url?,
        sentinels: sentinels?,
        cluster: cluster?,
        ca_file: ca_file?,
        prefix: prefix?,
        timeout: timeout?,
        limits_without: limits_without?,
        replicas: replicas?,
        max_staleness: max_staleness?,
        degrade_for: stale?.then_some(degrade_for?),
        max_revocations: max_revocations?,
        bounds: WindowBounds { max_per_tenant: max_per_tenant?, max_per_key: max_per_key? },
    })
}

/// A URL without a secret in it, since the file is one that everybody may read.
fn open_url(node: &Node, notes: &Notes, of_cluster: bool) -> Option<String> {
    let url = node.text(notes)?;
    let parsed = RedisPlace::parse(url);
    match parsed.and_then(|place| if of_cluster { place.of_cluster().map(|()| place) } else { Ok(place) }) {
        Ok(place) if place.has_password() => {
            notes.hint(node.place, "a password in the configuration", "put the URL into a `url_file`");
            None
        }
        Ok(_) => Some(url.to_owned()),
        Err(error) => {
            notes.add(node.place, error.to_string());
            None
        }
    }
}
