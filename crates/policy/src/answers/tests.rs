use std::collections::HashMap;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::testing::{noon, question, set, user};
use crate::{
    AuthorizationDetail, Granted, Identity, PolicySet, Principal, Principals, SenderConstraint, Subject,
    TenantFact,
};

const POLICIES: &str = r#"
@id("read") permit (principal, action == Action::"Read", resource is File)
    when { principal has tenant && principal.tenant == resource.tenant };
@id("dpop") forbid (principal, action, resource is File) when { context.sender_constraint == "bearer" };
@id("owner") permit (principal, action == Action::"Write", resource is File)
    when { context has user && resource has owner && resource.owner == context.user };
@id("put") forbid (principal, action == Action::"Write", resource)
    unless { context.method == "PUT" && context.scopes.contains("files:write") };
@id("depth") forbid (principal, action, resource is File)
    when { context.delegation.depth > 1 || context has federation && context.federation == "corp:x" };
@id("route") forbid (principal, action, resource is File) when { context.route like "*-never" };
@id("labels") forbid (principal, action, resource is File)
    when { resource has labels && resource.labels.contains("secret") || resource.size > 100 };
@id("b") forbid (principal, action, resource == File::"b") when { principal.issuer == "other" };
"#;

fn identity() -> Identity<'static> {
    match question().who {
        Who::Named(identity) => identity,
        Who::Ready(_) => panic!("the question names who asks"),
    }
}

fn print(identity: &Identity<'_>, change: impl FnOnce(&mut Question<'_>)) -> Option<Print> {
    let set = set(POLICIES);
    let subject = set.subject(identity).unwrap();
    let mut question = question();
    change(&mut question);
    question.who = Who::Ready(&subject);
    Print::of(&question, &Needs::default())
}

/// Whatever an answer can depend on is in the print, each thing in its own place.
#[test]
fn another_question_has_another_print() {
    let usual = identity();
    let agent = |change: fn(&mut Principal<'static>)| {
        let mut actor = usual.actor;
        change(&mut actor);
        Identity { actor, ..usual }
    };
    let mut prints = HashMap::new();
    let mut add = |name: &'static str, print: Option<Print>| {
        let before = prints.insert(print.expect("nothing here reads the time"), name);
        assert_eq!(before, None, "{name}");
    };
    add("usual", print(&usual, |_| {}));
    add("agent", print(&agent(|agent| agent.id = "corp:other"), |_| {}));
    add("agent's issuer", print(&agent(|agent| agent.issuer = "other"), |_| {}));
    add("agent's tenant", print(&agent(|agent| agent.tenant = Some("globex")), |_| {}));
    add("agent without tenant", print(&agent(|agent| agent.tenant = None), |_| {}));
    add("no user", print(&Identity { user: None, ..usual }, |_| {}));
    let bob = usual.user.map(|user| Principal { id: "corp:bob", ..user });
    add("user", print(&Identity { user: bob, ..usual }, |_| {}));
    add("tenant", print(&Identity { tenant: Some(TenantFact::named("globex")), ..usual }, |_| {}));
    let acme = TenantFact::named("acme");
    let restricted = TenantFact { classification: Some("restricted"), ..acme };
    add("tenant's classification", print(&Identity { tenant: Some(restricted), ..usual }, |_| {}));
    let at_home = TenantFact { region: Some("restricted"), ..acme };
    add("tenant's region", print(&Identity { tenant: Some(at_home), ..usual }, |_| {}));
    let client = Principal { id: "corp:x", ..usual.client };
    add("client", print(&Identity { client, ..usual }, |_| {}));
    add("prior actors", print(&Identity { prior: &["corp:x"], ..usual }, |_| {}));
    add("other prior actors", print(&Identity { prior: &["corp:x", "corp:y"], ..usual }, |_| {}));
    add("no tenant", print(&Identity { tenant: None, ..usual }, |_| {}));
    add("action", print(&usual, |asked| asked.action = "Write"));
    add("kind", print(&usual, |asked| asked.resource.kind = "Shelf"));
    add("id", print(&usual, |asked| asked.resource.id = "b"));
    add(
        "resource's tenant",
        print(&usual, |asked| asked.resource.tenant = Some(TenantFact::named("globex"))),
    );
    add("resource's tenant's region", print(&usual, |asked| asked.resource.tenant = Some(at_home)));
    add("no resource's tenant", print(&usual, |asked| asked.resource.tenant = None));
    add("no attributes", print(&usual, |asked| asked.resource.attributes.clear()));
    add("an attribute's name", print(&usual, |asked| asked.resource.attributes[0].0 = "open".to_owned()));
    let values = [
        ("string", AttributeValue::String("10".to_owned())),
        ("long", AttributeValue::Long(11)),
        ("true", AttributeValue::Bool(true)),
        ("false", AttributeValue::Bool(false)),
        ("entity", user("10")),
        ("entity's id", user("11")),
        ("entity's kind", AttributeValue::Entity { kind: "Shelf".to_owned(), id: "10".to_owned() }),
        ("empty set", AttributeValue::Set(Vec::new())),
        ("set", AttributeValue::Set(vec![AttributeValue::Long(1), AttributeValue::Long(2)])),
        ("set in set", AttributeValue::Set(vec![AttributeValue::Set(vec![AttributeValue::Long(1)])])),
    ];
    for (name, value) in values {
        add(name, print(&usual, |asked| asked.resource.attributes[0].1 = value));
    }
    add("no scopes", print(&usual, |asked| asked.context.scopes.clear()));
    add("scope", print(&usual, |asked| asked.context.scopes = vec!["files:write"]));
    add("two scopes", print(&usual, |asked| asked.context.scopes = vec!["files:", "read"]));
    add("constraint", print(&usual, |asked| asked.context.sender_constraint = SenderConstraint::Bearer));
    add("method", print(&usual, |asked| asked.context.method = "PUT"));
    add("route", print(&usual, |asked| asked.context.route = "other"));
    add("depth", print(&usual, |asked| asked.context.delegation_depth = 1));
    add("principals", print(&usual, |asked| asked.principals = Principals::Both));
    add("federation", print(&usual, |asked| asked.context.federation = Some("x")));
}

/// S02: each member of each detail.
#[test]
fn another_detail_has_another_print() {
    let usual = identity();
    let mut prints = HashMap::new();
    let mut add = |name: &'static str, print: Option<Print>| {
        let before = prints.insert(print.expect("nothing here reads the time"), name);
        assert_eq!(before, None, "{name}");
    };
    add("usual", print(&usual, |_| {}));
    let detail = AuthorizationDetail { kind: "files", granted: Granted::Whole, identifier: None };
    let of = |detail: AuthorizationDetail<'static>| {
        print(&usual, |asked| asked.context.authorization_details = vec![detail])
    };
    add("detail", of(detail.clone()));
    add("detail's type", of(AuthorizationDetail { kind: "other", ..detail.clone() }));
    let x = || vec!["x"];
    add("detail's actions", of(AuthorizationDetail { granted: Granted::Actions(x()), ..detail.clone() }));
    add("detail's datatypes", of(AuthorizationDetail { granted: Granted::Datatypes(x()), ..detail.clone() }));
    add(
        "detail's privileges",
        of(AuthorizationDetail { granted: Granted::Privileges(x()), ..detail.clone() }),
    );
    add("no actions", of(AuthorizationDetail { granted: Granted::Actions(Vec::new()), ..detail.clone() }));
    add("detail's identifier", of(AuthorizationDetail { identifier: Some("x"), ..detail }));
}

/// V08: what signals have said is in the print where it is read, and only there; where it is not known, nothing is remembered.
#[test]
fn what_signals_said_is_in_the_print_where_it_is_read() {
    let condition = r#"permit (principal, action, resource) when { context.signals.user has risk };"#;
    let mut reads = Needs::default();
    reads.add(&cedar_policy::Policy::parse(None, condition).unwrap());
    let set = set(POLICIES);
    let subject = set.subject(&identity()).unwrap();
    let print = |needs: &Needs, change: fn(&mut SignalFacts<'static>)| {
        let mut signals = SignalFacts::default();
        change(&mut signals);
        let mut question = question();
        question.context.signals = Some(signals);
        question.who = Who::Ready(&subject);
        Print::of(&question, needs).unwrap()
    };
    let changes: [fn(&mut SignalFacts<'static>); 9] = [
        |_| {},
        |said| said.user.risk = Some("high"),
        |said| said.user.risk = Some("low"),
        |said| said.agent.risk = Some("high"),
        |said| said.session.risk = Some("high"),
        |said| said.user.device = Some("compliant"),
        |said| said.user.assurance = vec![("a", "b")],
        |said| said.user.assurance = vec![("a", "c")],
        |said| said.user.assurance = vec![("a", "b"), ("c", "d")],
    ];
    let prints: std::collections::HashSet<_> = changes.iter().map(|change| print(&reads, *change)).collect();
    assert_eq!(prints.len(), changes.len());
    assert!(
        changes.iter().all(|change| print(&Needs::default(), *change) == print(&Needs::default(), |_| {}))
    );
    let unknown = Question { who: Who::Ready(&subject), ..question() };
    let unknown = Question { context: ContextFacts { signals: None, ..unknown.context.clone() }, ..unknown };
    assert_eq!(Print::of(&unknown, &reads), None);
    assert!(Print::of(&unknown, &Needs::default()).is_some());
}

/// What the set says while an answer that it would never give lies under the question's print, or under the one that
/// the question would have if nothing about it changed by itself.
fn answer_beside_a_foreign_one(policies: &str) -> Answer {
    let set = set(policies);
    let subject = set.subject(&identity()).unwrap();
    let question = Question { who: Who::Ready(&subject), ..question() };
    let print = Print::of(&question, &Needs::default()).unwrap();
    set.answers.put(print, &Answer::Forbid { policies: vec!["foreign".into()] });
    set.decide(&question).unwrap()
}

/// A remembered answer is given as it is; but none where policies read the time.
#[test]
fn what_is_remembered_is_answered_unless_time_is_read() {
    let timeless = answer_beside_a_foreign_one(r#"@id("all") permit (principal, action, resource);"#);
    assert_eq!(timeless, Answer::Forbid { policies: vec!["foreign".into()] });
    for condition in ["context.token.age < 60", "context.now > datetime(\"2026-03-04\")"] {
        let timed = answer_beside_a_foreign_one(&format!(
            "@id(\"all\") permit (principal, action, resource) when {{ {condition} }};"
        ));
        assert_eq!(timed.policies(), ["all".into()], "{condition}");
    }
}

/// What was worked out is remembered, under its own print.
#[test]
fn an_answer_is_remembered() {
    let set = set(r#"@id("all") permit (principal, action, resource);"#);
    let subject = set.subject(&identity()).unwrap();
    let question = Question { who: Who::Ready(&subject), ..question() };
    let print = Print::of(&question, &Needs::default()).unwrap();
    assert_eq!(set.answers.get(&print), None);
    let answer = set.decide(&question).unwrap();
    assert_eq!(set.answers.get(&print), Some(answer));
}

/// What is remembered is bounded in bytes, not in answers alone.
#[test]
fn an_answer_of_many_policies_is_not_kept() {
    for (count, kept) in [(MOST_POLICIES, true), (MOST_POLICIES + 1, false)] {
        let policies: String = (0..count)
            .map(|number| format!("@id(\"p{number}\") permit (principal, action, resource);\n"))
            .collect();
        let set = set(&policies);
        let subject = set.subject(&identity()).unwrap();
        let question = Question { who: Who::Ready(&subject), ..question() };
        let answer = set.decide(&question).unwrap();
        assert_eq!(answer.policies().len(), count);
        let print = Print::of(&question, &Needs::default()).unwrap();
        assert_eq!(set.answers.get(&print).is_some(), kept, "{count}");
        assert_eq!(set.decide(&question).unwrap(), answer);
    }
}

/// What changes by itself is never answered from memory, nor is anybody who may not ask again.
#[test]
fn an_answer_that_time_changes_is_not_kept() {
    for condition in
        ["context.now > datetime(\"2026-03-04\")", "context.token.age < 60", "context == context"]
    {
        let set = set(&format!("@id(\"p\") forbid (principal, action, resource) when {{ {condition} }};"));
        let needs = &set.slices.action("Read").unwrap().on("File").unwrap().needs;
        let subject = set.subject(&identity()).unwrap();
        assert_eq!(
            Print::of(&Question { who: Who::Ready(&subject), ..question() }, needs),
            None,
            "{condition}"
        );
    }
    assert_eq!(Print::of(&question(), &Needs::default()), None);
}

/// The token's age goes on while its answers are kept, and no answer turns on it.
#[test]
fn the_same_question_later_has_the_same_print() {
    let later = print(&identity(), |asked| {
        asked.context.now = noon().checked_add(SignedDuration::from_secs(9)).unwrap();
        asked.context.token_age_s += 9;
        asked.context.token_remaining_s -= 9;
    });
    assert_eq!(later, print(&identity(), |_| {}));
}

#[derive(Debug, Clone)]
struct Asked {
    agent: usize,
    user: bool,
    write: bool,
    id: &'static str,
    size: i64,
    owner: &'static str,
    labels: &'static [&'static str],
    scopes: Vec<&'static str>,
    constraint: SenderConstraint,
    method: &'static str,
    route: &'static str,
    depth: i64,
    federation: Option<&'static str>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let who = (0..3_usize, any::<bool>(), any::<bool>());
    let what = (
        proptest::sample::select(vec!["a", "b"]),
        proptest::sample::select(vec![10_i64, 200]),
        proptest::sample::select(vec!["corp:alice", "corp:bob"]),
        proptest::sample::select(vec![&[][..], &["secret"][..]]),
    );
    let how = (
        proptest::sample::subsequence(vec!["files:read", "files:write"], 0..=2),
        proptest::sample::select(vec![SenderConstraint::Dpop, SenderConstraint::Bearer]),
        proptest::sample::select(vec!["GET", "PUT"]),
        proptest::sample::select(vec!["files", "files-never"]),
        0..3_i64,
        proptest::option::of(proptest::sample::select(vec!["corp:x", "corp:y"])),
    );
    (who, what, how).prop_map(
        |(
            (agent, user, write),
            (id, size, owner, labels),
            (scopes, constraint, method, route, depth, federation),
        )| Asked {
            agent,
            user,
            write,
            id,
            size,
            owner,
            labels,
            scopes,
            constraint,
            method,
            route,
            depth,
            federation,
        },
    )
}

fn subjects(set: &PolicySet) -> Vec<[Subject; 2]> {
    let agents =
        [("corp:bot", "corp", Some("acme")), ("other:bot", "other", Some("acme")), ("corp:no", "corp", None)];
    let ready = |(id, issuer, tenant), user| {
        let actor = Principal { id, issuer, tenant };
        let tenant = tenant.map(TenantFact::named);
        let identity = Identity { actor, client: actor, user, tenant, prior: &[] };
        set.subject(&identity).unwrap()
    };
    agents.map(|agent| [ready(agent, None), ready(agent, identity().user)]).into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Asked of one set again and again, in any order, each question has the answer that a new set gives to it.
    #[test]
    fn a_remembered_answer_is_the_one_that_would_be_worked_out(
        row in proptest::collection::vec(asked(), 1..12),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 1..24),
    ) {
        let remembering = set(POLICIES);
        let subjects = subjects(&remembering);
        for index in order {
            let asked = index.get(&row);
            let mut question = question();
            question.who = Who::Ready(&subjects[asked.agent][usize::from(asked.user)]);
            question.action = if asked.write { "Write" } else { "Read" };
            question.resource.id = asked.id;
            let labels = asked.labels.iter().map(|label| AttributeValue::String((*label).to_owned())).collect();
            question.resource.attributes = vec![
                ("size".to_owned(), AttributeValue::Long(asked.size)),
                ("owner".to_owned(), user(asked.owner)),
                ("labels".to_owned(), AttributeValue::Set(labels)),
            ];
            question.context.scopes.clone_from(&asked.scopes);
            question.context.sender_constraint = asked.constraint;
            question.context.method = asked.method;
            question.context.route = asked.route;
            question.context.delegation_depth = asked.depth;
            question.context.federation = asked.federation;
            let action = remembering.slices.action(question.action).unwrap();
            let slice = action.on("File").unwrap();
            let anew = remembering.evaluate(&question, action, slice);
            prop_assert_eq!(remembering.decide(&question), anew, "{:?}", asked);
        }
    }
}

/// Who asked what is nobody's to read in a log.
#[test]
fn what_is_remembered_is_not_shown() {
    assert_eq!(format!("{:?}", Answers::new()), "Answers { .. }");
}
