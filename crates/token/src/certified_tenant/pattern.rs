//! Where in a URI the tenant stands.

use std::fmt;
use std::str::FromStr;

/// Stands for the tenant.
const PLACE: &str = "{tenant}";
/// Stands for whatever else is in the path.
const REST: &str = "/**";

/// A URI in which `{tenant}` stands for the tenant: as the first label of the authority, or as one segment of the path. `/**` at
/// the end stands for one segment and more. All else is compared byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantUri {
    before: String,
    after: String,
    /// Whether more has to follow.
    more: bool,
    /// Whether the tenant is a label, and so has no dot.
    label: bool,
}

impl TenantUri {
    /// The tenant that stands in a URI.
    pub(crate) fn tenant<'a>(&self, uri: &'a str) -> Option<&'a str> {
        let rest = uri.strip_prefix(&self.before)?;
        let end = rest.find(|c: char| c == '/' || (self.label && c == '.')).unwrap_or(rest.len());
        let (tenant, rest) = rest.split_at_checked(end)?;
        let rest = rest.strip_prefix(&self.after)?;
        let fits = if self.more { rest.strip_prefix('/').is_some_and(is_path) } else { rest.is_empty() };
        // RFC 3986 §3.3: dots are no name; and nothing is written in another way (SPIFFE has no escapes).
        let named = tenant.chars().all(is_plain) && !matches!(tenant, "" | "." | "..");
        (fits && named).then_some(tenant)
    }
}

fn is_path(rest: &str) -> bool {
    rest.split('/').all(|segment| segment.chars().all(is_plain) && !matches!(segment, "" | "." | ".."))
}

/// The characters of SPIFFE ids (SPIFFE-ID §2), which are unreserved in every URI.
const fn is_plain(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.')
}

impl FromStr for TenantUri {
    type Err = PatternProblem;

    fn from_str(text: &str) -> Result<Self, PatternProblem> {
        let (before, after) = text.split_once(PLACE).ok_or(PatternProblem::NoPlace)?;
        let (after, more) = after.strip_suffix(REST).map_or((after, false), |after| (after, true));
        let plain = |part: &str| part.chars().all(|c| is_plain(c) || c == '/');
        let (scheme, path) = before.split_once("://").ok_or(PatternProblem::Place)?;
        let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c));
        if !scheme_fits || !plain(path) || !plain(after) {
            return Err(PatternProblem::Characters);
        }
        let label = path.is_empty();
        let begins = label || path.ends_with('/') && !path.starts_with('/');
        let ends = after.is_empty() || after.starts_with('/') || (label && after.starts_with('.'));
        if !begins || !ends || after.ends_with('/') {
            return Err(PatternProblem::Place);
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned(), more, label })
    }
}

impl fmt::Display for TenantUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = if self.more { REST } else { "" };
        write!(f, "{}{PLACE}{}{rest}", self.before, self.after)
    }
}

/// Why a text is no [`TenantUri`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternProblem {
    /// Without the tenant.
    #[error("`{{tenant}}` is missing")]
    NoPlace,
    /// The tenant, or the end, is where it cannot be told from what is beside it.
    #[error("`{{tenant}}` is the first label of the authority, or a segment of the path")]
    Place,
    /// Characters that mean something else.
    #[error("letters, digits, `-`, `_`, `.` and `/`, with `{{tenant}}` once and `/**` at the end at most")]
    Characters,
}
