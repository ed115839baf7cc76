use std::fmt;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity, SourceSpan,
};

use crate::source::Source;

/// Columns that a rendered problem may take.
const WIDTH: usize = 110;

/// One thing that is wrong in a policy folder, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    file: String,
    message: String,
    help: Option<String>,
    place: Option<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    text: Arc<str>,
    spans: Vec<(SourceSpan, Option<String>)>,
    line: usize,
    column: usize,
}

/// Whether a rendered problem may carry ANSI colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// For a terminal.
    Ansi,
    /// For logs and files.
    Plain,
}

impl Problem {
    /// A problem of a file as a whole, or of the folder.
    pub(crate) fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), message: message.into(), help: None, place: None }
    }

    /// A problem at bytes `offset..offset + length` of `source`.
    pub(crate) fn at(source: &Source, offset: usize, length: usize, message: impl Into<String>) -> Self {
        let place = Place::new(&source.text, vec![((offset, length).into(), None)]);
        Self { file: source.name.clone(), message: message.into(), help: None, place }
    }

    /// What Cedar says, in `source`. Labels keep their text.
    pub(crate) fn from_cedar(source: &Source, diagnostic: &dyn Diagnostic) -> Self {
        let spans = diagnostic
            .labels()
            .into_iter()
            .flatten()
            .map(|label| (*label.inner(), label.label().map(str::to_owned)))
            .collect();
        Self {
            file: source.name.clone(),
            message: diagnostic.to_string(),
            help: diagnostic.help().map(|help| help.to_string()),
            place: Place::new(&source.text, spans),
        }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// The file, relative to the policy folder, with `/` between its parts.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1. None for a problem of the file as a whole.
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.line)
    }

    /// The column in characters, from 1. None for a problem of the file as a whole.
    pub fn column(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.column)
    }

    /// What is wrong, in one sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What would put it right, where that is known.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The problem with the line that it is about and a caret under the place.
    pub fn render(&self, colour: Colour) -> String {
        let theme = match colour {
            Colour::Ansi => GraphicalTheme::unicode(),
            Colour::Plain => GraphicalTheme::unicode_nocolor(),
        };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_links(false);
        let mut out = String::new();
        match handler.render_report(&mut out, &Report::of(self)) {
            Ok(()) => out,
            // Only a span outside the text can fail; the one-line form needs no span.
            Err(fmt::Error) => self.to_string(),
        }
    }

    fn order(&self) -> (&str, usize, usize, &str) {
        (&self.file, self.line().unwrap_or(0), self.column().unwrap_or(0), &self.message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(place) = &self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl Place {
    fn new(text: &Arc<str>, mut spans: Vec<(SourceSpan, Option<String>)>) -> Option<Self> {
        spans.retain(|(span, _)| span.offset().saturating_add(span.len()) <= text.len());
        let offset = spans.first()?.0.offset();
        let before = text.get(..offset)?;
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.rsplit('\n').next().unwrap_or(before).chars().count().saturating_add(1);
        Some(Self { text: Arc::clone(text), spans, line, column })
    }
}

/// Every problem that was found, sorted by file and place. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// `Err` with all problems, sorted and without repetitions, or `Ok` if there is none.
    pub(crate) fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self::of(problems)) }
    }

    pub(crate) fn of(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| a.order().cmp(&b.order()));
        problems.dedup();
        Self(problems)
    }

    /// Each problem, in the order of files and lines.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// How many there are; at least 1.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Every problem with source line and caret, a blank line between them.
    pub fn render(&self, colour: Colour) -> String {
        let rendered: Vec<String> = self.0.iter().map(|problem| problem.render(colour)).collect();
        rendered.join("\n")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// A problem in the form that miette draws.
#[derive(Debug)]
struct Report<'a> {
    problem: &'a Problem,
    code: Option<NamedSource<Arc<str>>>,
}

impl<'a> Report<'a> {
    fn of(problem: &'a Problem) -> Self {
        let code =
            problem.place.as_ref().map(|place| NamedSource::new(&problem.file, Arc::clone(&place.text)));
        Self { problem, code }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(_) => f.write_str(&self.problem.message),
            None => write!(f, "{}: {}", self.problem.file, self.problem.message),
        }
    }
}

impl std::error::Error for Report<'_> {}

impl Diagnostic for Report<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        let help = self.problem.help.as_deref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        let code = self.code.as_ref()?;
        Some(code)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.problem.place.as_ref()?;
        Some(Box::new(
            place.spans.iter().map(|(span, label)| LabeledSpan::new_with_span(label.clone(), *span)),
        ))
    }
}
