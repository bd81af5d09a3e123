//! What a silo answers about itself, and what silos tell each other about membership.

use super::{Node, accepted::AcceptedLink};
use crate::{
    ident::{ProcessId, RequestId, SiloId},
    membership::Event,
    placement::RULES_QUERY,
    reminder,
    rollout::{Asked, REPORT_QUERY, ROLLOUT_QUERY},
    store::{Bucket, StoreError},
    wire::{
        self, ACTOR_QUERY, ACTORS_QUERY, ActorsAsked, Failure, FailureCode, Frame, LEAVE_QUERY, LETTERS_QUERY,
        MOVE_QUERY, Outcome, Ran, SHAPES_QUERY, STATUS_QUERY, StatusReport,
    },
};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

/// The name of queries that carry a [`Notice`].
pub(super) const MEMBERSHIP_NOTICE: &str = "quark.membership";

/// How many actors that move now a status names.
const NAMES: usize = 5;

/// What a silo tells another about membership. Not answered by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// The highest view that the sender knows of; heard before anything else.
    pub(super) view: u64,
    /// What it says.
    pub(super) news: News,
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum News {
    /// That there is this view.
    View,
    /// Are you there?
    Probe { n: u64 },
    /// Yes.
    ProbeAnswer { n: u64 },
    /// Please probe a silo.
    ProbeFor { about: SiloId },
    /// It was probed.
    Probed { about: SiloId, alive: bool },
    /// Do you reach the store?
    StoreReachAsked { round: u64 },
    /// Whether the store is out of reach.
    StoreReach { round: u64, unreachable: bool },
    /// How much there is to do.
    Load {
        actors: u64,
        busy: f64,
        /// Tell me yours. Silos of versions that do not say so want it.
        #[serde(default = "wanted")]
        wants: bool,
    },
    /// That the record of the rollout has changed.
    Rollout,
    /// That a reminder was set that is due soon.
    ReminderSet { bucket: Bucket, due_micros: u64 },
    /// That buckets of reminders are free.
    BucketsFree,
    /// That the rules of versions have changed.
    Rules,
}

fn wanted() -> bool {
    true
}

impl Node {
    /// A query has come.
    pub(super) fn queried(self: &Arc<Self>, link: &AcceptedLink, request: RequestId, name: String, body: Bytes) {
        if name == MEMBERSHIP_NOTICE {
            return match (wire::decode(&body), &link.process) {
                (Ok(notice), ProcessId::Silo(from)) => self.noticed(from, notice),
                (Ok(_), process) => tracing::warn!(%process, "only silos speak about membership; ignored"),
                (Err(error), from) => tracing::warn!(%from, %error, "a notice cannot be read; ignored"),
            };
        }
        let (node, by, link) = (self.clone(), link.process.to_string(), link.link);
        // Some answers wait for the store, and no frame waits for an answer.
        self.spawn(async move {
            let outcome = match node.answer_to(&name, &body, &by).await {
                Ok(answer) => Outcome::Reply(answer),
                Err(failure) => Outcome::Failure(failure),
            };
            if request != RequestId::NONE {
                node.accepted.send(link, Frame::Answer { request, outcome });
            }
        });
    }

    async fn answer_to(self: &Arc<Self>, name: &str, body: &Bytes, by: &str) -> Result<Bytes, Failure> {
        match name {
            STATUS_QUERY => answer(&self.status_report()),
            REPORT_QUERY => answer(&self.rollout_report()),
            ROLLOUT_QUERY => answer(&self.asked_about_rollout(question::<Asked>(name, body)?, by).await),
            RULES_QUERY => answer(&self.asked_about_rules(question(name, body)?).await),
            MOVE_QUERY => answer(&self.asked_to_move(question(name, body)?).await),
            LEAVE_QUERY => answer(&self.asked_to_leave(question(name, body)?, by).await),
            LETTERS_QUERY => answer(&self.asked_about_letters(question(name, body)?).await),
            SHAPES_QUERY => match self.live_shapes().await {
                Ok(live) => answer(&live),
                Err(error) => Err(unavailable(&error)),
            },
            ACTORS_QUERY => answer(&self.list_actors(&question::<ActorsAsked>(name, body)?)),
            ACTOR_QUERY => match self.find_actor(question(name, body)?).await {
                Ok(found) => answer(&found),
                Err(error) => Err(unavailable(&error)),
            },
            _ => Err(bad_query(format!(
                "this silo does not know the query {name:?}: it is of another version than the asker"
            ))),
        }
    }

    fn noticed(self: &Arc<Self>, from: &SiloId, notice: Notice) {
        let peer = from.clone();
        let membership = |event| self.services.membership(event);
        membership(Event::PeerSaysViewChanged { view: notice.view });
        match notice.news {
            News::View => {}
            News::Rollout | News::Rules => self.look_at_rollout_now(),
            News::ReminderSet { bucket, due_micros } => {
                (self.reminding).happened(reminder::Event::SetElsewhere { bucket, due_micros });
            }
            News::BucketsFree => self.reminding.happened(reminder::Event::HandedOver),
            News::Probe { n } => self.notify(from, News::ProbeAnswer { n }),
            News::ProbeAnswer { n } => self.services.probe_answered(n),
            News::ProbeFor { about } => {
                let node = self.clone();
                self.spawn(async move {
                    let alive = node.probe(&about).await;
                    node.notify(&peer, News::Probed { about, alive });
                });
            }
            News::Probed { about, alive } => membership(Event::OpinionGiven {
                from: peer,
                about,
                alive,
            }),
            News::StoreReachAsked { round } => membership(Event::StoreReachAsked { peer, round }),
            News::Load { actors, busy, wants } => {
                let actors = usize::try_from(actors).unwrap_or(usize::MAX);
                self.balancing.said(from, actors, busy, wants, self.clock.now());
            }
            News::StoreReach { round, unreachable } => {
                if unreachable {
                    membership(Event::StoreUnreachableConfirmed { peer, round });
                }
            }
        }
    }

    /// How this silo does now.
    pub(super) fn status_report(&self) -> StatusReport {
        let mut activations: BTreeMap<String, usize> = BTreeMap::new();
        let mut waiting = 0;
        self.seats.each_activation(|mailbox| {
            waiting += mailbox.len();
            let kind = mailbox.actor().kind();
            match activations.get_mut(kind) {
                Some(count) => *count += 1,
                None => _ = activations.insert(kind.to_owned(), 1),
            }
        });
        let (moving, moving_now) = self.moves.under_way(NAMES);
        // One lock at a time: a guard in the literal below would live to its end, and seats are locked before the history.
        let view = self.view.read().number();
        let moved_in = self.history.lock().moved_in;
        let known = self.moves.len();
        let drain = self.drain_progress();
        let stuck = self.stuck_turns();
        let versions = self
            .registry
            .kinds()
            .map(|kind| (kind.entry.kind().to_owned(), kind.version.to_string()));
        StatusReport {
            silo: self.me.clone(),
            status: self.status(),
            versions: versions.collect(),
            view,
            activations,
            waiting,
            turns: self.pool().turns(),
            moving,
            to_move: known.saturating_sub(moving),
            moved_out: self.moves.moved_count(),
            moved_in,
            moving_now,
            drain,
            dead_letters: self.dead_letters.len(),
            retries: self.retries.len(),
            stuck,
            workers: self.worker_status(),
            dead_letters_dropped: self.dead_letters.dropped(),
            version_mismatches: self.version_mismatches.load(Ordering::Relaxed),
        }
    }
}

pub(super) fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn question<T: DeserializeOwned>(name: &str, body: &Bytes) -> Result<T, Failure> {
    wire::decode(body).map_err(|error| bad_query(format!("the question of the query {name:?} cannot be read: {error}")))
}

fn answer<T: Serialize>(answer: &T) -> Result<Bytes, Failure> {
    wire::encode(answer).map_err(|error| bad_query(format!("the answer cannot be serialized: {error}")))
}

fn unavailable(error: &StoreError) -> Failure {
    Failure::new(FailureCode::StoreUnavailable, Ran::No, error.to_string())
}

fn bad_query(text: String) -> Failure {
    Failure::new(FailureCode::BadQuery, Ran::No, text)
}
