//! Answers that were given before, so that they need not be worked out again.
//!
//! An answer depends on the policies and on what is asked, and on nothing else; and agents ask the same thing again
//! and again. Where requests are few, working it out is most of what a decision takes beside the signature: the
//! processor has forgotten Cedar's code each time.

use std::fmt;

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use crate::decide::Answer;
use crate::needs::{ContextAttribute, Needs};
use crate::question::{
    AttributeValue, AuthorizationDetail, ContextFacts, Question, ResourceFact, SignalFacts, SubjectSignals,
    TenantFact, Who,
};

/// Most answers kept, of one policy set. One takes at most some 400 bytes.
const MOST: usize = 4096;
/// Most policies that an answer may name to be kept: one that a thousand policies made takes more memory than time.
const MOST_POLICIES: usize = 16;

/// The answers of one policy set, bounded; which of them goes when it is full is the library's choice. They end with
/// the set, so that no answer outlives a reload.
pub(crate) struct Answers(Cache<Print, Answer>);

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").finish_non_exhaustive()
    }
}

impl Answers {
    pub(crate) fn new() -> Self {
        Self(Cache::new(MOST))
    }

    pub(crate) fn get(&self, print: &Print) -> Option<Answer> {
        self.0.get(print)
    }

    pub(crate) fn put(&self, print: Print, answer: &Answer) {
        if answer.policies().len() <= MOST_POLICIES {
            self.0.insert(print, answer.clone());
        }
    }
}

/// SHA-256 over everything in a question that an answer can depend on. Two questions with one print have one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Print([u8; 32]);

impl Print {
    /// None for a question whose answer changes by itself, with time, and for somebody who may not ask again.
    pub(crate) fn of(question: &Question<'_>, needs: &Needs) -> Option<Self> {
        // Each field is named, so that a new one cannot be overlooked.
        let Question { who, principals, action, resource, context } = question;
        let ResourceFact { kind, id, tenant, attributes } = resource;
        let ContextFacts {
            now: _,
            scopes,
            sender_constraint,
            method,
            route,
            // Whoever reads these reads `token` or `authentication`, of which nothing is remembered.
            token_age_s: _,
            token_remaining_s: _,
            token_lifetime_s: _,
            token_source: _,
            authentication: _,
            authorization_details,
            delegation_depth,
            federation,
            signals,
        } = context;
        let (Who::Ready(subject), false) = (who, needs.reads_the_time()) else { return None };
        let signals = match (needs.reads(ContextAttribute::Signals), signals) {
            (false, _) => None,
            (true, Some(signals)) => Some(signals),
            (true, None) => return None,
        };
        let mut fields = Fields::default();
        fields.bytes(&subject.identity);
        for text in [*action, *kind, *id, *method, *route, sender_constraint.as_str()] {
            fields.text(text);
        }
        fields.text(principals.word());
        fields.tenant(tenant.as_ref());
        fields.maybe(*federation);
        fields.number(*delegation_depth);
        fields.count(authorization_details.len());
        authorization_details.iter().for_each(|detail| fields.detail(detail));
        fields.count(scopes.len());
        scopes.iter().for_each(|scope| fields.text(scope));
        fields.count(attributes.len());
        for (name, value) in attributes {
            fields.text(name);
            fields.value(value);
        }
        if let Some(SignalFacts { agent, user, session }) = signals {
            [agent, user, session].into_iter().for_each(|signals| fields.signals(signals));
        }
        Some(Self(fields.finish()))
    }
}

/// Fields one after the other, each with its length or its kind before it: no two rows of fields are the same bytes.
#[derive(Default)]
pub(crate) struct Fields(Sha256);

impl Fields {
    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn maybe(&mut self, text: Option<&str>) {
        self.count(usize::from(text.is_some()));
        text.into_iter().for_each(|text| self.text(text));
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.0.update(count.to_le_bytes());
    }

    fn number(&mut self, number: i64) {
        self.0.update(number.to_le_bytes());
    }

    pub(crate) fn tenant(&mut self, tenant: Option<&TenantFact<'_>>) {
        self.count(usize::from(tenant.is_some()));
        if let Some(TenantFact { name, classification, region }) = tenant {
            self.text(name);
            self.maybe(*classification);
            self.maybe(*region);
        }
    }

    fn detail(&mut self, detail: &AuthorizationDetail<'_>) {
        let AuthorizationDetail { kind, granted, identifier } = detail;
        self.text(kind);
        let (member, values) = granted.values(kind);
        self.text(member);
        self.count(values.len());
        values.iter().for_each(|text| self.text(text));
        self.maybe(*identifier);
    }

    fn signals(&mut self, signals: &SubjectSignals<'_>) {
        let SubjectSignals { risk, device, assurance } = signals;
        self.maybe(*risk);
        self.maybe(*device);
        self.count(assurance.len());
        for (namespace, level) in assurance {
            self.text(namespace);
            self.text(level);
        }
    }

    fn value(&mut self, value: &AttributeValue) {
        match value {
            AttributeValue::String(text) => {
                self.count(0);
                self.text(text);
            }
            AttributeValue::Long(number) => {
                self.count(1);
                self.number(*number);
            }
            AttributeValue::Bool(flag) => {
                self.count(2);
                self.count(usize::from(*flag));
            }
            AttributeValue::Set(values) => {
                self.count(3);
                self.count(values.len());
                values.iter().for_each(|value| self.value(value));
            }
            AttributeValue::Entity { kind, id } => {
                self.count(4);
                self.text(kind);
                self.text(id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
