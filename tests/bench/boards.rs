//! What the dashboards and alerts are looked at with: two replicas behind Envoy on a Redis, load, and one thing after
//! another that goes wrong. `tests/tools/boards.py` runs a Prometheus beside it.

#[path = "boards/callers.rs"]
mod callers;
#[path = "boards/cast.rs"]
mod cast;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exequatur_tests::direct::{Direct, check};
use exequatur_tests::orders::{command, command_at};
use exequatur_tests::traffic::{Load, Traffic};
use exequatur_tests::{Agent, DOCUMENT, Mood, Stack};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use self::callers::{Callers, SESSION};
use self::cast::Cast;
use crate::figure::Figure;
use crate::load::{closed, connect};
use crate::shared::BothCores;

/// A folder on a file system of its own, small enough to be filled up. Without it no disk is full.
const DISK: &str = "BOARDS_DISK";
/// How often everything is gone through quickly, to see whether it works: each thing lasts a fifth.
const HURRY: &str = "BOARDS_HURRY";
const LOAD: Load = Load { honest: 6, thieves: 2, bearers: 4, rate: 8.0 };
/// Requests of an overload that are under way at once, over how many connections, and how many in one go.
const CROWD: usize = 3000;
const CONNECTIONS: usize = 8;
const BURST: usize = 12_000;
/// More connections than a replica takes.
const PEERS: usize = 1040;
/// Longer than any message may be.
const OVERSIZE: usize = 300 * 1024;

/// The stage, and what was seen on it.
struct Play {
    stack: Stack,
    cast: Arc<Cast>,
    folder: PathBuf,
    disk: Option<PathBuf>,
    traffic: Option<Traffic>,
    scenes: Vec<Value>,
    answered: usize,
    hurry: u32,
}

/// `boards`: some seven minutes; `targets.json` in `folder` says where replicas are scraped, `scenes.json` what was when,
/// `status.txt` and the logs what the replicas said.
pub(crate) async fn boards(folder: &Path) -> Result<Vec<Figure>, String> {
    let _cores = BothCores::take()?;
    let cast = Arc::new(Cast::assemble().await?);
    let disk = std::env::var_os(DISK).map(PathBuf::from);
    let options = cast.options(folder, disk.as_deref().unwrap_or(folder))?;
    let stack = Stack::start(options).await?;
    cast.publish(&stack).await?;
    let hurry = if std::env::var_os(HURRY).is_some() { 5 } else { 1 };
    let (folder, scenes) = (folder.to_owned(), Vec::new());
    let mut play = Play { stack, cast, folder, disk, traffic: None, scenes, answered: 0, hurry };
    play.write("targets.json", &play.targets())?;
    let callers = Callers::start(&play.stack, &play.cast);
    play.perform().await?;
    play.traffic_ends().await;
    drop(callers);
    for log in ["exequatur.log", "second.log"] {
        std::fs::copy(play.stack.folder().join(log), play.folder.join(log)).map_err(text)?;
    }
    play.write("scenes.json", &json!(play.scenes))?;
    Ok(vec![Figure::alone("boards_requests", "requests", &[play.answered as f64], None)])
}

impl Play {
    async fn perform(&mut self) -> Result<(), String> {
        self.traffic_begins();
        self.lasts("all is well", 25).await?;
        self.looks("all is well").await?;
        self.orders().await?;
        self.strangers().await?;
        self.crowd().await?;
        self.transmitter().await?;
        self.redis_is_away().await?;
        self.redis_restarts().await?;
        // The clients' tokens live for five minutes.
        self.traffic_ends().await;
        self.traffic_begins();
        self.files_are_broken().await?;
        self.partner_is_away().await?;
        self.replica_restarts().await?;
        self.lasts("all is well again", 50).await
    }

    fn traffic_begins(&mut self) {
        self.traffic = Some(Traffic::start(&self.stack, LOAD));
    }

    async fn traffic_ends(&mut self) {
        if let Some(traffic) = self.traffic.take() {
            self.answered += traffic.stop().await.exchanges.len();
        }
    }

    /// Somebody stops an agent, a tenant, everything, and lets them go on; and is refused what he may not.
    async fn orders(&mut self) -> Result<(), String> {
        let begun = now();
        let order = async |words: &[&str]| {
            let words = [words, &["--reason", "boards", "--output", "json"]].concat();
            command(&self.stack, &words).await?.json().map(drop)
        };
        order(&["revoke", "agent", "corp:stopped-bot"]).await?;
        order(&["limits", "set", "writes", "--agent", "corp:import-bot", "--rate", "1/s"]).await?;
        order(&["kill", "--tenant", "globex", "--yes"]).await?;
        self.seconds(6).await;
        order(&["revoke", "undo", "tenant", "globex"]).await?;
        order(&["kill", "--all", "--yes"]).await?;
        self.seconds(4).await;
        order(&["revoke", "undo", "all"]).await?;
        // No such issuer: refused.
        drop(order(&["revoke", "agent", "nobody:crm-bot"]).await);
        self.scene("orders: an agent, a tenant, everything", begun);
        Ok(())
    }

    /// Calls of the admin API without credentials that hold, and messages that are too long to be decided about.
    async fn strangers(&mut self) -> Result<(), String> {
        let begun = now();
        let url = format!("http://127.0.0.2:{}/v1/revocations", self.cast.admin_port);
        for _ in 0..30 {
            let asked = self.stack.client.get(&url).bearer_auth("nonsense").send().await;
            asked.map_err(|error| format!("{error:?}"))?;
            self.pause(200).await;
        }
        self.scene("strangers at the admin API", begun);
        let begun = now();
        let direct = Direct::connect(self.stack.ports.grpc).await?;
        let long = "x".repeat(OVERSIZE);
        if direct.ask(check("GET", "localhost", DOCUMENT, &[("x-long", &long)])).await.is_ok() {
            return Err("a message that is too long was taken".to_owned());
        }
        self.seconds(2).await;
        self.scene("a message too long", begun);
        Ok(())
    }

    /// More connections than there may be, for a while.
    async fn crowd(&mut self) -> Result<(), String> {
        let begun = now();
        let mut peers = Vec::new();
        for _ in 0..PEERS {
            // Those that are too many are closed at once.
            peers.extend(connect(self.stack.ports.grpc, 1).await.unwrap_or_default());
        }
        self.seconds(5).await;
        drop(peers);
        self.scene("a crowd of connections", begun);
        Ok(())
    }

    /// It says that a session has ended, and is silent then.
    async fn transmitter(&mut self) -> Result<(), String> {
        let begun = now();
        self.cast.end_session(SESSION).await?;
        self.seconds(4).await;
        self.cast.desk.state(|state| state.failing = Some(503));
        self.seconds(10).await;
        self.cast.desk.state(|state| state.failing = None);
        self.scene("a session ends; the transmitter fails", begun);
        Ok(())
    }

    /// For long enough that nobody knows any more what is revoked.
    async fn redis_is_away(&mut self) -> Result<(), String> {
        let begun = now();
        self.stack.redis().kill().map_err(text)?;
        self.seconds(40).await;
        self.looks("Redis is away").await?;
        self.seconds(10).await;
        self.stack.redis().start_again().map_err(text)?;
        self.scene("Redis is away", begun);
        self.lasts("well: what is revoked is gone with Redis", 12).await
    }

    async fn redis_restarts(&mut self) -> Result<(), String> {
        let begun = now();
        for _ in 0..3 {
            self.stack.redis().kill().map_err(text)?;
            sleep(Duration::from_millis(500)).await;
            self.stack.redis().start_again().map_err(text)?;
            self.seconds(5).await;
        }
        self.scene("Redis restarts three times", begun);
        Ok(())
    }

    /// One replica refuses its files, all the while that other things go wrong.
    async fn files_are_broken(&mut self) -> Result<(), String> {
        let (begun, file) = (now(), self.stack.folder().join("exequatur.yaml"));
        let whole = std::fs::read_to_string(&file).map_err(text)?;
        let broken = whole.replacen("action: ReadDocument", "action: ReadDocumint", 1);
        std::fs::write(&file, broken).map_err(text)?;
        self.seconds(10).await;
        self.looks("a replica refuses its files").await?;
        self.overload().await?;
        self.seconds(8).await;
        self.disk_is_full().await?;
        self.seconds(5).await;
        self.others_fail().await?;
        self.seconds(8).await;
        std::fs::write(&file, whole).map_err(text)?;
        self.scene("a replica refuses its files", begun);
        Ok(())
    }

    async fn overload(&mut self) -> Result<(), String> {
        let begun = now();
        let agent = Agent::new();
        let token = self.stack.tokens.token(&agent, &cast::bearer(&json!({ "client_id": "mad-bot" })));
        let authorization = format!("Bearer {token}");
        let request = check("GET", "localhost", DOCUMENT, &[("authorization", &authorization)]);
        let clients = connect(self.stack.ports.grpc, CONNECTIONS).await?;
        let (until, requests) = (Instant::now() + Duration::from_secs(12) / self.hurry, vec![request; BURST]);
        let mut shed = 0;
        while Instant::now() < until {
            shed += closed(&clients, &requests, CROWD).await.shed;
        }
        self.scene("one replica is overloaded", begun);
        if shed == 0 { Err("nothing was refused for overload".to_owned()) } else { Ok(()) }
    }

    async fn disk_is_full(&mut self) -> Result<(), String> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let (begun, file) = (now(), disk.join("filler"));
        let mut filler = std::fs::File::create(&file).map_err(text)?;
        while filler.write_all(&[0; 4096]).is_ok() {}
        self.seconds(10).await;
        std::fs::remove_file(&file).map_err(text)?;
        self.scene("the disk of records is full", begun);
        Ok(())
    }

    /// The issuer that is asked is slow, then broken; the list is withdrawn; nobody takes spans.
    async fn others_fail(&mut self) -> Result<(), String> {
        let begun = now();
        self.cast.asked.set(Mood::Slow(Duration::from_millis(120)));
        self.cast.withdraw_list();
        self.cast.collector_is_away(true);
        self.seconds(12).await;
        self.cast.asked.set(Mood::Broken);
        self.seconds(12).await;
        self.cast.asked.set(Mood::Honest);
        self.cast.publish(&self.stack).await?;
        self.cast.collector_is_away(false);
        self.scene("introspection, status list and collector fail", begun);
        Ok(())
    }

    /// Until its keys are too old, and as long again as somebody takes to be called.
    async fn partner_is_away(&mut self) -> Result<(), String> {
        let begun = now();
        self.cast.partner_is_away(true);
        self.seconds(80).await;
        self.looks("an issuer is away").await?;
        self.seconds(10).await;
        self.cast.partner_is_away(false);
        self.scene("an issuer is away", begun);
        self.lasts("well", 5).await
    }

    async fn replica_restarts(&mut self) -> Result<(), String> {
        let begun = now();
        for _ in 0..3 {
            self.stack.restart_second().await?;
            self.seconds(3).await;
        }
        self.scene("a replica restarts three times", begun);
        Ok(())
    }

    /// What `exequatur status` says now, which docs/reference/alerts.md begins with; it goes to `status.txt`.
    async fn looks(&self, what: &str) -> Result<(), String> {
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("status.txt"));
        for socket in ["admin.sock", "second.sock"] {
            let said = command_at(&self.stack, socket, &["status"]).await?;
            let text = format!("{what}, {socket}: exit {:?}\n{}{}\n", said.code, said.out, said.err);
            file = file.and_then(|mut file| file.write_all(text.as_bytes()).map(|()| file));
        }
        file.map(drop).map_err(text)
    }

    async fn lasts(&mut self, what: &str, seconds: u32) -> Result<(), String> {
        let begun = now();
        self.seconds(seconds).await;
        self.scene(what, begun);
        Ok(())
    }

    async fn seconds(&self, count: u32) {
        self.pause(u64::from(count) * 1000).await;
    }

    async fn pause(&self, milliseconds: u64) {
        sleep(Duration::from_millis(milliseconds) / self.hurry).await;
    }

    fn scene(&mut self, what: &str, begun: f64) {
        let until = now();
        println!("{:>5.0} s  {what}", until - begun);
        self.scenes.push(json!({ "what": what, "from": begun, "until": until }));
    }

    /// As Prometheus reads them from a file.
    fn targets(&self) -> Value {
        let ports = self.stack.ports;
        let target = |name: &str, port: u16| {
            let labels = json!({ "namespace": "edge", "job": "gate", "instance": name });
            json!({ "targets": [format!("127.0.0.1:{port}")], "labels": labels })
        };
        json!([target("gate-0", ports.metrics), target("gate-1", ports.of_second().metrics)])
    }

    fn write(&self, name: &str, value: &Value) -> Result<(), String> {
        let (file, next) = (self.folder.join(name), self.folder.join(format!("{name}.next")));
        let written = std::fs::write(&next, value.to_string()).and_then(|()| std::fs::rename(next, &file));
        written.map_err(|error| format!("{}: {error}", file.display()))
    }
}

/// In seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn text(error: std::io::Error) -> String {
    error.to_string()
}
