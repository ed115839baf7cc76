//! The one layout of policy files: what is said stays, how it is laid out does not.

use cedar_policy_formatter::{Config, policies_str_to_pretty};

use crate::parse::file;
use crate::problem::{Problem, Problems};
use crate::source::Source;

/// Columns of a line, where it can be broken at all.
const WIDTH: usize = 100;
const INDENT: isize = 4;
/// The layout of a comment can take another pass to settle; more than this means that it never does.
const PASSES: usize = 8;

/// The file in the one layout: the same policies in the same order, every annotation, every comment.
/// Laying out the result again changes nothing.
///
/// # Errors
/// Every syntax error and every template, with its place. A file whose layout would lose something or
/// never settles is a problem too, and is better left as it is.
pub fn format(source: &Source) -> Result<String, Problems> {
    let mut problems = Vec::new();
    let before = file(source, &mut problems);
    Problems::check(problems)?;
    let refused = |what: String| Problems::of(vec![Problem::of_file(&source.name, what)]);
    let text = settle(&source.text)
        .map_err(|error| refused(format!("cannot be laid out, and stays as it is: {error}")))?;
    let formatted = Source::new(&source.name, text.as_str());
    let mut problems = Vec::new();
    let after = file(&formatted, &mut problems);
    let same = problems.is_empty()
        && before.len() == after.len()
        && before
            .iter()
            .zip(&after)
            .all(|(one, other)| meaning(one).is_some_and(|one| Some(one) == meaning(other)))
        && comments(&source.text) == comments(&text);
    if same { Ok(text) } else { Err(refused("cannot be laid out without a loss, and stays as it is".into())) }
}

fn settle(text: &str) -> Result<String, String> {
    let config = Config { line_width: WIDTH, indent_width: INDENT };
    let text = text.replace("\r\n", "\n");
    let (head, body) = text.split_at_checked(head_length(&text)).unwrap_or(("", &text));
    let head = paragraphs(head);
    let mut body = body.to_owned();
    for _ in 0..PASSES {
        // Without policies the formatter would begin with an empty line.
        let next = if body.lines().all(is_comment) {
            paragraphs(&body)
        } else {
            policies_str_to_pretty(&body, &config).map_err(|error| format!("{error:?}"))?
        };
        if next == body {
            let gap = if head.is_empty() || body.is_empty() { "" } else { "\n" };
            return Ok(format!("{head}{gap}{body}"));
        }
        body = next;
    }
    Err("its comments do not come to rest".to_owned())
}

/// What a file begins with, comments up to an empty line, is about the file. The formatter would make it a
/// part of the first policy.
fn head_length(text: &str) -> usize {
    let mut length = 0_usize;
    let mut head = 0;
    for line in text.split_inclusive('\n').take_while(|line| is_comment(line)) {
        length = length.saturating_add(line.len());
        if line.trim().is_empty() {
            head = length;
        }
    }
    head
}

fn is_comment(line: &str) -> bool {
    line.trim().is_empty() || line.trim_start().starts_with("//")
}

/// Comments line by line, with at most one empty line between them.
fn paragraphs(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().map(str::trim).collect();
    let mut out = String::new();
    let mut empty = true;
    for line in lines {
        if !(empty && line.is_empty()) {
            out.push_str(line);
            out.push('\n');
        }
        empty = line.is_empty();
    }
    out
}

/// The policy without its place and without the id that only its position gives it.
fn meaning(policy: &cedar_policy::Policy) -> Option<serde_json::Value> {
    policy.to_json().ok()
}

/// Every comment, sorted: laying out may move one to another line.
fn comments(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in Lines::of(text) {
        found.extend(line.comment.map(|comment| comment.trim_end().to_owned()));
    }
    found.sort();
    found
}

/// The text, piece by piece: up to a comment or to the end of a line.
struct Lines<'a> {
    rest: &'a str,
    in_string: bool,
}

struct Line<'a> {
    comment: Option<&'a str>,
}

impl<'a> Lines<'a> {
    const fn of(text: &'a str) -> Self {
        Self { rest: text, in_string: false }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        let mut escaped = false;
        let mut slash = false;
        for (at, c) in line.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if self.in_string => escaped = true,
                '"' => self.in_string = !self.in_string,
                '/' if slash => return Some(Line { comment: line.get(at.saturating_sub(1)..) }),
                _ => {}
            }
            slash = c == '/' && !self.in_string;
        }
        Some(Line { comment: None })
    }
}

#[cfg(test)]
mod tests;
