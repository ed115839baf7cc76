//! Orders about limits.

use exequatur_audit::{AdminOutcome, AuditError, Text};
use exequatur_store::{LimitOverride, Note, OverrideError};
use jiff::Timestamp;

use super::state::{self, State};
use super::{Desk, Failed, Why, kept, record_of};
use crate::caller::{Author, Within};
use crate::limits::{LimitChange, LimitOrder, whose_word};
use crate::wire::LimitDone;

/// What an order says of itself in its record.
#[derive(Clone, Copy)]
struct Said<'a> {
    id: &'a str,
    author: &'a Author,
    now: Timestamp,
    order: &'a LimitOrder,
}

impl Desk {
    /// Does it, once it is recorded: either may widen what is permitted. If it fails then, another record says so.
    ///
    /// # Errors
    /// See [`Why`].
    pub(crate) async fn carry_out_limit(&self, order: Within<LimitOrder>) -> Result<LimitDone, Failed> {
        let (id, now) = (self.next_id(), self.now());
        let (order, author) = (order.order(), order.author());
        let said = Said { id: &id, author, now, order };
        match self.change_limit(&said).await {
            Ok((changed, recorded)) => {
                let place = &order.place;
                tracing::info!(order = id, actor = %author, action = order.operation().word(), %place, changed, "carried out");
                Ok(LimitDone {
                    limit: place.limit().to_owned(),
                    kind: whose_word(place.whose()).to_owned(),
                    name: place.whose().name().to_owned(),
                    changed,
                    kept: kept(self.parts.overrides.keeping()),
                    recorded,
                    order: id,
                })
            }
            Err(why) => {
                tracing::error!(order = id, actor = %author, action = order.operation().word(), place = %order.place, %why, "an order failed");
                Err(Failed { order: id, why })
            }
        }
    }

    async fn change_limit(&self, said: &Said<'_>) -> Result<(bool, bool), Why> {
        let Said { order, now, .. } = *said;
        let states = (self.limit_standing(said), state::after(&order.change));
        let recorded = self.record_limit(said, Ok(AdminOutcome::Ordered), states).await;
        let recorded = recorded.map_err(Why::NotRecorded)?;
        let name = order.place.whose().name().to_owned();
        let note = Note::new(name, order.reason.clone(), said.author.to_string(), now).or(Err(Why::Note))?;
        let outcome = match order.change {
            LimitChange::Set { figure, until } => {
                let place = order.place.clone();
                self.parts.overrides.set(&LimitOverride { place, figure, until, note }, now).await
            }
            LimitChange::Reset => self.parts.overrides.take_back(&order.place, &note, now).await,
        };
        match outcome {
            Ok(done) => Ok((done.changed, recorded)),
            Err(error) => {
                let states = (None, self.limit_standing(said));
                if let Err(unrecorded) = self.record_limit(said, Err(&error), states).await {
                    tracing::error!(error = %unrecorded, "that an order failed was not recorded");
                }
                Err(error.into())
            }
        }
    }

    /// What counts now in place of the configured limit.
    fn limit_standing(&self, said: &Said<'_>) -> State {
        let known = self.parts.overrides.overrides().known().ok();
        state::of_limit(known.as_ref(), &said.order.place, said.now)
    }

    async fn record_limit(
        &self,
        said: &Said<'_>,
        outcome: Result<AdminOutcome, &OverrideError>,
        (before, after): (State, State),
    ) -> Result<bool, AuditError> {
        let order = said.order;
        let mut record = record_of((said.now, said.id, said.author), order.operation().word(), outcome);
        record.kind = Some(Text::from(whose_word(order.place.whose())));
        let whose = order.place.whose();
        record.name = self.parts.redaction.subject(whose_word(whose), whose.name());
        record.limit = Some(Text::from(order.place.limit()));
        record.reason = Some(Text::from(order.reason.as_str()));
        (record.before, record.after) = (state::texts(before), state::texts(after));
        if let LimitChange::Set { figure, until } = order.change {
            record.allowed = Some(Text::from(figure.to_string()));
            record.until = until;
        }
        self.write(&record).await
    }
}
