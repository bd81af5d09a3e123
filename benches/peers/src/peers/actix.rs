//! actix 0.13: an actix system on each thread, mailboxes bounded by `set_mailbox_capacity`, tells by `try_send`.

use crate::peer::{self, Far, FarJob, Job, MAILBOX, Peer, Place, RALLY_OVER, STARTED, TOUCHED};
use ::actix::{Actor, Addr, Context, Handler, Message, MessageResult, ResponseFuture, dev::SendError};
use futures_util::future::BoxFuture;
use std::time::{Duration, Instant};

pub(crate) struct Actix;

#[derive(Default)]
pub(crate) struct Counter {
    count: u64,
    other: Option<Addr<Self>>,
}

impl Actor for Counter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Tell(u64);

impl Handler<Tell> for Counter {
    type Result = ();

    fn handle(&mut self, Tell(value): Tell, _: &mut Self::Context) {
        self.count += 1;
        std::hint::black_box(value);
    }
}

#[derive(Message)]
#[rtype(result = "u64")]
struct Ask;

impl Handler<Ask> for Counter {
    type Result = MessageResult<Ask>;

    fn handle(&mut self, _: Ask, _: &mut Self::Context) -> Self::Result {
        self.count += 1;
        MessageResult(self.count)
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Flood;

impl Handler<Flood> for Counter {
    type Result = ();

    fn handle(&mut self, _: Flood, _: &mut Self::Context) {
        self.count += 1;
        peer::busy();
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Meet(Addr<Counter>);

impl Handler<Meet> for Counter {
    type Result = ();

    fn handle(&mut self, Meet(other): Meet, _: &mut Self::Context) {
        self.other = Some(other);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Ball(u64);

impl Handler<Ball> for Counter {
    type Result = ();

    fn handle(&mut self, Ball(left): Ball, _: &mut Self::Context) {
        self.count += 1;
        match (left, &self.other) {
            (0, _) => RALLY_OVER.notify_one(),
            (_, other) => other.as_ref().expect("they have met").do_send(Ball(left - 1)),
        }
    }
}

/// A turn that runs a job.
#[derive(Message)]
#[rtype(result = "()")]
struct Run(BoxFuture<'static, ()>);

impl Handler<Run> for Counter {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Run(job): Run, _: &mut Self::Context) -> Self::Result {
        job
    }
}

pub(crate) struct Idle {
    key: [u8; 16],
    count: u64,
}

impl Actor for Idle {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        STARTED.up();
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Touch;

impl Handler<Touch> for Idle {
    type Result = ();

    fn handle(&mut self, _: Touch, _: &mut Self::Context) {
        self.count += 1;
        std::hint::black_box(&self.key);
        TOUCHED.up();
    }
}

fn block_on(future: BoxFuture<'static, ()>) {
    actix_rt::System::new().block_on(future);
}

impl Peer for Actix {
    const NAME: &'static str = "actix";

    type World = ();
    type Counter = Addr<Counter>;
    type Idle = Addr<Idle>;

    fn alone<T: Send + 'static>(place: Place, job: Job<(), T>) -> T {
        let job = match place {
            Place::Main => job,
            Place::Turn => peer::job(|()| async {
                let (tell, told) = tokio::sync::oneshot::channel();
                let driver = Counter::default().start();
                let run = Run(Box::pin(async move {
                    let _gone = tell.send(job(()).await);
                }));
                driver.send(run).await.expect("the driver runs");
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
        actix_rt::spawn(task);
    }

    async fn counter(_: &(), _: &str) -> Self::Counter {
        let counter = Counter::default().start();
        // Its capacity is set when it has started.
        counter.send(Ask).await.expect("it runs");
        counter
    }

    async fn tell(counter: &Self::Counter, value: u64) {
        let mut message = Tell(value);
        while let Err(refused) = counter.try_send(message) {
            let SendError::Full(back) = refused else {
                panic!("the counter has ended")
            };
            message = back;
            tokio::task::yield_now().await;
        }
    }

    async fn ask(counter: &Self::Counter) -> u64 {
        counter.send(Ask).await.expect("it runs")
    }

    fn try_flood(counter: &Self::Counter) -> bool {
        counter.try_send(Flood).is_ok()
    }

    async fn meet(one: &Self::Counter, other: &Self::Counter) {
        one.send(Meet(other.clone())).await.expect("it runs");
        other.send(Meet(one.clone())).await.expect("it runs");
    }

    async fn serve(counter: &Self::Counter, left: u64) {
        counter.do_send(Ball(left));
    }

    async fn idle(_: &(), key: u64) -> Self::Idle {
        let mut idle = Idle { key: [0; 16], count: 0 };
        idle.key[..8].copy_from_slice(&key.to_le_bytes());
        idle.start()
    }

    async fn touch(idle: &Self::Idle) {
        idle.do_send(Touch);
    }
}

impl Actix {
    /// Tells by `do_send`, which knows no bound: the producer gives way every [`MAILBOX`] messages.
    pub(crate) fn do_send(messages: u64) -> Duration {
        let tell = move |()| async move {
            let counter = Self::counter(&(), "one").await;
            let before = Self::ask(&counter).await;
            let start = Instant::now();
            for value in 0..messages {
                counter.do_send(Tell(value));
                if value % MAILBOX as u64 == MAILBOX as u64 - 1 {
                    tokio::task::yield_now().await;
                }
            }
            let after = Self::ask(&counter).await;
            let took = start.elapsed();
            assert_eq!(after, before + messages + 1, "every message was handled");
            took
        };
        Self::alone(Place::Main, peer::job(tell))
    }
}
