//! Completions, man pages, `docs/reference/cli.md`.

use std::fs;
use std::path::Path;
use std::process::Command;

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
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi.json");
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
    let shown = Command::new("sh").args(["-c", &command]).output().unwrap();
    let err = String::from_utf8(shown.stderr).unwrap();
    assert!(err == "5\n" || err == "0\n", "{err}");
}

/// Runs a program of tests/tools, and gives what it complains of; nothing if it ended well.
fn complaints(tool: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("python3");
    command.arg(repository().join("tests/tools").join(tool)).args(arguments);
    let ended = command.env("EXEQUATUR_BIN", env!("CARGO_BIN_EXE_exequatur")).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.success(), said.is_empty(), "{tool}: {said}");
    said
}

/// A copy of a folder of pages in which one text of each named page is replaced by another.
fn doctored(folder: &str, changes: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(repository().join("docs").join(folder)).unwrap() {
        let entry = entry.unwrap();
        let page = fs::read_to_string(entry.path()).unwrap();
        let of_page = changes.iter().filter(|(name, _, _)| *name == entry.file_name());
        let page = of_page.fold(page, |page, (name, old, new)| {
            assert!(page.contains(old), "{name} has no {old:?}");
            page.replacen(old, new, 1)
        });
        fs::write(copy.path().join(entry.file_name()), page).unwrap();
    }
    copy
}

fn found(complaints: &str, expected: &[&str]) {
    for each in expected {
        assert!(complaints.contains(each), "not found: {each}\n{complaints}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Keys, reasons, headers, context, rules and commands stand in the reference as the program says them.
#[test]
fn the_reference_says_what_the_program_says() {
    assert_eq!(complaints("reference.py", &["--check"]), "");
}

/// Of each kind something is taken away, added or changed, and it is seen.
#[test]
fn a_page_that_says_something_else_is_found() {
    let pages = doctored(
        "reference",
        &[
            // A reason without its row, one that is none, and another status.
            ("reasons.md", "| `killed` | 403 |", "| `kill` | 403 |"),
            ("reasons.md", "| `dpop_replay` | 401 |", "| `dpop_replay` | 403 |"),
            // A key without its row, one that is none, another default, range and what a change needs.
            ("configuration.md", "| `status_lists.wait` |", "| `status_lists.waits` |"),
            (
                "configuration.md",
                "| `deadline` | a duration, `5ms`–`10s` | `150ms` |",
                "| `deadline` | a duration, `5ms`–`10s` | `200ms` |",
            ),
            ("configuration.md", "| `cost` | 1–1000000 |", "| `cost` | 1–100 |"),
            (
                "configuration.md",
                "at least one | required | nothing | what tokens are for",
                "at least one | required | a restart | what tokens are for",
            ),
            ("headers.md", "| `dpop` | |\n", ""),
            ("headers.md", "| `cache-control` |", "| `x-exequatur-more` |"),
            ("context.md", "classification?: String", "classification: String"),
            ("envoy.md", "| `route-bypass` | hole |", "| `route-bypass` | weak |"),
            ("cli.md", "`exequatur token inspect`", "`exequatur token look`"),
            ("cli.md", "`--deadline <DURATION>`", "`--limit <DURATION>`"),
            ("config.schema.json", "\"150ms\"", "\"151ms\""),
            ("openapi.json", "/v1/kill", "/v1/stop"),
        ],
    );
    let said = complaints("reference.py", &["--check", "--pages", text(pages.path())]);
    found(
        &said,
        &[
            "reasons.md: -| `kill` |",
            "reasons.md: +| `killed` |",
            "reasons.md: -| `dpop_replay` | 403 |",
            "configuration.md: -| `status_lists.waits` |",
            "configuration.md: +| `status_lists.wait` |",
            "`200ms`",
            "configuration.md: -| `cost` | 1–100 |",
            "configuration.md: -| `protected_resources` |",
            "headers.md: +| `dpop` | |",
            "headers.md: -| `x-exequatur-more` |",
            "context.md: -        classification: String",
            "envoy.md: -| `route-bypass` | weak |",
            "cli.md: -## `exequatur token look`",
            "cli.md: -| `--limit <DURATION>`",
            "config.schema.json: -",
            "openapi.json: -",
        ],
    );
}

/// A part that is not made any more, or that nobody has, is no way around the comparison.
#[test]
fn a_part_that_is_not_made_is_found() {
    let pages = doctored(
        "reference",
        &[
            ("reasons.md", "<!-- generated: exequatur reference reasons -->", ""),
            ("configuration.md", "<!-- generated: exequatur reference configuration | keys store -->", ""),
            ("headers.md", "<!-- end -->", ""),
        ],
    );
    let said = complaints("reference.py", &["--check", "--pages", text(pages.path())]);
    found(
        &said,
        &[
            "no page has `exequatur reference reasons`",
            "no page has the key store.redis.timeout",
            "headers.md: a part that does not begin or end as one",
        ],
    );
}

/// What is written by hand is held against the code, too.
#[test]
fn a_metric_or_an_explanation_that_is_wrong_is_found() {
    assert_eq!(complaints("metrics.py", &[]), "");
    let pages = doctored(
        "reference",
        &[
            ("metrics.md", "| `exequatur_ready` |", "| `exequatur_readiness` |"),
            ("metrics.md", "| `exequatur_generation` | gauge |", "| `exequatur_generation` | counter |"),
            ("metrics.md", "`outcome` 2 | 2 | changed files", "`result` 2 | 2 | changed files"),
        ],
    );
    let said = complaints("metrics.py", &[text(&pages.path().join("metrics.md"))]);
    found(
        &said,
        &["exequatur_ready:", "exequatur_readiness:", "exequatur_generation:", "exequatur_reloads_total:"],
    );
    assert_eq!(complaints("explanations.py", &[]), "");
    let pages = doctored(
        "explanation",
        &[
            ("failures.md", "503 `policy_error`", "503 `policy_failure`"),
            ("failures.md", "`exequatur_reload_failed`", "`exequatur_reload_broken`"),
            ("failures.md", "alerts.md#exequaturslow", "alerts.md#exequaturlate"),
            ("failures.md", "`redis_is_killed`", "`redis_is_murdered`"),
            ("failures.md", "`store.redis.degrade_for`", "`store.redis.degraded_for`"),
            ("threat-model.md", "`j03_audience`", "`j99_audience`"),
        ],
    );
    let said = complaints("explanations.py", &["--pages", text(pages.path())]);
    found(
        &said,
        &[
            "there is no reason policy_failure",
            "the reason policy_error has no row",
            "there is no metric exequatur_reload_broken",
            "ExequaturSlow has no row",
            "there is no test redis_is_murdered",
            "there is no key store.redis.degraded_for",
            "nothing is called j99_audience",
        ],
    );
}
