//! What a process may do here: open files, and write where it has to.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

use exequatur_server::config::Config;

use super::catalogue as found;
use super::finding::{Findings, Severity};

/// Connections of all listeners, and files beside them: docs/ARCHITECTURE.md, what is bounded.
const NEEDED: u64 = 1024 + 64 + 64 + 16 + 64 + 256;

/// What was found.
#[derive(Debug)]
pub(super) struct Process {
    /// How many files a process that is started from here may have open; nothing if that is not known.
    open_files: Option<u64>,
    /// Where records go, and why they cannot.
    records: Option<Result<String, String>>,
    /// Where state is kept, and why it cannot be.
    state: Option<Result<String, String>>,
}

/// Looks. Nothing is made, and nothing written.
pub(super) fn probe(config: &Config) -> Process {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let records = config.records.as_ref().and_then(|records| records.file.as_deref());
    Process {
        open_files: open_files(&limits),
        records: records.map(appendable),
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

fn appendable(file: &Path) -> Result<String, String> {
    let shown = file.display().to_string();
    match OpenOptions::new().append(true).open(file) {
        Ok(_closed) => Ok(shown),
        // It is made at the start, in a folder that is there.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            folder(file.parent().unwrap_or_else(|| Path::new(".")))
        }
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

fn folder(path: &Path) -> Result<String, String> {
    let shown = path.display().to_string();
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    match std::fs::metadata(path) {
        Ok(found) if !found.is_dir() => Err(format!("{shown}: not a folder")),
        Ok(found) if found.permissions().readonly() => Err(format!("{shown}: nobody may write there")),
        Ok(_) => Ok(shown),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// Made at the start, with those above it that are missing.
fn made_folder(path: &Path) -> Result<String, String> {
    let there = path.ancestors().find(|above| above.exists()).unwrap_or_else(|| Path::new("."));
    folder(there).map(|_usable| path.display().to_string())
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
    for (kind, looked) in [(&found::RECORDS, records), (&found::STATE, state)] {
        match looked {
            None => {}
            Some(Ok(place)) => findings.add(kind, Severity::Fine, place.clone()),
            Some(Err(why)) => findings.add(kind, Severity::Wrong, why.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(process: &Process) -> Vec<(&'static str, Severity)> {
        let mut findings = Findings::default();
        judge(process, &mut findings);
        findings.bad()
    }

    #[test]
    fn a_process_is_judged_by_what_it_may_do() {
        use Severity::{Doubtful, Unknown, Wrong};
        let good = || Process { open_files: Some(NEEDED), records: None, state: None };
        assert_eq!(judged(&good()), []);
        assert_eq!(judged(&Process { open_files: Some(NEEDED - 1), ..good() }), [("open-files", Doubtful)]);
        assert_eq!(judged(&Process { open_files: None, ..good() }), [("open-files", Unknown)]);
        let no = || Some(Err("no".to_owned()));
        assert_eq!(judged(&Process { records: no(), ..good() }), [("records-unwritable", Wrong)]);
        assert_eq!(judged(&Process { state: no(), ..good() }), [("state-unwritable", Wrong)]);
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
    }
}
