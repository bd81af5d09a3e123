//! Suspicion and death by the commands of the engine.

use super::{
    Command, Event, MembershipConfig,
    fixture::{Rig, row, secs, silo},
};
use crate::{clock::Moment, store::SiloStatus};
use std::time::Duration;

const START: Moment = Moment(1_000_000_000);

fn probe(name: &str) -> Command {
    Command::Probe {
        silo: silo(name),
        address: format!("{name}:7000"),
    }
}

fn is_probe(command: &Command) -> bool {
    matches!(command, Command::Probe { .. })
}

#[test]
fn a_silent_silo_is_probed_then_asked_about_then_read_again_then_dead() {
    let mut rig = Rig::active(&["a", "b", "c"]);
    rig.lively.retain(|peer| *peer != silo("b"));
    assert_eq!(rig.pass_until(secs(7), is_probe), [probe("b")]);
    // Read when the silence is long enough, not at the next interval.
    assert_eq!(rig.now, START + secs(5));
    let told = rig.on(Event::ProbeFailed { silo: silo("b") });
    let ask = Command::AskSecondOpinion {
        peer: silo("c"),
        address: "c:7000".into(),
        about: silo("b"),
    };
    assert_eq!(told, [ask]);
    assert_eq!(rig.table.status(&silo("b")), Some(SiloStatus::Active));
    let told = rig.on(Event::OpinionGiven {
        from: silo("c"),
        about: silo("b"),
        alive: false,
    });
    assert_eq!(rig.table.status(&silo("b")), Some(SiloStatus::Dead));
    let view = Command::ViewChanged(rig.view().clone());
    let push = Command::PushView {
        view: rig.view().number(),
    };
    assert_eq!(told, [push, view, Command::SiloDied(silo("b"))]);
}

#[test]
fn without_another_active_peer_a_failed_probe_is_enough() {
    let mut rig = Rig::active(&["a"]);
    rig.table.put(row(silo("z"), SiloStatus::ShuttingDown));
    rig.lively = vec![silo("z")];
    rig.pass_until(secs(7), is_probe);
    rig.on(Event::ProbeFailed { silo: silo("a") });
    assert_eq!(rig.table.status(&silo("a")), Some(SiloStatus::Dead));
}

#[test]
fn no_answer_in_time_is_a_failed_one() {
    let mut rig = Rig::active(&["a", "b", "c"]);
    rig.lively.retain(|peer| *peer != silo("b"));
    rig.pass_until(secs(7), is_probe);
    let asked = |command: &Command| matches!(command, Command::AskSecondOpinion { .. });
    rig.pass_until(secs(1), asked);
    rig.pass_until(secs(2), |command| *command == Command::SiloDied(silo("b")));
    let config = MembershipConfig::default();
    assert!(rig.now.since(START) <= config.detection_bound());
}

#[test]
fn an_answer_or_a_good_opinion_clears_a_silo_for_a_while() {
    for opinion in [false, true] {
        let mut rig = Rig::active(&["a", "b", "c"]);
        rig.lively.retain(|peer| *peer != silo("b"));
        rig.pass_until(secs(7), is_probe);
        if opinion {
            rig.on(Event::ProbeFailed { silo: silo("b") });
            rig.on(Event::OpinionGiven {
                from: silo("c"),
                about: silo("b"),
                alive: true,
            });
        } else {
            rig.on(Event::ProbeAnswered { silo: silo("b") });
        }
        assert_eq!(rig.pass(Duration::from_millis(4999)), []);
        assert_eq!(rig.pass(Duration::from_millis(1)), [probe("b")]);
    }
}

#[test]
fn a_silo_that_answers_but_cannot_heartbeat_is_dead_in_the_end() {
    let mut rig = Rig::active(&["a", "b"]);
    rig.lively.retain(|peer| *peer != silo("b"));
    for probed_at in [5, 10] {
        rig.pass_until(secs(6), is_probe);
        assert_eq!(rig.now, START + secs(probed_at));
        rig.on(Event::ProbeAnswered { silo: silo("b") });
    }
    rig.pass_until(secs(6), |command| *command == Command::SiloDied(silo("b")));
    assert_eq!(rig.now, START + secs(15));
}

#[test]
fn a_heartbeat_at_any_step_clears_a_silo() {
    for steps in 0..3 {
        let mut rig = Rig::active(&["a", "b", "c"]);
        rig.lively.retain(|peer| *peer != silo("b"));
        rig.pass_until(secs(7), is_probe);
        rig.table.find(&silo("b")).expect("there").heartbeat += 1;
        if steps > 0 {
            rig.on(Event::ProbeFailed { silo: silo("b") });
        }
        if steps > 1 {
            rig.on(Event::OpinionGiven {
                from: silo("c"),
                about: silo("b"),
                alive: false,
            });
        } else {
            rig.lively.push(silo("b"));
        }
        rig.pass(secs(3));
        assert_eq!(
            rig.table.status(&silo("b")),
            Some(SiloStatus::Active),
            "after {steps} steps"
        );
    }
}

#[test]
fn a_read_that_was_under_way_at_the_verdict_condemns_nobody() {
    let mut rig = Rig::active(&["a"]);
    rig.lively.clear();
    rig.pass_until(secs(7), is_probe);
    let now = rig.now + Duration::from_millis(1900);
    let found = |told: &[Command]| -> (Option<u64>, bool) {
        let read = told.iter().find_map(|command| match command {
            Command::ReadTable { read } => Some(*read),
            _ => None,
        });
        (
            read,
            told.iter().any(|command| matches!(command, Command::WriteRow { .. })),
        )
    };
    let view = rig.view().number() + 1;
    let (under_way, _) = found(&rig.engine.on(rig.now, Event::PeerSaysViewChanged { view }));
    rig.engine.on(rig.now, Event::ProbeFailed { silo: silo("a") });
    let read = |read| Event::TableRead {
        read,
        answer: Ok(rig.table.0.clone()),
    };
    let (last, declared) = found(&rig.engine.on(now, read(under_way.expect("a read"))));
    assert!(!declared);
    let (_, declared) = found(&rig.engine.on(now, read(last.expect("one more read"))));
    assert!(declared);
}

#[test]
fn a_declaration_that_conflicts_is_dropped_if_the_table_shows_a_new_heartbeat() {
    let mut rig = Rig::active(&["a", "b"]);
    rig.lively.retain(|peer| *peer != silo("b"));
    rig.pass_until(secs(7), is_probe);
    rig.on(Event::ProbeFailed { silo: silo("b") });
    let now = rig.now;
    let mut told = rig.engine.on(
        now,
        Event::OpinionGiven {
            from: silo("a"),
            about: silo("b"),
            alive: false,
        },
    );
    let read = told
        .iter()
        .find_map(|command| match command {
            Command::ReadTable { read } => Some(*read),
            _ => None,
        })
        .expect("one more read");
    let answer = Ok(rig.table.0.clone());
    told = rig.engine.on(now, Event::TableRead { read, answer });
    let write = told
        .iter()
        .find_map(|command| match command {
            Command::WriteRow { write, .. } => Some(*write),
            _ => None,
        })
        .expect("the declaration");
    // Meanwhile the silo came back and renewed its lease.
    rig.table.find(&silo("b")).expect("there").heartbeat += 1;
    rig.table.put(row(silo("b"), SiloStatus::Active));
    let answer = Ok(Err(rig.table.0.clone()));
    told = rig.engine.on(now, Event::RowWritten { write, answer });
    assert!(
        !told.iter().any(|command| matches!(command, Command::WriteRow { .. })),
        "{told:?}"
    );
}

#[test]
fn a_store_outage_kills_nobody() {
    let mut rig = Rig::active(&["a", "b", "c"]);
    let view = rig.view().clone();
    rig.pass(secs(4));
    rig.store_up(false);
    rig.lively.clear();
    rig.pass(secs(60));
    assert_eq!(*rig.view(), view, "the last view stays");
    assert!(!rig.told.iter().any(is_probe));
    // The peers need some seconds to find the store again.
    rig.store_up(true);
    rig.pass(secs(4));
    rig.lively = ["a", "b", "c"].map(silo).to_vec();
    rig.pass(secs(60));
    assert!(!rig.told.iter().any(is_probe));
    assert_eq!(rig.view().active().count(), 4);
}

#[test]
fn silence_does_not_add_up_over_failed_reads() {
    let mut rig = Rig::active(&["a"]);
    rig.lively.clear();
    for _ in 0..5 {
        rig.pass(secs(4));
        rig.readable = false;
        rig.pass(secs(2));
        rig.readable = true;
    }
    assert!(!rig.told.iter().any(is_probe), "{:?}", rig.told);
}

#[test]
fn an_observer_that_was_stopped_has_watched_nobody() {
    let mut rig = Rig::active(&["a"]);
    rig.lively.clear();
    rig.pass(secs(3));
    rig.now = rig.now + secs(60);
    rig.on(Event::Tick);
    rig.lively.push(silo("a"));
    rig.pass(secs(30));
    assert!(!rig.told.iter().any(is_probe), "{:?}", rig.told);
}

#[test]
fn an_observer_without_a_lease_declares_nobody_dead() {
    let mut rig = Rig::active(&["a", "b"]);
    rig.lively.retain(|peer| *peer != silo("b"));
    rig.beatable = false;
    rig.pass_until(secs(7), is_probe);
    assert!(!rig.engine.lease_holds(rig.now));
    rig.pass(secs(4));
    assert_eq!(rig.table.status(&silo("b")), Some(SiloStatus::Active));
    rig.beatable = true;
    rig.pass_until(secs(5), |command| *command == Command::SiloDied(silo("b")));
}

#[test]
fn the_first_active_silo_removes_rows_that_are_dead_for_long() {
    for (first, buried) in [("z", true), ("a", false)] {
        let mut rig = Rig::active(&[first]);
        rig.table.put(row(silo("dead"), SiloStatus::Dead));
        rig.pass(secs(599));
        assert_eq!(rig.table.status(&silo("dead")), Some(SiloStatus::Dead));
        rig.pass(secs(4));
        assert_eq!(rig.table.status(&silo("dead")).is_none(), buried);
        assert!(rig.view().is_gone(&silo("dead")));
    }
}
