//! `exequatur healthcheck`: whether the server of this machine is ready, or lives.
//!
//! It needs nothing but the binary and the address: no shell, no HTTP client, no certificates of authorities. Of the
//! configuration only the address is read, so that a broken new file does not make a good server unhealthy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use exequatur_server::config;
use reqwest::{Client, StatusCode};

use crate::exit::{Failure, say};

/// Longest answer that is read, in bytes: a word.
const MAX_ANSWER: usize = 64;
/// Longest wait that can be asked for.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// Ask the server that a configuration describes whether it is ready.
///
/// Asks `/readyz`, or with --live `/healthz`, of its public listener; one at a wildcard address is asked on the loopback. Of
/// the configuration only `listen.public` is read. For HEALTHCHECK of an image, systemd, and `helm test`.
///
/// Exit codes: 0 ready; 1 not ready, or another service answers there; 3 the address cannot be read; 5 nobody answers.
#[derive(Debug, Args)]
pub(crate) struct Healthcheck {
    /// The configuration file of the server.
    #[arg(long, short, value_name = "FILE", required_unless_present = "address")]
    config: Option<PathBuf>,
    /// The address of the public listener itself, instead of the file that names it.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    address: Option<SocketAddr>,
    /// Ask whether it lives, not whether it is ready.
    #[arg(long)]
    live: bool,
    /// Longest wait for the answer.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    timeout: Duration,
}

/// A time to wait, as an argument.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed =
        config::parse_duration(text).filter(|duration| !duration.is_zero() && *duration <= MAX_TIMEOUT);
    parsed.ok_or_else(|| "write 500ms, 2s or 1m, and at most 10m".to_owned())
}

/// Said where nobody answers at the address that a file names.
const ELSEWHERE: &str = "a server that was started before `listen.public` changed still listens where it said then: restart it, or give \
    --address";

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Good,
    /// It says no.
    Bad,
    /// Something else than Exequatur listens there.
    Another,
}

impl Healthcheck {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let listener = match (self.address, &self.config) {
            (Some(address), _) => address,
            (None, Some(file)) => config::public_listener(file).map_err(Failure::invalid)?,
            (None, None) => return Err(Failure::Usage("--config, or --address".to_owned())),
        };
        if listener.port() == 0 {
            let message = "`listen.public` has port 0, any that is free: give --address";
            return Err(Failure::Invalid(message.to_owned()));
        }
        let (path, word) = if self.live { ("healthz", "ok") } else { ("readyz", "ready") };
        let health =
            asked(listener, path, word, self.timeout).map_err(|failure| match (failure, self.config) {
                // The file may say what the server was not started with.
                (Failure::Other(why), Some(_)) => Failure::Other(format!("{why}; {ELSEWHERE}")),
                (failure, _) => failure,
            })?;
        match health {
            Health::Good => say(word),
            Health::Bad => {
                say(format_args!("not {word}"))?;
                Err(Failure::NotPermitted)
            }
            Health::Another => {
                say(format_args!("something else than Exequatur answers at {listener}"))?;
                Err(Failure::NotPermitted)
            }
        }
    }
}

/// Whether the server behind a public listener is ready. Blocks.
///
/// # Errors
/// Nobody answers.
pub(crate) fn health_of(listener: SocketAddr, within: Duration) -> Result<Health, Failure> {
    asked(listener, "readyz", "ready", within)
}

/// Whether a connection is taken at a public listener, whatever is said then. Blocks for at most `within`.
pub(crate) fn is_listened_at(listener: SocketAddr, within: Duration) -> bool {
    let addresses = reached_at(listener);
    let share = u32::try_from(addresses.len()).ok().and_then(|shares| within.checked_div(shares));
    let share = share.unwrap_or(within);
    addresses.iter().any(|address| TcpStream::connect_timeout(address, share).is_ok())
}

fn asked(listener: SocketAddr, path: &str, word: &str, within: Duration) -> Result<Health, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::other)?;
    runtime.block_on(ask(&reached_at(listener), path, word, within))
}

/// The addresses of this machine at which a listener is reached, in the order to try them.
fn reached_at(listener: SocketAddr) -> Vec<SocketAddr> {
    let at = |ip: IpAddr| SocketAddr::new(ip, listener.port());
    match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![at(Ipv4Addr::LOCALHOST.into())],
        // `[::]` takes both families, unless the machine says otherwise.
        IpAddr::V6(ip) if ip.is_unspecified() => {
            vec![at(Ipv6Addr::LOCALHOST.into()), at(Ipv4Addr::LOCALHOST.into())]
        }
        IpAddr::V4(_) | IpAddr::V6(_) => vec![listener],
    }
}

async fn ask(addresses: &[SocketAddr], path: &str, word: &str, within: Duration) -> Result<Health, Failure> {
    // No authorities: an image may have none, and none are needed.
    let client = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([])
        .timeout(within)
        .build()
        .map_err(Failure::other)?;
    let asked = async {
        let mut last = Failure::Other("there is no address to ask at".to_owned());
        for address in addresses {
            match answer(&client, &format!("http://{address}/{path}"), word).await {
                Ok(health) => return Ok(health),
                Err(error) => last = Failure::Other(format!("{address}: nobody answers: {}", cause(&error))),
            }
        }
        Err(last)
    };
    tokio::time::timeout(within, asked)
        .await
        .unwrap_or_else(|_elapsed| Err(Failure::Other(format!("no answer within {within:?}"))))
}

async fn answer(client: &Client, url: &str, word: &str) -> Result<Health, reqwest::Error> {
    let mut response = client.get(url).send().await?;
    let status = response.status();
    let mut said = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        said.extend_from_slice(&chunk);
        if said.len() > MAX_ANSWER {
            return Ok(Health::Another);
        }
    }
    Ok(judge(status, &said, word))
}

fn judge(status: StatusCode, said: &[u8], word: &str) -> Health {
    if status == StatusCode::OK && said.trim_ascii() == word.as_bytes() {
        Health::Good
    } else if status == StatusCode::SERVICE_UNAVAILABLE {
        Health::Bad
    } else {
        Health::Another
    }
}

fn cause(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_asked_on_the_loopback_of_its_family() {
        for (listener, expected) in [
            ("0.0.0.0:1", vec!["127.0.0.1:1"]),
            ("[::]:1", vec!["[::1]:1", "127.0.0.1:1"]),
            ("10.0.0.1:1", vec!["10.0.0.1:1"]),
            ("[fd00::1]:1", vec!["[fd00::1]:1"]),
        ] {
            let found: Vec<_> =
                reached_at(listener.parse().unwrap()).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected);
        }
    }

    /// Another service on the port that says 200 to everything is no good health.
    #[test]
    fn only_our_own_word_is_good_health() {
        let judge = |status, said: &[u8]| judge(StatusCode::from_u16(status).unwrap(), said, "ready");
        assert_eq!(judge(200, b"ready\n"), Health::Good);
        assert_eq!(judge(503, b""), Health::Bad);
        for (status, said) in [(200, &b"<html>"[..]), (200, b""), (404, b"ready"), (302, b"")] {
            assert_eq!(judge(status, said), Health::Another, "{status} {said:?}");
        }
    }
}
