//! Each actor is a list that appends and reads come to one at a time, each between its sending and its answer.
//!
//! After Wing and Gong, "Testing and verifying concurrent objects" (1993), with Lowe's memory of what was tried: searched is an order
//! of all requests that were answered, and of any of those whose end is not known, in which every answer is right. What an answer
//! says of the list is its length, and the list's order at the end is known: so the place of an append that is in it is known too,
//! and only appends that are in it, and reads, are to be placed.

use crate::{
    history::{Kind, Told},
    story::Run,
};
use std::{collections::HashSet, time::Duration};

/// One request of an actor's history.
#[derive(Clone, Copy, Debug)]
struct Operation {
    sent: Duration,
    /// When its answer came; never, if it is not known.
    answered: Duration,
    /// The place in the final list of an append that is there, from 1; 0 for a read.
    place: u64,
    /// The length that was answered.
    said: Option<u64>,
}

impl Operation {
    /// The length of the list behind it, if it can come to a list of this length.
    fn apply(&self, len: u64) -> Option<u64> {
        let after = match self.place {
            0 => len,
            place => (place == len + 1).then_some(place)?,
        };
        self.said.is_none_or(|said| said == after).then_some(after)
    }
}

/// Whether there is such an order. `Err`: the operation that no order gets past, of the longest attempt.
fn linearize(operations: &[Operation]) -> Result<(), Operation> {
    let count = operations.len();
    let mut by_time: Vec<usize> = (0..count).collect();
    by_time.sort_by_key(|at| operations[*at].sent);
    let must = |at: usize| operations[at].answered != Duration::MAX || operations[at].place > 0;
    let mut tried: HashSet<(Vec<u64>, u64)> = HashSet::new();
    let mut done = vec![0_u64; count.div_ceil(64)];
    let is_done = |done: &[u64], at: usize| done[at / 64] & (1 << (at % 64)) != 0;
    // What was placed, the length before it, and where in `by_time` to go on looking.
    let mut stack: Vec<(usize, u64)> = Vec::new();
    let (mut len, mut from, mut best) = (0, 0, (0, None));
    loop {
        let open = || by_time.iter().copied().filter(|at| !is_done(&done, *at) && must(*at));
        // Nothing may come before what was answered before it was sent.
        let first_answer = open().map(|at| operations[at].answered).min();
        let Some(first_answer) = first_answer else {
            return Ok(());
        };
        let next = (from..count).find_map(|position| {
            let at = by_time[position];
            let may = !is_done(&done, at) && operations[at].sent <= first_answer;
            let after = operations[at].apply(len).filter(|_| may)?;
            let mut then = done.clone();
            then[at / 64] |= 1 << (at % 64);
            tried.insert((then.clone(), after)).then_some((position, after, then))
        });
        match next {
            Some((position, after, then)) => {
                stack.push((position, len));
                (len, from, done) = (after, 0, then);
            }
            None => {
                if stack.len() >= best.0 {
                    let hinders = open().find(|at| operations[*at].answered == first_answer);
                    best = (stack.len(), hinders);
                }
                let Some((position, before)) = stack.pop() else {
                    return Err(operations[best.1.unwrap_or(0)]);
                };
                let at = by_time[position];
                done[at / 64] &= !(1 << (at % 64));
                (len, from) = (before, position + 1);
            }
        }
    }
}

pub(crate) fn check(run: &Run) -> Result<(), String> {
    for (actor, list) in &run.lists {
        let operation = |request: &crate::history::Request| {
            let place = || {
                let at = (list.iter()).position(|note| (&note.sender, note.n) == (&request.sender, request.n));
                at.map_or(0, |at| at as u64 + 1)
            };
            let (answered, said) = match &request.told {
                Some((at, Told::Done(len))) => (*at, Some(*len)),
                Some((_, Told::NotRun(_))) => return None,
                _ => (Duration::MAX, None),
            };
            let place = if request.kind == Kind::Append { place() } else { 0 };
            // Without effect and unanswered: it may have come at any time, or never.
            (place > 0 || said.is_some()).then_some(Operation {
                sent: request.sent,
                answered,
                place,
                said,
            })
        };
        let requests = run.history.requests.iter().filter(|request| request.actor == *actor);
        let operations: Vec<Operation> = requests.filter_map(operation).collect();
        if let Err(hinders) = linearize(&operations) {
            return Err(format!("no order of what {actor} was asked explains {hinders:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(sent: u64, answered: u64, place: u64, said: u64) -> Operation {
        Operation {
            sent: Duration::from_secs(sent),
            answered: Duration::from_secs(answered),
            place,
            said: Some(said),
        }
    }

    #[test]
    fn what_overlaps_may_have_come_in_either_order() {
        let appends = [operation(0, 9, 2, 2), operation(1, 8, 1, 1), operation(2, 7, 0, 1)];
        assert!(linearize(&appends).is_ok());
    }

    #[test]
    fn a_stale_read_is_found() {
        let stale = [operation(0, 1, 1, 1), operation(2, 3, 2, 2), operation(4, 5, 0, 1)];
        assert!(linearize(&stale).is_err());
    }

    #[test]
    fn an_append_that_was_not_answered_may_come_late_and_not_before_it_was_sent() {
        let open = |sent| Operation {
            answered: Duration::MAX,
            said: None,
            ..operation(sent, 0, 1, 0)
        };
        assert!(linearize(&[open(0), operation(2, 3, 0, 0), operation(4, 5, 0, 1)]).is_ok());
        assert!(linearize(&[open(4), operation(2, 3, 0, 1)]).is_err());
    }

    #[test]
    fn two_that_were_told_the_same_length_are_found() {
        assert!(linearize(&[operation(0, 5, 1, 1), operation(0, 5, 2, 1)]).is_err());
    }
}
