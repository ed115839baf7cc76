//! Through real Envoy, with real processes.

mod algorithms;
mod bodies;
mod certificates;
mod challenges;
mod closed_lists;
mod configurations;
mod denied;
mod envoy_lint;
mod fields;
mod forwarded;
mod hardened;
mod hosts;
mod methods;
mod paths;
mod permitted;
mod preflight;
mod quiet;
mod readings;
mod reload;
mod retries;
mod rotation;
mod stock_client;
mod unavailable;
