//! Laws of reminders and of the buckets by which silos share them.

use super::{
    race::race,
    values::{actor, free, owned, silo},
};
use crate::{
    ident::{ActorId, Epoch, SiloId},
    store::{
        Bucket, BucketRead, BucketRow, Entry, Missed, Owner, RegisterOutcome, Reminder, ReminderId, ReminderSpec,
        ReminderWrite, ReminderWritten, Store, TickOutcome, TickStep, Unknown, Window,
    },
};
use std::sync::Arc;

fn id(actor: &ActorId, name: &str) -> ReminderId {
    ReminderId {
        actor: actor.clone(),
        name: name.into(),
    }
}

fn spec(body: &str) -> ReminderSpec {
    ReminderSpec {
        every_micros: Some(60_000_000),
        missed: Missed::CatchUp,
        message: "cart.pay".into(),
        body: body.to_owned().into(),
        unknown: Unknown::default(),
    }
}

fn set(actor: &ActorId, name: &str, due: u64, body: &str) -> ReminderWrite {
    ReminderWrite {
        id: id(actor, name),
        owner: None,
        new: Some((due, spec(body))),
    }
}

fn remove(actor: &ActorId, name: &str) -> ReminderWrite {
    ReminderWrite {
        id: id(actor, name),
        owner: None,
        new: None,
    }
}

fn reminder(actor: &ActorId, name: &str, number: u64, due: u64, body: &str) -> Reminder {
    Reminder {
        id: id(actor, name),
        number,
        due_micros: due,
        spec: spec(body),
    }
}

fn written(number: u64, replaced: bool) -> ReminderWritten {
    ReminderWritten::Written { number, replaced }
}

async fn write(store: &dyn Store, writes: Vec<ReminderWrite>) -> Vec<ReminderWritten> {
    store.write_reminders(writes).await.expect("write_reminders answers")
}

async fn of(store: &dyn Store, actor: &ActorId) -> Vec<Reminder> {
    store.reminders_of(actor).await.expect("reminders_of answers")
}

const ALL: Window = Window {
    from_micros: 0,
    until_micros: u64::MAX,
    set_after: 0,
    limit: 1000,
};

async fn read(store: &dyn Store, bucket: Bucket, window: Window) -> BucketRead {
    store.read_bucket(bucket, window).await.expect("read_bucket answers")
}

async fn change(store: &dyn Store, bucket: Bucket, expected: Entry, new: Entry) -> Result<(), Entry> {
    let answer = store.change_bucket(bucket, expected, new).await;
    answer.expect("change_bucket answers")
}

fn step(reminder: &Reminder, epoch: u64, next: Option<u64>) -> TickStep {
    TickStep {
        tick: reminder.tick(),
        epoch: Epoch(epoch),
        next_micros: next,
    }
}

async fn check(store: &dyn Store, owner: &SiloId, step: &TickStep) -> TickOutcome {
    let outcomes = store.check_ticks(owner, vec![step.clone()]).await;
    outcomes.expect("check_ticks answers")[0]
}

async fn advance(store: &dyn Store, owner: &SiloId, step: &TickStep) -> TickOutcome {
    let outcomes = store.advance_ticks(owner, vec![step.clone()]).await;
    outcomes.expect("advance_ticks answers")[0]
}

/// A later one of the same name takes its place; each write has a number of its own in its bucket.
pub async fn a_reminder_comes_back_as_it_was_last_set(store: Arc<dyn Store>) {
    let cart = actor("cart", "1");
    assert_eq!(of(&*store, &cart).await, []);
    let plain = ReminderSpec {
        every_micros: None,
        missed: Missed::Skip,
        body: "".into(),
        ..spec("")
    };
    let once = ReminderWrite {
        new: Some((7, plain.clone())),
        ..set(&cart, "b", 0, "")
    };
    let writes = vec![
        set(&cart, "a", 5, "first"),
        once,
        set(&cart, "a", 1_790_000_000_000_001, "second"),
    ];
    assert_eq!(
        write(&*store, writes).await,
        [written(1, false), written(2, false), written(3, true)]
    );
    let b = Reminder {
        spec: plain,
        ..reminder(&cart, "b", 2, 7, "")
    };
    let a = reminder(&cart, "a", 3, 1_790_000_000_000_001, "second");
    assert_eq!(of(&*store, &cart).await, [a.clone(), b.clone()]);
    let found = read(&*store, Bucket::of(&cart), ALL).await;
    assert_eq!((found.reminders, found.row.changes), (vec![b, a], 3));
}

/// What is removed is nowhere any more, and what is set again has another number.
pub async fn a_removed_reminder_is_gone(store: Arc<dyn Store>) {
    let cart = actor("cart", "1");
    write(&*store, vec![set(&cart, "a", 5, "")]).await;
    let outcomes = write(&*store, vec![remove(&cart, "a"), remove(&cart, "a")]).await;
    assert_eq!(outcomes, [written(2, true), written(3, false)]);
    assert_eq!(of(&*store, &cart).await, []);
    assert_eq!(read(&*store, Bucket::of(&cart), ALL).await.reminders, []);
    assert_eq!(write(&*store, vec![set(&cart, "a", 5, "")]).await, [written(4, false)]);
}

/// Whatever of it is new, set before, refused, removed or named twice.
pub async fn writes_of_one_batch_take_effect_in_order(store: Arc<dyn Store>) {
    let (cart, b) = (actor("cart", "1"), silo("b"));
    write(&*store, vec![set(&cart, "old", 1, "")]).await;
    let refused = ReminderWrite {
        owner: Some(Owner {
            silo: b,
            epoch: Epoch(1),
        }),
        ..set(&cart, "refused", 5, "")
    };
    let writes = vec![
        set(&cart, "new", 2, ""),
        set(&cart, "old", 3, "again"),
        refused,
        set(&cart, "new", 4, "again"),
        remove(&cart, "old"),
        set(&cart, "old", 6, "anew"),
        remove(&cart, "none"),
        set(&cart, "last", 7, ""),
    ];
    let outcomes = [
        written(2, false),
        written(3, true),
        ReminderWritten::NotOwner(Entry::default()),
        written(4, true),
        written(5, true),
        written(6, false),
        written(7, false),
        written(8, false),
    ];
    assert_eq!(write(&*store, writes).await, outcomes);
    let new = reminder(&cart, "new", 4, 4, "again");
    let old = reminder(&cart, "old", 6, 6, "anew");
    let last = reminder(&cart, "last", 8, 7, "");
    assert_eq!(of(&*store, &cart).await, [last.clone(), new.clone(), old.clone()]);
    let found = read(&*store, Bucket::of(&cart), ALL).await;
    assert_eq!((found.reminders, found.row.changes), (vec![new, old, last], 8));
}

/// Only if its directory entry names it, in the same step.
pub async fn an_actor_that_has_another_owner_sets_no_reminder(store: Arc<dyn Store>) {
    let (cart, a, b) = (actor("cart", "1"), silo("a"), silo("b"));
    let registered = store.register(&a, vec![cart.clone()]).await.expect("register answers");
    assert!(matches!(registered[0], RegisterOutcome::Registered(_)));
    let by = |silo: &SiloId, epoch| ReminderWrite {
        owner: Some(Owner {
            silo: silo.clone(),
            epoch: Epoch(epoch),
        }),
        ..set(&cart, "a", 5, "")
    };
    let refused = ReminderWritten::NotOwner(owned(&a, 1));
    let outcomes = write(&*store, vec![by(&b, 1), by(&a, 2), by(&a, 1)]).await;
    assert_eq!(outcomes, [refused.clone(), refused, written(1, false)]);
    let free = ReminderWrite {
        id: id(&actor("cart", "2"), "a"),
        ..by(&a, 0)
    };
    let outcomes = write(&*store, vec![free]).await;
    assert_eq!(outcomes, [ReminderWritten::NotOwner(Entry::default())]);
}

/// Whatever kinds, keys and names are made of.
pub async fn reminders_of_other_actors_and_names_are_others(store: Arc<dyn Store>) {
    let actors = [
        ("a", "b:c"),
        ("a:b", "c"),
        ("a", "b"),
        ("a", "b "),
        ("1:a", "b"),
        ("東京", "%"),
    ];
    let actors: Vec<ActorId> = actors.iter().map(|(kind, key)| actor(kind, key)).collect();
    let names = ["%", ":", "A", "a", "a b", "é"];
    for actor in &actors {
        let writes = names.map(|name| set(actor, name, 5, &format!("{actor} {name}")));
        write(&*store, writes.into()).await;
    }
    for actor in &actors {
        let found = of(&*store, actor).await;
        let found: Vec<_> = found
            .iter()
            .map(|found| (&*found.id.name, found.spec.body.clone()))
            .collect();
        let due: Vec<_> = names
            .iter()
            .map(|name| (*name, format!("{actor} {name}").into()))
            .collect();
        assert_eq!(found, due, "{actor}");
    }
}

/// Ordered by due time, bounded, from the first that is wanted; those set after a number alone, if asked.
pub async fn a_bucket_is_read_in_windows(store: Arc<dyn Store>) {
    let cart = actor("cart", "1");
    let bucket = Bucket::of(&cart);
    let names: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
    // Due at 100, 97, 94 ...
    let writes = (0..)
        .step_by(3)
        .zip(&names)
        .map(|(n, name)| set(&cart, name, 100 - n, ""));
    write(&*store, writes.collect()).await;
    let dues = async |window| {
        let found = read(&*store, bucket, window).await;
        assert_eq!(found.row.changes, 20);
        found.reminders.iter().map(|found| found.due_micros).collect::<Vec<_>>()
    };
    let window = Window {
        from_micros: 46,
        until_micros: 61,
        ..ALL
    };
    assert_eq!(dues(window).await, [46, 49, 52, 55, 58]);
    assert_eq!(dues(Window { limit: 2, ..window }).await, [46, 49]);
    assert_eq!(
        dues(Window {
            set_after: 16,
            ..window
        })
        .await,
        [46, 49, 52]
    );
    assert_eq!(dues(Window { set_after: 18, ..ALL }).await, [43, 46]);
    assert_eq!(dues(Window { set_after: 20, ..ALL }).await, Vec::<u64>::new());
    let other = Bucket::all().find(|other| *other != bucket).expect("there are several");
    assert_eq!(read(&*store, other, ALL).await, BucketRead::default());
}

/// All buckets have a row; one that nobody ever had has the default.
pub async fn a_bucket_has_one_owner_at_a_time(store: Arc<dyn Store>) {
    let rows = async || store.buckets().await.expect("buckets answers");
    assert_eq!(rows().await, vec![BucketRow::default(); Bucket::COUNT.into()]);
    let bucket = Bucket::all().nth(9).expect("there are more");
    let (a, b) = (silo("a"), silo("b"));
    assert_eq!(change(&*store, bucket, free(0), owned(&a, 1)).await, Ok(()));
    for expected in [free(0), owned(&b, 1), owned(&a, 0), owned(&a, 2)] {
        let refused = change(&*store, bucket, expected.clone(), owned(&b, 3)).await;
        assert_eq!(refused, Err(owned(&a, 1)), "{expected:?}");
    }
    let again = change(&*store, bucket, owned(&a, 1), owned(&b, 1)).await;
    assert_eq!(again, Err(owned(&a, 1)), "the epoch must grow");
    assert_eq!(change(&*store, bucket, owned(&a, 1), free(2)).await, Ok(()));
    assert_eq!(change(&*store, bucket, free(2), owned(&b, 3)).await, Ok(()));
    let rows = rows().await;
    let taken = |row: &&BucketRow| row.entry != Entry::default();
    assert_eq!(rows.iter().filter(taken).count(), 1);
    assert_eq!(rows[9].entry, owned(&b, 3));
}

/// Of many that claim the same bucket one has it.
pub async fn concurrent_claims_of_a_bucket_have_one_winner(store: Arc<dyn Store>) {
    let outcomes = race(&store, |store, caller| {
        Box::pin(async move {
            let bucket = Bucket::all().next().expect("there are several");
            let mine = owned(&silo(&caller.to_string()), 1);
            change(&*store, bucket, free(0), mine.clone()).await.map(|()| mine)
        })
    })
    .await;
    let won: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(won.len(), 1);
    let told = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert!(told.clone().all(|told| told == won[0]), "{outcomes:?}");
}

/// A tick counts for the bucket's owner at its epoch, for the reminder as it was set, and for its next tick.
pub async fn a_tick_is_due_for_the_owner_of_its_bucket_alone(store: Arc<dyn Store>) {
    let (cart, a, b) = (actor("cart", "1"), silo("a"), silo("b"));
    write(&*store, vec![set(&cart, "a", 5, "")]).await;
    let tick = step(&reminder(&cart, "a", 1, 5, ""), 1, None);
    assert_eq!(check(&*store, &a, &tick).await, TickOutcome::NotOwner);
    let bucket = Bucket::of(&cart);
    assert_eq!(change(&*store, bucket, free(0), owned(&a, 1)).await, Ok(()));
    assert_eq!(check(&*store, &a, &tick).await, TickOutcome::Due);
    assert_eq!(check(&*store, &b, &tick).await, TickOutcome::NotOwner);
    let later = TickStep {
        epoch: Epoch(2),
        ..tick.clone()
    };
    assert_eq!(check(&*store, &a, &later).await, TickOutcome::NotOwner);
    for (other, outcome) in [
        (reminder(&cart, "a", 2, 5, ""), TickOutcome::Changed),
        (reminder(&cart, "b", 1, 5, ""), TickOutcome::Changed),
        (reminder(&cart, "a", 1, 6, ""), TickOutcome::Moved(5)),
        (reminder(&cart, "a", 1, 4, ""), TickOutcome::Moved(5)),
    ] {
        assert_eq!(check(&*store, &a, &step(&other, 1, None)).await, outcome);
    }
    assert_eq!(change(&*store, bucket, owned(&a, 1), owned(&b, 2)).await, Ok(()));
    assert_eq!(advance(&*store, &a, &tick).await, TickOutcome::NotOwner, "overtaken");
    assert_eq!(of(&*store, &cart).await.len(), 1, "and without effect");
    assert_eq!(check(&*store, &b, &later).await, TickOutcome::Due);
}

/// To its next tick, or to nothing; once.
pub async fn a_tick_is_advanced_once(store: Arc<dyn Store>) {
    let (cart, a) = (actor("cart", "1"), silo("a"));
    let bucket = Bucket::of(&cart);
    assert_eq!(change(&*store, bucket, free(0), owned(&a, 1)).await, Ok(()));
    write(&*store, vec![set(&cart, "a", 5, "x")]).await;
    let first = step(&reminder(&cart, "a", 1, 5, ""), 1, Some(1_790_000_000_000_065));
    let outcomes = store.advance_ticks(&a, vec![first.clone(), first.clone()]).await;
    let moved = TickOutcome::Moved(1_790_000_000_000_065);
    assert_eq!(outcomes.expect("answers"), [TickOutcome::Due, moved]);
    let next = reminder(&cart, "a", 1, 1_790_000_000_000_065, "x");
    assert_eq!(of(&*store, &cart).await, std::slice::from_ref(&next));
    let found = read(&*store, bucket, ALL).await;
    assert_eq!(
        (found.row.changes, found.reminders),
        (1, vec![next.clone()]),
        "no write of a reminder"
    );
    assert_eq!(advance(&*store, &a, &first).await, moved, "nothing goes back");
    let last = step(&next, 1, None);
    let outcomes = store.advance_ticks(&a, vec![last.clone(), last]).await;
    assert_eq!(outcomes.expect("answers"), [TickOutcome::Due, TickOutcome::Changed]);
    assert_eq!(of(&*store, &cart).await, []);
    assert_eq!(read(&*store, bucket, ALL).await.reminders, []);
}

/// An advance of a reminder that was set again or removed meanwhile neither reverts nor revives it (R46).
pub async fn an_advance_neither_reverts_nor_revives(store: Arc<dyn Store>) {
    let (cart, a) = (actor("cart", "1"), silo("a"));
    assert_eq!(change(&*store, Bucket::of(&cart), free(0), owned(&a, 1)).await, Ok(()));
    write(&*store, vec![set(&cart, "a", 5, "old")]).await;
    let old = step(&reminder(&cart, "a", 1, 5, ""), 1, Some(65));
    write(&*store, vec![set(&cart, "a", 5, "new")]).await;
    assert_eq!(advance(&*store, &a, &old).await, TickOutcome::Changed);
    assert_eq!(of(&*store, &cart).await, [reminder(&cart, "a", 2, 5, "new")]);
    let new = step(&reminder(&cart, "a", 2, 5, ""), 1, Some(65));
    write(&*store, vec![remove(&cart, "a")]).await;
    assert_eq!(advance(&*store, &a, &new).await, TickOutcome::Changed);
    assert_eq!(of(&*store, &cart).await, []);
}

/// In order, item by item, whatever buckets they are of.
pub async fn a_large_batch_of_reminders_is_answered_whole(store: Arc<dyn Store>) {
    let carts: Vec<ActorId> = super::values::carts(1000);
    let writes = carts.iter().map(|cart| set(cart, "a", 5, cart.key()));
    let outcomes = write(&*store, writes.collect()).await;
    assert_eq!(outcomes.len(), carts.len());
    let a = silo("a");
    for bucket in Bucket::all() {
        assert_eq!(change(&*store, bucket, free(0), owned(&a, 1)).await, Ok(()));
    }
    let mut steps = Vec::new();
    for (cart, outcome) in carts.iter().zip(outcomes) {
        let ReminderWritten::Written {
            number,
            replaced: false,
        } = outcome
        else {
            panic!("{outcome:?}");
        };
        let next = (steps.len() % 2 == 0).then_some(65);
        steps.push(step(&reminder(cart, "a", number, 5, ""), 1, next));
    }
    let outcomes = store.advance_ticks(&a, steps).await.expect("answers");
    assert_eq!(outcomes, vec![TickOutcome::Due; carts.len()]);
    let mut left = 0;
    for bucket in Bucket::all() {
        left += read(&*store, bucket, ALL).await.reminders.len();
    }
    assert_eq!(left, carts.len() / 2);
}
