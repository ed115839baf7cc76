//! Where an issuer's lists may come from, and how they are kept.

use std::str::FromStr;
use std::time::Duration;

use exequatur_token::StatusListSize;
use reqwest::Url;

use crate::address;
use crate::config::ConfigProblem;

/// How an issuer's status lists are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusListConfig {
    /// What the address of a list begins with; one of them.
    pub uris: Vec<ListPrefix>,
    /// How often a list is loaded, give or take a tenth; more often where its `ttl` or `exp` asks for it. By default 5
    /// minutes.
    pub refresh: Duration,
    /// The least time between a load that failed and the next one. By default 5 seconds.
    pub cooldown: Duration,
    /// How long a list is used at most, whatever its `ttl` and `exp` say. By default 1 hour.
    pub max_stale: Duration,
    /// How long a decision waits for a list that is not there. By default 50 milliseconds.
    pub wait: Duration,
    /// Most lists that are kept. By default 16.
    pub max_lists: usize,
    /// The longest list that is kept.
    pub size: StatusListSize,
}

impl StatusListConfig {
    /// Lists from below `uris`, with the default bounds.
    #[must_use]
    pub fn new(uris: Vec<ListPrefix>) -> Self {
        Self {
            uris,
            refresh: Duration::from_secs(300),
            cooldown: Duration::from_secs(5),
            max_stale: Duration::from_secs(3600),
            wait: Duration::from_millis(50),
            max_lists: 16,
            size: StatusListSize::default(),
        }
    }

    /// Everything that is wrong with it; empty if it can be used.
    pub(crate) fn problems(&self) -> Vec<ConfigProblem> {
        let checks = [
            (self.uris.is_empty(), ConfigProblem::NoListPrefix),
            (self.refresh.is_zero(), ConfigProblem::NoListRefresh),
            (self.cooldown.is_zero(), ConfigProblem::NoListCooldown),
            (self.max_stale < self.refresh.saturating_mul(2), ConfigProblem::ListStaleBeforeRefresh),
            (self.max_lists == 0, ConfigProblem::NoRoomForLists),
        ];
        checks.into_iter().filter_map(|(wrong, problem)| wrong.then_some(problem)).collect()
    }

    /// Where the list is that a token calls `uri`, if lists are taken from there.
    pub(crate) fn address(&self, uri: &str) -> Option<Url> {
        let url = usual(uri)?;
        self.uris.iter().any(|prefix| prefix.covers(&url)).then_some(url)
    }
}

/// An https URL that addresses of lists begin with: the same origin, and a path below its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPrefix(Url);

impl ListPrefix {
    /// As configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// By whole segments: below `/lists` is `/lists` and `/lists/1`, not `/lists-of-others`.
    fn covers(&self, url: &Url) -> bool {
        if url.origin() != self.0.origin() {
            return false;
        }
        let rest = url.path().strip_prefix(self.0.path());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.0.path().ends_with('/'))
    }
}

impl FromStr for ListPrefix {
    type Err = ListPrefixProblem;

    fn from_str(text: &str) -> Result<Self, ListPrefixProblem> {
        // An origin is written without the path that it has as a URL.
        let url = usual(text).or_else(|| usual(&format!("{text}/"))).ok_or(ListPrefixProblem)?;
        if url.query().is_some() { Err(ListPrefixProblem) } else { Ok(Self(url)) }
    }
}

/// Not a place that lists come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an https URL in its usual spelling, without query")]
pub struct ListPrefixProblem;

/// An https URL in its one usual spelling: another spelling could be another place to whoever compares texts, and what a
/// server makes of an encoded slash is its own affair.
fn usual(text: &str) -> Option<Url> {
    let url = address::parse(text).ok().filter(|url| url.scheme() == "https")?;
    let path = url.path().to_ascii_lowercase();
    let encoded = ["%2f", "%5c", "%2e"].iter().any(|hidden| path.contains(hidden));
    (url.as_str() == text && !encoded).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(prefixes: &[&str], uri: &str) -> bool {
        let prefixes = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
        StatusListConfig::new(prefixes).address(uri).is_some()
    }

    // V10, G23: a list comes from where the operator says, whatever the token says.
    #[test]
    fn v10_g23_lists_come_from_below_a_prefix() {
        let folder = "https://sts.example.com/lists/";
        for uri in ["https://sts.example.com/lists/1", "https://sts.example.com/lists/a/b", folder] {
            assert!(address(&[folder], uri), "{uri}");
        }
        assert!(address(&[folder], "https://sts.example.com/lists/1?at=2"));
        for uri in [
            "http://sts.example.com/lists/1",
            "https://sts.example.com/lists",
            "https://sts.example.com/",
            "https://sts.example.com/jwks",
            "https://sts.example.com/other/lists/1",
            "https://sts.example.com/lists/../jwks",
            "https://sts.example.com/lists/%2e%2e/jwks",
            "https://sts.example.com/lists/%2E%2e%2fjwks",
            "https://sts.example.com/lists/..%2Fjwks",
            "https://sts.example.com/lists/..%5cjwks",
            "https://sts.example.com/lists/..\\jwks",
            "https://sts.example.com/lists/1#a",
            "https://sts.example.com:8443/lists/1",
            "https://sts.example.com:443/lists/1",
            "https://STS.example.com/lists/1",
            "https://sts.example.com./lists/1",
            "https://sts.example.com.evil.org/lists/1",
            "https://sts.example.com@evil.org/lists/1",
            "https://evil@sts.example.com/lists/1",
            "https://evil.org/https://sts.example.com/lists/1",
            "https://127.0.0.1/lists/1",
            "https://169.254.169.254/lists/1",
            "https://[::1]/lists/1",
            "file:///lists/1",
            "lists/1",
            "//sts.example.com/lists/1",
            "",
        ] {
            assert!(!address(&[folder], uri), "{uri}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        for prefix in ["https://sts.example.com", "https://sts.example.com/"] {
            assert!(address(&[prefix], "https://sts.example.com/lists/1"), "{prefix}");
            assert!(!address(&[prefix], "https://sts.example.org/lists/1"), "{prefix}");
        }
        assert!(address(&["https://a.example/lists"], "https://a.example/lists"));
        assert!(address(&["https://a.example/lists"], "https://a.example/lists/1"));
        assert!(!address(&["https://a.example/lists"], "https://a.example/lists-2/1"));
        assert!(address(&["https://a.example", "https://b.example:8443/x/"], "https://b.example:8443/x/1"));
    }

    #[test]
    fn a_prefix_is_an_https_url() {
        for text in [
            "http://127.0.0.1/lists",
            "http://sts.example.com",
            "https://STS.example.com/",
            "https://sts.example.com:443/",
            "https://sts.example.com/?a",
            "https://sts.example.com/#a",
            "https://a:b@sts.example.com/",
            "https://*.example.com/ /",
            "sts.example.com",
            "https://",
            "",
        ] {
            assert_eq!(text.parse::<ListPrefix>(), Err(ListPrefixProblem), "{text}");
        }
    }
}
