use axum::http::HeaderValue;

use super::*;

fn arrival(encrypted: bool) -> Arrival {
    Arrival { peer: ([127, 0, 0, 1], 1).into(), encrypted, certificate: None }
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

/// E-08
#[test]
fn what_comes_from_elsewhere_than_an_operators_program_is_not_heard() {
    for (fields, plain, encrypted) in [
        (&[("host", "127.0.0.1:9194")][..], Ok(()), Ok(())),
        (&[("host", "127.9.9.9")], Ok(()), Ok(())),
        (&[("host", "LocalHost:1")], Ok(()), Ok(())),
        (&[("host", "[::1]:1")], Ok(()), Ok(())),
        (&[("host", "[::ffff:127.0.0.1]:1")], Err(NotLetIn::Host), Ok(())),
        (&[("host", "localhost.example")], Err(NotLetIn::Host), Ok(())),
        (&[("host", "example.com:80")], Err(NotLetIn::Host), Ok(())),
        (&[("host", "0.0.0.0:1")], Err(NotLetIn::Host), Ok(())),
        (&[("host", "")], Err(NotLetIn::Host), Ok(())),
        (&[], Err(NotLetIn::Host), Ok(())),
        (&[("host", "localhost"), ("host", "localhost")], Err(NotLetIn::Host), Ok(())),
        (&[("host", "localhost"), ("origin", "null")], Err(NotLetIn::Origin), Err(NotLetIn::Origin)),
        (&[("host", "localhost"), ("sec-fetch-site", "none")], Err(NotLetIn::Origin), Err(NotLetIn::Origin)),
        (&[("host", "localhost"), ("exequatur-as", "a")], Err(NotLetIn::As), Err(NotLetIn::As)),
    ] {
        let headers = headers(fields);
        assert_eq!(check_provenance(&headers, &arrival(false)), plain, "{fields:?}");
        assert_eq!(check_provenance(&headers, &arrival(true)), encrypted, "{fields:?}");
    }
}

#[test]
fn a_network_of_ipv6_is_one_source() {
    let key = |address: &str| key_of(address.parse().unwrap());
    assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
    assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
    assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
    assert_eq!(key("10.0.0.1"), key("::ffff:10.0.0.1"));
    assert_ne!(key("10.0.0.1"), key("0a00:1::"));
}
