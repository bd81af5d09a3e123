//! kameo: actors on a tokio runtime of one thread, bounded mailboxes, tells by `tell(..).send()`.

use crate::peer::{self, Far, FarJob, Job, MAILBOX, Peer, Place, RALLY_OVER, STARTED, TOUCHED};
use ::kameo::{
    actor::{Actor, ActorRef, Spawn},
    mailbox,
    message::{Context, Message},
};
use futures_util::future::BoxFuture;
use std::convert::Infallible;

pub(crate) struct Kameo;

#[derive(Default)]
pub(crate) struct Counter {
    count: u64,
    other: Option<ActorRef<Self>>,
}

impl Actor for Counter {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(args: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(args)
    }
}

struct Tell(u64);

impl Message<Tell> for Counter {
    type Reply = ();

    async fn handle(&mut self, Tell(value): Tell, _: &mut Context<Self, ()>) {
        self.count += 1;
        std::hint::black_box(value);
    }
}

struct Ask;

impl Message<Ask> for Counter {
    type Reply = u64;

    async fn handle(&mut self, _: Ask, _: &mut Context<Self, u64>) -> u64 {
        self.count += 1;
        self.count
    }
}

struct Flood;

impl Message<Flood> for Counter {
    type Reply = ();

    async fn handle(&mut self, _: Flood, _: &mut Context<Self, ()>) {
        self.count += 1;
        peer::busy();
    }
}

struct Meet(ActorRef<Counter>);

impl Message<Meet> for Counter {
    type Reply = ();

    async fn handle(&mut self, Meet(other): Meet, _: &mut Context<Self, ()>) {
        self.other = Some(other);
    }
}

struct Ball(u64);

impl Message<Ball> for Counter {
    type Reply = ();

    async fn handle(&mut self, Ball(left): Ball, _: &mut Context<Self, ()>) {
        self.count += 1;
        match (left, &self.other) {
            (0, _) => RALLY_OVER.notify_one(),
            (_, other) => {
                let other = other.as_ref().expect("they have met");
                other.tell(Ball(left - 1)).send().await.expect("it runs");
            }
        }
    }
}

struct Run(BoxFuture<'static, ()>);

impl Message<Run> for Counter {
    type Reply = ();

    async fn handle(&mut self, Run(job): Run, _: &mut Context<Self, ()>) {
        job.await;
    }
}

pub(crate) struct Idle {
    key: [u8; 16],
    count: u64,
}

impl Actor for Idle {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(args: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        STARTED.up();
        Ok(args)
    }
}

struct Touch;

impl Message<Touch> for Idle {
    type Reply = ();

    async fn handle(&mut self, _: Touch, _: &mut Context<Self, ()>) {
        self.count += 1;
        std::hint::black_box(&self.key);
        TOUCHED.up();
    }
}

fn block_on(future: BoxFuture<'static, ()>) {
    peer::runtime().block_on(future);
}

fn start() -> ActorRef<Counter> {
    Counter::spawn_with_mailbox(Counter::default(), mailbox::bounded(MAILBOX))
}

impl Peer for Kameo {
    const NAME: &'static str = "kameo";

    type World = ();
    type Counter = ActorRef<Counter>;
    type Idle = ActorRef<Idle>;

    fn alone<T: Send + 'static>(place: Place, job: Job<(), T>) -> T {
        let job = match place {
            Place::Main => job,
            Place::Turn => peer::job(|()| async {
                let (tell, told) = tokio::sync::oneshot::channel();
                let run = Run(Box::pin(async move {
                    let _gone = tell.send(job(()).await);
                }));
                let driver = start();
                driver
                    .tell(run)
                    .send()
                    .await
                    .unwrap_or_else(|_| panic!("the driver runs"));
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
        let sent = counter.tell(Tell(value)).send().await;
        sent.unwrap_or_else(|_| panic!("the counter has ended"));
    }

    async fn ask(counter: &Self::Counter) -> u64 {
        let reply = counter.ask(Ask).send().await;
        reply.unwrap_or_else(|_| panic!("the counter has ended"))
    }

    fn try_flood(counter: &Self::Counter) -> bool {
        counter.tell(Flood).try_send().is_ok()
    }

    async fn meet(one: &Self::Counter, other: &Self::Counter) {
        for (one, other) in [(one, other), (other, one)] {
            let met = one.ask(Meet(other.clone())).send().await;
            met.unwrap_or_else(|_| panic!("the counter has ended"));
        }
    }

    async fn serve(counter: &Self::Counter, left: u64) {
        let sent = counter.tell(Ball(left)).send().await;
        sent.unwrap_or_else(|_| panic!("the counter has ended"));
    }

    async fn idle(_: &(), key: u64) -> Self::Idle {
        let mut idle = Idle { key: [0; 16], count: 0 };
        idle.key[..8].copy_from_slice(&key.to_le_bytes());
        Idle::spawn_with_mailbox(idle, mailbox::bounded(MAILBOX))
    }

    async fn touch(idle: &Self::Idle) {
        let sent = idle.tell(Touch).send().await;
        sent.unwrap_or_else(|_| panic!("the actor has ended"));
    }
}
