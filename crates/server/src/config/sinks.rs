//! `records.sinks`: where the lines of records go beside the file.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use exequatur_audit::{Facility, Format, Sink, SyslogAddress};

use super::keys::{Key, Shape, list, map, number, optional, pattern, required, text, words};
use super::otlp::{self, OtlpEndpoint};
use super::reader::{Fields, Node, Notes, once};
use super::resolve;

/// More than anyone sends the same lines to.
const MOST: usize = 8;
const NAME: &str = "^[a-z0-9-]{1,32}$";
const QUEUE_RANGE: RangeInclusive<usize> = 1..=1_000_000;
/// From what each receiver must take (RFC 5424 §6.1) to what no datagram is longer than.
const BYTES_RANGE: RangeInclusive<usize> = 480..=65_507;
/// Most records have about 1 KB.
const BYTES: usize = 8192;
const PLACES: [&str; 4] = ["stdout", "file", "syslog", "otlp"];

pub(super) const FORMATS: &[(&str, Format)] = &Format::WORDS;
const FACILITIES: &[(&str, Facility)] = &[
    ("auth", Facility::Auth),
    ("authpriv", Facility::AuthPriv),
    ("audit", Facility::Audit),
    ("local0", Facility::Local0),
    ("local1", Facility::Local1),
    ("local2", Facility::Local2),
    ("local3", Facility::Local3),
    ("local4", Facility::Local4),
    ("local5", Facility::Local5),
    ("local6", Facility::Local6),
    ("local7", Facility::Local7),
];

/// A place that lines of records go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkConfig {
    /// What it is called in logs and metrics.
    pub name: String,
    /// The form of its lines.
    pub format: Format,
    /// How many lines may wait for it.
    pub queue: usize,
    /// Where it is.
    pub place: SinkPlace,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkPlace {
    /// The process's standard output.
    Stdout,
    /// A file, a device, or a pipe that has its reader.
    File(PathBuf),
    /// A syslog receiver.
    Syslog {
        /// Where it is.
        address: SyslogAddress,
        /// What messages say they are from.
        facility: Facility,
        /// The longest message that it takes.
        max_bytes: usize,
    },
    /// An OpenTelemetry collector, which gets log records.
    Otlp(OtlpEndpoint),
}

impl SinkPlace {
    /// Whether lines for both end up in one place, as far as their names tell.
    pub(super) fn is_also(&self, other: &Self) -> bool {
        self == other || (self.is_stdout() && other.is_stdout())
    }

    fn is_stdout(&self) -> bool {
        match self {
            Self::Stdout => true,
            Self::File(path) => path == Path::new("/dev/stdout"),
            Self::Syslog { .. } | Self::Otlp(_) => false,
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    required("name", "In logs and metrics; unique.", || pattern(NAME)),
    optional(
        "format",
        "The form of its lines: `own` is that of the file, byte for byte; `ocsf` and `ecs` are those of collectors.",
        || words(FORMATS).default("own"),
    ),
    optional(
        "queue",
        "Lines that may wait for it; for those beyond, and those that it does not take, it is told how many there are.",
        || number(&QUEUE_RANGE).default(Sink::QUEUE.get()),
    ),
    optional("stdout", "The process's standard output.", || map(&[])),
    optional(
        "file",
        "Lines, appended to, created with mode 0600; or a device, or a pipe that is read.",
        text,
    ),
    optional("syslog", "A syslog receiver (RFC 5424).", || map(SYSLOG_KEYS)),
    optional("otlp", "An OpenTelemetry collector, as log records (OTLP over gRPC).", || map(otlp::KEYS)),
];

const SYSLOG_KEYS: &[Key] = &[
    required(
        "address",
        "`unix:<path>` (datagrams), `udp:<host>:<port>`, or `tcp:<host>:<port>` (octet counting, RFC 6587).",
        || pattern("^(unix:.+|(udp|tcp):.+:[0-9]+)$"),
    ),
    optional("facility", "What the messages say they are from.", || words(FACILITIES).default("local0")),
    optional(
        "max_bytes",
        "The longest message that it takes. A longer one is not sent, and counted.",
        || number(&BYTES_RANGE).default(BYTES),
    ),
];

pub(super) fn shape() -> Shape {
    let sink = map(KEYS).exactly_one(&PLACES);
    list(sink).at_most_items(MOST)
}

pub(super) fn read(node: &Node, folder: &Path, notes: &Notes) -> Option<Vec<SinkConfig>> {
    let mut names = Vec::new();
    let sinks: Vec<SinkConfig> = node.each(notes, |node| sink(node, folder, notes, &mut names))?;
    for (one, sink) in sinks.iter().enumerate() {
        let before = sinks.iter().take(one).find(|before| before.place.is_also(&sink.place));
        if let Some(before) = before {
            notes.add(node.place, format!("the sinks `{}` and `{}` are one place", before.name, sink.name));
        }
    }
    if sinks.len() > MOST {
        notes.add(node.place, format!("at most {MOST} are served"));
        return None;
    }
    Some(sinks)
}

fn sink(node: &Node, folder: &Path, notes: &Notes, names: &mut Vec<String>) -> Option<SinkConfig> {
    let fields = Fields::open(node, KEYS, notes)?;
    let name = fields.required("name").and_then(|node| {
        let name = node.text(notes)?;
        let fits = (1..=32).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !fits {
            notes.add(node.place, "a name is 1 to 32 of the characters a-z, 0-9 and `-`");
            return None;
        }
        once(name, names, node.place, notes).then(|| name.to_owned())
    });
    let format = fields.or("format", Format::Own, |node| node.word(FORMATS, notes));
    let queue = fields.or("queue", Sink::QUEUE.get(), |node| node.number(&QUEUE_RANGE, notes));
    let places: Vec<_> = PLACES.iter().filter_map(|key| fields.entry(key)).collect();
    let place = match places.as_slice() {
        [] => {
            notes.add(node.place, format!("one of {} is missing", quoted()));
            None
        }
        [entry] => match entry.key.as_str() {
            "stdout" => Fields::open(&entry.value, &[], notes).map(|_| SinkPlace::Stdout),
            "file" => entry.value.text(notes).map(|path| SinkPlace::File(resolve(folder, path))),
            "otlp" => otlp::read(&entry.value, folder, notes).map(SinkPlace::Otlp),
            _ => syslog(&entry.value, folder, notes),
        },
        [_, second, ..] => {
            notes.add(second.key_place, format!("only one of {}: each sink is one place", quoted()));
            None
        }
    };
    Some(SinkConfig { name: name?, format: format?, queue: queue?, place: place? })
}

fn quoted() -> String {
    PLACES.map(|key| format!("`{key}`")).join(", ")
}

fn syslog(node: &Node, folder: &Path, notes: &Notes) -> Option<SinkPlace> {
    let fields = Fields::open(node, SYSLOG_KEYS, notes)?;
    let address = fields.required("address").and_then(|node| {
        let text = node.text(notes)?;
        let address = address(text, folder);
        if address.is_none() {
            notes.hint(node.place, format!("`{text}` is no address of a syslog receiver"), "unix:/dev/log");
        }
        address
    });
    let facility = fields.or("facility", Facility::Local0, |node| node.word(FACILITIES, notes));
    let max_bytes = fields.or("max_bytes", BYTES, |node| node.number(&BYTES_RANGE, notes));
    Some(SinkPlace::Syslog { address: address?, facility: facility?, max_bytes: max_bytes? })
}

fn address(text: &str, folder: &Path) -> Option<SyslogAddress> {
    let (kind, rest) = text.split_once(':')?;
    let host_and_port = || {
        let (host, port) = rest.rsplit_once(':')?;
        let known = !host.is_empty()
            && !host.contains(['/', '@', ' '])
            && port.parse::<u16>().is_ok_and(|port| port > 0);
        known.then(|| rest.to_owned())
    };
    match kind {
        "unix" if !rest.is_empty() => Some(SyslogAddress::Unix(resolve(folder, rest))),
        "udp" => host_and_port().map(SyslogAddress::Udp),
        "tcp" => host_and_port().map(SyslogAddress::Tcp),
        _ => None,
    }
}

/// In the form of the file.
pub(super) fn show(sinks: &[SinkConfig], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if sinks.is_empty() {
        return writeln!(f, "  sinks: []");
    }
    writeln!(f, "  sinks:")?;
    sinks.iter().try_for_each(|SinkConfig { name, format, queue, place }| {
        writeln!(f, "    - name: {name}\n      format: {}\n      queue: {queue}", word(FORMATS, format))?;
        match place {
            SinkPlace::Stdout => writeln!(f, "      stdout: {{}}"),
            SinkPlace::File(path) => writeln!(f, "      file: {path:?}"),
            SinkPlace::Otlp(otlp) => otlp::show(otlp, "      ", f),
            SinkPlace::Syslog { address, facility, max_bytes } => {
                let address = match address {
                    SyslogAddress::Unix(path) => format!("unix:{}", path.display()),
                    SyslogAddress::Udp(address) => format!("udp:{address}"),
                    SyslogAddress::Tcp(address) => format!("tcp:{address}"),
                };
                let facility = word(FACILITIES, facility);
                writeln!(f, "      syslog:\n        address: {address:?}\n        facility: {facility}")?;
                writeln!(f, "        max_bytes: {max_bytes}")
            }
        }
    })
}

fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    words.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word)
}
