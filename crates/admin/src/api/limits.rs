//! The paths about limits.

use std::num::NonZeroU16;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use exequatur_store::OverridePlace;

use super::{Counter, MAX_PAGE, PAGE, json, problem};
use crate::limits::{LimitOrder, configured, set_otherwise};
use crate::order::{Action, Senseless};
use crate::wire::{Limits, ResetLimit, SetLimit};

pub(super) async fn set(
    State(counter): State<Counter>,
    Path(limit): Path<String>,
    request: Request,
) -> Response {
    let now = counter.desk.now();
    let rules = counter.desk.limits();
    let desk = &counter.desk;
    let read = |order: SetLimit| LimitOrder::set(&limit, order, (&*rules, desk.issuers()), now);
    counter.limit_order(Action::SetLimit, request, read).await
}

pub(super) async fn reset(
    State(counter): State<Counter>,
    Path(limit): Path<String>,
    request: Request,
) -> Response {
    let read = |order: ResetLimit| LimitOrder::reset(&limit, order);
    counter.limit_order(Action::ResetLimit, request, read).await
}

pub(super) async fn list(State(counter): State<Counter>, uri: Uri) -> Response {
    let Some(Asked { after, limit }) = Asked::of(uri.query().unwrap_or_default()) else {
        return problem(
            StatusCode::BAD_REQUEST,
            "query_invalid",
            "the query is `after=<next of the page before>` and `limit=<1 to 1000>`, each at most once",
        );
    };
    let rules = counter.desk.limits();
    match counter.desk.overrides().list(after.as_ref(), limit, counter.desk.now()) {
        Ok(found) => {
            let last = found.last().filter(|_| found.len() >= usize::from(limit.get()));
            let next = last.map(|last| BASE64_URL_SAFE_NO_PAD.encode(last.place.to_string()));
            let limits = if after.is_none() { rules.iter().map(configured).collect() } else { Vec::new() };
            let overrides = found.iter().map(|standing| set_otherwise(standing, &rules)).collect();
            json(StatusCode::OK, &Limits { limits, overrides, next })
        }
        Err(error) => {
            tracing::error!(%error, "limits cannot be listed");
            problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &error.to_string())
        }
    }
}

impl Counter {
    async fn limit_order<T: serde::de::DeserializeOwned>(
        &self,
        action: Action,
        request: Request,
        read: impl FnOnce(T) -> Result<LimitOrder, Senseless>,
    ) -> Response {
        match self.read(action, request, read).await {
            Ok(order) => {
                let (desk, actor) = (Arc::clone(&self.desk), self.actor);
                self.answer(action, async move { desk.carry_out_limit(order, actor).await }).await
            }
            Err(refused) => refused,
        }
    }
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
