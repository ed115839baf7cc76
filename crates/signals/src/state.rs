//! The states of verification requests (SSF §8.1.4): each is its own evidence, so that any replica knows one that another
//! process sent, and nobody has to remember it.

use exequatur_token::base64url;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// How old a state may be: a transmitter may take its time.
pub const MAX_STATE_AGE: SignedDuration = SignedDuration::from_hours(1);
/// How far ahead it may be: whoever asked may have another clock.
const AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// Separates the key of states from any other use of the secret.
const DOMAIN: &[u8] = b"exequatur signals state v1\0";
/// Seconds since 1970, random bytes, and what both are authenticated with.
const TIME: usize = 8;
const RANDOM: usize = 8;
const MAC: usize = 16;

/// Makes and knows the states of one stream.
pub struct StateSecret {
    key: Zeroizing<[u8; 64]>,
    stream: String,
}

impl std::fmt::Debug for StateSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateSecret").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl StateSecret {
    /// From the stream's secret, and for this stream alone.
    #[must_use]
    pub fn new(material: &[u8], stream: &str) -> Self {
        // HMAC's own way with a key that is shorter than its block: zeros behind it.
        let mut key = Zeroizing::new([0; 64]);
        let digest = Sha256::new().chain_update(DOMAIN).chain_update(material).finalize();
        key.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self { key, stream: stream.to_owned() }
    }

    /// A new state.
    #[must_use]
    pub fn issue(&self, now: Timestamp, random: [u8; RANDOM]) -> String {
        let mut state = now.as_second().to_be_bytes().to_vec();
        state.extend(random);
        let mac = self.mac(&state).finalize().into_bytes();
        state.extend(mac.iter().take(MAC));
        base64url::encode(&state)
    }

    /// Whether this is a state of this stream that was made lately (V03).
    #[must_use]
    pub fn knows(&self, state: &str, now: Timestamp) -> bool {
        let Ok(bytes) = base64url::decode(state) else { return false };
        if bytes.len() != TIME + RANDOM + MAC {
            return false;
        }
        let (said, mac) = bytes.split_at(TIME + RANDOM);
        let seconds = said.first_chunk::<TIME>().copied().map(i64::from_be_bytes);
        let made = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        let authentic = self.mac(said).verify_truncated_left(mac).is_ok();
        let lately =
            |made: Timestamp| now.duration_since(made) <= MAX_STATE_AGE && made.duration_since(now) <= AHEAD;
        authentic && made.is_some_and(lately)
    }

    fn mac(&self, said: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new((&*self.key).into());
        mac.update(self.stream.as_bytes());
        mac.update(&[0]);
        mac.update(said);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// V03
    #[test]
    fn a_state_is_known_by_whoever_has_the_secret_of_its_stream_and_for_an_hour() {
        let secret = StateSecret::new(b"a secret of some length", "idp");
        let state = secret.issue(at(0), [7; 8]);
        assert_eq!(state.len(), 43);
        let another = StateSecret::new(b"a secret of some length", "idp");
        for now in [-60, 0, 3600] {
            assert!(another.knows(&state, at(now)), "{now}");
        }
        for now in [-61, 3601] {
            assert!(!another.knows(&state, at(now)), "{now}");
        }
        assert!(!StateSecret::new(b"another secret of some length", "idp").knows(&state, at(0)));
        assert!(!StateSecret::new(b"a secret of some length", "idp2").knows(&state, at(0)));
        for position in 0..state.len() {
            let changed: String = state
                .char_indices()
                .map(|(at, c)| if at == position { if c == 'A' { 'B' } else { 'A' } } else { c })
                .collect();
            assert!(!secret.knows(&changed, at(0)), "{position}");
        }
        for other in ["", "A", &"A".repeat(42), &"A".repeat(43), &format!("{state}AAAA")] {
            assert!(!secret.knows(other, at(0)), "{other}");
        }
    }
}
