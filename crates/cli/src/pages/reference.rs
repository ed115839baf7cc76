//! The commands as one page of Markdown.

use clap::{Arg, Command};

const HEAD: &str = "\
# Commands

Made from the program itself (`exequatur reference > docs/reference/cli.md`); a test compares them.
`exequatur <command> --help` says the same, `exequatur man <folder>` writes it as man pages, and
`exequatur completions <shell>` teaches it to a shell.

## Exit codes

| code | meaning |
| --- | --- |
| 0 | done: valid, permitted, found, all tests passed |
| 1 | the answer is no: not permitted, a token that would be refused, no such record, findings of a linter |
| 2 | wrong usage |
| 3 | invalid configuration, schema or policies |
| 4 | policy tests failed, or policies are not laid out (`policy fmt --check`) |
| 5 | anything else: files, listeners, network |
| 6 | records that nothing vouches for, or that could not all be read |

Results go to standard output, complaints to standard error. With `--output json` a command prints one JSON document.
Text from tokens and records is printed with control characters, characters of direction and invisible ones escaped.
";

/// The page.
pub(super) fn page(mut command: Command) -> String {
    command.build();
    let mut out = HEAD.to_owned();
    for each in shown(&command) {
        section(&mut out, each);
    }
    out
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|each| !each.is_hide_set() && each.get_name() != "help")
}

fn section(out: &mut String, command: &Command) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let mut inner = shown(command).peekable();
    if inner.peek().is_none() {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        out.push_str(&format!("\n## `{name}`\n\n{}\n\n```\n{usage}\n```\n", wrapped(&about)));
        arguments(out, command);
    }
    for each in inner {
        section(out, each);
    }
}

fn arguments(out: &mut String, command: &Command) {
    let rows: Vec<_> =
        command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_id() != "help").map(row).collect();
    if !rows.is_empty() {
        out.push_str(&format!("\n| argument | default | meaning |\n| --- | --- | --- |\n{}", rows.concat()));
    }
}

fn row(arg: &Arg) -> String {
    let values: Vec<_> =
        arg.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>")).collect();
    let values = if arg.get_action().takes_values() { values.join(" ") } else { String::new() };
    let name = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("`-{short}`, `--{long} {values}`"),
        (None, Some(long)) => format!("`--{long} {values}`"),
        (_, None) => format!("`{values}`"),
    };
    let name = name.replace(" `", "`").replace(",`", ", `");
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    let default = match () {
        () if !arg.get_action().takes_values() => String::new(),
        () if arg.is_required_set() => "required".to_owned(),
        () => defaults.iter().filter(|value| *value != "``").cloned().collect::<Vec<_>>().join(", "),
    };
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let words: Vec<_> = if arg.get_action().takes_values() {
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect()
    } else {
        Vec::new()
    };
    let words = if words.is_empty() { String::new() } else { format!(" One of {}.", words.join(", ")) };
    let help = help.replace('\n', " ").replace('|', "\\|");
    let help = help.trim();
    let stop = if help.is_empty() || help.ends_with('.') || words.is_empty() { "" } else { "." };
    format!("| {name} | {default} | {help}{stop}{words} |\n")
}

/// Lines of at most 120 columns, as the other pages have them.
fn wrapped(text: &str) -> String {
    let paragraph = |text: &str| {
        let mut lines = vec![String::new()];
        for word in text.split_whitespace() {
            match lines.last_mut() {
                Some(line) if line.is_empty() => word.clone_into(line),
                Some(line) if line.chars().count().saturating_add(word.chars().count()) < 119 => {
                    line.push(' ');
                    line.push_str(word);
                }
                Some(_) | None => lines.push(word.to_owned()),
            }
        }
        lines.join("\n")
    };
    text.split("\n\n").map(paragraph).collect::<Vec<_>>().join("\n\n")
}
