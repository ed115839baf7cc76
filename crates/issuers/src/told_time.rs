//! What the server of an issuer's documents says the time is: for who compares clocks.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{AGE, DATE, HeaderMap};

use crate::config::{HttpConfig, KeysConfig};
use crate::transport::{Connections, Reach};

/// The time in the `Date` of an answer, by whose clock and cache it may be up to a second earlier than said.
///
/// `None` if keys come from a file, nobody answers, or no time is told.
pub async fn told_time(config: &KeysConfig, http: HttpConfig) -> Option<Timestamp> {
    let url = config.address()?.ok()?;
    let client = config.transport.client(http.timeout, Reach::Anywhere, Connections::Closed).ok()?;
    let answer = tokio::time::timeout(http.timeout, client.get(url).send()).await;
    read(answer.ok()?.ok()?.headers())
}

/// RFC 9110 §6.6.1, and §5.1 of RFC 9111: what a cache kept is as much older as it says.
fn read(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.parse().ok()).unwrap_or_default();
    date.checked_add(SignedDuration::try_from(Duration::from_secs(age)).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_with_its_age() {
        let read = |fields: &[(reqwest::header::HeaderName, &str)]| {
            let fields = fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
            read(&HeaderMap::from_iter(fields)).map(Timestamp::as_second)
        };
        let date = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(read(std::slice::from_ref(&date)), Some(784_111_777));
        assert_eq!(read(&[date, (AGE, "60")]), Some(784_111_837));
        assert_eq!(read(&[(DATE, "yesterday")]), None);
        assert_eq!(read(&[]), None);
    }
}
