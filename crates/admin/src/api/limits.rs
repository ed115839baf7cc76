//! The paths about limits.

use std::num::NonZeroU16;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use exequatur_store::OverridePlace;
use serde::de::DeserializeOwned;

use super::answer::{json, problem};
use super::call::Call;
use super::{MAX_PAGE, PAGE};
use crate::limits::{LimitOrder, configured, set_otherwise};
use crate::order::Senseless;
use crate::wire::Limits;

/// # Errors
/// The answer, as for [`Call::recorded`].
pub(super) async fn list(call: &Call, uri: &Uri) -> Result<Response, Response> {
    let Some(Asked { after, limit }) = Asked::of(uri.query().unwrap_or_default()) else {
        let message =
            "the query is `after=<next of the page before>` and `limit=<1 to 1000>`, each at most once";
        return Err(call.refuse(StatusCode::BAD_REQUEST, "query_invalid", message.to_owned()).await);
    };
    call.recorded().await?;
    let (rules, reach) = (call.desk.limits(), &call.caller.reach);
    match call.desk.overrides().list(after.as_ref(), limit, call.now) {
        Ok(found) => {
            let last = found.last().filter(|_| found.len() >= usize::from(limit.get()));
            let next = last.map(|last| BASE64_URL_SAFE_NO_PAD.encode(last.place.to_string()));
            let limits = if after.is_none() { rules.iter().map(configured).collect() } else { Vec::new() };
            let mine = found.iter().filter(|standing| reach.covers_limit_of(standing.place.whose()));
            let overrides = mine.map(|standing| set_otherwise(standing, &rules)).collect();
            Ok(json(StatusCode::OK, &Limits { limits, overrides, next }))
        }
        Err(error) => {
            tracing::error!(%error, "limits cannot be listed");
            Ok(problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &error.to_string()))
        }
    }
}

/// # Errors
/// The answer that says why it was not done.
pub(super) async fn order<T: DeserializeOwned>(
    call: &Call,
    request: Request,
    read: impl FnOnce(T) -> Result<LimitOrder, Senseless>,
) -> Result<Response, Response> {
    let order = call.within_reach(call.read(request, read).await?).await?;
    let desk = Arc::clone(&call.desk);
    call.to_its_end(async move { desk.carry_out_limit(order).await }).await
}

/// What a list is asked for.
struct Asked {
    after: Option<OverridePlace>,
    limit: NonZeroU16,
}

impl Asked {
    fn of(query: &str) -> Option<Self> {
        let (mut after, mut limit) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=')?;
            let twice = match key {
                "after" => {
                    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(value).ok()?).ok()?;
                    after.replace(OverridePlace::parse(&text)?).is_some()
                }
                "limit" => limit.replace(value.parse::<NonZeroU16>().ok()?).is_some(),
                _ => return None,
            };
            if twice {
                return None;
            }
        }
        let limit = limit.or(NonZeroU16::new(PAGE))?;
        (limit.get() <= MAX_PAGE).then_some(Self { after, limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_strictly() {
        let place = BASE64_URL_SAFE_NO_PAD.encode("burst:agent:corp:a");
        let asked = Asked::of(&format!("after={place}&limit=9")).unwrap();
        assert_eq!((asked.after.unwrap().to_string(), asked.limit.get()), ("burst:agent:corp:a".into(), 9));
        assert_eq!(Asked::of("").unwrap().limit.get(), PAGE);
        for query in ["after", "after=", "after=x", "limit=0", "limit=1001", "kind=agent", "limit=1&limit=1"]
        {
            assert!(Asked::of(query).is_none(), "{query}");
        }
    }
}
