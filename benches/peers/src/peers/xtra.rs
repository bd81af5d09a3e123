//! xtra: actors on a tokio runtime of one thread, bounded mailboxes, tells by `send(..).detach()`.
//!
//! Its mailbox is a heap by priority: messages of equal priority are handled in no order, so an ask does not show that the
//! tells before it were handled.

use crate::peer::{self, Far, FarJob, Job, MAILBOX, Peer, Place, RALLY_OVER, STARTED, TOUCHED};
use ::xtra::{Actor, Address, Context, Handler, Mailbox};
use futures_util::{FutureExt, future::BoxFuture};

pub(crate) struct Xtra;

#[derive(Default)]
pub(crate) struct Counter {
    count: u64,
    other: Option<Address<Self>>,
}

impl Actor for Counter {
    type Stop = ();

    async fn stopped(self) {}
}

struct Tell(u64);

impl Handler<Tell> for Counter {
    type Return = ();

    async fn handle(&mut self, Tell(value): Tell, _: &mut Context<Self>) {
        self.count += 1;
        std::hint::black_box(value);
    }
}

struct Ask;

impl Handler<Ask> for Counter {
    type Return = u64;

    async fn handle(&mut self, _: Ask, _: &mut Context<Self>) -> u64 {
        self.count += 1;
        self.count
    }
}

struct Flood;

impl Handler<Flood> for Counter {
    type Return = ();

    async fn handle(&mut self, _: Flood, _: &mut Context<Self>) {
        self.count += 1;
        peer::busy();
    }
}

struct Meet(Address<Counter>);

impl Handler<Meet> for Counter {
    type Return = ();

    async fn handle(&mut self, Meet(other): Meet, _: &mut Context<Self>) {
        self.other = Some(other);
    }
}

struct Ball(u64);

impl Handler<Ball> for Counter {
    type Return = ();

    async fn handle(&mut self, Ball(left): Ball, _: &mut Context<Self>) {
        self.count += 1;
        match (left, &self.other) {
            (0, _) => RALLY_OVER.notify_one(),
            (_, other) => {
                let other = other.as_ref().expect("they have met");
                let _unwanted = other.send(Ball(left - 1)).detach().await.expect("it runs");
            }
        }
    }
}

struct Run(BoxFuture<'static, ()>);

impl Handler<Run> for Counter {
    type Return = ();

    async fn handle(&mut self, Run(job): Run, _: &mut Context<Self>) {
        job.await;
    }
}

pub(crate) struct Idle {
    key: [u8; 16],
    count: u64,
}

impl Actor for Idle {
    type Stop = ();

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), ()> {
        STARTED.up();
        Ok(())
    }

    async fn stopped(self) {}
}

struct Touch;

impl Handler<Touch> for Idle {
    type Return = ();

    async fn handle(&mut self, _: Touch, _: &mut Context<Self>) {
        self.count += 1;
        std::hint::black_box(&self.key);
        TOUCHED.up();
    }
}

fn block_on(future: BoxFuture<'static, ()>) {
    peer::runtime().block_on(future);
}

fn start() -> Address<Counter> {
    ::xtra::spawn_tokio(Counter::default(), Mailbox::bounded(MAILBOX))
}

impl Peer for Xtra {
    const NAME: &'static str = "xtra";
    const IN_ORDER: bool = false;

    type World = ();
    type Counter = Address<Counter>;
    type Idle = Address<Idle>;

    fn alone<T: Send + 'static>(place: Place, job: Job<(), T>) -> T {
        let job = match place {
            Place::Main => job,
            Place::Turn => peer::job(|()| async {
                let (tell, told) = tokio::sync::oneshot::channel();
                let run = Run(Box::pin(async move {
                    let _gone = tell.send(job(()).await);
                }));
                let _unwanted = start().send(run).detach().await.expect("the driver runs");
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
        let _unwanted = counter.send(Tell(value)).detach().await.expect("it runs");
    }

    async fn ask(counter: &Self::Counter) -> u64 {
        counter.send(Ask).await.expect("it runs")
    }

    fn try_flood(counter: &Self::Counter) -> bool {
        // There is one who floods: room that is there stays there.
        counter.len() < MAILBOX && counter.send(Flood).detach().now_or_never().is_some()
    }

    async fn meet(one: &Self::Counter, other: &Self::Counter) {
        one.send(Meet(other.clone())).await.expect("it runs");
        other.send(Meet(one.clone())).await.expect("it runs");
    }

    async fn serve(counter: &Self::Counter, left: u64) {
        let _unwanted = counter.send(Ball(left)).detach().await.expect("it runs");
    }

    async fn idle(_: &(), key: u64) -> Self::Idle {
        let mut idle = Idle { key: [0; 16], count: 0 };
        idle.key[..8].copy_from_slice(&key.to_le_bytes());
        ::xtra::spawn_tokio(idle, Mailbox::bounded(MAILBOX))
    }

    async fn touch(idle: &Self::Idle) {
        let _unwanted = idle.send(Touch).detach().await.expect("it runs");
    }
}
