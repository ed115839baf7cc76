//! A question under way: put with a time-out, judged, kept.

use std::sync::Arc;

use exequatur_token::{Answer, TokenDigest};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::{AskerKey, Introspection, IntrospectionProblem, Kept, Said, Stake, Subject, Validity, failed};
use crate::download::DownloadError;

/// One question under way.
pub(super) struct Flight {
    of: Arc<Introspection>,
    digest: TokenDigest,
    asker: Option<AskerKey>,
    landing: watch::Sender<Option<Kept>>,
    _room: OwnedSemaphorePermit,
}

impl Flight {
    /// A question about the token of that digest, which holds its `room` until it has landed.
    pub(super) const fn new(
        of: Arc<Introspection>,
        digest: TokenDigest,
        asker: Option<AskerKey>,
        landing: watch::Sender<Option<Kept>>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self { of, digest, asker, landing, _room: room }
    }

    /// Asks, and tells whoever waits.
    pub(super) async fn run(self, raw: String, subject: Subject, stake: Stake) {
        let of = &*self.of;
        let (began, at) = (Instant::now(), (of.upkeep.clock)());
        let asking = tokio::time::timeout(of.config.timeout, of.ask(&raw, at));
        let answer = tokio::select! {
            () = of.upkeep.cancel.cancelled() => return,
            answer = asking => answer,
        };
        let key_set = match &answer {
            Ok(Ok(Answer::Active(active))) => active.key_set(),
            Ok(Ok(Answer::Inactive) | Err(_)) | Err(_) => None,
        };
        let said = match answer {
            Ok(Ok(answer)) => of.judge(answer, subject, &self.digest),
            Ok(Err(error)) => failed(error),
            Err(_elapsed) => failed(DownloadError::Timeout.into()),
        };
        of.landed(began, &said);
        if said.is_askers_loss() {
            stake.lose((of.upkeep.clock)());
        }
        // What was said may have changed since it was asked for; that nothing was said is known from now on.
        let from = match said {
            Said::No(IntrospectionProblem::Unavailable(_)) => (of.upkeep.clock)(),
            Said::Token(_) | Said::Confirmed(_) | Said::No(_) => at,
        };
        let validity = Validity::new(from, of.lasts(&said));
        let kept = Kept { said, key_set, validity };
        of.answers.insert(self.digest, kept.clone());
        self.landing.send_replace(Some(kept));
    }
}

/// However it ended, it is under way no more.
impl Drop for Flight {
    fn drop(&mut self) {
        self.of.under_way().end(&self.digest, self.asker);
    }
}
