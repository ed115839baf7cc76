//! A JSON object that is put together member by member. Members stand in the order of their names.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::statement::{Stated, Statement};
use crate::text::Text;

/// A JSON object.
#[derive(Debug, Default)]
pub(super) struct Object(Map<String, Value>);

impl Object {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// What `of` says, less what stands elsewhere, and the line's place: with it the line is found again in the file.
    /// `None` for what is no object.
    pub(super) fn rest(
        run: &str,
        line: &Statement<'_>,
        of: &impl Serialize,
        mapped: &[&str],
    ) -> Option<Self> {
        let Ok(Value::Object(mut rest)) = serde_json::to_value(of) else { return None };
        for name in ["v", "time"].iter().chain(mapped) {
            rest.remove(*name);
        }
        let place = line.place();
        let chain = Self::new()
            .maybe("writer", Some(run).filter(|run| !run.is_empty()))
            .maybe("seq", place.map(|link| link.seq))
            .maybe("hash", place.map(|link| link.hash.to_string()));
        Some(Self(rest).object("chain", chain))
    }

    /// What a line says that is about the records themselves, under its own name, and its place.
    pub(super) fn said(run: &str, line: &Statement<'_>) -> Option<Self> {
        let said = match &line.stated {
            Stated::Open(header) => serde_json::to_value(header).ok()?,
            Stated::Checkpoint(checkpoint) => serde_json::to_value(checkpoint).ok()?,
            Stated::SinkGap(gap) => serde_json::to_value(gap).ok()?,
            Stated::Gap(decisions) => Value::from(*decisions),
            Stated::Decision(_) | Stated::Order(_) | Stated::Outcome(_) => return None,
        };
        Self::rest(run, line, &Map::from_iter([(line.kind().to_owned(), said)]), &[])
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn maybe(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn text(self, name: &str, text: Option<&Text<'_>>) -> Self {
        self.maybe(name, text.map(Text::as_str))
    }

    /// An object that has members.
    pub(super) fn object(self, name: &str, Self(members): Self) -> Self {
        if members.is_empty() { self } else { self.with(name, members) }
    }

    pub(super) fn into_json(self) -> Vec<u8> {
        let mut value = Value::Object(self.0);
        // Which order a map keeps depends on what else is in the program.
        value.sort_all_objects();
        value.to_string().into_bytes()
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}
