//! The decision record, version 1. Names, order and meaning of its fields are a public format: fields may be added.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::Text;

/// The version that each line states as `v`.
pub(crate) const VERSION: u8 = 1;

/// What is kept of one decision. What is not known is left out of the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<'a> {
    v: u8,
    /// When it was decided; RFC 3339 in UTC, to the millisecond.
    #[serde(serialize_with = "milliseconds", deserialize_with = "instant")]
    pub time: Timestamp,
    /// The decision's id, as quoted to the caller.
    pub decision: Text<'a>,
    /// What was decided.
    pub verdict: Verdict,
    /// The word of the reason vocabulary.
    pub reason: Text<'a>,
    /// The HTTP status that answers a denial or a fault; 200 for a permit.
    pub status: u16,
    /// The configuration under which it was decided.
    pub generation: u64,
    /// The trace that the request says it belongs to (W3C Trace Context), in hex. It is the caller's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<Text<'a>>,
    /// The route's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Text<'a>>,
    /// What the route means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Text<'a>>,
    /// What the action is done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource<'a>>,
    /// The request's method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Text<'a>>,
    /// The request's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Text<'a>>,
    /// The route's path template. Neither the path nor the query as sent, which may hold secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_template: Option<Text<'a>>,
    /// A digest of what was asked with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Arguments<'a>>,
    /// Parts of the request that the route has recorded; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part<'a>>,
    /// The network peer that sent the request to the proxy: its address, or the begin of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<Text<'a>>,
    /// Who vouches for the identities, by its configured name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Text<'a>>,
    /// The agent that the token was issued to, if another one acts now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Text<'a>>,
    /// The agent that acts now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Text<'a>>,
    /// The user on whose behalf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Text<'a>>,
    /// The tenant of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Text<'a>>,
    /// The rule under which it asked for another tenant's resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub federation: Option<Text<'a>>,
    /// The delegation chain, who acts now first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actors: Vec<Text<'a>>,
    /// The scopes that were needed, and those that the token has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Scopes<'a>>,
    /// What the token was issued for, as its issuer says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Text<'a>>,
    /// A digest of the prompt that led to the request, as the issuer says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_hash: Option<Text<'a>>,
    /// What was checked, with what result.
    #[serde(default, skip_serializing_if = "Controls::is_empty")]
    pub controls: Controls<'a>,
    /// What the policies said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy<'a>>,
    /// What the decision rests on that was not as it should be, and accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<Degraded>,
    /// Controls that are evaluated and not enforced, and would have refused: their reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<Text<'a>>,
    /// How long each stage took.
    pub timings_us: Timings,
}

impl<'a> Record<'a> {
    /// A record of which only the outcome is known yet.
    #[must_use]
    pub fn new(time: Timestamp, decision: Text<'a>, verdict: Verdict, reason: Text<'a>, status: u16) -> Self {
        Self {
            v: VERSION,
            time,
            decision,
            verdict,
            reason,
            status,
            generation: 0,
            trace: None,
            route: None,
            action: None,
            resource: None,
            method: None,
            host: None,
            path_template: None,
            arguments: None,
            parts: Vec::new(),
            peer: None,
            issuer: None,
            client: None,
            agent: None,
            user: None,
            tenant: None,
            federation: None,
            actors: Vec::new(),
            scopes: None,
            purpose: None,
            prompt_hash: None,
            controls: Controls::default(),
            policy: None,
            degraded: Vec::new(),
            observed: Vec::new(),
            timings_us: Timings::default(),
        }
    }
}

/// The three ways in which a decision can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The request goes through.
    Permit,
    /// The caller may not.
    Deny,
    /// It could not be decided, so the request does not go through.
    Fault,
}

/// A digest of what was asked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arguments<'a> {
    /// `sha256:` or, with a key, `hmac:`, and 64 hex digits.
    pub digest: Text<'a>,
    /// Of how much.
    pub of: Covered,
}

/// What a digest is over, beside the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Covered {
    /// Path and query: whether there is a body, or what is in it, was not shown.
    Target,
    /// Path, query and all of the body, which may be empty.
    Request,
}

/// A part of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part<'a> {
    /// Where it stood.
    #[serde(rename = "in")]
    pub place: PartPlace,
    /// What it is called.
    pub name: Text<'a>,
    /// What it was.
    #[serde(flatten)]
    pub value: PartValue<'a>,
}

/// Where a part of a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartPlace {
    /// In a header field.
    Header,
    /// In the query.
    Query,
    /// In the path.
    Path,
}

/// The value of a part of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartValue<'a> {
    /// As it came.
    Value(Text<'a>),
    /// A digest of it: `hmac:` and 64 hex digits.
    Digest(Text<'a>),
}

/// Scopes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scopes<'a> {
    /// Those that the route needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<Text<'a>>,
    /// Those that the token has: the first 32.
    pub held: Vec<Text<'a>>,
    /// How many more it has.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Something that was not as it should be, and accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Degraded {
    /// What is revoked was heard of too long ago.
    RevocationsStale,
    /// The issuer's keys could not be loaded the last time: those of before were used.
    KeysKept,
    /// The issuer's status list could not: the one of before was asked.
    StatusListKept,
}

/// What an action is done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource<'a> {
    /// The resource type, as in the policy schema.
    #[serde(rename = "type")]
    pub kind: Text<'a>,
    /// Its id.
    pub id: Text<'a>,
    /// The tenant that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Text<'a>>,
}

/// What was checked before the policies. What did not come to be checked is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controls<'a> {
    /// The access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenCheck<'a>>,
    /// What binds the token to its sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_constraint: Option<SenderConstraintCheck<'a>>,
    /// What the issuer said of the token; absent where it is not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection: Option<IntrospectionCheck>,
    /// Whether the user was authenticated as the route asks; absent where it does not ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_up: Option<RequirementCheck>,
    /// Whether the token's authorization details grant what the route asks; absent where it does not ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<RequirementCheck>,
    /// Whether anything that the token rests on is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<RevocationCheck>,
    /// What the issuer's status list said of the token; absent for a token that names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusCheck>,
    /// Whether the proof was new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayCheck>,
    /// The proof's nonce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<NonceCheck>,
    /// The names of the limits that had no room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Text<'a>>,
}

impl Controls<'_> {
    fn is_empty(&self) -> bool {
        let Self {
            token,
            sender_constraint,
            introspection,
            step_up,
            authorization_details,
            revocation,
            status,
            replay,
            nonce,
            limits,
        } = self;
        token.is_none()
            && introspection.is_none()
            && sender_constraint.is_none()
            && step_up.is_none()
            && authorization_details.is_none()
            && revocation.is_none()
            && status.is_none()
            && replay.is_none()
            && nonce.is_none()
            && limits.is_empty()
    }
}

/// A token that was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCheck<'a> {
    /// The start of the token id's digest, in hex: enough to find its other records, not to forge anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Text<'a>>,
    /// Whether it had been verified for an earlier request.
    pub cached: bool,
    /// The id of the key set that verified it, or what its issuer said of it; absent where that was not signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_set: Option<Text<'a>>,
    /// Where what is known of it comes from.
    pub source: TokenSource,
}

/// Where what is known of a token comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// The token, which its issuer signed.
    Jwt,
    /// What its issuer said when it was asked.
    Introspection,
}

/// How the token is bound to its sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderConstraintCheck<'a> {
    /// The binding.
    pub kind: SenderConstraint,
    /// The thumbprint of the key, or else of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbprint: Option<Text<'a>>,
}

/// The kinds of binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SenderConstraint {
    /// None: whoever has the token can use it.
    Bearer,
    /// A key that proves itself for each request.
    Dpop,
    /// A client certificate.
    Mtls,
    /// Both.
    DpopMtls,
}

/// Whether a token meets what a route asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequirementCheck {
    /// It does.
    Met,
    /// It does not.
    Unmet,
}

/// What a status list said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusCheck {
    /// The token is valid.
    Valid,
    /// The token is revoked.
    Invalid,
    /// The token is suspended.
    Suspended,
    /// Nothing that is understood.
    Unknown,
    /// It was not asked: no list is taken from where the token says.
    NotAsked,
    /// The list was not there.
    Unavailable,
}

/// What the issuer said of the token when it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntrospectionCheck {
    /// It is active.
    Active,
    /// It is not.
    Inactive,
    /// It is active, and what was said of it does not hold.
    Refused,
    /// Nothing.
    Unavailable,
}

/// What was known of revocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationCheck {
    /// Nothing that the token rests on is revoked.
    Clear,
    /// Nothing was when it was last heard of; that was too long ago, and accepted by the configuration.
    Degraded,
    /// Something is; the reason says what.
    Revoked,
    /// It could not be known.
    Unknown,
}

/// What the replay store said of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayCheck {
    /// New, and now used.
    Fresh,
    /// Used before.
    Replayed,
    /// The store may have forgotten.
    Doubtful,
    /// No room to remember it.
    Full,
    /// Its time was over.
    Expired,
    /// The store did not answer.
    Unavailable,
}

/// What the nonce of a proof was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NonceCheck {
    /// There was none.
    Absent,
    /// There was one, and nothing asked for it.
    Ignored,
    /// Ours, for this key and origin, and recent.
    Valid,
    /// Not so.
    Invalid,
}

/// What the policies said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy<'a> {
    /// The policies that determined the decision, or failed.
    pub ids: Vec<Text<'a>>,
    /// The hash of the policy set.
    pub set_hash: Text<'a>,
}

/// Microseconds per stage of the decision; a stage that was not reached is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// What is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<u64>,
    /// Token, proof, binding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticate: Option<u64>,
    /// Tenant, scopes, sender constraint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<u64>,
    /// The trip to the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admit: Option<u64>,
    /// The policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorize: Option<u64>,
    /// From the arrival of the request to this record.
    pub total: u64,
}

/// RFC 3339 in UTC, to the millisecond.
pub(crate) fn milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

/// The same, read.
pub(crate) fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().or(Err(D::Error::custom("not a time")))
}

#[cfg(test)]
mod tests;
