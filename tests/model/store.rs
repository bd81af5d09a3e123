//! The directory register: requests take effect late, their answers come later or are lost.

use crate::{
    config::{Config, Mutant},
    silo::AtSilo,
    world::{Answer, Ask, Op, World, id},
};
use quark::{
    store::{Entry, EntryOutcome},
    wire::BounceReason,
};

impl World {
    /// The request takes effect; the answer waits.
    pub(crate) fn apply(&mut self, config: &Config, index: usize) {
        let ask = self.ops[index].ask.clone();
        let silo = self.ops[index].silo;
        let answer = match ask {
            Ask::Read => Answer::Entry(self.entry.clone()),
            Ask::Change { expected, new, .. } | Ask::Take { expected, new } => {
                Answer::Changed(self.compare_and_set(config, &expected, new))
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

    fn compare_and_set(&mut self, config: &Config, expected: &Entry, new: Entry) -> Option<Entry> {
        let fits = match config.mutant {
            Some(Mutant::BlindUpsert) => true,
            Some(Mutant::EpochNotCompared) => self.entry.owner == expected.owner,
            _ => self.entry == *expected,
        };
        if fits {
            self.entry = new;
            None
        } else {
            Some(self.entry.clone())
        }
    }

    /// Whether a silo's earlier registration is under way: it registers one at a time.
    pub(crate) fn registers_before(&self, index: usize) -> bool {
        let silo = self.ops[index].silo;
        let registers = |op: &Op| op.silo == silo && !op.orphan && matches!(op.ask, Ask::Register | Ask::Take { .. });
        registers(&self.ops[index]) && self.ops[..index].iter().any(registers)
    }

    /// The answer does not come: a change is decided by a read, a registration has failed. The request may still be under
    /// way.
    pub(crate) fn lose_answer(&mut self, config: &Config, index: usize) {
        let op = self.ops[index].clone();
        if op.answer.is_some() {
            self.ops.remove(index);
        } else {
            self.ops[index].orphan = true;
        }
        let mut at = AtSilo {
            config,
            world: self,
            x: op.silo,
        };
        match op.ask {
            Ask::Change { .. } | Ask::Read => at.ask(Ask::Read),
            Ask::Register | Ask::Take { .. } => at.on(|seat| seat.register_failed(None, BounceReason::NotNow)),
        }
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
        match (op.ask.clone(), answer) {
            (Ask::Read, Answer::Entry(entry)) => at.on(|seat| seat.entry_read(&entry, dead)),
            (Ask::Change { purpose, new, .. }, Answer::Changed(actual)) => {
                let outcome = actual.map_or(EntryOutcome::Changed, EntryOutcome::Conflict);
                at.on(|seat| seat.entry_changed(purpose, &new, outcome, dead));
            }
            (Ask::Register, Answer::Registered(epoch)) => at.registered(epoch),
            (Ask::Register, Answer::Owned(entry)) if at.is_registering() => {
                let takes = (entry.owner.as_ref()).is_some_and(|owner| *owner == id(op.silo) || dead(owner));
                if takes {
                    let new = Entry::owned(id(op.silo), entry.epoch.next());
                    let (orphan, answer) = (false, None);
                    let ask = Ask::Take { expected: entry, new };
                    // Where the registration was: the next one waits.
                    let take = Op {
                        ask,
                        orphan,
                        answer,
                        ..op
                    };
                    self.ops.insert(index, take);
                } else {
                    at.register_failed(entry);
                }
            }
            (Ask::Take { new, .. }, Answer::Changed(None)) => at.registered(new.epoch),
            (Ask::Take { .. }, Answer::Changed(Some(actual))) => at.register_failed(actual),
            _ => {}
        }
    }
}
