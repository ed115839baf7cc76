//! `routes[].step_up`: how, and how recently, the user must have been authenticated (RFC 9470).

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use exequatur_decide::StepUp;
use jiff::SignedDuration;
use serde_json::{Value as Json, json};

use super::duration;
use super::keys::{Key, Shape, list, map, optional, pattern};
use super::reader::{Fields, Node, Notes, once};

const KEYS: &[Key] = &[
    optional(
        "acr_values",
        "`acr` must be one of these. They have no order: name each that suffices.",
        || list(pattern(&format!("^[!#-\\[\\]-~]{{1,{MAX_ACR}}}$"))).some().unique(),
    ),
    optional("max_age", "How long ago `auth_time` may be, in whole seconds, without tolerance.", || {
        duration(MAX_AGES)
    }),
];
/// Longest `acr`, in characters, as in tokens.
const MAX_ACR: usize = 256;
const MAX_AGES: &RangeInclusive<Duration> = &(Duration::from_secs(1)..=Duration::from_hours(720));

pub(super) fn shape() -> Shape {
    let Json::Object(mut schema) = map(KEYS).into_value() else { return map(KEYS) };
    schema.insert("minProperties".to_owned(), json!(1));
    Shape::of(schema.into())
}

pub(super) fn read(node: &Node, notes: &Notes) -> Option<StepUp> {
    let fields = Fields::open(node, KEYS, notes)?;
    let mut seen = Vec::new();
    let acr_values = fields.or("acr_values", Vec::new(), |node| {
        node.some(notes, |item| {
            let value = item.text(notes)?;
            // In the challenge they are separated by spaces, within quotes (RFC 9470 §3).
            let fits = |b: u8| matches!(b, b'!'..=b'~') && !matches!(b, b'"' | b'\\');
            if value.len() > MAX_ACR || !value.bytes().all(fits) {
                let message =
                    format!("a class is 1 to {MAX_ACR} printable characters but space, `\"` and `\\`");
                notes.add(item.place, message);
                return None;
            }
            once(value, &mut seen, item.place, notes).then(|| value.to_owned())
        })
    });
    let max_age = fields.or("max_age", None, |node| {
        let span = node.duration(MAX_AGES, notes)?;
        if span.subsec_nanos() != 0 {
            notes.add(node.place, "whole seconds are needed");
            return None;
        }
        SignedDuration::try_from(span).ok().map(Some)
    });
    let step_up = StepUp { acr_values: acr_values?, max_age: max_age? };
    if step_up.acr_values.is_empty() && step_up.max_age.is_none() {
        notes.add(node.place, "`acr_values`, `max_age` or both are needed");
        return None;
    }
    Some(step_up)
}

pub(super) fn show(step_up: Option<&StepUp>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(StepUp { acr_values, max_age }) = step_up else { return writeln!(f, "    # step_up: none") };
    writeln!(f, "    step_up:")?;
    if !acr_values.is_empty() {
        writeln!(f, "      acr_values: {acr_values:?}")?;
    }
    match max_age {
        Some(span) => {
            writeln!(f, "      max_age: {}", duration::format(Duration::try_from(*span).unwrap_or_default()))
        }
        None => Ok(()),
    }
}
