//! The target of a request as a proof names it (`htu`), normalised so that it can be compared (RFC 9449
//! §4.3, RFC 3986 §6.2.2 and §6.2.3).
//!
//! Stricter than RFC 3986: dot segments, user information, backslashes, spaces and everything outside ASCII
//! are refused, not resolved (D12). Reserved characters are never decoded, slashes never merged.

use std::fmt;

/// Longest URI that is read.
const MAX_URI_BYTES: usize = 4096;

/// A scheme, host and port, normalised: lower case, without default port and without a trailing dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    text: String,
}

impl Origin {
    /// Reads `http://host` or `https://host`, with or without port; no path, not even `/`.
    ///
    /// # Errors
    /// [`HtuError`]
    pub fn parse(text: &str) -> Result<Self, HtuError> {
        let (origin, rest) = Self::split(text)?;
        if rest.is_empty() { Ok(origin) } else { Err(HtuError::NotAnOrigin) }
    }

    /// The normalised form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The origin that `text` begins with, and what follows it.
    fn split(text: &str) -> Result<(Self, &str), HtuError> {
        if text.len() > MAX_URI_BYTES {
            return Err(HtuError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(HtuError::Scheme)?;
        let (scheme, default_port) = if scheme.eq_ignore_ascii_case("https") {
            ("https", 443)
        } else if scheme.eq_ignore_ascii_case("http") {
            ("http", 80)
        } else {
            return Err(HtuError::Scheme);
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end).ok_or(HtuError::Host)?;
        if authority.contains('@') {
            return Err(HtuError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let host = normal_host(host)?;
        let text = match port {
            Some(port) if port != default_port => format!("{scheme}://{host}:{port}"),
            Some(_) | None => format!("{scheme}://{host}"),
        };
        Ok((Self { text }, rest))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A normalised target: origin and path, without query and fragment. Two are the same target exactly if
/// they are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetUri {
    text: String,
}

impl TargetUri {
    /// The target of a request for `path` at `origin`. A query or fragment in `path` is ignored (D11).
    ///
    /// # Errors
    /// [`HtuError`], if the path is not one that a proof could name.
    pub fn new(origin: &Origin, path: &str) -> Result<Self, HtuError> {
        if path.len() > MAX_URI_BYTES {
            return Err(HtuError::TooLong);
        }
        let mut text = origin.text.clone();
        push_path(&mut text, path)?;
        Ok(Self { text })
    }

    /// Reads an `htu` claim.
    ///
    /// # Errors
    /// [`HtuError`], for anything but an absolute http or https URI in the strict form above.
    pub fn parse_claim(htu: &str) -> Result<Self, HtuError> {
        let (origin, path) = Origin::split(htu)?;
        Self::new(&origin, path)
    }

    /// The normalised form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for TargetUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), HtuError> {
    // A colon inside brackets is the address's.
    let after_host = authority.rfind(']').unwrap_or(0);
    let colon = authority.rfind(':').filter(|colon| *colon >= after_host);
    let Some((host, port)) = colon.and_then(|colon| authority.split_at_checked(colon)) else {
        return Ok((authority, None));
    };
    let digits = port.strip_prefix(':').ok_or(HtuError::Port)?;
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(HtuError::Port);
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(HtuError::Port),
        Ok(port) => Ok((host, Some(port))),
    }
}

fn normal_host(host: &str) -> Result<String, HtuError> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').ok_or(HtuError::Host)?;
        let address: std::net::Ipv6Addr = address.parse().or(Err(HtuError::Host))?;
        return Ok(format!("[{address}]"));
    }
    // The root's dot names the same host (G33).
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
    };
    if host.split('.').all(is_label) { Ok(host.to_ascii_lowercase()) } else { Err(HtuError::Host) }
}

/// Appends the normalised path: an empty one is `/`, escapes in upper case, escaped unreserved characters
/// decoded.
fn push_path(text: &mut String, path: &str) -> Result<(), HtuError> {
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let (path, _) = path.split_at_checked(end).ok_or(HtuError::Character)?;
    let Some(segments) = path.strip_prefix('/') else {
        if path.is_empty() {
            text.push('/');
            return Ok(());
        }
        return Err(HtuError::RelativePath);
    };
    for segment in segments.split('/') {
        let segment = normal_segment(segment)?;
        if segment == "." || segment == ".." {
            return Err(HtuError::DotSegment);
        }
        text.push('/');
        text.push_str(&segment);
    }
    Ok(())
}

fn normal_segment(segment: &str) -> Result<String, HtuError> {
    let mut normal = String::with_capacity(segment.len());
    let mut rest = segment.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            if !is_path_character(c) {
                return Err(HtuError::Character);
            }
            normal.push(c);
            continue;
        }
        let (digits, tail) = rest.as_str().split_at_checked(2).ok_or(HtuError::Escape)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(HtuError::Escape);
        }
        let decoded = char::from(u8::from_str_radix(digits, 16).or(Err(HtuError::Escape))?);
        if is_unreserved(decoded) {
            normal.push(decoded);
        } else {
            normal.push('%');
            normal.push_str(&digits.to_ascii_uppercase());
        }
        rest = tail.chars();
    }
    Ok(normal)
}

/// RFC 3986 §2.3.
const fn is_unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~')
}

/// `pchar` of RFC 3986 §3.3, escapes apart.
const fn is_path_character(c: char) -> bool {
    is_unreserved(c)
        || matches!(c, '!' | '$' | '&' | '\'' | '(' | ')' | '*' | '+' | ',' | ';' | '=' | ':' | '@')
}

/// Why a text is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HtuError {
    /// Longer than 4 KiB.
    #[error("uri too long")]
    TooLong,
    /// Not an absolute http or https URI.
    #[error("uri is not http or https")]
    Scheme,
    /// User information before the host.
    #[error("uri has user information")]
    UserInfo,
    /// No host, or not one.
    #[error("uri host malformed")]
    Host,
    /// Not a port.
    #[error("uri port malformed")]
    Port,
    /// More than an origin.
    #[error("an origin has neither path nor query")]
    NotAnOrigin,
    /// A path without leading slash.
    #[error("uri path is relative")]
    RelativePath,
    /// A segment that is `.` or `..`.
    #[error("uri path has dot segments")]
    DotSegment,
    /// A malformed percent escape.
    #[error("uri path has a malformed escape")]
    Escape,
    /// A character that a path cannot hold.
    #[error("uri path has a forbidden character")]
    Character,
}

#[cfg(test)]
mod tests;
