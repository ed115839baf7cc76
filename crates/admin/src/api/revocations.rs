//! The paths about revocations.

use std::num::NonZeroU16;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use exequatur_decide::kind_word;
use exequatur_store::{Form, InForce, Position, RevocationKind};
use serde::de::DeserializeOwned;

use super::answer::{json, problem};
use super::call::Call;
use super::{MAX_PAGE, PAGE};
use crate::order::{Order, Senseless, kind_of};
use crate::wire::{List, Listed, ListedForm, When};

/// # Errors
/// The answer, as for [`Call::recorded`].
pub(super) async fn list(call: &Call, uri: &Uri) -> Result<Response, Response> {
    let Some(asked) = Asked::of(uri.query().unwrap_or_default()) else {
        let message =
            "the query is `after=<position>`, `limit=<1 to 1000>` and `kind=<kind>`, each at most once";
        return Err(call.refuse(StatusCode::BAD_REQUEST, "query_invalid", message.to_owned()).await);
    };
    call.recorded().await?;
    let reach = &call.caller.reach;
    match call.desk.revocations().list(asked.after, asked.limit, call.now).await {
        Ok(page) => {
            let wanted = |standing: &InForce| {
                let (kind, name) = (standing.revocation.target.kind, standing.revocation.note.label());
                asked.kind.is_none_or(|asked| kind == asked) && reach.covers_listed(kind, name)
            };
            let revocations = page.standing.into_iter().filter(wanted).map(listed).collect();
            Ok(json(StatusCode::OK, &List { revocations, next: page.next.map(|position| position.0) }))
        }
        Err(error) => {
            tracing::error!(%error, "revocations cannot be listed");
            Ok(problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &error.to_string()))
        }
    }
}

/// # Errors
/// The answer that says why it was not done.
pub(super) async fn order<T: DeserializeOwned>(
    call: &Call,
    request: Request,
    read: impl FnOnce(T) -> Result<Order, Senseless>,
) -> Result<Response, Response> {
    let order = call.within_reach(call.read(request, read).await?).await?;
    let desk = Arc::clone(&call.desk);
    call.to_its_end(async move { desk.carry_out(order).await }).await
}

/// What a list is asked for.
struct Asked {
    after: Position,
    limit: NonZeroU16,
    kind: Option<RevocationKind>,
}

impl Asked {
    fn of(query: &str) -> Option<Self> {
        let (mut after, mut limit, mut kind) = (None, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=')?;
            let twice = match key {
                "after" => after.replace(value.parse().ok()?).is_some(),
                "limit" => limit.replace(value.parse::<NonZeroU16>().ok()?).is_some(),
                "kind" => kind.replace(kind_of(value)?).is_some(),
                _ => return None,
            };
            if twice {
                return None;
            }
        }
        let limit = limit.or(NonZeroU16::new(PAGE))?;
        (limit.get() <= MAX_PAGE).then(|| Self { after: Position(after.unwrap_or(0)), limit, kind })
    }
}

fn listed(standing: InForce) -> Listed {
    let InForce { position, revocation } = standing;
    let (form, not_before) = match revocation.form {
        Form::Total => (ListedForm::Revoked, None),
        Form::IssuedUntil(instant) => (ListedForm::NotBefore, Some(When(instant))),
        Form::Suspension => (ListedForm::Suspended, None),
    };
    Listed {
        position: position.0,
        kind: kind_word(revocation.target.kind).to_owned(),
        name: revocation.note.label().to_owned(),
        form,
        not_before,
        until: revocation.until.map(When),
        reason: revocation.note.reason().to_owned(),
        by: revocation.note.by().to_owned(),
        at: When(revocation.note.at()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_strictly() {
        let asked = Asked::of("after=7&limit=9&kind=agent").unwrap();
        assert_eq!((asked.after, asked.limit.get()), (Position(7), 9));
        assert_eq!(asked.kind, Some(RevocationKind::Agent));
        assert_eq!(Asked::of("").unwrap().limit.get(), PAGE);
        for query in
            ["after", "after=", "after=-1", "limit=0", "limit=1001", "kind=x", "x=1", "after=1&after=1"]
        {
            assert!(Asked::of(query).is_none(), "{query}");
        }
    }
}
