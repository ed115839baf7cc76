//! The code that the how-to pages for agents show is that of the examples.

use exequatur_tests::binaries::repository;

const PAGES: [&str; 1] = ["docs/how-to/calling-as-an-agent.md"];

/// An excerpt of a file stands behind a comment that names the file. Each fence of these languages is one.
#[test]
fn what_pages_show_is_what_runs() {
    let mut shown = 0;
    for page in PAGES {
        let text = std::fs::read_to_string(repository().join(page)).unwrap();
        for (index, language) in ["```typescript\n", "```python\n"].iter().flat_map(|fence| {
            text.match_indices(fence).map(|(index, _)| (index, fence.trim_start_matches('`').trim()))
        }) {
            let (before, rest) = text.split_at(index);
            let excerpt = rest.split_once('\n').unwrap().1.split("```").next().unwrap();
            let comment = before.trim_end().lines().last().unwrap_or_default();
            let file = comment.strip_prefix("<!-- from ").and_then(|rest| rest.strip_suffix(" -->"));
            let file = file.unwrap_or_else(|| panic!("{page}: nobody says where this is from:\n{excerpt}"));
            let source = std::fs::read_to_string(repository().join(file)).unwrap();
            assert!(source.contains(excerpt), "{page}: {file} has not ({language}):\n{excerpt}");
            shown += 1;
        }
    }
    assert!(shown >= 4, "{shown}");
}
