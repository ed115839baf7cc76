//! Why keys and signatures are refused: one cause each.

/// Why a JWK was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A member that this key type needs is absent.
    #[error("member `{0}` missing")]
    MemberMissing(&'static str),
    /// A member is not a string.
    #[error("member `{0}` is not a string")]
    MemberInvalid(&'static str),
    /// A `kty` that is not supported.
    #[error("key type not supported")]
    TypeUnsupported,
    /// A `crv` that is not supported.
    #[error("curve not supported")]
    CurveUnsupported,
    /// A symmetric key.
    #[error("symmetric key")]
    Symmetric,
    /// A private part is there.
    #[error("private key")]
    Private,
    /// `use` or `key_ops` exclude verifying.
    #[error("key is not for verifying signatures")]
    NotForVerifying,
    /// `alg` is not an algorithm of this key type.
    #[error("algorithm does not fit the key")]
    AlgorithmMismatch,
    /// None of the algorithms that the key may be used with fits it.
    #[error("no allowed algorithm fits the key")]
    AlgorithmNotAllowed,
    /// The key does not name its algorithm, and several that are allowed fit it.
    #[error("several allowed algorithms fit the key, and it names none")]
    AlgorithmAmbiguous,
    /// The same key stands in the set with another algorithm.
    #[error("the key is in the set with another algorithm")]
    SecondAlgorithm,
    /// A coordinate is not exactly as long as the curve's field in canonical base64url.
    #[error("coordinate malformed")]
    Coordinate,
    /// The point is not on the curve.
    #[error("point not on the curve")]
    OffCurve,
    /// An Ed25519 point of small order or in a non-canonical encoding.
    #[error("weak point")]
    WeakPoint,
    /// An RSA modulus that is not an odd number of 2048 to 8192 bits in its shortest form.
    #[error("modulus malformed, or not of 2048 to 8192 bits")]
    Modulus,
    /// An RSA modulus with the mark of a key generator whose keys can be factored.
    #[error("modulus of a weak key generator")]
    WeakModulus,
    /// An RSA exponent that is not an odd number from 3 to 2^32 in its shortest form.
    #[error("exponent malformed, even, or not from 3 to 2^32")]
    Exponent,
}

/// Why a signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not canonical base64url of exactly as many bytes as a signature of this key has.
    #[error("signature malformed")]
    Malformed,
    /// Does not verify.
    #[error("signature invalid")]
    Invalid,
}
