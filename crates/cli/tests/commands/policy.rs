//! `policy schema` and `policy fmt`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::{repository, run, run_in};

const UNTIDY: &str = "// Kept.\n@id(\"a\")permit(principal,action,resource) // kept too\nwhen{context.scopes.contains(\"x\")};\n";
const TIDY_START: &str = "// Kept.\n@id(\"a\")\npermit (principal, action, resource)";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn the_schema_is_one_text_that_cedar_takes() {
    let shown = run(&["policy", "schema", "policies"]).ended(0);
    assert_eq!(shown.err, "");
    for part in ["namespace Exequatur {", "entity Document", "action ReadDocument"] {
        assert!(shown.out.contains(part), "{part}");
    }
    // It is a schema file of its own: alone in a folder it would be one, but for the reserved namespace.
    let alone = folder(&[("merged.cedarschema", &shown.out)]);
    let again = run_in(alone.path(), &["policy", "schema", "."], b"").ended(3);
    assert!(again.err.contains("the namespace is reserved"), "{}", again.err);
    assert!(!again.err.contains("unexpected token"), "{}", again.err);
}

#[test]
fn broken_policies_do_not_hide_the_schema() {
    let files = [("s.cedarschema", "entity File;"), ("p.cedar", "permit(")];
    let folder = folder(&files);
    let shown = run_in(folder.path(), &["policy", "schema", "."], b"").ended(0);
    assert!(shown.out.contains("entity File;"));
    fs::write(folder.path().join("s.cedarschema"), "entity File").unwrap();
    let broken = run_in(folder.path(), &["policy", "schema", "."], b"").ended(3);
    assert!(broken.err.contains("s.cedarschema:1:"), "{}", broken.err);
    assert_eq!(broken.out, "");
}

#[test]
fn fmt_lays_out_once_and_keeps_everything_else() {
    let folder = folder(&[("a.cedar", UNTIDY), ("real", "")]);
    let at = folder.path();
    fs::rename(at.join("a.cedar"), at.join("real")).unwrap();
    symlink("real", at.join("a.cedar")).unwrap();
    fs::set_permissions(at.join("real"), fs::Permissions::from_mode(0o640)).unwrap();

    let check = run_in(at, &["policy", "fmt", "--check", "."], b"").ended(4);
    assert_eq!((check.out.as_str(), check.err.as_str()), ("./a.cedar\n", ""));
    assert_eq!(text(at, "real"), UNTIDY, "--check changes nothing");

    let done = run_in(at, &["policy", "fmt", "."], b"").ended(0);
    assert_eq!(done.out, "./a.cedar: laid out\n");
    let tidy = text(at, "a.cedar");
    assert!(tidy.starts_with(TIDY_START) && tidy.contains("// kept too"), "{tidy}");
    assert!(at.join("a.cedar").is_symlink(), "the link stays a link");
    assert_eq!(fs::metadata(at.join("real")).unwrap().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(at).unwrap().count(), 2, "nothing is left over");

    let inode = fs::metadata(at.join("real")).unwrap().ino();
    for arguments in [&["policy", "fmt", "."][..], &["policy", "fmt", "--check", "a.cedar"][..]] {
        assert_eq!(run_in(at, arguments, b"").ended(0).out, "");
    }
    assert_eq!(fs::metadata(at.join("real")).unwrap().ino(), inode, "an unchanged file is not written");
}

#[test]
fn a_file_that_does_not_parse_is_left_and_told_with_its_place() {
    let broken = "@id(\"b\")\npermit(principal,action,resource)\nwhen { 1 + };\n";
    let folder = folder(&[("a.cedar", UNTIDY), ("b.cedar", broken)]);
    let done = run_in(folder.path(), &["policy", "fmt", "."], b"").ended(3);
    assert!(done.err.contains("b.cedar:3:12"), "{}", done.err);
    assert!(done.err.contains("1 file was left as it is"), "{}", done.err);
    assert_eq!(text(folder.path(), "b.cedar"), broken);
    assert!(text(folder.path(), "a.cedar").starts_with(TIDY_START), "the others are laid out");

    let json =
        run_in(folder.path(), &["policy", "fmt", "--check", "--output", "json", "."], b"").ended(3).json();
    assert_eq!(json["files"][0]["state"], "unchanged");
    assert_eq!(json["files"][1]["state"], "broken");
    assert_eq!(json["files"][1]["problems"][0]["line"], 3);
}

#[test]
fn fmt_says_what_it_cannot_take() {
    let folder = folder(&[("a.txt", "x")]);
    run_in(folder.path(), &["policy", "fmt", "a.txt"], b"").ended(2);
    run_in(folder.path(), &["policy", "fmt", "none.cedar"], b"").ended(5);
    run_in(folder.path(), &["policy", "fmt", "none"], b"").ended(5);
}

/// The example policies are laid out, and say the same afterwards.
#[test]
fn the_example_policies_pass() {
    run_in(&repository(), &["policy", "fmt", "--check"], b"").ended(0);
    run_in(&repository(), &["policy", "test"], b"").ended(0);
}
