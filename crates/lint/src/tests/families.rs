//! One change to the recommended example at a time, and exactly what it brings up.

mod bootstrap;
mod cluster;
mod connection;
mod filters;
mod listener;
mod routes;

use super::{hardened, ids, judged, put};

const LISTENER: &str = "static_resources/listeners/0";
const CHAIN: &str = "static_resources/listeners/0/filter_chains/0";
const MANAGER: &str = "static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
const CLUSTER: &str = "static_resources/clusters/0";
const ADDRESS: &str =
    "static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";

/// Where, what, and the rules that are then broken.
type Case = (&'static str, &'static str, &'static [&'static str]);

fn each(base: &str, cases: &[Case]) {
    for (path, yaml, expected) in cases {
        let mut tree = hardened();
        let path = format!("{base}/{path}");
        put(&mut tree, path.trim_matches('/'), yaml);
        let report = judged(&tree);
        assert_eq!(ids(&report.findings), *expected, "{path}: {yaml} {:#?}", report.findings);
    }
}

/// `at_type: …` for a message of Envoy's.
macro_rules! any {
    ($kind:literal) => {
        concat!("{ \"@type\": type.googleapis.com/", $kind, " }")
    };
    ($kind:literal, $rest:literal) => {
        concat!("{ \"@type\": type.googleapis.com/", $kind, ", ", $rest, " }")
    };
}
macro_rules! filter {
    ($($any:tt)*) => { concat!("{ name: other, typed_config: ", any!($($any)*), " }") };
}

use {any, filter};
