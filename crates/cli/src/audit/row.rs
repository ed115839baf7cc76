//! Lines of records as rows for a terminal.

use std::io::{BufWriter, IsTerminal as _, StdoutLock, Write as _};

use exequatur_audit::{Came, Event, LineKind};
use serde_json::Value;

use crate::exit::Failure;
use crate::output::{harmless, plain, quoted};

/// Longest text of a name in a row; `audit show` has all of it.
const MOST: usize = 80;
/// What is shown of a digest.
const DIGEST: usize = 17;
/// How far what is folded is set in.
const INDENT: usize = 4;
/// The least width that rows are folded to.
const NARROWEST: usize = 40;

/// A row: cells, each with the width of its column.
pub(super) type Row = Vec<Cell>;

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    text: String,
    width: usize,
    tone: Tone,
}

/// How a cell stands out, in a terminal that has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
    Worse,
    Order,
    Quiet,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "32",
            Self::Bad => "33",
            Self::Worse => "1;31",
            Self::Order => "35",
            Self::Quiet => "2",
        }
    }
}

impl Cell {
    /// One that is as wide as its text.
    fn new(text: String, tone: Tone) -> Self {
        Self { text, width: 0, tone }
    }

    fn of(text: String, width: usize, tone: Tone) -> Self {
        Self { text, width, tone }
    }
}

/// The titles of the columns.
pub(super) fn titles() -> Row {
    let title = |text: &str, width| Cell::of(text.to_owned(), width, Tone::Quiet);
    let [time, what, why, who] = ["TIME (UTC)", "WHAT", "REASON", "USER > … > AGENT"];
    vec![
        title(time, 23),
        title(what, 7),
        title(why, 18),
        title(who, 34),
        title("ACTION, RESOURCE", 32),
        title("ID", 0),
    ]
}

/// The row of a line.
pub(super) fn row(record: &Value) -> Row {
    let text = |member: &str| record.get(member).map(name);
    if let Some(id) = text("decision") {
        return vec![
            time(record),
            verdict(record),
            reason(record),
            who(record),
            doing(record),
            Cell::new(id, Tone::Quiet),
        ];
    }
    if let Some(id) = text("outcome_of") {
        let came = Cell::of(outcome(record), 54, Tone::Plain);
        return vec![time(record), what("outcome", Tone::Quiet), came, Cell::new(id, Tone::Quiet)];
    }
    if let Some(id) = text("admin") {
        return order(record, id);
    }
    if let Some(count) = record.get("gap").and_then(Value::as_u64) {
        let told = format!("{count} decisions before this have no record: they could not be written");
        return vec![time(record), what("gap", Tone::Worse), Cell::new(told, Tone::Worse)];
    }
    if let Some(missing) = record.get("sink_gap") {
        let count = missing.get("lines").map(name).unwrap_or_default();
        let told = format!("{count} lines before this are missing in this copy: its sink did not take them");
        return vec![time(record), what("gap", Tone::Worse), Cell::new(told, Tone::Worse)];
    }
    if let Some(open) = record.get("open") {
        return vec![time(record), what("begin", Tone::Quiet), Cell::new(header(open), Tone::Quiet)];
    }
    if let Some(checkpoint) = record.get("checkpoint") {
        let ends = format!("writer {} ends: it was stopped", writer(checkpoint));
        return vec![time(record), what("end", Tone::Quiet), Cell::new(ends, Tone::Quiet)];
    }
    vec![time(record), what("?", Tone::Worse)]
}

fn what(text: &str, tone: Tone) -> Cell {
    Cell::of(text.to_owned(), 7, tone)
}

fn time(record: &Value) -> Cell {
    let text = record.get("time").map(name).unwrap_or_default();
    let text = text.strip_suffix('Z').map_or_else(|| text.clone(), |text| text.replacen('T', " ", 1));
    Cell::of(text, 23, Tone::Plain)
}

fn verdict(record: &Value) -> Cell {
    let verdict = record.get("verdict").map(name).unwrap_or_default();
    let tone = match verdict.as_str() {
        "permit" => Tone::Good,
        "deny" => Tone::Bad,
        _ => Tone::Worse,
    };
    Cell::of(verdict, 7, tone)
}

fn reason(record: &Value) -> Cell {
    Cell::of(record.get("reason").map(name).unwrap_or_default(), 18, Tone::Plain)
}

/// As `--chain` has it: the user, the client, the actors.
fn who(record: &Value) -> Cell {
    let line = record.to_string();
    let names = exequatur_audit::Delegation::of_record(line.as_bytes()).map(|chain| chain.names);
    let names: Vec<_> = names.unwrap_or_default().iter().map(|text| short(text)).collect();
    let text = if names.is_empty() { "nobody known".to_owned() } else { names.join(" > ") };
    Cell::of(text, 34, Tone::Plain)
}

fn doing(record: &Value) -> Cell {
    let text = |member: &str| record.get(member).map(name);
    let resource = |member: &str| record.get("resource").and_then(|resource| resource.get(member)).map(name);
    let request = || Some([text("method"), text("host")].into_iter().flatten().collect::<Vec<_>>().join(" "));
    let action = text("action").or_else(|| text("route")).or_else(request);
    let tenant = resource("tenant").or_else(|| text("tenant")).map(|tenant| format!("({tenant})"));
    let all = [action, resource("type"), resource("id"), tenant];
    Cell::of(all.into_iter().flatten().collect::<Vec<_>>().join(" "), 32, Tone::Plain)
}

/// What came of a request.
fn outcome(outcome: &Value) -> String {
    let text = |member: &str| outcome.get(member).map(name);
    let mut said = text("status").unwrap_or_else(|| "no answer".to_owned());
    if let Some(by) = text("answered_by") {
        said.push_str(&format!(" by the {by}"));
    }
    if let Some(micros) = outcome.get("duration_us").and_then(Value::as_u64) {
        said.push_str(&format!(" in {}", duration(micros)));
    }
    if let Some(by) = text("aborted_by") {
        said.push_str(&format!(", aborted by the {by}"));
    }
    if outcome.get("reached_upstream") == Some(&Value::Bool(false)) {
        said.push_str(", upstream not reached");
    }
    said
}

fn duration(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..1_000_000 => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
        _ => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    }
}

/// What an operator, or a security event, ordered.
fn order(record: &Value, id: String) -> Row {
    let text = |member: &str| record.get(member).map(name);
    let action = text("action").unwrap_or_default();
    let (came_to, tone) = match record.get("outcome").and_then(Value::as_str) {
        Some("done") => (String::new(), Tone::Order),
        Some("ordered") => (" (ordered)".to_owned(), Tone::Order),
        Some(_) | None => (format!(" ({})", text("outcome").unwrap_or_default()), Tone::Worse),
    };
    let by = [text("actor"), text("claimed").map(|claimed| format!("({claimed})"))];
    let by = by.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let word = |word: &str, member: &str| text(member).map(|text| format!("{word} {text}"));
    let about = [
        text("kind"),
        text("name"),
        word("limit", "limit"),
        word("to", "allowed"),
        word("issued before", "not_before"),
        word("until", "until"),
    ];
    let about = about.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let mut row = vec![
        time(record),
        what("order", tone),
        Cell::of(format!("{action}{came_to}"), 18, tone),
        Cell::of(format!("by {by}"), 34, Tone::Plain),
        Cell::of(about, 32, Tone::Plain),
    ];
    row.extend(word("because:", "reason").map(|because| Cell::new(because, Tone::Plain)));
    row.extend(word("error:", "error").map(|error| Cell::new(error, Tone::Worse)));
    row.push(Cell::new(id, Tone::Quiet));
    row
}

/// The begin of its name, which is at random.
fn writer(line: &Value) -> String {
    cut(&line.get("writer").map(name).unwrap_or_default(), 9)
}

fn header(open: &Value) -> String {
    let mut said = match open.get("continues") {
        Some(_) => format!("writer {} goes on from the line before", writer(open)),
        None => format!("writer {} begins a chain of its own", writer(open)),
    };
    if let Some(bytes) = open.get("torn").and_then(|torn| torn.get("bytes")).and_then(Value::as_u64) {
        said.push_str(&format!(", after {bytes} bytes of a line that was never ended: the one before was killed, or the disk full"));
    }
    if let Some(bytes) = open.get("unchained").and_then(Value::as_u64) {
        said.push_str(&format!(", after {bytes} bytes without a chain"));
    }
    said
}

/// The row of an event of a timeline: what came of it and what it rests on beside it.
pub(super) fn event(event: &Event, record: &Value) -> Row {
    let mut row = row(record);
    if event.kind == LineKind::Decision {
        let id = row.pop();
        row.push(Cell::of(format!("→ {}", came(event, record)), 32, Tone::Plain));
        row.extend(rests_on(record));
        row.extend(id);
    }
    if event.disordered {
        row.push(Cell::new("(later than it is dated: a clock was set)".to_owned(), Tone::Worse));
    }
    row
}

fn came(event: &Event, record: &Value) -> String {
    match &event.came {
        Came::Nothing => {
            let status = record.get("status").map(name).unwrap_or_default();
            format!("answered with {status}, went no further")
        }
        Came::NotYet => "no outcome within 30 s".to_owned(),
        Came::Never => "no outcome".to_owned(),
        Came::Reported(line) => {
            serde_json::from_slice(line).map_or_else(|_| "an outcome".to_owned(), |line| outcome(&line))
        }
    }
}

/// The token and the policies that a decision rests on.
fn rests_on(record: &Value) -> Vec<Cell> {
    let at = |path: &[&str]| path.iter().try_fold(record, |value, member| value.get(member));
    let token = at(&["controls", "token", "digest"]).map(|digest| format!("token {}", name(digest)));
    let policies = at(&["policy", "ids"])
        .and_then(Value::as_array)
        .filter(|ids| !ids.is_empty())
        .map(|ids| format!("policy {}", ids.iter().map(name).collect::<Vec<_>>().join(", ")));
    token.into_iter().chain(policies).map(|text| Cell::new(text, Tone::Plain)).collect()
}

/// A value, harmless; a digest by its begin.
fn name(value: &Value) -> String {
    match value {
        Value::String(text) => short(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            harmless(&value.to_string())
        }
    }
}

fn short(text: &str) -> String {
    // What looks like another name, or another column, is quoted.
    let lookalike = text.contains(['>', '→']) || text.contains("  ");
    let shown = if lookalike { quoted(text, MOST) } else { plain(text, MOST) };
    match shown.get(..DIGEST) {
        Some(begin) if shown.starts_with("hmac:") && shown.len() == 69 => format!("{begin}…"),
        Some(_) | None => shown,
    }
}

/// Standard output, as wide as it is.
pub(super) struct Printer {
    out: BufWriter<StdoutLock<'static>>,
    /// Rows are not folded where nobody looks at them.
    width: Option<usize>,
    colour: bool,
    terminal: bool,
}

impl Printer {
    pub(super) fn new(width: Option<u16>) -> Self {
        let out = std::io::stdout();
        let terminal = out.is_terminal();
        let found = terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| width.0);
        let width = width.or(found).map(|width| usize::from(width).max(NARROWEST));
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        Self { out: BufWriter::with_capacity(64 * 1024, out.lock()), width, colour, terminal }
    }

    pub(super) fn row(&mut self, row: &[Cell]) -> Result<(), Failure> {
        let text = folded(row, self.width, self.colour);
        writeln!(self.out, "{text}").map_err(Failure::unsaid)
    }

    /// A line as it stands; in a terminal, what that could take for a command is escaped.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), Failure> {
        let harmless = self.terminal.then(|| harmless(&String::from_utf8_lossy(line)));
        let bytes = harmless.as_ref().map_or(line, |text| text.as_bytes());
        self.out.write_all(bytes).and_then(|()| self.out.write_all(b"\n")).map_err(Failure::unsaid)
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::unsaid)
    }
}

/// The cells, one behind the other, in as many lines as are needed.
fn folded(row: &[Cell], width: Option<usize>, colour: bool) -> String {
    let mut out = String::new();
    let mut column = 0_usize;
    let mut pending = 0_usize;
    for cell in row.iter().filter(|cell| !cell.text.is_empty() || cell.width > 0) {
        let room = width.map_or(usize::MAX, |width| width.saturating_sub(INDENT));
        let text = cut(&cell.text, room);
        let length = text.chars().count();
        let begin = column.saturating_add(pending);
        if width.is_some_and(|width| column > 0 && begin.saturating_add(length) > width) {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', INDENT));
            column = INDENT;
        } else {
            out.extend(std::iter::repeat_n(' ', pending));
            column = begin;
        }
        match cell.tone.code() {
            code if colour && !code.is_empty() && length > 0 => {
                out.push_str(&format!("\u{1b}[{code}m{text}\u{1b}[0m"))
            }
            _ => out.push_str(&text),
        }
        column = column.saturating_add(length);
        pending = cell.width.saturating_sub(length).saturating_add(2);
    }
    out
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
