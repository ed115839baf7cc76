//! Bodies in a Check: whole, and byte by byte.

use crate::Options;
use crate::linter::Linter;
use crate::rule::{Key, Part, Rule, Severity, is_false, is_true};
use crate::rules::fields;
use crate::tree::Node;

static PARTIAL: Rule = Rule::new(
    Severity::Hole,
    "partial-body",
    &["B-09"],
    "the decision sees the beginning of a body, and the upstream gets the rest too",
    "with_request_body: { allow_partial_message: false, … }",
)
.key(Key::must(Part::Body, "allow_partial_message", is_false, &["true"]).default_holds());
static AS_TEXT: Rule = Rule::new(
    Severity::Weak,
    "body-as-text",
    &["B-09"],
    "bytes that are not UTF-8 are replaced before they are judged, and not before they are forwarded",
    "with_request_body: { pack_as_bytes: true, … }",
)
.key(Key::must(Part::Body, "pack_as_bytes", is_true, &["false"]));

static SIZE: Rule = Rule::new(
    Severity::Weak,
    "body-size",
    &["C-18"],
    "Envoy holds that much of each request in memory, and Exequatur reads no Check above its bound: everything is refused",
    "with_request_body: { max_request_bytes: 65536, … }, at most half of the longest Check",
)
.key(
    Key::may(
        Part::Body,
        "max_request_bytes",
        |node, options| {
            let size = node.integer().and_then(|size| usize::try_from(size).ok());
            size.is_some_and(|size| (1..=largest_body(options)).contains(&size))
        },
        &["0", "1048576", "4294967295"],
    )
    .bounded(|options| {
        format!("from 1 to {}: Exequatur reads Checks of {} bytes", largest_body(options), options.largest_check)
    }),
);

/// The other half is for headers and certificate.
fn largest_body(options: &Options) -> usize {
    options.largest_check / 2
}

pub(crate) static RULES: &[&Rule] = &[&PARTIAL, &AS_TEXT, &SIZE];

/// Judges `BufferSettings`.
pub(crate) fn judge(settings: &Node, linter: &mut Linter<'_>) {
    linter.keys(Part::Body, settings);
    fields::judge(&fields::BODY, settings, linter);
}
