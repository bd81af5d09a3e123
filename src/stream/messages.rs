//! The messages that a stream takes. Their names do not begin as those of messages between silos ([`crate::actor::OWN_MESSAGES`]).

use super::event::Shared;
use crate::{actor::Message, ident::ActorId, store::BackPressure};
use serde::{Deserialize, Serialize};

/// Gives an event to all subscribers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Publish(pub(super) Shared);

#[diagnostic::do_not_recommend]
impl Message for Publish {
    type Reply = Delivery;
    const NAME: &'static str = "stream.publish";
}

/// What became of an event: to how many it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The subscribers in whose mailboxes it is, or that it is on its way to.
    pub delivered: u32,
    /// Those for whom it is kept until they have room.
    pub kept: u32,
    /// Those without room, for whom it was dropped.
    pub dropped: u32,
    /// Those to whom it cannot be sent.
    pub failed: u32,
}

/// Makes a subscription.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Subscribe {
    pub(super) subscriber: ActorId,
    pub(super) event: String,
    #[serde(default)]
    pub(super) pressure: BackPressure,
}

#[diagnostic::do_not_recommend]
impl Message for Subscribe {
    /// Whether there was one.
    type Reply = Result<bool, String>;
    const NAME: &'static str = "stream.subscribe";
}

/// Ends a subscription.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Unsubscribe {
    pub(super) subscriber: ActorId,
    pub(super) event: String,
}

#[diagnostic::do_not_recommend]
impl Message for Unsubscribe {
    /// Whether there was one.
    type Reply = Result<bool, String>;
    const NAME: &'static str = "stream.unsubscribe";
}

/// Sends what is kept for those that had no room.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SendKept;

#[diagnostic::do_not_recommend]
impl Message for SendKept {
    type Reply = ();
    const NAME: &'static str = "stream.send_kept";
}

/// Asks how a stream does.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ReadStatus;

#[diagnostic::do_not_recommend]
impl Message for ReadStatus {
    type Reply = StreamStatus;
    const NAME: &'static str = "stream.status";
}

/// How a stream does, since its activation and through its moves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamStatus {
    /// Events that were published.
    pub published: u64,
    /// Its subscribers.
    pub subscribers: Vec<SubscriberStatus>,
}

/// How a subscriber fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriberStatus {
    /// Who.
    pub actor: ActorId,
    /// The wire name of the events it gets; `None`: all, as its kind is declared for the namespace.
    pub event: Option<String>,
    /// What is done when it has no room.
    pub pressure: BackPressure,
    /// Events given to it.
    pub delivered: u64,
    /// Events dropped for want of room.
    pub dropped: u64,
    /// Events that could not be sent, or of which a failure came back.
    pub failed: u64,
    /// Times that the stream waited for it.
    pub waited: u64,
    /// Events that are kept for it now.
    pub kept: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::OWN_MESSAGES;

    /// What begins so is taken by the runtime, and never comes to a handler.
    #[test]
    fn no_message_of_a_stream_is_taken_for_one_of_its_silo() {
        for name in [
            Publish::NAME,
            Subscribe::NAME,
            Unsubscribe::NAME,
            SendKept::NAME,
            ReadStatus::NAME,
        ] {
            assert!(!name.starts_with(OWN_MESSAGES), "{name}");
        }
    }
}
