//! `500ms`, `60s`, `15m`, `24h`.

use std::time::Duration;

/// Parses digits and a unit; `None` for anything else.
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok())??;
    match text.strip_prefix(digits)? {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

/// In the largest unit that leaves no remainder.
pub(super) fn format(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.as_millis());
    if millis % 1000 != 0 {
        format!("{millis}ms")
    } else if seconds == 0 || seconds % 60 != 0 {
        format!("{seconds}s")
    } else if seconds % 3600 != 0 {
        format!("{}m", seconds / 60)
    } else {
        format!("{}h", seconds / 3600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_trip() {
        for text in ["0s", "500ms", "60s", "90s", "15m", "24h", "1500ms"] {
            let parsed = parse(text).unwrap();
            assert_eq!(parse(&format(parsed)), Some(parsed), "{text}");
        }
        assert_eq!(format(Duration::from_secs(3600)), "1h");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "+5s",
            "5S",
            "1.5s",
            "5d",
            "5sm",
            "99999999999999999999s",
            "999999999999999999h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
