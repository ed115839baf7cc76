//! Policy test files: run, or refused with at least one mistake named.

use std::sync::{Arc, LazyLock};

use exequatur_policy::{Colour, Limits, PolicyFolder, PolicySet, Source};

static SET: LazyLock<Arc<PolicySet>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../policies");
    let folder = PolicyFolder::read(folder.as_ref(), Limits::default()).expect("the repository's policies");
    PolicySet::load(&folder).expect("they hold")
});

/// The laws.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match exequatur_policy::run(&SET, &Source::new("fuzz.yaml", text)) {
        Ok(results) => {
            let lines = text.split(['\n', '\r']).count();
            assert!(results.iter().all(|result| (1..=lines).contains(&result.line)));
        }
        Err(problems) => {
            let rendered: Vec<_> = problems.iter().map(|problem| problem.render(Colour::Plain)).collect();
            assert!(!rendered.is_empty() && rendered.iter().all(|text| !text.is_empty()));
        }
    }
}
