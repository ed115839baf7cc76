//! Each refused list differs from the accepted one by one thing.

use miniz_oxide::deflate::compress_to_vec_zlib;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::testing::{
    NOW, TestKey, at, flipped_parts, flipped_text, issuer_key, issuer_keys, key_set, now, object, profile,
    with, without,
};

const URI: &str = "https://sts.example.com/statuslists/1";

fn header() -> Json {
    json!({"typ": "statuslist+jwt", "alg": "ES256", "kid": "k1"})
}

fn claims(bits: u8, lst: &str) -> Json {
    json!({
        "sub": URI,
        "iat": NOW - 10,
        "exp": NOW + 3600,
        "ttl": 600,
        "status_list": {"bits": bits, "lst": lst},
    })
}

/// The claims of a list that is used in most tests: statuses 0, 1, 2 and 3.
fn four() -> Json {
    claims(2, &packed(&[0b11_10_01_00]))
}

fn packed(octets: &[u8]) -> String {
    base64url::encode(&compress_to_vec_zlib(octets, 9))
}

fn verify_within(raw: &str, size: StatusListSize) -> Result<StatusList, StatusListError> {
    StatusList::verify(raw.as_bytes(), &URI.into(), &profile(), &issuer_keys(), size, now())
}

fn verify(raw: &str) -> Result<StatusList, StatusListError> {
    verify_within(raw, StatusListSize::default())
}

fn with_claims(claims: &Json) -> Result<StatusList, StatusListError> {
    verify(&issuer_key().sign(&header(), claims))
}

fn refused(claims: &Json) -> StatusListError {
    with_claims(claims).expect_err("a refusal")
}

fn reference(index: u64) -> StatusReference {
    let status = json!({"status": {"status_list": {"idx": index, "uri": URI}}});
    StatusReference::from_payload(&object(&status)).unwrap().unwrap()
}

fn judge(list: &StatusList, index: u64) -> Result<StatusValid, StatusRefusal> {
    list.judge(&reference(index))
}

/// What is at the places from 0 on, as a number each.
fn statuses(list: &StatusList) -> Vec<u8> {
    (0..).map_while(|index| list.status(index)).collect()
}

// V10: the examples of the draft, read by bit, from the least significant one on.
#[test]
fn v10_examples_of_the_draft() {
    let one = with_claims(&claims(1, "eNrbuRgAAhcBXQ")).unwrap();
    assert_eq!(*one.octets, [0xb9, 0xa3]);
    assert_eq!(statuses(&one), [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]);
    assert_eq!(one.len(), 16);
    let two = with_claims(&claims(2, "eNo76fITAAPfAgc")).unwrap();
    assert_eq!(*two.octets, [0xc9, 0x44, 0xf9]);
    assert_eq!(statuses(&two), [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]);
    let four = with_claims(&claims(4, &packed(&[0x21, 0xf0]))).unwrap();
    assert_eq!(statuses(&four), [1, 2, 0, 15]);
    let eight = with_claims(&claims(8, &packed(&[0, 1, 2, 255]))).unwrap();
    assert_eq!(statuses(&eight), [0, 1, 2, 255]);
}

// V10: 0 alone passes.
#[test]
fn v10_only_valid_passes() {
    let list = with_claims(&four()).unwrap();
    assert_eq!(judge(&list, 0), Ok(StatusValid(())));
    assert_eq!(judge(&list, 1), Err(StatusRefusal::Invalid));
    assert_eq!(judge(&list, 2), Err(StatusRefusal::Suspended));
    assert_eq!(judge(&list, 3), Err(StatusRefusal::Unknown));
    let eight = with_claims(&claims(8, &packed(&[3, 4, 11, 15, 128, 255]))).unwrap();
    for index in 0..6 {
        assert_eq!(judge(&eight, index), Err(StatusRefusal::Unknown), "{index}");
    }
}

// V10: beyond the end there is nothing, however far.
#[test]
fn v10_an_index_outside_of_the_list_is_refused() {
    let list = with_claims(&four()).unwrap();
    for index in [4, 5, 8, 1 << 32, (1 << 34) + 1, u64::MAX] {
        assert_eq!(judge(&list, index), Err(StatusRefusal::OutOfRange), "{index}");
    }
    let empty = with_claims(&claims(1, &packed(&[]))).unwrap();
    assert_eq!((empty.len(), judge(&empty, 0)), (0, Err(StatusRefusal::OutOfRange)));
}

// V10: a list says nothing about tokens of another one.
#[test]
fn v10_the_address_is_exact() {
    let list = with_claims(&four()).unwrap();
    let other = json!({"status": {"status_list": {"idx": 0, "uri": format!("{URI}0")}}});
    let other = StatusReference::from_payload(&object(&other)).unwrap().unwrap();
    assert_eq!(list.judge(&other), Err(StatusRefusal::AnotherList));
    for sub in
        [json!(format!("{URI}/")), json!("https://STS.example.com/statuslists/1"), json!(1), json!(null)]
    {
        assert_eq!(refused(&with(&four(), "sub", sub.clone())), StatusListError::SubjectMismatch, "{sub}");
    }
    assert_eq!(refused(&without(&four(), "sub")), StatusListError::ClaimMissing(Claim::Sub));
}

#[test]
fn v10_an_issuer_that_is_named_is_the_issuer() {
    assert!(with_claims(&with(&four(), "iss", json!("https://sts.example.com"))).is_ok());
    for iss in [json!("https://sts.example.com/"), json!("corp"), json!(1), json!(null)] {
        assert_eq!(refused(&with(&four(), "iss", iss.clone())), StatusListError::IssuerMismatch, "{iss}");
    }
}

// V10: nothing else that the issuer signs is a list.
#[test]
fn v10_the_type_is_that_of_a_list() {
    let key = issuer_key();
    for typ in ["statuslist+jwt", "application/statuslist+jwt", "StatusList+JWT"] {
        assert!(verify(&key.sign(&with(&header(), "typ", json!(typ)), &four())).is_ok(), "{typ}");
    }
    for typ in [json!("at+jwt"), json!("JWT"), json!("statuslist+cwt"), json!(""), json!(null), json!(1)] {
        let raw = key.sign(&with(&header(), "typ", typ.clone()), &four());
        assert_eq!(verify(&raw).err(), Some(StatusListError::TypeInvalid), "{typ}");
    }
    let raw = key.sign(&without(&header(), "typ"), &four());
    assert_eq!(verify(&raw).err(), Some(StatusListError::TypeInvalid));
}

// V10: by the issuer's keys and algorithms, and by no other.
#[test]
fn v10_another_signer_is_refused() {
    let raw = TestKey::es256(9).sign(&header(), &four());
    assert_eq!(verify(&raw).err(), Some(StatusListError::SignatureInvalid));
    let raw = issuer_key().sign(&with(&header(), "kid", json!("k2")), &four());
    assert_eq!(verify(&raw).err(), Some(StatusListError::KeyUnknown));
    for alg in ["none", "HS256", "ES256K"] {
        let raw = issuer_key().sign(&with(&header(), "alg", json!(alg)), &four());
        assert_eq!(verify(&raw).err(), Some(StatusListError::AlgNotAllowed), "{alg}");
    }
    let narrow = IssuerProfile { algorithms: vec![crate::Algorithm::EdDsa], ..profile() };
    let raw = issuer_key().sign(&header(), &four());
    let size = StatusListSize::default();
    let refused = StatusList::verify(raw.as_bytes(), &URI.into(), &narrow, &issuer_keys(), size, now());
    assert_eq!(refused.err(), Some(StatusListError::AlgNotAllowed));
}

// V10: `iat` has come, `exp` has not passed, `ttl` is positive.
#[test]
fn v10_dates() {
    use StatusListError::{ClaimInvalid, ClaimMissing, Expired, NotYetValid};
    for (name, value, expected) in [
        ("iat", json!(NOW + 60), None),
        ("iat", json!(NOW + 61), Some(NotYetValid)),
        ("iat", json!("1"), Some(ClaimInvalid(Claim::Iat))),
        ("iat", json!(-1), Some(ClaimInvalid(Claim::Iat))),
        ("exp", json!(NOW - 4), None),
        ("exp", json!(NOW - 5), Some(Expired)),
        ("exp", json!(null), Some(ClaimInvalid(Claim::Exp))),
        ("ttl", json!(1), None),
        ("ttl", json!(0.5), None),
        ("ttl", json!(0), Some(ClaimInvalid(Claim::Ttl))),
        ("ttl", json!(-600), Some(ClaimInvalid(Claim::Ttl))),
        ("ttl", json!("600"), Some(ClaimInvalid(Claim::Ttl))),
        ("ttl", json!(1e300), Some(ClaimInvalid(Claim::Ttl))),
    ] {
        assert_eq!(with_claims(&with(&four(), name, value.clone())).err(), expected, "{name} {value}");
    }
    assert_eq!(refused(&without(&four(), "iat")), ClaimMissing(Claim::Iat));
    for name in ["exp", "ttl"] {
        assert!(with_claims(&without(&four(), name)).is_ok(), "{name}");
    }
}

// V11: `ttl` and `exp` end a list, and what is configured does where they say more or nothing.
#[test]
fn v11_the_end_is_the_first_of_all() {
    let until = |claims: &Json, asked: i64, longest: i64| {
        let list = with_claims(claims).unwrap();
        list.usable_until(at(asked), SignedDuration::from_secs(longest), &profile())
    };
    assert_eq!(until(&four(), 2, 1000), at(602));
    assert_eq!(until(&four(), 2, 100), at(102));
    assert_eq!(until(&without(&four(), "ttl"), 2, 1000), at(1002));
    let short = with(&four(), "exp", json!(NOW + 30));
    // The profile's leeway is 5 seconds.
    assert_eq!(until(&short, 2, 1000), at(35));
    assert_eq!(until(&without(&short, "ttl"), 2, 1000), at(35));
}

#[test]
fn v10_shape_of_the_list() {
    let good = packed(&[0]);
    let list = |bits: Json, lst: Json| with(&four(), "status_list", json!({"bits": bits, "lst": lst}));
    let invalid = StatusListError::ClaimInvalid(Claim::StatusList);
    for bits in [json!(0), json!(3), json!(16), json!(-1), json!(1.0), json!("1"), json!(null)] {
        assert_eq!(refused(&list(bits.clone(), json!(good))), invalid, "{bits}");
    }
    for lst in [json!(1), json!(null), json!([good])] {
        assert_eq!(refused(&list(json!(1), lst.clone())), invalid, "{lst}");
    }
    for shape in [json!(null), json!([]), json!({}), json!({"bits": 1}), json!({"lst": good})] {
        assert_eq!(refused(&with(&four(), "status_list", shape.clone())), invalid, "{shape}");
    }
    let missing = StatusListError::ClaimMissing(Claim::StatusList);
    assert_eq!(refused(&without(&four(), "status_list")), missing);
    // Names that are not known are left alone.
    let more = json!({"bits": 1, "lst": good, "aggregation_uri": "https://sts.example.com/all"});
    assert!(with_claims(&with(&four(), "status_list", more)).is_ok());
}

// V10: zlib, whole, with its checksum.
#[test]
fn v10_what_does_not_inflate_is_refused() {
    let whole = compress_to_vec_zlib(&[0; 100], 9);
    let mut broken = whole.clone();
    *broken.last_mut().unwrap() ^= 1;
    let raw_deflate = miniz_oxide::deflate::compress_to_vec(&[0; 100], 9);
    let cut = &whole[..whole.len() - 1];
    for packed in [&broken, &raw_deflate, cut, &[][..], b"garbage"] {
        let claims = claims(1, &base64url::encode(packed));
        assert_eq!(refused(&claims), StatusListError::NotZlib, "{packed:?}");
    }
    for text in ["eNrbuRgAAhcBXQ==", "eNrbuRgAAhcBX", "eNrb uRgAAhcBXQ", "+NrbuRgAAhcBXQ", ""] {
        assert_eq!(refused(&claims(1, text)), StatusListError::NotZlib, "{text}");
    }
}

// V10: a few octets that become gigabytes do not.
#[test]
fn v10_a_bomb_does_not_go_off() {
    let size = StatusListSize::new(4096).unwrap();
    let of = |octets: usize| {
        let claims = claims(1, &packed(&vec![0; octets]));
        verify_within(&issuer_key().sign(&header(), &claims), size)
    };
    assert_eq!(of(4096).unwrap().len(), 8 * 4096);
    assert_eq!(of(4097).err(), Some(StatusListError::ListTooLarge));
    assert_eq!(of(10_000_000).err(), Some(StatusListError::ListTooLarge));
}

// The largest list fits into its document, however little it could be packed.
#[test]
fn v10_the_bound_of_the_document_is_that_of_the_list() {
    let size = StatusListSize::new(4096).unwrap();
    let octets: Vec<u8> = (0..4096_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let stored = base64url::encode(&compress_to_vec_zlib(&octets, 0));
    let raw = issuer_key().sign(&header(), &claims(8, &stored));
    assert_eq!(*verify_within(&raw, size).unwrap().octets, *octets);
    let long = with(&claims(8, &stored), "more", json!("x".repeat(size.document_bytes())));
    let raw = issuer_key().sign(&header(), &long);
    assert_eq!(verify_within(&raw, size).err(), Some(StatusListError::TooLarge));
    let size = StatusListSize::new(1024).unwrap();
    assert_eq!(StatusListSize::new(1023), None);
    assert_eq!(StatusListSize::new(16 * 1024 * 1024 + 1), None);
    assert!(size.document_bytes() < StatusListSize::default().document_bytes());
}

// G17: a key that was withdrawn takes its lists with it; another beside it does not.
#[test]
fn g17_a_list_is_its_keys() {
    let list = with_claims(&four()).unwrap();
    let (ours, other) = (issuer_key(), TestKey::es256(9));
    assert!(list.is_signed_by(&issuer_keys()));
    assert!(list.is_signed_by(&key_set(&[other.named("k0"), ours.named("renamed")])));
    assert!(!list.is_signed_by(&key_set(&[other.named("k1")])));
}

#[test]
fn a_list_that_is_served_again_is_known() {
    let issued = |iat: i64| with_claims(&with(&four(), "iat", json!(NOW + iat))).unwrap();
    assert!(issued(-100).is_superseded_by(&issued(-39)));
    assert!(!issued(-100).is_superseded_by(&issued(-40)));
    assert!(!issued(-100).is_superseded_by(&issued(-200)));
}

// A-02, G25: every bit, of the text and of what it encodes.
#[test]
fn no_bit_of_a_list_can_be_flipped() {
    let (profile, keys, uri) = (profile(), key_set(&[issuer_key().named("k1")]), URI.into());
    let good = issuer_key().sign(&header(), &four());
    let verify = |raw: &str| {
        StatusList::verify(raw.as_bytes(), &uri, &profile, &keys, StatusListSize::default(), now())
    };
    assert!(verify(&good).is_ok());
    for changed in flipped_text(&good).chain(flipped_parts(&good, &[0, 1, 2])) {
        assert!(verify(&changed).is_err(), "{changed}");
    }
    // A document that ends in a line break is the same document.
    assert!(verify(&format!("{good}\n")).is_ok());
}

mod claim {
    use super::*;
    use crate::status::StatusClaimError;

    fn read(status: &Json) -> Result<Option<StatusReference>, StatusClaimError> {
        StatusReference::from_payload(&object(&json!({ "status": status })))
    }

    // V10: types and ranges are exact.
    #[test]
    fn v10_a_reference_is_read_strictly() {
        assert_eq!(StatusReference::from_payload(&object(&json!({}))), Ok(None));
        let good = json!({"status_list": {"idx": 7, "uri": URI}});
        let read_good = read(&good).unwrap().unwrap();
        assert_eq!((read_good.index(), &**read_good.uri()), (7, URI));
        let list = |idx: Json, uri: Json| json!({"status_list": {"idx": idx, "uri": uri}});
        for idx in [json!(0), json!(u64::MAX)] {
            assert!(read(&list(idx.clone(), json!(URI))).is_ok(), "{idx}");
        }
        let malformed = Err(StatusClaimError::Malformed);
        for idx in [json!(-1), json!(1.0), json!(1.5), json!("1"), json!(null), json!([1]), json!(true)] {
            assert_eq!(read(&list(idx.clone(), json!(URI))), malformed, "{idx}");
        }
        for uri in
            [json!(""), json!(1), json!(null), json!([URI]), json!("https://a/ b"), json!("https://ä/")]
        {
            assert_eq!(read(&list(json!(1), uri.clone())), malformed, "{uri}");
        }
        assert!(read(&list(json!(1), json!("u".repeat(1024)))).is_ok());
        assert_eq!(read(&list(json!(1), json!("u".repeat(1025)))), malformed);
        for status in [
            json!(null),
            json!(1),
            json!("valid"),
            json!([]),
            json!({}),
            json!({"status_list": null}),
            json!({"status_list": []}),
            json!({"status_list": {}}),
            json!({"status_list": {"idx": 1}}),
            json!({"status_list": {"uri": URI}}),
        ] {
            assert_eq!(read(&status), malformed, "{status}");
        }
    }

    // V10: what is asked for in a way that is not understood is not left unasked.
    #[test]
    fn v10_other_mechanisms() {
        for status in [json!({"identifier_list": {}}), json!({"Status_List": {"idx": 1, "uri": URI}})] {
            assert_eq!(read(&status), Err(StatusClaimError::Unsupported), "{status}");
        }
        let both = json!({"identifier_list": {}, "status_list": {"idx": 1, "uri": URI, "more": 1}});
        assert!(read(&both).unwrap().is_some());
    }
}

proptest! {
    // Whatever comes, nothing panics, and nothing that the issuer did not sign is a list.
    #[test]
    fn arbitrary_bytes_are_no_list(raw in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let uri = URI.into();
        let size = StatusListSize::default();
        prop_assert!(StatusList::verify(&raw, &uri, &profile(), &issuer_keys(), size, now()).is_err());
    }

    // Whatever the issuer signs, nothing panics, and only a status of 0 within the list passes.
    #[test]
    fn only_zero_passes(octets in proptest::collection::vec(any::<u8>(), 0..64), bits in 0..4_u32, index in any::<u64>()) {
        let bits = 1 << bits;
        let list = with_claims(&claims(bits, &packed(&octets))).unwrap();
        for index in [index, index % 600] {
            let bit = u128::from(index) * u128::from(bits);
            let octet = usize::try_from(bit / 8).ok().and_then(|octet| octets.get(octet));
            let value = octet.map(|octet| (u16::from(*octet) >> (bit % 8)) & ((1 << bits) - 1));
            prop_assert_eq!(judge(&list, index).is_ok(), value == Some(0));
        }
    }

    // Whatever is packed, it becomes a list within the bound or none.
    #[test]
    fn arbitrary_lists_stay_within_the_bound(packed in proptest::collection::vec(any::<u8>(), 0..512)) {
        let claims = claims(1, &base64url::encode(&[&[0x78, 0xda][..], &packed].concat()));
        let size = StatusListSize::new(1024).unwrap();
        if let Ok(list) = verify_within(&issuer_key().sign(&header(), &claims), size) {
            prop_assert!(list.octets.len() <= 1024);
        }
    }
}
