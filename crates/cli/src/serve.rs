//! `exequatur serve`

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use exequatur_server::ServeError;
use tracing_subscriber::EnvFilter;

use crate::exit::Failure;

/// Answer Envoy until told to stop.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// How much to log: a level, or a filter such as `exequatur_server=debug,info`.
    #[arg(long, default_value = "info", value_name = "FILTER")]
    log: String,
    /// How to log.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    log_format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One line for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Serve {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let filter =
            EnvFilter::try_new(&self.log).map_err(|error| Failure::Usage(format!("--log: {error}")))?;
        // Colours are for people's eyes: a file and a log collector get none.
        let colours =
            std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        let logs =
            tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
        // A log that cannot be written is lost. By itself it would be told on the standard error, whose failure ends the process.
        let logs = logs.log_internal_errors(false);
        match self.log_format {
            Format::Text => logs.init(),
            Format::Json => logs.json().init(),
        }
        // For what goes on beside decisions; these have threads of their own.
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::other)?;
        runtime.block_on(exequatur_server::serve(&self.config)).map_err(|error| match error {
            ServeError::Generation(error) => Failure::invalid(error),
            error @ (ServeError::Signals(_)
            | ServeError::Issuers(_)
            | ServeError::State(_)
            | ServeError::NonceSecrets(_)
            | ServeError::Records(_)
            | ServeError::Traces(_)
            | ServeError::Listener { .. }
            | ServeError::Admin(_)
            | ServeError::Metrics(_)
            | ServeError::Worker(_)
            | ServeError::Tls(_)
            | ServeError::Duty(_)) => Failure::other(error),
        })
    }
}
