//! Upstream, Exequatur and Envoy, as real processes on the loopback.

mod restarts;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::agent::Agent;
use crate::client::{Answer, Call, send, send_proven};
use crate::configuration::{self, IssuerEntry, Ports};
use crate::jwt::Algorithm;
use crate::ports::Reserved;
use crate::raw::{Raw, RawCaller, Version};
use crate::redis::{Kind, Redis};
use crate::token_service::TokenService;
use crate::upstream::Upstream;
use crate::{binaries, jwt, tls};

pub use restarts::Replica;

/// Bound on each wait for a process to be ready.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// A stop takes no longer, whatever hangs (docs/how-to/upgrade.md).
const ENDED_WITHIN: Duration = Duration::from_secs(18);
/// Where the cluster's endpoint stands in `envoy/plain.yaml`, and what it says of two replicas.
pub const ONE_ENDPOINT: &str =
    "[ { endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 9191 } } } } ]";
/// See [`ONE_ENDPOINT`].
pub const TWO_ENDPOINTS: &str = "[ { endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 9191 } } } }, \
                                 { endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 9194 } } } } ]";
/// Where the cluster stands in `envoy/plain.yaml`, and what docs/reference/envoy.md says of several replicas.
pub const CLUSTER: &str = "  - name: exequatur\n    type: STATIC\n";
/// See [`CLUSTER`].
pub const CHECKED_CLUSTER: &str = "  - name: exequatur
    type: STATIC
    health_checks:
    - { interval: 0.25s, no_traffic_interval: 0.25s, timeout: 0.25s, unhealthy_threshold: 1, healthy_threshold: 1, grpc_health_check: { service_name: envoy.service.auth.v3.Authorization } }
    common_lb_config: { healthy_panic_threshold: {} }
";
const POLL: Duration = Duration::from_millis(25);

/// Which stack to start.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `envoy/hardened.yaml` with TLS instead of `envoy/plain.yaml`.
    pub hardened: bool,
    /// The issuer to trust; the stack's own token service if none.
    pub issuer: Option<IssuerEntry>,
    /// More algorithms that the stack's own token service signs with.
    pub signing: Vec<Algorithm>,
    /// An Envoy of before 1.37, which reads header mutations in another way. It knows the plain example only.
    pub older_envoy: bool,
    /// Another example of `envoy/` than these two; it has TLS.
    pub example: Option<&'static str>,
    /// Keep the time limits of the examples. They are widened otherwise: on a machine that does much at once an
    /// answer may be late, and 503 would say nothing about what a test asks.
    pub timely: bool,
    /// Replacements in Envoy's configuration; each must find its text. In them, port 9194 is a free one where there is
    /// no second replica, and 10090 is that of the stack's own token service.
    pub envoy: Vec<(&'static str, &'static str)>,
    /// Replacements in Exequatur's configuration; each must find its text. In them, `localhost:10000` is where callers come in.
    pub exequatur: Vec<(&'static str, &'static str)>,
    /// These files of `policies/` alone, as a copy in the stack's folder that a test may change; if none is named, all
    /// where they are.
    pub own_policies: &'static [&'static str],
    /// Another policy folder than `policies/`, where it is; named from the root of the repository.
    pub policies: Option<&'static str>,
    /// Log no more than warnings. Everything is logged otherwise, so that a test can tell what never is.
    pub terse: bool,
    /// A Redis for the store, shared by all replicas.
    pub redis: Option<Kind>,
    /// What `store.redis` says, for a Redis that the test itself runs.
    pub store: Option<String>,
    /// Do not wait until the replicas are ready; what they need may come later.
    pub unready: bool,
    /// Exequatur's gRPC listener is the Unix socket `grpc.sock` in the stack's folder, with these further keys of `listen`.
    pub grpc_socket: Option<&'static str>,
    /// Start a second replica too. Envoy's configuration names it by port 9194.
    pub second_replica: bool,
}

impl Options {
    /// The plain example, or the hardened one.
    #[must_use]
    pub fn on(hardened: bool) -> Self {
        Self { hardened, ..Self::default() }
    }

    /// The plain example, the hardened one, and the plain one in an older Envoy.
    #[must_use]
    pub fn everywhere() -> [Self; 3] {
        [Self::on(false), Self::on(true), Self { older_envoy: true, ..Self::on(false) }]
    }

    /// The plain example with two replicas behind Envoy that share a store.
    #[must_use]
    pub fn shared(kind: Kind) -> Self {
        Self {
            redis: Some(kind),
            second_replica: true,
            envoy: vec![(ONE_ENDPOINT, TWO_ENDPOINTS)],
            ..Self::default()
        }
    }

    fn shares(&self) -> bool {
        self.redis.is_some() || self.store.is_some()
    }

    fn example(&self) -> &'static str {
        self.example.unwrap_or(if self.hardened { "hardened.yaml" } else { "plain.yaml" })
    }

    fn tls(&self) -> bool {
        self.hardened || self.example.is_some()
    }
}

/// A running stack; its processes end and its folder goes when it is dropped.
#[derive(Debug)]
pub struct Stack {
    /// The issuer of tokens.
    pub tokens: TokenService,
    /// The protected service.
    pub upstream: Upstream,
    /// The ports in use.
    pub ports: Ports,
    /// Talks HTTP/1.1 to Envoy.
    pub client: Client,
    options: Options,
    exequatur: Child,
    second: Option<Child>,
    envoy: Child,
    _reserved: Reserved,
    redis: Option<Redis>,
    folder: Folder,
}

impl Stack {
    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// When a program is missing or does not become ready; the end of its log is in the message.
    pub async fn start(options: Options) -> Result<Self, String> {
        let upstream = Upstream::start().await.map_err(|error| error.to_string())?;
        let tokens = TokenService::start_with(&options.signing).await.map_err(|error| error.to_string())?;
        let Processes { reserved, ports, exequatur, second, envoy, redis, folder } =
            Processes::start(&options, &tokens, upstream.address.port()).await?;
        let client = client(&options, &folder.0, Speaks::Http1)?;
        Ok(Self {
            tokens,
            upstream,
            ports,
            client,
            options,
            exequatur,
            second,
            envoy,
            _reserved: reserved,
            redis,
            folder,
        })
    }

    /// The store's server.
    ///
    /// # Panics
    /// When there is none.
    pub fn redis(&mut self) -> &mut Redis {
        self.redis.as_mut().expect("a stack with Redis")
    }

    /// Whether the replicas share a Redis.
    #[must_use]
    pub fn has_redis(&self) -> bool {
        self.redis.is_some()
    }

    /// Waits until each replica can use its store, for what it is asked as well.
    ///
    /// # Errors
    /// When it cannot within a bounded time.
    pub async fn until_stores_are_up(&self) -> Result<(), String> {
        self.wait_for_metric("exequatur_store_up 1").await?;
        // Each worker connects with its first request. No route has this path: it claims nothing, but a proof does.
        let holder = self.holder(&Value::Null).await?;
        let (caller, deadline) = (self.raw(Version::Http1), tokio::time::Instant::now() + READY_WITHIN);
        let mut well = 0;
        while well < 8 {
            let answer = caller.send(&holder.sign(Raw::new("GET", "/tenants/acme/sealed/plan"))).await?;
            well = if answer.status == 503 { 0 } else { well + 1 };
            if tokio::time::Instant::now() > deadline {
                return Err("the store was not there in time".to_owned());
            }
        }
        Ok(())
    }

    /// Which of the processes have ended, how, and the end of their logs; for the message of a test that fails.
    pub fn ended(&mut self) -> String {
        let processes = [
            ("exequatur", Some(&mut self.exequatur)),
            ("second", self.second.as_mut()),
            ("envoy", Some(&mut self.envoy)),
        ];
        let ended = processes.into_iter().filter_map(|(name, process)| match process?.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(with_log(&self.folder.0, name, &format!("ended with {status}"))),
            Err(error) => Some(format!("{name}: {error}")),
        });
        ended.collect::<Vec<_>>().join("\n")
    }

    /// Stops Exequatur at once and starts it again with the same configuration: its memory is lost.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart_exequatur(&mut self) -> Result<(), String> {
        self.exequatur.kill().await.map_err(|error| error.to_string())?;
        self.exequatur = start_exequatur(&self.options, &self.folder.0, "exequatur")?;
        wait_for_exequatur(&self.options, &self.folder.0, &self.ports, &mut self.exequatur).await?;
        wait_for_cluster(&self.raw(Version::Http1)).await
    }

    /// The same of the second replica.
    ///
    /// # Errors
    /// When there is none, or it does not become ready.
    pub async fn restart_second(&mut self) -> Result<(), String> {
        let second = self.second.as_mut().ok_or("there is no second replica")?;
        second.kill().await.map_err(|error| error.to_string())?;
        *second = start_exequatur(&self.options, &self.folder.0, "second")?;
        wait_for_exequatur(&self.options, &self.folder.0, &self.ports.of_second(), second).await?;
        wait_for_cluster(&self.raw(Version::Http1)).await
    }

    /// Stops Exequatur for good.
    ///
    /// # Errors
    /// When it cannot be stopped.
    pub async fn stop_exequatur(&mut self) -> Result<(), String> {
        self.exequatur.kill().await.map_err(|error| error.to_string())
    }

    /// Sends Exequatur a signal, by its name without `SIG`.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn signal_exequatur(&self, signal: &str) -> Result<(), String> {
        crate::signal::send(signal, self.process()?).map_err(|error| error.to_string())
    }

    /// The ids of the processes of all replicas.
    ///
    /// # Errors
    /// When one has ended.
    pub fn processes(&self) -> Result<Vec<u32>, String> {
        let ended = || "the second replica has ended".to_owned();
        let second = self.second.as_ref().map(|child| child.id().ok_or_else(ended));
        std::iter::once(self.process()).chain(second).collect()
    }

    /// Asks Exequatur to stop (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// When it does not end well within the time that a stop may take.
    pub async fn terminate_exequatur(&mut self) -> Result<(), String> {
        self.signal_exequatur("TERM").await?;
        let ended = tokio::time::timeout(ENDED_WITHIN, self.exequatur.wait()).await;
        let status = ended.map_err(|_elapsed| "it did not end")?.map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("it ended with {status}")) }
    }

    /// The id of Exequatur's process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn process(&self) -> Result<u32, String> {
        self.exequatur.id().ok_or_else(|| "Exequatur has ended already".to_owned())
    }

    /// The resident memory of Exequatur, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> Result<u64, String> {
        self.memory("VmRSS:")
    }

    /// The most that its resident memory ever was, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn peak(&self) -> Result<u64, String> {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> Result<u64, String> {
        let id = self.process()?;
        let status =
            std::fs::read_to_string(format!("/proc/{id}/status")).map_err(|error| error.to_string())?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or(format!("no {name}"))?;
        let kilobytes = line.trim().trim_end_matches("kB").trim().parse::<u64>();
        Ok(kilobytes.map_err(|error| error.to_string())? * 1024)
    }

    /// What Exequatur has logged so far.
    ///
    /// # Errors
    /// When there is no log.
    pub fn log(&self) -> Result<String, String> {
        std::fs::read_to_string(self.folder.0.join("exequatur.log")).map_err(|error| error.to_string())
    }

    /// Waits until the log has `text`. What is counted may stand there a moment later: some lines tell of all since the
    /// line before.
    pub async fn logged(&self, text: &str) {
        let comes = async {
            while !self.log().is_ok_and(|log| log.contains(text)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        in_time(&format!("`{text}` in the log"), comes).await;
    }

    /// The value of the metric whose line begins with `name`, labels included; 0 if there is none yet.
    ///
    /// # Errors
    /// When there are no metrics, or the value is no whole number.
    pub async fn metric(&self, name: &str) -> Result<u64, String> {
        let url = format!("http://127.0.0.1:{}/metrics", self.ports.metrics);
        let answer = plain_client()?.get(&url).send().await.map_err(|error| error.to_string())?;
        let metrics = answer.text().await.map_err(|error| error.to_string())?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(Ok(0), |value| value.parse().map_err(|_| format!("{name} is {value}")))
    }

    /// Waits until the metrics hold `line`.
    ///
    /// # Errors
    /// When they do not within a bounded time; the metrics are in the message.
    pub async fn wait_for_metric(&self, line: &str) -> Result<(), String> {
        let url = format!("http://127.0.0.1:{}/metrics", self.ports.metrics);
        let client = plain_client()?;
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        loop {
            let answer = client.get(&url).send().await.map_err(|error| error.to_string())?;
            let metrics = answer.text().await.map_err(|error| error.to_string())?;
            if metrics.lines().any(|found| found == line) {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                return Err(format!("no `{line}` in\n{metrics}"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A URL as callers see it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", scheme(&self.options), self.ports.envoy)
    }

    /// A client that speaks HTTP/2 with Envoy.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub fn http2_client(&self) -> Result<Client, String> {
        client(&self.options, &self.folder.0, Speaks::Http2)
    }

    /// A caller that writes its own bytes.
    #[must_use]
    pub fn raw(&self, version: Version) -> RawCaller {
        let tls = self.options.tls().then(|| self.folder.0.clone());
        RawCaller { version, port: self.ports.envoy, tls, shown: None }
    }

    /// The record of a decision.
    ///
    /// # Errors
    /// When there is none within a bounded time.
    pub async fn record(&self, decision: &str) -> Result<Value, String> {
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        loop {
            let mut records = self.records_so_far()?.into_iter();
            let found = records.find(|record| record["decision"] == decision);
            if let Some(record) = found {
                return Ok(record);
            }
            if tokio::time::Instant::now() > deadline {
                return Err(format!("no record of {decision}"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The records of all decisions that were counted before. They are written a moment after they were answered, where
    /// nobody has to wait for them.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn records(&self) -> Result<Vec<Value>, String> {
        self.settled(self.ports, "decisions.jsonl").await
    }

    /// Those of the second replica.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn records_of_second(&self) -> Result<Vec<Value>, String> {
        self.settled(self.ports.of_second(), "second.jsonl").await
    }

    /// The records that are in the file by now.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn records_so_far(&self) -> Result<Vec<Value>, String> {
        self.records_in("decisions.jsonl")
    }

    async fn settled(&self, ports: Ports, file: &str) -> Result<Vec<Value>, String> {
        // A process that has ended has written everything.
        let Ok(counted) = decisions_without_gap(ports).await else { return self.records_in(file) };
        let come = async {
            loop {
                let records = self.records_in(file)?;
                if records.iter().filter(|record| record["decision"].is_string()).count() >= counted {
                    return Ok(records);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        in_time("each decision's record", come).await
    }

    /// What was reported to have come of decisions so far, without the place of each line in the chain of the file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn outcomes(&self) -> Result<Vec<Value>, String> {
        let lines = self.lines_in("decisions.jsonl")?.into_iter();
        let outcomes = lines.filter(|line| line.get("outcome_of").is_some());
        let without_place = outcomes.map(|mut line| {
            if let Some(fields) = line.as_object_mut() {
                fields.retain(|name, _| name != "seq" && name != "hash");
            }
            line
        });
        Ok(without_place.collect())
    }

    /// What was reported to have come of a decision.
    ///
    /// # Errors
    /// When nothing was within a bounded time.
    pub async fn outcome(&self, decision: &str) -> Result<Value, String> {
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        loop {
            let found = self.outcomes()?.into_iter().find(|outcome| outcome["outcome_of"] == decision);
            if let Some(outcome) = found {
                return Ok(outcome);
            }
            if tokio::time::Instant::now() > deadline {
                return Err(format!("no outcome of {decision}"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Every line of the record file so far, as text.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn record_file(&self) -> Result<String, String> {
        std::fs::read_to_string(self.folder.0.join("decisions.jsonl")).map_err(|error| error.to_string())
    }

    /// Records of decisions and orders, without outcomes.
    fn records_in(&self, name: &str) -> Result<Vec<Value>, String> {
        let lines = self.lines_in(name)?.into_iter();
        Ok(lines.filter(|line| line.get("outcome_of").is_none()).collect())
    }

    fn lines_in(&self, name: &str) -> Result<Vec<Value>, String> {
        let text = std::fs::read_to_string(self.folder.0.join(name));
        let text = text.map_err(|error| format!("{name}: {error}"))?;
        // The last line may not be whole yet.
        let values = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        // Nor is what holds their chain together a record.
        Ok(values.filter(|one| one.get("open").is_none() && one.get("checkpoint").is_none()).collect())
    }

    /// A client that shows a certificate (hardened stack only), and the certificate's `x5t#S256`.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub fn client_with_certificate(&self) -> Result<(Client, String), String> {
        let thumbprint = tls::client_thumbprint(&self.folder.0)?;
        Ok((client(&self.options, &self.folder.0, Speaks::Http1WithCertificate)?, thumbprint))
    }

    /// The folder with this stack's configuration, logs and decisions.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Calls with a fresh proof, like a stock client.
    ///
    /// # Errors
    /// When there is no HTTP answer.
    pub async fn call(&self, agent: &Agent, token: &str, call: &Call<'_>) -> Result<Answer, String> {
        self.call_with(agent, token, call, &Value::Null).await
    }

    /// The same, with `changes` to the claims of the proof.
    ///
    /// # Errors
    /// When there is no HTTP answer.
    pub async fn call_with(
        &self,
        agent: &Agent,
        token: &str,
        call: &Call<'_>,
        changes: &Value,
    ) -> Result<Answer, String> {
        send_proven(&self.client, call, token, |nonce| {
            let nonce = nonce.map_or(Value::Null, |nonce| json!({ "nonce": nonce }));
            let claims = jwt::merged(if nonce.is_null() { json!({}) } else { nonce }, changes);
            agent.proof(call.method, call.url, token, &claims)
        })
        .await
    }

    /// Sends once, as it is.
    ///
    /// # Errors
    /// When there is no HTTP answer.
    pub async fn send(
        &self,
        call: &Call<'_>,
        authorization: Option<&str>,
        proof: Option<&str>,
    ) -> Result<Answer, String> {
        send(&self.client, call, authorization, proof).await
    }
}

/// Waits for what is to come, `what`, and not for ever.
///
/// # Panics
/// When it does not come within a bounded time.
pub async fn in_time<T>(what: &str, coming: impl Future<Output = T>) -> T {
    match tokio::time::timeout(READY_WITHIN, coming).await {
        Ok(came) => came,
        Err(_elapsed) => panic!("{what}: not within {READY_WITHIN:?}"),
    }
}

/// How many decisions were counted that are not counted as missing in the records.
async fn decisions_without_gap(ports: Ports) -> Result<usize, String> {
    let url = format!("http://127.0.0.1:{}/metrics", ports.metrics);
    let answer = plain_client()?.get(&url).send().await.map_err(|error| error.to_string())?;
    let metrics = answer.text().await.map_err(|error| error.to_string())?;
    let sum = |name: &str| -> usize {
        let of = metrics.lines().filter(|line| line.starts_with(name));
        of.filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok()).sum()
    };
    Ok(sum("exequatur_decisions_total{").saturating_sub(sum("exequatur_record_gaps_total ")))
}

#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // EXEQUATUR_KEEP leaves the logs to look at.
        if std::env::var_os("EXEQUATUR_KEEP").is_none()
            && let Err(error) = std::fs::remove_dir_all(&self.0)
        {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

struct Processes {
    redis: Option<Redis>,
    reserved: Reserved,
    ports: Ports,
    exequatur: Child,
    second: Option<Child>,
    envoy: Child,
    folder: Folder,
}

impl Processes {
    async fn start(options: &Options, tokens: &TokenService, upstream: u16) -> Result<Self, String> {
        let reserved = Reserved::block().map_err(|error| error.to_string())?;
        let ports = ports_of(&reserved, upstream);
        let folder = write_files(options, tokens, &ports)?;
        let redis = match options.redis {
            Some(kind) => Some(Redis::start(kind, &folder.0, None, &[]).map_err(|error| error.to_string())?),
            None => None,
        };
        let mut exequatur = start_exequatur(options, &folder.0, "exequatur")?;
        wait_for_exequatur(options, &folder.0, &ports, &mut exequatur).await?;
        let mut second = None;
        if options.second_replica {
            let process = second.insert(start_exequatur(options, &folder.0, "second")?);
            wait_for_exequatur(options, &folder.0, &ports.of_second(), process).await?;
        }
        let mut envoy = start_envoy(options, &folder.0)?;
        let ready = format!("http://127.0.0.1:{}/ready", ports.envoy_admin);
        wait_until_ok(&ready, &mut envoy).await.map_err(|error| with_log(&folder.0, "envoy", &error))?;
        Ok(Self { redis, reserved, ports, exequatur, second, envoy, folder })
    }
}

fn scheme(options: &Options) -> &'static str {
    if options.tls() { "https" } else { "http" }
}

/// A temporary folder with everything that the processes read.
fn write_files(options: &Options, tokens: &TokenService, ports: &Ports) -> Result<Folder, String> {
    let path = std::env::temp_dir().join(format!("exequatur-{}", jwt::random_id()));
    std::fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let folder = Folder(path);
    let write = |name: &str, text: &str| {
        std::fs::write(folder.0.join(name), text).map_err(|error| format!("{name}: {error}"))
    };
    let root = binaries::repository();
    let name = options.example();
    let template =
        std::fs::read_to_string(root.join("envoy").join(name)).map_err(|error| format!("{name}: {error}"))?;
    if options.tls() {
        tls::write(&folder.0)?;
    }
    let template = replaced(template, &options.envoy)?;
    let template = if options.timely { template } else { template.replace("timeout: 0.25s", "timeout: 10s") };
    let template = template.replace("port_value: 10090", &format!("port_value: {}", tokens.port()));
    let template = match options.grpc_socket {
        None => template,
        Some(_) => template.replace(
            "socket_address: { address: 127.0.0.1, port_value: 9191 }",
            &format!("pipe: {{ path: {}/grpc.sock }}", folder.0.display()),
        ),
    };
    if options.tls() {
        tls::write_secrets(&folder.0)?;
    }
    write("envoy.yaml", &configuration::envoy(&template, ports, &folder.0))?;
    let mut policies = root.join(options.policies.unwrap_or("policies"));
    if !options.own_policies.is_empty() {
        let own = folder.0.join("policies");
        std::fs::create_dir(&own).map_err(|error| error.to_string())?;
        for name in options.own_policies {
            let copied = std::fs::copy(policies.join(name), own.join(name));
            copied.map_err(|error| format!("{name}: {error}"))?;
        }
        policies = own;
    }
    let issuer = options.issuer.clone().unwrap_or_else(|| IssuerEntry::token_service(tokens));
    let configuration = |ports: &Ports| {
        let mut text = configuration::exequatur(ports, scheme(options), &policies, &issuer);
        if !options.timely {
            text.push_str("deadline: 8s\n");
        }
        if let Some(store) = &options.store {
            text.push_str(&format!("store: {{ redis: {{ {store} }} }}\n"));
        } else if options.redis.is_some() {
            // A local server answers within the time, but for a machine that does much at once.
            let timeout = if options.timely { "25ms" } else { "2s" };
            let url = format!("redis+unix://{}/redis.sock", folder.0.display());
            text.push_str(&format!("store: {{ redis: {{ url: \"{url}\", timeout: {timeout} }} }}\n"));
        }
        if let Some(keys) = options.grpc_socket {
            let tcp = format!("grpc: \"127.0.0.1:{}\"", ports.grpc);
            text = text.replace(&tcp, &format!("grpc: \"unix:./grpc.sock\"{keys}"));
        }
        if options.shares() {
            text = text.replace("nonce: \"off\" }", "nonce: \"off\", nonce_secret_file: ./nonce.secret }");
        }
        let here = format!("localhost:{}", ports.envoy);
        replaced(text, &options.exequatur).map(|text| text.replace("localhost:10000", &here))
    };
    if options.shares() {
        write_secret(&folder.0.join("nonce.secret"))?;
    }
    write("exequatur.yaml", &configuration(ports)?)?;
    if options.second_replica {
        let text = configuration(&ports.of_second())?;
        let own =
            text.replace("./decisions.jsonl", "./second.jsonl").replace("./admin.sock", "./second.sock");
        let own = own.replace("replica: { name: first }", "replica: { name: second }");
        // What listens on 127.0.0.2 listens on 127.0.0.3.
        let own = own.replace("\"127.0.0.2:", "\"127.0.0.3:");
        write("second.yaml", &own)?;
    }
    Ok(folder)
}

/// A secret that all replicas share, and nobody else may read.
fn write_secret(file: &Path) -> Result<(), String> {
    let mut open = std::fs::OpenOptions::new();
    let opened = open.write(true).create_new(true).mode(0o600).open(file);
    let written = opened.and_then(|mut file| file.write_all(jwt::random_id().repeat(4).as_bytes()));
    written.map_err(|error| format!("{}: {error}", file.display()))
}

fn replaced(mut text: String, replacements: &[(&str, &str)]) -> Result<String, String> {
    for (old, new) in replacements {
        if !text.contains(old) {
            return Err(format!("no `{old}` in\n{text}"));
        }
        text = text.replace(old, new);
    }
    Ok(text)
}

fn ports_of(reserved: &Reserved, upstream: u16) -> Ports {
    let [envoy, envoy_admin, grpc, public, metrics, second @ ..] = reserved.all();
    Ports { envoy, envoy_admin, grpc, public, metrics, upstream, second }
}

fn start_exequatur(options: &Options, folder: &Path, name: &str) -> Result<Child, String> {
    let binary = if name == "second" { binaries::second_exequatur() } else { binaries::exequatur() };
    let mut command = Command::new(binary?);
    command.arg("serve").arg("--config").arg(folder.join(format!("{name}.yaml")));
    command.args(["--log", if options.terse { "warn" } else { "trace" }]);
    spawn(command, folder, name)
}

fn start_envoy(options: &Options, folder: &Path) -> Result<Child, String> {
    let envoy = if options.older_envoy { binaries::older_envoy() } else { binaries::envoy() };
    let mut command = Command::new(envoy?);
    command.arg("-c").arg(folder.join("envoy.yaml"));
    command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]);
    spawn(command, folder, "envoy")
}

fn spawn(mut command: Command, folder: &Path, name: &str) -> Result<Child, String> {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(format!("{name}.log")))
        .map_err(|error| error.to_string())?;
    let second = log.try_clone().map_err(|error| error.to_string())?;
    command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(second)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{name}: {error}"))
}

async fn wait_for_exequatur(
    options: &Options,
    folder: &Path,
    ports: &Ports,
    process: &mut Child,
) -> Result<(), String> {
    let path = if options.unready { "healthz" } else { "readyz" };
    let ready = format!("http://127.0.0.1:{}/{path}", ports.public);
    wait_until_ok(&ready, process).await.map_err(|error| with_log(folder, "exequatur", &error))
}

/// Envoy backs off after a failed connection: a Check may fail for a while after Exequatur is ready again.
async fn wait_for_cluster(caller: &RawCaller) -> Result<(), String> {
    // No route has this path: it is denied, and leaves no trace in the upstream's record.
    let request = Raw::new("GET", "/waiting-for-exequatur");
    let deadline = tokio::time::Instant::now() + READY_WITHIN;
    loop {
        // Any answer but "could not ask" will do.
        if caller.send(&request).await.is_ok_and(|answer| answer.status != 503) {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            return Err("Envoy did not reach Exequatur again".to_owned());
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn wait_until_ok(url: &str, process: &mut Child) -> Result<(), String> {
    let client = plain_client()?;
    let deadline = tokio::time::Instant::now() + READY_WITHIN;
    loop {
        if let Some(status) = process.try_wait().map_err(|error| error.to_string())? {
            return Err(format!("ended with {status} before it was ready"));
        }
        if client.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            return Err(format!("{url} was not ready within {READY_WITHIN:?}"));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn with_log(folder: &Path, name: &str, error: &str) -> String {
    let log = std::fs::read_to_string(folder.join(format!("{name}.log"))).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    let end = lines[lines.len().saturating_sub(40)..].join("\n");
    format!("{name} {error}\n{end}")
}

fn plain_client() -> Result<Client, String> {
    Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().map_err(|error| error.to_string())
}

#[derive(Clone, Copy, Debug)]
enum Speaks {
    Http1,
    Http1WithCertificate,
    Http2,
}

fn client(options: &Options, folder: &Path, speaks: Speaks) -> Result<Client, String> {
    // `localhost` may also be ::1, where nobody listens; the port is that of the URL.
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut builder = Client::builder().no_proxy().timeout(READY_WITHIN).resolve("localhost", loopback);
    builder = match speaks {
        Speaks::Http1 | Speaks::Http1WithCertificate => builder.http1_only(),
        // Over TLS it is negotiated.
        Speaks::Http2 if options.tls() => builder,
        Speaks::Http2 => builder.http2_prior_knowledge(),
    };
    if options.tls() {
        builder = builder.tls_certs_only([tls::authority(folder)?]);
    }
    if matches!(speaks, Speaks::Http1WithCertificate) {
        builder = builder.identity(tls::client_identity(folder)?);
    }
    builder.build().map_err(|error| error.to_string())
}
