//! Tells under way.

use super::{
    CallError, Message, Port, Undelivered,
    ask::{Line, Says},
    once,
    port::SentOut,
    scope,
};
use crate::{
    ident::{ActorId, OnceId, TraceContext},
    mailbox::{Chain, Letter, Outbound, Payload, Refused, Told},
    wire::{Failure, FailureCode, Ran},
};
use futures_util::future::BoxFuture;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// A turn that waited for room in its own actor's mailbox would wait for ever: only its end makes room.
fn full_of_own(actor: &ActorId, name: &str) -> Failure {
    let text = format!(
        "{actor} told itself {name} in a turn while its mailbox was full, and would wait for itself; send less, or have what \
         does not fit back from try_tell"
    );
    Failure::new(FailureCode::Full, Ran::No, text)
}

/// A tell that belongs to a trace, if to any.
pub(super) fn traced<M: Message>(told: Told<M>, trace: Option<TraceContext>) -> Letter {
    let mut letter = told.into_letter();
    letter.chain = chain_of(trace);
    letter
}

/// What a tell says of where it belongs.
pub(super) fn chain_of(trace: Option<TraceContext>) -> Chain {
    trace.map_or(Chain::NONE, |trace| Chain::NONE.traced(trace))
}

// Messages are moved in and out by value, never pinned in place.
impl<M: Message> Unpin for Tell<'_, M> {}

/// A tell under way; see [`super::ActorRef::tell`].
#[must_use = "nothing is sent before it is awaited"]
pub struct Tell<'a, M: Message> {
    port: Line<'a>,
    /// Until it is sent, or waits for room.
    message: Option<M>,
    more: Option<Box<More>>,
}

/// What few tells have: each field of a tell is one more that is looked at when it is dropped.
#[derive(Default)]
struct More {
    says: Says,
    waits: Option<(Letter, BoxFuture<'static, ()>)>,
}

impl<'a, M: Message> Tell<'a, M> {
    pub(super) fn new(port: &'a Arc<dyn Port>, message: M) -> Self {
        Self {
            port: Line::Borrowed(port),
            message: Some(message),
            more: None,
        }
    }

    /// The same, independent of the reference it was made by: to be spawned, for instance.
    pub fn owned(self) -> Tell<'static, M> {
        Tell {
            port: self.port.owned(),
            message: self.message,
            more: self.more,
        }
    }

    /// Says what the message is to do, as [`Ask::once`](super::Ask::once) does: of all messages that say the same, however they are sent, one has its
    /// effect. It is sent once: whether it came to that nobody hears, so whoever is to be sure asks instead, or posts. An idempotent
    /// message says an id of its own otherwise. Has no effect on what was sent already.
    pub fn once(mut self, id: OnceId) -> Self {
        self.more.get_or_insert_default().says.once = Some(id);
        self
    }

    /// Says which trace the message belongs to: else that of the turn which tells, if it has one. Has no effect on what was
    /// sent already.
    pub fn traced(mut self, trace: TraceContext) -> Self {
        self.more.get_or_insert_default().says.trace = Some(trace);
        self
    }

    /// A tell in place has no room for what it says, nor for its effect: it goes as a letter.
    #[cold]
    fn go_as_letter(
        &mut self,
        message: M,
        trace: Option<TraceContext>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), CallError>> {
        let says = self.more.take().unwrap_or_default().says;
        let trace = says.trace.or(trace);
        let letter = match says.once.or_else(|| M::IDEMPOTENT.then(OnceId::random)) {
            None => traced(Told(message), trace),
            Some(id) => match once::tell(id, &message, chain_of(trace)) {
                Ok(letter) => letter,
                Err(error) => return Poll::Ready(Err(error)),
            },
        };
        let refused = match self.port.direct() {
            None => Refused::Closed(letter),
            Some(mailbox) => match mailbox.push(letter) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(refused) => refused,
            },
        };
        let sent = match refused {
            Refused::Full(letter) => Err(Undelivered::Full(letter)),
            Refused::Closed(letter) => self.port.send(letter),
        };
        self.sent(sent, cx)
    }

    #[inline(never)]
    fn go_the_long_way(&mut self, refused: Refused<Told<M>>, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        let sent = match refused {
            Refused::Full(told) => Err(Undelivered::Full(told.into_letter())),
            Refused::Closed(told) => {
                let mut outbound = Outbound {
                    message: &told.0,
                    reply: None,
                    deadline: None,
                    chain: &Chain::NONE,
                };
                match self.port.send_out(&mut outbound) {
                    SentOut::Yes | SentOut::Watched => return Poll::Ready(Ok(())),
                    SentOut::Paced if !scope::is_running(self.port.actor()) => {
                        Err(Undelivered::Full(told.into_letter()))
                    }
                    SentOut::Paced | SentOut::No => self.port.send(told.into_letter()),
                }
            }
        };
        self.sent(sent, cx)
    }

    fn sent(&mut self, mut sent: Result<(), Undelivered>, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        loop {
            match sent {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(Undelivered::Failed(_, failure)) => return Poll::Ready(Err(failure.into())),
                Err(Undelivered::Full(_)) if scope::is_running(self.port.actor()) => {
                    return Poll::Ready(Err(full_of_own(self.port.actor(), M::NAME).into()));
                }
                Err(Undelivered::Full(letter)) => {
                    let mut room = self.port.shared().room();
                    if room.as_mut().poll(cx).is_pending() {
                        self.more.get_or_insert_default().waits = Some((letter, room));
                        return Poll::Pending;
                    }
                    sent = self.port.send(letter);
                }
            }
        }
    }
}

impl<M: Message> Future for Tell<'_, M> {
    type Output = Result<(), CallError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(message) = this.message.take() {
            let trace = scope::trace();
            if M::IDEMPOTENT || trace.is_some() || this.more.is_some() {
                return this.go_as_letter(message, trace, cx);
            }
            let told = Told(message);
            let port = &*this.port;
            let refused = match port.direct().or_else(|| port.open()) {
                None => Refused::Closed(told),
                Some(mailbox) => match mailbox.push(told) {
                    Ok(()) => return Poll::Ready(Ok(())),
                    Err(refused) => refused,
                },
            };
            return this.go_the_long_way(refused, cx);
        }
        let waits = this.more.as_mut().and_then(|more| more.waits.as_mut());
        let (_, room) = waits.expect("a tell was polled after it had ended");
        if room.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let waits = this.more.take().and_then(|more| more.waits);
        let (letter, _) = waits.expect("invariant: it was looked at");
        let sent = this.port.send(letter);
        this.sent(sent, cx)
    }
}
