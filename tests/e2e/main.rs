//! Through real Envoy, with real processes.

mod closed_lists;
mod configurations;
mod denied;
mod hardened;
mod permitted;
mod preflight;
mod quiet;
mod reload;
mod stock_client;
mod unavailable;
