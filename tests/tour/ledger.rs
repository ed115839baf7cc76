//! The table: what was sent, what should have become of it, what did.

use std::collections::BTreeMap;

use exequatur_tests::{Agent, Answer, Call, Stack};
use serde_json::Value;

/// Marks each request, so that the upstream's record can be compared with the rows.
const ROW: &str = "x-tour-row";

/// What should become of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// 200 from the upstream.
    Permit,
    /// A status, and one of these reasons.
    Deny(u16, &'static [&'static str]),
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

/// The stack, and the rows so far.
#[derive(Debug)]
pub(crate) struct Ledger {
    stack: Stack,
    rows: usize,
    surprises: usize,
    permitted: Vec<String>,
}

impl Ledger {
    pub(crate) fn new(stack: Stack) -> Self {
        Self { stack, rows: 0, surprises: 0, permitted: Vec::new() }
    }

    pub(crate) fn stack(&self) -> &Stack {
        &self.stack
    }

    pub(crate) fn stack_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }

    pub(crate) fn print_head(&self) {
        println!("{:>2}  {:<52} {:<34} {:<34} {:>7}", "", "request", "expected", "got", "ms");
    }

    /// Sends a request and prints its row.
    pub(crate) async fn row(&mut self, step: Step<'_>) -> Result<Answer, String> {
        self.rows += 1;
        let id = self.rows.to_string();
        let url = self.stack.url(step.path);
        let mut call = Call::new(step.method, &url).with(ROW, &id);
        call.fields.extend_from_slice(step.fields);
        let answer = match step.shown {
            Shown::Proven { agent, token, claims } => {
                self.stack.call_with(agent, token, &call, claims).await?
            }
            Shown::AsIs { authorization, proof } => self.stack.send(&call, authorization, proof).await?,
        };
        let (expected, matches) = match step.expected {
            Expected::Permit => ("200".to_owned(), answer.status == 200),
            Expected::Deny(status, reasons) => (
                format!("{status} {}", reasons.join("|")),
                answer.status == status && reasons.contains(&answer.reason.as_str()),
            ),
        };
        let got = format!("{} {}", answer.status, answer.reason);
        let milliseconds = answer.took.as_secs_f64() * 1000.0;
        println!(
            "{id:>2}  {:<52} {expected:<34} {got:<34} {milliseconds:>7.1}{}",
            step.what,
            if matches { "" } else { "   <-- not as expected" }
        );
        self.surprises += usize::from(!matches);
        if matches!(step.expected, Expected::Permit) {
            self.permitted.push(id);
        }
        Ok(answer)
    }

    /// Compares the upstream's record with the rows; true if nothing was a surprise.
    pub(crate) fn print_end(&self) -> bool {
        let complaints = self.upstream_complaints();
        for complaint in &complaints {
            println!("upstream: {complaint}");
        }
        println!(
            "\n{} requests, {} not as expected; {} permitted, {} reached the upstream.",
            self.rows,
            self.surprises,
            self.permitted.len(),
            self.stack.upstream.received().len()
        );
        if complaints.is_empty() {
            println!(
                "The upstream's own record: only the permitted requests, each once, with our agent, user and \
                 tenant, and without token and proof."
            );
        }
        self.surprises == 0 && complaints.is_empty()
    }

    fn upstream_complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut seen = BTreeMap::<String, usize>::new();
        for request in self.stack.upstream.received() {
            let row = request.values(ROW).join(",");
            for (name, value) in [
                ("x-exequatur-agent", "corp:crm-bot"),
                ("x-exequatur-user", "corp:alice"),
                ("x-exequatur-tenant", "acme"),
            ] {
                let values: Vec<_> =
                    request.values(name).iter().map(|value| value.replace("%3A", ":")).collect();
                if values != [value] {
                    complaints.push(format!("row {row}: {name} is {values:?}, not {value}"));
                }
            }
            for name in ["authorization", "dpop"] {
                if !request.values(name).is_empty() {
                    complaints.push(format!("row {row}: {name} was not removed"));
                }
            }
            *seen.entry(row).or_default() += 1;
        }
        let permitted: BTreeMap<_, _> = self.permitted.iter().map(|row| (row.clone(), 1)).collect();
        if seen != permitted {
            complaints.push(format!("saw rows {seen:?}, permitted were {permitted:?}"));
        }
        complaints
    }
}
