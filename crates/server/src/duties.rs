//! What runs beside the workers for as long as the server does: accepting, reloading, observing, the HTTP
//! listeners. One that ends though nobody asked it to, by a panic too, is told of, and the server stops with an
//! error: it would go on deciding, but with old keys or policies, or out of reach.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics;

/// More than there are.
const MOST: usize = 16;

/// The duties of a server.
#[derive(Debug)]
pub(crate) struct Duties {
    tasks: TaskTracker,
    tell: mpsc::Sender<&'static str>,
    lost: mpsc::Receiver<&'static str>,
}

impl Duties {
    /// None yet; they run on `tasks`.
    pub(crate) fn new(tasks: TaskTracker) -> Self {
        let (tell, lost) = mpsc::channel(MOST);
        Self { tasks, tell, lost }
    }

    /// Begins one, which is to end after `stop` and not before.
    pub(crate) fn begin(
        &self,
        name: &'static str,
        stop: &CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let watch = Watch { name, stop: stop.clone(), tell: self.tell.clone() };
        self.tasks.spawn(async move {
            let _watch = watch;
            work.await;
        });
    }

    /// The name of one that has ended though nobody asked it to, as soon as there is one.
    pub(crate) async fn lost(&mut self) -> &'static str {
        match self.lost.recv().await {
            Some(name) => name,
            // We hold a sender ourselves.
            None => std::future::pending().await,
        }
    }
}

/// Dropped when its duty ends, whatever the cause.
struct Watch {
    name: &'static str,
    stop: CancellationToken,
    tell: mpsc::Sender<&'static str>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.stop.is_cancelled() {
            return;
        }
        metrics::duty_lost(self.name);
        tracing::error!(duty = self.name, "it ended though nobody asked it to; the server stops");
        // If there is no room, others were lost before; the first one ends the server.
        if self.tell.try_send(self.name).is_err() {
            tracing::debug!(duty = self.name, "nobody waits for this any more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duties() -> (Duties, CancellationToken) {
        (Duties::new(TaskTracker::new()), CancellationToken::new())
    }

    #[tokio::test]
    async fn one_that_panics_is_lost() {
        let (mut duties, stop) = duties();
        duties.begin("sound", &stop, std::future::pending());
        duties.begin("broken", &stop, async { panic!("as a mistake of ours would") });
        assert_eq!(duties.lost().await, "broken");
    }

    #[tokio::test]
    async fn one_that_returns_early_is_lost() {
        let (mut duties, stop) = duties();
        duties.begin("short", &stop, async {});
        assert_eq!(duties.lost().await, "short");
    }

    #[tokio::test]
    async fn one_that_ends_when_asked_is_not() {
        let (mut duties, stop) = duties();
        duties.begin("obedient", &stop, stop.clone().cancelled_owned());
        stop.cancel();
        duties.tasks.close();
        duties.tasks.wait().await;
        let lost = std::pin::pin!(duties.lost());
        assert!(tokio::time::timeout(std::time::Duration::ZERO, lost).await.is_err());
    }
}
