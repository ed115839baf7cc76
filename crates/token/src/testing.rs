//! Signed tokens and proofs for tests. Each is valid; a test then changes one thing.

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::EncodingKey;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::EncodePrivateKey as _;
use serde_json::{Value, json};

use crate::{
    Algorithm, ClaimNames, IssuerProfile, KeySet, Origin, TargetUri, TenantScope, TokenDigest, base64url,
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
    encoding: EncodingKey,
    public: Value,
}

impl TestKey {
    /// A P-256 key; another for each seed.
    pub(crate) fn es256(seed: u8) -> Self {
        let secret = p256::SecretKey::from_slice(&[seed; 32]).unwrap();
        let point = secret.public_key().to_sec1_point(false);
        let [x, y] = [point.x().unwrap(), point.y().unwrap()].map(|c| base64url::encode(c));
        Self {
            algorithm: Algorithm::Es256,
            encoding: EncodingKey::from_ec_der(secret.to_pkcs8_der().unwrap().as_bytes()),
            public: json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}),
        }
    }

    /// The key of RFC 8037 appendix A.1.
    pub(crate) fn ed25519() -> Self {
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend(base64url::decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap());
        Self {
            algorithm: Algorithm::EdDsa,
            encoding: EncodingKey::from_ed_der(&der),
            public: json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        self.public.clone()
    }

    /// The key as a member of a key set.
    pub(crate) fn named(&self, kid: &str) -> Value {
        with(&self.public, "kid", json!(kid))
    }

    pub(crate) fn sign_text(&self, signing_input: &str) -> String {
        let algorithm = match self.algorithm {
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        };
        jsonwebtoken::crypto::sign(signing_input.as_bytes(), &self.encoding, algorithm).unwrap()
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

/// ASCII `text` with the character at `position` replaced.
pub(crate) fn replaced(text: &str, position: usize, by: char) -> String {
    text.char_indices().map(|(index, c)| if index == position { by } else { c }).collect()
}

/// A JWKS of `keys`.
pub(crate) fn key_set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
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
        algorithms: vec![Algorithm::Es256, Algorithm::EdDsa],
        max_lifetime: SignedDuration::from_mins(15),
        leeway: SignedDuration::from_secs(5),
        accept_typ_jwt: false,
        claims: ClaimNames {
            agent: "client_id".to_owned(),
            user: Some("sub".to_owned()),
            tenant: Some("tenant".to_owned()),
        },
        tenants: TenantScope::Any,
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
    json!({"typ": "dpop+jwt", "alg": key.algorithm.jose_name(), "jwk": key.jwk()})
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
