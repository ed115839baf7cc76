//! Mistakes in the configuration, with the place of each.

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};

use super::secrets::without_credentials;

/// Columns that a rendered problem may take.
const WIDTH: usize = 110;

/// A file, as it was read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub text: Arc<str>,
}

/// A stretch of the file, within one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// From the start of the file, in bytes.
    pub offset: usize,
    /// In bytes.
    pub length: usize,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None` if it concerns the whole file.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

/// Every mistake that was found, in the order of the file; never empty.
#[derive(Clone, Debug)]
pub struct Problems {
    source: Source,
    problems: Vec<Problem>,
}

impl Problems {
    /// What stands before an `@` in a URL is shown neither with its line nor in a message: it may be a password, that somebody has
    /// put where none belongs (E-05).
    pub(super) fn new(mut source: Source, mut problems: Vec<Problem>) -> Self {
        source.text = without_credentials(&source.text).into();
        for problem in &mut problems {
            problem.message = without_credentials(&problem.message);
            problem.hint = problem.hint.take().map(|hint| without_credentials(&hint));
        }
        problems.sort_by_key(|problem| problem.place.map(|place| place.offset));
        // What the file says once may have been read for several tenants.
        let mut told = HashSet::new();
        problems.retain(|problem| {
            told.insert((problem.place.map(|place| (place.offset, place.length)), problem.message.clone()))
        });
        Self { source, problems }
    }

    /// The mistakes, in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.problems.iter()
    }

    /// The file that they are in.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// All mistakes as text, each with its line and a mark under what is meant.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH);
        let mut text = String::new();
        for problem in &self.problems {
            let rendered = handler.render_report(&mut text, self.report(problem).as_ref());
            if rendered.is_err() {
                text.push_str(&problem.message);
            }
            text.push('\n');
        }
        let count = match self.problems.len() {
            1 => "1 mistake".to_owned(),
            several => format!("{several} mistakes"),
        };
        format!("{text}{count} in {}\n", self.source.path.display())
    }

    fn report(&self, problem: &Problem) -> Report {
        let mut diagnostic = MietteDiagnostic::new(problem.message.clone());
        if let Some(hint) = &problem.hint {
            diagnostic = diagnostic.with_help(hint.clone());
        }
        let Some(place) = problem.place else { return Report::new(diagnostic) };
        let label = LabeledSpan::new_primary_with_span(None, (place.offset, place.length));
        let source = NamedSource::new(self.source.path.display().to_string(), Arc::clone(&self.source.text));
        Report::new(diagnostic.with_label(label)).with_source_code(source)
    }
}

/// Coloured when standard error is a terminal.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(std::io::stderr().is_terminal()))
    }
}

impl Error for Problems {}
