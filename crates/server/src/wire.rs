//! Envoy's wire format: one conversion in, one out. Nothing else of this project knows Envoy's messages.

pub(crate) mod access_log;
pub(crate) mod challenge;
pub(crate) mod extract;
pub(crate) mod headers;
pub(crate) mod metadata;
pub(crate) mod patience;
mod ratelimit;
pub(crate) mod respond;
pub(crate) mod shape;
pub(crate) mod trace_context;
pub(crate) mod trace_state;
