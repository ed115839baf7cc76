//! The whole line through its public face, with real keys, tokens, proofs, policies and a real store. Only
//! the time is made up.
#![expect(clippy::unwrap_used, reason = "what the fixture cannot make, no test can do without")]
#![expect(clippy::indexing_slicing, reason = "claims of tokens and proofs are set by name")]

mod ask;
mod authorization_details;
mod cache;
mod context;
mod defects;
mod denials;
mod federation;
mod introspection;
mod key;
mod key_server;
mod limits;
mod nonces;
mod on_behalf;
mod public;
mod revocations;
mod rotation;
mod routes;
mod signals;
mod sources;
mod status;
mod step_up;
mod world;
