//! The path of a request, parsed once and strictly.
//!
//! A path that two programs could read differently is refused, not repaired (B-01, B-02): dot segments,
//! empty segments, path parameters, encoded slashes, encoded characters that need no encoding, and
//! whatever an upstream might decode a second time. What remains has one reading, so the path that is
//! judged is the path that the upstream serves, whether or not the proxy in front normalises.

use thiserror::Error;

/// Longest path and query together, in bytes.
const MAX_BYTES: usize = 8 * 1024;
/// Longest path alone, in bytes: what a proof's `htu` may name has room for it and for the origin.
const MAX_PATH_BYTES: usize = 3 * 1024;
/// Most segments of a path.
const MAX_SEGMENTS: usize = 64;

/// A path with exactly one reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPath {
    raw: String,
    segments: Vec<String>,
    query: Option<String>,
}

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathRefusal {
    /// Longer than 3 KiB, than 8 KiB with the query, or more than 64 segments.
    #[error("the path is too long")]
    TooLong,
    /// Does not begin with `/` (absolute form, `*`, empty).
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// A byte that RFC 3986 does not allow in a path, or a `;`, `\` or `#`.
    #[error("the path holds a character that is not allowed in a path")]
    Character,
    /// A `%` that two hex digits do not follow, or bytes that are not UTF-8.
    #[error("the path holds a broken percent encoding")]
    Encoding,
    /// An encoded character whose meaning would depend on who decodes it.
    #[error("the path encodes a character that must not be encoded")]
    EncodedDelimiter,
    /// `.` or `..`
    #[error("the path holds a dot segment")]
    DotSegment,
    /// `//`
    #[error("the path holds an empty segment")]
    EmptySegment,
}

impl RequestPath {
    /// Parses the request target as the proxy shows it: path and, after `?`, the query.
    ///
    /// # Errors
    /// See [`PathRefusal`]; any of them is answered with 400 `path_refused`.
    pub fn parse(target: &str) -> Result<Self, PathRefusal> {
        if target.len() > MAX_BYTES {
            return Err(PathRefusal::TooLong);
        }
        let (raw, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        if raw.len() > MAX_PATH_BYTES {
            return Err(PathRefusal::TooLong);
        }
        let rest = raw.strip_prefix('/').ok_or(PathRefusal::NotAbsolute)?;
        if query.as_deref().is_some_and(|query| query.contains('#')) {
            return Err(PathRefusal::Character);
        }
        let mut segments = Vec::new();
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            // An empty last segment is a trailing slash, which is kept: `/a` and `/a/` differ.
            if part.is_empty() && (parts.peek().is_some()) {
                return Err(PathRefusal::EmptySegment);
            }
            if segments.len() == MAX_SEGMENTS {
                return Err(PathRefusal::TooLong);
            }
            segments.push(decode_segment(part)?);
        }
        Ok(Self { raw: raw.to_owned(), segments, query })
    }

    /// The path as sent, without the query.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The decoded segments; the last one is empty where the path ends in a slash.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Whether the query names a parameter, in any encoding of its name.
    #[must_use]
    pub fn query_names(&self, parameter: &str) -> bool {
        let Some(query) = &self.query else { return false };
        query.split(['&', ';']).any(|pair| {
            let name = pair.split('=').next().unwrap_or(pair);
            decode_lossy(name).eq_ignore_ascii_case(parameter)
        })
    }
}

/// The values of a query's parameter, as sent. The name is compared once it is decoded, in its own case.
pub fn query_values<'a>(target: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (!pair.is_empty() && decode_lossy(key) == name).then_some(value)
    })
}

fn decode_segment(part: &str) -> Result<String, PathRefusal> {
    let mut decoded = Vec::with_capacity(part.len());
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => decoded.push(decode_byte(bytes.next(), bytes.next())?),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => decoded.push(byte),
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b','
            | b'=' => {
                decoded.push(byte);
            }
            b':' | b'@' => decoded.push(byte),
            _ => return Err(PathRefusal::Character),
        }
    }
    let text = String::from_utf8(decoded).map_err(|_not_utf8| PathRefusal::Encoding)?;
    if text == "." || text == ".." {
        return Err(PathRefusal::DotSegment);
    }
    if text.chars().any(char::is_control) {
        return Err(PathRefusal::EncodedDelimiter);
    }
    Ok(text)
}

/// Decodes `%xy`, and refuses what no honest client encodes or what a second decoding would change:
/// unreserved characters, slashes, semicolons, percent signs, question marks and hashes.
fn decode_byte(high: Option<u8>, low: Option<u8>) -> Result<u8, PathRefusal> {
    let byte = high.and_then(hex).zip(low.and_then(hex)).map(|(high, low)| (high << 4) | low);
    match byte.ok_or(PathRefusal::Encoding)? {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            Err(PathRefusal::EncodedDelimiter)
        }
        b'/' | b'\\' | b';' | b'%' | b'?' | b'#' => Err(PathRefusal::EncodedDelimiter),
        byte => Ok(byte),
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Decodes a query name for comparison only: what is not an encoding stays as it is.
fn decode_lossy(name: &str) -> String {
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let pair = tail.first().copied().and_then(hex).zip(tail.get(1).copied().and_then(hex));
        match (first, pair) {
            (b'%', Some((high, low))) => {
                decoded.push((high << 4) | low);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                decoded.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use exequatur_token::{Origin, TargetUri};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever path is accepted can be named by a proof: the two parsers agree.
        #[test]
        fn every_accepted_path_makes_a_target(path in "/([a-zA-Z0-9._~!$&'()*+,=:@/-]|%[0-9a-fA-F]{2}){0,3071}") {
            if let Ok(parsed) = RequestPath::parse(&path) {
                let origin = Origin::parse("https://api.example.com:8443").unwrap();
                prop_assert!(TargetUri::new(&origin, parsed.raw()).is_ok());
            }
        }
    }

    #[test]
    fn paths_with_one_reading_are_parsed() {
        let cases: &[(&str, &[&str])] = &[
            ("/", &[""]),
            ("/a", &["a"]),
            ("/a/", &["a", ""]),
            ("/a/b?c=d", &["a", "b"]),
            ("/a%20b", &["a b"]),
            ("/caf%C3%A9", &["café"]),
            ("/tenants/acme/documents/1:2@3", &["tenants", "acme", "documents", "1:2@3"]),
            ("/ADMIN", &["ADMIN"]),
        ];
        for (target, segments) in cases {
            assert_eq!(RequestPath::parse(target).unwrap().segments(), *segments, "{target}");
        }
    }

    /// B-01, B-02: the spellings that a proxy, this service and an upstream may read differently.
    #[test]
    fn paths_with_two_readings_are_refused() {
        let cases = [
            ("", PathRefusal::NotAbsolute),
            ("*", PathRefusal::NotAbsolute),
            ("http://h/p", PathRefusal::NotAbsolute),
            ("//a", PathRefusal::EmptySegment),
            ("/a//b", PathRefusal::EmptySegment),
            ("/pub/../admin", PathRefusal::DotSegment),
            ("/./a", PathRefusal::DotSegment),
            ("/%2e%2e/admin", PathRefusal::EncodedDelimiter),
            ("/%2E./admin", PathRefusal::EncodedDelimiter),
            ("/..%2fadmin", PathRefusal::EncodedDelimiter),
            ("/a%2Fb", PathRefusal::EncodedDelimiter),
            ("/a%5cb", PathRefusal::EncodedDelimiter),
            ("/a\\b", PathRefusal::Character),
            ("/a;x=1/b", PathRefusal::Character),
            ("/..;/admin", PathRefusal::Character),
            ("/a%3bx", PathRefusal::EncodedDelimiter),
            ("/a%00", PathRefusal::EncodedDelimiter),
            ("/a%0d%0a", PathRefusal::EncodedDelimiter),
            ("/%61dmin", PathRefusal::EncodedDelimiter),
            ("/a%252fb", PathRefusal::EncodedDelimiter),
            ("/admin%23x", PathRefusal::EncodedDelimiter),
            ("/admin%3fx", PathRefusal::EncodedDelimiter),
            ("/a#b", PathRefusal::Character),
            ("/a?b#c", PathRefusal::Character),
            ("/a%", PathRefusal::Encoding),
            ("/a%2", PathRefusal::Encoding),
            ("/a%zz", PathRefusal::Encoding),
            ("/a%ff", PathRefusal::Encoding),
            ("/a b", PathRefusal::Character),
            ("/é", PathRefusal::Character),
            ("/a\u{0}", PathRefusal::Character),
            ("/{id}", PathRefusal::Character),
        ];
        for (target, refusal) in cases {
            assert_eq!(RequestPath::parse(target), Err(refusal), "{target:?}");
        }
        let long = format!("/{}", "a".repeat(MAX_PATH_BYTES));
        assert_eq!(RequestPath::parse(&long), Err(PathRefusal::TooLong));
        let long = format!("/?{}", "a".repeat(MAX_BYTES));
        assert_eq!(RequestPath::parse(&long), Err(PathRefusal::TooLong));
        assert_eq!(RequestPath::parse(&"/a".repeat(MAX_SEGMENTS + 1)), Err(PathRefusal::TooLong));
    }

    #[test]
    fn values_of_a_query_are_as_sent() {
        let values = |target: &'static str| query_values(target, "a").collect::<Vec<_>>();
        assert_eq!(values("/p?a=1&b=2&%61=3%20x&a&A=4&aa=5&a=x=y"), ["1", "3%20x", "", "x=y"]);
        for target in ["/a", "/p?", "/p?&&", "/a=1", "/p?b=a"] {
            assert_eq!(values(target), Vec::<&str>::new(), "{target}");
        }
    }

    /// E04: a token in the query is found in each spelling of the name.
    #[test]
    fn query_names_are_found_in_any_encoding() {
        for target in [
            "/a?access_token=x",
            "/a?b=c&access_token",
            "/a?access%5Ftoken=x",
            "/a?ACCESS_TOKEN=x",
            "/a?b;access_token=x",
        ] {
            assert!(RequestPath::parse(target).unwrap().query_names("access_token"), "{target}");
        }
        for target in ["/a", "/a?", "/a?token=x", "/a?x=access_token", "/access_token"] {
            assert!(!RequestPath::parse(target).unwrap().query_names("access_token"), "{target}");
        }
    }
}
