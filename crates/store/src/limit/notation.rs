//! How limits are written: `100/s`, `1000000/day`. The same in configurations, orders and what is kept of these.

use std::fmt;
use std::num::NonZeroU64;

use super::{Limit, Period, Quota, Rate, RatePer};

impl RatePer {
    /// Every one, with its word.
    pub const WORDS: [(&'static str, Self); 3] =
        [("s", Self::Second), ("m", Self::Minute), ("h", Self::Hour)];
}

impl Period {
    /// Every one, with its words; the first of each is how it is shown.
    pub const WORDS: [(&'static str, Self); 8] = [
        ("minute", Self::Minute),
        ("hour", Self::Hour),
        ("day", Self::Day),
        ("month", Self::Month),
        ("1m", Self::Minute),
        ("1h", Self::Hour),
        ("1d", Self::Day),
        ("1mo", Self::Month),
    ];
}

/// What `count/time` says of a rate.
#[must_use]
pub fn parse_rate(text: &str) -> Option<(NonZeroU64, RatePer)> {
    parse(text, &RatePer::WORDS)
}

/// What `units/period` says of a quota.
#[must_use]
pub fn parse_quota(text: &str) -> Option<(NonZeroU64, Period)> {
    parse(text, &Period::WORDS)
}

fn parse<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<(NonZeroU64, T)> {
    let (count, unit) = text.split_once('/')?;
    let digits = !count.starts_with('0') && count.bytes().all(|byte| byte.is_ascii_digit());
    let count = digits.then(|| count.parse::<NonZeroU64>().ok())??;
    words.iter().find(|(word, _)| *word == unit).map(|(_, unit)| (count, *unit))
}

fn word<T: PartialEq + Copy>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, known)| *known == value).map_or("", |(word, _)| word)
}

impl fmt::Display for Rate {
    /// Without its burst.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count(), word(&RatePer::WORDS, self.per()))
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.units(), word(&Period::WORDS, self.period()))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(rate) => write!(f, "{rate}, {} at once", rate.burst()),
            Self::Quota(quota) => write!(f, "{quota}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read() {
        for (text, shown) in [("1/s", "1/s"), ("100/m", "100/m"), ("1000000/h", "1000000/h")] {
            let (count, per) = parse_rate(text).unwrap();
            let count = count.try_into().unwrap();
            assert_eq!(Rate::new(count, per, count).unwrap().to_string(), shown);
        }
        for (text, shown) in
            [("1/minute", "1/minute"), ("7/1h", "7/hour"), ("9/1d", "9/day"), ("2/1mo", "2/month")]
        {
            let (units, period) = parse_quota(text).unwrap();
            assert_eq!(Quota::new(units, period).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn anything_else_is_no_limit() {
        for text in [
            "",
            "/s",
            "0/s",
            "01/s",
            "-1/s",
            "+1/s",
            "1",
            "1/",
            "1/d",
            "1 /s",
            "1.5/s",
            "1/s/s",
            "18446744073709551616/s",
        ] {
            assert_eq!(parse_rate(text), None, "{text}");
        }
        assert_eq!(parse_quota("1/s"), None);
    }
}
