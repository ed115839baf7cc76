//! Signals to processes that a test has started.

use std::io;
use std::process::Command;

/// Sends `process` a signal, by its name without `SIG`. By the shell's own command: not every machine has a program for it.
///
/// # Errors
/// When there is no such process.
pub fn send(signal: &str, process: u32) -> io::Result<()> {
    let script = r#"kill -s "$0" "$1""#;
    let done = Command::new("/bin/sh").args(["-c", script, signal, &process.to_string()]).status()?;
    if done.success() { Ok(()) } else { Err(io::Error::other(format!("SIG{signal} was not sent"))) }
}
