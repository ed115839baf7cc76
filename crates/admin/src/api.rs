//! The API: who is there, what is asked for, whether he may, and only then what it says.

mod answer;
mod call;
mod decisions;
mod limits;
mod revocations;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use exequatur_store::StoreError;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::TaskTracker;

use crate::caller::{Actor, Author, Caller, Claimed};
use crate::description::description;
use crate::desk::Desk;
use crate::gate::{Arrival, Gate, NotLetIn};
use crate::limits::LimitOrder;
use crate::operation::Operation;
use crate::order::Order;
use crate::wire::{Kill, Problem, ResetLimit, Resume, Revoke, SetLimit, Suspend, Undo};

use answer::{json, limited};
use call::Call;

/// Longest page, and the usual one.
const MAX_PAGE: u16 = 1_000;
const PAGE: u16 = 100;
/// What somebody at the socket calls himself.
pub(crate) const AS: &str = "exequatur-as";
/// The word in records for what is no operation.
const UNKNOWN: &str = "unknown";

/// A connection's own.
#[derive(Clone)]
pub(crate) struct Counter {
    pub(crate) desk: Arc<Desk>,
    pub(crate) entrance: Entrance,
    pub(crate) work: Work,
}

/// How somebody comes in.
#[derive(Clone)]
pub(crate) enum Entrance {
    /// By the socket: the kernel has said who it is.
    Known(Caller),
    /// By the socket, and may not.
    Closed(Author),
    /// By TCP: each request says who it is of.
    Gate(Arc<Gate>, Arc<Arrival>),
}

/// Where orders are carried out, and the place that the connection has among all: it is free again once what came over it is
/// done.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) tasks: TaskTracker,
    pub(crate) place: Arc<OwnedSemaphorePermit>,
}

/// All of the API, as the table of operations has it.
pub(crate) fn router(counter: Counter) -> Router {
    let mut router = Router::new();
    for operation in Operation::EVERY {
        let serve = move |State(counter): State<Counter>, parameters: RawPathParams, request: Request| async move {
            match attempt(operation, &counter, &parameters, request).await {
                Ok(answer) | Err(answer) => answer,
            }
        };
        // The table has no method that there is no filter for.
        let filter = MethodFilter::try_from(operation.method()).unwrap_or(MethodFilter::TRACE);
        router = router.route(operation.path(), on(filter, serve));
    }
    router.fallback(nothing_here).method_not_allowed_fallback(other_method).with_state(counter)
}

/// Who, may he, what.
///
/// # Errors
/// The answer that says why it was not done.
async fn attempt(
    operation: Operation,
    counter: &Counter,
    parameters: &RawPathParams,
    request: Request,
) -> Result<Response, Response> {
    let call = counter.enter(operation, request.headers()).await?;
    let (desk, now) = (&call.desk, call.now);
    let named = |wanted: &str| {
        let value = parameters.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
        value.unwrap_or_default().to_owned()
    };
    match operation {
        Operation::Status => status::show(&call).await,
        Operation::ListRevocations => revocations::list(&call, request.uri()).await,
        Operation::Revoke => {
            let read = |order: Revoke| Order::revoke(order, desk.issuers(), now);
            revocations::order(&call, request, read).await
        }
        Operation::Undo => {
            revocations::order(&call, request, |order: Undo| Order::undo(order, desk.issuers())).await
        }
        Operation::Suspend => {
            let agent = named("id");
            let read = |order: Suspend| Order::suspend(&agent, order, desk.issuers(), now);
            revocations::order(&call, request, read).await
        }
        Operation::Resume => {
            let agent = named("id");
            revocations::order(&call, request, |order: Resume| Order::resume(&agent, order, desk.issuers()))
                .await
        }
        Operation::Kill => revocations::order(&call, request, |order: Kill| Order::kill(order, now)).await,
        Operation::ListLimits => limits::list(&call, request.uri()).await,
        Operation::SetLimit => {
            let (limit, rules) = (named("limit"), desk.limits());
            let read = |order: SetLimit| LimitOrder::set(&limit, order, (&*rules, desk.issuers()), now);
            limits::order(&call, request, read).await
        }
        Operation::ShowDecision => decisions::show(&call, &named("id")).await,
        Operation::Describe => {
            call.recorded().await?;
            Ok(json(StatusCode::OK, &description()))
        }
        Operation::ResetLimit => {
            let limit = named("limit");
            limits::order(&call, request, |order: ResetLimit| {
                LimitOrder::reset(&limit, order, desk.issuers())
            })
            .await
        }
    }
}

/// Whoever may not come in does not hear what is there.
async fn nothing_here(State(counter): State<Counter>, request: Request) -> Response {
    counter
        .misled(request.headers(), StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
        .await
}

async fn other_method(State(counter): State<Counter>, request: Request) -> Response {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    counter.misled(request.headers(), status, "method_not_allowed", "this path takes another method").await
}

impl Counter {
    /// Who calls.
    ///
    /// # Errors
    /// The answer: his credentials do not hold, or he calls too often.
    async fn identify(&self, word: &str, headers: &HeaderMap) -> Result<Caller, Response> {
        let caller = match &self.entrance {
            Entrance::Known(caller) => caller.clone().claims(self.claimed(word, caller, headers).await?),
            Entrance::Closed(author) => {
                let message = "only the user that Exequatur runs as, and root, may come in here";
                return Err(self.refuse(word, author, StatusCode::FORBIDDEN, "forbidden", message).await);
            }
            Entrance::Gate(gate, arrival) => match gate.let_in(headers, arrival, self.desk.now()).await {
                Ok(caller) => caller,
                Err(why) => return Err(self.keep_out(word, arrival, &why).await),
            },
        };
        self.not_too_often(word, caller).await
    }

    /// # Errors
    /// As for [`Self::identify`].
    async fn not_too_often(&self, word: &str, caller: Caller) -> Result<Caller, Response> {
        match self.desk.may_call(&caller.author.actor) {
            Ok(Ok(())) => Ok(caller),
            Ok(Err(wait)) => {
                // In sum, as for strangers: he does not decide how much is recorded.
                let order = self.desk.turn_away_in_sum(word, &caller.author, "too many calls").await;
                Err(limited(order, wait))
            }
            // Whether he may is not known.
            Err(
                StoreError::Poisoned
                | StoreError::Unavailable
                | StoreError::Full
                | StoreError::Foreign
                | StoreError::Unfit(_)
                | StoreError::NoRandomness,
            ) => {
                let message = "how often you called is not known";
                Err(self
                    .refuse(word, &caller.author, StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
                    .await)
            }
        }
    }

    /// Floods are told in sum: a stranger does not decide how much is recorded.
    async fn keep_out(&self, word: &str, arrival: &Arrival, why: &NotLetIn) -> Response {
        let (status, error) = why.answer();
        let author = Author::new(Actor::Stranger(arrival.peer.ip()));
        let order = self.desk.turn_stranger_away(word, &author, &why.to_string()).await;
        if let NotLetIn::TooOften(wait) = why {
            return limited(order, *wait);
        }
        let problem = Problem { order, error: error.to_owned(), message: why.to_string(), in_force: false };
        let mut answer = json(status, &problem);
        if status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }

    async fn claimed(
        &self,
        word: &str,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<Option<Claimed>, Response> {
        let mut values = headers.get_all(AS).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let claimed = std::str::from_utf8(value.as_bytes()).ok().and_then(Claimed::parse);
        if let (Some(claimed), None) = (claimed, values.next()) {
            return Ok(Some(claimed));
        }
        let message = format!("`{AS}` is one name of 1 to 64 letters, digits, spaces and `.@_+-`");
        Err(self.refuse(word, &caller.author, StatusCode::BAD_REQUEST, "as_invalid", &message).await)
    }

    /// Evidence that the caller may do this.
    ///
    /// # Errors
    /// The answer that says why not; it is recorded.
    async fn enter(&self, operation: Operation, headers: &HeaderMap) -> Result<Call, Response> {
        let caller = self.identify(operation.word(), headers).await?;
        if !caller.may(operation.needs()) {
            let message =
                format!("this needs the role {}, and you are {}", operation.needs().word(), caller.roles());
            let (word, author) = (operation.word(), &caller.author);
            return Err(self.refuse(word, author, StatusCode::FORBIDDEN, "forbidden", &message).await);
        }
        Ok(Call::new(operation, caller, self))
    }

    async fn misled(&self, headers: &HeaderMap, status: StatusCode, error: &str, message: &str) -> Response {
        match self.identify(UNKNOWN, headers).await {
            Ok(caller) => self.refuse(UNKNOWN, &caller.author, status, error, message).await,
            Err(answer) => answer,
        }
    }

    async fn refuse(
        &self,
        word: &str,
        author: &Author,
        status: StatusCode,
        error: &str,
        message: &str,
    ) -> Response {
        let order = Some(self.desk.turn_away(word, author, message).await);
        let (error, message) = (error.to_owned(), message.to_owned());
        json(status, &Problem { order, error, message, in_force: false })
    }
}
