//! What an issuer signs: tokens that name a place in a list, and lists.

use exequatur_token::{KeySet, StatusReference, UnverifiedToken, VerifiedToken, base64url};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey};
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::{Value, json};

use crate::world::{jwks, profile};

/// The key of RFC 8037 appendix A.1, which [`jwks`] publishes the other half of.
pub(crate) const OURS: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

/// A compact JWS by our key, or by another one.
pub(crate) fn sign(typ: &str, kid: &str, payload: &Value, key: &str) -> String {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend(base64url::decode(key).unwrap());
    let header = json!({"typ": typ, "alg": "EdDSA", "kid": kid});
    let input =
        [header, payload.clone()].map(|part| base64url::encode(part.to_string().as_bytes())).join(".");
    let key = EncodingKey::from_ed_der(&der);
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, Algorithm::EdDSA).unwrap();
    format!("{input}.{signature}")
}

/// A list as it is to be published.
#[derive(Clone)]
pub(crate) struct List {
    pub(crate) typ: &'static str,
    pub(crate) kid: &'static str,
    pub(crate) claims: Value,
    pub(crate) key: String,
}

impl List {
    /// The list at `uri`, two bits for each status, issued at `now`.
    pub(crate) fn of(uri: &str, octets: &[u8], now: Timestamp) -> Self {
        let lst = base64url::encode(&compress_to_vec_zlib(octets, 9));
        let status_list = json!({"bits": 2, "lst": lst});
        let claims = json!({"sub": uri, "iat": now.as_second(), "status_list": status_list});
        Self { typ: "statuslist+jwt", kid: "a", claims, key: OURS.to_owned() }
    }

    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    pub(crate) fn by_another_key(mut self) -> Self {
        self.key = base64url::encode(&[7; 32]);
        self
    }

    pub(crate) fn signed(&self) -> String {
        sign(self.typ, self.kid, &self.claims, &self.key)
    }
}

/// The place in a list that a token of `name` says its status is at: read from a token that was verified.
pub(crate) fn reference(name: &str, uri: &str, index: u64, now: Timestamp) -> StatusReference {
    let profile = profile(name);
    let claims = json!({
        "iss": profile.issuer, "sub": "alice", "client_id": "bot", "jti": "1", "aud": "https://api.example",
        "iat": now.as_second(), "exp": now.as_second() + 60,
        "status": {"status_list": {"idx": index, "uri": uri}},
    });
    let raw = sign("at+jwt", "a", &claims, OURS);
    let keys = KeySet::parse(jwks(&["a"]).as_bytes(), &profile.algorithms).unwrap();
    let token = UnverifiedToken::parse(&raw).unwrap().verify(&profile, &keys, now).unwrap();
    VerifiedToken::status(&token).unwrap().clone()
}

/// A JWK of another key, that nobody signs with.
pub(crate) fn another_jwk(kid: &str) -> Value {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(rcgen::PublicKeyData::der_bytes(&key)), "kid": kid})
}
