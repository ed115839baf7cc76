//! Who asks: access tokens, DPoP proofs, sender constraints and delegation.
//!
//! Everything here is pure: bytes, keys and `now` go in, evidence or an error comes out. A check returns a
//! type with private fields ([`VerifiedToken`], [`CurrentToken`], [`VerifiedProof`], [`Bound`]) that only
//! that check can make, so a later step that takes the type cannot be reached without it.
//!
//! Text is refused before it is interpreted: sizes, then syntax, then claims, then signatures. There is
//! one parser per syntax, and the bytes that were parsed are the bytes that were signed.
// Tests compute with fixed numbers.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod access;
mod algorithm;
mod authentication;
mod authorization_details;
pub mod base64url;
mod binding;
mod certificate;
mod certificate_name;
mod certified_tenant;
mod claim_names;
mod claims;
mod client_assertion;
mod confirmation;
mod delegation;
mod digest;
mod htu;
mod intent;
mod introspection;
mod issuer;
pub mod json;
mod jws;
mod key;
mod key_set;
mod nonce;
mod numeric_date;
mod proof;
mod scopes;
mod status;
mod status_list;
mod tenant_scope;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod wycheproof;

pub use access::{
    CurrentToken, MAX_ISSUED_AHEAD, TokenError, TokenSize, TokenSource, UnverifiedToken, VerifiedToken,
    WithWords,
};
pub use algorithm::Algorithm;
pub use authentication::Authentication;
pub use authorization_details::{AuthorizationDetail, AuthorizationDetails};
pub use binding::{BindingError, Bound, Constraint, PresentedSender, Scheme, TokenBinding, bind};
pub use certificate::{CertificateError, ClientCertificate};
pub use certificate_name::CertificateName;
pub use certified_tenant::{
    AuthoritiesProblem, CertifiedTenants, ClientAuthorities, PatternProblem, TenantUri,
};
pub use claim_names::{ClaimNames, ClaimWords, OwnSubject, Unmarked, UserClaim};
pub use claims::Claim;
pub use client_assertion::{AssertionKey, AssertionKeyError, ClientAssertion};
pub use confirmation::{BindingUnsupported, Confirmation};
pub use delegation::{Actor, Delegation, DelegationError, MAX_DELEGATION_DEPTH};
pub use digest::{CertificateThumbprint, DigestError, Thumbprint, TokenDigest};
pub use htu::{HtuError, Origin, TargetUri};
pub use intent::Intent;
pub use introspection::{ActiveAnswer, Answer, AnswerError, MAX_ANSWER_AGE, MAX_ANSWER_BYTES, StillActive};
pub use issuer::{
    IdError, IssuerName, IssuerNameError, IssuerProfile, MAX_LEEWAY, ProfileProblem, ScopedId, check_id,
};
pub use jws::{CompactJws, JwsError, JwsLimits, SignerError};
pub use key::{KeyError, PublicKey, SignatureError, SignatureVerified};
pub use key_set::{KeySet, KeySetError, KeySetId, SkipReason, SkippedKey};
pub use nonce::{Epoch, NonceError, NonceScope, NonceSecret, NonceSecretError, Nonces, VerifiedNonce};
pub use numeric_date::{NumericDateError, numeric_date};
pub use proof::{MalformedProof, Proof, ProofError, ProofExpectation, ProofLimits, VerifiedProof};
pub use scopes::{Scopes, ScopesError};
pub use status::StatusReference;
pub use status_list::{StatusList, StatusListError, StatusListSize, StatusRefusal, StatusValid};
pub use tenant_scope::{CertifiedTenantError, TenantScope};
