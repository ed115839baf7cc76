use crate::config::show;
use crate::config::tests::{SMALL, mistakes, read};

#[test]
fn what_is_said_of_tenants_is_read_and_shown() {
    let text = format!(
        "{SMALL}tenants:\n  acme: {{ classification: restricted, region: eu }}\n  \"globex:2\": {{ region: \"us \\\"east\\\"\" }}\n  plain: {{}}\n"
    );
    let config = read(&text);
    let acme = config.tenants.traits("acme").unwrap();
    assert_eq!((acme.classification.as_deref(), acme.region.as_deref()), (Some("restricted"), Some("eu")));
    assert_eq!(config.tenants.traits("globex:2").unwrap().region.as_deref(), Some("us \"east\""));
    assert_eq!(config.tenants.traits("plain").unwrap().region, None);
    assert_eq!(config.tenants.traits("Acme"), None);
    assert_eq!(read(&show(&config)).tenants, config.tenants);
    assert!(!show(&read(SMALL)).contains("\ntenants:"));
}

#[test]
fn what_cannot_be_said_of_tenants() {
    let long = "a".repeat(65);
    let name = "n".repeat(257);
    for (said, expected) in [
        ("[]".to_owned(), "5: a map expected, a list found".to_owned()),
        ("{ acme: eu }".to_owned(), "5: a map expected, text found".to_owned()),
        ("{ acme: { region: 7 } }".to_owned(), "5: text expected, a number found".to_owned()),
        ("{ acme: { region: \"\" } }".to_owned(), "5: must not be empty".to_owned()),
        ("{ acme: { colour: red } }".to_owned(), "5: key `colour` is not known here".to_owned()),
        (
            format!("{{ acme: {{ classification: {long} }} }}"),
            "5: 1 to 64 characters without control characters expected".to_owned(),
        ),
        (
            "{ acme: { region: \"a\\u0007\" } }".to_owned(),
            "5: 1 to 64 characters without control characters expected".to_owned(),
        ),
        (
            format!("{{ {name}: {{}} }}"),
            "5: an id is 1 to 256 characters without control characters".to_owned(),
        ),
        ("{ acme: {}, acme: {} }".to_owned(), "5: this key stands here a second time".to_owned()),
    ] {
        assert_eq!(mistakes(&format!("{SMALL}tenants: {said}\n")), [expected], "{said}");
    }
}
