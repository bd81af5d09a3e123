//! The engine by its commands.

use super::{
    Command, Event, FenceReason, Membership, MembershipConfig,
    fixture::{Rig, row, secs, silo, unavailable},
};
use crate::{
    clock::Moment,
    ident::SiloId,
    store::{Change, MemberRow, MembershipTable, SiloStatus},
};
use std::time::Duration;

const START: Moment = Moment(1_000_000_000);

fn own(status: SiloStatus) -> MemberRow {
    row(silo("m"), status)
}

fn table(view: u64, rows: Vec<MemberRow>) -> MembershipTable {
    MembershipTable { view, rows }
}

/// R15
#[test]
fn a_silo_joins_step_by_step() {
    let mut engine = Membership::new(MembershipConfig::default(), own(SiloStatus::Active));
    let at = |millis| START + Duration::from_millis(millis);
    assert_eq!(
        engine.on(START, Event::Started),
        [Command::ReadTable { read: 1 }, Command::WakeAt(at(2000))]
    );
    let answer = Ok(table(0, vec![]));
    assert_eq!(
        engine.on(at(10), Event::TableRead { read: 1, answer }),
        [Command::WriteRow {
            write: 2,
            expected_view: 0,
            change: Change::Put(own(SiloStatus::Joining)),
        }]
    );
    let joined = table(1, vec![own(SiloStatus::Joining)]);
    let told = engine.on(
        at(20),
        Event::RowWritten {
            write: 2,
            answer: Ok(Ok(joined.clone())),
        },
    );
    assert_eq!(
        told,
        [
            Command::PushView { view: 1 },
            Command::ViewChanged(engine.view().clone()),
            Command::Heartbeat { n: 1 },
            Command::WakeAt(at(1020)),
        ]
    );
    assert_eq!(engine.on(at(21), Event::SetStatus(SiloStatus::Active)), []);
    let answer = Ok(Some(own(SiloStatus::Joining)));
    assert_eq!(
        engine.on(at(30), Event::HeartbeatWritten { n: 1, answer }),
        [Command::WriteRow {
            write: 3,
            expected_view: 1,
            change: Change::Put(own(SiloStatus::Active)),
        }]
    );
    assert!(!engine.lease_holds(at(39)));
    let told = engine.on(
        at(40),
        Event::RowWritten {
            write: 3,
            answer: Ok(Ok(table(2, vec![own(SiloStatus::Active)]))),
        },
    );
    assert_eq!(
        told,
        [
            Command::PushView { view: 2 },
            Command::ViewChanged(engine.view().clone()),
            // From when the heartbeat was sent.
            Command::LeaseHeld { until: at(4020) },
        ]
    );
    assert!(engine.lease_holds(at(4019)) && !engine.lease_holds(at(4020)));
}

#[test]
fn a_write_that_conflicts_is_repeated_from_the_table_that_came_back() {
    let mut engine = Membership::new(MembershipConfig::default(), own(SiloStatus::Active));
    engine.on(START, Event::Started);
    let answer = Ok(table(0, vec![]));
    engine.on(START, Event::TableRead { read: 1, answer });
    let other = table(7, vec![row(silo("a"), SiloStatus::Active)]);
    let told = engine.on(
        START,
        Event::RowWritten {
            write: 2,
            answer: Ok(Err(other)),
        },
    );
    assert_eq!(
        told,
        [
            Command::ViewChanged(engine.view().clone()),
            Command::WriteRow {
                write: 3,
                expected_view: 7,
                change: Change::Put(own(SiloStatus::Joining)),
            },
        ]
    );
}

#[test]
fn a_write_without_an_answer_is_decided_by_a_read() {
    let mut engine = Membership::new(MembershipConfig::default(), own(SiloStatus::Active));
    engine.on(START, Event::Started);
    let answer = Ok(table(0, vec![]));
    engine.on(START, Event::TableRead { read: 1, answer });
    let told = engine.on(
        START,
        Event::RowWritten {
            write: 2,
            answer: Err(unavailable()),
        },
    );
    assert!(told.contains(&Command::ReadTable { read: 3 }), "{told:?}");
    assert!(!told.iter().any(|command| matches!(command, Command::WriteRow { .. })));
    // It took effect.
    let answer = Ok(table(1, vec![own(SiloStatus::Joining)]));
    let told = engine.on(START, Event::TableRead { read: 3, answer });
    assert!(told.contains(&Command::Heartbeat { n: 1 }), "{told:?}");
    assert!(!told.iter().any(|command| matches!(command, Command::WriteRow { .. })));
}

#[test]
fn a_restarted_silo_declares_its_predecessor_dead_before_it_joins() {
    let mut rig = Rig::new(&["a"]);
    let older = SiloId::new("m", 0);
    rig.table.put(row(older.clone(), SiloStatus::Active));
    let told = rig.on(Event::Started);
    assert_eq!(rig.table.status(&older), Some(SiloStatus::Dead));
    assert_eq!(rig.table.status(&silo("m")), Some(SiloStatus::Joining));
    let death_came_first = told.iter().any(|command| match command {
        Command::ViewChanged(view) => view.is_dead(&older) && view.get(&silo("m")).is_none(),
        _ => false,
    });
    assert!(death_came_first, "{told:?}");
    assert!(told.contains(&Command::SiloDied(older.clone())));
    assert!(rig.view().is_gone(&older));
}

#[test]
fn the_older_of_two_live_silos_of_one_name_is_fenced() {
    let mut rig = Rig::active(&[]);
    let by = SiloId::new("m", 2);
    rig.table.put(row(by.clone(), SiloStatus::Joining));
    let told = rig.pass(secs(2));
    let fenced = Command::Fenced(FenceReason::Succeeded { by });
    assert_eq!(told.last(), Some(&fenced));
    assert!(told.contains(&Command::LeaseLost) && !rig.engine.lease_holds(rig.now));
    assert_eq!(rig.on(Event::Tick), [], "nothing follows");
}

#[test]
fn an_incarnation_that_is_not_above_the_last_one_cannot_join() {
    for (taken, reason) in [
        (
            SiloId::new("m", 9),
            FenceReason::Succeeded {
                by: SiloId::new("m", 9),
            },
        ),
        (SiloId::new("m", 1), FenceReason::Taken),
    ] {
        let mut rig = Rig::new(&[]);
        rig.table.put(row(taken, SiloStatus::Active));
        let view = rig.table.0.view;
        let told = rig.on(Event::Started);
        assert_eq!(told.last(), Some(&Command::Fenced(reason)));
        assert_eq!(rig.table.0.view, view, "it wrote nothing");
    }
}

/// R9, R78
#[test]
fn heartbeats_go_on_in_every_status_until_the_row_is_removed() {
    let mut rig = Rig::active(&["a"]);
    for event in [
        Event::SetStatus(SiloStatus::ShuttingDown),
        Event::SetStatus(SiloStatus::Active),
    ] {
        rig.on(event);
        let before = rig.table.find(&silo("m")).expect("there").heartbeat;
        rig.pass(secs(20));
        let after = rig.table.find(&silo("m")).expect("there").heartbeat;
        assert_eq!(after - before, 20);
    }
    let told = rig.on(Event::Leave);
    assert_eq!(told.last(), Some(&Command::Left));
    assert_eq!(rig.table.status(&silo("m")), None);
    assert_eq!(rig.table.status(&silo("a")), Some(SiloStatus::Active));
}

/// R1, R85
#[test]
fn a_status_is_published_and_pushed_at_once() {
    let mut rig = Rig::active(&["a"]);
    let view = rig.view().number();
    let told = rig.on(Event::SetStatus(SiloStatus::ShuttingDown));
    assert_eq!(
        told,
        [
            Command::PushView { view: view + 1 },
            Command::ViewChanged(rig.view().clone())
        ]
    );
    assert_eq!(rig.view().status(&silo("m")), Some(SiloStatus::ShuttingDown));
    assert_eq!(
        rig.on(Event::SetStatus(SiloStatus::Dead)),
        [],
        "that is not its own to say"
    );
}

#[test]
fn a_silo_that_never_joined_leaves_without_a_trace() {
    let mut rig = Rig::new(&[]);
    assert_eq!(rig.on(Event::Leave), [Command::Left]);
    let mut rig = Rig::new(&[]);
    rig.store_up(false);
    rig.on(Event::Started);
    assert_eq!(rig.on(Event::Leave), [Command::Left]);
    assert_eq!(rig.table.0, MembershipTable::default());
}

#[test]
fn a_silo_whose_joining_is_undecided_leaves_when_a_read_has_told() {
    let mut rig = Rig::new(&[]);
    rig.writable = false;
    rig.on(Event::Started);
    rig.readable = false;
    rig.pass(secs(3));
    assert_eq!(rig.on(Event::Leave), []);
    rig.readable = true;
    assert_eq!(rig.pass(secs(2)), [Command::Left]);
}

#[test]
fn heartbeats_change_no_other_field() {
    let mut rig = Rig::active(&["a", "b"]);
    let mut labelled = row(silo("m"), SiloStatus::Active);
    labelled.labels.insert("changed".into(), "by the operator".into());
    rig.table.put(labelled.clone());
    rig.pass(secs(10));
    labelled.heartbeat = rig.table.find(&silo("m")).expect("there").heartbeat;
    assert_eq!(rig.table.find(&silo("m")), Some(&mut labelled.clone()));
    rig.on(Event::SetStatus(SiloStatus::ShuttingDown));
    labelled.status = SiloStatus::ShuttingDown;
    assert_eq!(rig.table.find(&silo("m")), Some(&mut labelled));
}

/// R86
#[test]
fn an_operation_that_never_answers_is_given_up() {
    let mut rig = Rig::active(&["a"]);
    let now = rig.now + secs(2);
    let has_read = |told: &[Command]| told.iter().any(|command| matches!(command, Command::ReadTable { .. }));
    assert!(has_read(&rig.engine.on(now, Event::Tick)));
    assert!(!has_read(
        &rig.engine.on(now + Duration::from_millis(1999), Event::Tick)
    ));
    assert!(has_read(&rig.engine.on(now + secs(2), Event::Tick)));
    // The row that was asked for in vain is asked for again once a read has told that it is not there.
    let mut rig = Rig::new(&[]);
    rig.engine.on(rig.now, Event::Started);
    let read = |read| Event::TableRead {
        read,
        answer: Ok(MembershipTable::default()),
    };
    let write = |write| Command::WriteRow {
        write,
        expected_view: 0,
        change: Change::Put(own(SiloStatus::Joining)),
    };
    assert!(rig.engine.on(rig.now, read(1)).contains(&write(2)));
    let told = rig.engine.on(rig.now + secs(2), Event::Tick);
    assert!(told.contains(&Command::ReadTable { read: 3 }), "{told:?}");
    let told = rig.engine.on(rig.now + secs(3), read(3));
    assert!(told.contains(&write(4)), "{told:?}");
}

#[test]
fn a_silo_that_is_declared_dead_or_removed_is_fenced() {
    let dead = |rig: &mut Rig| rig.table.put(row(silo("m"), SiloStatus::Dead));
    let removed = |rig: &mut Rig| {
        let view = rig.table.0.view;
        rig.table.change(view, Change::Remove(silo("m"))).expect("right view");
    };
    type Spoil = fn(&mut Rig);
    let cases: [(Spoil, FenceReason); 2] = [(dead, FenceReason::DeclaredDead), (removed, FenceReason::RowRemoved)];
    for (spoil, reason) in cases {
        let mut rig = Rig::active(&["a"]);
        spoil(&mut rig);
        let told = rig.pass(secs(1));
        let end = [Command::LeaseLost, Command::Fenced(reason)];
        assert_eq!(told[told.len() - 2..], end, "its own heartbeat finds out");
    }
}

/// R82
#[test]
fn a_pushed_view_is_read_at_once_and_a_missed_one_at_the_next_interval() {
    let mut rig = Rig::active(&["a"]);
    rig.pass(Duration::from_millis(100));
    rig.table.put(row(silo("b"), SiloStatus::Joining));
    let told = rig.on(Event::PeerSaysViewChanged { view: rig.table.0.view });
    assert_eq!(told, [Command::ViewChanged(rig.view().clone())]);
    assert!(rig.on(Event::PeerSaysViewChanged { view: rig.table.0.view }).is_empty());
    rig.table.put(row(silo("c"), SiloStatus::Joining));
    rig.pass(secs(2));
    assert!(rig.view().get(&silo("c")).is_some());
}

/// R67, R84
#[test]
fn those_that_leave_and_those_that_die_are_told_once() {
    let mut rig = Rig::active(&["a", "b"]);
    rig.table.put(row(silo("a"), SiloStatus::Dead));
    let view = rig.table.0.view;
    rig.table.change(view, Change::Remove(silo("b"))).expect("right view");
    let told = rig.pass(secs(2));
    assert_eq!(
        told,
        [
            Command::ViewChanged(rig.view().clone()),
            Command::SiloDied(silo("a")),
            Command::SiloLeft(silo("b"))
        ]
    );
    assert!(rig.view().is_gone(&silo("a")) && rig.view().is_gone(&silo("b")));
    assert_eq!(rig.pass(secs(60)), []);
}

#[test]
fn an_unknown_owner_is_a_member_or_gone_after_one_read() {
    let mut rig = Rig::active(&["a"]);
    rig.table.put(row(silo("new"), SiloStatus::Active));
    for (name, gone) in [("new", false), ("long-gone", true)] {
        assert!(!rig.view().knows(&silo(name)));
        let told = rig.on(Event::OwnerUnknown { silo: silo(name) });
        assert_eq!(told, [Command::ViewChanged(rig.view().clone())]);
        assert_eq!(rig.view().is_gone(&silo(name)), gone);
        assert!(rig.on(Event::OwnerUnknown { silo: silo(name) }).is_empty());
    }
}

#[test]
fn a_read_that_was_sent_before_the_question_answers_nothing() {
    let mut rig = Rig::active(&[]);
    let now = rig.now + secs(2);
    let reads = |told: &[Command]| -> Vec<u64> {
        told.iter()
            .filter_map(|command| match command {
                Command::ReadTable { read } => Some(*read),
                _ => None,
            })
            .collect()
    };
    let first = reads(&rig.engine.on(now, Event::Tick))[0];
    assert_eq!(rig.engine.on(now, Event::OwnerUnknown { silo: silo("x") }), []);
    let read = |read| Event::TableRead {
        read,
        answer: Ok(rig.table.0.clone()),
    };
    let told = rig.engine.on(now, read(first));
    assert!(!rig.engine.view().is_gone(&silo("x")));
    let told = rig.engine.on(now, read(reads(&told)[0]));
    assert!(rig.engine.view().is_gone(&silo("x")), "{told:?}");
}

#[test]
fn a_late_answer_with_an_older_view_is_ignored() {
    let mut rig = Rig::active(&["a"]);
    let old = rig.table.0.clone();
    rig.on(Event::SetStatus(SiloStatus::ShuttingDown));
    let view = rig.view().clone();
    let told = rig.on(Event::TableRead {
        read: 1,
        answer: Ok(old),
    });
    assert_eq!(told, []);
    assert_eq!(*rig.view(), view);
}

#[test]
fn a_store_that_lost_writes_is_repaired_and_revives_nobody() {
    let mut rig = Rig::active(&["a", "b"]);
    let backup = rig.table.clone();
    rig.table.put(row(silo("a"), SiloStatus::Dead));
    rig.on(Event::SetStatus(SiloStatus::ShuttingDown));
    assert!(rig.view().is_dead(&silo("a")));
    let known = rig.view().number();
    rig.table = backup;
    rig.lively.retain(|peer| *peer != silo("a"));
    let found = rig.table.0.view;
    let told = rig.pass(secs(2));
    assert!(told.contains(&Command::StoreWentBack { known, found }), "{told:?}");
    assert_eq!(rig.table.status(&silo("m")), Some(SiloStatus::ShuttingDown));
    assert_eq!(rig.table.status(&silo("a")), Some(SiloStatus::Dead));
    assert!(!told.contains(&Command::SiloDied(silo("a"))), "that was told before");
    assert!(!told.iter().any(|command| matches!(command, Command::Fenced(_))));
}

#[test]
fn a_store_that_lost_the_own_row_gets_it_back() {
    let mut rig = Rig::active(&["a"]);
    rig.on(Event::SetStatus(SiloStatus::ShuttingDown));
    rig.table = Rig::new(&[]).table;
    rig.pass(secs(5));
    assert_eq!(rig.table.status(&silo("m")), Some(SiloStatus::ShuttingDown));
    assert!(rig.engine.lease_holds(rig.now));
    assert!(!rig.view().is_gone(&silo("a")), "it will put its row back too");
}

#[test]
fn a_store_that_refuses_writes_is_tried_once_a_heartbeat() {
    let mut rig = Rig::new(&[]);
    rig.writable = false;
    rig.on(Event::Started);
    let writes = |rig: &mut Rig, limit| {
        let mut count = 0;
        let end = rig.now + limit;
        while rig.now < end {
            rig.now = rig.now + Duration::from_millis(10);
            let now = rig.now;
            let mut events = vec![Event::Tick];
            while let Some(event) = events.pop() {
                for command in rig.engine.on(now, event) {
                    match command {
                        Command::WriteRow { write, .. } => {
                            count += 1;
                            let answer = Err(unavailable());
                            events.push(Event::RowWritten { write, answer });
                        }
                        Command::ReadTable { read } => {
                            let answer = Ok(rig.table.0.clone());
                            events.push(Event::TableRead { read, answer });
                        }
                        _ => {}
                    }
                }
            }
        }
        count
    };
    assert_eq!(writes(&mut rig, secs(10)), 10);
}
