use std::os::unix::net::UnixStream;

use super::*;

fn workers(
    served: mpsc::Receiver<Result<(), WorkerError>>,
    gone: Vec<oneshot::Receiver<Infallible>>,
) -> Workers {
    let (drain, end) = (CancellationToken::new(), CancellationToken::new());
    Workers { intake: Intake::default(), drain, end, served, gone }
}

/// As a mistake of ours would: everything that its thread held is dropped, and told by that.
#[tokio::test]
async fn a_worker_that_panics_is_told_of_and_its_desk_is_left() {
    let desks: Arc<[Desk]> = (0..2).map(|_| Desk::new(tokio::runtime::Handle::current())).collect();
    let floor = Floor { desks: Arc::clone(&desks), own: 0 };
    let patience = Duration::from_secs(1);
    let _busy: Vec<_> = (0..SHORTER_BY).map(|_| desks[0].queue.enter(patience).unwrap()).collect();
    assert_eq!(floor.choose().map(|(index, _)| index), Some(1), "the shorter queue");
    let (tell, served) = mpsc::channel(2);
    let still_there = Outcome { tell: tell.clone(), told: false };
    let outcome = Outcome { tell, told: false };
    let thread = std::thread::spawn(move || {
        let (_outcome, _at_desk) = (outcome, AtDesk(&desks[1]));
        panic!("as a mistake of ours would");
    });
    assert!(thread.join().is_err());
    assert!(matches!(workers(served, Vec::new()).broken().await, WorkerError::Gone));
    assert_eq!(floor.choose().map(|(index, _)| index), Some(0), "nobody comes to the other one");
    drop(still_there);
}

#[tokio::test]
async fn connections_go_to_workers_that_are_there() {
    let (intact, mut taken) = mpsc::channel(4);
    let slots = [mpsc::channel(4).0, intact].map(|connections| Slot {
        connections,
        open: Arc::default(),
        queue: Queue::new(),
    });
    let intake = Intake { slots: slots.into(), turned_away: TurnedAway::default() };
    let held: Vec<_> = (0..3)
        .map(|_| {
            let (ours, theirs) = UnixStream::pair().unwrap();
            intake.place(Accepted::Unix(theirs));
            ours
        })
        .collect();
    for _ in &held {
        assert!(taken.try_recv().is_ok());
    }
    assert_eq!(intake.turned_away().total(), 0);
}

/// Neither connections that stay open nor threads that do not end hold it up for longer than its one bound.
#[tokio::test(start_paused = true)]
async fn finishing_takes_no_longer_than_it_says() {
    let ((_served, open), (_gone, there)) = (mpsc::channel(1), oneshot::channel());
    let begun = tokio::time::Instant::now();
    let finished = workers(open, vec![there]).finish().await;
    assert!(finished.is_ok());
    let (took, tick) = (begun.elapsed(), Duration::from_millis(10));
    assert!(WORKERS_WITHIN <= took && took <= WORKERS_WITHIN + tick, "{took:?}");
}
