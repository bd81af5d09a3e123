//! What operators do to silos and single actors, and what they say of versions.

use super::{Admin, AdminError};
use crate::{
    ident::{ActorId, SiloId},
    placement::{RULES_QUERY, RuleChange, Rules, RulesAnswered, RulesAsked},
    schema::Lock,
    wire::{
        LEAVE_QUERY, LETTERS_QUERY, LeaveAnswered, LeaveAsked, LettersAnswered, LettersAsked, MOVE_QUERY, MoveAnswered,
        MoveAsked, MoveRequest, MoveStatus, SHAPES_QUERY,
    },
};
use std::time::Duration;

/// How long a silo may take to replay what it was asked for.
const REPLAY: Duration = Duration::from_secs(600);

impl Admin {
    /// Begins to move an active actor to another silo, and answers which silo it moves from.
    ///
    /// # Errors
    /// [`AdminError::NotActive`], [`AdminError::NotMoved`] if it cannot be moved; its silo does not answer.
    pub async fn begin_move(&self, request: &MoveRequest) -> Result<SiloId, AdminError> {
        let actor = &request.actor;
        let owner = self.actor(actor).await?.owner;
        let owner = owner.ok_or_else(|| AdminError::NotActive(actor.clone()))?;
        match self.ask(&owner, MOVE_QUERY, &MoveAsked::Begin(request.clone())).await? {
            MoveAnswered::Status(_) => Ok(owner),
            MoveAnswered::Refused(why) => Err(AdminError::NotMoved {
                actor: actor.clone(),
                why,
            }),
        }
    }

    /// How the move of an actor away from a silo stands, or how the last one ended; none if nothing is known of one.
    ///
    /// # Errors
    /// The silo does not answer.
    pub async fn move_of(&self, silo: &SiloId, actor: &ActorId) -> Result<Option<MoveStatus>, AdminError> {
        match self.ask(silo, MOVE_QUERY, &MoveAsked::Show(actor.clone())).await? {
            MoveAnswered::Status(status) => Ok(status),
            MoveAnswered::Refused(why) => Err(AdminError::NotMoved {
                actor: actor.clone(),
                why,
            }),
        }
    }

    /// Cordons a silo, takes that back, or has it leave in order.
    ///
    /// # Errors
    /// [`AdminError::Refused`]; the silo does not answer.
    pub async fn leave(&self, silo: &SiloId, asked: LeaveAsked) -> Result<(), AdminError> {
        match self.ask(silo, LEAVE_QUERY, &asked).await? {
            LeaveAnswered::Done => Ok(()),
            LeaveAnswered::Refused(why) => Err(AdminError::Refused(vec![format!("{silo}: {why}")])),
        }
    }

    /// Lists, replays or forgets the dead letters of a silo.
    ///
    /// # Errors
    /// The silo does not answer: within ten minutes, if letters are to be replayed. A replay goes on all the same.
    pub async fn letters(&self, silo: &SiloId, asked: &LettersAsked) -> Result<LettersAnswered, AdminError> {
        match asked {
            // Each is sent when the one before to its actor has run.
            LettersAsked::Replay(_) => self.ask_within(silo, LETTERS_QUERY, asked, REPLAY).await,
            _ => self.ask(silo, LETTERS_QUERY, asked).await,
        }
    }

    /// What operators say of versions.
    ///
    /// # Errors
    /// No silo answers, or it cannot read them.
    pub async fn rules(&self) -> Result<Rules, AdminError> {
        self.about_rules(&RulesAsked::Show).await
    }

    /// Changes what operators say of versions, all or nothing; answers all of it.
    ///
    /// # Errors
    /// [`AdminError::Refused`] with all that is wrong; [`AdminError::Silo`] as of [`Admin::start`].
    pub async fn change_rules(&self, changes: Vec<RuleChange>) -> Result<Rules, AdminError> {
        self.about_rules(&RulesAsked::Change(changes)).await
    }

    async fn about_rules(&self, asked: &RulesAsked) -> Result<Rules, AdminError> {
        let answered = match asked {
            RulesAsked::Change(_) => self.ask_once(RULES_QUERY, asked).await?,
            RulesAsked::Show => self.ask_any(RULES_QUERY, asked).await?,
        };
        match answered {
            RulesAnswered::Rules(rules) => Ok(*rules),
            RulesAnswered::Refused(why) => Err(AdminError::Refused(why)),
        }
    }

    /// What the kinds of the living silos look like, version by version.
    ///
    /// # Errors
    /// No silo answers.
    pub async fn live_shapes(&self) -> Result<Lock, AdminError> {
        self.ask_any(SHAPES_QUERY, &()).await
    }
}
