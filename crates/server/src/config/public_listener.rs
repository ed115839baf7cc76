//! The address of the public listener alone, from a file that may be broken elsewhere.
//!
//! For a health check: the file on the disk may be a new one that the running server has refused, and that says nothing of
//! the server's health.

use std::net::SocketAddr;
use std::path::Path;

use super::listen::{self, Listen};
use super::reader::{Node, Notes, Value};
use super::{document, read};

/// Where the public listener of the server that the file configures is.
///
/// Nothing else in the file is judged; where the file is not YAML as a whole, its section `listen` may be.
///
/// # Errors
/// What keeps the address from being known.
pub fn public_listener(path: &Path) -> Result<SocketAddr, String> {
    let text = read(path)?;
    find(&text)
        .map_err(|why| format!("{}: the address of the public listener is not known: {why}", path.display()))
}

fn find(text: &str) -> Result<SocketAddr, String> {
    let notes = Notes::default();
    let root = document::parse(text, &notes).or_else(|| document::parse(section(text)?, &Notes::default()));
    let Some(root) = root else {
        let problem = notes.into_problems().into_iter().next();
        return Err(problem.map_or_else(
            || "the file is not YAML".to_owned(),
            |problem| match problem.place {
                Some(place) => format!("line {}: {}", place.line, problem.message),
                None => problem.message,
            },
        ));
    };
    let Some(listen) = member(&root, "listen")? else { return Ok(Listen::default().public) };
    let Some(public) = member(listen, "public")? else { return Ok(Listen::default().public) };
    let notes = Notes::default();
    listen::parse_address(public, &notes)
        .ok_or_else(|| format!("line {}: `listen.public` is no address", public.place.line))
}

fn member<'a>(node: &'a Node, key: &str) -> Result<Option<&'a Node>, String> {
    match &node.value {
        Value::Map(entries) => Ok(entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)),
        Value::Null
        | Value::Bool(_)
        | Value::Integer(_)
        | Value::Float
        | Value::Text(_)
        | Value::List(_)
        | Value::Unusable => Err(format!("line {}: a map is expected", node.place.line)),
    }
}

/// The lines of the section `listen`: from its key to the next line that begins at the margin.
fn section(text: &str) -> Option<&str> {
    let mut begin = None;
    let mut end = text.len();
    let mut offset = 0_usize;
    for line in text.split_inclusive('\n') {
        let at_margin = !line.starts_with([' ', '\t', '#', '\n', '\r', '}', ']']);
        match begin {
            None if line.starts_with("listen:") => begin = Some(offset),
            Some(_) if at_margin => {
                end = offset;
                break;
            }
            None | Some(_) => {}
        }
        offset = offset.saturating_add(line.len());
    }
    text.get(begin?..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_files_that_are_broken_elsewhere() {
        for (text, expected) in [
            ("policies: p\n", "127.0.0.1:9192"),
            ("listen: { grpc: \"unix:a\" }\n", "127.0.0.1:9192"),
            ("listen: { public: 0.0.0.0:80 }\nno_such_key: 1\nissuers: 7\n", "0.0.0.0:80"),
            ("listen:\n  public: \"[::]:80\" # here\nroutes: [ {\n", "[::]:80"),
            (
                "routes: ]\nlisten:\n  public: 1.2.3.4:5\n\n# more\n  grpc: nonsense\nissuers: [\n",
                "1.2.3.4:5",
            ),
        ] {
            assert_eq!(find(text).map(|address| address.to_string()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for text in [
            "listen: { public: localhost:80 }\n",
            "listen: 7\n",
            "listen: { public: 7 }\n",
            "routes: [\n",
            "listen: { public: 1.2.3.4:5\nroutes: [\n",
            "7\n",
        ] {
            assert!(find(text).is_err(), "{text}");
        }
    }
}
