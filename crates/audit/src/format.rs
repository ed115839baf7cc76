//! The forms that a line can have outside of the file.

mod address;
mod cause;
mod ecs;
mod object;
mod ocsf;

use std::borrow::Cow;

use crate::sink::OutletError;
use crate::statement::Statement;
pub use cause::{Cause, cause_of};

/// The form of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// As in the file, byte for byte: it can be verified like the file.
    #[default]
    Own,
    /// An event of the Open Cybersecurity Schema Framework, version 1.8.0.
    Ocsf,
    /// A document of the Elastic Common Schema, version 9.4.0.
    Ecs,
}

impl Format {
    /// Every one, with its word.
    pub const WORDS: [(&'static str, Self); 3] =
        [("own", Self::Own), ("ocsf", Self::Ocsf), ("ecs", Self::Ecs)];

    /// The line in this form, without a line break. `run` is what its writer's run is called, empty where nobody knows.
    ///
    /// What a line does not say, none of its forms does.
    ///
    /// # Errors
    /// [`OutletError::Format`] for what is no line of ours.
    pub fn render<'a>(self, run: &str, line: &'a [u8]) -> Result<Cow<'a, [u8]>, OutletError> {
        if self == Self::Own {
            return Ok(Cow::Borrowed(line));
        }
        let form = Statement::read(line).and_then(|line| self.form(run, &line).map(Cow::into_owned));
        form.map(Cow::Owned).ok_or(OutletError::Format)
    }

    /// The same of a line that is read.
    pub(crate) fn form<'a>(self, run: &str, line: &Statement<'a>) -> Option<Cow<'a, [u8]>> {
        let event = match self {
            Self::Own => return Some(Cow::Borrowed(line.line())),
            Self::Ocsf => ocsf::event(run, line),
            Self::Ecs => ecs::document(run, line),
        };
        Some(Cow::Owned(event?.into_json()))
    }

    /// As many lines as have this form, from the first one on, and why there are no more.
    pub(crate) fn first_of<'a>(
        self,
        run: &str,
        lines: &[&'a [u8]],
    ) -> (Vec<Cow<'a, [u8]>>, Option<OutletError>) {
        let mut rendered = Vec::with_capacity(lines.len());
        for line in lines {
            match self.render(run, line) {
                Ok(line) => rendered.push(line),
                Err(error) => return (rendered, Some(error)),
            }
        }
        (rendered, None)
    }
}
