//! Proofs: no text passes but the one that was signed.

use exequatur_token::{Origin, Proof, ProofExpectation, ProofLimits, TargetUri, TokenDigest};

use super::signed::{HOST, METHOD, PATH, PROOF, TOKEN, now};

/// The laws.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let origin = Origin::parse(&format!("https://{HOST}")).expect("an origin");
    let target = TargetUri::new(&origin, PATH).expect("a target");
    let token = TokenDigest::of(&TOKEN);
    let limits = ProofLimits::default();
    let expect = ProofExpectation { method: METHOD, target: &target, token: &token, limits: &limits };
    let verified = Proof::verify(text, &expect, now());
    if text == *PROOF {
        verified.expect("the valid proof");
        return;
    }
    // An ECDSA signature has a second form; nobody finds another text without the key.
    let signed = PROOF.rsplit_once('.').expect("three parts").0;
    assert!(verified.is_err() || text.rsplit_once('.').is_some_and(|(input, _)| input == signed));
}
