//! Through real Envoy, with real processes.

mod algorithms;
mod closed_lists;
mod configurations;
mod denied;
mod envoy_lint;
mod fields;
mod hardened;
mod hosts;
mod paths;
mod permitted;
mod preflight;
mod quiet;
mod readings;
mod reload;
mod rotation;
mod stock_client;
mod unavailable;
