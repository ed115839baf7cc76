//! Keys and status lists under fire: issuers that misbehave, over real sockets, in a time that only the test moves.
#![expect(clippy::unwrap_used, reason = "what the fixture cannot make, no test can do without")]
#![expect(clippy::indexing_slicing, reason = "a fixture indexes what it has just made")]

mod authority;
mod discovery;
mod failures;
mod flood;
mod introspection;
mod lists;
mod proxy;
mod rotation;
mod server;
mod signed;
mod time;
mod transport;
mod world;
