//! Asks before something wide.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;

use crate::exit::Failure;

/// Whether to ask.
#[derive(Args, Debug)]
pub(crate) struct Confirmed {
    /// Do it without asking.
    #[arg(long)]
    yes: bool,
}

/// Goes on if the operator says yes.
///
/// # Errors
/// No yes was given, or there is nobody to ask.
pub(crate) fn confirm(confirmed: &Confirmed, question: &str) -> Result<(), Failure> {
    if confirmed.yes {
        return Ok(());
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Failure::Usage(format!("{question}: say --yes where nobody can be asked")));
    }
    let mut answer = String::new();
    write!(std::io::stderr(), "{question}: type yes to go on: ").map_err(Failure::other)?;
    input.lock().read_line(&mut answer).map_err(Failure::other)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(Failure::Other("nothing was done".to_owned())) }
}
