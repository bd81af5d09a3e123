//! Situations that are explored to their end; in all of them all laws hold.
//!
//! Where a test does not say otherwise, there are three silos S, T, U; the actor runs on S and its callers know that; two
//! callers send two messages each; the actor moves from S to T; and nothing fails. Each test names its own bound. What the
//! bounds come to is in `docs/testing.md`.

use crate::{
    config::Config,
    explore::exhaust,
    world::{S, SILOS, T, U, V},
};

/// A caller, as one end of a link.
const C: u8 = SILOS;

macro_rules! laws_hold {
    ($($(#[$doc:meta])+ $name:ident: $change:expr;)*) => { $(
        $(#[$doc])+
        #[test]
        fn $name() {
            let mut config = Config::default();
            let change: fn(&mut Config) = $change;
            change(&mut config);
            exhaust(stringify!($name), &config);
        }
    )* };
}

/// One caller that sends `count` messages.
fn one(c: &mut Config, count: u8) {
    c.messages = vec![count];
}

// One move, and none.
laws_hold! {
    /// Two callers, two messages each.
    in_a_move: |_| {};
    /// Three messages of one caller and one of another.
    in_a_move_with_more_messages: |c| c.messages = vec![3, 1];
    /// Everything that may go wrong in a move between silos that live: both lose patience at any time, one answer of the
    /// store is lost, one package refused, each package comes twice. One caller, two messages.
    in_a_move_that_is_disturbed: |c| {
        one(c, 2);
        c.timeouts = true;
        c.lost_answers = 1;
        c.refusals = 1;
        c.duplicate_package = true;
    };
    /// A store whose answers take their time, of which two are lost; both silos lose patience at any time. One message.
    in_a_move_on_a_slow_store: |c| {
        one(c, 1);
        c.timeouts = true;
        c.lost_answers = 2;
        c.slow_store = true;
        c.refusals = 1;
    };
    /// A freeze takes its time, and one fails.
    in_a_move_whose_freeze_fails: |c| {
        c.slow_freeze = true;
        c.failed_freezes = 1;
        c.moves = vec![(S, T), (S, T)];
        one(c, 3);
    };
    /// A package of three parts, of which two may be on their way; both lose patience at any time, and one package is refused.
    /// One caller, two messages; moved to T again if it was not.
    in_a_move_in_parts: |c| {
        one(c, 2);
        c.parts = true;
        c.timeouts = true;
        c.refusals = 1;
        c.moves = vec![(S, T), (S, T)];
    };
    /// The source calls the move off, while it freezes or when the package is on its way, in parts. Three messages; moved
    /// to T again.
    in_a_move_that_is_called_off: |c| {
        c.messages = vec![2, 1];
        c.parts = true;
        c.slow_freeze = true;
        c.call_off = 1;
        c.moves = vec![(S, T), (S, T)];
    };
    /// A mailbox that takes one message.
    in_a_move_with_full_mailboxes: |c| c.room = 1;
    /// One message whose deadline passes while it waits; the actor moves to T and back. One caller, three messages.
    in_a_move_while_a_caller_gives_up: |c| {
        c.give_up = 1;
        one(c, 3);
        c.moves = vec![(S, T), (T, S)];
    };
    /// State that is only in memory, and is never saved: the actor moves to T and back, one package is refused, both silos
    /// lose patience. One message.
    in_moves_of_state_that_is_not_saved: |c| {
        one(c, 1);
        c.saves = false;
        c.moves = vec![(S, T), (T, S)];
        c.timeouts = true;
        c.refusals = 1;
    };
    /// Nobody has the actor and nobody knows anything of it.
    in_a_first_activation: |c| {
        c.owner = None;
        c.moves = vec![];
        c.place = vec![T, S, U];
    };
    /// As before, and callers go where placement points, also when the actor has moved on to S.
    in_a_first_activation_that_callers_guess: |c| {
        c.owner = None;
        c.moves = vec![(T, S)];
        c.place = vec![T, S, U];
        c.guess = true;
    };
    /// The actor is deactivated once; the next owner is another silo; one answer of the store is lost.
    in_a_deactivation: |c| {
        c.deactivate = vec![S];
        c.moves = vec![];
        c.place = vec![T, S, U];
        c.lost_answers = 1;
    };
    /// A deactivation before or after the move. Three messages.
    in_a_deactivation_beside_a_move: |c| {
        c.deactivate = vec![S, T];
        c.place = vec![S, U, T];
        c.messages = vec![2, 1];
    };
    /// The activation fails once, on S or T, before, in or after the move. Three messages.
    in_a_move_whose_activation_fails: |c| {
        c.slow_freeze = true;
        c.fail = vec![S, T];
        c.failures = 1;
        c.place = vec![S, U, T];
        c.messages = vec![2, 1];
    };
}

// Several moves.
laws_hold! {
    /// S to T to U. Two callers, three messages.
    in_a_chain: |c| {
        c.moves = vec![(S, T), (T, U)];
        c.messages = vec![2, 1];
    };
    /// S to T to U. One caller, three messages.
    in_a_chain_with_one_caller: |c| {
        c.moves = vec![(S, T), (T, U)];
        one(c, 3);
    };
    /// Over four silos. Two callers, one message each.
    in_a_chain_of_four: |c| {
        c.messages = vec![1, 1];
        c.silos = 4;
        c.moves = vec![(S, T), (T, U), (U, V)];
    };
    /// S to T to S. Two callers, three messages.
    in_a_move_back: |c| {
        c.moves = vec![(S, T), (T, S)];
        c.messages = vec![2, 1];
    };
    /// S to T to S. One caller, three messages.
    in_a_move_back_with_one_caller: |c| {
        c.moves = vec![(S, T), (T, S)];
        one(c, 3);
    };
    /// S to T to S on a store whose answers take their time; both silos lose patience. One message.
    in_a_move_back_on_a_slow_store: |c| {
        one(c, 1);
        c.moves = vec![(S, T), (T, S)];
        c.timeouts = true;
        c.slow_store = true;
    };
    /// S to T to U to S. One caller, three messages.
    in_a_round: |c| {
        one(c, 3);
        c.moves = vec![(S, T), (T, U), (U, S)];
    };
    /// S to T to S to T. One caller, three messages.
    in_a_move_to_and_fro: |c| {
        one(c, 3);
        c.moves = vec![(S, T), (T, S), (S, T)];
    };
}

// Crashes and pauses.
laws_hold! {
    /// S or T. Two callers, three messages.
    when_a_silo_crashes: |c| {
        c.crash = vec![S, T];
        c.crashes = 1;
        c.messages = vec![2, 1];
    };
    /// S or T, while a package goes in parts. One caller, two messages.
    when_a_silo_crashes_around_parts: |c| {
        one(c, 2);
        c.parts = true;
        c.crash = vec![S, T];
        c.crashes = 1;
    };
    /// S or T; both lose patience, one answer of the store is lost. One caller, two messages.
    when_an_impatient_silo_crashes: |c| {
        c.crash = vec![S, T];
        c.crashes = 1;
        c.timeouts = true;
        c.lost_answers = 1;
        one(c, 2);
    };
    /// S and T. One caller, two messages.
    when_two_silos_crash: |c| {
        one(c, 2);
        c.crash = vec![S, T];
        c.crashes = 2;
        c.timeouts = true;
    };
    /// S, T or U, around a move from S to T to U. One caller, two messages.
    when_a_silo_of_a_chain_crashes: |c| {
        c.moves = vec![(S, T), (T, U)];
        c.crash = vec![S, T, U];
        c.crashes = 1;
        one(c, 2);
    };
    /// The last of S to T to U, all lose patience. One message.
    when_the_end_of_an_impatient_chain_crashes: |c| {
        one(c, 1);
        c.moves = vec![(S, T), (T, U)];
        c.crash = vec![U];
        c.crashes = 1;
        c.timeouts = true;
    };
    /// Two of S to T to U. One caller, two messages.
    when_two_silos_of_a_chain_crash: |c| {
        one(c, 2);
        c.moves = vec![(S, T), (T, U)];
        c.crash = vec![S, T, U];
        c.crashes = 2;
    };
    /// One of four in a chain. One message.
    when_a_silo_of_a_chain_of_four_crashes: |c| {
        one(c, 1);
        c.silos = 4;
        c.moves = vec![(S, T), (T, U), (U, V)];
        c.crash = vec![S, T, U, V];
        c.crashes = 1;
    };
    /// S or T around a move there and back. One caller, three messages.
    when_a_silo_crashes_in_a_move_back: |c| {
        one(c, 3);
        c.moves = vec![(S, T), (T, S)];
        c.crash = vec![S, T];
        c.crashes = 1;
    };
    /// As before; both lose patience. One message.
    when_an_impatient_silo_crashes_in_a_move_back: |c| {
        one(c, 1);
        c.moves = vec![(S, T), (T, S)];
        c.crash = vec![S, T];
        c.crashes = 1;
        c.timeouts = true;
    };
    /// T around a round over three silos. One caller, two messages.
    when_a_silo_crashes_in_a_round: |c| {
        one(c, 2);
        c.moves = vec![(S, T), (T, U), (U, S)];
        c.crash = vec![T];
        c.crashes = 1;
    };
    /// S or T, while a freeze takes its time and fails. One caller, two messages.
    when_a_silo_crashes_while_it_freezes: |c| {
        c.slow_freeze = true;
        c.failed_freezes = 1;
        one(c, 2);
        c.moves = vec![(S, T), (S, T)];
        c.crash = vec![S, T];
        c.crashes = 1;
    };
    /// S or T, with a store whose answers take their time and of which one is lost. One message.
    when_a_silo_crashes_beside_a_slow_store: |c| {
        one(c, 1);
        c.timeouts = true;
        c.slow_store = true;
        c.lost_answers = 1;
        c.crash = vec![S, T];
        c.crashes = 1;
    };
    /// S or T, with a deactivation before or after the move, on a slow store. One caller, two messages.
    when_a_silo_crashes_around_a_deactivation: |c| {
        c.deactivate = vec![S, T];
        one(c, 2);
        c.crash = vec![S, T];
        c.crashes = 1;
        c.place = vec![U, S, T];
        c.slow_store = true;
    };
    /// S stops for longer than the failure timeout, perhaps within a turn. One caller, two messages.
    when_the_source_pauses: |c| {
        c.pause = Some(S);
        one(c, 2);
    };
    /// As before, T.
    when_the_target_pauses: |c| {
        c.pause = Some(T);
        one(c, 2);
    };
    /// S, around a move from S to T to U. One caller, two messages.
    when_the_start_of_a_chain_pauses: |c| {
        one(c, 2);
        c.moves = vec![(S, T), (T, U)];
        c.pause = Some(S);
    };
    /// T, around a move from S to T to U. One caller, three messages.
    when_the_middle_of_a_chain_pauses: |c| {
        one(c, 3);
        c.moves = vec![(S, T), (T, U)];
        c.pause = Some(T);
    };
    /// T, around a move there; both lose patience. One caller, two messages.
    when_an_impatient_target_pauses: |c| {
        one(c, 2);
        c.pause = Some(T);
        c.timeouts = true;
    };
}

// Lost links.
laws_hold! {
    /// The caller's to S. One caller, three messages.
    when_the_link_of_a_caller_is_cut: |c| {
        c.cut = vec![(C, S)];
        c.cuts = 1;
        one(c, 3);
    };
    /// That which S dialled to T; both lose patience. Two callers, one message each.
    when_the_link_of_a_move_is_cut: |c| {
        c.cut = vec![(S, T)];
        c.cuts = 1;
        c.timeouts = true;
        c.messages = vec![1, 1];
    };
    /// That from S to T while a package goes in parts. One caller, two messages.
    when_the_link_of_a_move_in_parts_is_cut: |c| {
        one(c, 2);
        c.parts = true;
        c.cut = vec![(S, T)];
        c.cuts = 1;
    };
    /// Two of the caller's and that from S to T. One caller, two messages.
    when_two_links_are_cut: |c| {
        one(c, 2);
        c.cut = vec![(S, T), (C, S), (C, T)];
        c.cuts = 2;
    };
    /// One of four around a move from S to T to U. One caller, two messages.
    when_a_link_of_a_chain_is_cut: |c| {
        one(c, 2);
        c.moves = vec![(S, T), (T, U)];
        c.cut = vec![(S, T), (T, U), (C, S), (C, T)];
        c.cuts = 1;
    };
    /// That from S to T or from the caller to S, around the same moves; all lose patience. One message.
    when_a_link_of_an_impatient_chain_is_cut: |c| {
        one(c, 1);
        c.moves = vec![(S, T), (T, U)];
        c.cut = vec![(S, T), (C, S)];
        c.cuts = 1;
        c.timeouts = true;
    };
    /// One of four around a move there and back. One caller, two messages.
    when_a_link_is_cut_in_a_move_back: |c| {
        one(c, 2);
        c.moves = vec![(S, T), (T, S)];
        c.cut = vec![(S, T), (T, S), (C, S), (C, T)];
        c.cuts = 1;
    };
    /// One of three, and S or T crashes. One caller, two messages.
    when_a_link_is_cut_and_a_silo_crashes: |c| {
        one(c, 2);
        c.cut = vec![(S, T), (C, S), (C, T)];
        c.cuts = 1;
        c.crash = vec![S, T];
        c.crashes = 1;
    };
    /// One of three in a move from S to T to U, and T or U crashes. One message.
    when_a_link_is_cut_and_a_silo_of_the_chain_crashes: |c| {
        one(c, 1);
        c.moves = vec![(S, T), (T, U)];
        c.cut = vec![(S, T), (T, U), (C, S)];
        c.cuts = 1;
        c.crash = vec![T, U];
        c.crashes = 1;
    };
}

// Silos that leave.
laws_hold! {
    /// S, after the move. Two callers, three messages.
    when_the_source_leaves: |c| {
        c.leave = Some(S);
        c.messages = vec![2, 1];
    };
    /// The same, while both lose patience, one answer of the store is lost and one package refused. One message.
    when_an_impatient_source_leaves: |c| {
        c.leave = Some(S);
        c.moves = vec![(S, T), (S, T)];
        one(c, 1);
        c.timeouts = true;
        c.lost_answers = 1;
        c.refusals = 1;
    };
    /// S, and T crashes. One caller, two messages.
    when_the_source_leaves_and_the_target_crashes: |c| {
        c.leave = Some(S);
        one(c, 2);
        c.crash = vec![T];
        c.crashes = 1;
    };
    /// T, after a move from S to T to U. Two callers, one message each.
    when_the_middle_of_a_chain_leaves: |c| {
        c.moves = vec![(S, T), (T, U)];
        c.messages = vec![1, 1];
        c.leave = Some(T);
    };
}
