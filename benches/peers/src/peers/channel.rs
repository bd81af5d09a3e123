//! What people write by hand: a tokio task that owns its state and reads a bounded channel.

use crate::peer::{self, Far, FarJob, Job, MAILBOX, Peer, Place, RALLY_OVER, STARTED, TOUCHED};
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

pub(crate) struct Channel;

pub(crate) enum Message {
    Tell(u64),
    Ask(oneshot::Sender<u64>),
    Flood,
    Meet(mpsc::Sender<Message>),
    Ball(u64),
    Run(BoxFuture<'static, ()>),
}

async fn counter(mut messages: mpsc::Receiver<Message>) {
    let mut count = 0;
    let mut other = None;
    while let Some(message) = messages.recv().await {
        count += 1;
        match message {
            Message::Tell(value) => {
                std::hint::black_box(value);
            }
            Message::Ask(reply) => reply.send(count).expect("it is waited for"),
            Message::Flood => peer::busy(),
            Message::Meet(met) => other = Some(met),
            Message::Ball(0) => RALLY_OVER.notify_one(),
            Message::Ball(left) => {
                let other = other.as_ref().expect("they have met");
                other.send(Message::Ball(left - 1)).await.expect("it runs");
            }
            Message::Run(job) => job.await,
        }
    }
}

pub(crate) struct Touch;

async fn idle(key: [u8; 16], mut messages: mpsc::Receiver<Touch>) {
    STARTED.up();
    let mut count = 0_u64;
    while messages.recv().await.is_some() {
        count += 1;
        std::hint::black_box((&key, &count));
        TOUCHED.up();
    }
}

fn block_on(future: BoxFuture<'static, ()>) {
    peer::runtime().block_on(future);
}

fn start() -> mpsc::Sender<Message> {
    let (sender, receiver) = mpsc::channel(MAILBOX);
    tokio::spawn(counter(receiver));
    sender
}

impl Peer for Channel {
    const NAME: &'static str = "mpsc";

    type World = ();
    type Counter = mpsc::Sender<Message>;
    type Idle = mpsc::Sender<Touch>;

    fn alone<T: Send + 'static>(place: Place, job: Job<(), T>) -> T {
        let job = match place {
            Place::Main => job,
            Place::Turn => peer::job(|()| async {
                let (tell, told) = oneshot::channel();
                let run = Message::Run(Box::pin(async move {
                    let _gone = tell.send(job(()).await);
                }));
                let driver = start();
                driver.send(run).await.unwrap_or_else(|_| panic!("the driver runs"));
                told.await.expect("the job has ended")
            }),
        };
        peer::alone(block_on, job)
    }

    fn apart<S, T>(_: Far, setup: Job<(), S>, jobs: Vec<FarJob<(), S, T>>) -> Vec<T>
    where
        S: Clone + Send + 'static,
        T: Send + 'static,
    {
        peer::apart(block_on, setup, jobs)
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    async fn counter(_: &(), _: &str) -> Self::Counter {
        start()
    }

    async fn tell(counter: &Self::Counter, value: u64) {
        let sent = counter.send(Message::Tell(value)).await;
        sent.unwrap_or_else(|_| panic!("the counter has ended"));
    }

    async fn ask(counter: &Self::Counter) -> u64 {
        let (tell, told) = oneshot::channel();
        let sent = counter.send(Message::Ask(tell)).await;
        sent.unwrap_or_else(|_| panic!("the counter has ended"));
        told.await.expect("it runs")
    }

    fn try_flood(counter: &Self::Counter) -> bool {
        counter.try_send(Message::Flood).is_ok()
    }

    async fn meet(one: &Self::Counter, other: &Self::Counter) {
        for (one, other) in [(one, other), (other, one)] {
            let sent = one.send(Message::Meet(other.clone())).await;
            sent.unwrap_or_else(|_| panic!("the counter has ended"));
        }
    }

    async fn serve(counter: &Self::Counter, left: u64) {
        let sent = counter.send(Message::Ball(left)).await;
        sent.unwrap_or_else(|_| panic!("the counter has ended"));
    }

    async fn idle(_: &(), key: u64) -> Self::Idle {
        let (sender, receiver) = mpsc::channel(MAILBOX);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&key.to_le_bytes());
        tokio::spawn(idle(bytes, receiver));
        sender
    }

    async fn touch(idle: &Self::Idle) {
        let sent = idle.send(Touch).await;
        sent.unwrap_or_else(|_| panic!("the actor has ended"));
    }
}
