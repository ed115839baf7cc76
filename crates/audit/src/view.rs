//! A line of a file of records, as far as it has to be understood to find it.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What each line begins with, up to the 24 characters of its time.
const BEGIN: &[u8] = br#"{"v":1,"time":""#;
const TIME: usize = 24;

/// What a line is of, by the member that tells it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// `decision`: what was decided.
    Decision,
    /// `outcome_of`: what came of a decision.
    Outcome,
    /// `admin`: what an operator, or a security event, ordered.
    Order,
    /// `gap`: how many decisions have no record.
    Gap,
    /// `sink_gap`: how many lines this copy was not given.
    SinkGap,
    /// `open`: a writer begins, or goes on.
    Header,
    /// `checkpoint`: the chain is summed up.
    Checkpoint,
}

impl LineKind {
    const MEMBERS: [(&'static str, Self); 7] = [
        ("decision", Self::Decision),
        ("outcome_of", Self::Outcome),
        ("admin", Self::Order),
        ("gap", Self::Gap),
        ("sink_gap", Self::SinkGap),
        ("open", Self::Header),
        ("checkpoint", Self::Checkpoint),
    ];

    fn of_member(name: &str) -> Option<Self> {
        Self::MEMBERS.iter().find(|(member, _)| *member == name).map(|(_, kind)| *kind)
    }
}

/// What is understood of a line. What is of another type than ours counts as absent.
#[derive(Debug, Default)]
pub(crate) struct View<'a> {
    pub(crate) kind: Option<LineKind>,
    pub(crate) time: Option<Timestamp>,
    /// The id by which the kind is told apart: of the decision, or of the order.
    pub(crate) id: Option<Cow<'a, str>>,
    pub(crate) verdict: Option<Cow<'a, str>>,
    pub(crate) reason: Option<Cow<'a, str>>,
    pub(crate) trace: Option<Cow<'a, str>>,
    pub(crate) issuer: Option<Cow<'a, str>>,
    pub(crate) agent: Option<Cow<'a, str>>,
    pub(crate) client: Option<Cow<'a, str>>,
    pub(crate) user: Option<Cow<'a, str>>,
    pub(crate) tenant: Option<Cow<'a, str>>,
    pub(crate) actors: Vec<Cow<'a, str>>,
    pub(crate) resource_tenant: Option<Cow<'a, str>>,
    pub(crate) token: Option<Cow<'a, str>>,
    pub(crate) thumbprint: Option<Cow<'a, str>>,
    /// Of an order: what it is about.
    pub(crate) about: Option<Cow<'a, str>>,
    pub(crate) name: Option<Cow<'a, str>>,
    /// Of a gap, or of a sink's: how many.
    pub(crate) gap: Option<u64>,
}

impl<'a> View<'a> {
    /// `None` if it is no record: no object, of no kind, without a time, or with a member twice.
    pub(crate) fn of(line: &'a [u8]) -> Option<Self> {
        let view: Self = serde_json::from_slice(line).ok()?;
        (view.kind.is_some() && view.time.is_some()).then_some(view)
    }
}

/// What a line as we write it begins with: its kind, and its time as text, which sorts as the times do. `None` of any other
/// line, which may be a record nevertheless: only [`View::of`] tells.
pub(crate) fn begin(line: &[u8]) -> Option<(LineKind, &[u8])> {
    let (time, rest) = line.strip_prefix(BEGIN)?.split_at_checked(TIME)?;
    if (time.get(10), time.get(19), time.get(23)) != (Some(&b'T'), Some(&b'.'), Some(&b'Z')) {
        return None;
    }
    let rest = rest.strip_prefix(b"\",\"")?;
    let kind = LineKind::MEMBERS.iter().find(|(member, _)| {
        rest.strip_prefix(member.as_bytes()).is_some_and(|rest| rest.starts_with(b"\":"))
    })?;
    Some((kind.1, time))
}

/// A text, if it is one.
#[derive(Default)]
struct Word<'a>(Option<Cow<'a, str>>);

/// A list of texts, if it is one.
#[derive(Default)]
struct Words<'a>(Vec<Cow<'a, str>>);

/// A whole number, if it is one.
#[derive(Default)]
struct Number(Option<u64>);

struct WordVisitor;
struct WordsVisitor;
struct NumberVisitor;

/// What is of no use: of every type, taken whole.
macro_rules! else_nothing {
    ($($of:ident($type:ty)),*) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        $(fn $of<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        })*
    };
}

/// As above, of lists and objects.
fn pass_over_seq<'de, A: SeqAccess<'de>, T: Default>(mut seq: A) -> Result<T, A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(T::default())
}

fn pass_over_map<'de, A: MapAccess<'de>, T: Default>(mut map: A) -> Result<T, A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(T::default())
}

impl<'de> Visitor<'de> for WordVisitor {
    type Value = Word<'de>;

    else_nothing!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64));

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Word(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Word(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        pass_over_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        pass_over_map(map)
    }
}

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words<'de>;

    else_nothing!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut words = Vec::new();
        while let Some(Word(word)) = seq.next_element()? {
            words.extend(word);
        }
        Ok(Words(words))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        pass_over_map(map)
    }
}

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    else_nothing!(visit_bool(bool), visit_i64(i64), visit_f64(f64), visit_str(&str));

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Number(Some(number)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        pass_over_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        pass_over_map(map)
    }
}

macro_rules! lenient {
    ($type:ty, $visitor:ident) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($visitor)
            }
        }
    };
}
lenient!(Word<'de>, WordVisitor);
lenient!(Words<'de>, WordsVisitor);
lenient!(Number, NumberVisitor);

/// Where in a line an object stands that is looked into.
#[derive(Clone, Copy)]
enum Within {
    Record,
    Resource,
    Controls,
    Token,
    SenderConstraint,
    SinkGap,
}

/// Reads an object into the view; another value is passed over.
struct Fill<'v, 'de>(&'v mut View<'de>, Within);

impl<'de> DeserializeSeed<'de> for Fill<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.1 {
            // A line that is no object is no record.
            Within::Record => deserializer.deserialize_map(self),
            Within::Resource
            | Within::Controls
            | Within::Token
            | Within::SenderConstraint
            | Within::SinkGap => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Deserialize<'de> for View<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut view = Self::default();
        Fill(&mut view, Within::Record).deserialize(deserializer)?;
        Ok(view)
    }
}

impl<'de> Visitor<'de> for Fill<'_, 'de> {
    type Value = ();

    else_nothing!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        pass_over_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(view, within) = self;
        while let Some(Word(name)) = map.next_key()? {
            let name = name.unwrap_or_default();
            let known = match within {
                Within::Record => view.member(&name, &mut map)?,
                Within::Resource => name == "tenant" && put(&mut view.resource_tenant, &mut map)?,
                Within::Token => name == "digest" && put(&mut view.token, &mut map)?,
                Within::SenderConstraint => name == "thumbprint" && put(&mut view.thumbprint, &mut map)?,
                Within::SinkGap => name == "lines" && count(&mut view.gap, &mut map)?,
                Within::Controls => match &*name {
                    "token" => fill(view, Within::Token, &mut map)?,
                    "sender_constraint" => fill(view, Within::SenderConstraint, &mut map)?,
                    _ => false,
                },
            };
            if !known {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de> View<'de> {
    /// Takes a member of the record's own; whether it is known.
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let place = match name {
            "verdict" => &mut self.verdict,
            "reason" => &mut self.reason,
            "trace" => &mut self.trace,
            "issuer" => &mut self.issuer,
            "agent" => &mut self.agent,
            "client" => &mut self.client,
            "user" => &mut self.user,
            "tenant" => &mut self.tenant,
            "kind" => &mut self.about,
            "name" => &mut self.name,
            "resource" => return fill(self, Within::Resource, map),
            "controls" => return fill(self, Within::Controls, map),
            "time" => {
                let mut text = self.time.map(|_| Cow::Borrowed(""));
                put(&mut text, map)?;
                self.time = text.and_then(|text| text.parse().ok());
                return Ok(true);
            }
            "actors" => {
                let Words(words) = map.next_value()?;
                let twice = !std::mem::replace(&mut self.actors, words).is_empty();
                return if twice { Err(twice_there()) } else { Ok(true) };
            }
            name => return self.kind_member(name, map),
        };
        put(place, map)
    }

    /// What tells the kind: the first such member. Others mean nothing beside it.
    fn kind_member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let Some(kind) = LineKind::of_member(name) else { return Ok(false) };
        if let Some(first) = self.kind {
            return if first == kind { Err(twice_there()) } else { Ok(false) };
        }
        self.kind = Some(kind);
        match kind {
            LineKind::Decision | LineKind::Outcome | LineKind::Order => put(&mut self.id, map),
            LineKind::Gap => count(&mut self.gap, map),
            LineKind::SinkGap => fill(self, Within::SinkGap, map),
            LineKind::Header | LineKind::Checkpoint => Ok(false),
        }
    }
}

fn fill<'de, A: MapAccess<'de>>(view: &mut View<'de>, within: Within, map: &mut A) -> Result<bool, A::Error> {
    map.next_value_seed(Fill(view, within))?;
    Ok(true)
}

/// A text that comes twice means one thing to one reader and another to the next.
fn put<'de, A: MapAccess<'de>>(place: &mut Option<Cow<'de, str>>, map: &mut A) -> Result<bool, A::Error> {
    let Word(word) = map.next_value()?;
    let twice = place.is_some();
    *place = word;
    if twice { Err(twice_there()) } else { Ok(true) }
}

fn count<'de, A: MapAccess<'de>>(place: &mut Option<u64>, map: &mut A) -> Result<bool, A::Error> {
    let Number(number) = map.next_value()?;
    let twice = place.is_some();
    *place = number;
    if twice { Err(twice_there()) } else { Ok(true) }
}

fn twice_there<E: serde::de::Error>() -> E {
    E::custom("a member stands there twice")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = concat!(
        r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","decision":"d-1","verdict":"deny","reason":"policy_forbid","#,
        r#""status":403,"trace":"0af7","resource":{"type":"D","id":"1","tenant":"globex"},"issuer":"corp","#,
        r#""client":"corp:c","agent":"corp:b","user":"corp:a","tenant":"acme","actors":["corp:b","corp:d"],"#,
        r#""controls":{"token":{"digest":"t","cached":false},"sender_constraint":{"kind":"dpop","thumbprint":"k"}},"#,
        r#""later":{"agent":"corp:x","controls":[{"token":1}]}}"#,
    );

    #[test]
    fn a_line_is_understood_where_it_has_to_be() {
        let view = View::of(LINE.as_bytes()).unwrap();
        assert_eq!(view.kind, Some(LineKind::Decision));
        assert_eq!(view.time.unwrap().to_string(), "2026-11-22T10:11:12.345Z");
        let texts = [
            (&view.id, "d-1"),
            (&view.verdict, "deny"),
            (&view.reason, "policy_forbid"),
            (&view.trace, "0af7"),
            (&view.resource_tenant, "globex"),
            (&view.issuer, "corp"),
            (&view.client, "corp:c"),
            (&view.agent, "corp:b"),
            (&view.user, "corp:a"),
            (&view.tenant, "acme"),
            (&view.token, "t"),
            (&view.thumbprint, "k"),
        ];
        for (text, expected) in texts {
            assert_eq!(text.as_deref(), Some(expected));
        }
        assert_eq!(view.actors, ["corp:b", "corp:d"]);
        let order =
            r#"{"time":"2026-11-22T10:11:12Z","admin":"o","kind":"user","name":"caf\u00e9","open":1}"#;
        let view = View::of(order.as_bytes()).unwrap();
        assert_eq!((view.kind, view.about.as_deref()), (Some(LineKind::Order), Some("user")));
        assert_eq!(view.name.as_deref(), Some("café"));
        let gap = View::of(br#"{"time":"2026-11-22T10:11:12Z","gap":7}"#).unwrap();
        assert_eq!((gap.kind, gap.gap), (Some(LineKind::Gap), Some(7)));
        let sink = View::of(br#"{"time":"2026-11-22T10:11:12Z","sink_gap":{"lines":7,"from":{"lines":1}}}"#)
            .unwrap();
        assert_eq!((sink.kind, sink.gap), (Some(LineKind::SinkGap), Some(7)));
    }

    #[test]
    fn another_type_is_absent_and_a_member_twice_is_no_record() {
        let absent = LINE
            .replace(r#""agent":"corp:b""#, r#""agent":{"a":[1]}"#)
            .replace(r#"["corp:b","corp:d"]"#, r#"[1,"corp:d",null]"#)
            .replace(r#"{"type":"D","id":"1","tenant":"globex"}"#, "[true]")
            .replace(r#"{"digest":"t","cached":false}"#, "-1.5");
        let view = View::of(absent.as_bytes()).unwrap();
        assert_eq!((view.agent, view.resource_tenant, view.token), (None, None, None));
        assert_eq!((&view.actors[..], view.thumbprint.as_deref()), (&["corp:d".into()][..], Some("k")));
        for (from, to) in [
            (r#""verdict":"deny""#, r#""verdict":"deny","verdict":"permit""#),
            (r#""decision":"d-1""#, r#""decision":"d-1","decision":"d-2""#),
            (r#""time":"#, r#""time":"2026-11-22T10:11:12.345Z","time":"#),
            (r#""actors":"#, r#""actors":["x"],"actors":"#),
            (r#""digest":"t""#, r#""digest":"t","digest":"u""#),
            (r#""decision""#, r#""decided""#),
            ("12.345Z", "12.345"),
            (r#""time""#, r#""tim""#),
            ("}}", "}"),
            ("}}", "}}x"),
        ] {
            let line = LINE.replacen(from, to, 1);
            assert_ne!(line, LINE);
            assert!(View::of(line.as_bytes()).is_none(), "{line}");
        }
        for line in ["", "[]", "{}", "1", "\"decision\""] {
            assert!(View::of(line.as_bytes()).is_none(), "{line}");
        }
    }

    /// What is told by the first bytes alone is what reading all of the line tells.
    #[test]
    fn the_begin_of_a_line_tells_its_kind_and_time() {
        let time = "2026-11-22T10:11:12.345Z";
        for (member, kind) in LineKind::MEMBERS {
            let line = format!(r#"{{"v":1,"time":"{time}","{member}":"x","decision":"y"}}"#);
            let line = if kind == LineKind::Decision { line.replace(r#","decision":"y""#, "") } else { line };
            assert_eq!(begin(line.as_bytes()), Some((kind, time.as_bytes())));
            assert_eq!(View::of(line.as_bytes()).unwrap().kind, Some(kind));
        }
        for line in [
            r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","verdict":"#,
            r#"{"v":1,"time":"2026-11-22T10:11:12+01:00","decision":"#,
            r#"{"v":1, "time":"2026-11-22T10:11:12.345Z","decision":"#,
            r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","decisions":"#,
            "",
        ] {
            assert_eq!(begin(line.as_bytes()), None, "{line}");
        }
    }
}
