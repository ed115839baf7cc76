//! The address that an issuer is asked at: as configured, or as its metadata says.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::caller::{Caller, Place};
use crate::discovery::{Discovery, MetadataError};
use crate::refresh::random_fraction;

const MEMBER: &str = "introspection_endpoint";
/// After a failure; it doubles up to the usual pause.
const FIRST_RETRY: Duration = Duration::from_millis(250);

/// Where to ask.
#[derive(Debug)]
pub(super) enum Endpoint {
    Named(Place),
    /// As the metadata said when it was loaded last; kept by a task of its own.
    Discovered(watch::Receiver<Option<Place>>),
}

impl Endpoint {
    pub(super) fn place(&self) -> Option<Place> {
        match self {
            Self::Named(place) => Some(place.clone()),
            Self::Discovered(place) => place.borrow().clone(),
        }
    }

    /// Whether somebody keeps it.
    pub(super) fn is_attended(&self) -> bool {
        match self {
            Self::Named(_) => true,
            Self::Discovered(place) => place.has_changed().is_ok(),
        }
    }
}

/// Keeps the address of one issuer.
#[derive(Debug)]
pub(super) struct Discoverer {
    pub(super) caller: Caller,
    pub(super) by: Discovery,
    pub(super) issuer: String,
    /// Whether questions show a certificate, for which the server may have another address (RFC 8705 §5).
    pub(super) by_certificate: bool,
    pub(super) every: Duration,
    pub(super) found: watch::Sender<Option<Place>>,
}

impl Discoverer {
    /// A failure leaves the address as it is.
    pub(super) async fn run(self, name: String, cancel: CancellationToken) {
        let (mut retry, mut failed) = (FIRST_RETRY, false);
        loop {
            let outcome = tokio::select! {
                () = cancel.cancelled() => return,
                outcome = self.look() => outcome,
            };
            let pause = match outcome {
                Ok(Some(place)) => {
                    retry = FIRST_RETRY;
                    if std::mem::take(&mut failed) || self.found.borrow().is_none() {
                        tracing::info!(issuer = name, "introspection endpoint found");
                    }
                    self.found.send_replace(Some(place));
                    self.every
                }
                Ok(None) | Err(_) => {
                    if !std::mem::replace(&mut failed, true) {
                        let error = outcome.err().map(tracing::field::display);
                        tracing::warn!(issuer = name, error, "no introspection endpoint in the metadata");
                    }
                    let pause = retry;
                    retry = retry.saturating_mul(2).min(self.every);
                    pause
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(pause.mul_f64(0.9 + 0.2 * random_fraction())) => {}
            }
        }
    }

    async fn look(&self) -> Result<Option<Place>, MetadataError> {
        let metadata = self.caller.discover(self.by, &self.issuer).await?;
        let alias = if self.by_certificate { metadata.place_by_certificate(MEMBER)? } else { None };
        if alias.is_some() { Ok(alias) } else { metadata.place(MEMBER) }
    }
}
