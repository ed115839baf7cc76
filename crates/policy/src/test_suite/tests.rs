use super::*;
use crate::testing::set;

const POLICIES: &str = r#"
    @id("read-small") permit (principal, action == Action::"Read", resource is File) when { resource.size < 100 };
    @id("not-red") forbid (principal, action, resource is File)
        when { resource has colour && resource.colour == Colour::"red" };
    @id("overflow") forbid (principal, action == Action::"Write", resource is File)
        when { resource.size * 2 < 0 };
    @id("shelves") permit (principal, action, resource is Shelf) when { context has user };
"#;

const DEFAULTS: &str = "
defaults:
  agent: corp:bot
  user: corp:alice
  tenant: acme
  action: Read
  resource: { type: File, id: a, tenant: acme, attributes: { size: 10, owner: corp:alice } }
  context:
    now: 2026-03-04T12:00:00Z
    scopes: []
    sender_constraint: dpop
    method: GET
    route: read-file
    token: { age: 1, remaining: 2 }
    delegation: { depth: 0 }
";

fn source(cases: &str) -> Source {
    Source::new("tests/it.yaml", format!("{DEFAULTS}cases:\n{cases}"))
}

fn results(cases: &str) -> Vec<CaseResult> {
    run(&set(POLICIES), &source(cases)).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Problems without the file and the lines of the defaults: `<line of the cases>:<column>: …`.
fn problems(cases: &str) -> Vec<String> {
    let before = DEFAULTS.lines().count() + 1;
    let found = run(&set(POLICIES), &source(cases)).unwrap_err();
    let shown = found.iter().map(|it| {
        let help = it.help().map_or(String::new(), |help| format!(" ({help})"));
        format!("{}:{}: {}{help}", it.line().unwrap() - before, it.column().unwrap(), it.message())
    });
    shown.collect()
}

#[test]
fn a_case_passes_only_with_the_right_answer_for_the_right_reason() {
    let results = results(
        "  - { name: right, expect: permit, policies: [read-small] }
  - { name: wrong answer, expect: forbid, policies: [read-small] }
  - { name: wrong policy, expect: permit, policies: [shelves] }
  - { name: one too many, expect: permit, policies: [read-small, shelves] }
  - { name: nothing holds, action: Write, expect: no_permit }
  - { name: not nothing, expect: no_permit }
  - { name: a fault, action: Write, expect: no_permit, resource: { attributes: { size: 9223372036854775807 } } }
",
    );
    let passed: Vec<&str> = results.iter().filter(|it| it.passed()).map(|it| it.name.as_str()).collect();
    assert_eq!(passed, ["right", "nothing holds"]);
    let fault = results.last().unwrap();
    assert_eq!(fault.got, Err(PolicyFault::Evaluation { policies: vec!["overflow".into()] }));
    assert_eq!(fault.line, DEFAULTS.lines().count() + 8);
}

#[test]
fn defaults_are_merged_and_null_takes_one_away() {
    let results = results(
        r#"  - { name: one attribute, resource: { attributes: { colour: red } }, expect: forbid, policies: [not-red] }
  - { name: other, resource: { attributes: { colour: green } }, expect: permit, policies: [read-small] }
  - { name: type, resource: { type: Shelf, attributes: null }, expect: permit, policies: [shelves] }
  - { name: no user, user: ~, resource: { type: Shelf, attributes: ~ }, expect: no_permit }
  - { name: user in full, user: { id: "x:y", issuer: z, tenant: null }, expect: permit, policies: [read-small] }
"#,
    );
    let failed: Vec<&CaseResult> = results.iter().filter(|it| !it.passed()).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn policies_that_determine_nothing_are_told() {
    let results = results("  - { name: it, expect: permit, policies: [shelves] }\n");
    let untested = never_determining(&set(POLICIES), &results);
    assert_eq!(untested, ["not-red", "overflow", "shelves"].map(Arc::from));
}

#[test]
fn every_mistake_is_told_at_once() {
    let found = problems(
        "  - name: one
    expekt: permit
    expect: allow
  - name: one
    expect: permit
    policies: [read-smal]
  - expect: permit
    polices: [read-small]
  - name: values
    user: alice
    resource: { attributes: { size: big, colour: 7, labels: x } }
    context: { now: noon, sender_constraint: DPoP, token: { age: -1 }, sccopes: [], scopes: [1] }
    expect: no_permit
    policies: [shelves]
  - name: 7
    action: Reed
    expect: no_permit
  - name: attributes
    resource: { attributes: { size: null, shade: x } }
    expect: no_permit
",
    );
    let expected = [
        "2:5: unknown key `expekt` (did you mean `expect`?)",
        "3:13: unknown verdict (one of `permit`, `forbid`, `no_permit`)",
        "4:11: another case has this name",
        "6:16: no policy has this id (did you mean `read-small`?)",
        "7:5: the case has no `name`",
        "7:13: `policies` is missing (name every policy that the answer is due to)",
        "8:5: unknown key `polices` (did you mean `policies`?)",
        "10:11: not an id (an id is `<issuer name>:<claim>`, for example `corp:alice`)",
        "11:37: has to be an integer",
        "11:50: has to be a string (put it in quotes)",
        "11:61: has to be a list",
        "12:21: not an instant (as in `2026-03-04T10:00:00Z`)",
        "12:46: unknown sender constraint (one of `bearer`, `dpop`, `mtls`, `dpop_mtls`)",
        "12:66: has to be 0 or more",
        "12:72: unknown key `sccopes` (did you mean `scopes`?)",
        "12:94: has to be a string (put it in quotes)",
        "13:13: no policy determines `no_permit`; leave `policies` out",
        "15:11: has to be a string (put it in quotes)",
        "16:13: the schema has no action `Reed`; did you mean `Read`?",
        "19:15: `File` has no attribute `shade`",
        "19:15: `File` requires the attribute `size`",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_signals_said_is_one_of_a_few_words() {
    let of = |signals: &str| {
        problems(&format!("- {{ name: n, expect: no_permit, context: {{ signals: {signals} }} }}")).join("\n")
    };
    for (signals, expected) in [
        ("{ user: { risk: High } }", "unknown risk"),
        ("{ user: { device: bad } }", "unknown device"),
        ("{ user: { mood: bad } }", "mood"),
        ("{ group: { risk: low } }", "group"),
        ("{ user: { assurance: { a: [b] } } }", ""),
    ] {
        let told = of(signals);
        assert!(!told.is_empty() && told.contains(expected), "{signals}: {told}");
    }
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_refused() {
    let set = set(POLICIES);
    let problem = |text: &str| run(&set, &Source::new("tests/it.yaml", text)).unwrap_err().to_string();
    let cases = [
        ("", "the file has to hold one YAML document"),
        ("a: b\n---\na: b\n", "the file has to hold one YAML document"),
        ("[]", "has to be a mapping"),
        ("cases: {}", "has to be a list"),
        ("cases: []", "the file has no case"),
        ("defaults: {}\n", "the file has no `cases`"),
        ("cases: []\ncases: []\n", "tests/it.yaml:2:"),
        ("cases: [", "tests/it.yaml:"),
        ("cases:\n- name: *nothing\n", "tests/it.yaml:2:"),
    ];
    for (text, expected) in cases {
        let found = problem(text);
        assert!(found.contains(expected), "{text:?} gives {found}");
    }
}

/// A file of a few lines does not become a tree without end.
#[test]
fn a_small_file_stays_a_small_tree() {
    let found = problems(&format!("  - {{ name: &a {}, x: [{}] }}\n", "x".repeat(4096), "*a, ".repeat(300)));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with("aliases make more than 1048576 values and bytes of this text"), "{found:?}");
    let found = problems(&format!("  {}x\n", "- ".repeat(400_000)));
    assert!(found[0].ends_with("nested deeper than 64"), "{found:?}");
}
