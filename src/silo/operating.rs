//! What operators ask of this silo: to move an actor, to leave or to stay, to look after dead letters.

use super::{Gate, Node, end::CordonError, moves::Cancel};
use crate::{
    ident::ActorId,
    wire::{LeaveAnswered, LeaveAsked, LetterLine, LettersAnswered, LettersAsked, MoveAnswered, MoveAsked},
};
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::oneshot;

impl Node {
    /// The move of an actor away from here.
    pub(super) async fn asked_to_move(self: &Arc<Self>, asked: MoveAsked) -> MoveAnswered {
        let actor = match asked {
            MoveAsked::Begin(request) => match self.ask_to_move(&request.actor, request.to.as_ref()).await {
                // Nobody waits here; it can be asked how it stands.
                Ok(_told) => request.actor,
                Err(why) => return MoveAnswered::Refused(why),
            },
            MoveAsked::Show(actor) => actor,
            MoveAsked::Cancel(actor) => {
                self.cancel_move(&actor);
                actor
            }
        };
        MoveAnswered::Status(self.moves.status(&actor))
    }

    fn cancel_move(self: &Arc<Self>, actor: &ActorId) {
        let (tell, _nobody) = oneshot::channel();
        if self.moves.cancel(actor, tell) == Cancel::CallOff {
            self.call_off(actor);
        }
    }

    /// This silo's leaving. `by` says who wants it.
    pub(super) async fn asked_to_leave(&self, asked: LeaveAsked, by: &str) -> LeaveAnswered {
        let done = match asked {
            LeaveAsked::Cordon => self.cordon().await,
            LeaveAsked::Uncordon => self.uncordon().await,
            LeaveAsked::Drain if self.gate() == Gate::Shut => Err(CordonError::Ended),
            LeaveAsked::Drain => {
                self.end.stop(&format!("{by} asked it to drain"));
                Ok(())
            }
        };
        match done {
            Ok(()) => LeaveAnswered::Done,
            Err(error) => LeaveAnswered::Refused(error.to_string()),
        }
    }

    /// The dead letters that this silo keeps.
    pub(super) async fn asked_about_letters(self: &Arc<Self>, asked: LettersAsked) -> LettersAnswered {
        match asked {
            LettersAsked::List { actor, limit } => {
                let letters = match &actor {
                    Some(actor) => self.dead_letters.list_of(actor),
                    None => self.dead_letters.list(),
                };
                let total = letters.len();
                let lines = letters.into_iter().take(limit).map(|letter| LetterLine {
                    number: letter.number,
                    actor: letter.actor,
                    message: letter.message,
                    bytes: letter.body.len(),
                    why: letter.why,
                    at_micros: letter.at_micros,
                });
                LettersAnswered::Letters(lines.collect(), total)
            }
            LettersAsked::Replay(numbers) => {
                let replayed = self.replay(self.or_all(numbers)).await;
                let line = |one: super::Replayed| (one.number, one.result.err().map(|why| why.to_string()));
                LettersAnswered::Replayed(replayed.into_iter().map(line).collect())
            }
            LettersAsked::Remove(numbers) => {
                let numbers = self.or_all(numbers).into_iter();
                LettersAnswered::Removed(numbers.filter_map(|number| self.dead_letters.remove(number)).count())
            }
        }
    }

    fn or_all(&self, numbers: Vec<u64>) -> BTreeSet<u64> {
        if numbers.is_empty() {
            self.dead_letters
                .list()
                .into_iter()
                .map(|letter| letter.number)
                .collect()
        } else {
            numbers.into_iter().collect()
        }
    }
}
