//! Which lines somebody looks for.
//!
//! A line is parsed only where it could be one of them: its bytes are searched first for the names that are looked for. A
//! name stands in a line as it is, unless something in it has to be escaped or was escaped without need, and then there is a
//! backslash: a line with a backslash is always parsed. So nothing is missed, however a line was written.

mod names;

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use memchr::memchr;
use memchr::memmem::Finder;

use crate::delegation::{self, Delegation};
use crate::redaction::{DigestKey, Digested};
use crate::view::{LineKind, View, begin};
use names::Names;

/// What an identity's digest begins with, as a JSON string, and what stands before other digests.
const DIGEST: &[u8] = b"\"hmac:";
const OTHER_DIGEST: &[u8] = b"\"digest\":";

/// What is looked for: all of it has to be so (AND). What is not given may be anything.
#[derive(Clone, Debug, Default)]
pub struct Criteria {
    /// An agent, wherever it stands: acting, before that, or as the client; of an order: what it is about.
    pub agent: Option<String>,
    /// The user on whose behalf; of an order: what it is about.
    pub user: Option<String>,
    /// The tenant of the token or of the resource; of an order: what it is about.
    pub tenant: Option<String>,
    /// Who acted for whom.
    pub chain: Option<Delegation>,
    /// The trace, in hex.
    pub trace: Option<String>,
    /// `permit`, `deny` or `fault`.
    pub verdict: Option<String>,
    /// A word of the reason vocabulary.
    pub reason: Option<String>,
    /// The id of the decision, also of an outcome's, or of the order.
    pub decision: Option<String>,
    /// The digest of a token's id; of an order: what it is about.
    pub token: Option<String>,
    /// The first instant.
    pub since: Option<Timestamp>,
    /// The instant before which.
    pub until: Option<Timestamp>,
    /// The kinds of lines; empty for decisions, outcomes, orders and gaps, also a sink's.
    pub kinds: Vec<LineKind>,
    /// The key of digests, if identities may be recorded as such.
    pub key: Option<DigestKey>,
}

/// Decides of lines whether they are looked for.
#[derive(Debug)]
pub struct Filter {
    kinds: Vec<LineKind>,
    interval: Interval,
    agent: Option<Names>,
    user: Option<Names>,
    tenant: Option<Names>,
    chain: Option<(Vec<Names>, bool)>,
    trace: Option<Names>,
    verdict: Option<Names>,
    reason: Option<Names>,
    decision: Option<Names>,
    token: Option<Names>,
    /// For each name that has to be there what it may look like; the rarest first.
    sieve: Vec<Vec<Finder<'static>>>,
    /// What digests begin with, if a name that is looked for is none itself and there is no key.
    digest: Option<Finder<'static>>,
}

/// From one instant up to another, which does not belong to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interval {
    since: Option<(Timestamp, String)>,
    until: Option<(Timestamp, String)>,
}

/// What a line is to a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is looked for.
    Wanted,
    /// It is not.
    Other,
    /// It is no record: torn, damaged, or of somebody else.
    NoRecord,
}

impl Interval {
    /// Times of records are cut to milliseconds, so that an instant between two of them means the next one.
    pub(crate) fn new(since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        let bound = |instant: Timestamp| {
            let millis = instant.as_millisecond();
            let cut = Timestamp::from_millisecond(millis).unwrap_or(instant);
            let up = if cut < instant { cut.checked_add(SignedDuration::from_millis(1)) } else { Ok(cut) };
            let up = up.unwrap_or(Timestamp::MAX);
            (up, format!("{up:.3}"))
        };
        Self { since: since.map(bound), until: until.map(bound) }
    }

    pub(crate) fn holds(&self, time: Timestamp) -> bool {
        self.since.as_ref().is_none_or(|(since, _)| time >= *since)
            && self.until.as_ref().is_none_or(|(until, _)| time < *until)
    }

    /// The same of a time as we write it.
    pub(crate) fn holds_text(&self, time: &[u8]) -> bool {
        self.since.as_ref().is_none_or(|(_, since)| time >= since.as_bytes())
            && self.until.as_ref().is_none_or(|(_, until)| time < until.as_bytes())
    }
}

impl Filter {
    /// A filter.
    #[must_use]
    pub fn new(criteria: &Criteria) -> Self {
        let key = criteria.key.as_ref();
        let identity = |name: &Option<String>, kind| name.as_ref().map(|name| Names::of(name, &[kind], key));
        let exact = |text: &Option<String>| text.as_ref().map(|text| Names::exact(text));
        let either = [Digested::User, Digested::Agent];
        let chain = criteria.chain.as_ref().map(|chain| {
            let names = chain.names.iter().map(|name| Names::of(name, &either, key)).collect::<Vec<_>>();
            (names, chain.handed_on)
        });
        let kinds = match criteria.kinds.as_slice() {
            [] => {
                vec![LineKind::Decision, LineKind::Outcome, LineKind::Order, LineKind::Gap, LineKind::SinkGap]
            }
            kinds => kinds.to_vec(),
        };
        let mut filter = Self {
            kinds,
            interval: Interval::new(criteria.since, criteria.until),
            agent: identity(&criteria.agent, Digested::Agent),
            user: identity(&criteria.user, Digested::User),
            tenant: identity(&criteria.tenant, Digested::Tenant),
            chain,
            trace: criteria.trace.as_ref().map(|trace| Names::exact(&trace.to_ascii_lowercase())),
            verdict: exact(&criteria.verdict),
            reason: exact(&criteria.reason),
            decision: exact(&criteria.decision),
            token: exact(&criteria.token),
            sieve: Vec::new(),
            digest: None,
        };
        filter.sieve = filter.sieve();
        if key.is_none() && filter.asks_for_a_plain_name() {
            filter.digest = Some(Finder::new(DIGEST).into_owned());
        }
        filter
    }

    /// What a line is.
    #[must_use]
    pub fn judge(&self, line: &[u8]) -> Judged {
        let ours = begin(line).filter(|_| line.ends_with(b"}"));
        let cannot = |(kind, time): (LineKind, &[u8])| {
            !self.kinds.contains(&kind) || !self.interval.holds_text(time) || !self.may_match(line)
        };
        if ours.is_some_and(cannot) {
            return Judged::Other;
        }
        match View::of(line) {
            None => Judged::NoRecord,
            Some(view) if self.wants(&view) => Judged::Wanted,
            Some(_) => Judged::Other,
        }
    }

    /// Whether the line shows that a name that is looked for could stand there as a digest, which is not known without the key.
    #[must_use]
    pub fn meets_digest(&self, line: &[u8]) -> bool {
        let Some(digest) = &self.digest else { return false };
        // Those of what was asked with stand in most lines, and are none of an identity.
        let other = |at: usize| line.get(..at).is_some_and(|before| before.ends_with(OTHER_DIGEST));
        let shown = digest.find_iter(line).any(|at| !other(at));
        if !shown && memchr(b'\\', line).is_none() {
            return false;
        }
        match View::of(line) {
            Some(view) => {
                view.time.is_some_and(|time| self.interval.holds(time)) && self.is_digested_in(&view)
            }
            // Nobody knows where it stands.
            None => shown && begin(line).is_none_or(|(_, time)| self.interval.holds_text(time)),
        }
    }

    fn asks_for_a_plain_name(&self) -> bool {
        let chain = self.chain.iter().flat_map(|(names, _)| names);
        chain.chain([&self.agent, &self.user, &self.tenant].into_iter().flatten()).any(Names::are_plain)
    }

    /// Whether an identity of a kind that is looked for stands there as a digest.
    fn is_digested_in(&self, view: &View<'_>) -> bool {
        let plain = |names: &Option<Names>| names.as_ref().is_some_and(Names::are_plain);
        let chain = self.chain.iter().flat_map(|(names, _)| names).any(Names::are_plain);
        let digest = |name: &Option<Cow<'_, str>>| name.as_deref().is_some_and(names::is_digest);
        let agent = plain(&self.agent) || chain;
        let is_agent = digest(&view.agent)
            || digest(&view.client)
            || view.actors.iter().any(|actor| names::is_digest(actor));
        let about = match view.about.as_deref() {
            Some("agent" | "client") => plain(&self.agent),
            Some("user") => plain(&self.user),
            Some("tenant") => plain(&self.tenant),
            Some(_) | None => false,
        };
        (agent && is_agent)
            || ((plain(&self.user) || chain) && digest(&view.user))
            || (plain(&self.tenant) && (digest(&view.tenant) || digest(&view.resource_tenant)))
            || (about && digest(&view.name))
    }

    /// When what is looked for was written.
    pub(crate) const fn interval(&self) -> &Interval {
        &self.interval
    }

    /// Whether each name could stand in the line.
    pub(crate) fn may_match(&self, line: &[u8]) -> bool {
        let there = |group: &Vec<Finder<'_>>| group.iter().any(|name| name.find(line).is_some());
        self.sieve.iter().all(there) || memchr(b'\\', line).is_some()
    }

    pub(crate) fn wants(&self, view: &View<'_>) -> bool {
        let Some((kind, time)) = view.kind.zip(view.time) else { return false };
        if !self.kinds.contains(&kind) || !self.interval.holds(time) {
            return false;
        }
        let is = |names: &Option<Names>, text: &Option<_>| {
            names.as_ref().is_none_or(|names| names.are_of(text.as_deref()))
        };
        match kind {
            LineKind::Decision => {
                is(&self.verdict, &view.verdict)
                    && is(&self.reason, &view.reason)
                    && is(&self.trace, &view.trace)
                    && is(&self.decision, &view.id)
                    && is(&self.user, &view.user)
                    && is(&self.token, &view.token)
                    && self.is_tenant_of(view)
                    && self.is_agent_of(view)
                    && self.is_chain_of(view)
            }
            LineKind::Order => {
                let none = (&self.verdict, &self.reason, &self.trace, &self.chain);
                matches!(none, (None, None, None, None))
                    && is(&self.decision, &view.id)
                    && self.is_about(&self.agent, &["agent", "client"], view)
                    && self.is_about(&self.user, &["user"], view)
                    && self.is_about(&self.tenant, &["tenant"], view)
                    && self.is_about_token(view)
            }
            LineKind::Outcome => self.asks_for_no_more_than_an_id() && is(&self.decision, &view.id),
            LineKind::Gap | LineKind::SinkGap | LineKind::Header | LineKind::Checkpoint => {
                self.asks_for_no_more_than_an_id() && self.decision.is_none()
            }
        }
    }

    const fn asks_for_no_more_than_an_id(&self) -> bool {
        let Self {
            kinds: _,
            interval: _,
            agent,
            user,
            tenant,
            chain,
            trace,
            verdict,
            reason,
            decision: _,
            token,
            sieve: _,
            digest: _,
        } = self;
        agent.is_none()
            && user.is_none()
            && tenant.is_none()
            && chain.is_none()
            && trace.is_none()
            && verdict.is_none()
            && reason.is_none()
            && token.is_none()
    }

    fn is_tenant_of(&self, view: &View<'_>) -> bool {
        let Some(names) = &self.tenant else { return true };
        names.are_of(view.tenant.as_deref()) || names.are_of(view.resource_tenant.as_deref())
    }

    fn is_agent_of(&self, view: &View<'_>) -> bool {
        let Some(names) = &self.agent else { return true };
        names.are_of(view.agent.as_deref())
            || names.are_of(view.client.as_deref())
            || view.actors.iter().any(|actor| names.are_of(Some(&**actor)))
    }

    fn is_chain_of(&self, view: &View<'_>) -> bool {
        let Some((chain, handed_on)) = &self.chain else { return true };
        let names = delegation::of(view);
        let length = names.len() == chain.len() || (*handed_on && names.len() > chain.len());
        length && chain.iter().zip(names).all(|(one, name)| one.are_of(Some(&**name)))
    }

    fn is_about(&self, names: &Option<Names>, kinds: &[&str], view: &View<'_>) -> bool {
        let Some(names) = names else { return true };
        view.about.as_deref().is_some_and(|about| kinds.contains(&about))
            && names.are_of(view.name.as_deref())
    }

    /// An order names a token with its issuer: `corp:<digest>`.
    fn is_about_token(&self, view: &View<'_>) -> bool {
        let Some(names) = &self.token else { return true };
        let name = view.name.as_deref().filter(|_| view.about.as_deref() == Some("token"));
        names.are_of(name) || name.is_some_and(|name| names.are_of(name.rsplit(':').next()))
    }

    /// The rarest first.
    fn sieve(&self) -> Vec<Vec<Finder<'static>>> {
        let chain = self.chain.iter().flat_map(|(names, _)| names);
        let alone = [&self.decision, &self.trace].into_iter().flatten();
        let rest = [&self.user, &self.agent, &self.tenant, &self.reason, &self.verdict].into_iter().flatten();
        let token = self.token.iter().map(Names::ends);
        alone.map(Names::whole).chain(token).chain(chain.chain(rest).map(Names::whole)).collect()
    }
}

#[cfg(test)]
mod tests;
