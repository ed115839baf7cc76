//! What the issuer says of a token now, where it is asked: of an opaque token everything, of a signed one whether it is still
//! active.
//!
//! Only so many questions without an answer may come of one source: a stranger's tokens may be such that the server fails over
//! each, and no failure of ours is charged to anybody.

use std::sync::Arc;

use exequatur_issuers::{Believed, IntrospectionProblem, IntrospectionUnavailable, Issuer, Validity};
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
    presented.may_be_answered(issuer, decider, now)?;
    let said = issuer.introspect(presented.raw, presented.digest, now).await;
    judge(said, presented.source, decider, now, trail)
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
    presented.may_be_answered(issuer, decider, now)?;
    let said = issuer.confirm(presented.raw, presented.digest, token, now).await;
    judge(said, presented.source, decider, now, trail).map(|believed| Some(believed.validity))
}

fn judge<T>(
    said: Result<Believed<T>, IntrospectionProblem>,
    source: Source,
    decider: &Decider,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<Believed<T>, Refusal> {
    let (fact, end) = match said {
        Ok(believed) => (IntrospectionFact::Active, Ok(believed)),
        Err(IntrospectionProblem::Inactive) => (IntrospectionFact::Inactive, Err(Denial::Inactive.into())),
        Err(IntrospectionProblem::Token(error)) => {
            (IntrospectionFact::Refused, Err(Denial::Token(error).into()))
        }
        Err(IntrospectionProblem::Unavailable(why)) => {
            if why.is_of_token() {
                source.charge_question(decider.questions(), now)?;
            }
            (IntrospectionFact::Unavailable, Err(Fault::Introspection(why).into()))
        }
    };
    trail.facts.introspection = Some(fact);
    end
}

impl Presented<'_> {
    /// What the issuer has said costs no question, whoever shows the token.
    ///
    /// # Errors
    /// A fault, if a question would be needed that the source may not cause.
    fn may_be_answered(self, issuer: &Issuer, decider: &Decider, now: Timestamp) -> Result<(), Fault> {
        if issuer.has_spoken_of(&self.digest, now) {
            return Ok(());
        }
        self.source.may_ask(decider.questions(), now)
    }
}

impl Source {
    /// # Errors
    /// A fault, if too many questions that it caused had no answer, or that is not known.
    fn may_ask(self, questions: &exequatur_store::SourceLimits, now: Timestamp) -> Result<(), Fault> {
        let room = questions.look(self.key(), now).map_err(Fault::Limits)?;
        room.or(Err(Fault::Introspection(IntrospectionUnavailable::Source)))
    }

    fn charge_question(self, questions: &exequatur_store::SourceLimits, now: Timestamp) -> Result<(), Fault> {
        questions.charge(self.key(), now).map_err(Fault::Limits)
    }
}
