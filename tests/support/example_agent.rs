//! The agents of `examples/clients`, in processes of their own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::stack::in_time;
use crate::{AuthorizationServer, Stack, TokenService, binaries};

/// What an agent is written in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Language {
    /// `examples/clients/typescript`
    TypeScript,
    /// `examples/clients/python`
    Python,
}

impl Language {
    /// Both.
    pub const ALL: [Self; 2] = [Self::TypeScript, Self::Python];

    /// Its interpreter, with its libraries, in the folder of its example.
    ///
    /// # Errors
    /// When `tests/tools/clients.sh` has not run, or not since the sources were changed.
    pub fn command(self) -> Result<Command, String> {
        let (root, examples) = (binaries::repository(), binaries::repository().join("examples/clients"));
        let (mut command, folder, needed) = match self {
            Self::TypeScript => {
                let folder = examples.join("typescript");
                compiled(&folder)?;
                (Command::new(binaries::node()), folder.clone(), folder.join("dist/main.js"))
            }
            Self::Python => {
                let libraries = root.join(".tools/clients");
                let mut command = Command::new("python3");
                command.env("PYTHONDONTWRITEBYTECODE", "1");
                let paths = [libraries.clone(), examples.join("python")];
                command.env("PYTHONPATH", std::env::join_paths(paths).map_err(|error| error.to_string())?);
                (command, examples.join("python"), libraries)
            }
        };
        if !needed.exists() {
            return Err("run tests/tools/clients.sh first".to_owned());
        }
        command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }
}

/// Whether each source is compiled as it is now: a build of yesterday's would pass the tests of yesterday.
fn compiled(folder: &Path) -> Result<(), String> {
    let told = |path: &Path, error: &std::io::Error| format!("{}: {error}", path.display());
    let changed = |path: &Path| path.metadata().and_then(|file| file.modified());
    let sources = folder.join("src");
    for entry in sources.read_dir().map_err(|error| told(&sources, &error))? {
        let source = entry.map_err(|error| told(&sources, &error))?.path();
        let built = folder.join("dist").join(source.with_extension("js").file_name().unwrap_or_default());
        let written = changed(&source).map_err(|error| told(&source, &error))?;
        if !changed(&built).is_ok_and(|made| made >= written) {
            return Err(format!("{} is not compiled as it is: run tests/tools/clients.sh", source.display()));
        }
    }
    Ok(())
}

/// One that runs.
#[derive(Debug)]
pub struct ExampleAgent {
    process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
    errors: PathBuf,
}

impl ExampleAgent {
    /// The settings of a client of `server` that calls `stack`.
    #[must_use]
    pub fn settings(server: &AuthorizationServer, stack: &Stack, client: &str) -> Value {
        json!({
            "issuer": server.issuer, "client_id": client, "key_file": server.key_file(client),
            "key_id": format!("{client}-1"), "api": stack.url(""), "resource": TokenService::AUDIENCE,
            "scope": "documents:read", "bound": "dpop",
        })
    }

    /// Starts one with these settings, which are written to `folder`.
    ///
    /// # Errors
    /// When something is missing.
    pub fn start(language: Language, settings: &Value, folder: &Path) -> Result<Self, String> {
        let name = format!("{language:?}-{}", settings["client_id"].as_str().unwrap_or_default());
        let (file, errors) = (folder.join(format!("{name}.json")), folder.join(format!("{name}.err")));
        std::fs::write(&file, settings.to_string()).map_err(|error| error.to_string())?;
        let mut command = language.command()?;
        match language {
            Language::TypeScript => command.arg("dist/main.js"),
            Language::Python => command.args(["-m", "agent"]),
        };
        command.arg(&file).args(settings["redirect_uri"].as_str().map(|_| "--for-user"));
        let stderr = std::fs::File::create(&errors).map_err(|error| error.to_string())?;
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|error| error.to_string())?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("no pipes".to_owned());
        };
        Ok(Self { process, input, output: BufReader::new(output).lines(), said: Vec::new(), errors })
    }

    /// Gives it a line and waits for the one that it says next.
    ///
    /// # Panics
    /// When it has ended, or says no JSON.
    pub async fn told(&mut self, line: &str) -> Value {
        self.input.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
        let said = in_time(&format!("what the agent says to `{line}`"), self.output.next_line()).await;
        let Ok(Some(said)) = said else {
            panic!("it ended: {}", std::fs::read_to_string(&self.errors).unwrap_or_default());
        };
        let value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        self.said.push(said);
        value
    }

    /// Lets it end; all that it has said and written meanwhile.
    ///
    /// # Panics
    /// When it does not end well.
    pub async fn ended(mut self) -> String {
        drop(self.input);
        let status = in_time("its end", self.process.wait()).await.expect("a process");
        let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
        assert!(status.success(), "{status}: {errors}");
        self.said.join("\n") + &errors
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::compiled;

    #[test]
    fn a_stale_build_says_what_to_run() {
        let folder = std::env::temp_dir().join(format!("exequatur-{}", crate::jwt::random_id()));
        let write = |name: &str, age: u64| {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let file = fs::File::create(file).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        };
        let says = || compiled(&folder).err().unwrap_or_default();
        write("src/main.ts", 20);
        assert!(
            says().ends_with("src/main.ts is not compiled as it is: run tests/tools/clients.sh"),
            "{}",
            says()
        );
        write("dist/main.js", 20);
        write("dist/gone.js", 30);
        assert_eq!(says(), "");
        write("src/main.ts", 10);
        assert!(says().contains("tests/tools/clients.sh"));
        write("dist/main.js", 5);
        write("src/other.ts", 5);
        assert!(says().contains("src/other.ts"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
