//! Signed tokens and proofs for tests. Each is valid; a test then changes one thing.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::EncodingKey;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::EncodePrivateKey as _;
use serde_json::{Value, json};

use crate::{
    Algorithm, ClaimNames, IssuerProfile, KeySet, Origin, PublicKey, TargetUri, TenantScope, TokenDigest,
    UserClaim, base64url,
};

/// The second at which all tests happen.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn now() -> Timestamp {
    at(0)
}

/// [`NOW`] and a fraction, as a client with a fine clock writes it.
pub(crate) fn fractional(seconds: f64) -> Value {
    json!(1_800_000_000.0 + seconds)
}

/// `seconds` after [`NOW`].
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW).unwrap().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

pub(crate) struct TestKey {
    algorithm: Algorithm,
    signer: Signer,
    public: Value,
}

enum Signer {
    Jwt(EncodingKey, jsonwebtoken::Algorithm),
    Rsa(&'static RsaKeyPair, &'static dyn RsaEncoding),
}

/// Two RSA keys of 2048 bits; making one takes long.
static RSA: [LazyLock<RsaKeyPair>; 2] = [const { LazyLock::new(new_rsa) }; 2];

fn new_rsa() -> RsaKeyPair {
    RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap()
}

impl TestKey {
    /// A P-256 key; another for each seed.
    pub(crate) fn es256(seed: u8) -> Self {
        let secret = p256::SecretKey::from_slice(&[seed; 32]).unwrap();
        let point = secret.public_key().to_sec1_point(false);
        let [x, y] = [point.x().unwrap(), point.y().unwrap()].map(|c| base64url::encode(c));
        let encoding = EncodingKey::from_ec_der(secret.to_pkcs8_der().unwrap().as_bytes());
        Self {
            algorithm: Algorithm::Es256,
            signer: Signer::Jwt(encoding, jsonwebtoken::Algorithm::ES256),
            public: json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}),
        }
    }

    /// A new P-384 key.
    pub(crate) fn es384() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let encoding = EncodingKey::from_ec_der(key.to_pkcs8v1().unwrap().as_ref());
        let point = key.public_key().as_ref();
        let [x, y] = [&point[1..49], &point[49..]].map(base64url::encode);
        Self {
            algorithm: Algorithm::Es384,
            signer: Signer::Jwt(encoding, jsonwebtoken::Algorithm::ES384),
            public: json!({"kty": "EC", "crv": "P-384", "x": x, "y": y}),
        }
    }

    /// The first or the second RSA key of this process, for PS256.
    pub(crate) fn ps256(number: usize) -> Self {
        Self::rsa(number, Algorithm::Ps256, &RSA_PSS_SHA256)
    }

    /// The same, for RS256.
    pub(crate) fn rs256(number: usize) -> Self {
        Self::rsa(number, Algorithm::Rs256, &RSA_PKCS1_SHA256)
    }

    fn rsa(number: usize, algorithm: Algorithm, encoding: &'static dyn RsaEncoding) -> Self {
        let key = &*RSA[number];
        let n = base64url::encode(key.public_key().modulus().big_endian_without_leading_zero());
        let e = base64url::encode(key.public_key().exponent().big_endian_without_leading_zero());
        Self { algorithm, signer: Signer::Rsa(key, encoding), public: json!({"kty": "RSA", "n": n, "e": e}) }
    }

    /// The key of RFC 8037 appendix A.1.
    pub(crate) fn ed25519() -> Self {
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend(base64url::decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap());
        Self {
            algorithm: Algorithm::EdDsa,
            signer: Signer::Jwt(EncodingKey::from_ed_der(&der), jsonwebtoken::Algorithm::EdDSA),
            public: json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
        }
    }

    /// One key for each algorithm.
    pub(crate) fn of_each_algorithm() -> [Self; 5] {
        [Self::es256(1), Self::es384(), Self::ed25519(), Self::ps256(0), Self::rs256(1)]
    }

    pub(crate) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// As Exequatur reads it.
    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::from_jwk(&object(&self.jwk()), &[self.algorithm]).unwrap()
    }

    pub(crate) fn jwk(&self) -> Value {
        self.public.clone()
    }

    /// The key as a member of a key set.
    pub(crate) fn named(&self, kid: &str) -> Value {
        with(&self.public, "kid", json!(kid))
    }

    pub(crate) fn sign_text(&self, signing_input: &str) -> String {
        match &self.signer {
            Signer::Jwt(key, algorithm) => {
                jsonwebtoken::crypto::sign(signing_input.as_bytes(), key, *algorithm).unwrap()
            }
            Signer::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &SystemRandom::new(), signing_input.as_bytes(), &mut signature).unwrap();
                base64url::encode(&signature)
            }
        }
    }

    /// A compact JWS over header and payload exactly as written.
    pub(crate) fn sign_raw(&self, header: &str, payload: &str) -> String {
        let input = [header, payload].map(|part| base64url::encode(part.as_bytes())).join(".");
        format!("{input}.{}", self.sign_text(&input))
    }

    pub(crate) fn sign(&self, header: &Value, payload: &Value) -> String {
        self.sign_raw(&header.to_string(), &payload.to_string())
    }
}

/// `object` with `name` set to `value`.
pub(crate) fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut changed = object.clone();
    changed[name] = value;
    changed
}

/// `object` without `name`.
pub(crate) fn without(object: &Value, name: &str) -> Value {
    let mut changed = object.clone();
    changed.as_object_mut().unwrap().remove(name).unwrap();
    changed
}

/// The characters of base64url.
pub(crate) const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// ASCII `text` with each of its bits flipped in turn.
pub(crate) fn flipped_text(text: &str) -> impl Iterator<Item = String> {
    let bits = text.char_indices().flat_map(|(index, c)| (0..8).map(move |bit| (index, c, bit)));
    bits.map(|(index, c, bit)| replaced(text, index, char::from(u8::try_from(c).unwrap() ^ (1 << bit))))
}

/// A compact JWS with each bit of what `parts` of it encode flipped in turn.
pub(crate) fn flipped_parts(jws: &str, parts: &[usize]) -> Vec<String> {
    let decoded: Vec<Vec<u8>> = jws.split('.').map(|part| base64url::decode(part).unwrap()).collect();
    let bits = parts.iter().flat_map(|part| (0..decoded[*part].len() * 8).map(move |bit| (*part, bit)));
    bits.map(|(part, bit)| {
        let mut changed = decoded.clone();
        changed[part][bit / 8] ^= 1 << (bit % 8);
        changed.iter().map(|part| base64url::encode(part)).collect::<Vec<_>>().join(".")
    })
    .collect()
}

/// ASCII `text` with the character at `position` replaced.
pub(crate) fn replaced(text: &str, position: usize, by: char) -> String {
    text.char_indices().map(|(index, c)| if index == position { by } else { c }).collect()
}

/// A big-endian number times 65537: the number, and the number two bytes on.
pub(crate) fn times_65537(number: &[u8]) -> Vec<u8> {
    let mut product = [number, &[0, 0]].concat();
    let digits = number.iter().rev().copied().chain([0, 0]);
    let mut carry = 0;
    for (place, digit) in product.iter_mut().rev().zip(digits) {
        let sum = u16::from(*place) + u16::from(digit) + carry;
        (*place, carry) = (sum.to_be_bytes()[1], sum >> 8);
    }
    if carry == 0 { product } else { [&[1], product.as_slice()].concat() }
}

/// A JWKS of `keys`.
pub(crate) fn key_set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), &Algorithm::DEFAULT).unwrap()
}

/// What the crate's own reader makes of `value`.
pub(crate) fn object(value: &Value) -> crate::json::Object {
    let limits = crate::json::Limits { bytes: 65_536, depth: 32, members: 256 };
    let parsed = crate::json::parse(value.to_string().as_bytes(), limits).unwrap();
    parsed.as_object().unwrap().clone()
}

pub(crate) fn profile() -> IssuerProfile {
    IssuerProfile {
        name: "corp".parse().unwrap(),
        issuer: "https://sts.example.com".to_owned(),
        audiences: vec!["https://api.example.com".to_owned(), "https://files.example.com".to_owned()],
        algorithms: Algorithm::DEFAULT.to_vec(),
        max_lifetime: SignedDuration::from_mins(15),
        leeway: SignedDuration::from_secs(5),
        accept_typ_jwt: false,
        claims: ClaimNames {
            user: Some(UserClaim::new("sub")),
            tenant: Some("tenant".to_owned()),
            ..ClaimNames::default()
        },
        tenants: TenantScope::Any,
        status_required: false,
    }
}

pub(crate) fn token_header() -> Value {
    json!({"typ": "at+jwt", "alg": "ES256", "kid": "k1"})
}

pub(crate) fn token_claims() -> Value {
    json!({
        "iss": "https://sts.example.com",
        "sub": "alice",
        "client_id": "crm-bot",
        "jti": "t-1",
        "iat": NOW - 10,
        "exp": NOW + 300,
        "aud": "https://api.example.com",
        "scope": "documents:read documents:write",
        "tenant": "acme",
    })
}

/// The issuer's key, known as `k1`.
pub(crate) fn issuer_key() -> TestKey {
    TestKey::es256(1)
}

pub(crate) fn issuer_keys() -> KeySet {
    key_set(&[issuer_key().named("k1")])
}

/// The agent's key for proofs.
pub(crate) fn agent_key() -> TestKey {
    TestKey::es256(2)
}

pub(crate) fn target() -> TargetUri {
    TargetUri::new(&Origin::parse("https://api.example.com").unwrap(), "/documents/1").unwrap()
}

pub(crate) fn token_digest() -> TokenDigest {
    TokenDigest::of("header.payload.signature")
}

pub(crate) fn proof_header(key: &TestKey) -> Value {
    json!({"typ": "dpop+jwt", "alg": key.algorithm().jose_name(), "jwk": key.jwk()})
}

pub(crate) fn proof_claims() -> Value {
    json!({
        "jti": "p-1",
        "htm": "GET",
        "htu": "https://api.example.com/documents/1",
        "iat": NOW,
        "ath": token_digest().to_string(),
    })
}
