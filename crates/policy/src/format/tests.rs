use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn formatted(text: &str) -> String {
    format(&Source::new("p.cedar", text)).unwrap_or_else(|problems| panic!("{problems}"))
}

const UNTIDY: &str = r#"// The whole file.
@id("a") // of a
permit(principal,action,resource) // behind the scope
when{ // inside
context.scopes.contains("a // no comment \" // neither") && // and
resource.size<7 };


/* */
"#;

#[test]
fn comments_and_annotations_stay() {
    let untidy = UNTIDY.replace("/* */\n", "// The end.");
    let text = formatted(&untidy);
    let kept = [
        "// The whole file.",
        "@id(\"a\")",
        "// of a",
        "// behind the scope",
        "// inside",
        "// and",
        "// The end.",
    ];
    for kept in kept {
        assert_eq!(text.matches(kept).count(), 1, "{kept} in\n{text}");
    }
    assert!(text.contains(r#""a // no comment \" // neither""#), "{text}");
    assert_ne!(text, untidy);
    assert_eq!(formatted(&text), text);
}

#[test]
fn comments_are_told_from_strings() {
    let text = "a // one\n\"//no\" \"\\\"//no\" // two // still two\n\"open\n// no\" / / // three\r\n//";
    assert_eq!(comments(text), ["//", "// one", "// three", "// two // still two"]);
}

#[test]
fn a_file_that_does_not_parse_is_told_with_its_place() {
    let problems = format(&Source::new("p.cedar", "permit(principal, action, resource)\nwhen { 1 + };\n"))
        .expect_err("a syntax error");
    let problem = problems.iter().next().unwrap();
    assert_eq!((problem.file(), problem.line()), ("p.cedar", Some(2)));
    // The formatter does not check that a template stays what it was.
    let template = "permit(principal == ?principal, action, resource);";
    assert!(format(&Source::new("t.cedar", template)).is_err());
    assert!(format(&Source::new("b.cedar", UNTIDY)).is_err(), "Cedar has no block comments");
}

#[test]
fn line_ends_become_one_kind_and_the_head_of_a_file_stays_apart() {
    assert_eq!(
        formatted("permit(principal,action,resource);\r\n"),
        formatted("permit(principal,action,resource);")
    );
    assert_eq!(formatted("\n \n"), "");
    assert_eq!(formatted("  // nothing yet"), "// nothing yet\n");
    let rule = "permit (principal, action, resource);";
    let head = format!("\n // The file.\n\n\n//two\n\n// Of the rule.\n{rule}");
    assert_eq!(formatted(&head), format!("// The file.\n\n//two\n\n// Of the rule.\n{rule}\n"));
}

#[test]
fn a_string_that_spans_lines_keeps_them_or_the_file_stays() {
    let text = "@id(\"a\")\npermit(principal,action,resource) when { context.x == \"one\n\n\n two\" };\n";
    if let Ok(after) = format(&Source::new("p.cedar", text)) {
        assert!(after.contains("\"one\n\n\n two\""), "{after}");
    }
}

#[test]
fn the_example_policies_are_laid_out() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    let folder = crate::PolicyFolder::read(&folder, crate::Limits::default()).unwrap();
    for source in &folder.policies {
        let text = format(source).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(*text == *source.text, "{} is not laid out: exequatur policy fmt", source.name);
    }
}

/// Policies from pieces, with comments and white space between any two tokens.
fn policy_text() -> impl Strategy<Value = String> {
    let gap = prop_oneof![
        4 => Just(" ".to_owned()), 2 => Just("\n".to_owned()), 1 => Just("\n\n\n".to_owned()),
        1 => "[a-z/\" ]{0,9}".prop_map(|words| format!(" // {words}\n")),
    ];
    let condition = prop_oneof![
        Just("context.scopes.contains(\"a//b\")"),
        Just("resource has owner && resource.owner == principal"),
        Just("(1 + 2) * 3 == 9 || !(true && false)"),
        Just("if true then principal in resource else false"),
        Just("[1, {\"a\": [\"\\\"//\"]}].contains(7)"),
        Just("resource is File in Exequatur::Tenant::\"x\""),
    ];
    let scope = prop_oneof![
        Just("principal , action , resource"),
        Just("principal , action == Action::\"a\" , resource is File"),
        Just("principal in T::\"x\" , action in [ Action::\"a\" , Action::\"b\" ] , resource"),
    ];
    let clause = (any::<bool>(), condition)
        .prop_map(|(when, text)| format!("{} {{ {text} }}", if when { "when" } else { "unless" }));
    let policy = (any::<bool>(), scope, prop::collection::vec(clause, 0..3), "[a-z]{1,4}").prop_map(
        |(permit, scope, clauses, id)| {
            let effect = if permit { "permit" } else { "forbid" };
            format!("@id(\"{id}\") {effect} ( {scope} ) {} ;", clauses.join(" "))
        },
    );
    let policies = prop::collection::vec(policy, 1..4).prop_map(|policies| policies.join(" "));
    (policies, prop::collection::vec(gap, 40)).prop_map(|(text, gaps)| {
        let mut gaps = gaps.iter().cycle();
        let mut in_string = false;
        let mut out = String::new();
        let mut escaped = false;
        for c in text.chars() {
            match c {
                ' ' if !in_string => {
                    out.push_str(gaps.next().map_or(" ", String::as_str));
                    continue;
                }
                '"' if !escaped => in_string = !in_string,
                _ => {}
            }
            escaped = c == '\\' && !escaped;
            out.push(c);
        }
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The same policies before and after, the same comments, and a second pass changes nothing.
    #[test]
    fn the_meaning_never_changes(text in policy_text()) {
        let source = Source::new("p.cedar", text.as_str());
        let mut problems = Vec::new();
        let before = file(&source, &mut problems);
        prop_assume!(problems.is_empty());
        let formatted = format(&source);
        prop_assert!(formatted.is_ok(), "{}", formatted.unwrap_err());
        if let Ok(text) = formatted {
            let again = Source::new("p.cedar", text.as_str());
            let after = file(&again, &mut problems);
            prop_assert!(problems.is_empty());
            let json = |policies: &[cedar_policy::Policy]| -> Vec<_> {
                policies.iter().map(|policy| policy.to_json().unwrap()).collect()
            };
            prop_assert_eq!(json(&before), json(&after));
            prop_assert_eq!(comments(&source.text), comments(&text));
            prop_assert_eq!(format(&again).unwrap(), text);
        }
    }
}
