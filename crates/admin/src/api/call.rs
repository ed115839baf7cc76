//! A call of somebody who may make it: reading what it says, doing it, and what is recorded of it.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::{failure, json, problem};
use super::{Counter, Work};
use crate::caller::{Caller, Reached, Within};
use crate::desk::{Desk, Failed};
use crate::operation::Operation;
use crate::order::Senseless;
use crate::wire::Problem;

/// Longest body: a name and a reason, each at its bound, written as JSON.
const MAX_BODY: usize = 16 * 1024;

/// Evidence that the caller may do what he asks for. Only [`Counter::enter`] makes it.
pub(super) struct Call {
    pub(super) desk: Arc<Desk>,
    pub(super) caller: Caller,
    pub(super) now: Timestamp,
    operation: Operation,
    work: Work,
}

impl Call {
    /// Once it is known that he may.
    pub(super) fn new(operation: Operation, caller: Caller, counter: &Counter) -> Self {
        let desk = Arc::clone(&counter.desk);
        Self { now: desk.now(), desk, caller, operation, work: counter.work.clone() }
    }

    /// Records that something is looked at, before it is shown.
    ///
    /// # Errors
    /// The answer: there can be no record of it.
    pub(super) async fn recorded(&self) -> Result<(), Response> {
        let recorded = self.desk.record_look(self.operation, &self.caller, None).await;
        recorded.map_err(|failed| failure(failed, self.operation))
    }

    /// The same, of something with a name.
    ///
    /// # Errors
    /// As for [`Self::recorded`].
    pub(super) async fn recorded_of(&self, name: &str) -> Result<(), Response> {
        let recorded = self.desk.record_look(self.operation, &self.caller, Some(name)).await;
        recorded.map_err(|failed| failure(failed, self.operation))
    }

    /// An order that makes sense.
    ///
    /// # Errors
    /// The answer that says why it does not; it is recorded.
    pub(super) async fn read<T: DeserializeOwned, O>(
        &self,
        request: Request,
        read: impl FnOnce(T) -> Result<O, Senseless>,
    ) -> Result<O, Response> {
        // A browser does not send JSON to another site without asking first (E-08).
        if !is_json(&request) {
            let message = "the body has to be `content-type: application/json`".to_owned();
            return Err(self
                .refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type_invalid", message)
                .await);
        }
        let Ok(body) = axum::body::to_bytes(request.into_body(), MAX_BODY).await else {
            let message = format!("the body is longer than {MAX_BODY} bytes, or did not arrive whole");
            return Err(self.refuse(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message).await);
        };
        let order = match serde_json::from_slice(&body) {
            Ok(order) => order,
            // The error names members and places, and repeats no value but a short unknown word.
            Err(error) => {
                let message = format!("the body is not the JSON that is expected: {error}");
                return Err(self.refuse(StatusCode::BAD_REQUEST, "body_invalid", message).await);
            }
        };
        match read(order) {
            Ok(order) => Ok(order),
            Err(senseless) => {
                let message = senseless.to_string();
                Err(self.refuse(StatusCode::UNPROCESSABLE_ENTITY, "order_invalid", message).await)
            }
        }
    }

    /// # Errors
    /// The answer that it is not; it is recorded.
    pub(super) async fn within_reach<O: Reached>(&self, order: O) -> Result<Within<O>, Response> {
        match self.caller.order(order) {
            Ok(order) => Ok(order),
            Err(out) => Err(self.refuse(StatusCode::FORBIDDEN, "out_of_reach", out.to_string()).await),
        }
    }

    /// Does it to its end, whether anybody waits for the answer still or not: what was ordered is not to be without its record.
    ///
    /// # Errors
    /// The answer if it failed, or broke off by a mistake of ours.
    pub(super) async fn to_its_end<T: Serialize + Send + 'static>(
        &self,
        order: impl Future<Output = Result<T, Failed>> + Send + 'static,
    ) -> Result<Response, Response> {
        let place = Arc::clone(&self.work.place);
        let done = self.work.tasks.spawn(async move {
            let outcome = order.await;
            drop(place);
            outcome
        });
        match done.await {
            Ok(Ok(done)) => Ok(json(StatusCode::OK, &done)),
            Ok(Err(failed)) => Err(failure(failed, self.operation)),
            Err(broken) => {
                tracing::error!(%broken, "an order broke off");
                let message = "it is not known whether it was carried out";
                Err(problem(StatusCode::INTERNAL_SERVER_ERROR, "unavailable", message))
            }
        }
    }

    pub(super) async fn refuse(&self, status: StatusCode, error: &str, message: String) -> Response {
        let order = Some(self.desk.turn_away(self.operation.word(), &self.caller.author, &message).await);
        json(status, &Problem { order, error: error.to_owned(), message, in_force: false })
    }
}

/// With or without parameters (RFC 9110 §8.3).
fn is_json(request: &Request) -> bool {
    let mut types = request.headers().get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (types.next(), types.next()) else { return false };
    let kind = kind.to_str().unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
