//! The paths of the socket.

mod limits;

use std::num::NonZeroU16;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use exequatur_decide::kind_word;
use exequatur_store::{Form, InForce, OverrideError, Position, RevocationError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;

use crate::desk::{Desk, Failed, Why};
use crate::order::{Action, Order, Senseless, kind_of};
use crate::socket::Actor;
use crate::wire::{Kill, List, Listed, ListedForm, Problem, Resume, Revoke, Suspend, Undo, When};

/// Longest body: a name and a reason, each at its bound, written as JSON.
const MAX_BODY: usize = 16 * 1024;
/// Longest page, and the usual one.
const MAX_PAGE: u16 = 1_000;
const PAGE: u16 = 100;

/// A connection's own: whose it is is known.
#[derive(Clone)]
struct Counter {
    desk: Arc<Desk>,
    actor: Actor,
    work: Work,
}

/// Where orders are carried out, and the place that the connection has among all: it is free again once what came over it is
/// done.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) tasks: TaskTracker,
    pub(crate) place: Arc<OwnedSemaphorePermit>,
}

impl Work {
    /// Does it to its end, whether anybody waits for the answer still or not: what was ordered is not to be without its record.
    ///
    /// # Errors
    /// The answer if it broke off, by a mistake of ours.
    async fn to_its_end<T: Send + 'static>(
        &self,
        order: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Response> {
        let place = Arc::clone(&self.place);
        let done = self.tasks.spawn(async move {
            let outcome = order.await;
            drop(place);
            outcome
        });
        done.await.map_err(|broken| {
            tracing::error!(%broken, "an order broke off");
            let message = "it is not known whether it was carried out";
            problem(StatusCode::INTERNAL_SERVER_ERROR, "unavailable", message)
        })
    }
}

/// For those who may order.
pub(crate) fn router(desk: Arc<Desk>, actor: Actor, work: Work) -> Router {
    Router::new()
        .route("/v1/revocations", get(list).post(revoke))
        .route("/v1/revocations/undo", post(undo))
        .route("/v1/agents/{id}/suspend", post(suspend))
        .route("/v1/agents/{id}/resume", post(resume))
        .route("/v1/kill", post(kill))
        .route("/v1/limits", get(limits::list))
        .route("/v1/limits/{limit}/set", post(limits::set))
        .route("/v1/limits/{limit}/reset", post(limits::reset))
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_method)
        .with_state(Counter { desk, actor, work })
}

/// For everybody else: every request is refused and recorded.
pub(crate) fn closed(desk: Arc<Desk>, actor: Actor, work: Work) -> Router {
    Router::new().fallback(forbidden).with_state(Counter { desk, actor, work })
}

async fn revoke(State(counter): State<Counter>, request: Request) -> Response {
    let now = counter.desk.now();
    let issuers = Arc::clone(&counter.desk);
    counter.order(Action::Revoke, request, |order: Revoke| Order::revoke(order, issuers.issuers(), now)).await
}

async fn undo(State(counter): State<Counter>, request: Request) -> Response {
    counter.order(Action::Undo, request, |order: Undo| Order::undo(order)).await
}

async fn suspend(State(counter): State<Counter>, Path(agent): Path<String>, request: Request) -> Response {
    let now = counter.desk.now();
    let issuers = Arc::clone(&counter.desk);
    counter
        .order(Action::Suspend, request, |order: Suspend| {
            Order::suspend(&agent, order, issuers.issuers(), now)
        })
        .await
}

async fn resume(State(counter): State<Counter>, Path(agent): Path<String>, request: Request) -> Response {
    counter.order(Action::Resume, request, |order: Resume| Order::resume(&agent, order)).await
}

async fn kill(State(counter): State<Counter>, request: Request) -> Response {
    let now = counter.desk.now();
    counter.order(Action::Kill, request, |order: Kill| Order::kill(order, now)).await
}

async fn list(State(counter): State<Counter>, uri: Uri) -> Response {
    let Some(asked) = Asked::of(uri.query().unwrap_or_default()) else {
        return problem(
            StatusCode::BAD_REQUEST,
            "query_invalid",
            "the query is `after=<position>`, `limit=<1 to 1000>` and `kind=<kind>`, each at most once",
        );
    };
    let now = counter.desk.now();
    match counter.desk.revocations().list(asked.after, asked.limit, now).await {
        Ok(page) => {
            let wanted =
                |standing: &InForce| asked.kind.is_none_or(|kind| standing.revocation.target.kind == kind);
            let revocations = page.standing.into_iter().filter(wanted).map(listed).collect();
            json(StatusCode::OK, &List { revocations, next: page.next.map(|position| position.0) })
        }
        Err(error) => {
            tracing::error!(%error, "revocations cannot be listed");
            problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &error.to_string())
        }
    }
}

async fn nothing_here() -> Response {
    problem(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
}

async fn other_method() -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path takes another method")
}

async fn forbidden(State(counter): State<Counter>) -> Response {
    let message = "only the user that Exequatur runs as, and root, may give orders";
    let order = counter.desk.turn_away("connect", counter.actor, message).await;
    let problem = Problem {
        order: Some(order),
        error: "forbidden".to_owned(),
        message: message.to_owned(),
        in_force: false,
    };
    json(StatusCode::FORBIDDEN, &problem)
}

impl Counter {
    async fn order<T: DeserializeOwned>(
        &self,
        action: Action,
        request: Request,
        read: impl FnOnce(T) -> Result<Order, Senseless>,
    ) -> Response {
        match self.read(action, request, read).await {
            Ok(order) => {
                let (desk, actor) = (Arc::clone(&self.desk), self.actor);
                self.answer(action, async move { desk.carry_out(order, actor).await }).await
            }
            Err(refused) => refused,
        }
    }

    async fn answer<T: Serialize + Send + 'static>(
        &self,
        action: Action,
        carrying_out: impl Future<Output = Result<T, Failed>> + Send + 'static,
    ) -> Response {
        match self.work.to_its_end(carrying_out).await {
            Ok(Ok(done)) => json(StatusCode::OK, &done),
            Ok(Err(failed)) => failure(failed, action),
            Err(broken) => broken,
        }
    }

    /// An order that makes sense.
    ///
    /// # Errors
    /// The answer that says why it does not; it is recorded.
    async fn read<T: DeserializeOwned, O>(
        &self,
        action: Action,
        request: Request,
        read: impl FnOnce(T) -> Result<O, Senseless>,
    ) -> Result<O, Response> {
        let Ok(body) = axum::body::to_bytes(request.into_body(), MAX_BODY).await else {
            let message = format!("the body is longer than {MAX_BODY} bytes, or did not arrive whole");
            return Err(self.refuse(action, StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message).await);
        };
        let order = match serde_json::from_slice(&body) {
            Ok(order) => order,
            // The error names members and places, and repeats no value but a short unknown word.
            Err(error) => {
                let message = format!("the body is not the JSON that is expected: {error}");
                return Err(self.refuse(action, StatusCode::BAD_REQUEST, "body_invalid", message).await);
            }
        };
        match read(order) {
            Ok(order) => Ok(order),
            Err(senseless) => {
                let message = senseless.to_string();
                Err(self.refuse(action, StatusCode::UNPROCESSABLE_ENTITY, "order_invalid", message).await)
            }
        }
    }

    async fn refuse(&self, action: Action, status: StatusCode, error: &str, message: String) -> Response {
        let order = Some(self.desk.turn_away(action.word(), self.actor, &message).await);
        json(status, &Problem { order, error: error.to_owned(), message, in_force: false })
    }
}

fn failure(failed: Failed, action: Action) -> Response {
    let narrows = match action {
        Action::Revoke | Action::Suspend | Action::Kill => true,
        Action::Undo | Action::Resume | Action::SetLimit | Action::ResetLimit => false,
    };
    let (status, error, in_force) = match &failed.why {
        Why::Store(RevocationError::Full) => (StatusCode::INSUFFICIENT_STORAGE, "full", false),
        Why::Store(RevocationError::NotKept(_)) => (StatusCode::INTERNAL_SERVER_ERROR, "not_kept", narrows),
        Why::Store(RevocationError::Busy | RevocationError::Closed | RevocationError::Unreadable(_)) => {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", false)
        }
        Why::Override(OverrideError::Full) => (StatusCode::INSUFFICIENT_STORAGE, "full", false),
        Why::Override(OverrideError::NotKept(_)) => (StatusCode::INTERNAL_SERVER_ERROR, "not_kept", false),
        Why::Override(OverrideError::Unknown | OverrideError::Closed) => {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", false)
        }
        Why::NotRecorded(_) => (StatusCode::INTERNAL_SERVER_ERROR, "not_recorded", narrows),
        Why::Note => (StatusCode::UNPROCESSABLE_ENTITY, "order_invalid", false),
    };
    let message = failed.why.to_string();
    json(status, &Problem { order: Some(failed.order), error: error.to_owned(), message, in_force })
}

/// What a list is asked for.
struct Asked {
    after: Position,
    limit: NonZeroU16,
    kind: Option<exequatur_store::RevocationKind>,
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

fn problem(status: StatusCode, error: &str, message: &str) -> Response {
    let problem =
        Problem { order: None, error: error.to_owned(), message: message.to_owned(), in_force: false };
    json(status, &problem)
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let fields = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            (status, fields, Body::from(body)).into_response()
        }
        Err(_unsayable) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_strictly() {
        let asked = Asked::of("after=7&limit=9&kind=agent").unwrap();
        assert_eq!((asked.after, asked.limit.get()), (Position(7), 9));
        assert_eq!(asked.kind, Some(exequatur_store::RevocationKind::Agent));
        assert_eq!(Asked::of("").unwrap().limit.get(), PAGE);
        for query in
            ["after", "after=", "after=-1", "limit=0", "limit=1001", "kind=x", "x=1", "after=1&after=1"]
        {
            assert!(Asked::of(query).is_none(), "{query}");
        }
    }
}
