//! The forms that a line can have outside of the file.

use std::borrow::Cow;

use crate::sink::OutletError;

/// The form of a sink's lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// As in the file, byte for byte: it can be verified like the file.
    #[default]
    Own,
}

impl Format {
    /// The line in this form, without a line break. `run` is what its writer's run is called.
    ///
    /// # Errors
    /// [`OutletError::Format`] for what is no line of ours.
    pub fn render<'a>(self, _run: &str, line: &'a [u8]) -> Result<Cow<'a, [u8]>, OutletError> {
        match self {
            Self::Own => Ok(Cow::Borrowed(line)),
        }
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
