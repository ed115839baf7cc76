//! What is made from the tree of commands: completions, man pages, and the page `docs/reference/cli.md`.

mod reference;

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Command};
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

/// Print the page `docs/reference/cli.md`.
#[derive(Debug, Args)]
pub(crate) struct Reference;

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
        say(reference::page(command).trim_end())
    }
}
