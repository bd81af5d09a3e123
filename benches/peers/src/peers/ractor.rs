//! ractor: actors on a tokio runtime of one thread. Its mailboxes know no bound: nothing holds a producer back.

use crate::peer::{self, Far, FarJob, Job, MAILBOX, Peer, Place, RALLY_OVER, STARTED, TOUCHED};
use ::ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use futures_util::future::BoxFuture;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

pub(crate) struct Ractor;

pub(crate) struct Counter;

pub(crate) struct State {
    count: u64,
    other: Option<ActorRef<Message>>,
    /// How many floods wait: the bound that the mailbox has not.
    floods: Arc<AtomicU64>,
}

pub(crate) enum Message {
    Tell(u64),
    Ask(RpcReplyPort<u64>),
    Flood,
    Meet(ActorRef<Message>, RpcReplyPort<()>),
    Ball(u64),
    Run(BoxFuture<'static, ()>),
}

impl Actor for Counter {
    type Msg = Message;
    type State = State;
    type Arguments = Arc<AtomicU64>;

    async fn pre_start(&self, _: ActorRef<Message>, floods: Arc<AtomicU64>) -> Result<State, ActorProcessingErr> {
        Ok(State {
            count: 0,
            other: None,
            floods,
        })
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.count += 1;
        match message {
            Message::Tell(value) => {
                std::hint::black_box(value);
            }
            Message::Ask(reply) => reply.send(state.count)?,
            Message::Flood => {
                peer::busy();
                state.floods.fetch_sub(1, Ordering::AcqRel);
            }
            Message::Meet(other, reply) => {
                state.other = Some(other);
                reply.send(())?;
            }
            Message::Ball(0) => RALLY_OVER.notify_one(),
            Message::Ball(left) => {
                let other = state.other.as_ref().expect("they have met");
                other.cast(Message::Ball(left - 1)).expect("it runs");
            }
            Message::Run(job) => job.await,
        }
        Ok(())
    }
}

pub(crate) struct Idle;

pub(crate) struct IdleState {
    key: [u8; 16],
    count: u64,
}

pub(crate) struct Touch;

impl Actor for Idle {
    type Msg = Touch;
    type State = IdleState;
    type Arguments = [u8; 16];

    async fn pre_start(&self, _: ActorRef<Touch>, key: [u8; 16]) -> Result<IdleState, ActorProcessingErr> {
        STARTED.up();
        Ok(IdleState { key, count: 0 })
    }

    async fn handle(&self, _: ActorRef<Touch>, _: Touch, state: &mut IdleState) -> Result<(), ActorProcessingErr> {
        state.count += 1;
        std::hint::black_box(&state.key);
        TOUCHED.up();
        Ok(())
    }
}

fn block_on(future: BoxFuture<'static, ()>) {
    peer::runtime().block_on(future);
}

/// A counter and how many floods wait for it.
#[derive(Clone)]
pub(crate) struct Counting {
    actor: ActorRef<Message>,
    floods: Arc<AtomicU64>,
}

async fn start() -> Counting {
    let floods = Arc::new(AtomicU64::new(0));
    let (actor, _) = Actor::spawn(None, Counter, floods.clone()).await.expect("it starts");
    Counting { actor, floods }
}

impl Peer for Ractor {
    const NAME: &'static str = "ractor";
    const BOUNDED: bool = false;

    type World = ();
    type Counter = Counting;
    type Idle = ActorRef<Touch>;

    fn alone<T: Send + 'static>(place: Place, job: Job<(), T>) -> T {
        let job = match place {
            Place::Main => job,
            Place::Turn => peer::job(|()| async {
                let (tell, told) = tokio::sync::oneshot::channel();
                let run = Message::Run(Box::pin(async move {
                    let _gone = tell.send(job(()).await);
                }));
                let driver = start().await;
                driver.actor.cast(run).expect("the driver runs");
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
        start().await
    }

    async fn tell(counter: &Self::Counter, value: u64) {
        counter.actor.cast(Message::Tell(value)).expect("it runs");
    }

    async fn ask(counter: &Self::Counter) -> u64 {
        let reply = counter.actor.call(Message::Ask, None).await;
        reply.expect("it runs").expect("it is answered")
    }

    fn try_flood(counter: &Self::Counter) -> bool {
        if counter.floods.load(Ordering::Acquire) >= MAILBOX as u64 {
            return false;
        }
        counter.floods.fetch_add(1, Ordering::AcqRel);
        counter.actor.cast(Message::Flood).expect("it runs");
        true
    }

    async fn meet(one: &Self::Counter, other: &Self::Counter) {
        for (one, other) in [(one, other), (other, one)] {
            let other = other.actor.clone();
            let met = one.actor.call(|reply| Message::Meet(other, reply), None).await;
            met.expect("it runs").expect("it is answered");
        }
    }

    async fn serve(counter: &Self::Counter, left: u64) {
        counter.actor.cast(Message::Ball(left)).expect("it runs");
    }

    async fn idle(_: &(), key: u64) -> Self::Idle {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&key.to_le_bytes());
        Actor::spawn(None, Idle, bytes).await.expect("it starts").0
    }

    async fn touch(idle: &Self::Idle) {
        idle.cast(Touch).expect("it runs");
    }
}
