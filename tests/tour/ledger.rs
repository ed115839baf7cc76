//! The table: what was sent, what should have become of it, what did.

use std::collections::BTreeMap;
use std::fmt;

use exequatur_tests::upstream::Received;
use exequatur_tests::{Agent, Answer, Call, Stack};
use serde_json::{Value, json};

/// Marks each request, so that the upstream's record can be compared with the rows.
const ROW: &str = "x-tour-row";

/// What the upstream is told of the caller. The rest of our names, and their other spellings, it never sees. Of whom a request was
/// that should have been denied, no row says.
fn identity(expected: Expected) -> Option<[(&'static str, Option<&'static str>); 6]> {
    let (agent, user, tenant, delegation) = match expected {
        Expected::Permit => (Some("corp:crm-bot"), Some("corp:alice"), Some("acme"), None),
        Expected::Acting { agent, chain } => (Some(agent), Some("corp:alice"), Some("acme"), Some(chain)),
        Expected::Public => (None, None, None, None),
        Expected::Deny(..) => return None,
    };
    Some([
        ("x-exequatur-agent", agent),
        ("x-exequatur-user", user),
        ("x-exequatur-tenant", tenant),
        ("x-exequatur-delegation", delegation),
        ("x_exequatur_agent", None),
        ("x.exequatur.agent", None),
    ])
}

/// What should become of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// 200 from the upstream.
    Permit,
    /// 200 from the upstream, which is told who acts, and the chain that led there.
    Acting { agent: &'static str, chain: &'static str },
    /// 200 from the upstream, which is told nothing of the caller.
    Public,
    /// A status, and one of these reasons.
    Deny(u16, &'static [&'static str]),
}

impl Expected {
    fn is_permit(self) -> bool {
        matches!(self, Self::Permit | Self::Acting { .. } | Self::Public)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permit | Self::Acting { .. } | Self::Public => f.write_str("200"),
            Self::Deny(status, reasons) => write!(f, "{status} {}", reasons.join("|")),
        }
    }
}

/// How credentials are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shown<'a> {
    /// A token and a fresh proof, changed by `claims`; a demand for a nonce is followed.
    Proven { agent: &'a Agent, token: &'a str, claims: &'a Value },
    /// Exactly this, once.
    AsIs { authorization: Option<&'a str>, proof: Option<&'a str> },
}

/// One request to make.
#[derive(Clone, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) what: &'a str,
    pub(crate) expected: Expected,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) shown: Shown<'a>,
    pub(crate) fields: &'a [(&'a str, &'a str)],
}

/// What became of a request.
#[derive(Debug)]
struct Row {
    what: String,
    expected: Expected,
    status: u16,
    reason: String,
}

impl Row {
    fn got(&self) -> String {
        format!("{} {}", self.status, self.reason).trim_end().to_owned()
    }

    fn is_as_expected(&self) -> bool {
        match self.expected {
            Expected::Permit | Expected::Acting { .. } | Expected::Public => self.status == 200,
            Expected::Deny(status, reasons) => {
                self.status == status && reasons.contains(&self.reason.as_str())
            }
        }
    }
}

/// The stack, and the rows so far.
#[derive(Debug)]
pub(crate) struct Ledger {
    stack: Stack,
    output: Output,
    rows: Vec<Row>,
}

/// How the rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// A table, for people.
    Table,
    /// One JSON object a line at the end, for `make demo-mutants`.
    Json,
}

impl Ledger {
    pub(crate) fn new(stack: Stack, output: Output) -> Self {
        Self { stack, output, rows: Vec::new() }
    }

    pub(crate) fn stack(&self) -> &Stack {
        &self.stack
    }

    pub(crate) fn stack_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }

    pub(crate) fn print_head(&self) {
        self.say(&format!("Envoy on {}, Exequatur and an upstream behind it.\n", self.stack.url("")));
        self.say(&format!("{:>2}  {:<57} {:<39} {:<39} {:>7}", "", "request", "expected", "got", "ms"));
    }

    /// For people only.
    pub(crate) fn say(&self, line: &str) {
        if self.output == Output::Table {
            println!("{line}");
        }
    }

    /// Sends a request and prints its row.
    pub(crate) async fn row(&mut self, step: Step<'_>) -> Result<Answer, String> {
        let id = (self.rows.len() + 1).to_string();
        let url = self.stack.url(step.path);
        let mut call = Call::new(step.method, &url).with(ROW, &id);
        call.fields.extend_from_slice(step.fields);
        let answer = match step.shown {
            Shown::Proven { agent, token, claims } => {
                self.stack.call_with(agent, token, &call, claims).await?
            }
            Shown::AsIs { authorization, proof } => self.stack.send(&call, authorization, proof).await?,
        };
        let row = Row {
            what: step.what.to_owned(),
            expected: step.expected,
            status: answer.status,
            reason: answer.reason.clone(),
        };
        let milliseconds = answer.took.as_secs_f64() * 1000.0;
        self.say(&format!(
            "{id:>2}  {:<57} {:<39} {:<39} {milliseconds:>7.1}{}",
            row.what,
            row.expected.to_string(),
            row.got(),
            if row.is_as_expected() { "" } else { "   <-- not as expected" }
        ));
        if let (Expected::Acting { .. }, 200) = (row.expected, row.status) {
            self.say(&format!("      the upstream was told: {}", self.told(&id)));
        }
        self.rows.push(row);
        Ok(answer)
    }

    /// The row of a request with a fresh token for `agent`, changed by `claims`, and a fresh proof.
    pub(crate) async fn row_with_token(
        &mut self,
        agent: &Agent,
        claims: &Value,
        (method, path): (&str, &str),
        what: &str,
        expected: Expected,
    ) -> Result<Answer, String> {
        let token = self.stack.tokens.token(agent, claims);
        let shown = Shown::Proven { agent, token: &token, claims: &Value::Null };
        self.row(Step { what, expected, method, path, shown, fields: &[] }).await
    }

    /// Who acts for whom, through whom, as the upstream has it.
    fn told(&self, row: &str) -> String {
        let requests = self.stack.upstream.received();
        let request = requests.iter().find(|request| request.values(ROW) == [row]);
        let names = ["agent", "user", "tenant", "delegation"].map(|name| {
            let values = request.map(|request| request.values(&format!("x-exequatur-{name}")).join(","));
            format!("{name} {}", values.unwrap_or_default().replace("%3A", ":"))
        });
        names.join(", ")
    }

    /// Compares the upstream's record with the rows; true if nothing was a surprise.
    pub(crate) fn print_end(&self) -> bool {
        let seen = self.seen_upstream();
        let mut surprises = 0;
        let mut complaints = Vec::new();
        for (index, row) in self.rows.iter().enumerate() {
            let id = (index + 1).to_string();
            let upstream = self.upstream_complaints(row, seen.get(&id).map_or(&[], Vec::as_slice));
            surprises += usize::from(!row.is_as_expected());
            complaints.extend(upstream.iter().map(|complaint| format!("row {id}: {complaint}")));
            if self.output == Output::Json {
                let (what, got, expected) = (&row.what, row.got(), row.expected.to_string());
                println!(
                    "{}",
                    json!({
                        "row": what, "expected": expected, "got": got, "upstream": upstream,
                        "as_expected": row.is_as_expected() && upstream.is_empty(),
                    })
                );
            }
        }
        let strangers =
            seen.keys().filter(|id| !id.parse().is_ok_and(|id| (1..=self.rows.len()).contains(&id)));
        complaints.extend(strangers.map(|id| format!("a request of row {id:?}")));
        for complaint in &complaints {
            self.say(&format!("upstream: {complaint}"));
        }
        self.say(&format!(
            "\n{} requests, {surprises} not as expected; {} permitted, {} reached the upstream.",
            self.rows.len(),
            self.rows.iter().filter(|row| row.expected.is_permit()).count(),
            seen.values().map(Vec::len).sum::<usize>()
        ));
        if complaints.is_empty() {
            self.say(
                "The upstream's own record: only the permitted requests, each once, with our agent, user, \
                 tenant and chain (on the public route with nobody's), and without token and proof.",
            );
        }
        surprises == 0 && complaints.is_empty()
    }

    /// What reached the upstream, by row.
    fn seen_upstream(&self) -> BTreeMap<String, Vec<Received>> {
        let mut seen = BTreeMap::<String, Vec<Received>>::new();
        for request in self.stack.upstream.received() {
            seen.entry(request.values(ROW).join(",")).or_default().push(request);
        }
        seen
    }

    fn upstream_complaints(&self, row: &Row, seen: &[Received]) -> Vec<String> {
        let mut complaints = Vec::new();
        let wanted = usize::from(row.status == 200);
        if seen.len() != wanted {
            complaints.push(format!("{} requests, not {wanted}", seen.len()));
        }
        for request in seen {
            let identity = identity(row.expected);
            if identity.is_none() && request.values("x-exequatur-agent").is_empty() {
                complaints.push("no agent is named".to_owned());
            }
            for (name, right) in identity.into_iter().flatten() {
                let values: Vec<_> =
                    request.values(name).iter().map(|value| value.replace("%3A", ":")).collect();
                let right: Vec<&str> = right.into_iter().collect();
                if values != right {
                    complaints.push(format!("{name} is {values:?}, not {right:?}"));
                }
            }
            for name in ["authorization", "dpop", "x-http-method-override"] {
                if !request.values(name).is_empty() {
                    complaints.push(format!("{name} was not removed"));
                }
            }
        }
        complaints
    }
}
