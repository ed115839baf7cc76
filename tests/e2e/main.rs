//! Through real Envoy, with real processes.

mod configurations;
mod denied;
mod hardened;
mod permitted;
mod stock_client;
mod unavailable;
