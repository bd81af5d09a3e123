//! The laws of the engine, by the commands it answers.

use super::{Command, Event, Ran, Reminders, Written};
use crate::{
    ident::{ActorId, Epoch, SiloId},
    store::{
        Bucket, BucketRead, BucketRow, Entry, Missed, Reminder, ReminderId, ReminderSpec, StoreError, TickOutcome,
        TickStep, Unknown, Window,
    },
};

const SECOND: u64 = 1_000_000;

fn me() -> SiloId {
    SiloId::new("me", 1)
}

fn other() -> SiloId {
    SiloId::new("other", 1)
}

fn actor() -> ActorId {
    ActorId::new("cart", "alice").expect("valid")
}

fn bucket() -> Bucket {
    Bucket::of(&actor())
}

fn reminder(name: &str, number: u64, due: u64, every: Option<u64>, missed: Missed) -> Reminder {
    Reminder {
        id: ReminderId {
            actor: actor(),
            name: name.into(),
        },
        number,
        due_micros: due,
        spec: ReminderSpec {
            every_micros: every,
            missed,
            message: "cart.pay.tick".into(),
            body: "".into(),
            unknown: Unknown::default(),
        },
    }
}

fn rows(entry: Entry, changes: u64) -> Event {
    let row = |at| {
        let entry = if at == bucket() {
            entry.clone()
        } else {
            Entry::default()
        };
        let changes = if at == bucket() { changes } else { 0 };
        (BucketRow { entry, changes }, false)
    };
    Event::BucketsRead(Ok(Bucket::all().map(row).collect()))
}

fn unavailable() -> StoreError {
    StoreError::Unavailable {
        place: "here".into(),
        why: "a test".into(),
    }
}

/// What is wanted but wakes and looks at the rows.
fn on(engine: &mut Reminders, now: u64, event: Event) -> Vec<Command> {
    let mut commands = engine.on(now, event);
    commands.retain(|command| !matches!(command, Command::WakeAt(_) | Command::ReadBuckets));
    commands
}

fn wake(engine: &mut Reminders, now: u64, event: Event) -> Option<u64> {
    engine.on(now, event).into_iter().find_map(|command| match command {
        Command::WakeAt(at) => Some(at),
        _ => None,
    })
}

/// An engine that serves the bucket, in which there are these.
fn serving(now: u64, reminders: Vec<Reminder>) -> Reminders {
    let mut engine = Reminders::new(me());
    let looks = engine.on(now, Event::Wanted([bucket()].into()));
    assert_eq!(looks[0], Command::ReadBuckets);
    let changes = reminders.iter().map(|reminder| reminder.number).max().unwrap_or(1);
    let claims = on(&mut engine, now, rows(Entry::free(Epoch(4)), changes));
    let new = Entry::owned(me(), Epoch(5));
    let claim = Command::ChangeBucket {
        bucket: bucket(),
        expected: Entry::free(Epoch(4)),
        new: new.clone(),
    };
    assert_eq!(claims, [claim]);
    let claimed = Event::BucketChanged {
        bucket: bucket(),
        new: new.clone(),
        answer: Ok(Ok(())),
    };
    let reads = on(&mut engine, now, claimed);
    let [Command::Read { window, epoch, .. }] = reads[..] else {
        panic!("{reads:?}");
    };
    assert_eq!((window.from_micros, epoch), (0, Epoch(5)));
    let row = BucketRow { entry: new, changes };
    let mut reminders = reminders;
    reminders.retain(|reminder| reminder.due_micros < window.until_micros);
    let read = Event::Read {
        bucket: bucket(),
        epoch,
        window,
        answer: Ok(BucketRead { row, reminders }),
    };
    let commands = on(&mut engine, now, read);
    assert!(
        commands.iter().all(|command| matches!(command, Command::Check(_))),
        "{commands:?}"
    );
    engine
}

fn checked(ticks: &[TickStep], outcome: TickOutcome) -> Event {
    Event::Checked {
        ticks: ticks.to_vec(),
        answer: Ok(vec![outcome; ticks.len()]),
    }
}

fn check(commands: &[Command]) -> Vec<TickStep> {
    let check = commands.iter().find_map(|command| match command {
        Command::Check(ticks) => Some(ticks.clone()),
        _ => None,
    });
    check.unwrap_or_else(|| panic!("{commands:?}"))
}

fn advance(commands: &[Command]) -> Vec<TickStep> {
    let advance = commands.iter().find_map(|command| match command {
        Command::Advance(ticks) => Some(ticks.clone()),
        _ => None,
    });
    advance.unwrap_or_else(|| panic!("{commands:?}"))
}

fn delivered(tick: &TickStep, ran: Ran) -> Event {
    Event::Delivered(vec![(tick.clone(), ran)])
}

fn advanced(ticks: &[TickStep], outcome: TickOutcome) -> Event {
    Event::Advanced {
        ticks: ticks.to_vec(),
        answer: Ok(vec![outcome; ticks.len()]),
    }
}

/// Lets the tick that is asked for run; answers how it is advanced, and what is wanted then.
fn run(engine: &mut Reminders, now: u64, asked: &[Command]) -> (TickStep, Vec<Command>) {
    let ticks = check(asked);
    let commands = on(engine, now, checked(&ticks, TickOutcome::Due));
    let delivers = |command: &Command| matches!(command, Command::Deliver(all) if all.len() == 1);
    assert!(commands.iter().any(delivers), "{commands:?}");
    let steps = advance(&on(engine, now, delivered(&ticks[0], Ran::Yes)));
    let next = on(engine, now, advanced(&steps, TickOutcome::Due));
    (steps[0].clone(), next)
}

/// R121
#[test]
fn a_tick_is_checked_before_it_is_delivered_and_advanced_after_it_ran() {
    let every = Some(2 * SECOND);
    let mut engine = serving(0, vec![reminder("pay", 1, SECOND, every, Missed::Once)]);
    assert_eq!(on(&mut engine, SECOND - 1, Event::Tick), []);
    let ticks = check(&on(&mut engine, SECOND, Event::Tick));
    assert_eq!((ticks[0].tick.due_micros, ticks[0].epoch), (SECOND, Epoch(5)));
    assert_eq!(on(&mut engine, SECOND, Event::Tick), [], "one at a time");
    let deliver = on(&mut engine, SECOND, checked(&ticks, TickOutcome::Due));
    assert!(matches!(&deliver[..], [Command::Deliver(_)]));
    let steps = advance(&on(&mut engine, SECOND + 5, delivered(&ticks[0], Ran::Yes)));
    assert_eq!(steps[0].next_micros, Some(3 * SECOND), "on its grid");
    assert_eq!(on(&mut engine, SECOND + 5, advanced(&steps, TickOutcome::Due)), []);
    assert_eq!(engine.at_work(), 0);
    assert_eq!(
        check(&on(&mut engine, 3 * SECOND, Event::Tick))[0].tick.due_micros,
        3 * SECOND
    );
}

/// R121: a tick costs a check and an advance of its own, whatever else the bucket holds; what is due soon was read before, once.
#[test]
fn no_tick_reads_the_bucket() {
    const ALL: u64 = 3_000;
    let due = |n: u64| SECOND + n * 1_000;
    let all = (0..ALL).map(|n| reminder(&n.to_string(), n + 1, due(n), None, Missed::Once));
    let mut engine = serving(0, all.collect());
    for n in 0..ALL {
        let mut said = engine.on(due(n), Event::Tick);
        let ticks = check(&said);
        assert_eq!((ticks.len(), &*ticks[0].tick.id.name), (1, &*n.to_string()));
        said.extend(engine.on(due(n), checked(&ticks, TickOutcome::Due)));
        said.extend(engine.on(due(n), delivered(&ticks[0], Ran::Yes)));
        let steps = advance(&said);
        assert_eq!(steps.len(), 1);
        said.extend(engine.on(due(n), advanced(&steps, TickOutcome::Due)));
        let reads = said.iter().filter(|command| matches!(command, Command::Read { .. }));
        assert_eq!(reads.count(), 0, "tick {n}: {said:?}");
    }
    assert_eq!((engine.in_memory(), engine.at_work()), (0, 0));
}

/// R122
#[test]
fn missed_ticks_are_delivered_once_left_out_or_made_up_for() {
    let (due, every, now) = (100 * SECOND, Some(10 * SECOND), 135 * SECOND);
    let mut once = serving(0, vec![]);
    for (missed, nexts) in [
        (Missed::Once, vec![(100, Some(140))]),
        (
            Missed::CatchUp,
            vec![(100, Some(110)), (110, Some(120)), (120, Some(130)), (130, Some(140))],
        ),
    ] {
        let mut engine = serving(95 * SECOND, vec![reminder("pay", 1, due, every, missed)]);
        let mut commands = on(&mut engine, now, Event::Tick);
        for (due, next) in nexts {
            let (step, then) = run(&mut engine, now, &commands);
            commands = then;
            let found = (
                step.tick.due_micros / SECOND,
                step.next_micros.map(|next| next / SECOND),
            );
            assert_eq!(found, (due, next), "{missed:?}");
        }
    }
    let mut engine = serving(95 * SECOND, vec![reminder("pay", 1, due, every, Missed::Skip)]);
    let steps = advance(&on(&mut engine, now, Event::Tick));
    assert_eq!(steps[0].next_micros, Some(140 * SECOND), "without being delivered");
    let mut engine = serving(95 * SECOND, vec![reminder("pay", 1, due, None, Missed::Skip)]);
    let late = 161 * SECOND;
    assert_eq!(
        advance(&on(&mut engine, late, Event::Tick))[0].next_micros,
        None,
        "over"
    );
    assert_eq!(on(&mut once, SECOND, Event::Tick), [], "an empty bucket");
}

/// R45, R121
#[test]
fn a_tick_that_did_not_run_is_delivered_again_under_its_id() {
    let mut engine = serving(0, vec![reminder("pay", 1, SECOND, None, Missed::Once)]);
    let first = check(&on(&mut engine, SECOND, Event::Tick));
    on(&mut engine, SECOND, checked(&first, TickOutcome::Due));
    assert_eq!(on(&mut engine, SECOND, delivered(&first[0], Ran::NotSurely)), []);
    assert_eq!(on(&mut engine, SECOND + 99_000, Event::Tick), [], "after a pause");
    let again = check(&on(&mut engine, SECOND + 100_000, Event::Tick));
    assert_eq!(again, first);
    // A store that does not answer holds it up, and loses nothing.
    let lost = Event::Checked {
        ticks: again.clone(),
        answer: Err(unavailable()),
    };
    assert_eq!(on(&mut engine, 2 * SECOND, lost), []);
    let again = check(&on(&mut engine, 3 * SECOND, Event::Tick));
    on(&mut engine, 3 * SECOND, checked(&again, TickOutcome::Due));
    let steps = advance(&on(&mut engine, 3 * SECOND, delivered(&again[0], Ran::Yes)));
    let lost = Event::Advanced {
        ticks: steps.clone(),
        answer: Err(unavailable()),
    };
    assert_eq!(on(&mut engine, 3 * SECOND, lost), []);
    assert_eq!(advance(&on(&mut engine, 4 * SECOND, Event::Tick)), steps);
}

/// R45: the store took an advance, its answer was lost, and the next try finds the reminder at another tick already.
#[test]
fn a_reminder_whose_advance_was_done_and_not_answered_goes_on() {
    let every = Some(2 * SECOND);
    let mut engine = serving(0, vec![reminder("pay", 1, SECOND, every, Missed::CatchUp)]);
    let ticks = check(&on(&mut engine, SECOND, Event::Tick));
    on(&mut engine, SECOND, checked(&ticks, TickOutcome::Due));
    let steps = advance(&on(&mut engine, SECOND, delivered(&ticks[0], Ran::Yes)));
    let lost = Event::Advanced {
        ticks: steps.clone(),
        answer: Err(unavailable()),
    };
    assert_eq!(on(&mut engine, SECOND, lost), []);
    assert_eq!(advance(&on(&mut engine, 2 * SECOND, Event::Tick)), steps);
    on(
        &mut engine,
        2 * SECOND,
        advanced(&steps, TickOutcome::Moved(3 * SECOND)),
    );
    let next = check(&on(&mut engine, 3 * SECOND, Event::Tick));
    assert_eq!((next[0].tick.number, next[0].tick.due_micros), (1, 3 * SECOND));
}

/// What was read of the bucket, as an answer to `window`.
fn found(window: Window, changes: u64, reminders: Vec<Reminder>) -> Event {
    let entry = Entry::owned(me(), Epoch(5));
    Event::Read {
        bucket: bucket(),
        epoch: Epoch(5),
        window,
        answer: Ok(BucketRead {
            row: BucketRow { entry, changes },
            reminders,
        }),
    }
}

fn window(commands: &[Command]) -> Window {
    let window = commands.iter().find_map(|command| match command {
        Command::Read { window, .. } => Some(*window),
        _ => None,
    });
    window.unwrap_or_else(|| panic!("{commands:?}"))
}

/// R45: an advance was done and not answered before the supervisor was restarted; the read that came after it was done before it. Nothing
/// that was set since tells of the reminder, so a tick that is only said not to be due would be its last.
#[test]
fn a_reminder_that_was_advanced_before_a_restart_goes_on() {
    let every = Some(2 * SECOND);
    let before = || vec![reminder("pay", 1, SECOND, every, Missed::Once)];
    let mut engine = serving(0, before());
    let ticks = check(&on(&mut engine, SECOND, Event::Tick));
    on(&mut engine, SECOND, checked(&ticks, TickOutcome::Due));
    advance(&on(&mut engine, SECOND, delivered(&ticks[0], Ran::Yes)));
    engine.restarted();
    on(&mut engine, SECOND, Event::Tick);
    let asked = window(&on(&mut engine, SECOND, rows(Entry::owned(me(), Epoch(5)), 1)));
    let ticks = check(&on(&mut engine, SECOND, found(asked, 1, before())));
    on(&mut engine, SECOND, checked(&ticks, TickOutcome::Moved(3 * SECOND)));
    assert_eq!((engine.in_memory(), engine.at_work()), (1, 0));
    let next = check(&on(&mut engine, 3 * SECOND, Event::Tick));
    assert_eq!((next[0].tick.number, next[0].tick.due_micros), (1, 3 * SECOND));
}

/// R45: a read that was done before an advance, and answered after it, brings a tick that is over; the one that comes next is read while
/// that is still in memory.
#[test]
fn a_read_that_is_older_than_an_advance_hides_no_tick() {
    let every = Some(11 * SECOND);
    let at = |due| reminder("pay", 2, due, every, Missed::Once);
    let mut engine = serving(0, vec![reminder("first", 1, 60 * SECOND, None, Missed::Once)]);
    // Written by this silo, beside a write of another: what that was is read.
    on(&mut engine, 1, Event::Written(vec![Written::Set(at(SECOND))]));
    let commands = on(
        &mut engine,
        SECOND,
        Event::SetElsewhere {
            bucket: bucket(),
            due_micros: SECOND,
        },
    );
    let asked = window(&commands);
    let ticks = check(&commands);
    on(&mut engine, SECOND, checked(&ticks, TickOutcome::Due));
    let steps = advance(&on(&mut engine, SECOND, delivered(&ticks[0], Ran::Yes)));
    on(&mut engine, SECOND, advanced(&steps, TickOutcome::Due));
    assert_eq!(engine.in_memory(), 0, "its next is beyond what is in memory");
    let again = check(&on(&mut engine, SECOND, found(asked, 3, vec![at(SECOND)])));
    let next = window(&on(&mut engine, 6 * SECOND, Event::Tick));
    assert!(
        next.from_micros <= 12 * SECOND && 12 * SECOND < next.until_micros,
        "{next:?}"
    );
    on(&mut engine, 6 * SECOND, found(next, 3, vec![at(12 * SECOND)]));
    on(
        &mut engine,
        6 * SECOND,
        checked(&again, TickOutcome::Moved(12 * SECOND)),
    );
    let due = check(&on(&mut engine, 12 * SECOND, Event::Tick));
    assert_eq!(due[0].tick.due_micros, 12 * SECOND);
}

/// What a store lost ticks again, and the rest of the bucket is read for what else is not as it was.
#[test]
fn a_bucket_whose_reminder_went_back_is_read_anew() {
    let every = Some(2 * SECOND);
    let at = |due| reminder("pay", 1, due, every, Missed::Once);
    let mut engine = serving(0, vec![at(3 * SECOND)]);
    let ticks = check(&on(&mut engine, 3 * SECOND, Event::Tick));
    let commands = on(&mut engine, 3 * SECOND, checked(&ticks, TickOutcome::Moved(SECOND)));
    let asked = window(&commands);
    assert_eq!((asked.from_micros, asked.set_after), (0, 0));
    let ticks = check(&on(&mut engine, 3 * SECOND, found(asked, 1, vec![at(SECOND)])));
    assert_eq!(ticks[0].tick.due_micros, SECOND);
}

/// A bucket that is to be given away takes nothing up again: its next owner reads what is due.
#[test]
fn a_tick_that_moved_holds_up_no_hand_over() {
    let every = Some(2 * SECOND);
    for to in [3, 0] {
        let mut engine = serving(0, vec![reminder("pay", 1, SECOND, every, Missed::Once)]);
        let ticks = check(&on(&mut engine, SECOND, Event::Tick));
        on(&mut engine, SECOND, Event::Wanted([].into()));
        let commands = on(&mut engine, SECOND, checked(&ticks, TickOutcome::Moved(to * SECOND)));
        assert!(matches!(commands[..], [Command::ChangeBucket { .. }]), "{commands:?}");
    }
}

/// R46
#[test]
fn what_is_set_while_its_tick_runs_takes_its_place() {
    let mut engine = serving(0, vec![reminder("pay", 1, SECOND, Some(SECOND), Missed::Once)]);
    let ticks = check(&on(&mut engine, SECOND, Event::Tick));
    on(&mut engine, SECOND, checked(&ticks, TickOutcome::Due));
    let newer = reminder("pay", 2, 5 * SECOND, None, Missed::Once);
    on(&mut engine, SECOND, Event::Written(vec![Written::Set(newer)]));
    let steps = advance(&on(&mut engine, SECOND, delivered(&ticks[0], Ran::Yes)));
    let commands = on(&mut engine, SECOND, advanced(&steps, TickOutcome::Changed));
    assert!(matches!(&commands[..], [Command::Read { .. }]), "{commands:?}");
    let due = check(&on(&mut engine, 5 * SECOND, Event::Tick));
    assert_eq!((due[0].tick.number, due[0].tick.due_micros), (2, 5 * SECOND));
}

/// What this silo does not hear of is found by the number of changes, and read without the rest.
#[test]
fn what_is_set_elsewhere_is_read_when_it_is_due_soon() {
    let mut engine = serving(0, vec![reminder("pay", 7, 60 * SECOND, None, Missed::Once)]);
    let told = |due| Event::SetElsewhere {
        bucket: bucket(),
        due_micros: due,
    };
    assert_eq!(on(&mut engine, 1, told(60 * SECOND)), [], "it will be read in time");
    let reads = on(&mut engine, 1, told(SECOND));
    let window = Window {
        from_micros: 0,
        until_micros: 10 * SECOND,
        set_after: 7,
        limit: usize::MAX,
    };
    let (bucket, epoch) = (bucket(), Epoch(5));
    assert_eq!(reads, [Command::Read { bucket, epoch, window }]);
    let row = BucketRow {
        entry: Entry::owned(me(), epoch),
        changes: 8,
    };
    let reminders = vec![reminder("new", 8, SECOND, None, Missed::Once)];
    let read = Event::Read {
        bucket,
        epoch,
        window,
        answer: Ok(BucketRead { row, reminders }),
    };
    assert_eq!(on(&mut engine, 2, read), []);
    assert_eq!(&*check(&on(&mut engine, SECOND, Event::Tick))[0].tick.id.name, "new");
    let commands = on(&mut engine, SECOND, rows(Entry::owned(me(), epoch), 9));
    assert!(
        matches!(&commands[..], [Command::Read { window, .. }] if window.set_after == 8),
        "{commands:?}"
    );
}

/// A silo that sets many would read all of them back.
#[test]
fn what_this_silo_wrote_is_not_read() {
    let mut engine = serving(0, vec![reminder("pay", 3, 60 * SECOND, None, Missed::Once)]);
    let set = |number, due| {
        let name = format!("of {number}");
        Written::Set(reminder(&name, number, due * SECOND, None, Missed::Once))
    };
    let changes = |changes| rows(Entry::owned(me(), Epoch(5)), changes);
    let of_5 = reminder("of 5", 5, 0, None, Missed::Once).id;
    let writes = vec![set(4, 1), set(5, 9), Written::Removed(of_5, 6), set(7, 50)];
    assert_eq!(on(&mut engine, 1, Event::Written(writes)), []);
    assert_eq!(on(&mut engine, 2, changes(7)), []);
    // Number 8 is another's: found by the number of changes, and read with what came after it.
    assert_eq!(on(&mut engine, 3, Event::Written(vec![set(9, 2)])), []);
    let reads = on(&mut engine, 4, changes(9));
    assert!(
        matches!(&reads[..], [Command::Read { window, .. }] if window.set_after == 7),
        "{reads:?}"
    );
    let due = check(&on(&mut engine, 9 * SECOND, Event::Tick));
    let due: Vec<&str> = due.iter().map(|step| &*step.tick.id.name).collect();
    assert_eq!(due, ["of 4", "of 9"]);
}

/// R45: planned change
#[test]
fn a_bucket_is_handed_over_when_its_ticks_have_ended() {
    let due = |name, due| reminder(name, due, due * SECOND, None, Missed::Once);
    let mut engine = serving(0, vec![due("first", 1), due("second", 2)]);
    let ticks = check(&on(&mut engine, SECOND, Event::Tick));
    on(&mut engine, SECOND, checked(&ticks, TickOutcome::Due));
    assert_eq!(on(&mut engine, SECOND, Event::Wanted([].into())), []);
    assert_eq!((engine.buckets(), engine.at_work(), engine.to_hand_over()), (1, 1, 1));
    assert_eq!(
        on(&mut engine, 2 * SECOND, rows(Entry::owned(me(), Epoch(5)), 2)),
        [],
        "no tick begins any more"
    );
    let steps = advance(&on(&mut engine, 2 * SECOND, delivered(&ticks[0], Ran::Yes)));
    let release = Command::ChangeBucket {
        bucket: bucket(),
        expected: Entry::owned(me(), Epoch(5)),
        new: Entry::free(Epoch(6)),
    };
    let commands = on(&mut engine, 2 * SECOND, advanced(&steps, TickOutcome::Due));
    assert_eq!(commands, [release]);
    let released = Event::BucketChanged {
        bucket: bucket(),
        new: Entry::free(Epoch(6)),
        answer: Ok(Ok(())),
    };
    assert_eq!(on(&mut engine, 2 * SECOND, released), [Command::TellHandedOver]);
    assert_eq!((engine.buckets(), engine.in_memory(), engine.unsettled()), (0, 0, 0));
}

/// R121, guarantee 8
#[test]
fn an_overtaken_owner_delivers_nothing_more() {
    let due = |name, due| reminder(name, due, due * SECOND, None, Missed::Once);
    let mut engine = serving(0, vec![due("first", 1), due("second", 2)]);
    let ticks = check(&on(&mut engine, SECOND, Event::Tick));
    let commands = on(&mut engine, SECOND, checked(&ticks, TickOutcome::NotOwner));
    assert_eq!(commands, []);
    assert_eq!((engine.buckets(), engine.in_memory()), (0, 0));
    assert_eq!(on(&mut engine, 2 * SECOND, Event::Tick), []);
    // It is wanted, but its owner lives.
    assert_eq!(
        on(&mut engine, 2 * SECOND, rows(Entry::owned(other(), Epoch(6)), 2)),
        []
    );
    assert_eq!(engine.unsettled(), 1);
}

#[test]
fn only_a_free_bucket_or_one_whose_owner_is_gone_is_claimed() {
    for (owner, is_gone, claims) in [(None, false, 1), (Some(other()), false, 0), (Some(other()), true, 1)] {
        let mut engine = Reminders::new(me());
        on(&mut engine, 0, Event::Wanted([bucket()].into()));
        let entry = Entry { owner, epoch: Epoch(3) };
        let row = BucketRow { entry, changes: 0 };
        let rows = Bucket::all().map(|_| (row.clone(), is_gone)).collect();
        let commands = on(&mut engine, 0, Event::BucketsRead(Ok(rows)));
        assert_eq!(commands.len(), claims, "{commands:?}");
    }
}

#[test]
fn an_engine_without_buckets_sleeps_and_one_with_wakes_for_its_next_tick() {
    let mut engine = Reminders::new(me());
    assert_eq!(wake(&mut engine, 0, Event::Wanted([].into())), None);
    let mut engine = serving(0, vec![reminder("pay", 1, SECOND / 2, None, Missed::Once)]);
    engine.restarted();
    on(&mut engine, 1, Event::Tick);
    on(&mut engine, 1, rows(Entry::owned(me(), Epoch(5)), 1));
    let row = BucketRow {
        entry: Entry::owned(me(), Epoch(5)),
        changes: 1,
    };
    let read = Event::Read {
        bucket: bucket(),
        epoch: Epoch(5),
        window: Window {
            from_micros: 0,
            until_micros: 1 + 10 * SECOND,
            set_after: 0,
            limit: 4096,
        },
        answer: Ok(BucketRead {
            row,
            reminders: vec![reminder("pay", 1, SECOND / 2, None, Missed::Once)],
        }),
    };
    on(&mut engine, 1, read);
    // What was wanted before all was settled; a wake that is too early does no harm.
    assert_eq!(wake(&mut engine, SECOND / 10 + 1, Event::Tick), Some(SECOND / 2));
}

/// Found by a simulation whose store did not answer: a look that was under way and due again was waited for a microsecond at a time.
#[test]
fn nothing_wakes_for_a_look_that_is_under_way() {
    let mut engine = Reminders::new(me());
    let begun = engine.on(0, Event::Wanted([bucket()].into()));
    assert!(begun.contains(&Command::ReadBuckets), "{begun:?}");
    for now in [1, SECOND, 10 * SECOND] {
        let commands = engine.on(now, Event::Tick);
        assert_eq!(commands, [], "at {now} the answer is what is waited for");
    }
    let answered = engine.on(11 * SECOND, Event::BucketsRead(Err(unavailable())));
    assert!(
        matches!(answered[..], [Command::WakeAt(at)] if at > 11 * SECOND),
        "{answered:?}"
    );
}
