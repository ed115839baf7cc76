//! `RateLimit-Policy`, `RateLimit` and `Retry-After`: what callers learn of their limits (L01, L02).
//!
//! By draft-ietf-httpapi-ratelimit-headers: lists of structured fields (RFC 9651) whose items are the names of limits.
//! Names are from the configuration; nothing tells whom a limit counts.

use std::fmt::Write as _;
use std::time::Duration;

use exequatur_decide::LimitStanding;
use exequatur_proto::envoy::config::core::v3::HeaderValueOption;

use super::headers::overwrite;

/// The fields of a permit: each limit, what is left of it, and in how many seconds all of it is there again.
pub(super) fn of_permit(limits: &[LimitStanding]) -> Vec<HeaderValueOption> {
    let states = limits.iter().map(|limit| (limit, limit.standing.reset));
    fields(limits, &list(states))
}

/// The fields of a refusal: the limits that had no room, and in how many seconds this very request would find some.
/// The others say nothing of when to come back.
pub(super) fn of_refusal(limits: &[LimitStanding]) -> Vec<HeaderValueOption> {
    let violated = limits.iter().filter_map(|limit| limit.standing.wait.map(|wait| (limit, wait)));
    fields(limits, &list(violated))
}

/// `Retry-After` is never before any of the times that `RateLimit` names, and never 0.
pub(super) fn retry_after(limits: &[LimitStanding]) -> u64 {
    limits.iter().filter_map(|limit| limit.standing.wait).map(seconds).max().unwrap_or(1).max(1)
}

/// The names of the limits that had no room (L03).
pub(super) fn violated(limits: &[LimitStanding]) -> Vec<&str> {
    limits.iter().filter(|limit| limit.standing.wait.is_some()).map(|limit| limit.name.as_str()).collect()
}

/// Whole seconds, rounded up.
pub(super) fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

fn fields(limits: &[LimitStanding], states: &str) -> Vec<HeaderValueOption> {
    if limits.is_empty() {
        return Vec::new();
    }
    let mut policies = String::new();
    for limit in limits {
        let (most, window) = (limit.standing.most, seconds(limit.standing.window).max(1));
        append(&mut policies, &format!("\"{}\";q={most};w={window}", limit.name));
    }
    vec![overwrite("ratelimit-policy", policies), overwrite("ratelimit", states.to_owned())]
}

fn list<'a>(states: impl Iterator<Item = (&'a LimitStanding, Duration)>) -> String {
    let mut text = String::new();
    for (limit, time) in states {
        append(&mut text, &format!("\"{}\";r={};t={}", limit.name, limit.standing.remaining, seconds(time)));
    }
    text
}

fn append(list: &mut String, item: &str) {
    let separator = if list.is_empty() { "" } else { ", " };
    // Writing into a text cannot fail.
    if write!(list, "{separator}{item}").is_err() {
        list.clear();
    }
}

#[cfg(test)]
mod tests {
    use exequatur_store::Standing;

    use super::*;

    fn limit(name: &str, remaining: u64, reset: Duration, wait: Option<Duration>) -> LimitStanding {
        let window = Duration::from_millis(2_000);
        LimitStanding {
            name: name.to_owned(),
            standing: Standing { most: 200, window, remaining, reset, wait },
        }
    }

    fn values(fields: &[HeaderValueOption]) -> Vec<(&str, &str)> {
        let headers = fields.iter().map(|option| option.header.as_ref().unwrap());
        headers.map(|header| (header.key.as_str(), header.value.as_str())).collect()
    }

    /// L02: both are lists of strings with whole numbers.
    #[test]
    fn a_permit_says_what_is_left() {
        let limits = [
            limit("agent-burst", 199, Duration::from_millis(10), None),
            limit("tenant.day_1", 0, Duration::from_secs(86_400), None),
        ];
        assert_eq!(
            values(&of_permit(&limits)),
            [
                ("ratelimit-policy", "\"agent-burst\";q=200;w=2, \"tenant.day_1\";q=200;w=2"),
                ("ratelimit", "\"agent-burst\";r=199;t=1, \"tenant.day_1\";r=0;t=86400"),
            ]
        );
        assert!(of_permit(&[]).is_empty(), "nothing is said where nothing is limited");
    }

    /// L01, L02: who waits as long as `Retry-After` says has waited as long as `RateLimit` says.
    #[test]
    fn a_refusal_says_when_to_come_back() {
        let limits = [
            limit("a", 0, Duration::from_secs(9), Some(Duration::from_millis(1_001))),
            limit("b", 5, Duration::from_secs(80_000), None),
            limit("c", 3, Duration::from_secs(9), Some(Duration::from_micros(1))),
        ];
        let fields = of_refusal(&limits);
        assert_eq!(values(&fields)[1], ("ratelimit", "\"a\";r=0;t=2, \"c\";r=3;t=1"));
        assert_eq!(retry_after(&limits), 2);
        assert_eq!(violated(&limits), ["a", "c"]);
        assert_eq!(retry_after(&limits[2..]), 1);
        assert_eq!(retry_after(&[]), 1);
    }
}
