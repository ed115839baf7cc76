//! What of a request itself is kept in its record: a digest of all that was asked with, and the parts that its route names.

use exequatur_audit::{Arguments, Part, PartPlace, PartValue, Redaction, Text};
use exequatur_decide::{Facts, MAX_RECORDED_PARTS, PartForm, RecordedPart, query_values};

use crate::wire::extract::Described;

/// What is kept of one request.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) arguments: Option<Arguments<'static>>,
    pub(crate) parts: Vec<Part<'static>>,
}

impl Kept {
    /// What of a request is kept, once it is known by which route it came.
    pub(crate) fn of(described: &Described, facts: &Facts, redaction: &Redaction) -> Self {
        let arguments = redaction.arguments(described.method(), described.target(), described.whole_body());
        Self { arguments, parts: parts(described, facts, redaction) }
    }
}

/// The values of the parts that the route names, in its order; a name that came several times has several.
fn parts(described: &Described, facts: &Facts, redaction: &Redaction) -> Vec<Part<'static>> {
    let Some(recorded) = &facts.recorded else { return Vec::new() };
    let headers = recorded.headers.iter().flat_map(|part| {
        described.field(&part.name).map(move |value| (PartPlace::Header, part, value.to_vec()))
    });
    let query = recorded.query.iter().flat_map(|part| {
        query_values(described.target(), &part.name)
            .map(move |value| (PartPlace::Query, part, value.as_bytes().to_vec()))
    });
    let path = recorded.path_parameters.iter().filter_map(|part| {
        let (_, value) = facts.parameters.iter().find(|(name, _)| *name == part.name)?;
        Some((PartPlace::Path, part, value.as_bytes().to_vec()))
    });
    let all = headers.chain(query).chain(path);
    all.filter_map(|(place, part, value)| one(place, part, &value, redaction))
        .take(MAX_RECORDED_PARTS)
        .collect()
}

fn one(place: PartPlace, part: &RecordedPart, value: &[u8], redaction: &Redaction) -> Option<Part<'static>> {
    let value = match part.form {
        PartForm::Plain => PartValue::Value(Text::from(String::from_utf8_lossy(value).into_owned())),
        // The configuration has seen to it that there is a key.
        PartForm::Digest => PartValue::Digest(redaction.part(value)?),
    };
    Some(Part { place, name: Text::from(part.name.clone()), value })
}
