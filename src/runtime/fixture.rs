//! One worker on the thread of a test, on a clock that the test moves, and actors that do as they are told.

use super::{
    Activation, Control, Event, Memory, Outside,
    desk::Desk,
    worker::{Worker, WorkerHandle},
};
use crate::{
    actor::{
        Accepts, Actor, Asker, Audience, Context, Grant, Handler, Hosted, Job, Kind, KindEntry, LoadError, Message,
        MessageEntry, Port, Posted, PublishedBy, ReminderAnswer, ReminderAsk, ReminderError, SaveError, Saving,
        Services, unusable_port,
    },
    clock::{Clock, ManualClock},
    ident::{ActorId, Epoch, InvalidName, OnceId, ProcessId, RequestId, SiloId},
    mailbox::{Answer, Asked, Chain, Letter, Mailbox, Replied, ReplyWait, Told, reply_pair},
    store::{ETag, StoreError, StoredState, SubscriptionId, SubscriptionSpec, SubscriptionWritten},
    wire::{Call, EncodeError, Failure, Outcome},
};
use futures_util::future::{BoxFuture, Either, FutureExt, select};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{pin::pin, sync::Arc, time::Duration};

/// Counts what ran.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Probe {
    pub(super) ran: Vec<u64>,
}

/// Books a number; answers how many it has booked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Book(pub(super) u64);

/// Books `book` later.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Set {
    pub(super) name: String,
    pub(super) after: Duration,
    pub(super) repeats: bool,
    pub(super) book: u64,
}

/// Sets a timer that ticks once.
pub(super) fn once(name: &str, after: Duration, book: u64) -> Set {
    Set {
        name: name.into(),
        after,
        repeats: false,
        book,
    }
}

/// Sets one that ticks again and again.
pub(super) fn every(name: &str, after: Duration, book: u64) -> Set {
    Set {
        repeats: true,
        ..once(name, after, book)
    }
}

/// Ends a timer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Cancel(pub(super) String);

/// Answers what was booked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Read;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Panic;

/// Saves; answers whether that was done.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Save;

/// Runs so long.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wait(pub(super) Duration);

/// Books a number, given by an activation of a stream.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Given {
    pub(super) by: Epoch,
    pub(super) book: u64,
}

impl Message for Given {
    type Reply = ();
    const NAME: &'static str = "given";

    fn published_by(&self) -> Option<PublishedBy<'_>> {
        Some(PublishedBy {
            kind: "stream",
            key: "s",
            epoch: self.by,
        })
    }
}

impl Message for Book {
    type Reply = usize;
    const NAME: &'static str = "book";
}

impl Message for Set {
    type Reply = ();
    const NAME: &'static str = "set";
}

impl Message for Cancel {
    type Reply = bool;
    const NAME: &'static str = "cancel";
}

impl Message for Read {
    type Reply = Vec<u64>;
    const NAME: &'static str = "read";
}

impl Message for Panic {
    type Reply = ();
    const NAME: &'static str = "panic";
}

impl Message for Save {
    type Reply = bool;
    const NAME: &'static str = "save";
}

impl Message for Wait {
    type Reply = ();
    const NAME: &'static str = "wait";
}

impl Kind for Probe {
    const KIND: &'static str = "probe";
}

impl Accepts<Book> for Probe {}
impl Accepts<Read> for Probe {}
impl Accepts<Set> for Probe {}
impl Accepts<Cancel> for Probe {}
impl Accepts<Panic> for Probe {}
impl Accepts<Wait> for Probe {}
impl Accepts<Save> for Probe {}
impl Accepts<Given> for Probe {}

impl Hosted for Probe {
    const VERSION: &'static str = "1.0.0";
    const VOLATILE: bool = false;
    const MOVABLE: bool = true;

    fn messages() -> Vec<MessageEntry> {
        vec![
            MessageEntry::of::<Self, Book>(),
            MessageEntry::of::<Self, Read>(),
            MessageEntry::of::<Self, Set>(),
            MessageEntry::of::<Self, Cancel>(),
            MessageEntry::of::<Self, Panic>(),
            MessageEntry::of::<Self, Wait>(),
            MessageEntry::of::<Self, Save>(),
            MessageEntry::of::<Self, Given>(),
        ]
    }
}

impl Actor for Probe {}

impl Handler<Book> for Probe {
    async fn handle(&mut self, book: Book, _: &mut Context<Self>) -> usize {
        self.ran.push(book.0);
        self.ran.len()
    }
}

impl Handler<Given> for Probe {
    async fn handle(&mut self, given: Given, _: &mut Context<Self>) {
        self.ran.push(given.book);
    }
}

impl Handler<Set> for Probe {
    async fn handle(&mut self, set: Set, ctx: &mut Context<Self>) {
        if set.repeats {
            ctx.set_interval(&set.name, set.after, Book(set.book));
        } else {
            ctx.set_timer(&set.name, set.after, Book(set.book));
        }
        assert!(ctx.has_timer(&set.name));
    }
}

impl Handler<Cancel> for Probe {
    async fn handle(&mut self, cancel: Cancel, ctx: &mut Context<Self>) -> bool {
        ctx.cancel_timer(&cancel.0)
    }
}

impl Handler<Read> for Probe {
    async fn handle(&mut self, _: Read, _: &mut Context<Self>) -> Vec<u64> {
        self.ran.clone()
    }
}

impl Handler<Panic> for Probe {
    async fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("as it was told");
    }
}

impl Handler<Save> for Probe {
    async fn handle(&mut self, _: Save, ctx: &mut Context<Self>) -> bool {
        ctx.save(self).await.is_ok()
    }
}

impl Handler<Wait> for Probe {
    async fn handle(&mut self, wait: Wait, ctx: &mut Context<Self>) {
        let clock = ctx.clock().clone();
        clock.sleep(wait.0).await;
    }
}

/// Has nothing saved, and keeps what it is told.
struct Around {
    clock: Clock,
    events: Mutex<Vec<(ActorId, Event)>>,
    dead: Mutex<Vec<Letter>>,
    /// Whether an activation that wants to end is ended, as a silo does.
    ends: bool,
}

struct Nothing(Clock);

impl Services for Nothing {
    fn save(&self, _: ActorId, _: Saving) -> BoxFuture<'static, Result<Option<ETag>, SaveError>> {
        std::future::ready(Ok(Some(ETag(1)))).boxed()
    }

    fn load_own(&self, _: ActorId, _: Grant) -> BoxFuture<'static, Result<Option<StoredState>, LoadError>> {
        std::future::ready(Ok(None)).boxed()
    }

    fn load(&self, _: ActorId, _: String) -> BoxFuture<'static, Result<Option<StoredState>, StoreError>> {
        std::future::ready(Ok(None)).boxed()
    }

    fn send_posts(&self, _: Arc<Mailbox>, _: OnceId, _: Vec<Posted>, _: Vec<(ActorId, u64)>) {}

    fn port(&self, _: ActorId) -> Arc<dyn Port> {
        let why = InvalidName::check("key", "").expect_err("empty");
        unusable_port(why, self.0.clone())
    }

    fn clock(&self) -> &Clock {
        &self.0
    }

    fn blocking(&self, _: Job) -> BoxFuture<'static, bool> {
        std::future::ready(false).boxed()
    }

    fn remind(&self, _: Asker, _: ReminderAsk) -> BoxFuture<'static, Result<ReminderAnswer, ReminderError>> {
        std::future::ready(Ok(ReminderAnswer::Done { was: false })).boxed()
    }

    fn audience(&self) -> Arc<Audience> {
        Arc::default()
    }

    fn subscriptions(
        &self,
        _: ActorId,
    ) -> BoxFuture<'static, Result<Vec<(SubscriptionId, SubscriptionSpec)>, StoreError>> {
        std::future::ready(Ok(Vec::new())).boxed()
    }

    fn write_subscription(
        &self,
        _: SubscriptionId,
        _: Epoch,
        _: Option<SubscriptionSpec>,
    ) -> BoxFuture<'static, Result<SubscriptionWritten, StoreError>> {
        std::future::ready(Ok(SubscriptionWritten::Written { replaced: false })).boxed()
    }
}

impl Outside for Around {
    fn services(&self) -> Arc<dyn Services> {
        Arc::new(Nothing(self.clock.clone()))
    }

    fn load(&self, _: ActorId) -> BoxFuture<'static, Result<Option<StoredState>, StoreError>> {
        std::future::ready(Ok(None)).boxed()
    }

    fn reply(&self, _: ProcessId, _: RequestId, _: Outcome) {}

    fn to_call(&self, actor: &ActorId, letter: &mut Letter) -> Result<Call, EncodeError> {
        Ok(Call {
            actor: actor.clone(),
            message: letter.body.name().into(),
            request: RequestId::NONE,
            from: ProcessId::Silo(SiloId::new("s", 1)),
            time_left: None,
            chain: Vec::new(),
            trace: None,
            body: letter.body.encode()?,
        })
    }

    fn dead_letter(&self, _: &ActorId, letter: Letter, _: &Failure) {
        self.dead.lock().push(letter);
    }

    fn report(&self, activation: &Activation, event: Event) {
        if self.ends && matches!(event, Event::WantsToEnd | Event::Idle) {
            activation.control(Control::End(crate::actor::DeactivateReason::Idle));
        }
        self.events.lock().push((activation.actor().clone(), event));
    }
}

/// A worker and its surroundings.
pub(super) struct Bench {
    pub(super) clock: Clock,
    pub(super) hands: ManualClock,
    pub(super) worker: WorkerHandle,
    desk: Arc<Desk>,
    around: Arc<Around>,
}

/// Runs the test beside a worker on this thread.
pub(super) async fn bench<T>(run: impl AsyncFnOnce(&Bench) -> T) -> T {
    bench_with(Duration::ZERO, run).await
}

/// The same, where activations that are idle for so long want to end.
pub(super) async fn bench_with<T>(idle_timeout: Duration, run: impl AsyncFnOnce(&Bench) -> T) -> T {
    let (bench, worker) = Bench::new(idle_timeout);
    match select(pin!(worker.run()), pin!(run(&bench))).await {
        Either::Left(_) => panic!("the worker ended by itself"),
        Either::Right((output, _)) => output,
    }
}

impl Bench {
    /// A worker that is yet to be run, and its surroundings.
    pub(super) fn new(idle_timeout: Duration) -> (Self, Worker) {
        let (clock, hands) = Clock::manual();
        let around = Arc::new(Around {
            clock: clock.clone(),
            events: Mutex::default(),
            dead: Mutex::default(),
            ends: true,
        });
        let (worker, kind) = (WorkerHandle::new(Duration::ZERO), Arc::new(KindEntry::of::<Probe>()));
        let bench = Self {
            clock: clock.clone(),
            hands,
            desk: Arc::new(Desk::new(worker.clone(), kind, around.services())),
            worker,
            around: around.clone(),
        };
        let worker = Worker::new(bench.worker.clone(), around, clock, idle_timeout);
        (bench, worker)
    }

    /// A new actor that is not told anything yet, with room for so many messages.
    pub(super) fn actor_with(&self, key: &str, capacity: usize) -> Activation {
        let actor = ActorId::new("probe", key).expect("valid");
        let mailbox = Arc::new(Mailbox::new(actor, capacity, self.desk.clone(), self.clock.now()));
        self.worker.added();
        Activation::new(mailbox)
    }

    /// An actor that runs.
    pub(super) fn actor(&self, key: &str) -> Activation {
        let activation = self.actor_with(key, 1000);
        self.run(&activation);
        activation
    }

    /// Lets a new actor run.
    pub(super) fn run(&self, activation: &Activation) {
        activation.mailbox().set_open(true);
        activation.control(Control::Activate(Memory::saved(Epoch(1), None)));
    }

    /// What was reported since the last call.
    pub(super) fn events(&self) -> Vec<Event> {
        let events = std::mem::take(&mut *self.around.events.lock());
        events.into_iter().map(|(_, event)| event).collect()
    }

    /// How many messages became dead letters.
    pub(super) fn dead(&self) -> usize {
        self.around.dead.lock().len()
    }

    /// Lets the worker do all that is to be done without the clock.
    pub(super) async fn settle(&self) {
        // On one thread: each time the worker runs until it parks or gives way.
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
    }

    /// Moves the clock, and lets the worker do what is due.
    pub(super) async fn pass(&self, time: Duration) {
        self.hands.advance(time);
        self.settle().await;
    }
}

/// Sends a message; answers where its reply comes.
pub(super) fn ask<M: Message>(activation: &Activation, message: M) -> ReplyWait<M::Reply> {
    let (sender, wait) = reply_pair();
    let asked = Asked {
        message,
        reply: Some(sender),
        home: None,
        deadline: None,
        chain: Chain::NONE,
    };
    assert!(activation.mailbox().push(asked).is_ok(), "there is room");
    wait
}

/// Sends a message that nobody waits for.
pub(super) fn tell<M: Message>(activation: &Activation, message: M) {
    assert!(activation.mailbox().push(Told(message)).is_ok(), "there is room");
}

/// The reply, as a value.
pub(super) fn value<R>(answer: Option<Answer<R>>) -> R {
    match answer {
        Some(Ok(Replied::Typed(reply))) => reply,
        Some(Ok(Replied::Encoded(_))) => panic!("encoded"),
        Some(Err(failure)) => panic!("{failure:?}"),
        None => panic!("dropped"),
    }
}
