//! The path about the replicas.

use axum::http::StatusCode;
use axum::response::Response;

use super::answer::json;
use super::call::Call;
use crate::status::Status;

/// # Errors
/// The answer, as for [`Call::recorded`].
pub(super) async fn show(call: &Call) -> Result<Response, Response> {
    call.recorded().await?;
    let fleet = call.desk.revocations().fleet().await;
    Ok(json(StatusCode::OK, &Status::of(&fleet)))
}
