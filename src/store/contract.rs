//! The contract that every backend keeps; held by one conformance suite.

use super::{
    Bucket, BucketRead, BucketRow, Change, Document, ETag, Entry, EntryChange, EntryOutcome, MemberRow,
    MembershipTable, RegisterOutcome, Reminder, ReminderWrite, ReminderWritten, SaveOutcome, SaveRequest, StoreError,
    StoredState, SubscriptionId, SubscriptionSpec, SubscriptionWrite, SubscriptionWritten, TickOutcome, TickStep,
    Window,
};
use crate::ident::{ActorId, SiloId};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// What a store answers.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// What the cluster shares.
///
/// Every method is atomic per item: of two concurrent changes with the same expectation one wins. A batch is answered
/// item by item, in order; an item that fails does not fail the others. Dropping a future does not undo the operation:
/// it may still take effect.
pub trait Store: Send + Sync + 'static {
    /// The backend's name and place for logs and errors, without secrets.
    fn describe(&self) -> String;

    /// The number of the newest view that the store has told of without being asked, 0 before the first (R82).
    ///
    /// Changes made through this very store are told, those of others as far as the backend can push: one in memory and
    /// Redis can, a file cannot. Views may be skipped, told late or never: whoever watches reads the table at times too.
    fn views(&self) -> watch::Receiver<u64>;

    /// The membership table: all rows and the number of the view.
    fn members(&self) -> StoreFuture<'_, MembershipTable>;

    /// Changes one row if the view is still `expected_view`; the view grows by one, also when the row is the same after
    /// it (a row put again, or one removed that was not there).
    ///
    /// A change does not touch the heartbeat of an existing row. The answer is the table after the change, or the
    /// table as found when the view had another number (nothing was changed then).
    fn change_member(
        &self,
        expected_view: u64,
        change: Change,
    ) -> StoreFuture<'_, Result<MembershipTable, MembershipTable>>;

    /// Sets the heartbeat of a row and nothing else; the view stays. Answers the row as it then is, `None` if there is none.
    fn heartbeat(&self, silo: &SiloId, heartbeat: u64) -> StoreFuture<'_, Option<MemberRow>>;

    /// Takes entries that nobody owns for `owner`, each at the epoch after the last one, and answers the actor's saved
    /// state with it; an entry that is owned is answered and left as it is.
    fn register(&self, owner: &SiloId, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<RegisterOutcome>>;

    /// The same for one actor, if this store answers without waiting for anything. `None`: it does not, and nothing has
    /// happened.
    fn register_at_once(&self, owner: &SiloId, actor: &ActorId) -> Option<RegisterOutcome> {
        let _not_at_once = (owner, actor);
        None
    }

    /// The entries as they are now; an actor that never had an owner has [`Entry::default`].
    fn entries(&self, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<Entry>>;

    /// Changes entries, each only if it is now exactly `expected`.
    fn change_entries(&self, changes: Vec<EntryChange>) -> StoreFuture<'_, Vec<EntryOutcome>>;

    /// The actors whose entries name `owner`, ordered by id.
    fn owned_by(&self, owner: &SiloId) -> StoreFuture<'_, Vec<ActorId>>;

    /// The saved states, whoever owns the actors.
    fn load(&self, actors: Vec<ActorId>) -> StoreFuture<'_, Vec<Option<StoredState>>>;

    /// An actor's entry and its saved state, both of one moment.
    fn load_owned(&self, actor: &ActorId) -> StoreFuture<'_, (Entry, Option<StoredState>)>;

    /// Saves states, or takes them away. Each is checked in the same atomic step against the directory entry (owner and epoch), then the
    /// e-tag, then those of its named states in their order. A batch that names an actor twice saves in order.
    fn save(&self, saves: Vec<SaveRequest>) -> StoreFuture<'_, Vec<SaveOutcome>>;

    /// A named state of an actor, whoever owns it.
    fn load_named(&self, actor: &ActorId, name: &str) -> StoreFuture<'_, Option<StoredState>>;

    /// The actors whose saved states have messages that are still to be sent ([`SaveRequest::has_posts`]), ordered by id.
    fn posters(&self) -> StoreFuture<'_, Vec<ActorId>>;

    /// A document of the cluster: what it has once and changes seldom, as its rollout. `None` if there is none of that name.
    fn document(&self, name: &str) -> StoreFuture<'_, Option<Document>>;

    /// Puts a document in place of the one numbered `expected` (`None`: there is none yet). Answers its number, or the document as it
    /// is if it has another (nothing was put then).
    fn put_document(
        &self,
        name: &str,
        expected: Option<ETag>,
        body: Bytes,
    ) -> StoreFuture<'_, Result<ETag, Option<Document>>>;

    /// Who looks after each bucket of reminders, in order, all of them.
    fn buckets(&self) -> StoreFuture<'_, Vec<BucketRow>>;

    /// Changes who looks after a bucket, if its entry is now exactly `expected` and the epoch of `new` is greater. Answers the entry
    /// as it is if not.
    fn change_bucket(&self, bucket: Bucket, expected: Entry, new: Entry) -> StoreFuture<'_, Result<(), Entry>>;

    /// Sets and removes reminders, whatever there was of their names. Each is checked in the same atomic step against its actor's
    /// directory entry, if it says whose it is to be.
    fn write_reminders(&self, writes: Vec<ReminderWrite>) -> StoreFuture<'_, Vec<ReminderWritten>>;

    /// The reminders of an actor, ordered by name.
    fn reminders_of(&self, actor: &ActorId) -> StoreFuture<'_, Vec<Reminder>>;

    /// Reminders of a bucket, by the time when they are due; costs what it answers, whatever the bucket holds.
    fn read_bucket(&self, bucket: Bucket, window: Window) -> StoreFuture<'_, BucketRead>;

    /// Whether the ticks are to be delivered by `owner`: it owns their buckets, and they are their reminders' next.
    fn check_ticks(&self, owner: &SiloId, ticks: Vec<TickStep>) -> StoreFuture<'_, Vec<TickOutcome>>;

    /// The same, and those that are go on to their next tick, or are removed if there is none.
    fn advance_ticks(&self, owner: &SiloId, ticks: Vec<TickStep>) -> StoreFuture<'_, Vec<TickOutcome>>;

    /// The subscriptions to a stream, by subscriber and event.
    fn subscriptions(&self, stream: &ActorId) -> StoreFuture<'_, Vec<(SubscriptionId, SubscriptionSpec)>>;

    /// Makes and ends subscriptions. Each is checked in the same atomic step against its stream's directory entry.
    fn write_subscriptions(&self, writes: Vec<SubscriptionWrite>) -> StoreFuture<'_, Vec<SubscriptionWritten>>;
}
