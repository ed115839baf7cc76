use super::*;
use crate::testing::{SCHEMA, folder, load, set};
use crate::{BASE_SCHEMA, Colour};

const ALL: &str = r#"@id("all") permit (principal, action, resource);"#;

fn problems(policies: &str) -> Vec<String> {
    load(policies).unwrap_err().iter().map(ToString::to_string).collect()
}

fn schema_problems(schema: &str) -> Vec<String> {
    let mut folder = folder(ALL);
    folder.schema = vec![Source::new("own.cedarschema", schema)];
    PolicySet::load(&folder).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn every_problem_of_every_file_is_told_at_once() {
    let mut folder = folder(
        "@id(\"one\") permit (principal, action, resource) when { context.scope.contains(\"x\") };\n\
         permit (principal, action, resource);\n\
         @id(\"No Id\") permit (principal, action, resource);\n",
    );
    folder.policies.push(Source::new("broken.cedar", "\n@id(\"x\") permit (principal, action resource);"));
    folder.policies.push(Source::new(
        "later.cedar",
        "@id(\"one\") forbid (principal, action, resource);\n\
         @id(\"two\") forbid (principal == ?principal, action, resource);\n\
         @id(\"six\") forbid (principal, action == Action::\"Rea\", resource);",
    ));
    let found = PolicySet::load(&folder).unwrap_err();
    let places: Vec<(&str, Option<usize>, Option<usize>)> =
        found.iter().map(|it| (it.file(), it.line(), it.column())).collect();
    assert_eq!(
        places,
        [
            ("broken.cedar", Some(2), Some(36)),
            ("files.cedar", Some(1), Some(56)),
            ("files.cedar", Some(2), Some(1)),
            ("files.cedar", Some(3), Some(1)),
            ("later.cedar", Some(1), Some(1)),
            ("later.cedar", Some(2), Some(1)),
            ("later.cedar", Some(3), Some(41)),
        ],
        "{found}"
    );
    assert_eq!(found.len(), 7);
}

#[test]
fn a_problem_shows_its_line_a_caret_and_what_would_help() {
    let found =
        load(r#"@id("one") permit (principal, action, resource) when { context.scope.contains("x") };"#);
    let rendered = found.unwrap_err().render(Colour::Plain);
    for part in ["files.cedar:1:56", "context.scope.contains", "─────", "did you mean `scopes`?"] {
        assert!(rendered.contains(part), "{part} is not in\n{rendered}");
    }
    assert!(!rendered.contains('\u{1b}'));
}

#[test]
fn a_problem_without_a_place_of_its_own_is_at_its_policy() {
    let found = problems(
        r#"@id("x") forbid (principal, action in [Action::"Write", Deep::Down::Action::"turn it"], resource);"#,
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("files.cedar:1:1: the types "), "{found:?}");
}

#[test]
fn optional_attributes_have_to_be_asked_for() {
    let found = problems(
        r#"@id("x") permit (principal, action, resource) when { context.tenant == resource.tenant };"#,
    );
    assert!(found.iter().any(|it| it.contains("optional attribute `tenant`")), "{found:?}");
}

#[test]
fn entities_known_by_id_only_are_not_read() {
    let text = |condition: &str| {
        format!("@id(\"x\") permit (principal, action, resource is File) when {{ {condition} }};")
    };
    for condition in [
        r#"resource has owner && resource.owner.issuer == "corp""#,
        r#"resource has owner && resource.owner in Exequatur::Tenant::"acme""#,
    ] {
        let found = problems(&text(condition));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("files.cedar:1:") && found[0].contains(TOO_DEEP), "{found:?}");
    }
    assert!(load(&text("resource has owner && resource.owner == Exequatur::User::\"corp:a\"")).is_ok());
    assert!(load(&text("context has user && context.user.issuer == principal.issuer")).is_ok());
}

#[test]
fn ids_are_short_and_plain() {
    let with = |id: &str| load(&format!("@id(\"{id}\") permit (principal, action, resource);")).is_ok();
    for good in ["a", "0", "read-with-scope", &"x".repeat(64)] {
        assert!(with(good), "{good}");
    }
    for bad in ["", "A", "a b", "a.b", "ü", &"x".repeat(65)] {
        assert!(!with(bad), "{bad}");
    }
}

#[test]
fn a_set_without_a_policy_is_refused() {
    assert!(problems("")[0].contains("no policy"));
    assert!(problems("// nothing yet")[0].contains("no policy"));
}

#[test]
fn a_policy_that_never_applies_is_a_warning() {
    let set = set(&format!("{ALL} @id(\"never\") permit (principal, action, resource) when {{ false }};"));
    let warnings: Vec<String> = set.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("files.cedar:1:") && warnings[0].contains("impossible"), "{warnings:?}");
}

#[test]
fn actions_are_for_agents_and_in_the_common_context() {
    let found = schema_problems(
        "entity Thing;\n\
         action A appliesTo { principal: [Exequatur::User], resource: Thing, context: Exequatur::Context };\n\
         action B appliesTo { principal: [Exequatur::Agent], resource: Thing };\n\
         action C appliesTo { principal: [Exequatur::Agent, Exequatur::User], resource: Thing, context: {now: datetime} };",
    );
    let starts: Vec<&str> = found.iter().map(|it| it.split(" (").next().unwrap()).collect();
    assert_eq!(
        starts,
        [
            "own.cedarschema:2:1: the action `A` applies to other principals than agents, or agents and users",
            "own.cedarschema:3:1: the action `B` has another context than `Exequatur::Context`",
            "own.cedarschema:4:1: the action `C` has another context than `Exequatur::Context`",
        ]
    );
}

#[test]
fn the_base_schema_cannot_be_extended_from_within() {
    let found = schema_problems("\nnamespace Exequatur { entity Robot; }");
    assert!(found[0].starts_with("own.cedarschema:2:1: the namespace is reserved"), "{found:?}");
    let found = schema_problems("namespace Exequatur::Inner { entity Robot; }");
    assert!(found[0].contains("the namespace is reserved"), "{found:?}");
}

#[test]
fn schema_problems_have_their_place() {
    let found = schema_problems("entity Thing {\n  size: Lung };");
    assert!(found[0].starts_with("own.cedarschema:2:9: ") && found[0].contains("Lung"), "{found:?}");
    let found = schema_problems("entity Thing\naction X;");
    assert!(found[0].starts_with("own.cedarschema:2:1: "), "{found:?}");
    let found = schema_problems(
        "entity T { tenant: String };\n\
         action A appliesTo { principal: Exequatur::Agent, resource: T, context: Exequatur::Context };",
    );
    assert!(found[0].contains("has to be an `Exequatur::Tenant`"), "{found:?}");
}

#[test]
fn a_namespace_belongs_into_one_file() {
    let mut folder = folder(ALL);
    folder.schema.push(Source::new("more.cedarschema", "namespace Deep::Down { entity E; }"));
    let found = PolicySet::load(&folder).unwrap_err().to_string();
    assert!(found.starts_with("more.cedarschema:1:1: the namespace is declared twice"), "{found}");
    // The namespace without a name may be in many.
    folder.schema.pop();
    folder.schema.push(Source::new("more.cedarschema", "entity More;"));
    assert!(PolicySet::load(&folder).is_ok());
}

#[test]
fn the_hash_is_of_names_and_texts_and_of_nothing_else() {
    let base = folder(ALL);
    let hash = |folder: &PolicyFolder| PolicySet::load(folder).unwrap().content_hash().to_owned();
    let first = hash(&base);
    assert_eq!(first.len(), 64);

    let mut tested = base.clone();
    tested.tests.push(Source::new("tests/a.yaml", "cases: []"));
    assert_eq!(hash(&tested), first);

    let mut renamed = base.clone();
    renamed.policies[0].name = "other.cedar".to_owned();
    let mut changed = base.clone();
    changed.policies[0].text = format!("{ALL} ").into();
    let mut split = base.clone();
    split.policies.push(Source::new("more.cedar", "// nothing"));
    let mut schema = base.clone();
    schema.schema[0].text = format!("{SCHEMA} ").into();
    let hashes: BTreeSet<String> =
        [&base, &renamed, &changed, &split, &schema].into_iter().map(hash).collect();
    assert_eq!(hashes.len(), 5);

    let load = |folder| PolicySet::load(folder).unwrap();
    assert_eq!(load(&base).schema_hash(), load(&changed).schema_hash());
    assert_ne!(load(&base).schema_hash(), load(&schema).schema_hash());
}

#[test]
fn the_merged_schema_is_a_schema() {
    let text = set(ALL).schema_text().to_owned();
    assert!(text.contains(BASE_SCHEMA) && text.contains(SCHEMA));
    assert!(cedar_policy::Schema::from_cedarschema_str(&text).is_ok());
}
