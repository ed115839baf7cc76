//! `"doc:{id}"`: text with parameters of the route's path.

use std::collections::BTreeMap;

use thiserror::Error;

/// Parameters of a matched path, decoded.
pub(crate) type Parameters = BTreeMap<String, String>;

/// Text in which `{name}` stands for a parameter of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Parameter(String),
}

/// Why a template is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// A brace without its counterpart.
    #[error("a brace is not closed, or closes nothing")]
    Brace,
    /// A parameter name other than letters, digits and `_`.
    #[error("`{0}` is not a parameter name: letters, digits and `_` only")]
    Name(String),
}

impl Template {
    /// Parses the text.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, tail)) = rest.split_once('{') {
            if literal.contains('}') {
                return Err(TemplateError::Brace);
            }
            let (name, after) = tail.split_once('}').ok_or(TemplateError::Brace)?;
            parse_name(name)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            parts.push(Part::Parameter(name.to_owned()));
            rest = after;
        }
        if rest.contains('}') {
            return Err(TemplateError::Brace);
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The parameters that the template names.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Parameter(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// Fills the template in; `None` if a parameter is missing, which loading rules out.
    pub(crate) fn fill(&self, parameters: &Parameters) -> Option<String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Parameter(name) => text.push_str(parameters.get(name)?),
            }
        }
        Some(text)
    }
}

pub(crate) fn parse_name(name: &str) -> Result<(), TemplateError> {
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if valid { Ok(()) } else { Err(TemplateError::Name(name.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_filled_in() {
        let parameters = Parameters::from([("id".to_owned(), "7{x}".to_owned())]);
        for (text, filled) in
            [("", ""), ("a", "a"), ("{id}", "7{x}"), ("doc:{id}:r", "doc:7{x}:r"), ("{id}{id}", "7{x}7{x}")]
        {
            assert_eq!(Template::parse(text).unwrap().fill(&parameters).as_deref(), Some(filled), "{text}");
        }
        assert_eq!(Template::parse("{other}").unwrap().fill(&parameters), None);
    }

    #[test]
    fn broken_templates_are_refused() {
        for text in ["{", "}", "{id", "id}", "{}", "{a b}", "{a}}", "{{a}}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
