//! From when to when a certificate is valid. No more of it is read here: whether it holds is for those who make handshakes.

use jiff::Timestamp;
use jiff::civil::Date;

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Its first second.
    pub from: Timestamp,
    /// Its last one.
    pub until: Timestamp,
}

impl Validity {
    /// Of each certificate of a PEM text; `None` for one that cannot be read.
    pub fn of_each(pem: &str) -> impl Iterator<Item = Option<Self>> {
        certificates(pem).map(|der| Self::of(&der?))
    }

    /// Of a certificate in DER; `None` if it cannot be read.
    #[must_use]
    pub fn of(der: &[u8]) -> Option<Self> {
        validity(der)
    }
}

/// The blocks of a PEM text; `None` for one that is no base64.
fn certificates(pem: &str) -> impl Iterator<Item = Option<Vec<u8>>> {
    use base64::Engine as _;
    pem.split("-----BEGIN CERTIFICATE-----").skip(1).map(|rest| {
        let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
        let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
        base64::prelude::BASE64_STANDARD.decode(body).ok()
    })
}

/// One value of DER: its tag, what is in it, and what comes after it.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short @ 0..=127 => (short, rest),
        // At most what a file can hold.
        long @ 0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(long - 0x80)?;
            (length.iter().fold(0_usize, |length, octet| (length << 8) | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    let (inner, after) = rest.split_at_checked(length)?;
    Some((*tag, inner, after))
}

/// RFC 5280 §4.1: `Certificate { TBSCertificate { [0] version, serial, signature, issuer, validity { from, until }, … } … }`.
fn validity(der: &[u8]) -> Option<Validity> {
    let (_, certificate, _) = value(der).filter(|(tag, _, _)| *tag == 0x30)?;
    let (_, mut rest, _) = value(certificate).filter(|(tag, _, _)| *tag == 0x30)?;
    let (tag, _, after) = value(rest)?;
    if tag == 0xa0 {
        rest = after;
    }
    for _serial_signature_issuer in 0..3 {
        (_, _, rest) = value(rest)?;
    }
    let (_, both, _) = value(rest).filter(|(tag, _, _)| *tag == 0x30)?;
    let (kind, from, both) = value(both)?;
    let from = time(kind, from)?;
    let (kind, until, _) = value(both)?;
    Some(Validity { from, until: time(kind, until)? })
}

/// RFC 5280 §4.1.2.5: `YYMMDDHHMMSSZ` until 2049, `YYYYMMDDHHMMSSZ` from then on.
fn time(kind: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match kind {
        0x17 => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        0x18 => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let mut numbers = [0_i8; 5];
    let mut rest = rest;
    for number in &mut numbers {
        let (digits, after) = rest.split_at_checked(2)?;
        (*number, rest) = (digits.parse().ok()?, after);
    }
    let [month, day, hour, minute, second] = numbers;
    let at =
        Date::new(year, month, day).ok()?.to_datetime(jiff::civil::Time::new(hour, minute, second, 0).ok()?);
    jiff::tz::TimeZone::UTC.to_timestamp(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both forms of a time: rcgen writes the one up to 2049, and the other after.
    #[test]
    fn the_validity_of_a_certificate_is_read() {
        for (from, until) in [(2020, 2049), (2049, 2050), (1999, 4096)] {
            let mut parameters = rcgen::CertificateParams::new(vec!["a.example.com".to_owned()]).unwrap();
            parameters.not_before = rcgen::date_time_ymd(from, 1, 2);
            parameters.not_after = rcgen::date_time_ymd(until, 12, 31);
            let made = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            let found = validity(made.der()).unwrap();
            assert_eq!(found.from.to_string(), format!("{from}-01-02T00:00:00Z"));
            assert_eq!(found.until.to_string(), format!("{until}-12-31T00:00:00Z"));
            let pem = made.pem();
            assert_eq!(certificates(&pem).map(|der| validity(&der?)).collect::<Vec<_>>(), [Some(found)]);
            for cut in 0..made.der().len() {
                assert_eq!(validity(&made.der()[..cut]), None, "{cut}");
            }
        }
    }
}
