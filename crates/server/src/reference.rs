//! The tables of `docs/reference` whose facts are in the code, as Markdown: `exequatur reference <page>` prints them, and
//! `make reference` puts them into the pages.

mod configuration;
pub(crate) mod headers;
mod metrics;
pub(crate) mod reasons;

pub use configuration::configuration;
pub use headers::headers;
pub use metrics::metrics;
pub use reasons::{meaning, reasons};
