//! The path about the replicas.

use axum::http::StatusCode;
use axum::response::Response;

use super::answer::json;
use super::call::Call;
use crate::caller::Reach;
use crate::status::Status;

/// # Errors
/// The answer: it is for those who reach everything, as replicas are of no tenant; or as for [`Call::recorded`].
pub(super) async fn show(call: &Call) -> Result<Response, Response> {
    match &call.caller.reach {
        Reach::Everything => {}
        Reach::Tenant(_) => {
            let message = "how the replicas are is for those who reach everything".to_owned();
            return Err(call.refuse(StatusCode::FORBIDDEN, "out_of_reach", message).await);
        }
    }
    call.recorded().await?;
    let fleet = call.desk.revocations().fleet().await;
    Ok(json(StatusCode::OK, &Status::of(&fleet)))
}
