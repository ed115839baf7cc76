//! Orders of operators, and what security events do: Entity Management (3004). User Access Management (3005) is about privileges of users alone,
//! and most orders are about agents, keys, tenants, limits.

use super::{Choice, Class, Event, FAILURE, SUCCESS};
use crate::admin::{AdminOutcome, AdminRecord};
use crate::format::object::Object;
use crate::statement::Statement;
use crate::text::Text;

const CLASS: Class = Class { uid: 3004, name: "Entity Management", category: "Identity & Access Management" };

pub(super) fn event(run: &str, line: &Statement<'_>, order: &AdminRecord<'_>) -> Option<Object> {
    let (status, word) = match order.outcome {
        AdminOutcome::Done => (SUCCESS, "done"),
        AdminOutcome::Ordered => (SUCCESS, "ordered"),
        AdminOutcome::Refused => (FAILURE, "refused"),
        AdminOutcome::Failed => (FAILURE, "failed"),
    };
    let mapped = ["admin", "actor", "outcome", "reason", "error", "name"];
    let event = Event {
        class: CLASS,
        activity: activity(order.action.as_str()),
        status,
        message: format!("{}: {word}", order.action),
        uid: Some(order.admin.as_str()),
        correlation: None,
        tenant: None,
        profiles: &[],
        unmapped: Object::rest(run, line, order, &mapped)?,
    };
    let user = Object::new().with("uid", order.actor.as_str());
    let event = event
        .object(run, line)
        .object("actor", Object::new().object("user", user))
        .object("entity", entity(order))
        .with("status_code", word)
        .text("status_detail", order.error.as_ref())
        .text("comment", order.reason.as_ref());
    Some(event)
}

fn activity(action: &str) -> Choice<'_> {
    match action {
        "status" | "list_revocations" | "list_limits" | "show_decision" | "describe" => Choice(2, "Read"),
        "set_limit" | "reset_limit" => Choice(3, "Update"),
        "undo" => Choice(8, "Enable"),
        "revoke" | "kill" => Choice(9, "Disable"),
        "suspend" => Choice(12, "Suspend"),
        "resume" => Choice(13, "Resume"),
        _ => Choice::other(action),
    }
}

/// What it is about; all of Exequatur, if it is about nothing by itself.
fn entity(order: &AdminRecord<'_>) -> Object {
    let kind = order.kind.as_ref().map_or("exequatur", Text::as_str);
    let kind = match kind {
        "user" => Choice(2, "User"),
        other => Choice::other(other),
    };
    let Some(name) = &order.name else {
        return Object::new().choice("type_id", "type", kind).with("name", kind.1);
    };
    Object::new().choice("type_id", "type", kind).with("uid", name.as_str())
}
