//! Each actor is a list that appends and reads come to one at a time, each between its sending and its answer.
//!
//! Linearizability as Herlihy and Wing define it (1990), and no search as that of Wing and Gong (1993): what an answer says of the
//! list is its length, and the list's order at the end is known. So the place of an append that is in it is known too, and a read has
//! to come while the list is as long as it said: the earlier of the orders that may be are never worse than the later.

use crate::{
    history::{Kind, Told},
    story::Run,
};
use std::time::Duration;

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

/// Whether there is such an order. `Err`: the operation that it does not get past.
fn linearize(operations: &[Operation]) -> Result<(), Operation> {
    let mut open = operations.to_vec();
    open.sort_by_key(|operation| operation.sent);
    let mut len = 0;
    while let Some(first) = open.iter().min_by_key(|operation| operation.answered).copied() {
        // Nothing may come before what was answered before it was sent.
        let may = |operation: &Operation| operation.sent <= first.answered;
        let is_read = |operation: &Operation| operation.place == 0 && operation.said == Some(len);
        let is_next = |operation: &Operation| {
            operation.place == len + 1 && operation.said.is_none_or(|said| said == operation.place)
        };
        let reads = open.iter().position(|operation| may(operation) && is_read(operation));
        let next = reads.or_else(|| open.iter().position(|operation| may(operation) && is_next(operation)));
        let Some(next) = next else { return Err(first) };
        len = len.max(open.remove(next).place);
    }
    Ok(())
}

pub(crate) fn check(run: &Run) -> Result<(), String> {
    // What a store forgot was answered, and is no more.
    if !run.lost_writes.is_empty() {
        return Ok(());
    }
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
