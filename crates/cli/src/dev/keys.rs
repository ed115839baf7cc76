//! P-256 keys in files, as PKCS #8 PEM, and what is signed with them.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use p256::SecretKey;
use p256::elliptic_curve::Generate;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::exit::Failure;

/// A signing key.
#[derive(Debug)]
pub(crate) struct Key(SecretKey);

impl Key {
    /// Reads the key, or makes one at a path where nothing is (mode 0600).
    pub(crate) fn load_or_make(path: &Path) -> Result<Self, Failure> {
        match std::fs::read_to_string(path) {
            Ok(pem) => SecretKey::from_pkcs8_pem(&pem)
                .map(Self)
                .map_err(|error| Failure::Other(format!("{}: no P-256 key: {error}", path.display()))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = SecretKey::try_generate().map_err(Failure::other)?;
                let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(Failure::other)?;
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)
                    .map_err(Failure::other)?;
                file.write_all(pem.as_bytes()).map_err(Failure::other)?;
                Ok(Self(key))
            }
            Err(error) => Err(Failure::Other(format!("{}: {error}", path.display()))),
        }
    }

    /// The public key, with the members of RFC 7638 only.
    pub(crate) fn jwk(&self) -> Result<Value, Failure> {
        let point = self.0.public_key().to_sec1_bytes();
        let (x, y) = point
            .strip_prefix(&[4])
            .and_then(|rest| rest.split_at_checked(32))
            .ok_or_else(|| Failure::Other("the public key is no uncompressed point".to_owned()))?;
        Ok(json!({ "crv": "P-256", "kty": "EC", "x": encode(x), "y": encode(y) }))
    }

    /// RFC 7638: the members in lexicographic order, as `serde_json` writes them.
    pub(crate) fn thumbprint(&self) -> Result<String, Failure> {
        Ok(encode(&Sha256::digest(self.jwk()?.to_string().as_bytes())))
    }

    /// A compact JWS with ES256.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> Result<String, Failure> {
        let der = self.0.to_pkcs8_der().map_err(Failure::other)?;
        let key = EncodingKey::from_ec_der(der.as_bytes());
        let input =
            format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature =
            jsonwebtoken::crypto::sign(input.as_bytes(), &key, Algorithm::ES256).map_err(Failure::other)?;
        Ok(format!("{input}.{signature}"))
    }
}

/// base64url without padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A random identifier.
pub(crate) fn random_id() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(Failure::other)?;
    Ok(encode(&bytes))
}
