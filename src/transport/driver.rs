//! The writer of a link.

use super::link::Link;
use crate::wire::Outgoing;
use bytes::Buf;
use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::AsyncWrite;

/// Of how many pieces one write takes bytes.
const PIECES: usize = 64;

/// Writes what the senders queue, a batch at hand in one call, until the link is closed, aborted or broken.
pub(super) fn drive<W>(link: Arc<Link>, writer: W) -> impl Future<Output = ()> + Send + 'static
where
    W: AsyncWrite + Send + Unpin + 'static,
{
    // Taken by the future now, so that it takes effect if the future is dropped before its first poll.
    let mut driver = Driver { link, writer };
    async move {
        if let Err(error) = driver.run().await {
            tracing::debug!(%error, "a link can no longer be written to");
        }
    }
}

struct Driver<W> {
    link: Arc<Link>,
    writer: W,
}

impl<W: AsyncWrite + Unpin> Driver<W> {
    async fn run(&mut self) -> io::Result<()> {
        let mut batch = Outgoing::new();
        while let Some(lane) = poll_fn(|cx| self.link.poll_batch(cx, &mut batch)).await {
            let bytes = batch.remaining() as u64;
            while batch.has_remaining() {
                let written = self.unless_aborted(|writer, cx| poll_write(writer, cx, &batch)).await?;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                batch.advance(written);
                self.link.wrote(written);
            }
            self.unless_aborted(AsyncWrite::poll_flush).await?;
            self.link.flushed_to_system(lane, bytes);
            batch.clear();
        }
        self.unless_aborted(AsyncWrite::poll_shutdown).await
    }

    async fn unless_aborted<T>(
        &mut self,
        mut poll: impl FnMut(Pin<&mut W>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        poll_fn(|cx| {
            self.link.writer.register(cx.waker());
            if self.link.is_aborted() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            poll(Pin::new(&mut self.writer), cx)
        })
        .await
    }
}

impl<W> Drop for Driver<W> {
    fn drop(&mut self) {
        self.link.end();
    }
}

fn poll_write<W: AsyncWrite>(writer: Pin<&mut W>, cx: &mut Context<'_>, batch: &Outgoing) -> Poll<io::Result<usize>> {
    let mut pieces = [IoSlice::new(&[]); PIECES];
    let count = batch.chunks_vectored(&mut pieces);
    if count > 1 && writer.is_write_vectored() {
        writer.poll_write_vectored(cx, &pieces[..count])
    } else {
        writer.poll_write(cx, batch.chunk())
    }
}
