//! What a hand can do with TCP, MessagePack and tokio, and nothing else: no epochs, no moves, no deadlines, no bounds.

use super::one_thread;
use crate::{
    caller::{self, Caller, Scenario},
    children,
};
use anyhow::Context as _;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot},
};
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

#[derive(Serialize, Deserialize)]
enum Body {
    Echo(#[serde(with = "serde_bytes")] Vec<u8>),
    Take(#[serde(with = "serde_bytes")] Vec<u8>),
    Count,
    Counted(u64),
}

#[derive(Serialize, Deserialize)]
struct Frame {
    id: u64,
    body: Body,
}

/// Writes frames, as many at once as there are.
async fn write(mut stream: OwnedWriteHalf, mut frames: mpsc::UnboundedReceiver<Frame>) -> anyhow::Result<()> {
    let (mut some, mut bytes) = (Vec::with_capacity(256), Vec::with_capacity(64 * 1024));
    while frames.recv_many(&mut some, 256).await > 0 {
        bytes.clear();
        for frame in some.drain(..) {
            let start = bytes.len();
            bytes.extend_from_slice(&[0; 4]);
            rmp_serde::encode::write(&mut bytes, &frame)?;
            let len = u32::try_from(bytes.len() - start - 4)?;
            bytes[start..start + 4].copy_from_slice(&len.to_be_bytes());
        }
        stream.write_all(&bytes).await?;
    }
    Ok(())
}

fn reader(stream: OwnedReadHalf) -> FramedRead<OwnedReadHalf, LengthDelimitedCodec> {
    FramedRead::with_capacity(stream, LengthDelimitedCodec::new(), 64 * 1024)
}

async fn act(mut inbox: mpsc::Receiver<Frame>, replies: mpsc::UnboundedSender<Frame>) {
    let mut count = 0;
    while let Some(Frame { id, body }) = inbox.recv().await {
        let body = match body {
            Body::Echo(payload) => {
                count += 1;
                Body::Echo(payload)
            }
            Body::Take(payload) => {
                count += 1;
                std::hint::black_box(payload);
                continue;
            }
            _ => Body::Counted(count),
        };
        let _ = replies.send(Frame { id, body });
    }
}

pub(super) fn serve() -> anyhow::Result<()> {
    one_thread()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let place = listener.local_addr()?.to_string();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (read, written) = stream.into_split();
            let (replies, frames) = mpsc::unbounded_channel();
            tokio::spawn(write(written, frames));
            let (mailbox, inbox) = mpsc::channel(1000);
            tokio::spawn(act(inbox, replies));
            let mut reader = reader(read);
            while let Some(frame) = reader.next().await {
                mailbox.send(rmp_serde::from_slice(&frame?)?).await?;
            }
            anyhow::Ok(())
        });
        tokio::task::spawn_blocking(move || children::serve_until_told(&place)).await?;
        Ok(())
    })
}

#[derive(Clone)]
struct Connection {
    frames: mpsc::UnboundedSender<Frame>,
    last: Rc<Cell<u64>>,
    waiting: Rc<RefCell<HashMap<u64, oneshot::Sender<Body>>>>,
}

impl Connection {
    fn next(&self) -> u64 {
        self.last.set(self.last.get() + 1);
        self.last.get()
    }

    async fn call(&self, body: Body) -> anyhow::Result<Body> {
        let (id, (answer, answered)) = (self.next(), oneshot::channel());
        self.waiting.borrow_mut().insert(id, answer);
        self.frames.send(Frame { id, body })?;
        Ok(answered.await?)
    }
}

impl Caller for Connection {
    async fn ask(&self, payload: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        match self.call(Body::Echo(payload)).await? {
            Body::Echo(payload) => Ok(payload),
            _ => anyhow::bail!("another answer"),
        }
    }

    async fn tell(&self, payload: Vec<u8>) -> anyhow::Result<()> {
        let id = self.next();
        self.frames.send(Frame {
            id,
            body: Body::Take(payload),
        })?;
        if id.is_multiple_of(1000) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn count(&self) -> anyhow::Result<u64> {
        match self.call(Body::Count).await? {
            Body::Counted(count) => Ok(count),
            _ => anyhow::bail!("another answer"),
        }
    }
}

pub(super) fn call(place: &str, scenario: Scenario, seconds: f64) -> anyhow::Result<f64> {
    let local = tokio::task::LocalSet::new();
    local.block_on(&one_thread()?, async {
        let stream = TcpStream::connect(place).await?;
        stream.set_nodelay(true)?;
        let (read, written) = stream.into_split();
        let (frames, to_write) = mpsc::unbounded_channel();
        tokio::spawn(write(written, to_write));
        let connection = Connection {
            frames,
            last: Rc::default(),
            waiting: Rc::default(),
        };
        let waiting = Rc::clone(&connection.waiting);
        tokio::task::spawn_local(async move {
            let mut reader = reader(read);
            while let Some(frame) = reader.next().await {
                let Frame { id, body } = rmp_serde::from_slice(&frame?)?;
                let answer = waiting
                    .borrow_mut()
                    .remove(&id)
                    .context("an answer that nobody waits for")?;
                let _ = answer.send(body);
            }
            anyhow::Ok(())
        });
        caller::measure(connection, scenario, seconds).await
    })
}
