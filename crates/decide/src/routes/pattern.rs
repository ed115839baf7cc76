//! `/tenants/{tenant}/documents/{id}`: what paths a route takes, and which of two patterns is more specific.

use std::cmp::Ordering;
use std::fmt;

use thiserror::Error;

use crate::template::{Parameters, TemplateError, parse_name};

/// A pattern of a path: literal segments, `{parameter}` segments, and at the end perhaps `**`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
    /// `/**` at the end: any further segments, none included.
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Parameter(String),
}

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// Does not begin with `/`.
    #[error("a path begins with a slash")]
    NotAbsolute,
    /// `**` elsewhere than at the end.
    #[error("`**` stands only at the end of a path")]
    OpenInside,
    /// A parameter twice.
    #[error("parameter `{0}` stands twice")]
    Repeated(String),
    /// A brace inside a segment, or a broken name.
    #[error("a parameter is a whole segment, `{{name}}`: {0}")]
    Parameter(TemplateError),
    /// A literal that no request's path can hold.
    #[error("no request path can hold the segment `{0}`")]
    Impossible(String),
}

impl PathPattern {
    /// Parses the pattern.
    ///
    /// # Errors
    /// See [`PatternError`].
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let rest = text.strip_prefix('/').ok_or(PatternError::NotAbsolute)?;
        let (rest, open) = match rest.strip_suffix("**") {
            Some("") => return Ok(Self { segments: Vec::new(), open: true }),
            Some(before) => (before.strip_suffix('/').ok_or(PatternError::OpenInside)?, true),
            None => (rest, false),
        };
        let mut segments = Vec::new();
        for part in rest.split('/') {
            let segment = parse_segment(part)?;
            if let Segment::Parameter(name) = &segment
                && segments.contains(&segment)
            {
                return Err(PatternError::Repeated(name.clone()));
            }
            segments.push(segment);
        }
        // An empty segment is a trailing slash, so it can only be the last.
        let inner = segments.len().saturating_sub(1);
        if segments.iter().take(inner).any(|segment| *segment == Segment::Literal(String::new())) {
            return Err(PatternError::Impossible(String::new()));
        }
        Ok(Self { segments, open })
    }

    /// The parameters that a match yields.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }

    /// The parameters' values, if the path matches. A parameter never takes an empty segment.
    pub(crate) fn matches(&self, path: &[String]) -> Option<Parameters> {
        let length_fits =
            if self.open { path.len() >= self.segments.len() } else { path.len() == self.segments.len() };
        if !length_fits {
            return None;
        }
        let mut parameters = Parameters::new();
        for (segment, part) in self.segments.iter().zip(path) {
            match segment {
                Segment::Literal(literal) if literal == part => {}
                Segment::Parameter(name) if !part.is_empty() => {
                    parameters.insert(name.clone(), part.clone());
                }
                Segment::Literal(_) | Segment::Parameter(_) => return None,
            }
        }
        Some(parameters)
    }

    /// Whether it takes paths of any length (`**`).
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether some path matches both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let lengths_fit = match (self.open, other.open) {
            (false, false) => self.segments.len() == other.segments.len(),
            (true, false) => self.segments.len() <= other.segments.len(),
            (false, true) => self.segments.len() >= other.segments.len(),
            (true, true) => true,
        };
        lengths_fit
            && self.segments.iter().zip(&other.segments).all(|pair| match pair {
                (Segment::Literal(one), Segment::Literal(two)) => one == two,
                (Segment::Literal(literal), Segment::Parameter(_))
                | (Segment::Parameter(_), Segment::Literal(literal)) => !literal.is_empty(),
                (Segment::Parameter(_), Segment::Parameter(_)) => true,
            })
    }

    /// `Greater` if every path that matches `self` matches `other` and not the reverse; `None` for
    /// patterns that overlap without one containing the other.
    pub(crate) fn specificity(&self, other: &Self) -> Option<Ordering> {
        let length = self.segments.len().cmp(&other.segments.len());
        let shape = match (self.open, other.open) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (true, true) => length,
            (false, false) => Ordering::Equal,
        };
        let mut order = shape;
        for pair in self.segments.iter().zip(&other.segments) {
            let here = match pair {
                (Segment::Literal(_), Segment::Parameter(_)) => Ordering::Greater,
                (Segment::Parameter(_), Segment::Literal(_)) => Ordering::Less,
                (Segment::Literal(_), Segment::Literal(_))
                | (Segment::Parameter(_), Segment::Parameter(_)) => Ordering::Equal,
            };
            order = match (order, here) {
                (order, Ordering::Equal) => order,
                (Ordering::Equal, here) => here,
                (order, here) if order == here => order,
                _ => return None,
            };
        }
        Some(order)
    }
}

/// As it was parsed.
impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Literal(literal) => write!(f, "/{literal}"),
            Segment::Parameter(name) => write!(f, "/{{{name}}}"),
        })?;
        if self.open { f.write_str("/**") } else { Ok(()) }
    }
}

fn parse_segment(part: &str) -> Result<Segment, PatternError> {
    if let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        parse_name(name).map_err(PatternError::Parameter)?;
        return Ok(Segment::Parameter(name.to_owned()));
    }
    if part.contains(['{', '}']) {
        return Err(PatternError::Parameter(TemplateError::Brace));
    }
    let possible = part != "."
        && part != ".."
        && !part.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | ';' | '%' | '?' | '#' | '*'));
    if possible {
        Ok(Segment::Literal(part.to_owned()))
    } else {
        Err(PatternError::Impossible(part.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::RequestPath;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::parse(text).unwrap()
    }

    #[test]
    fn patterns_match_whole_paths() {
        let cases = [
            ("/", "/", true),
            ("/", "/a", false),
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a", "/A", false),
            ("/a/", "/a/", true),
            ("/{x}", "/a", true),
            ("/{x}", "/", false),
            ("/a/{x}/c", "/a/b/c", true),
            ("/a/{x}/c", "/a/b/d", false),
            ("/a/**", "/a", true),
            ("/a/**", "/a/", true),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/ab", false),
            ("/**", "/", true),
        ];
        for (text, path, matches) in cases {
            let path_parsed = RequestPath::parse(path).unwrap();
            assert_eq!(pattern(text).matches(path_parsed.segments()).is_some(), matches, "{text} {path}");
        }
    }

    #[test]
    fn specificity_is_containment() {
        let cases = [
            ("/a", "/{x}", Some(Ordering::Greater)),
            ("/{x}", "/{y}", Some(Ordering::Equal)),
            ("/a/{x}", "/{y}/b", None),
            ("/a/b", "/a/**", Some(Ordering::Greater)),
            ("/a/b/**", "/a/**", Some(Ordering::Greater)),
            ("/{x}/b/**", "/a/**", None),
            ("/{x}", "/a/**", None),
        ];
        for (one, two, order) in cases {
            assert_eq!(pattern(one).specificity(&pattern(two)), order, "{one} {two}");
            assert_eq!(pattern(two).specificity(&pattern(one)), order.map(Ordering::reverse), "{two} {one}");
        }
    }

    #[test]
    fn overlap_is_symmetric() {
        let cases = [
            ("/a", "/{x}", true),
            ("/a", "/b", false),
            ("/a/{x}", "/{y}/b", true),
            ("/a/**", "/b/**", false),
            ("/a/**", "/**", true),
            ("/a/", "/a/{x}", false),
            ("/a", "/a/b", false),
        ];
        for (one, two, overlap) in cases {
            assert_eq!(pattern(one).overlaps(&pattern(two)), overlap, "{one} {two}");
            assert_eq!(pattern(two).overlaps(&pattern(one)), overlap, "{two} {one}");
        }
    }

    #[test]
    fn broken_patterns_are_refused() {
        for text in [
            "", "a", "//", "/a//b", "/{}", "/{a}/{a}", "/a{b}", "/**/a", "/a**", "/..", "/a;b", "/a%20", "/*",
        ] {
            assert!(PathPattern::parse(text).is_err(), "{text}");
        }
    }
}
