use super::*;
use crate::json::{Limits, parse};

fn date(text: &str) -> Result<Timestamp, NumericDateError> {
    numeric_date(&parse(text.as_bytes(), Limits { bytes: 100, depth: 2, members: 2 }).unwrap())
}

//
#[test]
fn a16_finite_non_negative_numbers_only() {
    for text in ["\"9999999999\"", "\"never\"", "null", "true", "[1]", "{}"] {
        assert_eq!(date(text), Err(NumericDateError::NotANumber), "{text}");
    }
    for text in ["-1", "-0", "-0.0", "1e300", "1e400", "1e11000", "9007199254740993", "253402300800", "1e19"]
    {
        assert_eq!(date(text), Err(NumericDateError::OutOfRange), "{text}");
    }
}

#[test]
fn whole_and_fractional_seconds() {
    assert_eq!(date("0"), Ok(Timestamp::UNIX_EPOCH));
    assert_eq!(date("1800000000"), Ok(Timestamp::from_second(1_800_000_000).unwrap()));
    assert_eq!(date("1.8e9"), Ok(Timestamp::from_second(1_800_000_000).unwrap()));
    assert_eq!(date("1800000000.5"), Ok(Timestamp::new(1_800_000_000, 500_000_000).unwrap()));
}

// G13: milliseconds are a date in the far future or none at all.
#[test]
fn g13_milliseconds_are_out_of_range() {
    assert_eq!(date("1800000000000"), Err(NumericDateError::OutOfRange));
}
