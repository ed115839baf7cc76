//! What is made from the tree of commands: completions, man pages, and the page `docs/reference/cli.md`.

mod reference;

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;

use crate::exit::{Failure, say};

/// Print completions for a shell.
///
/// For bash, with the package bash-completion: exequatur completions bash >
/// ~/.local/share/bash-completion/completions/exequatur. For zsh: into a file `_exequatur` in a folder of
/// `fpath`. For fish: into ~/.config/fish/completions/exequatur.fish.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Write a man page for each command.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder to write to, such as /usr/local/share/man/man1; made if it is not there.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Print a page of the reference, or the tables of one, as Markdown.
#[derive(Debug, Args)]
pub(crate) struct Reference {
    /// Which.
    #[arg(value_enum, default_value_t)]
    page: Page,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Page {
    /// Every command: docs/reference/cli.md.
    #[default]
    Commands,
    /// Every key of the configuration, with its type, range and default.
    Configuration,
    /// Every reason, with its status and what the challenge says.
    Reasons,
    /// What is set, removed and told to Envoy.
    Headers,
    /// Every metric.
    Metrics,
    /// The base schema: what policies know.
    Context,
    /// Every rule of `envoy lint`.
    Rules,
}

impl Completions {
    pub(crate) fn run(&self, mut command: Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "exequatur", &mut script);
        std::io::stdout().write_all(&script).map_err(Failure::unsaid)
    }
}

impl Man {
    pub(crate) fn run(&self, command: Command) -> Result<(), Failure> {
        let failed = |error| Failure::Other(format!("{}: {error}", self.folder.display()));
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        clap_mangen::generate_to(command, &self.folder).map_err(failed)
    }
}

impl Reference {
    pub(crate) fn run(&self, command: Command) -> Result<(), Failure> {
        let page = match self.page {
            Page::Commands => reference::page(command),
            Page::Configuration => exequatur_server::reference::configuration(),
            Page::Reasons => exequatur_server::reference::reasons(),
            Page::Headers => exequatur_server::reference::headers(),
            Page::Metrics => exequatur_server::reference::metrics(),
            Page::Context => format!("```cedarschema\n{}\n```", exequatur_policy::BASE_SCHEMA.trim_end()),
            Page::Rules => exequatur_lint::table(),
        };
        say(page.trim_end())
    }
}
