//! The server: Envoy's wire format at one end, the decision in the middle, records at the other end.
//!
//! The way of a request: [`service`](self) takes a Check, `wire::extract` says what was presented, the
//! `decide` crate decides, `record` says what is kept, `wire::respond` answers. `serve` puts it all together.

mod answerer;
pub mod clock;
pub mod config;
mod drain;
mod duties;
mod examination;
mod generations;
mod http;
mod kept;
mod metrics;
mod nonce_secrets;
mod observer;
mod orders;
mod otlp;
mod outcomes;
mod public;
mod receipts;
mod record;
pub mod reference;
mod reloads;
mod replica;
mod report;
mod security_events;
mod serve;
mod service;
mod signals;
mod sinks;
mod state;
mod tenant_tally;
mod tls;
mod traces;
mod trial;
mod validity;
mod wire;
mod workers;

pub use answerer::Answerer;
pub use examination::{
    ToldTime, examine_issuers, examine_nonce_secrets, examine_receipt_key, examine_redis, examine_tls,
};
pub use generations::{GenerationError, build};
pub use nonce_secrets::NonceSecretsError;
pub use otlp::OtlpError;
pub use receipts::ReceiptsError;
pub use security_events::SignalsError;
pub use serve::{ServeError, serve};
pub use sinks::SinkError;
pub use state::StateError;
pub use tls::TlsError;
pub use trial::{Trial, issuer_keys, token_introspection, token_status, try_once};
pub use validity::Validity;
pub use wire::headers::permit_headers;
pub use workers::{MAX_MESSAGE, WorkerError};
