//! The laws that `make fuzz` tries to break, a module for each target with a function `run`.
//!
//! A law that does not hold panics. The same functions run over the kept corpora in `make test`
//! (`tests/corpora`), so that a finding, once mended, stays so.

pub mod audit_line;
pub mod check_request;
pub mod check_request_structured;
pub mod client_certificate;
pub mod config_yaml;
pub mod credentials;
pub mod dpop_proof;
pub mod envoy_lint;
pub mod gate;
pub mod host;
pub mod htu;
pub mod jws_compact;
pub mod key_set;
pub mod nonce;
pub mod policy_tests;
pub mod request_path;
pub mod route_pattern;
pub mod security_event;
pub mod signed;
pub mod strict_json;

/// A target's function.
pub type Law = fn(&[u8]);

/// Every target by the name of its binary and of its folder in `corpus`.
pub const TARGETS: &[(&str, Law)] = &[
    ("audit_line", audit_line::run),
    ("check_request", check_request::run),
    ("check_request_structured", check_request_structured::run),
    ("client_certificate", client_certificate::run),
    ("config_yaml", config_yaml::run),
    ("credentials", credentials::run),
    ("dpop_proof", dpop_proof::run),
    ("envoy_lint", envoy_lint::run),
    ("host", host::run),
    ("htu", htu::run),
    ("jws_compact", jws_compact::run),
    ("key_set", key_set::run),
    ("nonce", nonce::run),
    ("policy_tests", policy_tests::run),
    ("request_path", request_path::run),
    ("route_pattern", route_pattern::run),
    ("security_event", security_event::run),
    ("strict_json", strict_json::run),
];
