//! Nonces: none is recognised but the one that was made.

use exequatur_token::{Epoch, NonceScope, NonceSecret, Nonces, Origin, Thumbprint};

use super::signed::{HOST, Key, now};

/// The laws.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let origin = Origin::parse(&format!("https://{HOST}")).expect("an origin");
    let key = Thumbprint::from_base64url(&Key::agent().thumbprint()).expect("a thumbprint");
    let scope = NonceScope { origin: &origin, key };
    let made = made(&scope);
    assert!(nonces().verify(&made, &scope, now()).is_ok());
    if text != made {
        assert!(nonces().verify(text, &scope, now()).is_err(), "not made here");
    }
    let stranger = Thumbprint::from_base64url(&Key::issuer().thumbprint()).expect("a thumbprint");
    let elsewhere = NonceScope { origin: &origin, key: stranger };
    assert!(nonces().verify(text, &elsewhere, now()).is_err(), "made for another key");
}

/// The nonce of the scope that [`run`] asks for.
pub fn made_for_the_agent() -> String {
    let origin = Origin::parse(&format!("https://{HOST}")).expect("an origin");
    let key = Thumbprint::from_base64url(&Key::agent().thumbprint()).expect("a thumbprint");
    made(&NonceScope { origin: &origin, key })
}

fn made(scope: &NonceScope<'_>) -> String {
    nonces().issue(scope, Epoch([3; 16]), now())
}

fn nonces() -> Nonces {
    Nonces::new(NonceSecret::new(&[5; 32]).expect("long enough"), Vec::new())
}
