//! Reminders seen from a program: of an actor, and of the silo.

use crate::{
    actor::{Kind, ReminderAnswer, ReminderAsk, ReminderError, ReminderInfo},
    ident::ActorId,
    silo::SiloHandle,
};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;

/// What a silo has to do with reminders now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReminderStatus {
    /// The buckets that it looks after.
    pub buckets: usize,
    /// The buckets that it should look after and does not yet, or the other way round.
    pub unsettled: usize,
    /// The reminders that are in memory: those due within seconds.
    pub in_memory: usize,
    /// The ticks that are being delivered.
    pub at_work: usize,
    /// The ticks that ran, since the start.
    pub delivered: u64,
    /// The deliveries that failed, since the start.
    pub failed: u64,
}

impl SiloHandle {
    /// What this silo has to do with reminders now.
    pub fn reminder_status(&self) -> ReminderStatus {
        let reminding = &self.node.reminding;
        let engine = reminding.engine.lock();
        ReminderStatus {
            buckets: engine.buckets(),
            unsettled: engine.unsettled(),
            in_memory: engine.in_memory(),
            at_work: engine.at_work(),
            delivered: reminding.delivered.load(Ordering::Relaxed),
            failed: reminding.failed.load(Ordering::Relaxed),
        }
    }

    /// The reminders of an actor, by name.
    ///
    /// # Errors
    /// The key cannot be used, or the store failed.
    pub async fn reminders<K: Kind>(&self, key: &str) -> Result<Vec<ReminderInfo>, ReminderError> {
        let actor = ActorId::new(K::KIND, key)?;
        match self.node.remind_as(&actor, None, ReminderAsk::Read).await? {
            ReminderAnswer::All(all) => Ok(all.into_iter().map(ReminderInfo::from).collect()),
            ReminderAnswer::Done { .. } => Ok(Vec::new()),
        }
    }

    /// Removes a reminder of an actor, which need not be active. Answers whether it was set. A tick that is on its way already may
    /// still come.
    ///
    /// # Errors
    /// The key cannot be used, or the store failed.
    pub async fn cancel_reminder<K: Kind>(&self, key: &str, name: &str) -> Result<bool, ReminderError> {
        let actor = ActorId::new(K::KIND, key)?;
        let ask = ReminderAsk::Remove(name.to_owned().into());
        let answer = self.node.remind_as(&actor, None, ask).await?;
        Ok(answer == ReminderAnswer::Done { was: true })
    }
}
