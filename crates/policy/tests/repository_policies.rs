//! The example policies of this repository: they load without a warning, pass their own tests, and
//! none of them goes untested.
#![expect(clippy::panic, reason = "a helper that cannot read the repository has nothing to return")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use exequatur_policy::{
    CaseResult, Colour, Limits, PolicyFolder, PolicySet, Problems, Source, never_determining, run,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

fn sound<T>(result: Result<T, Problems>) -> T {
    result.unwrap_or_else(|problems| panic!("{}", problems.render(Colour::Plain)))
}

fn load() -> (PolicyFolder, Arc<PolicySet>) {
    let folder = sound(PolicyFolder::read(&root(), Limits::default()));
    let set = sound(PolicySet::load(&folder));
    (folder, set)
}

fn results() -> (Arc<PolicySet>, Vec<CaseResult>) {
    let (folder, set) = load();
    let results = folder.tests.iter().flat_map(|source| sound(run(&set, source))).collect();
    (set, results)
}

#[test]
fn the_policies_load_without_a_warning_and_none_is_unscoped() {
    let (_, set) = load();
    assert_eq!(set.warnings(), &[]);
    assert_eq!(set.unscoped(), 0);
}

/// What the documentation shows of policies loads with the schema of the example, each block alone.
#[test]
fn the_examples_of_the_documentation_load() {
    let (folder, _) = load();
    let mut blocks = 0;
    for page in ["reference/context.md", "explanation/on-behalf-of.md"] {
        let path = root().join("../docs").join(page);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
        for block in text.split("```cedar\n").skip(1).filter_map(|rest| rest.split_once("```")) {
            let policies = vec![Source::new(page, block.0)];
            let folder = PolicyFolder { schema: folder.schema.clone(), policies, tests: Vec::new() };
            let set = sound(PolicySet::load(&folder));
            assert_eq!(set.warnings(), &[], "{page}");
            blocks += 1;
        }
    }
    assert!(blocks >= 10, "only {blocks}");
}

#[test]
fn every_case_passes() {
    let (_, results) = results();
    let failed: Vec<String> = results
        .iter()
        .filter(|result| !result.passed())
        .map(|it| {
            format!("{}:{} {}: expected {:?}, got {:?}", it.file, it.line, it.name, it.expected, it.got)
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(results.len() >= 40, "only {} cases", results.len());
}

#[test]
fn every_policy_determines_a_case() {
    let (set, results) = results();
    assert_eq!(never_determining(&set, &results), Vec::<Arc<str>>::new());
}
