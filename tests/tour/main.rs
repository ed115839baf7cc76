//! The tour: permitted and hostile requests through real Envoy, what should become of each, and what did.
//!
//! Ends with 0 only if every row came out as expected and the upstream's own record agrees. With `--stay`
//! everything keeps running and requests to try by hand are printed. With `--json` each row is an object of JSON. With
//! `STORE=redis` in the environment two replicas share a Redis; otherwise there is one, with the embedded store.

mod attacks;
mod federation;
mod granted;
mod ledger;
mod on_behalf;
mod stay;
mod step_up;

use std::process::ExitCode;

use exequatur_tests::orders::with_orders;
use exequatur_tests::redis::Kind;
use exequatur_tests::{Options, Stack};

use crate::ledger::{Ledger, Output};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (stay, output) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => (false, Output::Table),
        ["--stay"] => (true, Output::Table),
        ["--json"] => (false, Output::Json),
        _ => {
            eprintln!("usage: tour [--stay | --json]");
            return ExitCode::from(2);
        }
    };
    match run(stay, output).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tour: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(stay: bool, output: Output) -> Result<bool, String> {
    let options = match std::env::var("STORE").as_deref() {
        Ok("redis") => Options::shared(Kind::Newest),
        Ok("embedded") | Err(_) => Options::default(),
        Ok(other) => return Err(format!("STORE is `embedded` or `redis`, not `{other}`")),
    };
    let added = vec![attacks::LIMITS, step_up::ROUTE, granted::ROUTE, federation::RULES];
    let options = Options { exequatur: added, ..options };
    let stack = Stack::start(with_orders(options)).await?;
    let mut ledger = Ledger::new(stack, output);
    ledger.print_head();
    attacks::all(&mut ledger).await?;
    let as_expected = ledger.print_end();
    if stay {
        stay::until_interrupted(ledger.stack()).await?;
    }
    Ok(as_expected)
}
