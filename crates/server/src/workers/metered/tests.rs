use std::collections::VecDeque;
use std::future::{Ready, poll_fn, ready};
use std::sync::{Arc, Mutex};

use super::*;

/// Answers each message with the same bytes, and notes whether there was room for it.
#[derive(Clone, Default)]
struct Echo(Arc<Mutex<Vec<bool>>>);

impl NamedService for Echo {
    const NAME: &'static str = "echo";
}

impl Service<Request<Whole>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Whole>) -> Self::Future {
        self.0.lock().unwrap().push(request.extensions().get::<NoRoom>().is_none());
        ready(Ok(Response::new(Body::new(request.into_body()))))
    }
}

enum Piece {
    Data(Vec<u8>),
    Pause,
    Breaks,
}

/// A request's body in pieces; without an end if the last one is a pause.
struct Pieces(VecDeque<Piece>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.0.pop_front() {
            Some(Piece::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data.into())))),
            Some(Piece::Pause) => {
                if self.0.is_empty() {
                    self.0.push_back(Piece::Pause);
                } else {
                    context.waker().wake_by_ref();
                }
                Poll::Pending
            }
            Some(Piece::Breaks) => Poll::Ready(Some(Err(Status::cancelled("reset")))),
            None => Poll::Ready(None),
        }
    }
}

fn request(pieces: impl IntoIterator<Item = Piece>) -> Request<Body> {
    Request::new(Body::new(Pieces(pieces.into_iter().collect())))
}

fn data(bytes: &[u8]) -> Piece {
    Piece::Data(bytes.to_vec())
}

fn metered() -> (Metered<Echo>, Echo, Budget) {
    let (echo, budget) = (Echo::default(), Budget::of_checks());
    (Metered::new(echo.clone(), budget.clone()), echo, budget)
}

async fn bytes_of(mut body: Body) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        all.extend(frame.unwrap().into_data().unwrap());
    }
    all
}

fn code(response: &Response<Body>) -> Option<&str> {
    response.headers().get("grpc-status").map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_message_arrives_whole_in_any_pieces() {
    let (mut metered, ..) = metered();
    let ways: [Vec<Piece>; 5] = [
        vec![data(b"abcdef")],
        vec![data(b"abc"), data(b"def")],
        vec![data(b"abc"), Piece::Pause, data(b"def")],
        vec![Piece::Pause, data(b"a"), data(b""), Piece::Pause, data(b"bcdef"), Piece::Pause, data(b"")],
        vec![data(b""), data(b"abcdef")],
    ];
    for pieces in ways {
        let Ok(response) = metered.call(request(pieces)).await;
        assert_eq!(bytes_of(response.into_body()).await, b"abcdef");
    }
}

/// C-18: what a request holds counts while its message comes, and until its answer was taken.
#[tokio::test]
async fn a_request_counts_until_its_answer_is_taken() {
    let (mut metered, echo, budget) = metered();
    let whole_budget = std::iter::from_fn(|| budget.begin().ok()).collect::<Vec<_>>().len();
    let unfinished =
        |metered: &mut Metered<Echo>| metered.call(request([Piece::Data(vec![0; 32 * 1024]), Piece::Pause]));
    let mut waiting = Vec::new();
    while !echo.0.lock().unwrap().contains(&false) {
        let mut one = unfinished(&mut metered);
        let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut one).poll(context))).await;
        if polled.is_pending() {
            waiting.push(one);
        }
        assert!(waiting.len() < 2000, "there is no end");
    }
    assert!(waiting.len() > 1000, "{}", waiting.len());
    // No usual message has room now; what gives up makes room.
    let whole = || request([Piece::Data(vec![1; 32 * 1024])]);
    let Ok(refused) = metered.call(whole()).await;
    assert_eq!(bytes_of(refused.into_body()).await, EMPTY);
    drop(waiting.pop());
    let Ok(answered) = metered.call(whole()).await;
    let Ok(refused) = metered.call(whole()).await;
    assert_eq!(bytes_of(refused.into_body()).await, EMPTY);
    assert_eq!(bytes_of(answered.into_body()).await.len(), 32 * 1024);
    let Ok(answered) = metered.call(whole()).await;
    assert_eq!(bytes_of(answered.into_body()).await.len(), 32 * 1024);
    // With no room for words either, there is a status alone; it was counted all the same.
    let all: Vec<_> = std::iter::from_fn(|| budget.begin().ok()).collect();
    let refusals: Vec<_> = std::iter::from_fn(|| budget.refuse().ok()).collect();
    let before = echo.0.lock().unwrap().len();
    let Ok(refused) = metered.call(whole()).await;
    assert_eq!(code(&refused), Some("8"));
    assert!(bytes_of(refused.into_body()).await.is_empty());
    assert_eq!(echo.0.lock().unwrap()[before..], [false]);
    drop((waiting, all, refusals));
    let all: Vec<_> = std::iter::from_fn(|| budget.begin().ok()).collect();
    assert_eq!(all.len(), whole_budget, "all is given back");
}

/// C-18: a service without words for it is not asked for any: it would answer another question.
#[tokio::test]
async fn health_is_refused_by_a_status() {
    let (echo, budget) = (Echo::default(), Budget::of_health());
    let mut metered = Metered::new(echo.clone(), budget.clone());
    let mut held: Vec<_> = std::iter::from_fn(|| budget.begin().ok()).collect();
    // Room to begin, and none for a large message; then none to begin.
    held.pop();
    for _ in 0..2 {
        let Ok(refused) = metered.call(request([Piece::Data(vec![0; 64 * 1024])])).await;
        assert_eq!(code(&refused), Some("8"));
        held.extend(budget.begin().ok());
    }
    assert!(echo.0.lock().unwrap().is_empty());
    drop(held);
    let Ok(answered) = metered.call(request([data(b"message")])).await;
    assert_eq!(bytes_of(answered.into_body()).await, b"message");
}

/// C-18: a message above the bound is not read on, and never looked at.
#[tokio::test]
async fn a_message_that_is_too_long_is_not_looked_at() {
    let (mut metered, echo, _) = metered();
    let Ok(response) = metered.call(request([Piece::Data(vec![0; MAX_MESSAGE + PREFIX])])).await;
    assert_eq!(bytes_of(response.into_body()).await.len(), MAX_MESSAGE + PREFIX);
    let too_long = [Piece::Data(vec![0; MAX_MESSAGE + PREFIX]), data(b"x"), Piece::Pause];
    let Ok(response) = metered.call(request(too_long)).await;
    assert_eq!(code(&response), Some("11"));
    assert_eq!(echo.0.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_message_that_breaks_off_is_not_looked_at() {
    let (mut metered, echo, _) = metered();
    let Ok(response) = metered.call(request([data(b"abc"), Piece::Breaks])).await;
    assert_eq!(code(&response), Some("1"));
    assert!(echo.0.lock().unwrap().is_empty());
}
