//! RSA public keys (RFC 7518 §6.3.1): size, form and origin of the two numbers.

use super::KeyError;
use crate::base64url;

/// Longest modulus in bytes: 8192 bits.
const MAX_MODULUS_BYTES: usize = 1024;
/// Shortest modulus in bits.
const MIN_MODULUS_BITS: usize = 2048;
/// An odd exponent of at most 2^32 has at most four bytes.
const MAX_EXPONENT_BYTES: usize = 4;

/// The two numbers of a key, big-endian, without leading zeros.
#[derive(Debug)]
pub(super) struct Components {
    pub(super) modulus: Vec<u8>,
    pub(super) exponent: Vec<u8>,
}

impl Components {
    /// D08, A-13. The length of the text is judged first, so that a huge number costs nothing (T04: leading
    /// zeros would be another thumbprint of the same key).
    pub(super) fn read(modulus: &str, exponent: &str) -> Result<Self, KeyError> {
        let modulus = number(modulus, MAX_MODULUS_BYTES).ok_or(KeyError::Modulus)?;
        let exponent = number(exponent, MAX_EXPONENT_BYTES).ok_or(KeyError::Exponent)?;
        if bits(&modulus) < MIN_MODULUS_BITS || !is_odd(&modulus) {
            return Err(KeyError::Modulus);
        }
        if !is_odd(&exponent) || exponent == [1] {
            return Err(KeyError::Exponent);
        }
        if has_roca_mark(&modulus) {
            return Err(KeyError::WeakModulus);
        }
        Ok(Self { modulus, exponent })
    }
}

/// A positive number in its shortest form.
fn number(text: &str, max_bytes: usize) -> Option<Vec<u8>> {
    if text.len() > base64url::encoded_len(max_bytes) {
        return None;
    }
    let bytes = base64url::decode(text).ok()?;
    bytes.first().is_some_and(|first| *first != 0).then_some(bytes)
}

fn bits(number: &[u8]) -> usize {
    let unused: usize = number.first().map_or(0, |first| first.leading_zeros()).try_into().unwrap_or(0);
    number.len().saturating_mul(8).saturating_sub(unused)
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|last| last & 1 == 1)
}

/// The primes from 3 to 167 modulo which not everything is a power of 65537.
const MARKING_PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

/// Whether the modulus is a power of 65537 modulo each of these primes. All moduli of the generator of
/// CVE-2017-15361 ("ROCA") are, and can be factored; of others one in 2 * 10^8 is.
fn has_roca_mark(modulus: &[u8]) -> bool {
    MARKING_PRIMES.iter().all(|prime| is_power_of_65537(remainder(modulus, *prime), *prime))
}

fn is_power_of_65537(residue: u32, prime: u32) -> bool {
    let step = |power: u32| power.checked_mul(65_537)?.checked_rem(prime);
    // The powers repeat after fewer than `prime` steps.
    let mut power = Some(1);
    for _ in 0..prime {
        if power == Some(residue) {
            return true;
        }
        power = power.and_then(step);
    }
    false
}

/// `number` modulo `divisor`, which is below 2^16.
fn remainder(number: &[u8], divisor: u32) -> u32 {
    number.iter().fold(0, |rest: u32, byte| {
        let next = (rest << 8) | u32::from(*byte);
        next.checked_rem(divisor).unwrap_or(0)
    })
}
