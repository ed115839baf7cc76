//! Completions, man pages, `docs/reference/cli.md`.

use std::fs;

use crate::{repository, run, run_in};

#[test]
fn the_page_of_commands_is_up_to_date() {
    let page = fs::read_to_string(repository().join("docs/reference/cli.md")).unwrap();
    let made = run(&["reference"]).ended(0).out;
    assert!(
        page == made,
        "docs/reference/cli.md is out of date: cargo run -p exequatur-cli -- reference > docs/reference/cli.md"
    );
    assert!(made.lines().filter(|line| !line.starts_with('|')).all(|line| line.chars().count() <= 120));
}

/// Commands of the page: `config check`.
fn commands() -> Vec<String> {
    let made = run(&["reference"]).ended(0).out;
    let named = made.lines().filter_map(|line| line.strip_prefix("## `exequatur ")?.strip_suffix('`'));
    named.map(str::to_owned).collect()
}

#[test]
fn every_command_has_help_of_80_columns_and_refuses_what_it_does_not_know() {
    let commands = commands();
    assert!(commands.len() >= 17, "{commands:?}");
    for command in commands {
        let words: Vec<_> = command.split(' ').collect();
        for help in ["--help", "-h"] {
            let shown = run(&[&words[..], &[help]].concat()).ended(0);
            assert!(shown.err.is_empty(), "{command}");
            let wide = shown.out.lines().find(|line| line.chars().count() > 100);
            assert_eq!(wide, None, "{command}");
        }
        let refused = run(&[&words[..], &["--no-such-option"]].concat()).ended(2);
        assert!(refused.out.is_empty() && refused.err.contains("--no-such-option"), "{command}");
    }
}

#[test]
fn completions_name_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(&["completions", shell]).ended(0).out;
        for word in ["config", "schema", "inspect", "completions", "--check"] {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    run(&["completions", "tcsh"]).ended(2);
}

#[test]
fn every_command_has_a_man_page() {
    let folder = tempfile::tempdir().unwrap();
    let made = run_in(folder.path(), &["man", "new/man1"], b"").ended(0);
    assert_eq!((made.out.as_str(), made.err.as_str()), ("", ""));
    for command in commands() {
        let page = folder.path().join(format!("new/man1/exequatur-{}.1", command.replace(' ', "-")));
        let page = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
    let main = fs::read_to_string(folder.path().join("new/man1/exequatur.1")).unwrap();
    assert!(main.contains("Exit codes"), "{main}");
    fs::write(folder.path().join("file"), "").unwrap();
    run_in(folder.path(), &["man", "file"], b"").ended(5);
}

/// The copy that people read and clients are made from.
#[test]
fn the_description_of_the_api_is_that_of_the_program() {
    let made = run(&["openapi"]).ended(0);
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi.json");
    let page = fs::read_to_string(page).unwrap();
    assert!(
        page == made.out,
        "docs/reference/openapi.json is out of date: cargo run -p exequatur-cli -- openapi > docs/reference/openapi.json"
    );
}

/// A reader that has enough is no mistake to complain of, and no success either.
#[test]
fn a_closed_pipe_ends_quietly() {
    let command =
        format!("{{ {} config schema; echo $? >&3; }} 3>&2 | true", env!("CARGO_BIN_EXE_exequatur"));
    let shown = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
    let err = String::from_utf8(shown.stderr).unwrap();
    assert!(err == "5\n" || err == "0\n", "{err}");
}
