//! The request that flags describe.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::exit::Failure;

/// Longest file with a token, a proof or a certificate, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// What stands in for a credential in anything that is printed.
const HIDDEN: &str = "[credential]";
/// Shorter values are no credentials, and would be found everywhere.
const LEAST_CREDENTIAL: usize = 8;

/// What to ask about.
#[derive(Args, Debug)]
pub(super) struct Request {
    /// The method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// The host.
    #[arg(long, required_unless_present = "url", conflicts_with = "url")]
    host: Option<String>,
    /// Path and query.
    #[arg(long, required_unless_present = "url", conflicts_with = "url")]
    path: Option<String>,
    /// Host, path and query in one: `https://<host>/<path>`. Taken as it is written, nothing in it is normalised.
    #[arg(long)]
    url: Option<String>,
    /// A header field, `name: value`; may be repeated.
    #[arg(long, short = 'H', value_name = "FIELD")]
    header: Vec<String>,
    /// A file with the access token. It is sent as `DPoP` if there is a proof, else as `Bearer`.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file with the DPoP proof.
    #[arg(long, value_name = "FILE")]
    proof_file: Option<PathBuf>,
    /// PEM: the certificate that the caller shows to Envoy; the first one in the file.
    #[arg(long, value_name = "FILE")]
    peer_certificate_file: Option<PathBuf>,
}

/// A request in Envoy's terms.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) method: String,
    pub(super) host: String,
    pub(super) target: String,
    /// Names in lower case.
    pub(super) fields: Vec<(String, String)>,
    /// URL-encoded PEM.
    pub(super) certificate: Option<String>,
}

impl Request {
    pub(super) fn describe(&self) -> Result<Described, Failure> {
        let (host, target) = match (&self.url, &self.host, &self.path) {
            (Some(url), _, _) => split(url).ok_or_else(|| {
                Failure::Usage("--url: `https://<host>/<path>`, without a fragment or a user".to_owned())
            })?,
            (None, Some(host), Some(path)) => (host.clone(), path.clone()),
            (None, _, _) => return Err(Failure::Usage("--url, or --host and --path".to_owned())),
        };
        let mut fields = parse_fields(&self.header)?;
        let proof = self.proof_file.as_deref().map(read_word).transpose()?;
        if let Some(file) = &self.token_file {
            let scheme = if proof.is_some() { "DPoP" } else { "Bearer" };
            fields.push(("authorization".to_owned(), format!("{scheme} {}", read_word(file)?)));
        }
        fields.extend(proof.map(|proof| ("dpop".to_owned(), proof)));
        let certificate = self.peer_certificate_file.as_deref().map(read_certificate).transpose()?;
        Ok(Described { method: self.method.clone(), host, target, fields, certificate })
    }
}

impl Described {
    /// The text without any credential of the request, whoever has put it there.
    pub(super) fn without_credentials(&self, text: &str) -> String {
        let secret = |(name, _): &&(String, String)| {
            ["authorization", "dpop", "cookie", "proxy-authorization"].contains(&name.as_str())
        };
        let words = self.fields.iter().filter(secret).flat_map(|(_, value)| value.split_whitespace());
        words
            .filter(|word| word.len() >= LEAST_CREDENTIAL)
            .fold(text.to_owned(), |text, word| text.replace(word, HIDDEN))
    }
}

/// Host, and path with query, as they are written.
fn split(url: &str) -> Option<(String, String)> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at_checked(end)?;
    if host.is_empty() || host.contains('@') || rest.contains('#') {
        return None;
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    Some((host.to_owned(), format!("{slash}{target}")))
}

fn parse_fields(fields: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let parse = |field: &String| {
        let (name, value) = field.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    let parsed: Option<Vec<_>> = fields.iter().map(parse).collect();
    parsed.ok_or_else(|| Failure::Usage("a header field is written `name: value`".to_owned()))
}

/// A file with one word in it. What it says is in no message.
fn read_word(file: &Path) -> Result<String, Failure> {
    let text = read(file)?;
    let word = text.trim();
    if word.is_empty() || word.contains(char::is_whitespace) {
        return Err(Failure::Usage(format!(
            "{}: one word is expected: the token or proof alone",
            file.display()
        )));
    }
    Ok(word.to_owned())
}

/// As Envoy shows it: PEM, URL-encoded.
fn read_certificate(file: &Path) -> Result<String, Failure> {
    const END: &str = "-----END CERTIFICATE-----";
    let text = read(file)?;
    let begin = text.find("-----BEGIN CERTIFICATE-----");
    let end = begin.and_then(|begin| text.get(begin..)?.find(END).map(|end| begin.saturating_add(end)));
    let pem = begin.zip(end).and_then(|(begin, end)| text.get(begin..end.saturating_add(END.len())));
    let pem = pem.ok_or_else(|| Failure::Usage(format!("{}: no certificate in PEM", file.display())))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    Ok(pem.bytes().chain([b'\n']).map(encode).collect())
}

fn read(file: &Path) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| Failure::Usage(format!("{}: {error}", file.display()));
    if std::fs::metadata(file).map_err(unreadable)?.len() > MAX_FILE {
        return Err(Failure::Usage(format!("{}: larger than {MAX_FILE} bytes", file.display())));
    }
    std::fs::read_to_string(file).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_as_it_is_written() {
        let split = |url| split(url).map(|(host, target)| format!("{host} {target}"));
        for (url, expected) in [
            ("https://api.example.com/a/../b?c=%2e", Some("api.example.com /a/../b?c=%2e")),
            ("http://[::1]:8080", Some("[::1]:8080 /")),
            ("https://api.example.com?c", Some("api.example.com /?c")),
            ("https:///a", None),
            ("https://user@api.example.com/a", None),
            ("https://api.example.com/a#b", None),
            ("api.example.com/a", None),
        ] {
            assert_eq!(split(url).as_deref(), expected, "{url}");
        }
    }

    /// E-05: an answer that repeats a credential is not printed with it.
    #[test]
    fn credentials_are_in_nothing_that_is_printed() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let described = Described {
            method: "GET".to_owned(),
            host: "h".to_owned(),
            target: "/".to_owned(),
            fields: vec![field("authorization", "DPoP abc.def.ghi"), field("dpop", "jkl.mno.pqr")],
            certificate: None,
        };
        let text = described.without_credentials("DPoP abc.def.ghi and jkl.mno.pqr");
        assert_eq!(text, "DPoP [credential] and [credential]");
    }
}
