//! Files in other forms.

use exequatur_audit::{Exported, Format, Skipped, export};
use serde_json::Value;

use crate::lines::{RUN, bare, each, others, sealed};

fn exported(file: &str, format: Format) -> (Exported, Vec<(u64, Skipped)>, String) {
    let (mut out, mut skipped) = (Vec::new(), Vec::new());
    let exported = export(file.as_bytes(), format, &mut out, |line, why| skipped.push((line, why))).unwrap();
    (exported, skipped, String::from_utf8(out).unwrap())
}

#[test]
fn a_file_is_written_line_by_line() {
    let file = each().join("\n") + "\n";
    for (_, format) in Format::WORDS {
        let (exported, skipped, out) = exported(&file, format);
        assert_eq!((exported.written, exported.skipped, exported.gaps), (17, 0, 6));
        assert_eq!((out.lines().count(), skipped.len()), (17, 0));
    }
    assert_eq!(exported(&file, Format::Own).2, file);
}

/// The run is that of the header before a line; before any, nobody knows it.
#[test]
fn the_run_is_known_from_the_header() {
    let line = sealed(&bare(exequatur_audit::Verdict::Permit, "permitted", 200), 2);
    let header = others().remove(0);
    let out = exported(&format!("{line}\n{header}\n{line}\n"), Format::Ecs).2;
    let writers: Vec<_> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| line["exequatur"]["chain"]["writer"].clone())
        .collect();
    assert_eq!(writers, [Value::Null, RUN.into(), RUN.into()]);
}

#[test]
fn what_is_no_line_is_left_out_and_told() {
    use exequatur_audit::Verdict::Permit;
    let line = sealed(&bare(Permit, "permitted", 200), 2);
    // Its begin would be a line.
    let long = format!("{line}{}", " ".repeat(70_000));
    let file = format!("{line}\nno record\n\n{long}\n{line}\n{}", line.get(..90).unwrap());
    for (_, format) in Format::WORDS {
        let (exported, skipped, out) = exported(&file, format);
        assert_eq!((exported.written, exported.skipped), (2, 4));
        assert_eq!(
            skipped,
            [(2, Skipped::Foreign), (3, Skipped::Foreign), (4, Skipped::TooLong), (6, Skipped::Torn)]
        );
        assert_eq!(out.lines().count(), 2);
    }
    // A last line that lacks nothing but its line break is whole.
    assert_eq!(exported(&line, Format::Ocsf).0.written, 1);
}
