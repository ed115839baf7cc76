//! Lines about the records themselves: headers and checkpoints are Application Lifecycle (6002), gaps are Application Error (6008).

use super::{Choice, Class, Event, FAILURE, SUCCESS, product};
use crate::entry::Closes;
use crate::format::object::Object;
use crate::statement::{Stated, Statement};

const LIFECYCLE: Class = Class { uid: 6002, name: "Application Lifecycle", category: "Application Activity" };
const ERROR: Class = Class { uid: 6008, name: "Application Error", category: "Application Activity" };

pub(super) fn event(run: &str, line: &Statement<'_>) -> Option<Object> {
    let (class, activity, message) = match &line.stated {
        Stated::Open(_) if line.place().is_some_and(|link| link.seq == 1) => {
            (LIFECYCLE, Choice(3, "Start"), "a run of the records begins".to_owned())
        }
        Stated::Open(_) => (LIFECYCLE, Choice::other("Continue"), "a run of the records goes on".to_owned()),
        Stated::Checkpoint(checkpoint) if checkpoint.closes == Some(Closes::Run) => {
            (LIFECYCLE, Choice(4, "Stop"), "a run of the records ends".to_owned())
        }
        Stated::Checkpoint(_) => {
            (LIFECYCLE, Choice::other("Checkpoint"), "the records are summed up".to_owned())
        }
        Stated::Gap(decisions) => {
            (ERROR, Choice(1, "General Error"), format!("{decisions} decisions have no record"))
        }
        Stated::SinkGap(gap) => (
            ERROR,
            Choice(1, "General Error"),
            format!("{} lines of the records are missing here", gap.lines),
        ),
        Stated::Decision(_) | Stated::Order(_) | Stated::Outcome(_) => return None,
    };
    let fault = line.missing() > 0;
    let event = Event {
        class,
        activity,
        status: if fault { FAILURE } else { SUCCESS },
        message,
        uid: None,
        correlation: None,
        tenant: None,
        profiles: &[],
        unmapped: Object::said(run, line)?,
    };
    let event = event.object(run, line);
    Some(if fault { event } else { event.object("app", product()) })
}
