//! What held of the thing that an order is about, before the order and after it, in words for its record (E-04). It is as this
//! process has heard of it: another replica may have changed it in the meantime.

use exequatur_audit::Text;
use exequatur_store::{Form, Known, Lift, OverridePlace, Snapshot, Target};
use jiff::Timestamp;

use crate::limits::LimitChange;

/// What holds, one word or sentence each; nothing holds where there is none. `None`: it is not known.
pub(super) type State = Option<Vec<String>>;

/// What stops `target`.
pub(super) fn of_target(snapshot: &Snapshot, target: &Target, now: Timestamp) -> State {
    let standing = snapshot.standing(target, now).ok()?;
    Some(standing.into_iter().map(|(form, until)| stops(form, until)).collect())
}

/// The same once `lift` is carried out.
pub(super) fn without(snapshot: &Snapshot, target: &Target, lift: Lift, now: Timestamp) -> State {
    let standing = snapshot.standing(target, now).ok()?;
    let rest = standing.into_iter().filter(|(form, _)| !lift.takes_back(*form));
    Some(rest.map(|(form, until)| stops(form, until)).collect())
}

/// What counts in place of the configured limit.
pub(super) fn of_limit(known: Option<&Known>, place: &OverridePlace, now: Timestamp) -> State {
    let standing = known?.at(place, now);
    Some(standing.into_iter().map(|(figure, until)| ends(figure.to_string(), until)).collect())
}

/// The same once `change` is carried out.
pub(super) fn after(change: &LimitChange) -> State {
    Some(match change {
        LimitChange::Set { figure, until } => vec![ends(figure.to_string(), *until)],
        LimitChange::Reset => Vec::new(),
    })
}

/// As a record has it.
pub(super) fn texts(state: State) -> Option<Vec<Text<'static>>> {
    Some(state?.into_iter().map(Text::from).collect())
}

fn stops(form: Form, until: Option<Timestamp>) -> String {
    let word = match form {
        Form::Total => "revoked".to_owned(),
        Form::IssuedUntil(instant) => format!("issued until {instant} revoked"),
        Form::Suspension => "suspended".to_owned(),
    };
    ends(word, until)
}

fn ends(word: String, until: Option<Timestamp>) -> String {
    match until {
        Some(until) => format!("{word}, until {until}"),
        None => word,
    }
}
