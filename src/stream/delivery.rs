//! One subscriber of a stream: how it is given events, and what is done when it has no room.

use super::{
    event::{NoRoom, Shared, Stamped},
    messages::SubscriberStatus,
};
use crate::{
    actor::{HEARD, Heard, Port, Undelivered},
    clock::{Clock, Moment},
    ident::{ActorId, Epoch},
    mailbox::{Body, Chain, Letter, Mailbox, Refused, ReplyTo, ReplyWait, reply_pair},
    store::BackPressure,
    wire,
};
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// The most events that are on their way to a subscriber elsewhere.
const WINDOW: usize = 1_024;

/// How long a stream waits for the room of one subscriber.
const PATIENCE: Duration = Duration::from_secs(30);

/// A subscriber. What is counted and kept moves with the stream.
#[derive(Serialize, Deserialize)]
pub(super) struct Subscriber {
    pub(super) actor: ActorId,
    pub(super) pressure: BackPressure,
    kept: VecDeque<Shared>,
    delivered: u64,
    dropped: u64,
    failed: u64,
    waited: u64,
    #[serde(skip)]
    port: Option<Arc<dyn Port>>,
    /// Its mailbox here, from when something went into it by the short way until it takes none: all that was sent before is in it, so
    /// the way need not be looked at again.
    #[serde(skip)]
    here: Option<Arc<Mailbox>>,
    /// Of what was sent elsewhere, in order: what has not run yet.
    #[serde(skip)]
    unanswered: VecDeque<ReplyWait<()>>,
    /// Of [`BackPressure::Throttle`]: when the next event may go.
    #[serde(skip)]
    next: Moment,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    Delivered,
    Kept,
    Dropped,
    Failed,
    /// The stream has to wait.
    NotYet,
}

enum Sent {
    Done,
    Full,
    Failed,
}

impl Subscriber {
    pub(super) fn new(actor: ActorId, pressure: BackPressure) -> Self {
        Self {
            actor,
            pressure,
            kept: VecDeque::new(),
            delivered: 0,
            dropped: 0,
            failed: 0,
            waited: 0,
            port: None,
            here: None,
            unanswered: VecDeque::new(),
            next: Moment(0),
        }
    }

    pub(super) fn status(&self, event: Option<&str>) -> SubscriberStatus {
        SubscriberStatus {
            actor: self.actor.clone(),
            event: event.map(str::to_owned),
            pressure: self.pressure,
            delivered: self.delivered,
            dropped: self.dropped,
            failed: self.failed,
            waited: self.waited,
            kept: self.kept.len(),
        }
    }

    pub(super) fn keeps(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Gives it an event, if that can be done now; `port` makes the way to it.
    pub(super) fn give(
        &mut self,
        event: &Stamped<'_>,
        clock: &Clock,
        port: impl FnOnce(&ActorId) -> Arc<dyn Port>,
    ) -> Given {
        if self.port.is_none() {
            self.port = Some(port(&self.actor));
        }
        match self.pressure {
            // What is kept goes first.
            BackPressure::DropOldest(most) if self.keeps() => return self.keep(event.event, most),
            BackPressure::Throttle(_) if !clock.has_come(self.next) => return Given::NotYet,
            _ => {}
        }
        match (self.send(event), self.pressure) {
            (Sent::Done, _) => self.given(clock),
            (Sent::Failed, _) => self.not_sent(),
            (Sent::Full, BackPressure::DropNewest) => self.drop_one(),
            (Sent::Full, BackPressure::DropOldest(most)) => self.keep(event.event, most),
            (Sent::Full, _) => Given::NotYet,
        }
    }

    /// Waits until it can be given the event, or for as long as the stream's patience lasts.
    pub(super) async fn wait_and_give(&mut self, event: &Stamped<'_>, clock: &Clock) -> Given {
        let Some(port) = self.port.clone() else {
            return self.not_sent();
        };
        self.waited += 1;
        let end = clock.now() + PATIENCE;
        if let BackPressure::Throttle(_) = self.pressure {
            clock.sleep_until(self.next).await;
        }
        loop {
            match self.send(event) {
                Sent::Done => return self.given(clock),
                Sent::Failed => return self.not_sent(),
                Sent::Full => {}
            }
            let room = async {
                if self.unanswered.len() < WINDOW {
                    port.clone().room().await;
                } else if let Some(first) = self.unanswered.pop_front() {
                    self.failed += u64::from(!matches!(first.await, Some(Ok(_))));
                }
            };
            if clock.timeout_at(end, room).await.is_none() {
                tracing::warn!(subscriber = %self.actor, event = event.event.name(), "a subscriber had no room for {PATIENCE:?}: an event is dropped");
                return self.drop_one();
            }
        }
    }

    /// Sends what is kept, as far as there is room.
    pub(super) fn send_kept(&mut self, stream: &ActorId, epoch: Epoch, clock: &Clock) {
        while let Some(event) = self.kept.pop_front() {
            match self.send(&Stamped::new(&event, stream, epoch)) {
                Sent::Done => _ = self.given(clock),
                Sent::Failed => _ = self.not_sent(),
                Sent::Full => return self.kept.push_front(event),
            }
        }
    }

    /// The way to it is made anew after a move.
    pub(super) fn reach(&mut self, port: impl FnOnce(&ActorId) -> Arc<dyn Port>) {
        self.port.get_or_insert_with(|| port(&self.actor));
    }

    /// Waits until all that was sent elsewhere has run.
    pub(super) async fn answered(&mut self) {
        while let Some(first) = self.unanswered.pop_front() {
            self.failed += u64::from(!matches!(first.await, Some(Ok(_))));
        }
    }

    fn given(&mut self, clock: &Clock) -> Given {
        if let BackPressure::Throttle(per_second) = self.pressure {
            let step = Duration::from_secs(1) / per_second.max(1);
            // Who was idle has no more than one event to make up for.
            self.next = self.next.max(clock.now()) + step;
        }
        self.delivered += 1;
        Given::Delivered
    }

    fn not_sent(&mut self) -> Given {
        self.failed += 1;
        Given::Failed
    }

    fn drop_one(&mut self) -> Given {
        self.dropped += 1;
        Given::Dropped
    }

    fn keep(&mut self, event: &Shared, most: u32) -> Given {
        if self.kept.len() >= most.max(1) as usize {
            self.kept.pop_front();
            self.dropped += 1;
        }
        self.kept.push_back(event.clone());
        Given::Kept
    }

    fn send(&mut self, event: &Stamped<'_>) -> Sent {
        if let Some(sent) = self.send_here(event) {
            return sent;
        }
        let Some(port) = self.port.clone() else {
            return Sent::Failed;
        };
        if let Some(mailbox) = port.direct().or_else(|| port.open()) {
            match announce(event, mailbox) {
                Ok(()) => self.here = Some(mailbox.clone()),
                Err(NoRoom::Full) => return Sent::Full,
                Err(NoRoom::Closed) => {}
            }
            if let Some(sent) = self.send_here(event) {
                return sent;
            }
        }
        self.send_elsewhere(event, &*port)
    }

    /// By the short way, if it is known; that it has ended is kept.
    fn send_here(&mut self, event: &Stamped<'_>) -> Option<Sent> {
        match push(event.event, self.here.as_ref()?) {
            Ok(()) => Some(Sent::Done),
            Err(NoRoom::Full) => Some(Sent::Full),
            Err(NoRoom::Closed) => {
                self.here = None;
                None
            }
        }
    }

    fn send_elsewhere(&mut self, event: &Stamped<'_>, port: &dyn Port) -> Sent {
        while let Some(first) = self.unanswered.front_mut()
            && first.is_ready()
        {
            let answer = first.now_or_never().flatten();
            self.failed += u64::from(!matches!(answer, Some(Ok(_))));
            self.unanswered.pop_front();
        }
        if self.unanswered.len() >= WINDOW {
            return Sent::Full;
        }
        let bytes = match event.encoded() {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(event = event.event.name(), %error, "an event cannot be serialized");
                return Sent::Failed;
            }
        };
        let (sender, wait) = reply_pair::<()>();
        let body = Body::Encoded {
            name: event.event.name().into(),
            bytes,
        };
        match port.send(letter(body, ReplyTo::Here(sender.into()))) {
            Ok(()) => {
                self.unanswered.push_back(wait);
                Sent::Done
            }
            Err(Undelivered::Full(_)) => Sent::Full,
            Err(Undelivered::Failed(_, failure)) => {
                tracing::warn!(subscriber = %self.actor, event = event.event.name(), %failure, "an event cannot be sent");
                Sent::Failed
            }
        }
    }
}

fn push(event: &Shared, mailbox: &Arc<Mailbox>) -> Result<(), NoRoom> {
    match event {
        Shared::Typed(event) => event.clone().push(mailbox),
        Shared::Encoded { name, bytes } => {
            let body = Body::Encoded {
                name: name.clone(),
                bytes: bytes.clone(),
            };
            pushed(mailbox, letter(body, ReplyTo::Nobody))
        }
    }
}

/// What comes next is of this activation of the stream. Said once to an activation, whose mailbox is known from then on, so that
/// events in this process need not tell.
fn announce(event: &Stamped<'_>, mailbox: &Arc<Mailbox>) -> Result<(), NoRoom> {
    let heard = Heard {
        stream: event.stream.clone(),
        epoch: event.epoch,
    };
    let body = Body::Encoded {
        name: HEARD.into(),
        bytes: wire::encode(&heard).expect("invariant: an id and a number can be written"),
    };
    pushed(mailbox, letter(body, ReplyTo::Nobody))
}

fn pushed(mailbox: &Arc<Mailbox>, letter: Letter) -> Result<(), NoRoom> {
    mailbox.push(letter).map_err(|refused| match refused {
        Refused::Full(_) => NoRoom::Full,
        Refused::Closed(_) => NoRoom::Closed,
    })
}

fn letter(body: Body, reply: ReplyTo) -> Letter {
    Letter {
        body,
        reply,
        deadline: None,
        chain: Chain::NONE,
    }
}
