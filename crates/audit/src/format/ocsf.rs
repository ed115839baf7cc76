//! Lines as events of the Open Cybersecurity Schema Framework, version 1.8.0 (<https://schema.ocsf.io/1.8.0>).
//!
//! What the schema has no attribute for stands in `unmapped`.

mod application;
mod decision;
mod entity_management;
mod http_activity;

use super::address::Address;
use super::object::Object;
use crate::statement::{Severity, Stated, Statement};
use crate::text::Text;

const VERSION: &str = "1.8.0";
/// Where an attribute is required and nothing is known.
const UNKNOWN: &str = "Unknown";

/// The line as an event; `None` if it cannot be one.
pub(super) fn event(run: &str, line: &Statement<'_>) -> Option<Object> {
    match &line.stated {
        Stated::Decision(record) => decision::event(run, line, record),
        Stated::Order(order) => entity_management::event(run, line, order),
        Stated::Outcome(outcome) => http_activity::event(run, line, outcome),
        Stated::Gap(_) | Stated::Open(_) | Stated::Checkpoint(_) | Stated::SinkGap(_) => {
            application::event(run, line)
        }
    }
}

/// A class of events, and of categories.
#[derive(Clone, Copy)]
struct Class {
    uid: u32,
    name: &'static str,
    category: &'static str,
}

/// A value of an enumeration: its number and its caption, or the source's own word where the number is 99.
#[derive(Clone, Copy)]
struct Choice<'a>(u32, &'a str);

impl<'a> Choice<'a> {
    const fn other(word: &'a str) -> Self {
        Self(99, word)
    }
}

const SUCCESS: Choice<'_> = Choice(1, "Success");
const FAILURE: Choice<'_> = Choice(2, "Failure");

/// What each event says.
struct Event<'a> {
    class: Class,
    activity: Choice<'a>,
    status: Choice<'a>,
    message: String,
    /// What identifies it among all events; by its place, if nothing else does.
    uid: Option<&'a str>,
    /// What it has in common with others.
    correlation: Option<&'a str>,
    tenant: Option<&'a Text<'a>>,
    profiles: &'a [&'static str],
    unmapped: Object,
}

impl Event<'_> {
    /// What all classes have.
    fn object(self, run: &str, line: &Statement<'_>) -> Object {
        let Self { class, activity, status, message, uid, correlation, tenant, profiles, unmapped } = self;
        let severity = match line.severity() {
            Severity::Information => Choice(1, "Informational"),
            Severity::Warning => Choice(2, "Low"),
            Severity::Error => Choice(4, "High"),
        };
        let seq = line.place().map(|link| link.seq);
        let place = || seq.filter(|_| !run.is_empty()).map(|seq| format!("{run}:{seq}"));
        let metadata = Object::new()
            .with("version", VERSION)
            .object("product", product())
            .with("log_name", "records")
            .with("log_provider", "exequatur")
            .with("event_code", line.kind())
            .with("original_time", format!("{:.3}", line.time()))
            .maybe("uid", uid.map(str::to_owned).or_else(place))
            .maybe("correlation_uid", correlation)
            .maybe("sequence", seq)
            .text("tenant_uid", tenant)
            .maybe("profiles", (!profiles.is_empty()).then(|| profiles.to_vec()));
        Object::new()
            .choice("activity_id", "activity_name", activity)
            .with("category_uid", class.uid / 1000)
            .with("category_name", class.category)
            .with("class_uid", class.uid)
            .with("class_name", class.name)
            .with("type_uid", class.uid.saturating_mul(100).saturating_add(activity.0))
            .choice("severity_id", "severity", severity)
            .choice("status_id", "status", status)
            .with("time", line.time().as_millisecond())
            .with("message", message)
            .object("metadata", metadata)
            .object("unmapped", unmapped)
    }
}

impl Object {
    fn choice(self, id: &str, name: &str, Choice(number, caption): Choice<'_>) -> Self {
        self.with(id, number).with(name, caption)
    }
}

/// What has made the event: this program, whichever version has written the line.
fn product() -> Object {
    Object::new()
        .with("name", "Exequatur")
        .with("vendor_name", "Exequatur")
        .with("version", env!("CARGO_PKG_VERSION"))
}

/// An endpoint by its address, or by what else is known of it.
fn endpoint(address: Option<&Text<'_>>) -> Object {
    match address.map(Address::of) {
        Some(Address::Ip(ip, port)) => Object::new().with("ip", ip.to_string()).maybe("port", port),
        Some(Address::Name(name)) => Object::new().with("name", name),
        None => Object::new().with("name", UNKNOWN),
    }
}
