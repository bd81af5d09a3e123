//! Sockets that go from thread to thread with the task that uses them.
//!
//! A socket is woken by the reactor of the runtime that it was made in. Here each half of a stream, and each listener, finds out
//! in which runtime it is polled, and goes over to the reactor of that one if it is another: under a second descriptor of the same
//! socket, so that the half which is polled later finds its own. Nothing is lost or read twice: what has come is in the socket.

use parking_lot::Mutex;
use std::{
    future::poll_fn,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Join, ReadBuf, join},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::{Handle, Id},
};

/// Both halves of a TCP stream.
pub(super) type RoamingStream = Join<RoamingReader, RoamingWriter>;

/// The stream, from the thread that runs this.
pub(super) fn roaming(stream: TcpStream) -> RoamingStream {
    let home = Handle::current().id();
    let (reader, writer) = stream.into_split();
    let halves = Arc::new(Mutex::new(Halves {
        home,
        reader: None,
        writer: None,
    }));
    let reader = RoamingReader {
        half: reader,
        home,
        halves: halves.clone(),
    };
    let writer = RoamingWriter {
        half: Some(writer),
        home,
        halves,
    };
    join(reader, writer)
}

/// The runtime that polls now, if it is another than `home`.
fn moved_from(home: Id) -> Option<Id> {
    let here = Handle::try_current().ok()?.id();
    (here != home).then_some(here)
}

/// The halves that belong to the reactor of `home` and were not polled there yet.
struct Halves {
    home: Id,
    reader: Option<OwnedReadHalf>,
    writer: Option<OwnedWriteHalf>,
}

impl Halves {
    /// Both halves belong to the reactor of this thread from now on.
    fn settle(&mut self, here: Id, stream: &TcpStream) -> io::Result<()> {
        if self.home != here {
            let (reader, writer) = TcpStream::from_std(again(stream)?)?.into_split();
            self.reader = Some(reader);
            if let Some(unused) = self.writer.replace(writer) {
                unused.forget();
            }
            self.home = here;
        }
        Ok(())
    }
}

impl Drop for Halves {
    fn drop(&mut self) {
        if let Some(unused) = self.writer.take() {
            // The other descriptor's half has shut the sending direction down, or has left it open.
            unused.forget();
        }
    }
}

/// The same socket under another descriptor.
fn again(stream: &TcpStream) -> io::Result<std::net::TcpStream> {
    Ok(rustix::io::fcntl_dupfd_cloexec(stream, 0)?.into())
}

/// The half that reads.
pub(super) struct RoamingReader {
    half: OwnedReadHalf,
    home: Id,
    halves: Arc<Mutex<Halves>>,
}

impl RoamingReader {
    fn settle(&mut self) -> io::Result<()> {
        let Some(here) = moved_from(self.home) else {
            return Ok(());
        };
        let mut halves = self.halves.lock();
        halves.settle(here, self.half.as_ref())?;
        self.home = here;
        self.half = halves.reader.take().expect("invariant: each half is taken once");
        Ok(())
    }
}

impl AsyncRead for RoamingReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.settle()?;
        Pin::new(&mut self.half).poll_read(cx, buffer)
    }
}

/// The half that writes; dropped, it shuts the sending direction down.
pub(super) struct RoamingWriter {
    /// Always there until it is dropped.
    half: Option<OwnedWriteHalf>,
    home: Id,
    halves: Arc<Mutex<Halves>>,
}

impl RoamingWriter {
    fn here(&mut self) -> io::Result<Pin<&mut OwnedWriteHalf>> {
        if let (Some(here), Some(half)) = (moved_from(self.home), &self.half) {
            let mut halves = self.halves.lock();
            halves.settle(here, half.as_ref())?;
            let new = halves.writer.take().expect("invariant: each half is taken once");
            if let Some(old) = self.half.replace(new) {
                old.forget();
            }
            self.home = here;
        }
        let half = self.half.as_mut().expect("invariant: it is there until it is dropped");
        Ok(Pin::new(half))
    }
}

impl AsyncWrite for RoamingWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.here()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.here()?.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_shutdown(cx)
    }
}

/// A listener.
pub(super) struct RoamingListener {
    listener: TcpListener,
    home: Id,
}

impl RoamingListener {
    /// The listener, from the thread that runs this.
    pub(super) fn new(listener: TcpListener) -> Self {
        Self {
            listener,
            home: Handle::current().id(),
        }
    }

    /// The next stream, and where it comes from.
    pub(super) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        if let Some(here) = moved_from(self.home) {
            let same = rustix::io::fcntl_dupfd_cloexec(&self.listener, 0).map_err(io::Error::from)?;
            self.listener = TcpListener::from_std(same.into())?;
            self.home = here;
        }
        self.listener.poll_accept(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        runtime::{Builder, Runtime},
    };

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    #[test]
    fn streams_and_listeners_work_in_each_runtime_in_turn() {
        let runtimes = [runtime(), runtime(), runtime()];
        let mut listener = runtimes[0]
            .block_on(async { RoamingListener::new(TcpListener::bind("127.0.0.1:0").await.expect("a port")) });
        let address = listener.listener.local_addr().expect("it has one");
        let mut there = std::net::TcpStream::connect(address).expect("it listens");
        let mut here = runtimes[1].block_on(async { roaming(listener.accept().await.expect("it was dialled").0) });
        for (number, runtime) in (1u8..).zip(runtimes.iter().chain(&runtimes)) {
            // The peer writes after the first look of who reads: the reactor has to wake it.
            let read = runtime.block_on(async {
                let writes = async { std::io::Write::write_all(&mut there, &[number]).expect("written") };
                let (read, ()) = futures_util::future::join(here.read_u8(), writes).await;
                let read = read.expect("read");
                here.write_all(&[read]).await.expect("written");
                read
            });
            assert_eq!(read, number);
        }
        drop(here);
        let mut all = Vec::new();
        std::io::Read::read_to_end(&mut there, &mut all).expect("it ends");
        assert_eq!(all, [1, 2, 3, 4, 5, 6]);
    }
}
