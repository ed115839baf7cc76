//! `exequatur token inspect`

mod decoded;
mod judged;
mod readable;

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use self::decoded::Decoded;
use crate::exit::{Failure, say, warn};
use crate::output::{Output, say_json};

/// Longer than any token that is accepted, so that one that is too long can be looked at.
const MAX_BYTES: u64 = 64 * 1024;

/// Look at tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    Inspect(Inspect),
}

/// Show what a token says and, with a configuration, what Exequatur would say of it.
///
/// The token is read from standard input or from a file, never from the command line, which others can read.
/// Without --config NOTHING IS VERIFIED: whoever made the token wrote what is shown. The signature is never
/// shown, so what is shown cannot be used as a token.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A file with the token; standard input if absent or `-`. `Bearer` or `DPoP` before it is passed over.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Judge the token under this configuration, with the keys of its issuer as they are now. Ends with 1 if
    /// it would be refused. Revocation, replay and policies are not judged; `exequatur check` does that.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Judge times as of then (RFC 3339) instead of now.
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// How to show it.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Token {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Self::Inspect(inspect) = self;
        let runtime = tokio::runtime::Runtime::new().map_err(Failure::other)?;
        runtime.block_on(inspect.run())
    }
}

impl Inspect {
    async fn run(self) -> Result<(), Failure> {
        let text = read(self.file.as_deref())?;
        let raw = bare(&text);
        let now = self.at.unwrap_or_else(|| (exequatur_server::clock::system())());
        let decoded = Decoded::read(raw);
        let judged = match &self.config {
            None => None,
            Some(path) => {
                let config = exequatur_server::config::load(path).map_err(Failure::invalid)?;
                Some(judged::judge(raw, &config, now).await?)
            }
        };
        match self.output {
            Output::Text => {
                say(readable::token(&decoded, now, judged.as_ref()))?;
                if let Some(judged) = &judged {
                    say(format_args!("\n{}", readable::judgement(judged)))?;
                }
            }
            Output::Json => say_json(&json!({
                "verified": judged.as_ref().is_some_and(|judged| judged.signature_holds()),
                "at": now.to_string(),
                "token": decoded.to_json(),
                "judgement": judged.as_ref().map(judged::Judgement::to_json),
            }))?,
        }
        match judged {
            Some(judged) if !judged.holds() => Err(Failure::NotPermitted),
            None if decoded.unreadable() => Err(Failure::NotPermitted),
            Some(_) | None => Ok(()),
        }
    }
}

fn read(path: Option<&Path>) -> Result<String, Failure> {
    let path = path.filter(|path| *path != Path::new("-"));
    let mut bytes = Vec::new();
    let (name, read) = match path {
        None => {
            let stdin = std::io::stdin();
            if stdin.is_terminal() {
                warn("paste the token, then Enter and Ctrl-D");
            }
            (
                "standard input".to_owned(),
                stdin.lock().take(MAX_BYTES.saturating_add(1)).read_to_end(&mut bytes),
            )
        }
        // The argument is not repeated: it may be a token.
        Some(path) if looks_like_a_token(path) => {
            return Err(Failure::Usage(
                "a token does not belong on the command line, where other users and the shell's history see it: \
                 hand it over by standard input or a file, and take this one for known"
                    .to_owned(),
            ));
        }
        Some(path) => {
            let file = std::fs::File::open(path);
            let read = file.and_then(|file| file.take(MAX_BYTES.saturating_add(1)).read_to_end(&mut bytes));
            (path.display().to_string(), read)
        }
    };
    read.map_err(|error| Failure::Other(format!("{name} cannot be read: {error}")))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
        return Err(Failure::Other(format!("{name} has more than {MAX_BYTES} bytes, which no token has")));
    }
    let text = String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| Failure::Usage(format!("{name} holds no token: nothing, or no text")))?;
    Ok(text)
}

/// Two dots among nothing but base64url, and no such file.
fn looks_like_a_token(path: &Path) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let text = path.to_str().map(bare).unwrap_or_default();
    text.len() > 40 && text.matches('.').count() >= 2 && text.bytes().all(allowed) && !path.exists()
}

/// The token without white space around it and without the scheme, so that a whole header value can be pasted.
fn bare(text: &str) -> &str {
    let text = text.trim();
    let after = |field: &str| {
        let (before, rest) = text.split_at_checked(field.len())?;
        (before.eq_ignore_ascii_case(field)).then(|| rest.trim_start())
    };
    let text = after("authorization:").or_else(|| after("dpop:")).unwrap_or(text);
    match text.split_once(char::is_whitespace) {
        Some((scheme, rest)) if ["bearer", "dpop"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            rest.trim_start()
        }
        Some(_) | None => text,
    }
}
