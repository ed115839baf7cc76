//! What goes over the socket, both ways. Unknown members are refused.

use std::borrow::Cow;
use std::num::NonZeroU32;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `POST /v1/revocations`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// `token`, `key`, `agent`, `user`, `session`, `client`, `tenant` or `issuer`.
    pub kind: String,
    /// What it is called: `<issuer>:<id>`, or as its kind has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A token, by the digest that records show: `<issuer>:<digest>`, instead of its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Revoke what was issued at or before this instant, or `now`; whatever it presents, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// When it ends; never, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<When>,
    /// Why.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
}

/// `POST /v1/revocations/undo`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// As in [`Revoke`], or `all`.
    pub kind: String,
    /// As in [`Revoke`]; absent for `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As in [`Revoke`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Why.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
}

/// `POST /v1/agents/{id}/suspend`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Suspend {
    /// When it ends; when it is resumed, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<When>,
    /// Why.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
}

/// `POST /v1/agents/{id}/resume`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// Why.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
}

/// `POST /v1/kill`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// One tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Everything; instead of a tenant.
    #[serde(default)]
    pub everything: bool,
    /// When it ends; when it is undone, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<When>,
    /// Why.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
}

/// `POST /v1/limits/{limit}/set`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLimit {
    /// For one agent, `<issuer>:<id>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// For one tenant; instead of an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What counts instead of a rate: `100/s`, `/m`, `/h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// With a rate: how many at once; the number of the rate, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<NonZeroU32>,
    /// What counts instead of a quota, of the same period: `1000/day`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
    /// When it ends; when it is reset, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<When>,
    /// Why.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
}

/// `POST /v1/limits/{limit}/reset`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetLimit {
    /// As in [`SetLimit`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// As in [`SetLimit`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Why.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
}

/// What an order about a limit did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitDone {
    /// The order's id, as the record has it.
    pub order: String,
    /// The limit's name.
    pub limit: String,
    /// `agent` or `tenant`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Whether anything is otherwise than before.
    pub changed: bool,
    /// `on_disk`, `until_restart` or `shared`.
    pub kept: Kept,
    /// Whether a record of it was written. False where no records are kept.
    pub recorded: bool,
}

/// `GET /v1/limits?after=<next of the page before>&limit=<1 to 1000>`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// The limits of the configuration; on the first page.
    pub limits: Vec<ConfiguredLimit>,
    /// What is set otherwise.
    pub overrides: Vec<SetOtherwise>,
    /// `after` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One limit of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfiguredLimit {
    /// Its name.
    pub limit: String,
    /// Whom it counts: `agent`, `user`, `tenant`, `route`, each combination apart.
    pub per: Vec<String>,
    /// How much.
    #[serde(flatten)]
    pub figure: Figure,
    /// The routes that it is for; all guarded ones, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<String>>,
}

/// One limit that is set otherwise for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetOtherwise {
    /// Its name.
    pub limit: String,
    /// `agent` or `tenant`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What counts instead.
    #[serde(flatten)]
    pub figure: Figure,
    /// Whether it does: the configuration has such a limit, and counts so.
    pub applies: bool,
    /// The end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<When>,
    /// Why.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
    /// Who ordered it.
    pub by: String,
    /// When.
    pub at: When,
}

/// How much of what is allowed: a rate and its burst, or a quota.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// `100/s`, `/m`, `/h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// How many at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<NonZeroU32>,
    /// `1000/day`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
}

/// What an order did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// The order's id, as the record has it.
    pub order: String,
    /// What it was about.
    pub kind: String,
    /// Its name, as records and headers show it.
    pub name: String,
    /// Whether anything is otherwise than before.
    pub changed: bool,
    /// The position after it.
    pub position: u64,
    /// Replicas that had not said yet, when this was answered, that they have applied it.
    pub behind: u32,
    /// The replicas that are there, and when each was known to have applied it; at most 200, first those that have not.
    #[serde(default)]
    pub replicas: Vec<Acknowledged>,
    /// How many there are besides.
    #[serde(default)]
    pub unlisted: u32,
    /// `on_disk`, `until_restart` or `shared`.
    pub kept: Kept,
    /// Whether a record of it was written. False where no records are kept.
    pub recorded: bool,
}

/// When a replica had what was ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acknowledged {
    /// Random, new with each start.
    pub id: String,
    /// What people call it, if it said so.
    pub name: Option<String>,
    /// How many milliseconds after the order began it was known to have it; null: it did not answer in time.
    pub after_ms: Option<u64>,
}

/// How long what was ordered lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// It outlives the process.
    OnDisk,
    /// It is lost at a restart.
    UntilRestart,
    /// All replicas share it.
    Shared,
}

/// `GET /v1/revocations?after=<position>&limit=<1 to 1000>&kind=<kind>`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct List {
    /// What holds. A page may be short, even empty, and yet have a next one.
    pub revocations: Vec<Listed>,
    /// `after` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// One revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The position at which it was ordered.
    pub position: u64,
    /// Of what kind of thing.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// `revoked`, `not_before` or `suspended`.
    pub form: ListedForm,
    /// The watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<When>,
    /// The end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<When>,
    /// Why.
    #[schemars(length(min = 1, max = 1000))]
    pub reason: String,
    /// Who ordered it.
    pub by: String,
    /// When.
    pub at: When,
}

/// How something is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListedForm {
    /// Whatever it presents.
    Revoked,
    /// What was issued until the watermark.
    NotBefore,
    /// With a way back.
    Suspended,
}

/// `GET /v1/decisions/{id}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// Its record, as it stands in the file.
    pub record: serde_json::Value,
    /// Whether the record's number and hash go on from the line before it. `false`: no writer of Exequatur put it there, or the
    /// file is older than the chain. `true` is no proof: `exequatur audit verify` looks at the whole chain. Absent: no line before it was
    /// read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_chain: Option<bool>,
    /// What came of it, as it stands in the file: the first outcome that was reported to this replica within 30 s of the record.
    /// Absent: none was. A denial has none: its outcome is Envoy's own answer. `exequatur audit show` reads the whole file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<serde_json::Value>,
}

/// An order, or a question, that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The order's id, where there is a record of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// A word for programs.
    pub error: String,
    /// A sentence for people.
    pub message: String,
    /// Whether what was to be stopped is stopped nevertheless, until a restart.
    #[serde(default)]
    pub in_force: bool,
}

/// An instant as RFC 3339 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When(pub Timestamp);

impl JsonSchema for When {
    fn schema_name() -> Cow<'static, str> {
        "When".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "description": "An instant (RFC 3339)." })
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map(Self)
            .map_err(|_no_instant: jiff::Error| D::Error::custom("not an instant (RFC 3339)"))
    }
}
