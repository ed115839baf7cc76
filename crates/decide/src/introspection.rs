//! What the issuer says of a token now, where it is asked: of an opaque token everything, of a signed one whether it is still
//! active.
//!
//! Only so many questions that are in vain may come of one source, however long the server takes over them, and whether or not a
//! decision still waits: a stranger's tokens may be such that it fails over each. What it or we are at fault for is charged to nobody.

use std::sync::Arc;

use exequatur_issuers::{Asker, AskerKey, Believed, IntrospectionProblem, Issuer, Stake, Validity};
use exequatur_store::{SourceKey, SourceLimits};
use exequatur_token::{ClientCertificate, TokenDigest, TokenError, VerifiedToken};
use jiff::Timestamp;

use crate::decider::Decider;
use crate::denial::{Denial, Fault, Refusal};
use crate::source::Source;
use crate::trail::{IntrospectionFact, Trail};

/// A token as it came, and from where.
#[derive(Clone, Copy)]
pub(crate) struct Presented<'a> {
    pub(crate) raw: &'a str,
    pub(crate) digest: TokenDigest,
    pub(crate) source: Source,
    /// That of the connection it came over.
    pub(crate) certificate: Option<&'a ClientCertificate>,
}

/// The token that `issuer` says that `presented` is.
///
/// # Errors
/// [`Denial::Inactive`], [`Denial::Token`] for what is said of it; a fault where nothing is said.
pub(crate) async fn opaque(
    presented: Presented<'_>,
    issuer: &Issuer,
    decider: &Decider,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<Believed<Arc<VerifiedToken>>, Refusal> {
    if presented.raw.len() > decider.token_size().bytes() {
        return Err(Denial::Token(TokenError::TooLarge).into());
    }
    let asker = Asking::of(presented.source, decider, now);
    judge(issuer.introspect(presented.raw, presented.digest, &asker, now).await, trail)
}

/// How long `token`, which `issuer` has signed, counts as active; `None` if it is not asked about.
///
/// # Errors
/// [`Denial::Inactive`]; a fault where nothing is said of it.
pub(crate) async fn confirmed(
    presented: Presented<'_>,
    token: &Arc<VerifiedToken>,
    issuer: &Issuer,
    decider: &Decider,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<Option<Validity>, Refusal> {
    if !issuer.confirms_tokens() {
        return Ok(None);
    }
    let asker = Asking::of(presented.source, decider, now);
    let said = issuer.confirm(presented.raw, presented.digest, token, &asker, now).await;
    judge(said, trail).map(|believed| Some(believed.validity))
}

fn judge<T>(
    said: Result<Believed<T>, IntrospectionProblem>,
    trail: &mut Trail<'_>,
) -> Result<Believed<T>, Refusal> {
    let (fact, end) = match said {
        Ok(believed) => (IntrospectionFact::Active, Ok(believed)),
        Err(IntrospectionProblem::Inactive) => (IntrospectionFact::Inactive, Err(Denial::Inactive.into())),
        Err(IntrospectionProblem::Token(error)) => {
            (IntrospectionFact::Refused, Err(Denial::Token(error).into()))
        }
        Err(IntrospectionProblem::Unavailable(why)) => {
            (IntrospectionFact::Unavailable, Err(Fault::Introspection(why).into()))
        }
    };
    trail.facts.introspection = Some(fact);
    end
}

/// The source of a request, as the one who causes a question.
struct Asking<'a> {
    source: SourceKey,
    questions: &'a Arc<SourceLimits>,
    now: Timestamp,
}

impl<'a> Asking<'a> {
    fn of(source: Source, decider: &'a Decider, now: Timestamp) -> Self {
        Self { source: source.key(), questions: decider.questions(), now }
    }
}

impl Asker for Asking<'_> {
    fn key(&self) -> Option<AskerKey> {
        Some(AskerKey(self.source.0))
    }

    fn stake(&self) -> Option<Stake> {
        // Where it is not known whether it may, it may not.
        let attempt = self.questions.begin(self.source, self.now).ok()??;
        Some(Stake::new(|now| {
            // A table that is lost refuses all of its sources.
            let _counted = attempt.failed(now);
        }))
    }
}
