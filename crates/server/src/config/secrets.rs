//! Files with secrets, and secrets that stand where they do not belong.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use thiserror::Error;

/// What a file's mode grants to those who are neither its owner nor of its group.
const OTHERS: u32 = 0o007;

/// A secret that everybody on the machine may read or replace.
#[derive(Debug, Error)]
#[error("a secret that others may read or replace (mode {mode:04o}): `chmod o-rwx` it")]
pub(super) struct Exposed {
    mode: u32,
}

/// Looks at who may read the file (C-16). One that is not there is told by whoever reads it.
///
/// # Errors
/// [`Exposed`], if everybody may.
pub(super) fn private(file: &Path) -> Result<(), Exposed> {
    let Ok(metadata) = std::fs::metadata(file) else { return Ok(()) };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 { Ok(()) } else { Err(Exposed { mode }) }
}

/// The text with a `*` for each byte between `://` and the last `@` of its line, so that every place stays what it was. Where a URL ends
/// cannot be told: a password may hold anything.
pub(super) fn without_credentials(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let url = after.lines().next().unwrap_or(after);
        // What our own messages say that is to be written there.
        let secret = if url.starts_with("[user:password@]") { 0 } else { url.rfind('@').unwrap_or(0) };
        shown.extend(std::iter::repeat_n('*', secret));
        rest = after.get(secret..).unwrap_or_default();
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_urls_are_hidden_and_nothing_else_is() {
        for (text, shown) in [
            ("url: \"redis://gate:word@host/0\"", "url: \"redis://*********@host/0\""),
            ("a: http://u:p@q@h/x\nb: http://:é@h", "a: http://*****@h/x\nb: http://***@h"),
            ("\"redis://u:p'a `s\\\"s@h\"\r\n@x", "\"redis://***********@h\"\r\n@x"),
            ("https://host/a\n'b'@x", "https://host/a\n'b'@x"),
            ("x://y://secret@h", "x://**********@h"),
            ("://@", "://@"),
            ("write redis://[user:password@]host", "write redis://[user:password@]host"),
            ("redis://[x:password@]h", "redis://***********@]h"),
            ("no URL, a@b", "no URL, a@b"),
        ] {
            assert_eq!(without_credentials(text), shown);
            assert_eq!(text.len(), shown.len());
        }
    }
}
