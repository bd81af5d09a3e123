//! A cluster looked at and steered from outside.

use super::AdminError;
use crate::{
    actor::CallError,
    client::{Client, QUERY_TIMEOUT},
    ident::{ActorId, SiloId},
    rollout::{Answered, Asked, Command, Plan, ROLLOUT_QUERY, Request, Rollout},
    store::SiloStatus,
    wire::{
        self, ACTOR_QUERY, ACTORS_QUERY, ActorFound, ActorsAsked, ActorsListed, Ran, STATUS_QUERY, SiloAddress,
        StatusReport,
    },
};
use bytes::Bytes;
use futures_util::future::join_all;
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// Asks the silos of a cluster about themselves, and tells them what to do. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admin {
    client: Client,
}

impl Admin {
    /// By a client of the cluster.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The silos, as the client knows them.
    pub fn silos(&self) -> Vec<SiloAddress> {
        self.client.silos()
    }

    /// The living silo of that name, or with that whole id.
    ///
    /// # Errors
    /// [`AdminError::UnknownSilo`] names those that there are.
    pub fn silo(&self, name: &str) -> Result<SiloId, AdminError> {
        let silos = self.silos();
        let mut called = silos.iter().map(|address| &address.silo);
        let found = called.find(|silo| silo.name() == name || silo.to_string() == name);
        found.cloned().ok_or_else(|| AdminError::UnknownSilo {
            name: name.to_owned(),
            known: silos
                .iter()
                .map(|address| address.silo.name())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    /// How a silo does now.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn status(&self, silo: &SiloId) -> Result<StatusReport, AdminError> {
        self.ask(silo, STATUS_QUERY, &()).await
    }

    /// How all silos do now; one that does not answer holds up no other.
    pub async fn statuses(&self) -> Vec<(SiloAddress, Result<StatusReport, AdminError>)> {
        let silos = self.silos();
        let statuses = join_all(silos.iter().map(|address| self.status(&address.silo))).await;
        silos.into_iter().zip(statuses).collect()
    }

    /// The active actors of all silos that suit, the hottest first, and how many there are; silos that did not answer come with why.
    pub async fn actors(&self, asked: &ActorsAsked) -> (ActorsListed, Vec<AdminError>) {
        let silos = self.silos();
        let answers = silos
            .iter()
            .map(|address| self.ask::<_, ActorsListed>(&address.silo, ACTORS_QUERY, asked));
        let mut all = ActorsListed::default();
        let mut silent = Vec::new();
        for answer in join_all(answers).await {
            match answer {
                Ok(listed) => {
                    all.total += listed.total;
                    all.actors.extend(listed.actors);
                }
                Err(error) => silent.push(error),
            }
        }
        all.actors
            .sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.actor.cmp(&b.actor)));
        all.actors.truncate(if asked.limit == 0 { 100 } else { asked.limit });
        (all, silent)
    }

    /// Where an actor is, and what is saved of it.
    ///
    /// # Errors
    /// No silo answers.
    pub async fn actor(&self, actor: &ActorId) -> Result<ActorFound, AdminError> {
        self.ask_any(ACTOR_QUERY, actor).await
    }

    /// The last rollout of the cluster; none if there never was one.
    ///
    /// # Errors
    /// No silo answers, or it cannot read the record.
    pub async fn rollout(&self) -> Result<Option<Rollout>, AdminError> {
        match self.about_rollout(&Asked::Show).await? {
            Answered::Rollout(rollout) => Ok(rollout.map(|rollout| *rollout)),
            other => Err(unexpected(other)),
        }
    }

    /// What a rollout would do; begins nothing.
    ///
    /// # Errors
    /// [`AdminError::Refused`] with everything that has to be put right first; no silo answers.
    pub async fn plan(&self, request: Request) -> Result<Plan, AdminError> {
        match self.about_rollout(&Asked::Plan(request)).await? {
            Answered::Plan(plan) => Ok(*plan),
            other => Err(unexpected(other)),
        }
    }

    /// Begins a rollout, which then goes on by itself.
    ///
    /// # Errors
    /// As [`Admin::plan`]; [`AdminError::Silo`] whose source says by [`CallError::ran`] whether it may have begun all the same.
    pub async fn start(&self, request: Request) -> Result<Rollout, AdminError> {
        self.changed(&Asked::Start(request)).await
    }

    /// Tells the rollout something, as it is `seen`: if it has changed since, it is left alone.
    ///
    /// # Errors
    /// [`AdminError::Refused`] if it has changed, or the command does not fit; [`AdminError::Silo`] as of [`Admin::start`].
    pub async fn steer(&self, seen: &Rollout, command: Command) -> Result<Rollout, AdminError> {
        let (number, revision) = (seen.number, seen.revision);
        self.changed(&Asked::Steer {
            command,
            number,
            revision,
        })
        .await
    }

    async fn changed(&self, asked: &Asked) -> Result<Rollout, AdminError> {
        match self.about_rollout(asked).await? {
            Answered::Rollout(Some(rollout)) => Ok(*rollout),
            other => Err(unexpected(other)),
        }
    }

    async fn about_rollout(&self, asked: &Asked) -> Result<Answered, AdminError> {
        let answered = match asked {
            Asked::Start(_) | Asked::Steer { .. } => self.ask_once(ROLLOUT_QUERY, asked).await?,
            Asked::Show | Asked::Plan(_) => self.ask_any(ROLLOUT_QUERY, asked).await?,
        };
        match answered {
            Answered::Refused(why) => Err(AdminError::Refused(why)),
            answered => Ok(answered),
        }
    }

    /// Asks one silo after the other until one answers: those that are Active first.
    pub(super) async fn ask_any<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        query: &'static str,
        question: &Q,
    ) -> Result<A, AdminError> {
        self.ask_until(query, question, |_| false).await
    }

    /// The same for a wish: after a silo that may have fulfilled it no other is asked.
    pub(super) async fn ask_once<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        query: &'static str,
        wish: &Q,
    ) -> Result<A, AdminError> {
        self.ask_until(query, wish, |failure| failure.ran() != Ran::No).await
    }

    async fn ask_until<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        query: &'static str,
        question: &Q,
        ends: impl Fn(&CallError) -> bool,
    ) -> Result<A, AdminError> {
        let mut silos = self.silos();
        silos.sort_by_key(|address| address.status != SiloStatus::Active);
        let mut last = AdminError::NoSilo;
        for address in silos {
            match self.ask(&address.silo, query, question).await {
                Err(AdminError::Silo { silo, source }) if !ends(&source) => last = AdminError::Silo { silo, source },
                answered => return answered,
            }
        }
        Err(last)
    }

    /// Asks a silo.
    pub(super) async fn ask<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        silo: &SiloId,
        query: &'static str,
        question: &Q,
    ) -> Result<A, AdminError> {
        self.ask_within(silo, query, question, QUERY_TIMEOUT).await
    }

    /// Asks a silo for what may take it so long.
    pub(super) async fn ask_within<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        silo: &SiloId,
        query: &'static str,
        question: &Q,
        timeout: Duration,
    ) -> Result<A, AdminError> {
        let body: Bytes = wire::encode(question).map_err(|error| AdminError::Refused(vec![error.to_string()]))?;
        let answer = self.client.query_within(silo, query, body, timeout).await;
        let bytes = answer.map_err(|source| AdminError::Silo {
            silo: silo.clone(),
            source,
        })?;
        wire::decode(&bytes).map_err(|error| AdminError::Unreadable {
            silo: silo.clone(),
            query,
            why: error.to_string(),
        })
    }
}

fn unexpected(answered: Answered) -> AdminError {
    AdminError::Refused(vec![format!(
        "the silo answered something else than what was asked for: {answered:?}"
    )])
}
