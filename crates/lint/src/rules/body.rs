//! Bodies in a Check: whole, and byte by byte.

use crate::linter::Linter;
use crate::rule::{Key, Part, Rule, Severity, is_false, is_true};
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

pub(crate) static RULES: &[&Rule] = &[&PARTIAL, &AS_TEXT];

/// Judges `BufferSettings`.
pub(crate) fn judge(settings: &Node, linter: &mut Linter<'_>) {
    linter.keys(Part::Body, settings);
}
