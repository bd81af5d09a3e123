//! Rules that a process of the model breaks on purpose, one at a time: the checker finds the law that falls with each.
//!
//! The engines are the real ones here too; what is broken is what carries out their commands, answers them, or orders
//! their events. See [`Mutant`] for each.

use crate::{
    check,
    config::{Config, Mutant},
    explore::shortest,
    world::{S, SILOS, T, U},
};

/// A caller, as one end of a link.
const C: u8 = SILOS;

macro_rules! faults_are_found {
    ($($name:ident: $mutant:ident breaks $law:ident, $change:expr;)*) => { $(
        #[test]
        fn $name() {
            let mut config = Config { messages: vec![2], ..Config::default() };
            let change: fn(&mut Config) = $change;
            change(&mut config);
            config.mutant = Some(Mutant::$mutant);
            let found = shortest(&config, check::$law);
            println!("{} breaks {}", stringify!($name), found.expect("the checker finds what is broken"));
        }
    )* };
}

// Callers.
faults_are_found! {
    a_caller_that_skips_its_fence: NoFence breaks IN_ORDER, |_| {};
    a_caller_that_does_not_enter_after_a_loss: NoEnter breaks IN_ORDER, |c| {
        c.messages = vec![3];
        c.crash = vec![S];
        c.crashes = 1;
    };
    a_caller_that_goes_to_a_silo_that_leaves: ChoosesLeaver breaks LEFT_ALONE, |c| {
        c.moves = vec![(S, T), (T, U)];
        c.leave = Some(T);
    };
}

// Silos.
faults_are_found! {
    a_source_that_resumes_without_the_directory: NoResumeBump breaks ONE_SILO, |c| c.timeouts = true;
    a_source_that_keeps_what_it_handed_over: KeepsCopy breaks ONE_SILO, |_| {};
    a_source_that_takes_any_acknowledgement_for_its_own: AnyCommitted breaks ENDS, |c| {
        c.messages = vec![1];
        c.moves = vec![(S, T), (T, S), (S, T)];
        c.duplicate_package = true;
        c.refusals = 1;
    };
    a_target_that_keeps_the_parts_of_a_lost_link: KeepsParts breaks ENDS, |c| {
        c.parts = true;
        c.cut = vec![(S, T)];
        c.cuts = 1;
    };
    a_target_that_does_not_wait_for_go: NoGo breaks ONCE, |c| {
        c.crash = vec![T];
        c.crashes = 1;
    };
    a_target_that_acknowledges_before_its_commit: CommittedEarly breaks ENDS, |c| c.refusals = 1;
    a_target_that_takes_a_package_twice: QueueTwice breaks ONCE, |c| c.duplicate_package = true;
    a_target_that_runs_what_it_held_first: HeldFirst breaks IN_ORDER, |c| c.timeouts = true;
    a_forwarder_that_drops_a_forward: DropsForward breaks ENDS, |_| {};
    a_forwarder_that_acknowledges_what_is_not_at_rest: HopAck breaks IN_ORDER, |c| {
        c.moves = vec![(S, T), (T, U)];
        c.cut = vec![(C, S)];
        c.cuts = 1;
    };
    a_silo_that_gives_back_what_was_at_rest: QueueGivenBack breaks IN_ORDER, |c| {
        c.moves = vec![(S, T), (T, U)];
        c.crash = vec![U];
        c.crashes = 1;
    };
    a_silo_that_forgets_what_it_gave_back: NoMark breaks IN_ORDER, |c| c.moves = vec![(S, T), (T, S)];
    a_silo_that_leaves_before_all_is_at_rest: NoBarrier breaks ENDS, |c| c.leave = Some(S);
}

// Links.
faults_are_found! {
    a_link_that_repeats_nothing_when_it_is_renewed: NoResend breaks ENDS, |c| {
        c.cut = vec![(S, T)];
        c.cuts = 1;
        c.timeouts = true;
    };
    a_link_that_is_read_on_after_its_successor: OldLinkAfterNew breaks IN_ORDER, |c| {
        c.messages = vec![3];
        c.cut = vec![(C, S)];
        c.cuts = 1;
    };
    a_link_of_a_dead_silo_that_is_read_on: DeadLinksLater breaks ENDS, |c| {
        c.messages = vec![3];
        c.moves = vec![(S, T), (T, S)];
        c.crash = vec![T];
        c.crashes = 1;
        c.timeouts = true;
    };
}

// The store.
faults_are_found! {
    a_store_that_takes_a_blind_upsert: BlindUpsert breaks ONLY_OWNER, |c| c.timeouts = true;
    a_store_that_does_not_compare_epochs: EpochNotCompared breaks ONE_SILO, |c| c.timeouts = true;
    a_store_that_checks_a_write_against_the_last_one: StoreChecksRow breaks NO_OLD_WRITE, |c| c.pause = Some(T);
}
