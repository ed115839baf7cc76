//! Ed25519 points that no honest key generation yields.

/// The y coordinates (little-endian, sign bit cleared) of the points whose order divides 8. With such a key
/// one signature fits many messages.
const SMALL_ORDER: [[u8; 32]; 5] = [
    // Order 4: y = 0.
    [0; 32],
    // The neutral element: y = 1.
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    // Order 8.
    [
        199, 23, 106, 112, 61, 77, 216, 79, 186, 60, 11, 118, 13, 16, 103, 15, 42, 32, 83, 250, 44, 57, 204,
        198, 78, 199, 253, 119, 146, 172, 3, 122,
    ],
    // Order 8.
    [
        38, 232, 149, 143, 194, 178, 39, 176, 69, 195, 244, 137, 242, 239, 152, 240, 213, 223, 172, 5, 211,
        198, 51, 57, 177, 56, 2, 136, 109, 83, 252, 5,
    ],
    // Order 2: y = p - 1.
    [
        236, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 127,
    ],
];

/// p = 2^255 - 19, big-endian.
const P: [u8; 32] = [
    127, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 237,
];

/// Whether an encoded point has small order or a y that is not reduced (RFC 8032 §5.1.3 refuses the latter,
/// libraries differ).
pub(super) fn is_weak(encoded: &[u8; 32]) -> bool {
    let mut y = *encoded;
    if let Some(last) = y.last_mut() {
        *last &= 0x7F;
    }
    if SMALL_ORDER.contains(&y) {
        return true;
    }
    y.reverse();
    y >= P
}
