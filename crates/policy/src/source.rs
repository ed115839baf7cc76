use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::problem::{Problem, Problems};

/// The subfolder whose YAML files are tests.
const TESTS: &str = "tests";

/// A file of the policy folder, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it was, relative to the policy folder, with `/` between its parts.
    pub name: String,
    /// What it says.
    pub text: Arc<str>,
}

impl Source {
    /// A source that need not be a file.
    pub fn new(name: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// How much a policy folder may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files that are read.
    pub files: usize,
    /// Folders below each other.
    pub depth: usize,
}

impl Default for Limits {
    /// 10 MiB in 1000 files, 8 folders deep: thousands of policies, and a mistyped path to a data
    /// folder still ends at once.
    fn default() -> Self {
        Self { bytes: 10 * 1024 * 1024, files: 1000, depth: 8 }
    }
}

/// The texts of a policy folder, each kind sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyFolder {
    /// `*.cedarschema`, anywhere but in `tests/`.
    pub schema: Vec<Source>,
    /// `*.cedar`, anywhere but in `tests/`.
    pub policies: Vec<Source>,
    /// `tests/*.yaml` and below.
    pub tests: Vec<Source>,
}

impl PolicyFolder {
    /// Reads the folder at `root`. Names that begin with a dot are passed over, other files too. A
    /// link to a file is followed, as Kubernetes mounts need it; a link to a folder is a problem,
    /// since passing it over would lose policies.
    ///
    /// # Errors
    /// All that could not be read, is not UTF-8, is in the wrong place, or exceeds `limits`.
    pub fn read(root: &Path, limits: Limits) -> Result<Self, Problems> {
        let mut reading = Reading { left: limits, folder: Self::default(), problems: Vec::new() };
        reading.folder(root, "", 0);
        Problems::check(reading.problems)?;
        Ok(reading.folder.sorted())
    }

    fn sorted(mut self) -> Self {
        for sources in [&mut self.schema, &mut self.policies, &mut self.tests] {
            sources.sort_by(|a, b| a.name.cmp(&b.name));
        }
        self
    }
}

/// What a file is, by where it is and how its name ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Schema,
    Policy,
    Test,
    Misplaced(&'static str),
    Other,
}

impl Kind {
    fn of(name: &str) -> Self {
        let in_tests = name.strip_prefix(TESTS).is_some_and(|rest| rest.starts_with('/'));
        let lower = name.to_ascii_lowercase();
        let extension = lower.rsplit_once('.').map_or("", |(_, extension)| extension);
        match (extension, in_tests) {
            ("cedarschema", false) => Self::Schema,
            ("cedar", false) => Self::Policy,
            ("yaml" | "yml", true) => Self::Test,
            ("cedar" | "cedarschema", true) => {
                Self::Misplaced("policies and schemas are not read from `tests`; move it out")
            }
            ("yaml" | "yml", false) => {
                Self::Misplaced("a YAML file is a test, and tests belong into `tests`")
            }
            _ if lower.ends_with(".cedarschema.json") => {
                Self::Misplaced("schemas are not read as JSON; write it as `.cedarschema`")
            }
            _ => Self::Other,
        }
    }
}

#[derive(Debug)]
struct Reading {
    left: Limits,
    folder: PolicyFolder,
    problems: Vec<Problem>,
}

impl Reading {
    fn folder(&mut self, path: &Path, prefix: &str, depth: usize) {
        let shown = if prefix.is_empty() { "." } else { prefix };
        if depth > self.left.depth {
            self.problem(shown, "too many folders below each other");
            return;
        }
        let entries = match sorted_entries(path) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(shown, &error),
        };
        for path in entries {
            let Some(leaf) = path.file_name().and_then(|leaf| leaf.to_str()) else {
                self.problem(shown, "the folder has a file whose name is not UTF-8");
                continue;
            };
            if leaf.starts_with('.') {
                continue;
            }
            let name = if prefix.is_empty() { leaf.to_owned() } else { format!("{prefix}/{leaf}") };
            match (fs::metadata(&path), path.is_symlink()) {
                (Err(error), _) => self.unreadable(&name, &error),
                (Ok(meta), true) if meta.is_dir() => {
                    self.problem(&name, "a link to a folder is not followed")
                }
                (Ok(meta), _) if meta.is_dir() => self.folder(&path, &name, depth.saturating_add(1)),
                (Ok(meta), _) if meta.is_file() => self.file(&path, name),
                (Ok(_), _) if Kind::of(&name) == Kind::Other => {}
                (Ok(_), _) => self.problem(&name, "not a regular file"),
            }
        }
    }

    fn file(&mut self, path: &Path, name: String) {
        let kind = Kind::of(&name);
        match kind {
            Kind::Other => return,
            Kind::Misplaced(why) => return self.problem(&name, why),
            Kind::Schema | Kind::Policy | Kind::Test => {}
        }
        if self.left.files == 0 {
            // Told once: every further file would say the same.
            if !self.problems.iter().any(|problem| problem.message() == TOO_MANY) {
                self.problem(&name, TOO_MANY);
            }
            return;
        }
        self.left.files = self.left.files.saturating_sub(1);
        match bounded(path, self.left.bytes) {
            Ok(Some(text)) => {
                self.left.bytes =
                    self.left.bytes.saturating_sub(u64::try_from(text.len()).unwrap_or(u64::MAX));
                let source = Source::new(name, text);
                match kind {
                    Kind::Schema => self.folder.schema.push(source),
                    Kind::Policy => self.folder.policies.push(source),
                    Kind::Test => self.folder.tests.push(source),
                    Kind::Misplaced(_) | Kind::Other => {}
                }
            }
            Ok(None) => self.problem(&name, "the files of the folder are too large together"),
            Err(error) => self.unreadable(&name, &error),
        }
    }

    fn unreadable(&mut self, name: &str, error: &io::Error) {
        self.problem(name, &format!("cannot be read: {error}"));
    }

    fn problem(&mut self, name: &str, message: &str) {
        self.problems.push(Problem::of_file(name, message));
    }
}

const TOO_MANY: &str = "the folder has too many files";

fn sorted_entries(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    entries.sort();
    Ok(entries)
}

/// The file's text, or None if it has more than `limit` bytes.
fn bounded(path: &Path, limit: u64) -> io::Result<Option<String>> {
    let mut text = String::new();
    fs::File::open(path)?.take(limit.saturating_add(1)).read_to_string(&mut text)?;
    let fits = u64::try_from(text.len()).is_ok_and(|length| length <= limit);
    Ok(fits.then_some(text))
}
