//! Reading a folder: what is taken, what is passed over, and what is refused.
#![expect(clippy::unwrap_used, reason = "helpers make folders, and a test cannot go on without them")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use exequatur_policy::{Limits, PolicyFolder, Source};

/// An empty folder of this name.
fn empty(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy-folder").join(name);
    if root.exists() {
        fs::remove_dir_all(&root).unwrap();
    }
    fs::create_dir_all(&root).unwrap();
    root
}

fn write(root: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn names(sources: &[Source]) -> Vec<&str> {
    sources.iter().map(|source| source.name.as_str()).collect()
}

fn problems(root: &Path, limits: Limits) -> Vec<String> {
    PolicyFolder::read(root, limits).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn files_are_taken_by_name_and_sorted() {
    let root = empty("taken");
    for name in ["z.cedar", "a.cedar", "team/x.cedar", "m.cedarschema", "tests/b.yaml", "tests/deep/a.yml"] {
        write(&root, name, name);
    }
    for name in ["README.md", ".hidden.cedar", ".git/x.cedar", "notes.cedar.txt", "tests/data.json"] {
        write(&root, name, [0xff]);
    }
    let folder = PolicyFolder::read(&root, Limits::default()).unwrap();
    assert_eq!(names(&folder.policies), ["a.cedar", "team/x.cedar", "z.cedar"]);
    assert_eq!(names(&folder.schema), ["m.cedarschema"]);
    assert_eq!(names(&folder.tests), ["tests/b.yaml", "tests/deep/a.yml"]);
    assert_eq!(&*folder.policies[1].text, "team/x.cedar");
}

// A ConfigMap is mounted as links to files in a folder whose name begins with dots.
#[test]
fn a_kubernetes_mount_is_read_once() {
    let root = empty("mount");
    write(&root, "..2026_03_04/a.cedar", "one");
    symlink("..2026_03_04", root.join("..data")).unwrap();
    symlink("..data/a.cedar", root.join("a.cedar")).unwrap();
    let folder = PolicyFolder::read(&root, Limits::default()).unwrap();
    assert_eq!(folder.policies, [Source::new("a.cedar", "one")]);
}

#[test]
fn whatever_could_lose_a_policy_is_a_problem() {
    let root = empty("lost");
    write(&root, "tests/p.cedar", "");
    write(&root, "tests/s.cedarschema", "");
    write(&root, "case.yaml", "");
    write(&root, "s.cedarschema.json", "");
    write(&root, "latin1.cedar", [b'/', b'/', 0xe9]);
    symlink("tests", root.join("linked")).unwrap();
    symlink("nowhere.cedar", root.join("gone.cedar")).unwrap();
    fs::create_dir(root.join("folder.cedar")).unwrap();
    let found = problems(&root, Limits::default());
    let files: Vec<&str> = found.iter().filter_map(|it| it.split_once(':').map(|(file, _)| file)).collect();
    assert_eq!(
        files,
        [
            "case.yaml",
            "gone.cedar",
            "latin1.cedar",
            "linked",
            "s.cedarschema.json",
            "tests/p.cedar",
            "tests/s.cedarschema"
        ],
        "{found:?}"
    );
}

#[test]
fn a_folder_that_is_not_there_is_a_problem() {
    let root = empty("absent").join("nothing");
    assert_eq!(problems(&root, Limits::default()).len(), 1);
    write(&empty("file"), "file.cedar", "");
    assert_eq!(problems(&empty("absent").join("file.cedar"), Limits::default()).len(), 1);
}

#[test]
fn limits_hold() {
    let root = empty("limits");
    for name in ["a.cedar", "b.cedar", "c.cedar", "d/d.cedar"] {
        write(&root, name, "12345");
    }
    let exact = Limits { bytes: 20, files: 4, depth: 1 };
    assert!(PolicyFolder::read(&root, exact).is_ok());
    let found = problems(&root, Limits { bytes: 19, ..exact });
    assert_eq!(found, ["d/d.cedar: the files of the folder are too large together"]);
    assert_eq!(problems(&root, Limits { files: 2, ..exact }), ["c.cedar: the folder has too many files"]);
    assert_eq!(problems(&root, Limits { depth: 0, ..exact }), ["d: too many folders below each other"]);
}
