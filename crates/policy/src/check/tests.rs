use crate::AttributeKind;
use crate::testing::set;

fn misfits(action: &str, kind: &str, attributes: &[&str]) -> Vec<String> {
    let set = set(r#"@id("all") permit (principal, action, resource);"#);
    set.knows(action, kind, attributes).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn a_route_that_fits_is_known() {
    assert_eq!(misfits("Read", "File", &["tenant", "size"]), Vec::<String>::new());
    assert_eq!(misfits("Read", "File", &["size", "labels", "tenant", "owner"]), Vec::<String>::new());
    assert_eq!(misfits("Deep::Down::Action::\"turn it\"", "Shelf", &["tenant"]), Vec::<String>::new());
}

#[test]
fn each_misfit_says_what_is_meant() {
    let cases: &[(&str, &str, &[&str], &[&str])] = &[
        ("Reed", "File", &[], &["the schema has no action `Reed`; did you mean `Read`?"]),
        ("Burn", "File", &[], &["the schema has no action `Burn`"]),
        ("Anything", "File", &[], &["the schema has no action `Anything`"]),
        ("Read", "Fil", &[], &["the action `Read` does not apply to `Fil`; did you mean `File`?"]),
        ("Read", "File", &["size"], &["`File` requires the attribute `tenant`"]),
        (
            "Read",
            "File",
            &["lables", "origin"],
            &[
                "`File` has no attribute `lables`; did you mean `labels`?",
                "the attribute `origin` of `File` is of a type that a route cannot give",
                "`File` requires the attribute `size`",
                "`File` requires the attribute `tenant`",
            ],
        ),
    ];
    for (action, kind, attributes, expected) in cases {
        assert_eq!(misfits(action, kind, attributes), *expected, "{action} {kind} {attributes:?}");
    }
}

#[test]
fn the_schema_says_of_which_type_an_attribute_is() {
    let set = set(r#"@id("all") permit (principal, action, resource);"#);
    let kind = |name| set.attribute_kind("Read", "File", name).cloned();
    assert_eq!(kind("size"), Some(AttributeKind::Long));
    assert_eq!(kind("open"), Some(AttributeKind::Bool));
    assert_eq!(kind("labels"), Some(AttributeKind::Set(Box::new(AttributeKind::String))));
    assert!(matches!(kind("owner"), Some(AttributeKind::Entity(user)) if user.name() == "Exequatur::User"));
    assert_eq!(kind("origin"), None);
    assert_eq!(kind("nothing"), None);
}
