//! Asking an issuer about its tokens (RFC 7662): one question about each at a time, and only so many; what it says counts for a
//! while, and while it says nothing it is spared.
//!
//! Each issuer has questions, bounds and connections of its own, so that one that is slow, down or lying is no other's trouble.
//! A question goes on when the decision that caused it waits no longer: the next one finds the answer.

mod ask;
mod asker;
mod back_off;
mod config;
mod endpoint;
mod flight;
mod outcome;
mod told;
mod under_way;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use exequatur_token::{
    ActiveAnswer, Answer, AnswerError, IssuerProfile, KeySetId, StillActive, TokenDigest, VerifiedToken,
};
use jiff::Timestamp;
use quick_cache::sync::Cache;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use self::back_off::BackOff;
use self::endpoint::{Discoverer, Endpoint};
use self::flight::Flight;
use self::told::{News, Told};
use self::under_way::UnderWay;
use crate::caller::Caller;
use crate::kept_keys::KeptKeys;
use crate::status_lists::Upkeep;

pub(crate) use self::ask::Lines;
pub use self::asker::{Asker, AskerKey, Stake, Uncounted};
pub use self::config::{
    AnswerForm, AssertionAudience, ClientAuthentication, ClientKey, ClientKeyProblem, IntrospectionConfig,
    IntrospectionEndpoint, OpaqueTokens, TokenPrefix, TokenPrefixProblem,
};
pub use self::outcome::{
    Believed, IntrospectionCounts, IntrospectionError, IntrospectionOutcome, IntrospectionProblem,
    IntrospectionStatus, IntrospectionUnavailable, Validity,
};

/// Most answers of one issuer that are kept. Which one goes when it is full is the library's choice.
const MOST_ANSWERS: usize = 4096;
/// How long the word counts that a token is not active: whoever sends it again and again is told so without a question, and a
/// token that the server did not know yet is good soon.
const INACTIVE_FOR: Duration = Duration::from_secs(5);
/// How long a question that had no answer is not put again for the same token.
const FAILED_FOR: Duration = Duration::from_secs(1);
/// No asker has more than one part in so many of the questions under way.
const SHARES: usize = 4;
/// Most times of questions that wait to be measured.
const MOST_TIMES: usize = 4096;

/// What a question is about.
#[derive(Debug, Clone)]
enum Subject {
    /// A token that says nothing itself.
    Opaque,
    /// One that its issuer signed.
    Signed(Arc<VerifiedToken>),
}

/// What came of a question.
#[derive(Debug, Clone)]
enum Said {
    Token(Arc<VerifiedToken>),
    Confirmed(StillActive),
    No(IntrospectionProblem),
}

impl Said {
    /// Whether who caused the question has lost what he staked: not for what the server or we are at fault for.
    const fn is_askers_loss(&self) -> bool {
        match self {
            Self::Token(_) | Self::Confirmed(_) => false,
            Self::No(IntrospectionProblem::Inactive | IntrospectionProblem::Token(_)) => true,
            Self::No(IntrospectionProblem::Unavailable(why)) => why.is_of_token(),
        }
    }
}

#[derive(Debug, Clone)]
struct Kept {
    said: Said,
    /// What a signed yes was verified with. It is none any more once the issuer has other keys (G16).
    key_set: Option<KeySetId>,
    validity: Validity,
}

type Landed = watch::Receiver<Option<Kept>>;

/// The questions to one issuer.
pub(crate) struct Introspection {
    config: IntrospectionConfig,
    profile: IssuerProfile,
    keys: Arc<KeptKeys>,
    lines: Lines,
    endpoint: Endpoint,
    upkeep: Upkeep,
    /// Where questions are put, whichever thread waits for the answer.
    runtime: Handle,
    answers: Cache<TokenDigest, Kept>,
    under_way: Mutex<UnderWay>,
    room: Arc<Semaphore>,
    back_off: Mutex<BackOff>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    counts: IntrospectionCounts,
    took: Vec<Duration>,
    told: Told,
}

/// What an issuer is asked with.
pub(crate) struct Means {
    pub(crate) lines: Lines,
    /// For its metadata.
    pub(crate) caller: Caller,
    /// How often metadata is loaded.
    pub(crate) every: Duration,
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Introspection {
    /// Questions that are put on the runtime that this is called on, until they are cancelled.
    pub(crate) fn start(
        config: IntrospectionConfig,
        profile: IssuerProfile,
        keys: Arc<KeptKeys>,
        means: Means,
        upkeep: Upkeep,
    ) -> Arc<Self> {
        let Means { lines, caller, every } = means;
        let endpoint = match &config.endpoint {
            IntrospectionEndpoint::Named(place) => Endpoint::Named(place.clone()),
            IntrospectionEndpoint::Discovered { by } => {
                let (found, place) = watch::channel(None);
                let by_certificate = matches!(config.authentication, ClientAuthentication::Mtls { .. });
                let issuer = profile.issuer.clone();
                let discoverer = Discoverer { caller, by: *by, issuer, by_certificate, every, found };
                upkeep.tasks.spawn(discoverer.run(profile.name.to_string(), upkeep.cancel.clone()));
                Endpoint::Discovered(place)
            }
        };
        Arc::new(Self {
            room: Arc::new(Semaphore::new(config.max_in_flight)),
            config,
            profile,
            keys,
            lines,
            endpoint,
            upkeep,
            runtime: Handle::current(),
            answers: Cache::new(MOST_ANSWERS),
            under_way: Mutex::default(),
            back_off: Mutex::default(),
            seen: Mutex::default(),
        })
    }

    pub(crate) const fn config(&self) -> &IntrospectionConfig {
        &self.config
    }

    /// What the issuer says of an opaque token of its own.
    ///
    /// # Errors
    /// [`IntrospectionProblem`]
    pub(crate) async fn token(
        self: &Arc<Self>,
        raw: &str,
        digest: TokenDigest,
        asker: &dyn Asker,
        now: Timestamp,
    ) -> Result<Believed<Arc<VerifiedToken>>, IntrospectionProblem> {
        let Kept { said, validity, .. } = self.answer(raw, digest, Subject::Opaque, asker, now).await?;
        match said {
            Said::Token(what) => Ok(Believed { what, validity }),
            Said::No(problem) => Err(problem),
            Said::Confirmed(_) => Err(cut_short()),
        }
    }

    /// Whether the issuer says that `token`, which it signed and which came as `raw`, is active.
    ///
    /// # Errors
    /// [`IntrospectionProblem`]
    pub(crate) async fn confirmed(
        self: &Arc<Self>,
        raw: &str,
        digest: TokenDigest,
        token: &Arc<VerifiedToken>,
        asker: &dyn Asker,
        now: Timestamp,
    ) -> Result<Believed<StillActive>, IntrospectionProblem> {
        let subject = Subject::Signed(Arc::clone(token));
        let Kept { said, validity, .. } = self.answer(raw, digest, subject, asker, now).await?;
        match said {
            Said::Confirmed(what) => Ok(Believed { what, validity }),
            Said::No(problem) => Err(problem),
            Said::Token(_) => Err(cut_short()),
        }
    }

    /// What was said, or is said within the time that a decision waits.
    async fn answer(
        self: &Arc<Self>,
        raw: &str,
        digest: TokenDigest,
        subject: Subject,
        asker: &dyn Asker,
        now: Timestamp,
    ) -> Result<Kept, IntrospectionProblem> {
        let mut landed = match self.find_or_begin(raw, digest, subject, asker, now)? {
            Found::Answer(kept) => return Ok(kept),
            Found::Question(landed) => landed,
        };
        let answer = match tokio::time::timeout(self.config.wait, landed.wait_for(Option::is_some)).await {
            Ok(Ok(kept)) => kept.clone(),
            // The question ended without an answer, by a mistake of ours.
            Ok(Err(_abandoned)) => None,
            Err(_elapsed) => return Err(unavailable(IntrospectionUnavailable::NotYet)),
        };
        answer.ok_or_else(cut_short)
    }

    fn find_or_begin(
        self: &Arc<Self>,
        raw: &str,
        digest: TokenDigest,
        subject: Subject,
        asker: &dyn Asker,
        now: Timestamp,
    ) -> Result<Found, IntrospectionProblem> {
        if let Some(kept) = self.kept(&digest, now) {
            return Ok(Found::Answer(kept));
        }
        let mut under_way = self.under_way();
        if let Some(landed) = under_way.question(&digest) {
            return Ok(Found::Question(landed.clone()));
        }
        // It may just have come: an answer is kept before its question is forgotten.
        if let Some(kept) = self.kept(&digest, now) {
            return Ok(Found::Answer(kept));
        }
        let allowed = self.may_ask(asker, &under_way);
        let (room, stake) = allowed.inspect_err(|problem| self.count(IntrospectionOutcome::of(*problem)))?;
        let (landing, landed) = watch::channel(None);
        let asker = asker.key();
        under_way.begin(digest, landed.clone(), asker);
        // A runtime that has ended drops the question at once, here, and that takes the lock again.
        drop(under_way);
        let flight = Flight::new(Arc::clone(self), digest, asker, landing, room);
        self.upkeep.tasks.spawn_on(flight.run(raw.to_owned(), subject, stake), &self.runtime);
        Ok(Found::Question(landed))
    }

    /// Room for one more question of `asker`, who has his share of it and no more, and what he stakes.
    fn may_ask(
        &self,
        asker: &dyn Asker,
        under_way: &UnderWay,
    ) -> Result<(OwnedSemaphorePermit, Stake), IntrospectionProblem> {
        let share = self.config.max_in_flight.div_euclid(SHARES).max(1);
        if asker.key().is_some_and(|asker| under_way.of(asker) >= share) {
            return Err(unavailable(IntrospectionUnavailable::Source));
        }
        let room = Arc::clone(&self.room).try_acquire_owned();
        let room = room.or(Err(unavailable(IntrospectionUnavailable::TooMany)))?;
        // Before the server's state: whoever may not ask is not the one who finds out whether it is back.
        let stake = asker.stake().ok_or(unavailable(IntrospectionUnavailable::Source))?;
        if !lock(&self.back_off).may_ask(Instant::now()) {
            return Err(unavailable(IntrospectionUnavailable::BackingOff));
        }
        Ok((room, stake))
    }

    fn kept(&self, digest: &TokenDigest, now: Timestamp) -> Option<Kept> {
        let kept = self.answers.get(digest).filter(|kept| kept.validity.holds(now))?;
        let by_known_keys =
            kept.key_set.is_none_or(|signed_by| self.keys.keys(now).is_ok_and(|keys| keys.id() == signed_by));
        by_known_keys.then_some(kept)
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        lock(&self.under_way)
    }

    fn count(&self, outcome: IntrospectionOutcome) {
        lock(&self.seen).counts.count(outcome);
    }

    /// Whether its endpoint is kept, if it has to be.
    pub(crate) fn is_attended(&self) -> bool {
        self.endpoint.is_attended()
    }

    /// Empties what was measured.
    pub(crate) fn status(&self) -> IntrospectionStatus {
        let mut seen = lock(&self.seen);
        IntrospectionStatus {
            questions: seen.counts,
            in_flight: self.config.max_in_flight.saturating_sub(self.room.available_permits()),
            took: std::mem::take(&mut seen.took),
            backing_off: lock(&self.back_off).is_pausing(),
        }
    }

    /// The answer to one question, as the issuer's, or why there is none.
    async fn ask(&self, raw: &str, at: Timestamp) -> Result<Answer, IntrospectionError> {
        let place = self.endpoint.place().ok_or(IntrospectionError::Endpoint)?;
        // An answer that could not be verified is not asked for.
        if self.config.form == AnswerForm::Signed && self.keys.keys(at).is_err() {
            return Err(IntrospectionError::Keys);
        }
        let issuer = &self.profile.issuer;
        let document = ask::ask(&self.config, issuer, &self.lines, &place, raw, at).await?;
        match self.config.form {
            AnswerForm::Plain => Ok(Answer::plain(&document)?),
            AnswerForm::Signed => {
                let now = (self.upkeep.clock)();
                let keys = self.keys.keys(now).or(Err(IntrospectionError::Keys))?;
                let answer = Answer::signed(&document, &self.config.client_id, &self.profile, &keys, now);
                Ok(answer.inspect_err(|error| self.look_for_key(*error, now))?)
            }
        }
    }

    /// An answer that no known key has signed may be signed with a new one (G16). It is looked for under a name of its own,
    /// so that answers that stay so ask no more than once.
    fn look_for_key(&self, error: AnswerError, now: Timestamp) {
        if matches!(error, AnswerError::KeyUnknown | AnswerError::SignatureInvalid)
            && let Some(any) = self.profile.algorithms.first()
        {
            let sought = self.keys.sought_key(Some("the key of introspection answers"), *any);
            let _certain = self.keys.unknown_key_seen(sought, now);
        }
    }

    fn judge(&self, answer: Answer, subject: Subject, digest: &TokenDigest) -> Said {
        let active: ActiveAnswer = match answer {
            Answer::Active(active) => active,
            Answer::Inactive => return Said::No(IntrospectionProblem::Inactive),
        };
        match subject {
            Subject::Opaque => match active.token(digest, &self.profile, (self.upkeep.clock)()) {
                Ok(token) => Said::Token(Arc::new(token)),
                Err(error) => Said::No(IntrospectionProblem::Token(error)),
            },
            Subject::Signed(token) => match active.confirms(&token, &self.profile) {
                Ok(still) => Said::Confirmed(still),
                Err(error) => failed(error.into()),
            },
        }
    }

    /// How long what was said counts.
    fn lasts(&self, said: &Said) -> Duration {
        match said {
            Said::Token(_) | Said::Confirmed(_) => self.config.cache,
            Said::No(IntrospectionProblem::Inactive) => self.config.cache.min(INACTIVE_FOR),
            // By a server's or an operator's mistake: what it says may be another thing soon.
            Said::No(IntrospectionProblem::Token(_)) => self.config.cache.min(INACTIVE_FOR),
            Said::No(IntrospectionProblem::Unavailable(_)) => FAILED_FOR,
        }
    }

    fn landed(&self, began: Instant, said: &Said) {
        let now = Instant::now();
        let outcome = match said {
            Said::Token(_) | Said::Confirmed(_) => IntrospectionOutcome::Active,
            Said::No(problem) => IntrospectionOutcome::of(*problem),
        };
        let error = match said {
            Said::No(IntrospectionProblem::Unavailable(IntrospectionUnavailable::Failed(error))) => {
                Some(*error)
            }
            Said::No(
                IntrospectionProblem::Inactive
                | IntrospectionProblem::Token(_)
                | IntrospectionProblem::Unavailable(_),
            )
            | Said::Token(_)
            | Said::Confirmed(_) => None,
        };
        match error {
            Some(error) if error.is_of_server() => lock(&self.back_off).failed(began, now),
            // A whole answer, whatever it says.
            Some(_) | None => lock(&self.back_off).succeeded(),
        }
        let mut seen = lock(&self.seen);
        seen.counts.count(outcome);
        if seen.took.len() < MOST_TIMES {
            seen.took.push(now.saturating_duration_since(began));
        }
        let news = seen.told.of(error, now);
        drop(seen);
        let issuer = self.profile.name.as_str();
        match news {
            Some(News::Failure(error)) => tracing::warn!(issuer, %error, "a token could not be asked about"),
            Some(News::Over) => tracing::info!(issuer, "tokens can be asked about again"),
            None => {}
        }
    }
}

enum Found {
    Answer(Kept),
    Question(Landed),
}

const fn failed(error: IntrospectionError) -> Said {
    Said::No(unavailable(IntrospectionUnavailable::Failed(error)))
}

const fn unavailable(why: IntrospectionUnavailable) -> IntrospectionProblem {
    IntrospectionProblem::Unavailable(why)
}

const fn cut_short() -> IntrospectionProblem {
    unavailable(IntrospectionUnavailable::Failed(IntrospectionError::CutShort))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
