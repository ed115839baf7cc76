//! `NumericDate` (RFC 7519 §2): seconds since 1970, whole or fractional.

use jiff::{SignedDuration, Timestamp};

use crate::json::Value;

/// Why a value is no `NumericDate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumericDateError {
    /// Not a JSON number.
    #[error("not a number")]
    NotANumber,
    /// Negative, infinite, or after the year 9999.
    #[error("out of range")]
    OutOfRange,
}

/// The instant that a `NumericDate` names.
///
/// # Errors
/// [`NumericDateError`]
pub fn numeric_date(value: &Value) -> Result<Timestamp, NumericDateError> {
    let number = value.as_number().ok_or(NumericDateError::NotANumber)?;
    if number.as_str().starts_with('-') {
        return Err(NumericDateError::OutOfRange);
    }
    // Whole seconds stay exact; a double would round large ones.
    let date = match number.as_i64() {
        Some(seconds) => Timestamp::from_second(seconds),
        None => number
            .as_f64()
            .ok_or(NumericDateError::OutOfRange)
            .map(SignedDuration::try_from_secs_f64)?
            .and_then(Timestamp::from_duration),
    };
    date.or(Err(NumericDateError::OutOfRange))
}

#[cfg(test)]
mod tests;
