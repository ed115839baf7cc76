//! What is to be written to a connection, gathered so that answers that are ready together go out together.
//!
//! HTTP/2 flushes after every answer that is longer than a few words, and a write of its own for each answer costs
//! more than making it. So the first flush after something was added only asks to be called again; by then the runtime
//! has done what else it had to do, and what was added in the meantime goes out in the same write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// Bytes that wait at most. Beyond that nothing more is taken until the client has taken some.
const MOST: usize = 64 * 1024;
/// Room that is kept while nothing waits.
const KEPT: usize = 8 * 1024;

/// Bytes that wait for the next write.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// How many of them are written.
    written: usize,
    /// Whether something was added since the last flush.
    fresh: bool,
}

impl Outbox {
    /// Takes what there is room for; makes room first if there is none.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.bytes.len() >= MOST {
            ready!(self.drain(stream, context))?;
        }
        let before = self.bytes.len();
        for slice in slices {
            let room = MOST.saturating_sub(self.bytes.len());
            self.bytes.extend_from_slice(slice.get(..room).unwrap_or(slice));
        }
        self.fresh = true;
        Poll::Ready(Ok(self.bytes.len().saturating_sub(before)))
    }

    /// Writes what waits, unless it was added only now: then the caller is woken to come again.
    pub(super) fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.fresh) {
            context.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(self.drain(stream, context))?;
        Pin::new(stream).poll_flush(context)
    }

    /// Writes what waits, then ends the stream.
    pub(super) fn poll_shutdown<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.drain(stream, context))?;
        Pin::new(stream).poll_shutdown(context)
    }

    fn drain<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(rest @ [_, ..]) = self.bytes.get(self.written..) {
            let count = ready!(Pin::new(&mut *stream).poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written = self.written.saturating_add(count);
        }
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn write(outbox: &mut Outbox, stream: &mut DuplexStream, context: &mut Context<'_>, bytes: &[u8]) {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let slices = [IoSlice::new(first), IoSlice::new(second)];
        assert!(
            matches!(outbox.poll_write(stream, context, &slices), Poll::Ready(Ok(count)) if count == bytes.len())
        );
    }

    /// Two answers, each flushed, go out in one write, and whoever flushes is called again for it.
    #[tokio::test]
    async fn what_is_ready_together_goes_out_together() {
        let (mut ours, mut theirs) = duplex(1024);
        let (mut outbox, bell) = (Outbox::default(), Arc::new(Bell::default()));
        let waker = Waker::from(Arc::clone(&bell));
        let mut context = Context::from_waker(&waker);
        for (number, answer) in [&b"one answer"[..], b", another"].into_iter().enumerate() {
            write(&mut outbox, &mut ours, &mut context, answer);
            assert!(matches!(outbox.poll_flush(&mut ours, &mut context), Poll::Ready(Ok(()))));
            assert_eq!(bell.0.load(Ordering::Relaxed), number + 1);
        }
        assert!(matches!(outbox.poll_flush(&mut ours, &mut context), Poll::Ready(Ok(()))));
        let mut read = [0; 64];
        assert_eq!(theirs.read(&mut read).await.unwrap(), 19);
        assert_eq!(&read[..19], b"one answer, another");
        // Nothing waits, and nobody is woken for nothing.
        assert!(matches!(outbox.poll_flush(&mut ours, &mut context), Poll::Ready(Ok(()))));
        assert_eq!(bell.0.load(Ordering::Relaxed), 2);
    }

    /// C-18: who reads nothing is sent nothing more, beyond a bound; who reads late still reads everything.
    #[tokio::test]
    async fn what_waits_is_bounded_and_in_order() {
        let (mut ours, mut theirs) = duplex(100);
        let mut outbox = Outbox::default();
        let all: Vec<u8> = (0..3 * MOST).map(|number| u8::try_from(number % 251).unwrap()).collect();
        let mut rest = all.as_slice();
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(count) = outbox.poll_write(&mut ours, &mut context, &[IoSlice::new(rest)]) {
            rest = rest.get(count.unwrap()..).unwrap();
            drop(outbox.poll_flush(&mut ours, &mut context));
        }
        assert!(outbox.bytes.len() <= MOST && all.len() - rest.len() <= MOST + 100);
        let reading = async {
            let mut read = Vec::new();
            theirs.read_to_end(&mut read).await.unwrap();
            read
        };
        let writing = async {
            while !rest.is_empty() {
                let slices = [IoSlice::new(rest)];
                let count = poll_fn(|context| outbox.poll_write(&mut ours, context, &slices)).await.unwrap();
                rest = rest.get(count..).unwrap();
            }
            // Without a flush: the end writes what waits.
            poll_fn(|context| outbox.poll_shutdown(&mut ours, context)).await.unwrap();
        };
        let (read, ()) = tokio::join!(reading, writing);
        assert_eq!(read, all);
        assert!(outbox.bytes.capacity() <= KEPT);
    }

    #[tokio::test]
    async fn a_client_that_is_gone_is_an_error() {
        let (mut ours, theirs) = duplex(100);
        let (mut outbox, mut context) = (Outbox::default(), Context::from_waker(Waker::noop()));
        drop(theirs);
        write(&mut outbox, &mut ours, &mut context, b"answer");
        assert!(matches!(outbox.poll_flush(&mut ours, &mut context), Poll::Ready(Ok(()))));
        assert!(matches!(outbox.poll_flush(&mut ours, &mut context), Poll::Ready(Err(_))));
    }
}
