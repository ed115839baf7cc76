//! A key of checkpoints takes the place of another: it is shown first, and then handed to the thread that signs.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use exequatur_audit::{KeyTaken, Recorder, SigningKey};

use super::keys::ReceiptKeys;

/// Where the public keys are, on the public listener.
const KEYS: &str = "/.well-known/exequatur-receipt-keys";
/// How long an answer is waited for at once. A disk that hangs must not hold up who watches the files.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Shows the public keys, and sees that checkpoints are signed with the key that the files name.
#[derive(Debug)]
pub(crate) struct Rotation {
    shown: Shown,
    /// What is to sign.
    wanted: SigningKey,
    /// What is known to sign.
    signs: SigningKey,
    /// What was handed over, and not answered to yet. One at a time: it waits among the records.
    under_way: Option<(SigningKey, KeyTaken)>,
    /// Whether it was told that this takes long.
    told: bool,
}

/// The public keys as a JWK set.
#[derive(Clone, Debug)]
struct Shown(Arc<ArcSwap<Bytes>>);

impl Rotation {
    /// With the keys that a recorder has begun with.
    pub(super) fn new(keys: &ReceiptKeys) -> Self {
        let shown = Shown(Arc::new(ArcSwap::from_pointee(body(keys))));
        let signs = keys.signing().clone();
        Self { shown, wanted: signs.clone(), signs, under_way: None, told: false }
    }

    /// Where the public keys are shown.
    pub(super) fn router(&self) -> Router {
        Router::new().route(KEYS, get(show)).with_state(self.shown.clone())
    }

    /// What signs, or may do so any moment: whoever verifies has to know all of these.
    pub(crate) fn in_use(&self) -> Vec<SigningKey> {
        let under_way = self.under_way.iter().map(|(key, _)| key);
        std::iter::once(&self.signs).chain(under_way).cloned().collect()
    }

    /// Shows these from now on, and has the key among them sign that is meant to: who verifies can fetch it before that.
    pub(crate) fn go_over(&mut self, keys: &ReceiptKeys) {
        self.shown.0.store(Arc::new(body(keys)));
        self.wanted = keys.signing().clone();
    }

    /// Hands over the key that is to sign, if another one does, and looks whether it was taken. To be called again and again: what
    /// could not be handed over is due with the next call, and the one before goes on.
    pub(crate) async fn advance(&mut self, recorder: &Recorder) {
        if self.under_way.is_none() && self.wanted != self.signs {
            match recorder.sign_with(self.wanted.clone()) {
                Ok(taken) => self.under_way = Some((self.wanted.clone(), taken)),
                Err(error) => return self.tell(&error),
            }
        }
        let Some((key, taken)) = &mut self.under_way else { return };
        match tokio::time::timeout(AT_ONCE, taken.wait()).await {
            Ok(Ok(())) => {
                tracing::info!(
                    kid = key.id(),
                    "checkpoints of the records are signed with another key from now on"
                );
                (self.signs, self.told) = (key.clone(), false);
                self.under_way = None;
            }
            Ok(Err(error)) => {
                self.under_way = None;
                self.tell(&error);
            }
            Err(_elapsed) => self.tell(&"it has other things to write first"),
        }
    }

    /// Once, until it was taken.
    fn tell(&mut self, why: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!(%why, "the records' writer has not taken the other key of checkpoints yet; the one before goes on");
        }
    }
}

fn body(keys: &ReceiptKeys) -> Bytes {
    keys.public().jwks().to_string().into()
}

async fn show(State(Shown(keys)): State<Shown>) -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, "max-age=300")];
    (headers, Bytes::clone(&keys.load()))
}

#[cfg(test)]
mod tests;
