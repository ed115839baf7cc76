//! The path about decisions.

use axum::http::StatusCode;
use axum::response::Response;
use exequatur_audit::{DecisionId, Lookup};
use serde_json::Value;

use super::answer::{json, problem};
use super::call::Call;
use crate::desk::Unseen;
use crate::wire::Decision;

/// # Errors
/// The answer, as for [`Call::recorded`].
pub(super) async fn show(call: &Call, id: &str) -> Result<Response, Response> {
    let Ok(id) = DecisionId::parse(id) else {
        let message = "an id is what denials quote and `x-exequatur-decision` carries".to_owned();
        return Err(call.refuse(StatusCode::BAD_REQUEST, "id_invalid", message).await);
    };
    call.recorded_of(id.as_str()).await?;
    let unavailable = |message: &str| problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
    let found = call.desk.look_up(&id).await.map_err(|unseen| match unseen {
        Unseen::NotKept => problem(StatusCode::NOT_FOUND, "not_found", "this server keeps no records"),
        Unseen::Busy => unavailable("somebody else is looking for a record: try again"),
        Unseen::Unreadable(kind) => unavailable(&format!("the records cannot be read: {kind}")),
    })?;
    let not_found = |message: &str| problem(StatusCode::NOT_FOUND, "not_found", message);
    match found {
        // Whose it is decides whether it is there at all.
        Lookup::Found(record, outcome, standing)
            if call.caller.reach.covers_decision_of(tenant_of(&record)) =>
        {
            Ok(json(StatusCode::OK, &Decision { record, in_chain: standing.in_chain(), outcome }))
        }
        Lookup::Found(..) | Lookup::NotThere => Err(not_found(
            "this server has no record of it where it should stand; another replica may have decided it",
        )),
        Lookup::NotOurs => Err(not_found("no decision of ours has such an id")),
        Lookup::TooMuch => {
            Err(unavailable("too much was recorded at that time: `exequatur audit show` reads it all"))
        }
    }
}

fn tenant_of(record: &Value) -> Option<&str> {
    record.get("tenant").and_then(Value::as_str)
}
