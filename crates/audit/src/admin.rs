//! The record of an order to the admin socket: a line of the same file, told apart by `admin` in place of `decision`.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::record::{VERSION, instant, milliseconds};
use crate::text::Text;

/// What is kept of one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminRecord<'a> {
    v: u8,
    /// When it was given; RFC 3339 in UTC, to the millisecond.
    #[serde(serialize_with = "milliseconds", deserialize_with = "instant")]
    pub time: Timestamp,
    /// The order's id, as its answer has it.
    pub admin: Text<'a>,
    /// Who gave it.
    pub actor: Text<'a>,
    /// What he calls himself, where nobody has verified it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed: Option<Text<'a>>,
    /// What was to be done.
    pub action: Text<'a>,
    /// What came of it.
    pub outcome: AdminOutcome,
    /// The kind of thing that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Text<'a>>,
    /// That thing's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<'a>>,
    /// The limit that is set otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Text<'a>>,
    /// What counts instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Text<'a>>,
    /// The watermark.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "maybe_milliseconds",
        deserialize_with = "maybe_instant"
    )]
    pub not_before: Option<Timestamp>,
    /// The end.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "maybe_milliseconds",
        deserialize_with = "maybe_instant"
    )]
    pub until: Option<Timestamp>,
    /// What held of the thing before, as far as this replica knew; empty: nothing did. Absent where it was not known, and for what
    /// changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Vec<Text<'a>>>,
    /// The same after it; of what is `ordered`, once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Vec<Text<'a>>>,
    /// Why, as whoever gave it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<'a>>,
    /// Why it was refused, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Text<'a>>,
}

impl<'a> AdminRecord<'a> {
    /// A record of which only the outcome is known yet.
    #[must_use]
    pub fn new(
        time: Timestamp,
        admin: Text<'a>,
        actor: Text<'a>,
        action: Text<'a>,
        outcome: AdminOutcome,
    ) -> Self {
        Self {
            v: VERSION,
            time,
            admin,
            actor,
            claimed: None,
            action,
            outcome,
            kind: None,
            name: None,
            limit: None,
            allowed: None,
            not_before: None,
            until: None,
            before: None,
            after: None,
            reason: None,
            error: None,
        }
    }
}

/// What came of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminOutcome {
    /// It is done.
    Done,
    /// It is done after this line; if not, a line with `failed` follows.
    Ordered,
    /// It was not accepted.
    Refused,
    /// It could not be done, or not be kept.
    Failed,
}

fn maybe_milliseconds<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => milliseconds(time, serializer),
        None => serializer.serialize_none(),
    }
}

fn maybe_instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    instant(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_who_did_what_to_whom_and_why() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut record = AdminRecord::new(
            at("2026-11-22T10:11:12.3456Z"),
            Text::from("admin-1-2"),
            Text::from("local:0"),
            Text::from("revoke"),
            AdminOutcome::Done,
        );
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","admin":"admin-1-2","actor":"local:0","action":"revoke","outcome":"done"}"#
        );
        record.kind = Some(Text::from("user"));
        record.name = Some(Text::from("corp:alice"));
        record.not_before = Some(at("2026-11-22T10:00:00Z"));
        record.until = Some(at("2026-11-23T10:00:00Z"));
        record.before = Some(Vec::new());
        record.after = Some(vec![Text::from("revoked")]);
        record.reason = Some(Text::from("stolen"));
        let line = serde_json::to_string(&record).unwrap();
        assert!(line.ends_with(
            r#""kind":"user","name":"corp:alice","not_before":"2026-11-22T10:00:00.000Z","until":"2026-11-23T10:00:00.000Z","before":[],"after":["revoked"],"reason":"stolen"}"#
        ));
        let read: AdminRecord<'_> = serde_json::from_str(&line).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), line);
    }
}
