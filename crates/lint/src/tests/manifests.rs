//! Manifests for meshes and gateways: documents in several files, of which each key that protects is marked.

use super::{ids, json, options, put, remove};
use crate::rule::{Key, Part};
use crate::tree::{Node, Value};
use crate::{Report, Rule, lint_all, reader, rules};

/// Files that are judged together, and whose keys they hold.
pub(super) struct Example {
    pub(super) files: &'static [&'static str],
    pub(super) parts: &'static [Part],
    /// Rules about keys of these parts that this product cannot break, or that it says nothing of.
    pub(super) not_here: &'static [&'static str],
}

impl Example {
    /// All documents, in one list.
    pub(super) fn tree(&self) -> Node {
        let documents: Vec<Node> = self
            .files
            .iter()
            .enumerate()
            .flat_map(|(index, text)| {
                let documents = reader::read_all(text).unwrap().into_iter();
                documents.map(move |document| document.moved(index, 0, usize::MAX))
            })
            .collect();
        Node { place: documents[0].place, value: Value::List(documents) }
    }

    /// The keys that are marked `# requires: …`: path, and mark.
    fn marked(&self) -> Vec<(String, String)> {
        let tree = self.tree();
        let mut keys = Vec::new();
        let mut open = vec![(String::new(), &tree)];
        while let Some((path, node)) = open.pop() {
            let below = |step: &str| format!("{path}/{step}").trim_start_matches('/').to_owned();
            for (index, item) in node.items().iter().enumerate() {
                open.push((below(&index.to_string()), item));
            }
            for entry in node.entries() {
                keys.push((entry.place, below(&entry.key)));
                open.push((below(&entry.key), &entry.value));
            }
        }
        keys.sort();
        let mut marked = Vec::new();
        for (file, text) in self.files.iter().enumerate() {
            for (index, line) in text.lines().enumerate() {
                let Some((before, mark)) = line.split_once("# requires: ") else { continue };
                assert!(!before.trim().is_empty(), "line {}: a mark stands behind its key", index + 1);
                let here = |place: &crate::Place| (place.text, place.line) == (file, index + 1);
                let (_, path) = keys.iter().find(|(place, _)| here(place)).unwrap();
                marked.push((path.clone(), mark.to_owned()));
            }
        }
        marked
    }

    fn required(&self) -> impl Iterator<Item = (&'static Rule, Key)> {
        let (parts, not_here) = (self.parts, self.not_here);
        rules().filter_map(|rule| Some((rule, rule.key?))).filter(move |(rule, key)| {
            key.required && parts.contains(&key.part) && !not_here.contains(&rule.id)
        })
    }

    fn rule_of(&self, path: &str, mark: &str) -> (&'static Rule, Key) {
        let is_of = |key: &Key| {
            let camel = |text: &str| text.split('/').map(crate::tree::camel).collect::<Vec<_>>().join("/");
            let wanted = format!("/{}", key.path.replace('.', "/"));
            camel(path).ends_with(&camel(&wanted))
        };
        let found: Vec<_> =
            self.required().filter(|(rule, key)| is_of(key) && rule.requires.join(", ") == mark).collect();
        let [rule] = found[..] else { panic!("{path} # requires: {mark}: {} rules", found.len()) };
        rule
    }

    /// The example is clean; every key that a rule demands is marked, every mark is a rule's; none can be left out,
    /// emptied or weakened unseen.
    pub(super) fn holds(&self) {
        let report = lint_all(self.files, &options()).unwrap();
        assert!(report.findings.is_empty(), "{:#?}", report.findings);
        let marked = self.marked();
        for (rule, key) in self.required() {
            let count = marked.iter().filter(|(path, mark)| self.rule_of(path, mark).0.id == rule.id).count();
            assert_eq!(count, 1, "{}: `{}` # requires: {}", rule.id, key.path, rule.requires.join(", "));
        }
        for (path, mark) in marked {
            let (rule, key) = self.rule_of(&path, &mark);
            let finds = |change: &dyn Fn(&mut Node), what: &str| {
                let mut tree = self.tree();
                change(&mut tree);
                let findings = judged(&tree).findings;
                assert!(ids(&findings).contains(&rule.id), "{path} {what}: {findings:#?}");
            };
            finds(&|tree| remove(tree, &path), "was removed");
            finds(&|tree| put(tree, &path, "~"), "was emptied");
            for weakened in key.weakened {
                finds(&|tree| put(tree, &path, weakened), weakened);
            }
        }
    }

    /// Exactly these rules are broken when one value is put somewhere.
    pub(super) fn breaks(&self, path: &str, yaml: &str, expected: &[&str]) {
        let mut tree = self.tree();
        put(&mut tree, path, yaml);
        let report = judged(&tree);
        assert_eq!(ids(&report.findings), expected, "{path}: {yaml} {:#?}", report.findings);
    }

    /// Exactly these rules are broken when something is left out.
    pub(super) fn misses(&self, path: &str, expected: &[&str]) {
        let mut tree = self.tree();
        match path.split_once('/') {
            Some(_) => remove(&mut tree, path),
            None => {
                let Value::List(documents) = &mut tree.value else { panic!("no documents") };
                documents.remove(path.parse().unwrap());
            }
        }
        let report = judged(&tree);
        assert_eq!(ids(&report.findings), expected, "{path} {:#?}", report.findings);
    }
}

/// Through the text again.
pub(super) fn judged(tree: &Node) -> Report {
    let mut text = String::new();
    for document in tree.items() {
        text.push_str("---\n");
        json(document, &mut text);
        text.push('\n');
    }
    crate::lint(&text, &options()).unwrap_or_else(|error| panic!("{error}: {text}"))
}
