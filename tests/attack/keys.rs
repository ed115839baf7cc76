//! Keys that sign, one and more of each kind that the service takes, and their public faces.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use exequatur_token::Algorithm;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The JOSE names of what can be signed here. Those that the service does not know yet are left out.
const NAMES: [&str; 5] = ["ES256", "EdDSA", "ES384", "PS256", "RS256"];

/// The JOSE names of the algorithms that the service knows.
pub(crate) fn algorithms() -> Vec<&'static str> {
    NAMES.into_iter().filter(|name| Algorithm::from_jose(name).is_some()).collect()
}

/// A key pair of one algorithm.
pub(crate) struct Key {
    pub(crate) alg: &'static str,
    pub(crate) jwk: Value,
    /// RFC 7638.
    pub(crate) thumbprint: String,
    pair: Pair,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
}

impl Key {
    pub(crate) fn generate(alg: &'static str) -> Self {
        match alg {
            "ES256" => Self::ecdsa(alg, &ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            "ES384" => Self::ecdsa(alg, &ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            "PS256" => Self::rsa(alg, &RSA_PSS_SHA256),
            "RS256" => Self::rsa(alg, &RSA_PKCS1_SHA256),
            _ => {
                let pair = Ed25519KeyPair::generate().expect("a key");
                let x = base64url(pair.public_key().as_ref());
                let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
                Self::new(alg, &canonical, Pair::Ed25519(pair))
            }
        }
    }

    fn ecdsa(alg: &'static str, kind: &'static EcdsaSigningAlgorithm, curve: &str) -> Self {
        let pair = EcdsaKeyPair::generate(kind).expect("a key");
        // 0x04, then the two coordinates.
        let (x, y) = pair.public_key().as_ref()[1..].split_at(if curve == "P-256" { 32 } else { 48 });
        let (x, y) = (base64url(x), base64url(y));
        let canonical = format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#);
        Self::new(alg, &canonical, Pair::Ecdsa(pair))
    }

    fn rsa(alg: &'static str, encoding: &'static dyn RsaEncoding) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let n = base64url(pair.public_key().modulus().big_endian_without_leading_zero());
        let e = base64url(pair.public_key().exponent().big_endian_without_leading_zero());
        let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        Self::new(alg, &canonical, Pair::Rsa(pair, encoding))
    }

    fn new(alg: &'static str, canonical: &str, pair: Pair) -> Self {
        let mut jwk: Value = serde_json::from_str(canonical).expect("written here");
        // An RSA key is of one algorithm only if it says so.
        if matches!(pair, Pair::Rsa(..)) {
            jwk["alg"] = json!(alg);
        }
        Self { alg, jwk, thumbprint: digest(canonical.as_bytes()), pair }
    }

    /// As a member of a key set.
    pub(crate) fn named(&self, kid: &str) -> Value {
        let mut jwk = self.jwk.clone();
        jwk["kid"] = json!(kid);
        jwk
    }

    pub(crate) fn sign(&self, input: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) => pair.sign(&random, input).expect("a signature").as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(input).as_ref().to_vec(),
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, input, &mut signature).expect("a signature");
                signature
            }
        }
    }
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// SHA-256, as JOSE writes it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    base64url(&Sha256::digest(bytes))
}
