//! Orders to a running Exequatur, given with its command line.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::binaries;
use crate::stack::{Options, Stack};

/// A stack that takes orders, and keeps them in its folder or in Redis. A second replica has a socket of its own.
#[must_use]
pub fn with_orders(mut options: Options) -> Options {
    options.exequatur.push(("listen: { grpc:", "listen: { admin: \"unix:./admin.sock\", grpc:"));
    if options.redis.is_none() && options.store.is_none() {
        let sender = "sender_constraint:\n  require: any";
        options
            .exequatur
            .push((sender, "store: { embedded: { path: ./state } }\nsender_constraint:\n  require: any"));
    }
    options
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Said {
    /// Its output, of a command that ended well and speaks JSON.
    ///
    /// # Errors
    /// It did not.
    pub fn json(&self) -> Result<Value, String> {
        match self.code {
            Some(0) => serde_json::from_str(&self.out).map_err(|error| format!("{error}: {}", self.out)),
            _ => Err(self.err.clone()),
        }
    }
}

/// Runs a command that talks to the stack's admin socket.
///
/// # Errors
/// When there is no such program.
pub async fn command(stack: &Stack, words: &[&str]) -> Result<Said, String> {
    command_at(stack, "admin.sock", words).await
}

/// The same at another socket of the stack's folder; the second replica's is `second.sock`.
///
/// # Errors
/// When there is no such program.
pub async fn command_at(stack: &Stack, socket: &str, words: &[&str]) -> Result<Said, String> {
    let done = Command::new(binaries::exequatur()?)
        .args(words)
        .arg("--socket")
        .arg(stack.folder().join(socket))
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| error.to_string())?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) })
}

/// Gives an order, with a reason; what was answered.
///
/// # Errors
/// It was not carried out.
pub async fn order(stack: &Stack, words: &[&str]) -> Result<Value, String> {
    let words: Vec<_> = words.iter().copied().chain(["--reason", "a test", "--output", "json"]).collect();
    command(stack, &words).await?.json()
}
