//! Streams: events by namespace and key, to all who subscribed.
//!
//! Owns the actor that a stream is, its messages, and what programs see of it: [`StreamRef`], [`Event`], subscriptions.
//!
//! ```text
//!   publisher --Publish--> Stream (an actor like any other, one per namespace and key)
//!                            |--Event, shared---> subscriber's mailbox, if it runs in this process
//!                            |--Event, encoded once--> subscribers elsewhere, each asked, so that the stream knows what has arrived
//!                            \--no room: waits, drops or keeps, as the subscription says
//!   subscriber --Subscribe--> Stream --> a row in the store; what the stream has in memory moves with it
//! ```
//!
//! As a stream is an actor, it is placed, found, moved and succeeded as one; what is published waits in its mailbox, and all its
//! subscribers see its events in one order. Before it moves it waits until what it sent over links has run, so that what its next
//! activation sends cannot overtake that.
//!
//! **Invariants** (by the names of the tests): `events_of_a_publisher_come_in_order_while_stream_and_subscribers_move`,
//! `a_subscriber_that_panics_stops_nobody`, `who_has_no_room_waits_or_drops_as_it_said`.
//!
//! Imports `actor`, `mailbox`, `store`, `wire`, `clock`, `ident`.

mod delivery;
mod event;
mod face;
mod messages;
mod publish;
mod stream_actor;
mod subscribe;

pub use event::Event;
pub use face::{StreamRef, open};
pub use messages::{Delivery, StreamStatus, SubscriberStatus};
pub use stream_actor::Stream;
pub use subscribe::{Subscription, SubscriptionError};
