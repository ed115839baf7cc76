//! Servers as processes of their own, each pinned to a core, and what the system says of them.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running server. Ends with the value.
#[derive(Debug)]
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Server {
    /// Starts `command` on `cores` (as `taskset -c` takes them), its output in `log`.
    pub(crate) fn start(cores: &str, command: &Command, log: &Path) -> Result<Self, String> {
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", cores]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                pinned.env(name, value);
            }
        }
        if let Some(folder) = command.get_current_dir() {
            pinned.current_dir(folder);
        }
        let log = std::fs::File::create(log).map_err(|error| error.to_string())?;
        let error_log = log.try_clone().map_err(|error| error.to_string())?;
        pinned.stdin(Stdio::null()).stdout(log).stderr(error_log);
        pinned.spawn().map(Self).map_err(|error| format!("{command:?}: {error}"))
    }

    /// Sends it a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, signal: &str) -> Result<(), String> {
        exequatur_tests::signal::send(signal, self.0.id()).map_err(|error| error.to_string())
    }

    /// The time that all its threads have run so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu(self.0.id())
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident(&self) -> Result<f64, String> {
        resident(self.0.id())
    }
}

/// The time that all threads of a process have run so far.
pub(crate) fn cpu(id: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task"));
    let nanoseconds = tasks.into_iter().flatten().flatten().filter_map(|task| {
        let line = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// The resident memory of a process, in bytes.
pub(crate) fn resident(id: u32) -> Result<f64, String> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kilobytes: f64 =
        line.trim().trim_end_matches("kB").trim().parse().map_err(|_no_number| "no number".to_owned())?;
    Ok(kilobytes * 1024.0)
}

/// Waits until something listens on `port` of the loopback.
pub(crate) async fn listening(port: u16) -> Result<(), String> {
    for _ in 0..1000 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("nothing listens on port {port}"))
}
