use super::*;

/// J18: https, or a host that is this machine.
#[test]
fn documents_come_over_https_or_from_this_machine() {
    use AddressProblem::{Insecure, Malformed};
    let cases = [
        ("https://sts.example.com/jwks", None),
        ("https://sts.example.com:8443/jwks?tenant=a", None),
        ("http://127.0.0.1:8080/jwks", None),
        ("http://127.9.9.9/jwks", None),
        ("http://[::1]:8080/jwks", None),
        ("http://localhost:8080/jwks", None),
        ("http://LOCALHOST/jwks", None),
        ("http://2130706433/jwks", None), // another spelling of 127.0.0.1, which the URL standard resolves
        ("http://sts.example.com/jwks", Some(Insecure)),
        ("http://localhost.example.com/jwks", Some(Insecure)),
        ("http://127.0.0.1.example.com/jwks", Some(Insecure)),
        ("http://169.254.169.254/jwks", Some(Insecure)),
        ("http://0.0.0.0/jwks", Some(Insecure)),
        ("http://[::ffff:10.0.0.1]/jwks", Some(Insecure)),
        ("file:///etc/jwks", Some(Insecure)),
        ("ftp://sts.example.com/jwks", Some(Insecure)),
        ("data:application/json,{}", Some(Insecure)),
        ("/jwks", Some(Malformed)),
        ("", Some(Malformed)),
        ("https://user@sts.example.com/jwks", Some(Malformed)),
        ("https://:secret@sts.example.com/jwks", Some(Malformed)),
        ("https://sts.example.com/jwks#keys", Some(Malformed)),
        ("http://localhost@sts.example.com/jwks", Some(Malformed)),
        ("https://sts.example.com\\jwks", Some(Malformed)),
        ("https://sts.example.com/jw ks", Some(Malformed)),
        ("https://sts.exam\tple.com/jwks", Some(Malformed)),
        ("https://sts.example.com/jwks\n", Some(Malformed)),
        ("https://st\u{17f}.example.com/jwks", Some(Malformed)),
    ];
    for (url, problem) in cases {
        assert_eq!(parse(url).err(), problem, "{url}");
    }
}

/// G23
#[test]
fn special_addresses_are_not_public() {
    let public =
        ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"];
    for address in public {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
    let special = [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:1.1.1.1",
        "64:ff9b::a9fe:a9fe", // 169.254.169.254
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "4000::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];
    for address in special {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
}

/// G23: judged after the name was resolved.
#[tokio::test]
async fn a_name_of_a_special_address_is_not_resolved() {
    let refused = PublicOnly.resolve("localhost".parse().unwrap()).await.err().unwrap();
    assert!(refused.is::<NotPublic>(), "{refused}");
}
