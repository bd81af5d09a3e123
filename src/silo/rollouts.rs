//! Rollouts at one silo: follows the record in the store, moves what it makes wrong here, answers about it, and carries it on
//! if this silo is the first of the Active ones.

use super::{
    Node, SiloHandle,
    followed::{Followed, Sent},
    queries::News,
    shapes,
};
use crate::{
    clock::Moment,
    ident::{ActorId, SiloId},
    placement::Canary,
    rollout::{
        Answered, Asked, Command, Observed, Phase, Plan, REPORT_QUERY, Request, Rollout, RolloutError, SiloReport,
    },
    store::{Document, ETag},
    telemetry::ArrivalFigures,
    version::VersionPolicy,
    wire,
};
use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use semver::Version;
use std::{
    cmp,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The name of the record among the documents of the store.
const DOCUMENT: &str = "rollout";

/// How long a silo may take to report.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a change of the record is tried against others.
const ATTEMPTS: usize = 5;

/// How many of the actors that could not be moved a report names, and how many of the others that are left.
const NAMES: usize = 5;

/// Outside of moves, how many looks pass between two searches for actors that came up on the wrong side.
const STRAGGLERS: u64 = 30;

/// How often a rollout that goes on is looked after.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// The record as this silo knows it.
#[derive(Default)]
pub(super) struct Rollouts {
    known: Mutex<Known>,
    looks: AtomicBool,
}

#[derive(Default)]
struct Known {
    record: Followed<Rollout>,
    /// Since when it is as it is.
    since: Moment,
    /// When the store was last asked for it.
    read: Option<Moment>,
    looks: u64,
}

impl Rollouts {
    fn record(&self) -> Option<(ETag, Arc<Rollout>)> {
        self.known.lock().record.value()
    }

    fn sending(&self) -> Sent {
        self.known.lock().record.sending()
    }

    /// Whether a kind is being rolled out.
    pub(super) fn rolls_out(&self, kind: &str) -> bool {
        let goes_on = |(_, rollout): (ETag, Arc<Rollout>)| !rollout.is_over() && rollout.kinds.contains_key(kind);
        self.record().is_some_and(goes_on)
    }

    /// A kind that is being rolled out, `kind` or any, between versions which a policy lets nothing pass between.
    pub(super) fn forbidden_by(&self, kind: Option<&str>, policy: VersionPolicy) -> Option<(String, Version, Version)> {
        let (_, rollout) = self.record().filter(|(_, rollout)| !rollout.is_over())?;
        let kinds = rollout
            .kinds
            .iter()
            .filter(|(name, _)| kind.is_none_or(|kind| *name == kind));
        let mut ways = kinds.flat_map(|(name, target)| target.from.iter().map(move |from| (name, from, &target.to)));
        let forbidden = ways.find(|(_, from, to)| !policy.allows(from, to) || !policy.allows(to, from));
        forbidden.map(|(kind, from, to)| (kind.clone(), from.clone(), to.clone()))
    }

    /// Whether a rollout of the kind to this version goes on, so that its actors may go back.
    pub(super) fn may_go_back(&self, kind: &str, version: &Version) -> bool {
        let goes_on = self.record().filter(|(_, rollout)| !rollout.is_over());
        let target = goes_on.and_then(|(_, rollout)| rollout.kinds.get(kind).cloned());
        target.is_some_and(|target| target.to.cmp_precedence(version) == cmp::Ordering::Equal)
    }

    /// Whether it is time to look for actors on the wrong side.
    fn is_time_to_search(&self, phase: &Phase) -> bool {
        let mut known = self.known.lock();
        known.looks += 1;
        match phase {
            Phase::Moving { .. } | Phase::RollingBack { .. } => true,
            Phase::Watching { .. } | Phase::Complete => known.looks.is_multiple_of(STRAGGLERS),
            _ => false,
        }
    }
}

impl Node {
    /// Looks after the rollout, if one goes on or it is time to see whether one has begun.
    pub(super) fn look_after_rollout(self: &Arc<Self>) {
        let is_time = {
            let known = self.rollouts.known.lock();
            let goes_on = known.record.value().is_some_and(|(_, rollout)| !rollout.is_over());
            let every = self.options.membership.read_interval;
            goes_on || known.read.is_none_or(|read| self.clock.now().since(read) >= every)
        };
        if is_time {
            self.look_at_rollout_now();
        }
    }

    /// Looks after the rollout, unless that is being done.
    pub(super) fn look_at_rollout_now(self: &Arc<Self>) {
        if self.rollouts.looks.swap(true, Ordering::AcqRel) {
            return;
        }
        let look = Look(self.clone());
        self.spawn(async move { look.0.look_at_rollout().await });
    }

    /// Reads the record, moves what it makes wrong here, and carries the rollout on if that is up to this silo.
    async fn look_at_rollout(self: &Arc<Self>) {
        self.rollouts.known.lock().read = Some(self.clock.now());
        if let Err(error) = self.read_rules().await {
            tracing::debug!(%error, "the rules of versions cannot be read now");
        }
        if let Err(error) = self.read_rollout().await {
            return tracing::debug!(%error, "the rollout cannot be read now");
        }
        let record = self.rollouts.record();
        let is_time = (record.as_ref()).is_some_and(|(_, rollout)| self.rollouts.is_time_to_search(&rollout.phase));
        if self.rule_book.is_time_to_search() || is_time {
            for actor in self.misplaced() {
                if !self.moves.knows(&actor) {
                    // One that cannot be wanted now comes again with the next look.
                    let _known = self.moves.want(actor, None, None);
                }
            }
        }
        let Some((etag, rollout)) = record else { return };
        let first = self.view.read().active().next().map(|row| row.silo.clone());
        if first.as_ref() == Some(&self.me) && !rollout.is_over() {
            self.carry_on(etag, &rollout).await;
        }
    }

    /// Carries the rollout on.
    async fn carry_on(self: &Arc<Self>, etag: ETag, rollout: &Rollout) {
        let active: Vec<SiloId> = self.view.read().active().map(|row| row.silo.clone()).collect();
        let reports = join_all(active.iter().map(|silo| self.report_of(silo))).await;
        let reports: Vec<_> = reports.into_iter().flatten().collect();
        let seen = Observed {
            at_micros: self.clock.wall_micros(),
            unchanged_for: self.clock.now().since(self.rollouts.known.lock().since),
            active: &active,
            reports: &reports,
        };
        let Some(next) = rollout.advance(&seen) else {
            return;
        };
        tracing::info!(rollout = next.number, phase = next.phase.name(), weight = %next.weight, "the rollout goes on");
        match self.put_rollout(Some(etag), &next).await {
            // Who lost against another finds that one's record.
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the rollout could not go on now"),
        }
    }

    /// Reads what says where actors belong, before anything is placed here. A store that does not answer is no reason to wait: joining
    /// says so.
    pub(super) async fn read_documents(self: &Arc<Self>) {
        let timeout = self.options.membership.store_timeout;
        let read = async {
            if let Err(error) = self.read_rules().await {
                tracing::warn!(%error, "this silo starts without the rules of versions, which it reads again and again");
            }
            if let Err(error) = self.read_rollout().await {
                tracing::warn!(%error, "this silo starts without the rollout, which it reads again and again");
            }
        };
        if self.clock.timeout(timeout, read).await.is_none() {
            tracing::warn!(
                ?timeout,
                "this silo starts without rules and rollout: the store did not answer"
            );
        }
    }

    /// The record in the store; this silo goes by it from now on.
    async fn read_rollout(self: &Arc<Self>) -> Result<Option<(ETag, Arc<Rollout>)>, RolloutError> {
        let sent = self.rollouts.sending();
        match self.store.document(DOCUMENT).await? {
            Some(document) => self.follow(&document, sent).map(Some),
            None => Ok(None),
        }
    }

    /// Puts a record in place of the one numbered `expected`. Answers whether it was put.
    async fn put_rollout(self: &Arc<Self>, expected: Option<ETag>, rollout: &Rollout) -> Result<bool, RolloutError> {
        let unreadable = |error: wire::EncodeError| RolloutError::Unreadable(error.to_string());
        let body = wire::encode(rollout).map_err(unreadable)?;
        let sent = self.rollouts.sending();
        match self.store.put_document(DOCUMENT, expected, body.clone()).await? {
            Ok(etag) => {
                self.follow(&Document { etag, body }, sent)?;
                for silo in self.board().links().silos() {
                    self.notify(&silo, News::Rollout);
                }
                Ok(true)
            }
            Err(Some(found)) => self.follow(&found, sent).map(|_| false),
            Err(None) => Ok(false),
        }
    }

    /// Goes by a record that was asked for at `sent`, unless a newer one has come since; answers the one that this silo goes by.
    fn follow(self: &Arc<Self>, document: &Document, sent: Sent) -> Result<(ETag, Arc<Rollout>), RolloutError> {
        let mut known = self.rollouts.known.lock();
        if let Some(record) = known.record.value()
            && !known.record.is_news(document, sent)
        {
            return Ok(record);
        }
        let rollout: Rollout =
            wire::decode(&document.body).map_err(|error| RolloutError::Unreadable(error.to_string()))?;
        let rollout = Arc::new(rollout);
        known.record.take(document, rollout.clone());
        known.since = self.clock.now();
        self.placement.write().rolled_out(canaries(&rollout));
        drop(known);
        tracing::info!(rollout = rollout.number, phase = rollout.phase.name(), weight = %rollout.weight, "this silo follows the rollout");
        Ok((document.etag, rollout))
    }

    /// The actors here that belong to silos of another version.
    fn misplaced(&self) -> Vec<ActorId> {
        let placement = self.placement.read();
        self.seats.select(|actor, place| {
            place.seat.phase()?;
            let kind = self.registry.kind(actor.kind())?;
            (!placement.belongs(actor, &kind.version)).then(|| actor.clone())
        })
    }

    /// What this silo says of itself to whoever carries a rollout on.
    pub(super) fn rollout_report(&self) -> SiloReport {
        let follows = self
            .rollouts
            .record()
            .map(|(_, rollout)| (rollout.number, rollout.revision));
        let misplaced = if follows.is_some() {
            self.misplaced()
        } else {
            Vec::new()
        };
        let (mut stuck, mut left) = (Vec::new(), Vec::new());
        for actor in &misplaced {
            match self.moves.given_up(actor) {
                Some(why) if stuck.len() < NAMES => stuck.push((actor.clone(), why.to_string())),
                None if left.len() < NAMES => left.push(actor.clone()),
                _ if stuck.len() == NAMES => break,
                _ => {}
            }
        }
        let versions = self.registry.kinds();
        let versions = versions.map(|kind| (kind.entry.kind().to_owned(), kind.version.clone()));
        SiloReport {
            silo: self.me.clone(),
            follows,
            stuck,
            left,
            misplaced: u64::try_from(misplaced.len()).unwrap_or(u64::MAX),
            versions: versions.collect(),
            activations: self.activations_by_kind(),
            figures: self.pool().figures(),
            arrived: self.arrivals(),
            departed: u64::try_from(self.moves.moved_count()).unwrap_or(u64::MAX),
        }
    }

    async fn report_of(self: &Arc<Self>, silo: &SiloId) -> Result<SiloReport, (SiloId, String)> {
        if *silo == self.me {
            return Ok(self.rollout_report());
        }
        let asked = self
            .board()
            .query(silo, REPORT_QUERY, Bytes::new(), REPORT_TIMEOUT)
            .await;
        let silent = |why: String| (silo.clone(), why);
        let bytes = asked.map_err(|failure| silent(failure.text))?;
        wire::decode(&bytes).map_err(|error| silent(format!("its report cannot be read: {error}")))
    }

    /// What came here by moves.
    fn arrivals(&self) -> ArrivalFigures {
        self.history.lock().arrivals.clone()
    }

    async fn plan_rollout(self: &Arc<Self>, request: &Request) -> Result<(Plan, Option<ETag>), RolloutError> {
        let last = self.read_rollout().await?;
        let view = self.view.read().clone();
        let reports = join_all(view.active().map(|row| self.report_of(&row.silo))).await;
        let reports: Result<Vec<_>, _> = reports.into_iter().collect();
        let reports = reports.map_err(|(silo, why)| RolloutError::Silent { silo, why })?;
        let rows: Vec<_> = view.active().collect();
        let schemas = shapes::recorded(&*self.store, shapes::differing(&rows)).await?;
        let placement = self.placement.read();
        let plan = Plan::new(
            request,
            last.as_ref().map(|(_, rollout)| &**rollout),
            view.active(),
            &reports,
            |kind| *placement.policy(kind),
            &schemas,
            self.clock.wall_micros(),
        );
        Ok((plan.map_err(RolloutError::Plan)?, last.map(|(etag, _)| etag)))
    }

    async fn start_rollout(self: &Arc<Self>, request: &Request) -> Result<Rollout, RolloutError> {
        let (plan, last) = self.plan_rollout(request).await?;
        match self.put_rollout(last, &plan.rollout).await? {
            true => Ok(plan.rollout),
            // Another has begun one, or steered the last, since it was read.
            false => Err(RolloutError::Contended),
        }
    }

    /// `seen`: the number and revision that the command is meant for.
    async fn steer_rollout(
        self: &Arc<Self>,
        command: &Command,
        by: &str,
        seen: Option<(u64, u64)>,
    ) -> Result<Rollout, RolloutError> {
        for _ in 0..ATTEMPTS {
            let (etag, rollout) = self.read_rollout().await?.ok_or(RolloutError::None)?;
            if seen.is_some_and(|seen| seen != (rollout.number, rollout.revision)) {
                let phase = rollout.phase.name().to_owned();
                return Err(RolloutError::Changed { phase });
            }
            let next = rollout.obey(command, by, self.clock.wall_micros())?;
            if self.put_rollout(Some(etag), &next).await? {
                return Ok(next);
            }
        }
        Err(RolloutError::Contended)
    }

    /// Answers what another process asks.
    pub(super) async fn asked_about_rollout(self: &Arc<Self>, asked: Asked, by: &str) -> Answered {
        let some = |rollout| Answered::Rollout(Some(Box::new(rollout)));
        let answer = match asked {
            Asked::Show => (self.read_rollout().await)
                .map(|record| Answered::Rollout(record.map(|(_, rollout)| Box::new((*rollout).clone())))),
            Asked::Plan(request) => (self.plan_rollout(&request).await).map(|(plan, _)| Answered::Plan(Box::new(plan))),
            Asked::Start(request) => self.start_rollout(&request).await.map(some),
            Asked::Steer {
                command,
                number,
                revision,
            } => (self.steer_rollout(&command, by, Some((number, revision))).await).map(some),
        };
        answer.unwrap_or_else(|error| Answered::Refused(error.sentences()))
    }
}

/// A look that is under way.
struct Look(Arc<Node>);

impl Drop for Look {
    fn drop(&mut self) {
        self.0.rollouts.looks.store(false, Ordering::Release);
    }
}

/// What a record means for placement.
fn canaries(rollout: &Rollout) -> BTreeMap<String, Canary> {
    if rollout.phase == Phase::Finalized {
        // Over: whatever comes next is placed as if nothing had been.
        return BTreeMap::new();
    }
    let canary = |target: &crate::rollout::Target| Canary {
        to: Arc::new(target.to.clone()),
        weight: rollout.weight,
    };
    rollout
        .kinds
        .iter()
        .map(|(kind, target)| (kind.clone(), canary(target)))
        .collect()
}

impl SiloHandle {
    /// The last rollout of the cluster, as the store has it.
    ///
    /// # Errors
    /// The store, or a record of a newer version.
    pub async fn rollout(&self) -> Result<Option<Rollout>, RolloutError> {
        let record = self.node.read_rollout().await?;
        Ok(record.map(|(_, rollout)| (*rollout).clone()))
    }

    /// What a rollout would do; begins nothing.
    ///
    /// # Errors
    /// All that has to be put right first; an Active silo that does not answer; the store.
    pub async fn plan_rollout(&self, request: &Request) -> Result<Plan, RolloutError> {
        Ok(self.node.plan_rollout(request).await?.0)
    }

    /// Begins a rollout. It then goes on by itself, whatever becomes of this silo.
    ///
    /// # Errors
    /// As [`SiloHandle::plan_rollout`], and if another was begun at the same time.
    pub async fn start_rollout(&self, request: &Request) -> Result<Rollout, RolloutError> {
        self.node.start_rollout(request).await
    }

    /// Tells the rollout something; answers the record after it.
    ///
    /// # Errors
    /// The command does not fit, there is no rollout, the store.
    pub async fn steer_rollout(&self, command: &Command) -> Result<Rollout, RolloutError> {
        self.node.steer_rollout(command, &self.node.me.to_string(), None).await
    }
}
