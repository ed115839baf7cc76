//! What is answered: JSON, a problem, or what became of an order that failed.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use exequatur_store::{OverrideError, RevocationError};
use serde::Serialize;

use crate::desk::{Failed, Why};
use crate::operation::Operation;
use crate::wire::Problem;

/// Whether what was to be stopped is stopped all the same is for the operation to say.
pub(super) fn failure(failed: Failed, operation: Operation) -> Response {
    let narrows = operation.narrows();
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

pub(super) fn problem(status: StatusCode, error: &str, message: &str) -> Response {
    let problem =
        Problem { order: None, error: error.to_owned(), message: message.to_owned(), in_force: false };
    json(status, &problem)
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let fields = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            (status, fields, Body::from(body)).into_response()
        }
        Err(_unsayable) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Too often; after this time it goes on (RFC 6585 §4).
pub(super) fn limited(order: Option<String>, wait: Duration) -> Response {
    let message = "too many calls".to_owned();
    let problem = Problem { order, error: "too_many_calls".to_owned(), message, in_force: false };
    let mut answer = json(StatusCode::TOO_MANY_REQUESTS, &problem);
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    answer
}
