//! Header names, and the matchers that select them.

use regex::Regex;

use crate::Options;
use crate::tree::Node;

/// Names that nobody but Envoy and the caller may change: a selection of each kind, to try expressions on.
pub(crate) const FOREIGN: [&str; 26] = [
    ":authority",
    ":method",
    ":path",
    ":protocol",
    ":scheme",
    ":status",
    "accept",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "forwarded",
    "host",
    "mcp-session-id",
    "te",
    "transfer-encoding",
    "upgrade",
    "x",
    "x-envoy-original-path",
    "x-exequatu",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-other",
    "x-other-exequatur-user",
    "authorization-other",
];

/// What the decision is made from. A Check without one of them is judged wrongly or not at all.
pub(crate) const DECIDING: [&str; 10] = [
    "authorization",
    "dpop",
    "origin",
    "access-control-request-method",
    "content-length",
    "transfer-encoding",
    "upgrade",
    "content-type",
    "content-encoding",
    "x-envoy-auth-partial-body",
];

/// Names of ours that do not exist (yet): a listener has to strip them as well.
pub(crate) const OURS: [&str; 4] =
    ["x-exequatur-user", "x-exequatur-decision", "x-exequatur-a", "x-exequatur-not.yet_there"];

/// Whether a header carries what was judged or what was decided, so that nothing but Exequatur may write it.
pub(crate) fn reserved(name: &str, options: &Options) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with(':')
        || matches!(name.as_str(), "host" | "x-forwarded-client-cert")
        || is_ours(&name)
        || DECIDING.contains(&name.as_str())
        || options.headers.contains(&name)
}

/// Whether a header says who calls or what is asked for, so that it is believed only as the decision left it: what a
/// permit sets or removes, in any spelling, and the certificate.
pub(crate) fn believed(name: &str, options: &Options) -> bool {
    let name = name.to_ascii_lowercase();
    let spelt = name.replace(['_', '.'], "-");
    spelt == "x-forwarded-client-cert"
        || is_ours(&name)
        || options.headers.contains(&name)
        || options.overrides.contains(&spelt)
}

/// Every spelling of the name, but its own, that an upstream may take for it: `_` and `.` for `-`.
pub(crate) fn twins(name: &str) -> Vec<String> {
    let mut spellings = vec![String::with_capacity(name.len())];
    for letter in name.chars() {
        let spelt = if letter == '-' { vec!['-', '_', '.'] } else { vec![letter] };
        spellings = spellings
            .iter()
            .flat_map(|before| spelt.iter().map(move |letter| format!("{before}{letter}")))
            .collect();
    }
    spellings.retain(|spelling| spelling != name);
    spellings
}

/// Whether the name is one of ours, in any spelling.
pub(crate) fn is_ours(name: &str) -> bool {
    name.to_ascii_lowercase().replace(['_', '.'], "-").starts_with("x-exequatur")
}

/// An expression that must match a whole name, as Envoy applies it. `None`: it cannot be read here.
pub(crate) fn whole(regex: &str) -> Option<Regex> {
    /// Largest program, in bytes: the expression is somebody else's.
    const MOST: usize = 1024 * 1024;
    // Set operations of classes, and verbose mode: Envoy's engine reads these characters in another way.
    if ["&&", "--", "~~", "(?x", "[["].iter().any(|other| regex.contains(other)) {
        return None;
    }
    Regex::new(regex).ok()?;
    regex::RegexBuilder::new(&format!(r"\A(?:{regex})\z")).size_limit(MOST).build().ok()
}

/// A `StringMatcher`.
pub(crate) enum Matcher {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(Regex),
    /// Something that is not judged here.
    Unknown,
}

impl Matcher {
    pub(crate) fn of(node: &Node) -> (Self, bool) {
        let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
        let matcher = if let Some(exact) = text("exact") {
            Self::Exact(exact)
        } else if let Some(prefix) = text("prefix") {
            Self::Prefix(prefix)
        } else if let Some(suffix) = text("suffix") {
            Self::Suffix(suffix)
        } else if let Some(part) = text("contains") {
            Self::Contains(part)
        } else {
            node.at("safe_regex.regex")
                .and_then(Node::text)
                .and_then(whole)
                .map_or(Self::Unknown, Self::Regex)
        };
        (matcher, node.says("ignore_case"))
    }
}

/// Whether a `StringMatcher` selects the name. `None`: unknown.
pub(crate) fn matches(node: &Node, name: &str) -> Option<bool> {
    let (matcher, ignore_case) = Matcher::of(node);
    // An expression is never applied in lower case: Envoy ignores `ignore_case` there.
    let fold = |text: String| if ignore_case { text.to_ascii_lowercase() } else { text };
    match matcher {
        Matcher::Exact(exact) => Some(name == fold(exact)),
        Matcher::Prefix(prefix) => Some(name.starts_with(&fold(prefix))),
        Matcher::Suffix(suffix) => Some(name.ends_with(&fold(suffix))),
        Matcher::Contains(part) => Some(name.contains(&fold(part))),
        Matcher::Regex(regex) => Some(regex.is_match(name)),
        Matcher::Unknown => None,
    }
}

/// Whether a `ListStringMatcher` selects the name. `None`: unknown.
pub(crate) fn listed(list: &Node, name: &str) -> Option<bool> {
    let mut unknown = false;
    for matcher in list.list("patterns") {
        match matches(matcher, name) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(false)
}
