//! How long the caller of a Check waits for it.

use std::time::Duration;

use tonic::codegen::http::HeaderMap;

/// The most digits that the value may have.
const DIGITS: usize = 8;

/// What `grpc-timeout` says, in the form that the gRPC protocol over HTTP/2 gives it: up to eight digits and a
/// unit. `None` if it is absent or says something else; then only the own deadline counts.
pub(crate) fn patience(fields: &HeaderMap) -> Option<Duration> {
    parse(fields.get("grpc-timeout")?.to_str().ok()?)
}

fn parse(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count.saturating_mul(3600)),
        "M" => Duration::from_secs(count.saturating_mul(60)),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C-24.
    #[test]
    fn the_callers_patience_is_read_in_every_unit() {
        let cases = [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("250m", Duration::from_millis(250)),
            ("99999999u", Duration::from_micros(99_999_999)),
            ("0n", Duration::ZERO),
        ];
        for (value, expected) in cases {
            assert_eq!(parse(value), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_is_not_a_timeout_says_nothing() {
        for value in ["", "m", "1", "1s", "-1m", "+1m", "1.5S", "123456789m", "1 m", "1µ", "m1"] {
            assert_eq!(parse(value), None, "{value}");
        }
    }
}
