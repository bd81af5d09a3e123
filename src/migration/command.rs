//! What a seat wants done.

use crate::{
    ident::{Epoch, Hint, LinkId, SiloId},
    store::Entry,
    wire::{BounceReason, Refusal},
};

/// What a seat wants done; in the order given, before the seat sees its next event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command<I> {
    // To callers.
    /// Give the message back over the caller's link.
    Bounce {
        /// The caller's link.
        link: LinkId,
        /// The message.
        message: I,
        /// Where the actor is believed to be.
        hint: Option<Hint>,
        /// Why.
        why: BounceReason,
    },
    /// Answer a fence.
    Fenced {
        /// The caller's link.
        link: LinkId,
        /// The fence's number.
        k: u64,
        /// Where the actor is believed to be.
        hint: Option<Hint>,
        /// Whether messages were lost here.
        lost: bool,
    },
    /// Answer an `Enter`: the actor is not owned here.
    NotHere {
        /// The caller's link.
        link: LinkId,
        /// The number.
        k: u64,
    },
    /// Tell a caller that its messages are forwarded.
    Moved {
        /// The caller's link.
        link: LinkId,
        /// To whom.
        hint: Hint,
    },
    /// End the message: whether it ran is not known.
    Unknown {
        /// The message.
        message: I,
    },

    // To the directory.
    /// Take the entry if it is free or its owner is dead; answered by `registered` or `register_failed`.
    /// A step of that which follows a first answer is taken only if the seat is still registering.
    Register,
    /// Read the entry; answered by `entry_read`, again after a while if the store does not answer.
    ReadEntry,
    /// Change the entry; answered by `entry_changed`, or by `entry_read` if the answer was lost.
    ChangeEntry {
        /// What for.
        purpose: Purpose,
        /// As it must be.
        expected: Entry,
        /// As it shall be.
        new: Entry,
    },

    // To the runtime.
    /// Put the message into the mailbox of the activation.
    Rest {
        /// The message.
        message: I,
    },
    /// Close the mailbox, end the running turn and pack the actor; answered by `packed` or `freeze_failed`.
    Freeze,
    /// Let the frozen activation run on, owned by this epoch.
    Resume {
        /// The epoch.
        epoch: Epoch,
    },
    /// The prepared activation may run: its queue first. Owned by this epoch.
    Start {
        /// The epoch.
        epoch: Epoch,
    },
    /// Drop the activation or the prepared one without a word: its messages are another silo's, or come again.
    Drop,
    /// Drop the frozen activation: whether its waiting messages ran elsewhere is not known.
    Abandon,
    /// End the activation: the queue runs to its end, the state is saved; answered by `deactivated`.
    Deactivate,

    // To the other silo of a migration.
    /// Send the package that `packed` announced.
    SendPackage {
        /// The target.
        to: SiloId,
        /// The epoch of the freeze.
        epoch: Epoch,
    },
    /// Refuse a package.
    SendRefused {
        /// The source.
        to: SiloId,
        /// The epoch of the freeze.
        epoch: Epoch,
        /// Why.
        why: Refusal,
    },
    /// Tell the source that the directory names this silo.
    SendCommitted {
        /// The source.
        to: SiloId,
        /// The new epoch.
        epoch: Epoch,
    },
    /// Tell the target that it may run the actor.
    SendGo {
        /// The target.
        to: SiloId,
        /// Its epoch.
        epoch: Epoch,
    },
    /// Send (again) the message that the forwarding entry keeps under this number.
    SendForward {
        /// The target.
        to: SiloId,
        /// The stream.
        stream: Epoch,
        /// The number.
        n: u64,
    },
    /// Acknowledge all forwards up to `n`.
    SendRested {
        /// The forwarder.
        to: SiloId,
        /// Its stream.
        stream: Epoch,
        /// The number.
        n: u64,
    },
    /// Give a forward back that was not taken.
    SendReturned {
        /// The forwarder.
        to: SiloId,
        /// Its stream.
        stream: Epoch,
        /// The number.
        n: u64,
    },
    /// Say that a forward was taken and lost.
    SendLost {
        /// The forwarder.
        to: SiloId,
        /// Its stream.
        stream: Epoch,
        /// The number.
        n: u64,
    },
    /// Say that nothing more comes on a stream.
    SendClosed {
        /// The target.
        to: SiloId,
        /// The stream.
        stream: Epoch,
    },
    /// Ask whether a stream is closed.
    SendAskClosed {
        /// The forwarder.
        to: SiloId,
        /// Its stream.
        stream: Epoch,
    },
}

#[cfg(feature = "testkit")]
impl<I> Command<I> {
    /// What tests call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::ReadEntry => "read_entry",
            Self::ChangeEntry { purpose, .. } => match purpose {
                Purpose::Commit => "commit",
                Purpose::Resume => "raise_to_resume",
                Purpose::TakeBack => "take_back",
                Purpose::Start => "raise_to_start",
                Purpose::Free => "free",
            },
            Self::Freeze => "freeze",
            Self::Resume { .. } => "resume",
            Self::Start { .. } => "start",
            Self::Drop => "drop",
            Self::Abandon => "abandon",
            Self::Deactivate => "deactivate",
            Self::SendPackage { .. } => "send_package",
            Self::SendRefused { .. } => "send_refused",
            Self::SendCommitted { .. } => "send_committed",
            Self::SendGo { .. } => "send_go",
            Self::SendForward { .. } => "send_forward",
            Self::SendRested { .. } => "send_rested",
            Self::SendClosed { .. } => "send_closed",
            Self::SendReturned { .. } => "send_returned",
            Self::SendLost { .. } => "send_lost",
            Self::SendAskClosed { .. } => "send_ask_closed",
            Self::Bounce { .. } => "bounce",
            Self::Fenced { .. } => "fenced",
            Self::NotHere { .. } => "not_here",
            Self::Moved { .. } => "moved",
            Self::Unknown { .. } => "unknown",
            Self::Rest { .. } => "rest",
        }
    }
}

/// What a change of the directory entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The target takes the actor over.
    Commit,
    /// The source goes on with it; a late commit must fail.
    Resume,
    /// The source takes it back: from a dead target, or as the store has lost writes.
    TakeBack,
    /// The target starts it without the source's word.
    Start,
    /// The actor is deactivated: nobody owns it.
    Free,
}
