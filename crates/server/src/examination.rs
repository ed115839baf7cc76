//! What `doctor` asks of the outside, by the server's own clients; and whether what is read at the start can be. Nothing is
//! judged here, and nothing changed.

use std::sync::Arc;
use std::time::Duration;

use exequatur_issuers::{HttpConfig, IssuerStatus, Issuers, KeysConfig, told_time};
use exequatur_store::{Examination, StoreError};
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{self, Clock};
use crate::config::{Config, TlsFiles};
use crate::nonce_secrets::nonces;
use crate::receipts::ReceiptKeys;
use crate::serve::ServeError;
use crate::state::{StateError, redis_config};
use crate::tls::{Certificates, TlsError, WithoutCertificate};
use crate::trial::wait_for_keys;

/// Issuers whose clocks are asked at once: each waits for 2 s at most.
const AT_ONCE: usize = 64;

/// How another clock stands to this one.
#[derive(Clone, Debug)]
pub struct ToldTime {
    /// Whose: an issuer's name.
    pub whose: String,
    /// What it says, cut to seconds.
    pub told: Timestamp,
    /// When it was asked.
    pub asked: Timestamp,
    /// When it had answered.
    pub answered: Timestamp,
}

/// The issuers' keys, loaded for this question only, and their servers' clocks.
///
/// # Errors
/// The issuers cannot be started. Keys that cannot be loaded are told in the status.
pub async fn examine_issuers(config: &Config) -> Result<(Vec<IssuerStatus>, Vec<ToldTime>), ServeError> {
    let clock = clock::system();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let http = HttpConfig::default();
    let issuers = Issuers::start(config.issuers.clone(), http, Arc::clone(&clock), &tasks, &stop)?;
    wait_for_keys(&issuers, &clock).await;
    let status = issuers.status(clock());
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    let issuers = config.issuers.iter().map(|issuer| (issuer.profile.name.to_string(), issuer.keys()));
    Ok((status, ask_clocks(issuers.collect(), http, &clock).await))
}

/// Asks some at once, so that those that hang are waited for together. By name.
async fn ask_clocks(issuers: Vec<(String, KeysConfig)>, http: HttpConfig, clock: &Clock) -> Vec<ToldTime> {
    let mut times = Vec::new();
    for some in issuers.chunks(AT_ONCE) {
        let mut asked = JoinSet::new();
        for (whose, keys) in some.iter().cloned() {
            let clock = Arc::clone(clock);
            asked.spawn(async move {
                let asked = clock();
                let told = told_time(&keys, http).await?;
                Some(ToldTime { whose, told, asked, answered: clock() })
            });
        }
        times.extend(asked.join_all().await.into_iter().flatten());
    }
    times.sort_unstable_by(|one, other| one.whose.cmp(&other.whose));
    times
}

/// What the store's servers say of themselves; nothing if it is in this process.
///
/// # Errors
/// The address cannot be used. That nobody answers is the inner error.
pub async fn examine_redis(
    config: &Config,
    within: Duration,
) -> Option<Result<Result<Vec<Examination>, StoreError>, StateError>> {
    let redis = config.store.redis.as_ref()?;
    Some(match redis_config(redis) {
        Ok(redis) => Ok(exequatur_store::examine(&redis.address, &redis.prefix, within).await),
        Err(error) => Err(error),
    })
}

/// Whether a listener can be served with these files.
///
/// # Errors
/// [`TlsError`]
pub fn examine_tls(files: &TlsFiles) -> Result<(), TlsError> {
    Certificates::load("examined", files.clone(), WithoutCertificate::LetIn, &[]).map(|_usable| ())
}

/// Whether the secrets of nonces can be used.
///
/// # Errors
/// What is wrong, without the secret.
pub fn examine_nonce_secrets(config: &Config) -> Result<(), String> {
    nonces(&config.sender).map(|_usable| ()).map_err(|error| error.to_string())
}

/// Whether the key of checkpoints can be used, and beside those before it.
///
/// # Errors
/// What is wrong, without the key.
pub fn examine_receipt_key(config: &Config) -> Result<(), String> {
    let Some(records) = &config.records else { return Ok(()) };
    ReceiptKeys::read(&records.checkpoints).map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::config::{Source, from_text};

    /// A server that answers nobody before all have asked: one after the other, each would be waited for in vain.
    #[tokio::test]
    async fn clocks_are_asked_together() {
        use std::io::{BufRead as _, Write as _};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let names = ["a", "b", "c"];
        std::thread::spawn(move || {
            let asked: Vec<_> = names.iter().map(|_| listener.accept().unwrap().0).collect();
            for mut stream in asked {
                let mut line = String::new();
                let mut request = std::io::BufReader::new(stream.try_clone().unwrap());
                while request.read_line(&mut line).is_ok_and(|read| read > 2) {
                    line.clear();
                }
                let head =
                    "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2015 00:00:00 GMT\r\ncontent-length: 0\r\n\r\n";
                drop(stream.write_all(head.as_bytes()));
            }
        });
        let issuer = |name: &&str| {
            format!(
                "{{ name: {name}, issuer: \"https://{name}.example.com\", jwks: \"http://{address}/\", audiences: [https://api.example.com] }}"
            )
        };
        let text = format!(
            "policies: p
protected_resources: [{{ resource: https://api.example.com }}]
issuers: [{}]
routes: [{{ name: health, match: {{ path: /healthz, methods: [GET] }}, access: public }}]
",
            names.iter().map(issuer).collect::<Vec<_>>().join(", ")
        );
        let config = from_text(Source { path: "exequatur.yaml".into(), text: text.into() }).unwrap();
        let issuers = config.issuers.iter().map(|issuer| (issuer.profile.name.to_string(), issuer.keys()));
        let told = ask_clocks(issuers.collect(), HttpConfig::default(), &clock::system()).await;
        let told: Vec<_> = told.iter().map(|time| (time.whose.as_str(), time.told.as_second())).collect();
        assert_eq!(told, names.map(|name| (name, 1_420_070_400)));
    }
}
