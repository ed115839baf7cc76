//! Access logs: neither credentials nor queries in them.

use crate::linter::Linter;
use crate::rule::{Rule, Severity};
use crate::tree::{Node, Value};

static LOGGED_CREDENTIALS: Rule = Rule::new(
    Severity::Hole,
    "logged-credentials",
    &["E04"],
    "tokens, proofs or queries are written into a log, where others read them",
    "log `%PATH(NQ)%`, and no `authorization`, `dpop` or `cookie` header",
)
.allowable();

pub(crate) static RULES: &[&Rule] = &[&LOGGED_CREDENTIALS];

/// Looks at every text of a log's format; without one, Envoy's default holds the query.
pub(crate) fn judge(log: &Node, linter: &mut Linter<'_>) {
    const BY_FORMAT: [&str; 3] = [
        "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
        "envoy.extensions.access_loggers.stream.v3.StderrAccessLog",
        "envoy.extensions.access_loggers.file.v3.FileAccessLog",
    ];
    if let Some((kind, config)) = log.get("typed_config").and_then(Node::typed) {
        let formats = ["log_format", "format", "json_format", "typed_json_format"];
        if BY_FORMAT.contains(&kind) && formats.iter().all(|key| config.get(key).is_none()) {
            linter.report(
                &LOGGED_CREDENTIALS,
                log.place,
                "the access log holds the path with its query, by default",
            );
        }
    }
    let mut open = vec![log];
    while let Some(node) = open.pop() {
        match &node.value {
            Value::List(items) => open.extend(items),
            Value::Map(entries) => open.extend(entries.iter().map(|entry| &entry.value)),
            Value::Text(text) => {
                if let Some(what) = given_away(text) {
                    linter.report(&LOGGED_CREDENTIALS, node.place, format!("the access log holds {what}"));
                }
            }
            Value::Null | Value::Bool(_) | Value::Integer(_) => {}
        }
    }
}

/// What a format, or the name of a header to log, gives away.
fn given_away(format: &str) -> Option<String> {
    let upper = format.to_ascii_uppercase();
    if matches!(upper.as_str(), "AUTHORIZATION" | "DPOP" | "COOKIE") {
        return Some(format!("header `{}`", upper.to_ascii_lowercase()));
    }
    operators(&upper)
        .find_map(|(name, arguments)| {
            let mut headers = arguments.split('?').map(str::trim);
            let query = match name {
                "CEL" => ["REQUEST.PATH", "REQUEST.QUERY", ":PATH", "X-ENVOY-ORIGINAL-PATH"]
                    .iter()
                    .any(|part| upper.contains(part)),
                name if name == "REQ" || name.contains("HEADER") => {
                    headers.any(|header| matches!(header, ":PATH" | "X-ENVOY-ORIGINAL-PATH"))
                }
                "PATH" => !arguments.starts_with("NQ"),
                "QUERY_PARAM" | "QUERY_PARAMS" => true,
                _ => false,
            };
            query.then(|| "the path with its query".to_owned())
        })
        .or_else(|| credentials(format))
}

/// The credential that a format of Envoy's puts in. Of an expression, which may hold brackets and `%` itself, the
/// whole text is looked at.
pub(crate) fn credentials(format: &str) -> Option<String> {
    const HEADERS: [&str; 3] = ["AUTHORIZATION", "DPOP", "COOKIE"];
    let upper = format.to_ascii_uppercase();
    operators(&upper).find_map(|(name, arguments)| {
        let header = if name == "CEL" {
            HEADERS.into_iter().find(|header| upper.contains(header))?
        } else if name.starts_with("REQ") || name.contains("HEADER") {
            arguments.split('?').map(str::trim).find(|header| HEADERS.contains(header))?
        } else {
            return None;
        };
        Some(format!("header `{}`", header.to_ascii_lowercase()))
    })
}

/// The `%NAME(ARGUMENTS)%` in a format; what lies between two of them is taken for one too, which does no harm.
fn operators(format: &str) -> impl Iterator<Item = (&str, &str)> {
    format.match_indices('%').filter_map(|(start, _)| {
        let operator = format.get(start.saturating_add(1)..)?.split('%').next()?;
        let (name, arguments) = operator.split_once('(').unwrap_or((operator, ""));
        Some((name, arguments.split(')').next().unwrap_or_default()))
    })
}
