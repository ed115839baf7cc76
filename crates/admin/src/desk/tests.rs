use std::num::{NonZeroU16, NonZeroUsize};
use std::path::Path;

use exequatur_audit::{Checkpoints, Mode, Sealing};
use exequatur_decide::{LimitRules, Revocable};
use exequatur_store::{
    Asked, EmbeddedOverrides, EmbeddedRevocations, Finding, Lift, Limit, OverrideError, OverridePlace,
    Position, Rate, RevocationKind, RevocationLimits, RevocationStore as _, Whose,
};

use super::*;
use crate::caller::{Caller, Reached, Within};
use crate::limits::{LimitChange, LimitOrder};
use crate::operation::Operation;

fn me() -> Caller {
    Caller::at_the_socket(7).unwrap()
}

fn within<O: Reached>(order: O) -> Within<O> {
    me().order(order).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn desk(recorder: Option<Recorder>) -> (Desk, Arc<EmbeddedRevocations>) {
    desk_with(recorder, Redaction::default())
}

fn desk_with(recorder: Option<Recorder>, redaction: Redaction) -> (Desk, Arc<EmbeddedRevocations>) {
    let store = Arc::new(EmbeddedRevocations::open(None, RevocationLimits::default(), now()).unwrap());
    let overrides = Arc::new(EmbeddedOverrides::open(None, 10).unwrap());
    let parts = DeskParts {
        revocations: Arc::<EmbeddedRevocations>::clone(&store),
        overrides,
        limits: Arc::new(|| Arc::new(LimitRules::default())),
        recorder,
        redaction: Arc::new(redaction),
        records: None,
        issuers: vec!["corp".to_owned()],
        clock: Arc::new(now),
    };
    (Desk::new(parts), store)
}

fn recorder(path: &Path) -> Recorder {
    let sealing = Sealing { checkpoints: Checkpoints::default(), clock: Arc::new(now) };
    Recorder::open(path, Mode::BestEffort, NonZeroUsize::new(10).unwrap(), sealing).unwrap()
}

fn order(change: Change) -> Order {
    let what = Revocable::parse(RevocationKind::User, "corp:alice").unwrap();
    let operation = match change {
        Change::Stop { .. } => Operation::Revoke,
        Change::TakeBack(_) => Operation::Undo,
    };
    Order { operation, what, change, reason: "stolen".to_owned() }
}

const STOP: Change = Change::Stop { form: Form::Total, until: None };
const TAKE_BACK: Change = Change::TakeBack(Lift::Revocation);

fn stopped(store: &EmbeddedRevocations) -> bool {
    let target = order(STOP).what.target();
    matches!(store.snapshot().ask(&[Asked { target, issued_at: None }], now()), Finding::Revoked(_))
}

#[tokio::test]
async fn an_order_is_recorded_before_it_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.jsonl");
    let (desk, store) = desk(Some(recorder(&file)));
    let lines = || -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&file).unwrap();
        text.lines()
            .filter(|line| !line.contains(r#"","open":{"#))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let done = desk.carry_out(within(order(STOP))).await.unwrap();
    assert!(stopped(&store) && done.recorded && done.changed);
    let [only] = &done.replicas[..] else { panic!("{done:?}") };
    assert!(only.id == store.itself().id() && only.after_ms.is_some() && done.behind == 0);
    assert_eq!(lines().len(), 1);
    let undone = desk.carry_out(within(order(TAKE_BACK))).await.unwrap();
    assert!(!stopped(&store) && undone.changed);
    desk.turn_away("revoke", &me().author, "no").await;
    let lines = lines();
    let outcomes: Vec<_> = lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["done", "ordered", "refused"]);
    let states: Vec<_> = lines.iter().map(|line| (line.get("before"), line.get("after"))).collect();
    let (nothing, revoked) = (serde_json::json!([]), serde_json::json!(["revoked"]));
    assert_eq!(states, [(Some(&nothing), Some(&revoked)), (Some(&revoked), Some(&nothing)), (None, None)]);
    assert!(lines.iter().all(|line| line["actor"] == "local:7"));
    let mut ids: Vec<_> = lines.iter().map(|line| line["admin"].as_str().unwrap()).collect();
    assert_eq!(ids[0], done.order);
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let listed = store.list(Position::default(), NonZeroU16::MAX, now()).await.unwrap();
    assert_eq!(listed.standing, []);
}

/// Where no record can be kept, what narrows holds and says so; what widens is not done.
#[tokio::test]
async fn without_a_record_nothing_is_widened() {
    let full = Path::new("/dev/full");
    let (desk, store) = desk(Some(recorder(full)));
    let failed = desk.carry_out(within(order(STOP))).await.unwrap_err();
    assert!(matches!(failed.why, Why::NotRecorded(_)), "{failed:?}");
    assert!(stopped(&store), "what was to be stopped is stopped");
    let failed = desk.carry_out(within(order(TAKE_BACK))).await.unwrap_err();
    assert!(matches!(failed.why, Why::NotRecorded(_)), "{failed:?}");
    assert!(stopped(&store), "what was to be let go is not");
}

#[tokio::test]
async fn without_a_recorder_it_is_said() {
    let (desk, store) = desk(None);
    let done = desk.carry_out(within(order(STOP))).await.unwrap();
    assert!(stopped(&store) && !done.recorded);
    assert_eq!(done.kept, Kept::UntilRestart);
}

fn limit_order(change: LimitChange) -> LimitOrder {
    let place = OverridePlace::new("burst", Whose::Tenant("acme".to_owned())).unwrap();
    LimitOrder { place, change, reason: "a plan".to_owned() }
}

const SET: LimitChange = LimitChange::Set { figure: Limit::Rate(Rate::least()), until: None };

fn standing(desk: &Desk) -> usize {
    desk.overrides().list(None, NonZeroU16::MAX, now()).unwrap().len()
}

#[tokio::test]
async fn a_limit_is_set_once_that_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.jsonl");
    let (desk, _store) = desk(Some(recorder(&file)));
    let done = desk.carry_out_limit(within(limit_order(SET))).await.unwrap();
    assert_eq!((done.changed, done.recorded, standing(&desk)), (true, true, 1));
    let again = desk.carry_out_limit(within(limit_order(SET))).await.unwrap();
    assert!(!again.changed);
    desk.carry_out_limit(within(limit_order(LimitChange::Reset))).await.unwrap();
    assert_eq!(standing(&desk), 0);
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .filter(|line| !line.contains(r#"","open":{"#))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["action"].as_str().unwrap(), line["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("set_limit", "ordered"), ("set_limit", "ordered"), ("reset_limit", "ordered")]);
    assert_eq!(lines[0]["admin"], done.order);
    let states: Vec<_> = lines.iter().map(|line| (&line["before"], &line["after"])).collect();
    let (nothing, set) = (serde_json::json!([]), serde_json::json!(["1/h, 1 at once"]));
    assert_eq!(states, [(&nothing, &set), (&set, &set), (&set, &nothing)]);
    let said = ["kind", "name", "limit", "allowed", "reason"].map(|key| lines[0][key].as_str().unwrap());
    assert_eq!(said, ["tenant", "acme", "burst", "1/h, 1 at once", "a plan"]);
}

/// What was recorded as ordered and then not done has a second record that says so.
#[tokio::test]
async fn an_order_about_a_limit_that_fails_is_recorded_twice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.jsonl");
    let (desk, _store) = desk(Some(recorder(&file)));
    let of = |tenant: usize| {
        let place = OverridePlace::new("burst", Whose::Tenant(format!("t{tenant}"))).unwrap();
        LimitOrder { place, ..limit_order(SET) }
    };
    for tenant in 0..10 {
        desk.carry_out_limit(within(of(tenant))).await.unwrap();
    }
    let failed = desk.carry_out_limit(within(of(10))).await.unwrap_err();
    assert!(matches!(failed.why, Why::Override(OverrideError::Full)), "{failed:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .filter(|line| !line.contains(r#"","open":{"#))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = lines[10..].iter().map(|line| (&line["admin"], &line["outcome"])).collect();
    let id = serde_json::json!(failed.order);
    assert_eq!(told, [(&id, &serde_json::json!("ordered")), (&id, &serde_json::json!("failed"))]);
    assert!(lines[11]["error"].as_str().unwrap().contains("no room"), "{}", lines[11]);
    assert_eq!((lines[11].get("before"), &lines[11]["after"]), (None, &serde_json::json!([])));
}

#[tokio::test]
async fn without_a_record_no_limit_is_set() {
    let (desk, _store) = desk(Some(recorder(Path::new("/dev/full"))));
    for change in [SET, LimitChange::Reset] {
        let failed = desk.carry_out_limit(within(limit_order(change))).await.unwrap_err();
        assert!(matches!(failed.why, Why::NotRecorded(_)), "{failed:?}");
        assert_eq!(standing(&desk), 0);
    }
}

/// E-04: what held before and after, each form apart, and what is over holds no more.
#[tokio::test]
async fn what_held_before_and_after_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.jsonl");
    let (desk, _store) = desk(Some(recorder(&file)));
    let later = now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap();
    let suspend = Change::Stop { form: Form::Suspension, until: Some(later) };
    let past = Change::Stop { form: Form::IssuedUntil(now()), until: None };
    for change in [suspend, past, TAKE_BACK, Change::TakeBack(Lift::Suspension)] {
        desk.carry_out(within(order(change))).await.unwrap();
    }
    let text = std::fs::read_to_string(&file).unwrap();
    let lines = text.lines().filter(|line| !line.contains(r#"","open":{"#));
    let states: Vec<_> = lines
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| [&line["before"], &line["after"]].map(|state| state.to_string()))
        .collect();
    let (suspended, issued) =
        (format!("\"suspended, until {later}\""), format!("\"issued until {} revoked\"", now()));
    let both = format!("[{issued},{suspended}]");
    let one = format!("[{suspended}]");
    let expected = [["[]", &one], [&one, &both], [&both, &one], [&one, "[]"]];
    assert_eq!(states, expected);
}

/// E-05: whom an order is about is shown as in records of decisions.
#[tokio::test]
async fn records_of_orders_show_what_they_may() {
    let key = exequatur_audit::DigestKey::new(&[7; 32]).unwrap();
    let digested = Redaction {
        user: exequatur_audit::Form::Digest,
        tenant: exequatur_audit::Form::Omit,
        key: Some(key),
        ..Redaction::default()
    };
    let expected = digested.user("corp:alice").unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.jsonl");
    let (desk, _store) = desk_with(Some(recorder(&file)), digested);
    desk.carry_out(within(order(STOP))).await.unwrap();
    desk.carry_out_limit(within(limit_order(SET))).await.unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(&format!(r#""kind":"user","name":"{expected}""#)), "{text}");
    assert!(!text.contains("alice") && !text.contains("acme"), "{text}");
}
