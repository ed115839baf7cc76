//! What the issuer's status list says of the token: asked at each use, as is what was revoked here.

use exequatur_issuers::{ListUnavailable, StatusProblem};
use exequatur_token::{StatusRefusal, StatusValid};
use jiff::Timestamp;

use crate::cache::KnownToken;
use crate::denial::{Denial, Fault, Refusal};
use crate::trail::{KeptFact, StatusFact, Trail};

/// Evidence that no status list is against the token. Only [`status`] makes it.
#[derive(Debug)]
pub(crate) struct StatusHolds(
    #[expect(dead_code, reason = "evidence is held, not read")] Option<StatusValid>,
);

/// Why a token does not pass by its status (V10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadStatus {
    /// The issuer has revoked it.
    Invalid,
    /// The issuer has suspended it.
    Suspended,
    /// The list has no such entry, or one that means nothing here.
    Unknown,
    /// Nothing is asked for at the place that it names.
    NotAsked,
}

impl BadStatus {
    /// What a problem means for the token.
    ///
    /// # Errors
    /// That nothing is known, which is not the token's fault.
    pub fn judge(problem: StatusProblem) -> Result<Self, ListUnavailable> {
        match problem {
            StatusProblem::Refused(StatusRefusal::Invalid) => Ok(Self::Invalid),
            StatusProblem::Refused(StatusRefusal::Suspended) => Ok(Self::Suspended),
            StatusProblem::Refused(
                StatusRefusal::AnotherList | StatusRefusal::OutOfRange | StatusRefusal::Unknown,
            ) => Ok(Self::Unknown),
            StatusProblem::NotConfigured | StatusProblem::NotAllowed => Ok(Self::NotAsked),
            StatusProblem::Unavailable(why) => Err(why),
        }
    }

    const fn fact(self) -> StatusFact {
        match self {
            Self::Invalid => StatusFact::Invalid,
            Self::Suspended => StatusFact::Suspended,
            Self::Unknown => StatusFact::Unknown,
            Self::NotAsked => StatusFact::NotAsked,
        }
    }
}

/// # Errors
/// [`Denial::Status`], unless the token names no list or its list says VALID; a fault where the list is not there.
pub(crate) async fn status(
    known: &KnownToken,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<StatusHolds, Refusal> {
    let Some(reference) = known.token.status() else { return Ok(StatusHolds(None)) };
    let (fact, end) = match known.issuer.token_status(reference, now).await.map_err(BadStatus::judge) {
        Ok(listed) => {
            trail.facts.kept.extend(listed.kept.then_some(KeptFact::StatusList));
            (StatusFact::Valid, Ok(StatusHolds(Some(listed.valid))))
        }
        Err(Ok(bad)) => (bad.fact(), Err(Denial::Status(bad).into())),
        Err(Err(unavailable)) => (StatusFact::Unavailable, Err(Fault::StatusList(unavailable).into())),
    };
    trail.facts.status = Some(fact);
    end
}
