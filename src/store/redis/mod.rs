//! A store in Redis, for clusters of several machines.
//!
//! Owns the keys and what they hold, the Lua of every check-and-set, the connections and the thread that they live on.
//! Imports the contract, `clock` and `ident`.
//!
//! ```text
//!   callers --operation--> thread --one multiplexed connection--> Redis    commands, scripts; pipelined
//!                                 --pool--------------------------> Redis    what is large, so that nothing waits behind it
//!   views() <--view number-- thread <--subscription--------------- Redis    healed by a read at each connect
//!
//!   quark:{CLUSTER}:members           hash: layout, view, r:SILO (record), h:SILO (heartbeat)
//!   quark:{CLUSTER}:views:DB          channel: the number of each new view
//!   quark:{CLUSTER/P}:actor:KIND:KEY  hash: owner, incarnation, epoch | etag, version, body | poster
//!   quark:{CLUSTER/P}:named:KIND:KEY  hash: e:NAME (e-tag), v:NAME (version), b:NAME (body)
//!   quark:{CLUSTER/P}:posters         set: the actors of partition P whose states have messages that are still to be sent
//!   quark:{CLUSTER/P}:owned:SILO      set: the actors of partition P that the silo owns
//!   quark:{CLUSTER/P}:subscriptions:KIND:KEY  hash: LENGTH:KIND:KEY of the subscriber, a zero byte and the event (record)
//!   quark:{CLUSTER/P}:bucket          hash: owner, incarnation, epoch, changes: who looks after the reminders of partition P
//!   quark:{CLUSTER/P}:reminders       hash: REMINDER (number, a colon, record), where REMINDER is LENGTH:KIND:KEY, a zero byte and its name
//!   quark:{CLUSTER/P}:reminders:due   sorted set: REMINDER by due time; :names by name alone
//! ```
//!
//! **Invariants.** *One slot per step*: what one script touches has one hash tag, so that a Redis Cluster would take it;
//! an actor's entry, its state and its place in the owner's set have the tag of its partition. *The store retries
//! nothing that may have been done*: a script is sent again only if Redis says that it does not know it
//! (after a restart or a failover). *Nobody hangs*: every command ends within [`COMMAND_TIMEOUT`], and a batch at the first
//! of its commands that fails. *Kept or told*: [`StoreError::Refused`](super::StoreError::Refused) proves that nothing was
//! changed.
//!
//! What Redis answers is as durable as Redis is told to make it: with `appendonly yes` a crash loses the last second or
//! two, with `appendfsync always` nothing. A server that evicts keys is refused.
//!
//! [`COMMAND_TIMEOUT`]: server::COMMAND_TIMEOUT

mod address;
mod batch;
mod calls;
mod documents;
mod entries;
mod failure;
mod keys;
mod members;
mod push;
mod redis_store;
mod reminder_scripts;
mod reminders;
mod reply;
mod scripts;
mod server;
mod states;
mod subscriptions;
mod suitability;
mod together;

pub use redis_store::RedisStore;
