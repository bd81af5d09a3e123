//! The lease by the commands of the engine.

use super::{
    Command, Event,
    fixture::{Rig, row, secs, silo},
};
use crate::{clock::Moment, store::SiloStatus};
use std::time::Duration;

fn rounds(told: &[Command]) -> Vec<u64> {
    told.iter()
        .filter_map(|command| match command {
            Command::AskStoreReach { round, .. } => Some(*round),
            _ => None,
        })
        .collect()
}

fn confirm(rig: &mut Rig, peer: &str, round: u64) -> Vec<Command> {
    rig.on(Event::StoreUnreachableConfirmed {
        peer: silo(peer),
        round,
    })
}

/// An Active silo in an outage that began with its last heartbeat, at the moment when it first asks its peers.
fn cut_off(peers: &[&str]) -> (Rig, Moment, u64) {
    let mut rig = Rig::active(peers);
    let last_heartbeat = rig.now;
    rig.store_up(false);
    let told = rig.pass(Duration::from_millis(1500));
    let asked = rounds(&told);
    assert_eq!(asked, vec![1; peers.len()]);
    (rig, last_heartbeat, 1)
}

#[test]
fn every_heartbeat_extends_the_lease_from_when_it_was_sent() {
    let mut rig = Rig::active(&[]);
    rig.tells_extensions = true;
    let told = rig.pass(secs(3));
    let expected = [1, 2, 3].map(|sent| Command::LeaseHeld {
        until: Moment(1_000_000_000) + secs(sent + 4),
    });
    assert_eq!(told, expected);
}

/// R87
#[test]
fn without_heartbeats_the_lease_is_lost_on_time() {
    let mut rig = Rig::active(&[]);
    let last_heartbeat = rig.now;
    rig.beatable = false;
    assert!(rig.engine.lease_holds(last_heartbeat + Duration::from_millis(3999)));
    assert!(
        !rig.engine.lease_holds(last_heartbeat + secs(4)),
        "with or without an event"
    );
    rig.pass_until(secs(10), |command| *command == Command::LeaseLost);
    assert_eq!(rig.now, last_heartbeat + secs(4));
}

#[test]
fn a_lease_that_was_lost_is_held_again_only_after_a_change_of_the_own_row() {
    let mut rig = Rig::active(&["a"]);
    rig.beatable = false;
    rig.pass_until(secs(10), |command| *command == Command::LeaseLost);
    let view = rig.table.0.view;
    rig.beatable = true;
    let told = rig.pass_until(secs(2), |command| matches!(command, Command::LeaseHeld { .. }));
    assert_eq!(told[0], Command::PushView { view: view + 1 }, "{told:?}");
    assert_eq!(rig.table.0.view, view + 1);
    assert_eq!(rig.table.status(&silo("m")), Some(SiloStatus::Active));
    assert!(rig.engine.lease_holds(rig.now));
}

/// Seed 22 of `planned_change_loses_nothing`: the others saw the silo Active and moved actors to it while the answer to its own write
/// was held up. What they ran had no effect, as there was no lease.
#[test]
fn a_silo_that_the_table_shows_active_holds_its_lease_though_its_own_write_is_not_answered() {
    let mut rig = Rig::new(&["a"]);
    rig.beatable = false;
    rig.on(Event::Started);
    (rig.beatable, rig.writable) = (true, false);
    rig.on(Event::SetStatus(SiloStatus::Active));
    assert!(!rig.engine.lease_holds(rig.now));
    let (mut written, mut now) = (false, rig.now);
    while !(written && rig.view().status(&silo("m")) == Some(SiloStatus::Active)) {
        now = now + Duration::from_millis(100);
        assert!(now < rig.now + secs(20), "it hears of it");
        let mut commands = rig.engine.on(now, Event::Tick);
        while let Some(command) = commands.pop() {
            let answer = match command {
                // Done, and never answered.
                Command::WriteRow {
                    expected_view, change, ..
                } => {
                    written |= rig.table.change(expected_view, change).is_ok();
                    continue;
                }
                Command::ReadTable { read } => Event::TableRead {
                    read,
                    answer: Ok(rig.table.0.clone()),
                },
                Command::Heartbeat { n } => Event::HeartbeatWritten {
                    n,
                    answer: Ok(rig.table.heartbeat(&silo("m"), n)),
                },
                _ => continue,
            };
            commands.extend(rig.engine.on(now, answer));
        }
    }
    assert!(rig.engine.lease_holds(now));
}

#[test]
fn an_answer_that_comes_after_the_end_of_the_lease_does_not_extend_it() {
    let mut rig = Rig::active(&[]);
    let (now, row) = (rig.now, row(silo("m"), SiloStatus::Active));
    let told = rig.engine.on(now + secs(1), Event::Tick);
    assert!(told.contains(&Command::Heartbeat { n: 2 }));
    let late = Event::HeartbeatWritten {
        n: 2,
        answer: Ok(Some(row)),
    };
    let told = rig.engine.on(now + secs(4), late);
    assert_eq!(told[0], Command::LeaseLost);
    assert!(
        !told.iter().any(|command| matches!(command, Command::LeaseHeld { .. })),
        "{told:?}"
    );
}

/// Guarantee 14
#[test]
fn while_all_peers_confirm_that_the_store_is_out_of_reach_the_lease_holds() {
    let (mut rig, _, _) = cut_off(&["a", "b"]);
    for round in 1..60 {
        confirm(&mut rig, "a", round);
        confirm(&mut rig, "b", round);
        let told = rig.pass(Duration::from_millis(500));
        assert_eq!(rounds(&told), vec![round + 1; 2]);
        assert!(rig.engine.lease_holds(rig.now));
    }
    let told = rig.pass(secs(4));
    assert!(told.contains(&Command::LeaseLost), "when they stop, it ends");
}

#[test]
fn a_confirmation_counts_from_when_it_was_asked_for() {
    let (mut rig, last_heartbeat, round) = cut_off(&["a"]);
    rig.tells_extensions = true;
    rig.pass(secs(2));
    let told = confirm(&mut rig, "a", round);
    let until = last_heartbeat + Duration::from_millis(5500);
    assert_eq!(told, [Command::LeaseHeld { until }]);
}

#[test]
fn one_peer_that_does_not_confirm_is_enough_to_lose_the_lease() {
    let (mut rig, last_heartbeat, _) = cut_off(&["a", "b"]);
    for round in 1..4 {
        confirm(&mut rig, "a", round);
        rig.pass(secs(1));
    }
    assert!(rig.told.contains(&Command::LeaseLost));
    assert!(!rig.engine.lease_holds(last_heartbeat + secs(4)));
}

#[test]
fn a_silo_without_peers_has_nobody_to_confirm() {
    let mut rig = Rig::active(&[]);
    rig.store_up(false);
    let told = rig.pass(secs(4));
    assert_eq!(told, [Command::LeaseLost]);
}

#[test]
fn confirmations_do_not_revive_a_lease() {
    let (mut rig, _, _) = cut_off(&["a"]);
    let told = rig.pass(secs(3));
    assert!(told.contains(&Command::LeaseLost));
    let last = rounds(&told).last().copied().expect("asked");
    assert_eq!(confirm(&mut rig, "a", last), []);
    assert!(!rig.engine.lease_holds(rig.now));
}

#[test]
fn a_peer_that_knows_a_newer_view_proves_that_the_store_is_in_reach() {
    let (mut rig, last_heartbeat, round) = cut_off(&["a"]);
    confirm(&mut rig, "a", round);
    rig.pass(Duration::from_millis(2400));
    assert!(rig.engine.lease_holds(rig.now));
    let view = rig.view().number() + 1;
    rig.on(Event::PeerSaysViewChanged { view });
    assert_eq!(rig.engine.lease_until(), Some(last_heartbeat + secs(4)));
}

#[test]
fn a_confirmation_is_a_promise_to_count_anew() {
    let mut rig = Rig::active(&["a", "b"]);
    rig.lively.retain(|peer| *peer != silo("b"));
    let asked = |round| Event::StoreReachAsked { peer: silo("b"), round };
    let answer = |round, unreachable| Command::AnswerStoreReach {
        peer: silo("b"),
        round,
        unreachable,
    };
    assert_eq!(rig.on(asked(7)), [answer(7, false)], "it reaches the store");
    rig.pass(secs(2));
    // A heartbeat fails, no read does.
    rig.beatable = false;
    rig.pass(secs(1));
    let told = rig.on(asked(8));
    assert_eq!(told, [answer(8, true)]);
    rig.beatable = true;
    let promised = rig.now;
    rig.pass_until(secs(9), |command| matches!(command, Command::Probe { .. }));
    assert!(rig.now.since(promised) >= secs(5), "{:?}", rig.now.since(promised));
}
