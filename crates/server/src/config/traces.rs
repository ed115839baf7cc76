//! `traces`: where spans of decisions are sent, and of which.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;

use thiserror::Error;

use super::keys::{Key, map, number, optional, pattern, required};
use super::otlp::{self, OtlpEndpoint};
use super::reader::{Fields, Node, Notes};

/// Enough to see what goes on; a caller can ask for a span with every request of its own.
const MAX_PER_SECOND: usize = 100;
/// More than a replica's queue takes in a second is not promised.
const MAX_PER_SECOND_RANGE: RangeInclusive<usize> = 1..=10_000;
const FROM_PARENT: &str = "from_parent";
/// The whole of a ratio.
const MILLION: u32 = 1_000_000;

/// Where spans of decisions are sent, and of which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// The collector.
    pub otlp: OtlpEndpoint,
    /// Of which decisions.
    pub sample: Sample,
    /// The most spans that are made in a second.
    pub max_per_second: usize,
}

/// Of which decisions there are spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Of requests that belong to no trace: so many of a million. Of others the trace says whether it is recorded.
    pub roots: u32,
}

/// Why a text says of no decisions that they are sampled.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be `from_parent`, or a share such as 5% or 0.01%, above 0% and of at most four decimal places")]
struct Unsampled;

impl Sample {
    fn parse(text: &str) -> Result<Self, Unsampled> {
        if text == FROM_PARENT {
            return Ok(Self::default());
        }
        let share = text.strip_suffix('%').ok_or(Unsampled)?;
        let (whole, part) = share.split_once('.').unwrap_or((share, "0"));
        let digits = |text: &str, most: usize| {
            let fits = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            if fits { text.parse::<u32>().or(Err(Unsampled)) } else { Err(Unsampled) }
        };
        digits(part, 4)?;
        let (whole, part) = (digits(whole, 3)?, digits(&format!("{part:0<4}"), 4)?);
        let roots = whole.saturating_mul(MILLION / 100).saturating_add(part);
        if (1..=MILLION).contains(&roots) { Ok(Self { roots }) } else { Err(Unsampled) }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.roots / (MILLION / 100), self.roots % (MILLION / 100));
        match (self.roots, part) {
            (0, _) => f.write_str(FROM_PARENT),
            (_, 0) => write!(f, "{whole}%"),
            (_, part) => write!(f, "{whole}.{}%", format!("{part:04}").trim_end_matches('0')),
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    required("otlp", "The OpenTelemetry collector that they are sent to (OTLP over gRPC).", || {
        map(otlp::KEYS)
    }),
    optional(
        "sample",
        "`from_parent`: of requests whose trace is recorded. `5%`: of so many of those that belong to no trace, too.",
        || pattern(r"^(from_parent|[0-9]{1,3}(\.[0-9]{1,4})?%)$").default(FROM_PARENT),
    ),
    optional("max_per_second", "The most spans in a second; those beyond are counted.", || {
        number(&MAX_PER_SECOND_RANGE).default(MAX_PER_SECOND)
    }),
];

/// In the form of the file.
pub(super) fn show(traces: &Traces, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "traces:")?;
    otlp::show(&traces.otlp, "  ", f)?;
    writeln!(f, "  sample: {:?}\n  max_per_second: {}", traces.sample.to_string(), traces.max_per_second)
}

pub(super) fn read(node: &Node, folder: &Path, notes: &Notes) -> Option<Traces> {
    let fields = Fields::open(node, KEYS, notes)?;
    let otlp = fields.required("otlp").and_then(|node| otlp::read(node, folder, notes));
    let sample = fields.or("sample", Sample::default(), |node| node.parsed(notes, Sample::parse));
    let max_per_second =
        fields.or("max_per_second", MAX_PER_SECOND, |node| node.number(&MAX_PER_SECOND_RANGE, notes));
    Some(Traces { otlp: otlp?, sample: sample?, max_per_second: max_per_second? })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::show;
    use super::super::tests::{SMALL, mistakes, read};
    use super::*;

    fn traces(otlp: &str, rest: &str) -> Traces {
        let config = read(&format!("{SMALL}traces: {{ otlp: {{ {otlp} }}{rest} }}\n"));
        assert_eq!(read(&show(&config)).traces, config.traces);
        config.traces.unwrap()
    }

    #[test]
    fn a_collector_beside_us_is_enough() {
        for endpoint in
            ["http://127.0.0.1:4317", "http://localhost:4317/", "http://[::1]:4317", "HTTPS://otel:1"]
        {
            let traces = traces(&format!("endpoint: \"{endpoint}\""), "");
            assert_eq!(traces.sample, Sample { roots: 0 }, "{endpoint}");
            assert_eq!((traces.max_per_second, traces.otlp.timeout), (100, Duration::from_secs(10)));
            assert_eq!((traces.otlp.ca_file, traces.otlp.headers_file), (None, None));
        }
        let elsewhere = traces("endpoint: \"http://otel.monitoring:4317\", plaintext: accepted", "");
        assert!(elsewhere.otlp.plaintext);
    }

    #[test]
    fn shares_are_exact() {
        for (share, roots, shown) in [
            ("from_parent", 0, "from_parent"),
            ("5%", 50_000, "5%"),
            ("100%", 1_000_000, "100%"),
            ("0.0001%", 1, "0.0001%"),
            ("012.50%", 125_000, "12.5%"),
        ] {
            let sample = traces("endpoint: \"http://[::1]:1\"", &format!(", sample: {share}")).sample;
            assert_eq!((sample.roots, sample.to_string().as_str()), (roots, shown), "{share}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        const UNSAMPLED: &str = "must be `from_parent`, or a share such as 5% or 0.01%, above 0% and of at most four decimal places";
        const MISNAMED: &str =
            "must be `https://host:port` or `http://host:port`, without user, path and query";
        const HERE: &str = "otlp: { endpoint: \"http://127.0.0.1:4317\" }";
        let with = |more: &str| format!("{HERE}, {more}");
        let endpoint = |endpoint: &str| format!("otlp: {{ endpoint: \"{endpoint}\" }}");
        for (section, mistake) in [
            ("sample: 5%".to_owned(), "key `otlp` is missing"),
            ("otlp: {}".to_owned(), "key `endpoint` is missing"),
            (
                endpoint("http://10.0.0.1:4317"),
                "without TLS, only a collector on a loopback address is sent anything",
            ),
            (
                endpoint("http://localhost.example.com"),
                "without TLS, only a collector on a loopback address is sent anything",
            ),
            (endpoint("https://me:canary@otel"), MISNAMED),
            (endpoint("https://otel/v1/traces"), MISNAMED),
            (endpoint("https://otel/?a"), MISNAMED),
            (endpoint("grpc://otel:4317"), MISNAMED),
            (endpoint("otel:4317"), MISNAMED),
            (endpoint("https://"), MISNAMED),
            (
                "otlp: { endpoint: \"http://otel\", plaintext: accepted, headers_file: h }".to_owned(),
                "`headers_file` without TLS: who listens would know what it says",
            ),
            (
                "otlp: { endpoint: \"http://[::1]\", ca_file: h }".to_owned(),
                "`ca_file` without TLS: nobody shows a certificate",
            ),
            (
                "otlp: { endpoint: \"https://otel\", timeout: 99ms }".to_owned(),
                "must be between 100ms and 1m",
            ),
            (with("sample: 0%"), UNSAMPLED),
            (with("sample: 0.00001%"), UNSAMPLED),
            (with("sample: 100.0001%"), UNSAMPLED),
            (with("sample: -1%"), UNSAMPLED),
            (with("sample: \"%\""), UNSAMPLED),
            (with("sample: 1.%"), UNSAMPLED),
            (with("sample: \"0.5\""), UNSAMPLED),
            (with("sample: 0.5"), "text expected, a number found"),
            (with("max_per_second: 0"), "must be between 1 and 10000"),
            (with("max_per_second: 10001"), "must be between 1 and 10000"),
        ] {
            assert_eq!(
                mistakes(&format!("{SMALL}traces: {{ {section} }}\n")),
                [format!("5: {mistake}")],
                "{section}"
            );
        }
    }

    /// C-16: what the collector knows us by is for nobody else.
    #[test]
    fn headers_are_a_secret() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let text = format!(
            "{SMALL}traces: {{ otlp: {{ endpoint: \"https://otel\", headers_file: {:?} }} }}\n",
            file.path()
        );
        let expected = "5: a secret that others may read or replace (mode 0644): `chmod o-rwx` it";
        assert_eq!(mistakes(&text), [expected]);
    }
}
