use std::borrow::Cow;
use std::cell::RefCell;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

use crate::check::nearest;
use crate::extent::yaml_extent;
use crate::problem::Problem;
use crate::source::Source;

/// A test file being read: where mistakes are gathered, so that all of them are told at once.
#[derive(Debug)]
pub(super) struct File<'s> {
    source: &'s Source,
    problems: RefCell<Vec<Problem>>,
}

/// A YAML value, with its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'f, 's> {
    pub(super) file: &'f File<'s>,
    yaml: &'f MarkedYaml<'s>,
}

impl<'s> File<'s> {
    pub(super) fn new(source: &'s Source) -> Self {
        Self { source, problems: RefCell::default() }
    }

    /// The file's only document. Duplicate keys are refused, and what would become too large a tree.
    pub(super) fn document(&self) -> Option<MarkedYaml<'s>> {
        if let Err((excess, marker)) = yaml_extent(&self.source.text) {
            let offset = self.offset(marker.index());
            self.add(Problem::at(self.source, offset, 0, excess.to_string()));
            return None;
        }
        match MarkedYaml::load_from_str(&self.source.text) {
            Ok(documents) => match <[MarkedYaml<'s>; 1]>::try_from(documents) {
                Ok([document]) => Some(document),
                Err(_documents) => {
                    self.add(Problem::of_file(&self.source.name, "the file has to hold one YAML document"));
                    None
                }
            },
            Err(error) => {
                let offset = self.offset(error.marker().index());
                self.add(Problem::at(self.source, offset, 0, error.info()));
                None
            }
        }
    }

    pub(super) fn root<'f>(&'f self, yaml: &'f MarkedYaml<'s>) -> Node<'f, 's> {
        Node { file: self, yaml }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// The byte of a character: YAML marks count characters.
    fn offset(&self, characters: usize) -> usize {
        self.source.text.char_indices().nth(characters).map_or(self.source.text.len(), |(byte, _)| byte)
    }
}

impl<'f, 's> Node<'f, 's> {
    /// Line from 1.
    pub(super) fn line(self) -> usize {
        self.yaml.span.start.line()
    }

    pub(super) fn problem(self, message: impl Into<String>) {
        self.add(message, None);
    }

    pub(super) fn problem_with_help(self, message: impl Into<String>, help: impl Into<String>) {
        self.add(message, Some(help.into()));
    }

    fn add(self, message: impl Into<String>, help: Option<String>) {
        let start = self.file.offset(self.yaml.span.start.index());
        let end = self.file.offset(self.yaml.span.end.index());
        let text = self.file.source.text.get(start..end).unwrap_or_default();
        let first_line = text.lines().next().unwrap_or_default().trim_end();
        let problem = Problem::at(self.file.source, start, first_line.len(), message);
        self.file.add(match help {
            Some(help) => problem.with_help(help),
            None => problem,
        });
    }

    pub(super) fn is_null(self) -> bool {
        matches!(&self.yaml.data, YamlData::Value(Scalar::Null))
    }

    pub(super) fn is_mapping(self) -> bool {
        matches!(&self.yaml.data, YamlData::Mapping(_))
    }

    pub(super) fn text(self) -> Option<&'f str> {
        if let YamlData::Value(Scalar::String(text)) = &self.yaml.data {
            let text: &Cow<'s, str> = text;
            return Some(text);
        }
        let quote = matches!(&self.yaml.data, YamlData::Value(_));
        if quote {
            self.problem_with_help("has to be a string", "put it in quotes");
        } else {
            self.problem("has to be a string");
        }
        None
    }

    pub(super) fn integer(self) -> Option<i64> {
        if let YamlData::Value(Scalar::Integer(number)) = &self.yaml.data {
            return Some(*number);
        }
        self.problem("has to be an integer");
        None
    }

    pub(super) fn boolean(self) -> Option<bool> {
        if let YamlData::Value(Scalar::Boolean(flag)) = &self.yaml.data {
            return Some(*flag);
        }
        self.problem("has to be `true` or `false`");
        None
    }

    pub(super) fn items(self) -> Option<Vec<Self>> {
        if let YamlData::Sequence(items) = &self.yaml.data {
            return Some(items.iter().map(|yaml| Node { file: self.file, yaml }).collect());
        }
        self.problem("has to be a list");
        None
    }

    /// The members of a mapping, whatever they are called.
    pub(super) fn members(self) -> Option<Vec<(&'f str, Self, Self)>> {
        let YamlData::Mapping(members) = &self.yaml.data else {
            self.problem("has to be a mapping");
            return None;
        };
        let named = members.iter().filter_map(|(key, value)| {
            let key = Node { file: self.file, yaml: key };
            Some((key.text()?, key, Node { file: self.file, yaml: value }))
        });
        Some(named.collect())
    }

    /// Refuses every member whose name is not among `known`.
    pub(super) fn only(self, known: &[&str]) {
        for (name, key, _) in self.members().into_iter().flatten() {
            if !known.contains(&name) {
                let help = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known are: {}", known.join(", ")),
                };
                key.problem_with_help(format!("unknown key `{name}`"), help);
            }
        }
    }

    pub(super) fn get(self, name: &str) -> Option<Self> {
        let YamlData::Mapping(members) = &self.yaml.data else { return None };
        let found = members
            .iter()
            .find(|(key, _)| matches!(&key.data, YamlData::Value(Scalar::String(text)) if text == name));
        found.map(|(_, yaml)| Node { file: self.file, yaml })
    }
}
