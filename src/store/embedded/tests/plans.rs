//! How the file's statements find their rows.

use super::{Place, actor};
use crate::{
    ident::{ActorId, Epoch, SiloId},
    store::{
        Bucket, Entry, Missed, ReminderId, ReminderSpec, ReminderWrite, TickOutcome, TickStep, Unknown, Window,
        embedded::{file::File, reminders},
    },
};

fn set(actor: &ActorId, name: &str, due: u64) -> ReminderWrite {
    let spec = ReminderSpec {
        every_micros: None,
        missed: Missed::Once,
        message: "cart.pay".into(),
        body: "".into(),
        unknown: Unknown::default(),
    };
    ReminderWrite {
        id: ReminderId {
            actor: actor.clone(),
            name: name.into(),
        },
        owner: None,
        new: Some((due, spec)),
    }
}

/// R121: what is done for a tick, and how those that are due soon are read, finds its rows by an index.
#[test]
fn nothing_that_is_done_for_a_tick_reads_a_whole_table() {
    let place = Place::new();
    let file = File::open(&place.path(), "test", 1).unwrap();
    let (cart, owner) = (actor("1"), SiloId::new("a", 1));
    let (bucket, owned) = (Bucket::of(&cart), Entry::owned(owner.clone(), Epoch(1)));
    reminders::change_bucket(&file, bucket, &Entry::free(Epoch::ZERO), &owned)
        .unwrap()
        .unwrap();
    reminders::write(&file, &[set(&cart, "once", 5), set(&cart, "again", 6)]).unwrap();
    file.prepared.borrow_mut().clear();
    let window = |set_after| Window {
        from_micros: 0,
        until_micros: 10,
        set_after,
        limit: 10,
    };
    let found = reminders::read(&file, bucket, window(0)).unwrap().reminders;
    reminders::read(&file, bucket, window(1)).unwrap();
    let step = |n: usize, next_micros| TickStep {
        tick: found[n].tick(),
        epoch: Epoch(1),
        next_micros,
    };
    let steps = [step(0, None), step(1, Some(9))];
    assert_eq!(reminders::check(&file, &owner, &steps).unwrap(), [TickOutcome::Due; 2]);
    assert_eq!(
        reminders::advance(&file, &owner, &steps).unwrap(),
        [TickOutcome::Due; 2]
    );

    let statements = file.prepared.take();
    assert!(
        statements.iter().any(|sql| sql.starts_with("UPDATE reminders")),
        "{statements:?}"
    );
    let sql = place.sql();
    for statement in statements {
        let mut plan = sql.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let mut rows = plan.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get("detail").unwrap();
            assert!(!step.starts_with("SCAN"), "{statement}: {step}");
        }
    }
}
