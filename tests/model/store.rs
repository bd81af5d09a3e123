//! The directory register: requests take effect late, their answers come later or are lost.

use crate::{
    config::Config,
    silo::AtSilo,
    world::{Answer, Ask, Op, World, id},
};
use quark::{
    ident::Hint,
    store::{Entry, EntryOutcome},
    wire::BounceReason,
};

impl World {
    /// The request takes effect; the answer waits.
    pub(crate) fn apply(&mut self, index: usize) {
        let ask = self.ops[index].ask.clone();
        let silo = self.ops[index].silo;
        let answer = match ask {
            Ask::Read => Answer::Entry(self.entry.clone()),
            Ask::Change { expected, new, .. } | Ask::Take { expected, new } => {
                Answer::Changed(self.compare_and_set(&expected, new))
            }
            Ask::Register if self.entry.owner.is_none() => {
                let epoch = self.entry.epoch.next();
                self.entry = Entry::owned(id(silo), epoch);
                Answer::Registered(epoch)
            }
            Ask::Register => Answer::Owned(self.entry.clone()),
        };
        if self.ops[index].orphan {
            self.ops.remove(index);
        } else {
            self.ops[index].answer = Some(answer);
        }
    }

    fn compare_and_set(&mut self, expected: &Entry, new: Entry) -> Option<Entry> {
        if self.entry == *expected {
            self.entry = new;
            None
        } else {
            Some(self.entry.clone())
        }
    }

    /// The answer does not come: a change is decided by a read, a registration is asked for again. The request may still
    /// be under way.
    pub(crate) fn lose_answer(&mut self, index: usize) {
        let op = self.ops[index].clone();
        if op.answer.is_some() {
            self.ops.remove(index);
        } else {
            self.ops[index].orphan = true;
        }
        let ask = match op.ask {
            Ask::Change { .. } | Ask::Read => Ask::Read,
            Ask::Register | Ask::Take { .. } => Ask::Register,
        };
        self.ops.push(Op {
            silo: op.silo,
            ask,
            orphan: false,
            answer: None,
        });
    }

    /// The silo gets its answer.
    pub(crate) fn answer(&mut self, config: &Config, index: usize) {
        let op = self.ops.remove(index);
        let Some(answer) = op.answer else { return };
        let mut at = AtSilo {
            config,
            world: self,
            x: op.silo,
        };
        let dead = at.dead();
        match (op.ask, answer) {
            (Ask::Read, Answer::Entry(entry)) => at.on(|seat| seat.entry_read(&entry, dead)),
            (Ask::Change { purpose, new, .. }, Answer::Changed(actual)) => {
                let outcome = actual.map_or(EntryOutcome::Changed, EntryOutcome::Conflict);
                at.on(|seat| seat.entry_changed(purpose, &new, outcome, dead));
            }
            (Ask::Register, Answer::Registered(epoch)) => at.registered(epoch),
            (Ask::Register, Answer::Owned(entry)) if at.is_registering() => {
                let owner = entry.owner.clone().expect("an owned entry");
                if owner == id(op.silo) || dead(&owner) {
                    let new = Entry::owned(id(op.silo), entry.epoch.next());
                    let ask = Ask::Take { expected: entry, new };
                    self.ops.push(Op {
                        silo: op.silo,
                        ask,
                        orphan: false,
                        answer: None,
                    });
                } else {
                    let hint = Hint {
                        silo: owner,
                        epoch: entry.epoch,
                    };
                    at.on(|seat| seat.register_failed(Some(hint), BounceReason::NotOwner));
                }
            }
            (Ask::Take { new, .. }, Answer::Changed(None)) => at.registered(new.epoch),
            (Ask::Take { .. }, Answer::Changed(Some(_))) if at.is_registering() => {
                self.ops.push(Op {
                    silo: op.silo,
                    ask: Ask::Register,
                    orphan: false,
                    answer: None,
                });
            }
            _ => {}
        }
    }
}
