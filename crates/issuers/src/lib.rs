//! The issuers' keys and status lists: loaded, refreshed, kept; and what they say of their tokens when they are asked.
//!
//! Each issuer has a background task that loads its keys, so that a decision never waits for the network: it takes
//! the last good set or fails. An unknown key id can hasten the next load, at most once per cooldown.
//!
//! A status list is loaded when a token first names it, and then kept by a task of its own. Only for the first load does a
//! decision wait, and no longer than is configured. So it does for what an issuer says of a token ([`IntrospectionConfig`]).

mod address;
mod caller;
mod clients;
mod config;
mod discovery;
mod download;
mod fetch;
mod introspection;
mod issuer;
mod issuers;
mod kept_keys;
mod outcome;
mod refresh;
mod signers;
mod status_lists;
#[cfg(test)]
mod testing;
mod told_time;
mod transport;
mod unknown_keys;

pub use address::AddressProblem;
pub use caller::{Caller, Metadata, Place, Question, Reply};
pub use config::{ConfigProblem, HttpConfig, IssuerConfig, KeySource, KeysConfig};
pub use discovery::{Discovery, MetadataError};
pub use download::DownloadError;
pub use fetch::FetchError;
pub use introspection::{
    AnswerForm, Asker, AskerKey, AssertionAudience, Believed, ClientAuthentication, ClientKey,
    ClientKeyProblem, IntrospectionConfig, IntrospectionCounts, IntrospectionEndpoint, IntrospectionError,
    IntrospectionOutcome, IntrospectionProblem, IntrospectionStatus, IntrospectionUnavailable, OpaqueTokens,
    Stake, TokenPrefix, TokenPrefixProblem, Uncounted, Validity,
};
pub use issuer::Issuer;
pub use issuers::{Issuers, ambiguous};
pub use kept_keys::{IssuerStatus, KeptKeys, KeysUnavailable};
pub use outcome::{LoadCounts, LoadOutcome};
pub use signers::{Clock, IssuersError, Renewal, Signers};
pub use status_lists::{
    ListError, ListPrefix, ListPrefixProblem, ListUnavailable, Listed, ListsStatus, StatusListConfig,
    StatusProblem,
};
pub use told_time::told_time;
pub use transport::{
    Authorities, AuthoritiesProblem, ClientIdentity, ClientIdentityProblem, Proxy, ProxyCredentials,
    ProxyProblem, Transport,
};
pub use unknown_keys::SoughtKey;
