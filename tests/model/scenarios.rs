//! wip
use crate::{
    check,
    config::{Config, Mutant},
    exhaust, shortest,
    world::{S, SILOS, T, U, V},
};

/// A caller's number.
const C: u8 = SILOS;

macro_rules! holds {
    ($($name:ident: $change:expr;)*) => { $(
        #[test]
        fn $name() {
            let mut config = Config::default();
            let change: fn(&mut Config) = $change;
            change(&mut config);
            exhaust(stringify!($name), &config);
        }
    )* };
}
macro_rules! breaks {
    ($($name:ident: $mutant:ident $law:ident, $change:expr;)*) => { $(
        #[test]
        fn $name() {
            let mut config = Config::default();
            let change: fn(&mut Config) = $change;
            change(&mut config);
            config.mutant = Some(Mutant::$mutant);
            let found = shortest(&config, check::$law).expect("the checker finds what breaks");
            println!("{} breaks {found}", stringify!($name));
        }
    )* };
}

fn one(c: &mut Config, n: u8) {
    c.messages = vec![n];
}

holds! {
    ok_move: |_| {};
    ok_move_3: |c| c.messages = vec![3, 1];
    ok_move_all: |c| {
        c.timeouts = true;
        c.lost_answers = 1;
        c.refusals = 1;
        c.duplicate_package = true;
        c.messages = vec![2, 1];
    };
    ok_slow_store: |c| {
        one(c, 2);
        c.timeouts = true;
        c.lost_answers = 2;
        c.slow_store = true;
        c.refusals = 1;
    };
    ok_chain: |c| {
        c.moves = vec![(S, T), (T, U)];
        c.messages = vec![2, 1];
    };
    ok_chain_3: |c| {
        c.moves = vec![(S, T), (T, U)];
        one(c, 3);
    };
    ok_back: |c| {
        c.moves = vec![(S, T), (T, S)];
        c.messages = vec![2, 1];
    };
    ok_back_3: |c| {
        c.moves = vec![(S, T), (T, S)];
        one(c, 3);
    };
    ok_leave: |c| c.leave = Some(S);
    ok_chain_leave: |c| {
        c.moves = vec![(S, T), (T, U)];
        one(c, 2);
        c.leave = Some(T);
    };
    ok_crash: |c| {
        c.crash = vec![S, T];
        c.crashes = 1;
        c.messages = vec![2, 1];
    };
    ok_crash_register: |c| {
        c.crash = vec![S, T];
        c.crashes = 1;
        one(c, 2);
        c.register = true;
    };
    ok_crash_timeouts: |c| {
        c.crash = vec![S, T];
        c.crashes = 1;
        c.timeouts = true;
        c.lost_answers = 1;
        one(c, 2);
    };
    ok_chain_crash: |c| {
        c.moves = vec![(S, T), (T, U)];
        c.crash = vec![S, T, U];
        c.crashes = 1;
        one(c, 2);
    };
    ok_cut_caller: |c| {
        c.cut = vec![(C, S)];
        c.cuts = 1;
        one(c, 3);
    };
    ok_cut_silos: |c| {
        c.cut = vec![(S, T)];
        c.cuts = 1;
        c.timeouts = true;
        c.messages = vec![2, 1];
    };
    ok_pause_t: |c| {
        c.pause = Some(T);
        one(c, 2);
    };
    ok_pause_s: |c| {
        c.pause = Some(S);
        one(c, 2);
    };
    ok_freeze: |c| {
        c.slow_freeze = true;
        c.failed_freezes = 1;
    };
    ok_deactivate: |c| {
        c.deactivate = vec![S];
        c.moves = vec![];
        c.register = true;
        c.place = vec![T, S, U];
        c.lost_answers = 1;
    };
    ok_deactivate_moved: |c| {
        c.deactivate = vec![S, T];
        c.register = true;
        c.place = vec![U, S, T];
        c.messages = vec![2, 1];
    };
    ok_new: |c| {
        c.owner = None;
        c.moves = vec![];
        c.register = true;
        c.place = vec![T, S, U];
    };
    ok_full: |c| {
        c.room = 1;
    };
    ok_give_up: |c| {
        c.give_up = 1;
        one(c, 3);
        c.moves = vec![(S, T), (T, S)];
    };
}

holds! {
    wide_round_crash: |c| {
        one(c, 2);
        c.moves = vec![(S, T), (T, U), (U, S)];
        c.crash = vec![T];
        c.crashes = 1;
    };
    wide_round_crash_3: |c| {
        one(c, 3);
        c.moves = vec![(S, T), (T, U), (U, S)];
        c.crash = vec![S, T, U];
        c.crashes = 1;
    };
    wide_chain4_crash: |c| {
        one(c, 2);
        c.silos = 4;
        c.moves = vec![(S, T), (T, U), (U, V)];
        c.crash = vec![S, T, U, V];
        c.crashes = 1;
    };
    wide_chain4_late: |c| {
        c.messages = vec![2, 1];
        c.silos = 4;
        c.moves = vec![(S, T), (T, U), (U, V)];
    };
    wide_two_crashes: |c| {
        one(c, 3);
        c.crash = vec![S, T];
        c.crashes = 2;
        c.timeouts = true;
    };
    wide_chain_crash_timeouts: |c| {
        one(c, 3);
        c.moves = vec![(S, T), (T, U)];
        c.crash = vec![S, T, U];
        c.crashes = 1;
        c.timeouts = true;
    };
    wide_chain_two_crashes: |c| {
        one(c, 2);
        c.moves = vec![(S, T), (T, U)];
        c.crash = vec![S, T, U];
        c.crashes = 2;
        c.timeouts = true;
    };
    wide_back_crash_timeouts: |c| {
        one(c, 3);
        c.moves = vec![(S, T), (T, S)];
        c.crash = vec![S, T];
        c.crashes = 1;
        c.timeouts = true;
    };
    wide_round: |c| {
        one(c, 3);
        c.moves = vec![(S, T), (T, U), (U, S)];
    };
    wide_stst: |c| {
        one(c, 3);
        c.moves = vec![(S, T), (T, S), (S, T)];
    };
    wide_chain_2x2: |c| c.moves = vec![(S, T), (T, U)];
    wide_back_2x2: |c| c.moves = vec![(S, T), (T, S)];
    wide_chain_cut: |c| {
        one(c, 2);
        c.moves = vec![(S, T), (T, U)];
        c.cut = vec![(S, T), (T, U), (C, S), (C, T)];
        c.cuts = 1;
    };
    wide_chain_cut_timeouts: |c| {
        one(c, 2);
        c.moves = vec![(S, T), (T, U)];
        c.cut = vec![(S, T), (T, U), (C, S), (C, T)];
        c.cuts = 1;
        c.timeouts = true;
    };
    wide_back_cut: |c| {
        one(c, 3);
        c.moves = vec![(S, T), (T, S)];
        c.cut = vec![(S, T), (T, S), (C, S), (C, T)];
        c.cuts = 1;
    };
    wide_cuts_2: |c| {
        one(c, 2);
        c.cut = vec![(S, T), (C, S), (C, T)];
        c.cuts = 2;
    };
    wide_cut_and_crash: |c| {
        one(c, 2);
        c.cut = vec![(S, T), (C, S), (C, T)];
        c.cuts = 1;
        c.crash = vec![S, T];
        c.crashes = 1;
    };
    wide_chain_cut_and_crash: |c| {
        one(c, 2);
        c.moves = vec![(S, T), (T, U)];
        c.cut = vec![(S, T), (T, U), (C, S)];
        c.cuts = 1;
        c.crash = vec![T, U];
        c.crashes = 1;
    };
    wide_leave_chain_2: |c| {
        c.moves = vec![(S, T), (T, U)];
        c.messages = vec![2, 1];
        c.leave = Some(T);
    };
    wide_leave_crash: |c| {
        c.leave = Some(S);
        one(c, 2);
        c.crash = vec![T];
        c.crashes = 1;
    };
    wide_leave_timeouts: |c| {
        c.leave = Some(S);
        one(c, 2);
        c.timeouts = true;
        c.lost_answers = 1;
        c.refusals = 1;
    };
    wide_pause_s_chain: |c| {
        one(c, 2);
        c.moves = vec![(S, T), (T, U)];
        c.pause = Some(S);
        c.timeouts = true;
    };
    wide_pause_t_chain: |c| {
        one(c, 2);
        c.moves = vec![(S, T), (T, U)];
        c.pause = Some(T);
        c.timeouts = true;
    };
    wide_slow_back: |c| {
        one(c, 2);
        c.moves = vec![(S, T), (T, S)];
        c.timeouts = true;
        c.slow_store = true;
        c.lost_answers = 1;
    };
    wide_slow_crash: |c| {
        one(c, 1);
        c.moves = vec![(S, T), (T, U)];
        c.timeouts = true;
        c.slow_store = true;
        c.lost_answers = 1;
        c.crash = vec![S, T];
        c.crashes = 1;
    };
    wide_freeze_crash: |c| {
        c.slow_freeze = true;
        c.failed_freezes = 1;
        one(c, 2);
        c.crash = vec![S, T];
        c.crashes = 1;
    };
    wide_one_line_back_cut: |c| {
        c.one_line = true;
        one(c, 3);
        c.moves = vec![(S, T), (T, S)];
        c.cut = vec![(S, T)];
        c.cuts = 1;
    };
    wide_one_line_chain: |c| {
        c.one_line = true;
        c.moves = vec![(S, T), (T, U)];
        c.messages = vec![2, 1];
        c.cut = vec![(S, T), (T, U)];
        c.cuts = 1;
    };
    wide_deactivate_crash: |c| {
        c.deactivate = vec![S, T];
        one(c, 2);
        c.crash = vec![S, T];
        c.crashes = 1;
        c.place = vec![U, S, T];
        c.slow_store = true;
        c.lost_answers = 1;
    };
    wide_memory_only: |c| {
        c.saves = false;
        c.moves = vec![(S, T), (T, S)];
        one(c, 3);
        c.timeouts = true;
        c.refusals = 1;
    };
}

breaks! {
    no_fence: NoFence IN_ORDER, |c| one(c, 2);
    no_resume_bump: NoResumeBump ONE_SILO, |c| { one(c, 2); c.timeouts = true; };
    no_go: NoGo ONCE, |c| { one(c, 2); c.crash = vec![T]; c.crashes = 1; };
    held_first: HeldFirst IN_ORDER, |c| { one(c, 2); c.timeouts = true; };
    no_barrier: NoBarrier ENDS, |c| { one(c, 2); c.leave = Some(S); };
    no_mark: NoMark IN_ORDER, |c| { one(c, 2); c.moves = vec![(S, T), (T, S)]; };
    hop_ack: HopAck IN_ORDER, |c| { one(c, 2); c.moves = vec![(S, T), (T, U)]; c.cut = vec![(C, S)]; c.cuts = 1; };
    queue_given_back: QueueGivenBack IN_ORDER, |c| { one(c, 2); c.moves = vec![(S, T), (T, U)]; c.crash = vec![U]; c.crashes = 1; };
    no_enter: NoEnter IN_ORDER, |c| { one(c, 3); c.crash = vec![S]; c.crashes = 1; };
    dead_links_later: DeadLinksLater ENDS, |c| { one(c, 3); c.moves = vec![(S, T), (T, S)]; c.crash = vec![T]; c.crashes = 1; c.timeouts = true; };
    old_link_after_new: OldLinkAfterNew IN_ORDER, |c| { one(c, 3); c.cut = vec![(C, S)]; c.cuts = 1; };
    store_checks_row: StoreChecksRow NO_OLD_WRITE, |c| { one(c, 2); c.pause = Some(T); };
    chooses_leaver: ChoosesLeaver LEFT_ALONE, |c| { one(c, 2); c.moves = vec![(S, T), (T, U)]; c.leave = Some(T); };
    no_resend: NoResend ENDS, |c| { one(c, 3); c.cut = vec![(S, T)]; c.cuts = 1; c.timeouts = true; };
}
