//! Ten million revocations in Redis (one million with `--quick`): what a replica takes to load and to keep them, and what they cost a decision.

use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use exequatur_tests::binaries;
use exequatur_tests::jwt::random_id;
use exequatur_tests::ports::Reserved;
use exequatur_tests::redis::{Kind, Redis};

use crate::cost::cost;
use crate::figure::{Figure, Floor};
use crate::process::{Server, listening};
use crate::scene::{Records, Scene, Size, Subject};
use crate::{Effort, SERVER_CORE};

/// Buckets in Redis, and how many bits of a digest choose one.
const BUCKETS: u64 = 1 << 17;
const BUCKET_BITS: u32 = 17;
/// Changes that the log keeps.
const LOGGED: u64 = 100_000;
/// Codes of kinds: each kind is asked about if there is one of it.
const KINDS: u64 = 9;
/// The prefix under which nothing is revoked.
const NONE: &str = "none";
const ALL: &str = "all";
/// Bound on a load.
const LOADED_WITHIN: Duration = Duration::from_secs(300);

/// `revocations_10m_…`: bytes of each, processor time of a decision with them against one without, seconds until a replica
/// is ready, until one that missed more than the log keeps answers again, and bytes of each in Redis.
pub(crate) async fn measure(folder: &Path, effort: Effort) -> Result<Vec<Figure>, String> {
    let many = effort.revocations;
    let scene = Scene::new(folder, Size { records: Records::Off, ..Size::USUAL })?;
    let home = Home::new()?;
    let redis = Redis::start(Kind::Newest, &home.0, None, &[]).map_err(|error| error.to_string())?;
    let empty = used(&redis)?;
    fill(&redis, &home, 0..many)?;
    let in_redis = (used(&redis)? - empty) / many as f64;

    let (without, _) = start(&scene, &redis, NONE).await?;
    let (with, ready) = start(&scene, &redis, ALL).await?;
    let resident = [with.subject.server.resident()?, without.subject.server.resident()?];
    let each = (resident[0] - resident[1]) / many as f64;

    let mut pairs = Vec::new();
    for subject in [&without, &with] {
        subject.warm(&scene).await?;
    }
    for round in 0..=effort.pairs {
        let few = cost(&without.subject, &scene.requests(effort.requests)).await?;
        let pair = (few, cost(&with.subject, &scene.requests(effort.requests)).await?);
        if round > 0 {
            pairs.push(pair);
        }
    }
    drop(without);
    let behind = with.fall_behind(&scene, &redis, &home, many).await?;
    let ratio = |none: f64, many: f64| many / none;
    Ok(vec![
        Figure::alone("revocations_10m_bytes_each", "bytes", &[each], Some(Floor::AtMost(70.0))),
        Figure::of_pairs("revocations_10m_ratio", "us/decision", &pairs, ratio, Floor::AtMost(1.05)),
        Figure::alone("revocations_10m_ready_s", "s", &[ready.as_secs_f64()], None),
        Figure::alone("revocations_10m_behind_s", "s", &[behind.as_secs_f64()], None),
        Figure::alone("revocations_10m_in_redis", "bytes", &[in_redis], None),
    ])
}

/// A replica on Redis.
struct Replica {
    subject: Subject,
    metrics: u16,
}

async fn start(scene: &Scene, redis: &Redis, prefix: &str) -> Result<(Replica, Duration), String> {
    let reserved = Reserved::block().map_err(|error| error.to_string())?;
    let [grpc, public, metrics, ..] = reserved.all();
    let embedded = std::fs::read_to_string(scene.write_configuration([grpc, public, metrics])?)
        .map_err(|error| error.to_string())?;
    let (name, secret) = (format!("{prefix}.yaml"), scene.folder.join("nonce.secret"));
    write_secret(&secret).map_err(|error| format!("{}: {error}", secret.display()))?;
    let store = format!(
        "store: {{ redis: {{ url: \"{}\", prefix: {prefix}, timeout: 1s, max_per_tenant: 4000000, max_per_key: 4000000, max_revocations: 20000000 }} }}",
        redis.socket_url()
    );
    let lines = embedded.lines().map(|line| if line.starts_with("store:") { store.as_str() } else { line });
    let text = lines
        .collect::<Vec<_>>()
        .join("\n")
        .replace("future: 1s", "future: 1s, nonce_secret_file: ./nonce.secret");
    std::fs::write(scene.folder.join(&name), text).map_err(|error| error.to_string())?;
    let mut command = Command::new(binaries::exequatur()?);
    command.args(["serve", "--config", &name, "--log", "info"]).current_dir(&scene.folder);
    let log = scene.folder.join(format!("{prefix}.log"));
    let begun = Instant::now();
    let server = Server::start(SERVER_CORE, &command, &log)?;
    listening(public).await?;
    let ready = format!("http://127.0.0.1:{public}/readyz");
    while !reqwest::get(&ready).await.is_ok_and(|answer| answer.status().is_success()) {
        if begun.elapsed() > LOADED_WITHIN {
            return Err(format!("not ready; see {}", log.display()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = begun.elapsed();
    listening(grpc).await?;
    Ok((Replica { subject: Subject { server, grpc, public, admin: 0, _reserved: reserved }, metrics }, took))
}

impl Replica {
    /// Each tenant's memory begins with its first proof, and what was issued before that is in doubt.
    async fn warm(&self, scene: &Scene) -> Result<(), String> {
        let begun = Instant::now();
        while cost(&self.subject, &scene.requests(Size::USUAL.tokens)).await.is_err() {
            if begun.elapsed() > Duration::from_secs(20) {
                return Err("proofs are in doubt for too long".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Stops it while twice as much is revoked as the log keeps; gives how long it takes, from when it goes on, until it
    /// answers again and knows all of them.
    async fn fall_behind(
        &self,
        scene: &Scene,
        redis: &Redis,
        home: &Home,
        many: u64,
    ) -> Result<Duration, String> {
        self.subject.server.signal("STOP")?;
        fill(redis, home, many..many + 2 * LOGGED)?;
        // For longer than it may go on with what it knows.
        tokio::time::sleep(Duration::from_secs(6)).await;
        let begun = Instant::now();
        self.subject.server.signal("CONT")?;
        // It was silent for too long: it denies until it has heard all.
        until(|| async { cost(&self.subject, &scene.requests(1)).await.is_ok() }).await?;
        let took = begun.elapsed();
        let wanted = format!("exequatur_revocations {}", many + 2 * LOGGED);
        until(|| async {
            let answer = reqwest::get(format!("http://127.0.0.1:{}/metrics", self.metrics)).await;
            let text = match answer {
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(_not_yet) => String::new(),
            };
            text.lines().any(|line| line == wanted)
        })
        .await?;
        Ok(took)
    }
}

/// Waits until it is so, and not for ever.
async fn until<F: Future<Output = bool>>(so: impl Fn() -> F) -> Result<(), String> {
    let begun = Instant::now();
    while !so().await {
        if begun.elapsed() > LOADED_WITHIN {
            return Err("the replica that fell behind did not come back".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A folder for Redis, with a short name: that of a socket has its bound.
struct Home(PathBuf);

impl Home {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("exequatur-{}", random_id()));
        std::fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A secret that both share and nobody else may read.
fn write_secret(file: &Path) -> io::Result<()> {
    let mut open = std::fs::OpenOptions::new();
    let mut file = open.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all("of no use to anybody, ".repeat(3).as_bytes())
}

fn field(redis: &Redis, section: &str, name: &str) -> Result<String, String> {
    let info = redis.say(&["INFO", section]).map_err(|error| error.to_string())?;
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    value.map(ToOwned::to_owned).ok_or_else(|| format!("no {name}"))
}

fn used(redis: &Redis) -> Result<f64, String> {
    field(redis, "memory", "used_memory")?.parse().map_err(|_no_number| "no number".to_owned())
}

/// Writes revocations as the scripts would have: `numbers`, each in its bucket, in the stream of what holds, and in the log.
fn fill(redis: &Redis, home: &Home, numbers: std::ops::Range<u64>) -> Result<(), String> {
    let run = field(redis, "server", "run_id")?;
    let filled = || -> io::Result<()> {
        let stream = UnixStream::connect(home.0.join("redis.sock"))?;
        let mut answers = stream.try_clone()?;
        let mut out = BufWriter::with_capacity(1 << 20, stream);
        say(&mut out, &[b"CLIENT", b"REPLY", b"OFF"])?;
        let name = |name: &str| format!("{ALL}:{{revocations}}:1:{name}").into_bytes();
        let (entries, log) = (name("entries"), name("log"));
        let (first, last) = (numbers.start, numbers.end);
        let each = (last - first).div_ceil(BUCKETS).max(1);
        let mut position = first;
        for bucket in 0..BUCKETS {
            let rows: Vec<_> =
                (0..each.min(last - position)).map(|place| row(bucket, first + place)).collect();
            if rows.is_empty() {
                break;
            }
            let (key, values) =
                (name(&format!("b:{bucket}")), (position + 1..).map(|at| format!("{at} - 0")));
            let values: Vec<_> = values.take(rows.len()).collect();
            let mut words: Vec<&[u8]> = vec![b"HSET", &key];
            for (row, value) in rows.iter().zip(&values) {
                words.extend([&row[..], value.as_bytes()]);
            }
            say(&mut out, &words)?;
            for row in &rows {
                position += 1;
                let (id, note) = (format!("{position}-0"), note(position));
                let fields: [&[u8]; 6] = [b"k", row, b"u", b"-", b"w", b"0"];
                let head: [&[u8]; 3] = [b"XADD", &entries, id.as_bytes()];
                say(&mut out, &[&head[..], &fields[..], &[b"n", &note]].concat())?;
                if last - position < 2 * LOGGED {
                    let most = LOGGED.to_string();
                    let head: [&[u8]; 6] = [b"XADD", &log, b"MAXLEN", b"~", most.as_bytes(), id.as_bytes()];
                    say(&mut out, &[&head[..], &fields[..]].concat())?;
                }
            }
        }
        say(&mut out, &[b"SET", &name("buckets"), &[0xff; (BUCKETS / 8) as usize]])?;
        let memory =
            format!("1|{run}{}{last:016}{last:016}{:016}", "i".repeat(32), 1_700_000_000_000_000_u64);
        say(&mut out, &[b"SET", format!("{ALL}:{{revocations}}").as_bytes(), memory.as_bytes()])?;
        say(&mut out, &[b"CLIENT", b"REPLY", b"ON"])?;
        out.flush()?;
        answers.read_exact(&mut [0; 5])
    };
    filled().map_err(|error| error.to_string())
}

/// Kind, form, and a digest of which the first bits are the bucket's.
fn row(bucket: u64, number: u64) -> [u8; 18] {
    let mut row = [0; 18];
    getrandom::fill(&mut row).expect("there is randomness");
    row[0] = (1 + number % KINDS) as u8;
    row[1] = 1;
    let leading = bucket << (24 - BUCKET_BITS) | u64::from(row[4]) & 0x7f;
    row[2..5].copy_from_slice(&leading.to_be_bytes()[5..]);
    row
}

fn note(position: u64) -> Vec<u8> {
    let mut note = 1_700_000_000_000_i64.to_le_bytes().to_vec();
    for text in [format!("corp:user-{position:08}"), "leaked in a log".to_owned(), "local:1000".to_owned()] {
        note.extend((text.len() as u16).to_le_bytes());
        note.extend(text.bytes());
    }
    note
}

fn say(out: &mut impl Write, words: &[&[u8]]) -> io::Result<()> {
    write!(out, "*{}\r\n", words.len())?;
    for word in words {
        write!(out, "${}\r\n", word.len())?;
        out.write_all(word)?;
        out.write_all(b"\r\n")?;
    }
    Ok(())
}
