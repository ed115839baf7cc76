//! `exequatur policy fmt`

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};

use clap::Args;
use exequatur_policy::{Colour, Limits, PolicyFolder, Problems, Source};
use serde_json::json;

use crate::exit::{Failure, say};
use crate::output::{Output, say_json};

/// Bring policy files into the one layout; what they say, comments and annotations stay.
///
/// A file is replaced as a whole or not at all. One that does not parse is reported with its place and left
/// as it is; the others are laid out.
#[derive(Debug, Args)]
pub(crate) struct Fmt {
    /// Policy folders, or single `*.cedar` files.
    #[arg(default_value = "policies", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Change nothing; list the files that would change, and end with 4 if there are any.
    #[arg(long)]
    check: bool,
    /// How to say it.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// What became of a file.
enum Fate {
    Unchanged,
    Changed,
    Broken(Problems),
}

impl Fmt {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut files = Vec::new();
        for path in &self.paths {
            files.extend(read(path)?);
        }
        let mut fates = Vec::new();
        for (path, text) in files {
            let fate = self.layout(&path, &text)?;
            fates.push((path, fate));
        }
        self.tell(&fates)?;
        let broken = fates.iter().filter(|(_, fate)| matches!(fate, Fate::Broken(_))).count();
        let changed = fates.iter().filter(|(_, fate)| matches!(fate, Fate::Changed)).count();
        match (broken, changed) {
            (0, 1..) if self.check => Err(Failure::TestsFailed),
            (0, _) => Ok(()),
            (1, _) => Err(Failure::Invalid("1 file was left as it is".to_owned())),
            (several, _) => Err(Failure::Invalid(format!("{several} files were left as they are"))),
        }
    }

    fn layout(&self, path: &Path, text: &str) -> Result<Fate, Failure> {
        let source = Source::new(path.display().to_string(), text);
        match exequatur_policy::format(&source) {
            Err(problems) => Ok(Fate::Broken(problems)),
            Ok(formatted) if formatted == text => Ok(Fate::Unchanged),
            Ok(formatted) => {
                if !self.check {
                    replace(path, text, &formatted)?;
                }
                Ok(Fate::Changed)
            }
        }
    }

    fn tell(&self, fates: &[(PathBuf, Fate)]) -> Result<(), Failure> {
        match self.output {
            Output::Json => {
                let files = fates.iter().map(|(path, fate)| {
                    let (state, problems) = match fate {
                        Fate::Unchanged => ("unchanged", Vec::new()),
                        Fate::Changed => ("changed", Vec::new()),
                        Fate::Broken(problems) => ("broken", problems.iter().collect()),
                    };
                    let problems = problems.iter().map(|problem| {
                        json!({ "line": problem.line(), "column": problem.column(), "message": problem.message() })
                    });
                    json!({
                        "file": path.display().to_string(),
                        "state": state,
                        "problems": problems.collect::<Vec<_>>(),
                    })
                });
                say_json(&json!({ "written": !self.check, "files": files.collect::<Vec<_>>() }))
            }
            Output::Text => {
                for (path, fate) in fates {
                    match fate {
                        Fate::Unchanged => {}
                        Fate::Changed if self.check => say(path.display())?,
                        Fate::Changed => say(format_args!("{}: laid out", path.display()))?,
                        Fate::Broken(problems) => complain(problems),
                    }
                }
                Ok(())
            }
        }
    }
}

fn complain(problems: &Problems) {
    // Nobody is left to tell if this fails too.
    drop(writeln!(std::io::stderr(), "{}", problems.render(Colour::Plain)));
}

/// The policy files that a path stands for, with their texts.
fn read(path: &Path) -> Result<Vec<(PathBuf, String)>, Failure> {
    let limits = Limits::default();
    if path.is_dir() {
        let folder = PolicyFolder::read(path, limits).map_err(Failure::invalid)?;
        let file = |source: Source| (path.join(&source.name), source.text.to_string());
        return Ok(folder.policies.into_iter().map(file).collect());
    }
    if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("cedar")) && path.exists() {
        return Err(Failure::Usage(format!("{}: neither a folder nor a *.cedar file", path.display())));
    }
    let unreadable = |error| Failure::Other(format!("{} cannot be read: {error}", path.display()));
    let mut text = String::new();
    let mut file = std::fs::File::open(path).map_err(unreadable)?.take(limits.bytes.saturating_add(1));
    file.read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= limits.bytes) {
        return Ok(vec![(path.to_owned(), text)]);
    }
    Err(Failure::Other(format!("{} is larger than {} bytes", path.display(), limits.bytes)))
}

/// Puts `new` in the place of `old`: readers see the one or the other. The file keeps its mode and its owner; a
/// link goes on naming it.
fn replace(path: &Path, old: &str, new: &str) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::Other(format!("{} cannot be written: {error}", path.display()));
    let target = path.canonicalize().map_err(failed)?;
    let folder = target.parent().unwrap_or_else(|| Path::new("/"));
    let before = std::fs::metadata(&target).map_err(failed)?;
    // Policy folders pass over names that begin with a dot.
    let mut file = tempfile::Builder::new().prefix(".fmt-").tempfile_in(folder).map_err(failed)?;
    file.write_all(new.as_bytes()).map_err(failed)?;
    let made = file.as_file().metadata().map_err(failed)?;
    if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
        fchown(file.as_file(), Some(before.uid()), Some(before.gid())).map_err(failed)?;
    }
    file.as_file().set_permissions(before.permissions()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    if std::fs::read_to_string(&target).map_err(failed)? != old {
        return Err(Failure::Other(format!("{} changed in the meantime and stays as it is", path.display())));
    }
    file.persist(&target).map(drop).map_err(|error| failed(error.error))
}
