//! `exequatur config check|show|schema`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use exequatur_server::config;

use crate::exit::{Failure, say};

/// Look at a configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check the configuration with the policies it names; every mistake is shown.
    Check(File),
    /// Show the settings in force, defaults included, secrets never.
    Show(File),
    /// Print the JSON Schema of the configuration, for editors and other checks.
    Schema,
}

#[derive(Debug, Args)]
pub(crate) struct File {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
}

impl Config {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Check(File { config: path }) => {
                let config = config::load(&path).map_err(Failure::invalid)?;
                let generation = exequatur_server::build(&config, 1).map_err(Failure::invalid)?;
                let routes = generation.routes.iter().count();
                say(format_args!(
                    "{}: valid ({routes} routes, {} policies, policy set {})",
                    path.display(),
                    generation.policies.len(),
                    generation.policies.content_hash(),
                ))?;
                for remark in config::remarks(&config) {
                    say(format_args!("remark: {remark}"))?;
                }
                say(config::sizing(&config).trim_end())
            }
            Self::Show(File { config: path }) => {
                let config = config::load(&path).map_err(Failure::invalid)?;
                say(config::show(&config))
            }
            Self::Schema => say(format_args!("{:#}", config::schema())),
        }
    }
}
