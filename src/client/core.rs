//! What a client's handle and its thread share.

use super::builder::ask_view;
use crate::{
    caller::{Arrived, Delivered, LinkEvents, Switchboard, Unsent, Uplink},
    clock::{Clock, Moment},
    ident::{ActorId, Hint, RequestId, SiloId},
    mailbox::{Letter, Mailbox},
    transport::Transport,
    wire::{Failure, FailureCode, Frame, Located, Outcome, Ran, SiloAddress},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::oneshot;

/// How often what is overdue is swept.
const SWEEP: Duration = Duration::from_secs(1);

/// After so many sweeps without a link the client begins again where it began.
const LOST_AFTER: u32 = 2;

/// How long one of the first addresses may take to answer then.
const SEED_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a silo may take to say where an actor is, before another is asked: it may stand still, or be out of reach.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(1);

/// What a client's handle and its thread share.
pub(super) struct Core {
    pub(super) clock: Clock,
    board: OnceLock<Arc<Switchboard>>,
    /// Held here for the links, which know it weakly.
    events: OnceLock<Arc<dyn LinkEvents>>,
    cluster: Mutex<Cluster>,
    lookups: Mutex<BTreeMap<RequestId, Lookup>>,
    last_lookup: AtomicU64,
    turn: AtomicUsize,
    seeds: Seeds,
    /// Dropped, it ends the client's thread.
    stop: Mutex<Option<oneshot::Sender<()>>>,
}

/// Where the client begins, at first and again when no silo that it knows is there any more.
pub(super) struct Seeds {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) addresses: Vec<String>,
}

#[derive(Default)]
struct Cluster {
    view: u64,
    silos: BTreeMap<SiloId, SiloAddress>,
    gone: BTreeSet<SiloId>,
    /// The last view that each silo told.
    told: BTreeMap<SiloId, u64>,
    /// Those that a view which fell did not name. Each that lives writes its row again; the link of one that does not is lost.
    unnamed: BTreeSet<SiloId>,
}

impl Cluster {
    /// Whether a view is news. An older one is from who is behind, unless who tells it has told a later one before: links keep the
    /// order, so the store has lost writes, and the cluster counts from there.
    fn is_news(&mut self, teller: Option<&SiloId>, view: u64) -> bool {
        let before = teller.and_then(|teller| self.told.insert(teller.clone(), view));
        view >= self.view || before.is_some_and(|before| before > view)
    }

    /// Takes a view that is news; `is_up`: whether there is a link to a silo. Answers who is gone.
    fn take(
        &mut self,
        view: u64,
        mut silos: BTreeMap<SiloId, SiloAddress>,
        is_up: impl Fn(&SiloId) -> bool,
    ) -> Vec<SiloId> {
        let has_fallen = view < self.view;
        self.view = view;
        self.unnamed.retain(|silo| !silos.contains_key(silo));
        let mut gone = Vec::new();
        for (silo, address) in std::mem::take(&mut self.silos) {
            if silos.contains_key(&silo) {
                continue;
            }
            if (has_fallen || self.unnamed.remove(&silo)) && is_up(&silo) {
                self.unnamed.insert(silo.clone());
                silos.insert(silo, address);
            } else {
                gone.push(silo);
            }
        }
        self.gone.extend(gone.iter().cloned());
        // The row of a silo that lives is written again when the store has lost it.
        self.gone.retain(|silo| !silos.contains_key(silo));
        self.told.retain(|silo, _| silos.contains_key(silo));
        self.silos = silos;
        gone
    }

    /// The link to a silo is lost. Answers whether it is gone by that.
    fn link_lost(&mut self, silo: &SiloId) -> bool {
        let is_gone = self.unnamed.remove(silo);
        if is_gone {
            self.silos.remove(silo);
            self.told.remove(silo);
            self.gone.insert(silo.clone());
        }
        is_gone
    }
}

struct Lookup {
    actor: ActorId,
    asked: SiloId,
    since: Moment,
}

impl Core {
    pub(super) fn new(clock: Clock, stop: oneshot::Sender<()>, seeds: Seeds) -> Arc<Self> {
        Arc::new(Self {
            seeds,
            clock,
            board: OnceLock::new(),
            events: OnceLock::new(),
            cluster: Mutex::default(),
            lookups: Mutex::default(),
            last_lookup: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
            stop: Mutex::new(Some(stop)),
        })
    }

    pub(super) fn complete(self: &Arc<Self>, board: Arc<Switchboard>, events: Arc<dyn LinkEvents>) {
        let core = Arc::downgrade(self);
        let clock = self.clock.clone();
        board.links().spawn(async move {
            // For how many sweeps no link was up.
            let mut lost = 0;
            loop {
                clock.sleep(SWEEP).await;
                let Some(core) = core.upgrade() else { return };
                core.board().sweep();
                let now = core.clock.now();
                core.look_up_elsewhere(|lookup| now.since(lookup.since) >= LOOKUP_PATIENCE);
                let is_lost = core.board().links().any_up(0).is_none();
                if !is_lost {
                    lost = 0;
                } else if lost < LOST_AFTER {
                    lost += 1;
                } else {
                    core.begin_again().await;
                }
            }
        });
        let set = self.board.set(board).is_ok() && self.events.set(events).is_ok();
        assert!(set, "invariant: a client is completed once");
    }

    /// No silo that the client knows is there: those that came after them may listen where the client began.
    async fn begin_again(self: &Arc<Self>) {
        let Seeds { transport, addresses } = &self.seeds;
        for address in addresses {
            let asked = self.clock.timeout(SEED_TIMEOUT, ask_view(&**transport, address));
            if let Some(Ok((view, silos))) = asked.await {
                tracing::info!(address, "the silos that were known are gone; others are there");
                // A cluster that lost its table counts from the begin.
                let mut cluster = self.cluster.lock();
                cluster.view = cluster.view.min(view);
                drop(cluster);
                return self.view_changed(None, view, silos);
            }
        }
    }

    pub(super) fn board(&self) -> &Arc<Switchboard> {
        self.board
            .get()
            .expect("invariant: the client is complete before it is used")
    }

    /// The silos as known.
    pub(super) fn silos(&self) -> Vec<SiloAddress> {
        self.cluster.lock().silos.values().cloned().collect()
    }

    /// A silo has said which silos there are; `None`: over no link.
    pub(super) fn view_changed(self: &Arc<Self>, teller: Option<&SiloId>, view: u64, silos: Vec<SiloAddress>) {
        let gone = {
            let mut cluster = self.cluster.lock();
            if !cluster.is_news(teller, view) {
                return;
            }
            let new: BTreeMap<_, _> = silos.into_iter().map(|silo| (silo.silo.clone(), silo)).collect();
            for (silo, address) in &new {
                self.board().links().keep(silo, &address.address);
            }
            cluster.take(view, new, |silo| self.board().links().is_up(silo))
        };
        self.are_gone(gone);
    }

    fn are_gone(self: &Arc<Self>, gone: Vec<SiloId>) {
        for silo in gone {
            tracing::info!(%silo, "a silo is gone");
            // What has not left goes elsewhere; what has may have run.
            for frame in self.board().links().forget(&silo) {
                self.board().unsent(&silo, frame, Unsent::Gone);
            }
            self.board().silo_died(&silo);
            // Its link was closed here, so nobody tells of its loss.
            self.look_up_elsewhere(|lookup| lookup.asked == silo);
        }
    }

    fn look_up(&self, actor: &ActorId) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let Some(asked) = self.board().links().any_up(turn) else {
            return self.later(actor);
        };
        let request = RequestId(self.last_lookup.fetch_add(1, Ordering::Relaxed) + 1);
        let lookup = Lookup {
            actor: actor.clone(),
            asked: asked.clone(),
            since: self.clock.now(),
        };
        self.lookups.lock().insert(request, lookup);
        let actor = actor.clone();
        self.board().links().send(&asked, Frame::Lookup { request, actor });
    }

    /// The lookup came to nothing now.
    fn later(&self, actor: &ActorId) {
        let (board, actor) = (Arc::downgrade(self.board()), actor.clone());
        self.board().links().spawn(async move {
            if let Some(board) = board.upgrade() {
                board.locate_again(&actor);
            }
        });
    }

    /// Asks others where actors are that will not be told of.
    fn look_up_elsewhere(&self, is_vain: impl Fn(&Lookup) -> bool) {
        let vain: Vec<Lookup> = {
            let mut lookups = self.lookups.lock();
            lookups
                .extract_if(.., |_, lookup| is_vain(lookup))
                .map(|(_, lookup)| lookup)
                .collect()
        };
        for lookup in vain {
            self.board().locate_again(&lookup.actor);
        }
    }

    fn located(&self, request: RequestId, found: Located) {
        let Some(lookup) = self.lookups.lock().remove(&request) else {
            return;
        };
        match found {
            Located::At(hint) => self.board().located(&lookup.actor, hint),
            Located::Nowhere(failure) => self.board().not_located(&lookup.actor, &failure),
            Located::NotNow(_) => self.board().locate_again(&lookup.actor),
        }
    }

    /// Ends the client.
    pub(super) fn close(&self) {
        let text = "the client was closed; the message did not run";
        self.board()
            .close(&Failure::new(FailureCode::ShuttingDown, Ran::No, text));
        self.board().links().close();
        self.board().end_asks("the client was closed");
        self.stop.lock().take();
    }
}

/// What the switchboard needs of the client; weak, as the client holds the switchboard.
pub(super) struct CoreUplink(pub(super) Weak<Core>);

impl Uplink for CoreUplink {
    fn deliver_here(&self, _: &ActorId, _: Letter, _: bool, _: Option<&Arc<Mailbox>>) -> Delivered {
        unreachable!("invariant: no way leads to a client")
    }

    fn fence_here(&self, _: &ActorId, _: u64) {
        unreachable!("invariant: no way leads to a client")
    }

    fn enter_here(&self, _: &ActorId, _: u64) {
        unreachable!("invariant: no way leads to a client")
    }

    fn locate(&self, actor: &ActorId, attempt: u32, _: bool) -> Option<Hint> {
        let core = self.0.upgrade()?;
        if attempt == 0 {
            core.look_up(actor);
            return None;
        }
        let (later, actor) = (self.0.clone(), actor.clone());
        let clock = core.clock.clone();
        core.board().links().spawn(async move {
            clock.sleep(crate::caller::back_off(attempt)).await;
            if let Some(core) = later.upgrade() {
                core.look_up(&actor);
            }
        });
        None
    }

    fn is_gone(&self, silo: &SiloId) -> bool {
        self.0
            .upgrade()
            .is_some_and(|core| core.cluster.lock().gone.contains(silo))
    }

    fn dead_letter(&self, actor: &ActorId, letter: Letter, why: &Failure) {
        tracing::warn!(%actor, message = letter.body.name(), %why, "a message of this client could not be delivered");
    }
}

impl Core {
    /// A frame over a link that this client has dialled.
    fn from_callee(self: &Arc<Self>, silo: &SiloId, frame: Frame) {
        let board = self.board();
        match frame {
            Frame::Reply { request, outcome } | Frame::Answer { request, outcome } => board.replied(request, outcome),
            Frame::Bounce { call, hint, why } => board.bounced(silo, call, hint, why),
            Frame::Fenced { actor, k, hint, lost } => board.fenced(silo, &actor, k, hint, lost),
            Frame::Handled { actor, k } => board.handled(silo, &actor, k),
            Frame::NotHere { actor, k } => board.not_here(silo, &actor, k),
            Frame::Moved { actor, hint } => board.moved(&actor, hint),
            Frame::Located { request, found } => self.located(request, found),
            Frame::View { view, silos } => self.view_changed(Some(silo), view, silos),
            Frame::Leaving => {
                board.leaving(silo);
                board.links().send(silo, Frame::LeavingAck);
            }
            Frame::Flushed => board.flushed(silo),
            Frame::Pong { .. } => {}
            frame => tracing::debug!(%silo, ?frame, "a frame that makes no sense here; ignored"),
        }
    }
}

/// What a client hears of its links; weak, as they hold it.
pub(super) struct CoreLinks(pub(super) Weak<Core>);

impl LinkEvents for CoreLinks {
    fn frames(&self, silo: &SiloId, frames: &mut dyn Iterator<Item = Arrived>) {
        if let Some(core) = self.0.upgrade() {
            frames.for_each(|arrived| match arrived {
                Arrived::Reply(request, reply) => core.board().replied(request, Outcome::Reply(reply)),
                Arrived::Frame(frame) => core.from_callee(silo, *frame),
            });
        }
    }

    fn link_renewed(&self, silo: &SiloId) {
        if let Some(core) = self.0.upgrade() {
            core.board().link_renewed(silo);
        }
    }

    fn link_lost(&self, silo: &SiloId) {
        let Some(core) = self.0.upgrade() else { return };
        core.board().link_lost(silo);
        core.look_up_elsewhere(|lookup| lookup.asked == *silo);
        let is_gone = core.cluster.lock().link_lost(silo);
        if is_gone {
            core.are_gone(vec![silo.clone()]);
        }
    }

    fn unsent(&self, silo: &SiloId, frame: Frame, why: Unsent) {
        let Some(core) = self.0.upgrade() else { return };
        match frame {
            Frame::Lookup { request, .. } => {
                if let Some(lookup) = core.lookups.lock().remove(&request) {
                    core.later(&lookup.actor);
                }
            }
            frame => core.board().unsent(silo, frame, why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seed 40021 of the simulator's `a_store_that_loses_its_last_writes_loses_nothing_else`: the views began again at a lower number, and
    /// a client believed none of them any more.
    #[test]
    fn views_that_fall_are_believed_where_they_fell() {
        let (a, b) = (SiloId::new("a", 1), SiloId::new("b", 1));
        let mut cluster = Cluster::default();
        let mut is_news = |teller, view| {
            let is_news = cluster.is_news(teller, view);
            if is_news {
                cluster.view = view;
            }
            is_news
        };
        assert!(is_news(Some(&a), 500));
        assert!(!is_news(Some(&b), 499), "it is behind");
        assert!(is_news(Some(&a), 101), "the store has lost writes");
        assert!(is_news(Some(&b), 102));
        assert!(!is_news(Some(&a), 101));
        assert!(!is_news(None, 101));
    }

    /// A store that has lost everything: the first silo to write its row again is alone in the first view.
    #[test]
    fn who_is_not_named_by_a_view_that_fell_is_gone_when_its_link_is_lost() {
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| SiloId::new(name, 1));
        let is_up = |silo: &SiloId| silo.name() != "d";
        let named = |silos: &[&SiloId]| -> BTreeMap<SiloId, SiloAddress> {
            let address = |silo: &SiloId| SiloAddress {
                silo: silo.clone(),
                address: String::new(),
                status: crate::store::SiloStatus::Active,
            };
            silos.iter().map(|silo| ((*silo).clone(), address(silo))).collect()
        };
        let mut cluster = Cluster::default();
        assert!(cluster.take(500, named(&[&a, &b, &c, &d]), is_up).is_empty());
        assert!(cluster.take(1, named(&[&a]), is_up) == [d.clone()]);
        assert!(cluster.take(2, named(&[&a, &b]), is_up).is_empty());
        assert_eq!(cluster.silos.len(), 3);
        assert!(!cluster.link_lost(&b), "it is dialled again");
        assert!(cluster.link_lost(&c));
        assert_eq!(cluster.take(3, named(&[&a]), is_up), [b], "as ever");
        assert_eq!(cluster.silos.len(), 1);
    }
}
