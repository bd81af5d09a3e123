//! What processes say to each other.

use super::{
    Failure,
    codec::{LocatedHead, RefusalHead},
};
use crate::{
    ident::{ActorId, Epoch, Hint, ProcessId, RequestId, SiloId, TraceContext},
    store::{ETag, SiloStatus},
};
use bytes::Bytes;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// One frame. A link carries frames in order; the side that dialled is the *caller* of the link, the other the *callee*.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Frame {
    // Caller to callee: calls and the fences between them.
    /// A message for an actor.
    Call(Call),
    /// Asks for [`Frame::Fenced`] when all that this link brought for the actor before has come to rest.
    Fence {
        /// The actor.
        actor: ActorId,
        /// The caller's number of the fence; comes back in the answer.
        k: u64,
    },
    /// Asks for [`Frame::Fenced`] from the owner of the actor, when nothing older can reach it any more.
    Enter {
        /// The actor.
        actor: ActorId,
        /// The caller's number of the fence; comes back in the answer.
        k: u64,
    },
    /// Asks for [`Frame::Handled`] when all that this link brought before has been handled: it is on its way to rest, or back.
    Mark {
        /// The actor whose messages it is behind.
        actor: ActorId,
        /// The caller's number of the mark; comes back in the answer.
        k: u64,
    },
    /// Asks who owns the actor, or who should.
    Lookup {
        /// The asker's number; comes back in the answer.
        request: RequestId,
        /// The actor.
        actor: ActorId,
    },
    /// Asks a service of the silo itself, by name.
    Query {
        /// The asker's number; comes back in the answer.
        request: RequestId,
        /// Which service.
        name: String,
        /// What it is asked, named MessagePack.
        body: Bytes,
    },
    /// Asks for [`Frame::Pong`].
    Ping {
        /// Any number; comes back in the answer.
        n: u64,
    },

    // Callee to caller: answers.
    /// How an ask ended. Also sent on a link of its own by a silo that the message was forwarded to.
    Reply {
        /// As it was asked.
        request: RequestId,
        /// How it ended.
        outcome: Outcome,
    },
    /// The message did not run and comes back.
    Bounce {
        /// The message.
        call: Call,
        /// Who may own the actor.
        hint: Option<Hint>,
        /// Why.
        why: BounceReason,
    },
    /// Answers [`Frame::Fence`] and [`Frame::Enter`].
    Fenced {
        /// The actor.
        actor: ActorId,
        /// The caller's number of the fence.
        k: u64,
        /// Who may own the actor, if not the sender.
        hint: Option<Hint>,
        /// Whether messages of this link were lost further on: their outcome is not known.
        lost: bool,
    },
    /// Answers [`Frame::Mark`].
    Handled {
        /// The actor.
        actor: ActorId,
        /// The caller's number of the mark; comes back in the answer.
        k: u64,
    },
    /// Answers [`Frame::Enter`]: the silo does not own the actor.
    NotHere {
        /// The actor.
        actor: ActorId,
        /// The caller's number of the fence.
        k: u64,
    },
    /// The actor has moved; messages are forwarded meanwhile.
    Moved {
        /// The actor.
        actor: ActorId,
        /// Where to.
        hint: Hint,
    },
    /// Answers [`Frame::Lookup`].
    Located {
        /// As it was asked.
        request: RequestId,
        /// What is known.
        found: Located,
    },
    /// Answers [`Frame::Query`].
    Answer {
        /// As it was asked.
        request: RequestId,
        /// How it ended.
        outcome: Outcome,
    },
    /// Answers [`Frame::Ping`].
    Pong {
        /// As it was asked.
        n: u64,
    },
    /// The silos of the cluster, to clients: when they connect and at every change.
    View {
        /// The number of the view.
        view: u64,
        /// All of its silos.
        silos: Vec<SiloAddress>,
    },

    // Source (caller) to target (callee) of a migration.
    /// Offers actors; answered by one [`Frame::OfferAnswer`] with the same batch number.
    Offer {
        /// The source's number; comes back in the answer.
        batch: u64,
        /// The actors.
        items: Vec<OfferItem>,
    },
    /// A frozen actor.
    Package(Package),
    /// A part of the Package frame of an actor, in order; the last one completes it.
    Part {
        /// The actor.
        actor: ActorId,
        /// At which the source froze it.
        epoch: Epoch,
        /// How many bytes of the whole come before it.
        offset: u64,
        /// Bytes of the whole.
        total: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// The source has given the actor up: it may run.
    Go {
        /// The actor.
        actor: ActorId,
        /// The target's.
        epoch: Epoch,
    },
    /// A message that reached the source after the freeze. Stream = the target's first epoch.
    Forward {
        /// The target's first epoch, which names the stream.
        stream: Epoch,
        /// The number of the forward, from 1, without gaps.
        n: u64,
        /// The message.
        call: Call,
    },
    /// Nothing more comes on the stream.
    Closed {
        /// The actor.
        actor: ActorId,
        /// The target's first epoch, which names the stream.
        stream: Epoch,
    },

    // Target (callee) to source (caller).
    /// Which of the offered actors the target takes; `None` is accepted, in the order offered.
    OfferAnswer {
        /// As it was offered.
        batch: u64,
        /// `None` is accepted; in the order offered.
        refusals: Vec<Option<Refusal>>,
        /// Whether it runs messages of others too, which moves must not keep waiting.
        serves: bool,
    },
    /// The target does not take the package after all.
    Refused {
        /// The actor.
        actor: ActorId,
        /// At which the source froze it.
        epoch: Epoch,
        /// Why.
        why: Refusal,
    },
    /// The target has the parts of a package up to here: as many bytes more may come.
    PartTaken {
        /// The actor.
        actor: ActorId,
        /// At which the source froze it.
        epoch: Epoch,
        /// Bytes of the whole that have come.
        upto: u64,
    },
    /// The directory names the target, at this epoch.
    Committed {
        /// The actor.
        actor: ActorId,
        /// The target's.
        epoch: Epoch,
    },
    /// All forwards up to `n` are in the mailbox of an active owner.
    Rested {
        /// The actor.
        actor: ActorId,
        /// The target's first epoch, which names the stream.
        stream: Epoch,
        /// The last of them.
        n: u64,
    },
    /// The target never took forward `n`.
    Returned {
        /// The actor.
        actor: ActorId,
        /// The target's first epoch, which names the stream.
        stream: Epoch,
        /// The number of the forward.
        n: u64,
    },
    /// The target took forward `n` and lost it: the outcome is not known.
    Lost {
        /// The actor.
        actor: ActorId,
        /// The target's first epoch, which names the stream.
        stream: Epoch,
        /// The number of the forward.
        n: u64,
    },
    /// Asks whether the stream is closed (after a link was lost).
    AskClosed {
        /// The actor.
        actor: ActorId,
        /// The target's first epoch, which names the stream.
        stream: Epoch,
    },

    // Leaving. `Leaving` and `Flushed` go to every process that has a link to the silo, `LeavingAck` comes back.
    /// The silo leaves: hold what is for it.
    Leaving,
    /// Nothing more comes on this link but what concerns forwards already sent.
    LeavingAck,
    /// Everything that this link brought has come to rest elsewhere: a [`Frame::Fenced`] for every actor.
    Flushed,

    /// A kind of frame that this version does not know; ignored by receivers, counted.
    Unrecognized {
        /// Its number on the wire.
        kind: u8,
    },
}

/// A message on its way to an actor.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// To whom.
    pub actor: ActorId,
    /// The wire name of the message.
    pub message: Arc<str>,
    /// Names the ask at `from`; [`RequestId::NONE`] for a tell.
    pub request: RequestId,
    /// Who wants the reply.
    pub from: ProcessId,
    /// Until when the message may start, from now on; `None` is without end.
    pub time_left: Option<Duration>,
    /// The actors whose turns wait for this ask, outermost first.
    pub chain: Vec<ActorId>,
    /// The trace that the message belongs to.
    pub trace: Option<TraceContext>,
    /// The message, named MessagePack.
    pub body: Bytes,
}

/// A call without its message, by reference: nearly all are written so, and never made whole.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// [`Call::actor`].
    pub actor: &'a ActorId,
    /// [`Call::message`].
    pub message: &'a str,
    /// [`Call::request`].
    pub request: RequestId,
    /// [`Call::from`].
    pub from: &'a ProcessId,
    /// [`Call::time_left`].
    pub time_left: Option<Duration>,
    /// [`Call::chain`].
    pub chain: &'a [ActorId],
    /// [`Call::trace`].
    pub trace: Option<TraceContext>,
}

impl Envelope<'_> {
    /// The call with this message.
    pub fn call(&self, body: Bytes) -> Call {
        Call {
            actor: self.actor.clone(),
            message: self.message.into(),
            request: self.request,
            from: self.from.clone(),
            time_left: self.time_left,
            chain: self.chain.to_vec(),
            trace: self.trace,
            body,
        }
    }
}

/// A call that has come, as nearly all do: without a chain or a trace, and with names that its link has just brought before.
#[derive(Debug)]
pub struct PlainCall<'a> {
    /// [`Call::actor`].
    pub actor: &'a ActorId,
    /// [`Call::message`].
    pub message: &'a Arc<str>,
    /// [`Call::request`].
    pub request: RequestId,
    /// [`Call::from`].
    pub from: &'a ProcessId,
    /// [`Call::time_left`].
    pub time_left: Option<Duration>,
    /// [`Call::body`].
    pub body: Bytes,
}

impl PlainCall<'_> {
    /// The same as any call.
    pub fn whole(self) -> Call {
        Call {
            actor: self.actor.clone(),
            message: self.message.clone(),
            request: self.request,
            from: self.from.clone(),
            time_left: self.time_left,
            chain: Vec::new(),
            trace: None,
            body: self.body,
        }
    }
}

impl Call {
    /// All but the message.
    pub fn envelope(&self) -> Envelope<'_> {
        Envelope {
            actor: &self.actor,
            message: &self.message,
            request: self.request,
            from: &self.from,
            time_left: self.time_left,
            chain: &self.chain,
            trace: self.trace,
        }
    }
}

/// How an ask ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The reply, named MessagePack.
    Reply(Bytes),
    /// An error.
    Failure(Failure),
}

/// Why a message came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum BounceReason {
    /// The silo does not own the actor.
    NotOwner,
    /// The mailbox or the forwarding buffer is full.
    Full,
    /// The silo cannot register the actor now (store not reachable, leaving, fenced).
    NotNow,
    /// A reason of a newer version.
    #[serde(other)]
    Other,
}

/// An answer to [`Frame::Lookup`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "LocatedHead", into = "LocatedHead")]
#[non_exhaustive]
pub enum Located {
    /// The owner by the directory, or placement's word at the epoch of the free (or dead owner's) entry.
    At(Hint),
    /// No silo that may take the actor.
    Nowhere(Failure),
    /// The directory cannot be read now.
    NotNow(Failure),
}

/// One silo, for clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiloAddress {
    /// Which.
    pub silo: SiloId,
    /// `host:port`.
    pub address: String,
    /// Where it stands.
    pub status: SiloStatus,
}

/// An actor that a source would like to hand over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferItem {
    /// Which.
    pub actor: ActorId,
    /// The epoch by which the source owns it.
    pub epoch: Epoch,
    /// The version of the actor type at the source.
    pub version: Version,
}

/// Why a target does not take an actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "RefusalHead", into = "RefusalHead")]
#[non_exhaustive]
pub enum Refusal {
    /// The target is not Active.
    NotActive,
    /// It does not host the kind.
    NotHosted,
    /// The version policy forbids it.
    Version {
        /// At the source.
        source: Version,
        /// At the target.
        target: Version,
    },
    /// No room.
    Full,
    /// The actor or one of its messages cannot be read.
    Unreadable(String),
    /// The target has an entry of its own for the actor.
    Busy,
    /// A reason of a newer version.
    Other,
}

/// A frozen actor on its way to another silo.
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    /// Which.
    pub actor: ActorId,
    /// The epoch at which the source froze it; the target commits at the next.
    pub epoch: Epoch,
    /// The version of the actor type that wrote `memory`.
    pub version: Version,
    /// The actor's memory, named MessagePack.
    pub memory: Bytes,
    /// The number of the state that is saved, if one is.
    pub etag: Option<ETag>,
    /// Whether `memory` differs from what is saved.
    pub unsaved: bool,
    /// The waiting messages, in order.
    pub waiting: Vec<Call>,
    /// When it took no more turns, in microseconds of the source's wall clock since the Unix epoch.
    pub frozen_at_micros: u64,
    /// Its timers.
    pub timers: Vec<PackedTimer>,
    /// What it is subscribed to, as far as its source knows.
    pub streams: Vec<PackedSubscription>,
}

/// A subscription of a frozen actor to a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedSubscription {
    /// The actor that is the stream.
    pub stream: ActorId,
    /// The wire name of the events.
    pub event: String,
    /// The highest epoch of the stream by which it was given events; zero if that is not known.
    #[serde(default, skip_serializing_if = "Epoch::is_zero")]
    pub epoch: Epoch,
}

/// A timer of a frozen actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedTimer {
    /// Unique among those of the actor.
    pub name: String,
    /// The time from the freeze until it is due, in microseconds; below zero if it was due before.
    #[serde(rename = "left")]
    pub left_micros: i64,
    /// The time between two ticks, in microseconds; `None` ticks once.
    #[serde(rename = "every", default, skip_serializing_if = "Option::is_none")]
    pub every_micros: Option<u64>,
    /// The wire name of its message.
    pub message: String,
    /// The message, named MessagePack.
    pub body: Bytes,
}
