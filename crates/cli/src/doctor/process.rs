//! What a process may do here: open files, and write where it has to.

use std::io::ErrorKind;
use std::path::Path;

use exequatur_server::config::{Config, SinkPlace};
use rustix::fs::{Access, AtFlags, CWD};

use super::catalogue as found;
use super::finding::{Findings, Severity};

/// Connections of all listeners, and files beside them: docs/ARCHITECTURE.md, what is bounded.
const NEEDED: u64 = 1024 + 64 + 64 + 16 + 64 + 256;

/// Less room on a disk than this is told, in bytes: some minutes of records under load.
const LITTLE: u64 = 1 << 30;
/// With less than this, in bytes, the next write may fail.
const NONE: u64 = 16 << 20;

/// A file or folder that is written to, and the room on its disk, in bytes.
#[derive(Debug)]
pub(super) struct Place {
    name: String,
    room: Option<u64>,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Process {
    /// How many files a process that is started from here may have open; nothing if that is not known.
    open_files: Option<u64>,
    /// Where records go, those of sinks too, and why they cannot.
    records: Vec<Result<Place, String>>,
    /// Where state is kept, and why it cannot be.
    state: Option<Result<Place, String>>,
}

/// Looks. Nothing is made, and nothing written.
pub(super) fn probe(config: &Config) -> Process {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let records = config.records.iter();
    let files = records.flat_map(|records| {
        let sinks = records.sinks.iter().filter_map(|sink| match &sink.place {
            SinkPlace::File(path) => Some(path.as_path()),
            SinkPlace::Stdout | SinkPlace::Syslog { .. } | SinkPlace::Otlp(_) => None,
        });
        records.file.as_deref().into_iter().chain(sinks)
    });
    Process {
        open_files: open_files(&limits),
        records: files.map(appendable).collect(),
        state: config.store.path.as_deref().map(made_folder),
    }
}

/// The soft limit, in a line like `Max open files            1024                 524288               files`.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        soft => soft.parse().ok(),
    }
}

fn appendable(file: &Path) -> Result<Place, String> {
    let shown = file.display().to_string();
    match std::fs::metadata(file) {
        Ok(found) if found.is_dir() => Err(format!("{shown}: a folder")),
        // Not opened: a pipe would wait for its reader.
        Ok(found) => match may(file, Access::WRITE_OK) {
            // A device and a pipe have no end of it.
            Ok(()) => {
                Ok(Place { name: shown, room: if found.is_file() { room(file) } else { Some(u64::MAX) } })
            }
            Err(error) => Err(format!("{shown}: this user may not write it: {error}")),
        },
        // It is made at the start, in a folder that is there.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            folder(file.parent().unwrap_or_else(|| Path::new(".")))
        }
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// What is left for this user on the disk.
fn room(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

/// Asks the system, which knows of owners, lists of access and disks that are mounted to be read alone.
fn may(path: &Path, access: Access) -> Result<(), rustix::io::Errno> {
    rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS)
}

/// Whether files can be made there.
fn folder(path: &Path) -> Result<Place, String> {
    let shown = path.display().to_string();
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    match std::fs::metadata(path) {
        Ok(found) if !found.is_dir() => Err(format!("{shown}: not a folder")),
        Ok(_) => match may(path, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => Ok(Place { name: shown, room: room(path) }),
            Err(error) => Err(format!("{shown}: this user may not write there: {error}")),
        },
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// Made at the start, with those above it that are missing.
fn made_folder(path: &Path) -> Result<Place, String> {
    let there = path.ancestors().find(|above| above.exists()).unwrap_or_else(|| Path::new("."));
    folder(there).map(|found| Place { name: path.display().to_string(), ..found })
}

/// Judges it.
pub(super) fn judge(process: &Process, findings: &mut Findings) {
    let Process { open_files, records, state } = process;
    match open_files {
        None => findings.add(&found::FILES, Severity::Unknown, "/proc/self/limits does not say"),
        Some(most) => {
            let seen = format!("{most} for what is started from this shell; {NEEDED} may be needed");
            findings.check(&found::FILES, Severity::Doubtful, *most < NEEDED, seen);
        }
    }
    let records = records.iter().map(|looked| (&found::RECORDS, looked));
    for (kind, looked) in records.chain(state.iter().map(|looked| (&found::STATE, looked))) {
        match looked {
            Ok(place) => {
                findings.add(kind, Severity::Fine, place.name.clone());
                disk(place, findings);
            }
            Err(why) => findings.add(kind, Severity::Wrong, why.clone()),
        }
    }
}

fn disk(place: &Place, findings: &mut Findings) {
    let Place { name, room } = place;
    let severity = match room {
        None => Severity::Unknown,
        Some(..NONE) => Severity::Wrong,
        Some(..LITTLE) => Severity::Doubtful,
        Some(_) => Severity::Fine,
    };
    let seen = room.map_or_else(|| "not told".to_owned(), |room| format!("{} MiB are left", room >> 20));
    findings.add(&found::DISK, severity, format!("{name}: {seen}"));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn judged(process: &Process) -> Vec<(&'static str, Severity)> {
        let mut findings = Findings::default();
        judge(process, &mut findings);
        findings.bad()
    }

    #[test]
    fn a_process_is_judged_by_what_it_may_do() {
        use Severity::{Doubtful, Unknown, Wrong};
        let good = || Process { open_files: Some(NEEDED), records: Vec::new(), state: None };
        assert_eq!(judged(&good()), []);
        assert_eq!(judged(&Process { open_files: Some(NEEDED - 1), ..good() }), [("open-files", Doubtful)]);
        assert_eq!(judged(&Process { open_files: None, ..good() }), [("open-files", Unknown)]);
        let no = || Err("no".to_owned());
        assert_eq!(judged(&Process { records: vec![no()], ..good() }), [("records-unwritable", Wrong)]);
        assert_eq!(judged(&Process { state: Some(no()), ..good() }), [("state-unwritable", Wrong)]);
        for (room, expected) in [
            (None, Some(Unknown)),
            (Some(NONE - 1), Some(Wrong)),
            (Some(NONE), Some(Doubtful)),
            (Some(LITTLE - 1), Some(Doubtful)),
            (Some(LITTLE), None),
        ] {
            let place = || Ok(Place { name: "f".to_owned(), room });
            let expected: Vec<_> = expected.map(|severity| ("disk-space", severity)).into_iter().collect();
            assert_eq!(judged(&Process { records: vec![place()], ..good() }), expected, "{room:?}");
            assert_eq!(judged(&Process { state: Some(place()), ..good() }), expected, "{room:?}");
        }
    }

    #[test]
    fn limits_and_folders_are_looked_at_and_nothing_is_made() {
        let line = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";
        assert_eq!(open_files(line), Some(1024));
        assert_eq!(open_files(&line.replacen("1024", "unlimited", 1)), Some(u64::MAX));
        assert_eq!(open_files(""), None);
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        assert!(appendable(&at("records.jsonl")).is_ok() && appendable(&at("no/records.jsonl")).is_err());
        assert!(made_folder(&at("state")).is_ok() && made_folder(&at("no/state")).is_ok());
        assert!(!at("records.jsonl").exists() && !at("state").exists());
        std::fs::write(at("file"), "").unwrap();
        assert!(appendable(&at("file")).is_ok() && made_folder(&at("file/state")).is_err());
        assert!(appendable(place.path()).is_err());
        assert!(appendable(&at("file")).unwrap().room.is_some_and(|room| room > 0));
        // The mode is one thing, and what this user may do another: root may write there.
        std::fs::create_dir(at("closed")).unwrap();
        std::fs::set_permissions(at("closed"), PermissionsExt::from_mode(0o555)).unwrap();
        let may = std::fs::write(at("closed/records.jsonl"), "").is_ok();
        drop(std::fs::remove_file(at("closed/records.jsonl")));
        assert_eq!(appendable(&at("closed/records.jsonl")).is_ok(), may);
        assert_eq!(made_folder(&at("closed/state")).is_ok(), may);
        // A pipe that nobody reads is not waited for.
        rustix::fs::mknodat(CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert_eq!(appendable(&at("pipe")).unwrap().room, Some(u64::MAX));
    }
}
