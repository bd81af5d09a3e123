//! Asks under way.

use super::{CallError, Message, Port, Undelivered, once, port::SentOut, scope};
use crate::{
    clock::{Clock, Moment, Sleep},
    ident::{OnceId, TraceContext},
    mailbox::{
        Answer, Asked, Body, Call, Chain, Home, Letter, Mailbox, Outbound, Payload, Refused, Replied, ReplySlot,
        ReplyTo, ReplyWait, reply_pair_for,
    },
    wire::{self, Failure, FailureCode, Ran},
};
use futures_util::future::BoxFuture;
use std::{
    any::TypeId,
    mem,
    ops::Deref,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// What a call says besides its message.
pub(super) struct Terms {
    /// What the turn leaves that makes the call, or the call itself says; `None` if only the default timeout ends it.
    own: Option<Moment>,
    pub(super) chain: Chain,
}

impl Terms {
    /// Of an ask made now, within the turn that runs here, if one does.
    #[inline(always)]
    pub(super) fn now(port: &dyn Port, timeout: Option<Duration>, trace: Option<TraceContext>) -> Self {
        let asked = timeout.map(|timeout| port.clock().now() + timeout);
        // Part by part: as one value they would be copied as a whole, before they are written through.
        let (left, mut chain) = scope::inherited().unwrap_or((None, Chain::NONE));
        let own = match left {
            None => asked,
            Some(left) => Some(left.min(asked.unwrap_or_else(|| port.clock().recently() + port.ask_timeout()))),
        };
        if let Some(trace) = trace {
            chain = chain.traced(trace);
        }
        Self { own, chain }
    }

    pub(super) fn deadline(&self, port: &dyn Port) -> Moment {
        self.own.unwrap_or_else(|| port.clock().recently() + port.ask_timeout())
    }
}

/// How an ask waits for a turn on another thread, if its silo's workers look for work before they park.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Far {
    /// For its waker, and nothing else.
    No,
    /// For all else that this thread has to do, once.
    GivesWay(Duration),
    /// For so long, looking for its answer.
    Looks(Duration),
}

/// How the caller of an ask to an actor of this process waits, and where, if that is another worker's thread.
pub(super) fn far(mailbox: Option<&Arc<Mailbox>>) -> (Far, Option<Arc<dyn Home>>) {
    let Some(mailbox) = mailbox else { return (Far::No, None) };
    let spin = mailbox.host().spin();
    // A worker looks by itself after its turns.
    if !spin.is_zero() && !mailbox.host().is_here() && !scope::in_turn() {
        // Who looks for the answer sees it where it waits, and would not hear of what is brought to its thread.
        return (Far::GivesWay(spin), None);
    }
    (Far::No, mailbox.host().other_home())
}

/// Looks for an answer, for so long.
fn look<R>(wait: &ReplyWait<R>, time: Duration, clock: &Clock) {
    let end = clock.now() + time;
    while !wait.is_ready() && clock.now() < end {
        for _ in 0..16 {
            std::hint::spin_loop();
        }
    }
}

/// Until when a call waits.
#[derive(Default)]
struct Until {
    at: Option<Moment>,
    sleep: Option<Sleep>,
    /// Whether somebody else wakes the task in time, until it was polled a second time.
    watched: bool,
}

impl Until {
    fn at(at: Option<Moment>) -> Self {
        Self { at, ..Self::default() }
    }

    /// The first poll of a call that has just been sent; `recent` is [`Clock::recently`], read for it.
    fn begin(&mut self, recent: Moment, clock: &Clock, cx: &mut Context<'_>) -> bool {
        match self.at {
            Some(at) if !self.watched && at > recent + Clock::COARSE => {
                if !scope::wake_turn_by(at, cx.waker()) {
                    self.sleep = Some(clock.sleep_far(recent, at, cx.waker()));
                }
                false
            }
            _ => self.poll(clock, cx),
        }
    }

    /// Whether it is over; else the task is woken when it is.
    fn poll(&mut self, clock: &Clock, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.at else { return false };
        if mem::take(&mut self.watched) {
            return false;
        }
        if self.sleep.is_none() {
            if clock.has_come(at) {
                return true;
            }
            // The worker looks after its turns: no alarm for an ask that is answered soon.
            if scope::wake_turn_by(at, cx.waker()) {
                return false;
            }
        }
        let sleep = self.sleep.get_or_insert_with(|| clock.sleep_until(at));
        Pin::new(sleep).poll(cx).is_ready()
    }
}

enum State<M: Message> {
    /// The message, until it is sent.
    New(Option<M>),
    NoRoom(Box<NoRoom<M::Reply>>),
    /// It is to have one effect.
    Once(BoxFuture<'static, Result<M::Reply, CallError>>),
    Waiting {
        wait: ReplyWait<M::Reply>,
        until: Until,
        far: Far,
    },
    Done,
}

/// What the start of an ask came to.
enum Started<R> {
    /// All.
    Answered(Answer<R>),
    /// It waits, and is woken by its answer: to be polled for its deadline. With the coarse time.
    Sent(Moment),
    /// To be polled.
    Goes,
}

struct NoRoom<R> {
    letter: Letter,
    room: BoxFuture<'static, ()>,
    /// Of an ask.
    wait: Option<ReplyWait<R>>,
    until: Until,
}

/// The port of a call: borrowed from its reference, unless the call is to outlive that.
pub(super) enum Line<'a> {
    Borrowed(&'a Arc<dyn Port>),
    Owned(Arc<dyn Port>),
}

impl Line<'_> {
    pub(super) fn shared(&self) -> Arc<dyn Port> {
        match self {
            Self::Borrowed(port) => Arc::clone(port),
            Self::Owned(port) => port.clone(),
        }
    }

    pub(super) fn owned(self) -> Line<'static> {
        Line::Owned(match self {
            Self::Borrowed(port) => port.clone(),
            Self::Owned(port) => port,
        })
    }
}

impl Deref for Line<'_> {
    type Target = dyn Port;

    #[inline]
    fn deref(&self) -> &Self::Target {
        match self {
            Self::Borrowed(port) => &***port,
            Self::Owned(port) => &**port,
        }
    }
}

// Messages are moved in and out by value, never pinned in place.
impl<M: Message> Unpin for Ask<'_, M> {}

/// An ask under way; see [`super::ActorRef::ask`].
#[must_use = "nothing is sent before it is awaited"]
pub struct Ask<'a, M: Message> {
    port: Line<'a>,
    timeout: Option<Duration>,
    says: Option<Box<Says>>,
    state: State<M>,
}

/// What few calls say.
#[derive(Default)]
pub(super) struct Says {
    pub(super) trace: Option<TraceContext>,
    pub(super) once: Option<OnceId>,
}

impl<'a, M: Message> Ask<'a, M> {
    pub(super) fn new(port: &'a Arc<dyn Port>, message: M) -> Self {
        Self {
            port: Line::Borrowed(port),
            timeout: None,
            says: None,
            state: State::New(Some(message)),
        }
    }

    pub(super) fn sent(port: &'a Arc<dyn Port>, wait: ReplyWait<M::Reply>, deadline: Option<Moment>, far: Far) -> Self {
        let until = Until::at(deadline);
        Self {
            port: Line::Borrowed(port),
            timeout: None,
            says: None,
            state: State::Waiting { wait, until, far },
        }
    }

    /// One that is to have one effect, and was sent a first time.
    pub(super) fn sent_once(port: &'a Arc<dyn Port>, ask: BoxFuture<'static, Result<M::Reply, CallError>>) -> Self {
        Self {
            port: Line::Borrowed(port),
            timeout: None,
            says: None,
            state: State::Once(ask),
        }
    }

    /// The same, independent of the reference it was made by: to be spawned, for instance.
    pub fn owned(self) -> Ask<'static, M> {
        Ask {
            port: self.port.owned(),
            timeout: self.timeout,
            says: self.says,
            state: self.state,
        }
    }

    /// Says what the message is to do, so that asks that say the same have one effect: the first runs, the others are answered with
    /// its reply, as long as the actor remembers it (10 minutes, and [`Effects::MAX_DONE`](super::Effects::MAX_DONE) others). The ask
    /// is sent again until its deadline if what became of it is not known. An idempotent message says an id of its own otherwise. Has
    /// no effect on what was sent already: [`try_ask_once`](super::ActorRef::try_ask_once).
    pub fn once(mut self, id: OnceId) -> Self {
        self.says.get_or_insert_default().once = Some(id);
        self
    }

    /// Says which trace the message belongs to: else that of the turn which asks, if it has one. Has no effect on what was
    /// sent already.
    pub fn traced(mut self, trace: TraceContext) -> Self {
        self.says.get_or_insert_default().trace = Some(trace);
        self
    }

    /// Waits for `timeout` at the longest. Has no effect on what was sent already.
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends the message, or runs it; what is to be waited for is in `state` then.
    fn start(&mut self, message: M, cx: &mut Context<'_>) -> Started<M::Reply> {
        let says = self.says.as_deref();
        let (trace, id) = says.map_or((None, None), |says| (says.trace, says.once));
        // Once: to find what is behind a shared pointer to a trait takes five instructions each time.
        let port = &*self.port;
        let terms = Terms::now(port, self.timeout, trace);
        if M::IDEMPOTENT || id.is_some() {
            self.start_once(id, message, terms);
            return Started::Goes;
        }
        let no_cycle = |_: &&Arc<Mailbox>| terms.chain.is_empty() || !terms.chain.contains(port.actor());
        let direct = port.direct().or_else(|| port.open()).filter(no_cycle);
        let Terms { own, mut chain } = terms;
        let mut message = message;
        if let Some(mailbox) = direct.filter(|mailbox| mailbox.may_run_here()) {
            let mut call = Call {
                message: Some(message),
                chain,
                deadline: own,
                answer: None,
                wait: None,
                timeout: port.ask_timeout(),
            };
            let ran = mailbox.run_here(TypeId::of::<M>(), &mut call);
            match call {
                Call {
                    answer: Some(answer), ..
                } => return Started::Answered(answer),
                Call {
                    wait: Some(wait),
                    deadline,
                    ..
                } => {
                    self.wait(wait, Until::at(deadline), Far::No);
                    return Started::Goes;
                }
                Call {
                    message: Some(back),
                    chain: its,
                    ..
                } => (message, chain) = (back, its),
                _ => unreachable!("invariant: a call that ran shows what became of it: {ran:?}"),
            }
        }
        let recent = port.clock().recently();
        let deadline = own.unwrap_or_else(|| recent + port.ask_timeout());
        let (far, home) = far(direct);
        // Its waker is there before anybody else knows of the two ends: to add it later would be a lock that two threads want. Who
        // looks need not be woken.
        let (sender, wait) = reply_pair_for((far == Far::No).then(|| cx.waker().clone()));
        // A turn's own worker looks after it.
        let watch = home.as_ref().filter(|_| !scope::in_turn());
        let watched = watch.is_some_and(|home| home.watch(deadline, recent, &|| wait.watched()));
        let deadline = Some(deadline);
        let asked = Asked {
            message,
            reply: Some(sender),
            home,
            deadline,
            chain,
        };
        let refused = match direct {
            None => Refused::Closed(asked),
            Some(mailbox) => match mailbox.push(asked) {
                Ok(()) => {
                    self.wait(
                        wait,
                        Until {
                            watched,
                            ..Until::at(deadline)
                        },
                        far,
                    );
                    return Started::Sent(recent);
                }
                Err(refused) => refused,
            },
        };
        let until = Until::at(deadline);
        match refused {
            Refused::Full(asked) => self.wait_for_room(asked.into_letter(), Some(wait), until),
            Refused::Closed(asked) => match send_far(port, asked) {
                Ok(watched) => {
                    let (until, far) = (Until { watched, ..until }, Far::No);
                    self.state = State::Waiting { wait, until, far };
                    return Started::Sent(recent);
                }
                Err(Undelivered::Failed(_, failure)) => return Started::Answered(Err(failure)),
                Err(Undelivered::Full(letter)) => self.wait_for_room(letter, Some(wait), until),
            },
        }
        Started::Goes
    }

    #[cold]
    fn start_once(&mut self, id: Option<OnceId>, message: M, terms: Terms) {
        let id = id.unwrap_or_else(OnceId::random);
        self.state = State::Once(Box::pin(once::ask(self.port.shared(), id, message, terms)));
    }

    fn wait(&mut self, wait: ReplyWait<M::Reply>, until: Until, far: Far) {
        self.state = State::Waiting { wait, until, far };
    }

    fn wait_for_room(&mut self, letter: Letter, wait: Option<ReplyWait<M::Reply>>, until: Until) {
        self.state = State::NoRoom(Box::new(NoRoom {
            letter,
            room: self.port.shared().room(),
            wait,
            until,
        }));
    }
}

/// Sends an ask whose actor is not known to be in this process. Answers whether it is woken in time before its deadline.
#[allow(clippy::result_large_err, reason = "as of Port::send")]
fn send_far<M: Message>(port: &dyn Port, asked: Asked<M, M::Reply>) -> Result<bool, Undelivered> {
    let mut outbound = Outbound {
        message: &asked.message,
        reply: asked.reply.map(ReplySlot::from),
        deadline: asked.deadline,
        chain: &asked.chain,
    };
    match port.send_out(&mut outbound) {
        SentOut::Yes => return Ok(false),
        SentOut::Watched => return Ok(true),
        SentOut::No | SentOut::Paced => {}
    }
    let reply = outbound.reply.map_or(ReplyTo::Nobody, ReplyTo::Here);
    let letter = Letter {
        body: Body::Typed(Box::new(asked.message)),
        reply,
        deadline: asked.deadline,
        chain: asked.chain,
    };
    port.send(letter).map(|()| false)
}

pub(super) fn timed_out(port: &dyn Port, name: &str, ran: Ran) -> CallError {
    let what = match ran {
        Ran::No => "it did not run",
        _ => "it may have run",
    };
    let text = format!(
        "{name} to {} was not answered before its deadline; {what}",
        port.actor()
    );
    Failure::new(FailureCode::TimedOut, ran, text).into()
}

impl<M: Message> Future for Ask<'_, M> {
    type Output = Result<M::Reply, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::New(message) => {
                    // The message alone: all that a state may hold would be copied before it is written through.
                    let message = message.take().expect("an ask was polled after it had ended");
                    match this.start(message, cx) {
                        Started::Answered(answer) => {
                            return Poll::Ready(typed(Some(answer), &*this.port, M::NAME));
                        }
                        Started::Sent(recent) => {
                            if let State::Waiting {
                                until, far: Far::No, ..
                            } = &mut this.state
                                && !until.begin(recent, this.port.clock(), cx)
                            {
                                return Poll::Pending;
                            }
                        }
                        Started::Goes => {}
                    }
                }
                State::Waiting { wait, until, far } => {
                    match *far {
                        Far::No => {}
                        Far::GivesWay(time) => {
                            *far = Far::Looks(time);
                            if !wait.is_ready() {
                                cx.waker().wake_by_ref();
                                return Poll::Pending;
                            }
                        }
                        Far::Looks(time) => {
                            *far = Far::No;
                            look(wait, time, this.port.clock());
                        }
                    }
                    if let Poll::Ready(reply) = Pin::new(&mut *wait).poll(cx) {
                        this.state = State::Done;
                        return Poll::Ready(typed(reply, &*this.port, M::NAME));
                    }
                    if until.poll(this.port.clock(), cx) {
                        // If it has not even left this process, it is told so now.
                        this.port.end_overdue();
                        let answer = match Pin::new(wait).poll(cx) {
                            Poll::Ready(reply) => typed(reply, &*this.port, M::NAME),
                            Poll::Pending => Err(timed_out(&*this.port, M::NAME, Ran::Unknown)),
                        };
                        this.state = State::Done;
                        return Poll::Ready(answer);
                    }
                    return Poll::Pending;
                }
                State::NoRoom(waits) => {
                    if waits.until.poll(this.port.clock(), cx) {
                        this.state = State::Done;
                        return Poll::Ready(Err(timed_out(&*this.port, M::NAME, Ran::No)));
                    }
                    if waits.room.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    let State::NoRoom(waits) = std::mem::replace(&mut this.state, State::Done) else {
                        unreachable!("invariant: it was looked at");
                    };
                    let NoRoom {
                        letter, wait, until, ..
                    } = *waits;
                    match this.port.send(letter) {
                        Ok(()) => {
                            let wait = wait.expect("invariant: an ask waits for a reply");
                            let far = Far::No;
                            this.state = State::Waiting { wait, until, far };
                        }
                        Err(Undelivered::Failed(_, failure)) => return Poll::Ready(Err(failure.into())),
                        Err(Undelivered::Full(letter)) => this.wait_for_room(letter, wait, until),
                    }
                }
                State::Once(ask) => {
                    let answer = std::task::ready!(ask.as_mut().poll(cx));
                    this.state = State::Done;
                    return Poll::Ready(answer);
                }
                State::Done => panic!("an ask was polled after it had ended"),
            }
        }
    }
}

/// What an ask comes to that was answered so.
pub(super) fn answered<R: serde::de::DeserializeOwned>(
    reply: Option<Answer<R>>,
    port: &dyn Port,
    name: &str,
) -> Result<R, CallError> {
    typed(reply, port, name)
}

#[inline(always)]
fn typed<R: serde::de::DeserializeOwned>(
    reply: Option<Answer<R>>,
    port: &dyn Port,
    name: &str,
) -> Result<R, CallError> {
    match reply {
        Some(Ok(Replied::Typed(reply))) => Ok(reply),
        other => read(other, port, name),
    }
}

#[cold]
fn read<R: serde::de::DeserializeOwned>(reply: Option<Answer<R>>, port: &dyn Port, name: &str) -> Result<R, CallError> {
    match reply {
        Some(Ok(Replied::Typed(reply))) => Ok(reply),
        Some(Ok(Replied::Encoded(bytes))) => wire::decode(&bytes).map_err(|error| {
            let text = format!("the reply to {name} cannot be read: {error}");
            Failure::new(FailureCode::BadReply, Ran::Yes, text).into()
        }),
        Some(Err(failure)) => Err(failure.into()),
        None => {
            let text = format!("{name} to {} was dropped unanswered; it may have run", port.actor());
            Err(Failure::new(FailureCode::Discarded, Ran::Unknown, text).into())
        }
    }
}
