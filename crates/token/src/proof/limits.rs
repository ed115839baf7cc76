//! The window in which a proof can pass.

use jiff::SignedDuration;

use crate::Algorithm;

/// The largest window that a configuration can open (D14).
const MAX_AGE: SignedDuration = SignedDuration::from_secs(300);
const MAX_SKEW: SignedDuration = SignedDuration::from_secs(60);
const MAX_FUTURE: SignedDuration = SignedDuration::from_secs(60);

/// How old or new a proof may be, and how it may be signed. Values outside the ranges are taken as the
/// nearest in range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofLimits {
    /// Highest age, 0 to 300 s.
    pub max_age: SignedDuration,
    /// Tolerance added to the age, 0 to 60 s.
    pub skew: SignedDuration,
    /// How far `iat` may be ahead, 0 to 60 s.
    pub future: SignedDuration,
    /// The allowed algorithms.
    pub algorithms: Vec<Algorithm>,
}

impl Default for ProofLimits {
    /// 60 s, 5 s and 10 s (RFC 9449 §11.1, FAPI 2.0 §5.3.2.1), [`Algorithm::DEFAULT`].
    fn default() -> Self {
        Self {
            max_age: SignedDuration::from_secs(60),
            skew: SignedDuration::from_secs(5),
            future: SignedDuration::from_secs(10),
            algorithms: Algorithm::DEFAULT.to_vec(),
        }
    }
}

impl ProofLimits {
    /// How long after its `iat` a proof can still pass, inclusive.
    #[must_use]
    pub fn span(&self) -> SignedDuration {
        let age = self.max_age.clamp(SignedDuration::ZERO, MAX_AGE);
        age.saturating_add(self.effective_skew())
    }

    pub(super) fn effective_skew(&self) -> SignedDuration {
        self.skew.clamp(SignedDuration::ZERO, MAX_SKEW)
    }

    pub(super) fn effective_future(&self) -> SignedDuration {
        self.future.clamp(SignedDuration::ZERO, MAX_FUTURE)
    }
}
