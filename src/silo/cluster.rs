//! What a silo does when the cluster changes, in the order in which it learns of it, on the thread that reads its links:
//! links of a dead silo are closed unread before anything is concluded from its death.

use super::{Node, accepted::AcceptedLink};
use crate::{
    actor::Audience,
    caller::{FRAMES_A_TURN, Unsent},
    ident::{ProcessId, SiloId},
    membership::View,
    transport::{Connection, FrameReceiver},
    wire::{Frame, SiloAddress},
};
use std::sync::{Arc, Weak, atomic::Ordering};
use tokio::sync::mpsc;

/// A change of the cluster.
#[derive(Debug)]
pub(super) enum ClusterChange {
    /// There is a new view.
    View(View),
    /// A silo is gone, and why.
    Gone(SiloId, &'static str),
}

/// Carries changes out in order, until the node ends.
pub(super) async fn carry_out(node: Weak<Node>, mut changes: mpsc::UnboundedReceiver<ClusterChange>) {
    while let Some(change) = changes.recv().await {
        let Some(node) = node.upgrade() else { return };
        match change {
            ClusterChange::View(view) => node.view_changed(view),
            ClusterChange::Gone(silo, why) => node.silo_gone(&silo, why),
        }
    }
}

impl Node {
    pub(super) fn change(&self, change: ClusterChange) {
        // After the end of the silo nobody listens, and nothing depends on it.
        let _ended = self.changes.send(change);
    }

    fn view_changed(self: &Arc<Self>, view: View) {
        self.placement.write().view_changed(view.rows());
        self.balancing.unsettle(self.clock.now());
        *self.view.write() = view.clone();
        self.follow_audience(&view);
        for row in view.living() {
            if row.silo != self.me {
                self.board().links().keep(&row.silo, &row.address);
            }
        }
        for link in self.accepted.all() {
            if matches!(link.process, ProcessId::Client(_)) {
                self.accepted.send(link.link, self.view_frame());
            }
        }
        self.views.send_replace(view);
    }

    /// Follows which kinds the Active silos declare for which namespaces of streams.
    fn follow_audience(&self, view: &View) {
        let mut audience = Audience::new();
        for (namespace, kinds) in view.active().flat_map(|row| &row.manifest.streams) {
            let all = audience.entry(namespace.clone()).or_default();
            all.extend(kinds.iter().cloned());
            all.sort_unstable();
            all.dedup();
        }
        let mut known = self.audience.write();
        if **known != audience {
            *known = Arc::new(audience);
        }
    }

    /// The view as clients see it.
    pub(super) fn view_frame(&self) -> Frame {
        let view = self.view.read();
        let address = |row: &crate::store::MemberRow| SiloAddress {
            silo: row.silo.clone(),
            address: row.address.clone(),
            status: row.status,
        };
        Frame::View {
            view: view.number(),
            silos: view.living().map(address).collect(),
        }
    }

    fn silo_gone(self: &Arc<Self>, silo: &SiloId, why: &str) {
        tracing::info!(%silo, why, "a silo is gone");
        let unsent = self.board().links().forget(silo);
        if let Some(link) = self.accepted.cut(&ProcessId::Silo(silo.clone())) {
            self.caller_lost(link);
        }
        self.leaving_peers.lock().remove(silo);
        self.parcels.forget(silo);
        self.at_busy(|seat| seat.concerns(silo), |seat| seat.silo_died(silo));
        // What has not left goes elsewhere; what has may have run.
        for frame in unsent {
            self.board().unsent(silo, frame, Unsent::Gone);
        }
        self.board().silo_died(silo);
    }

    /// Takes the frames of a link that are there already.
    fn at_hand(self: &Arc<Self>, link: &AcceptedLink, receiver: &mut FrameReceiver, room: &mut usize) {
        while *room > 0 && !link.cut.load(Ordering::Acquire) && link.sender.is_writable() {
            if let Some(call) = receiver.call_at_hand() {
                self.plainly_called(link, call);
            } else if let Some(frame) = receiver.next_at_hand() {
                self.from_caller(link, frame);
            } else {
                return;
            }
            *room -= 1;
        }
    }

    /// A process has dialled this silo and shaken hands.
    pub(super) fn link_accepted(self: &Arc<Self>, connection: Connection) {
        let Connection {
            peer,
            sender,
            mut receiver,
            driver,
        } = connection;
        if peer.process.silo().is_some_and(|silo| self.is_gone(silo)) {
            tracing::info!(process = %peer.process, "a silo that is gone has dialled; refused");
            return sender.abort();
        }
        let Some(taken) = self.accepted.add(peer.process.clone(), peer.number, sender.clone()) else {
            return sender.abort();
        };
        let link = taken.link;
        if let Some(old) = taken.replaced {
            self.caller_lost(old);
        }
        match &link.process {
            ProcessId::Silo(silo) => {
                self.at_busy(|seat| seat.concerns(silo), |seat| seat.predecessor_link_renewed(silo));
            }
            ProcessId::Client(_) => self.accepted.send(link.link, self.view_frame()),
        }
        self.spawn(driver);
        let node = self.clone();
        self.spawn(async move {
            let mut room = FRAMES_A_TURN;
            loop {
                if room == 0 {
                    tokio::task::yield_now().await;
                    room = FRAMES_A_TURN;
                }
                // Who does not take its answers is not heard until it does: its credit is the link's high-water mark.
                if !link.sender.is_writable() && link.sender.writable().await.is_err() {
                    break;
                }
                match receiver.recv().await {
                    Ok(Some(_)) if link.cut.load(Ordering::Acquire) => break,
                    Ok(Some(frame)) => {
                        node.from_caller(&link, frame);
                        room -= 1;
                        node.at_hand(&link, &mut receiver, &mut room);
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::debug!(process = %link.process, %error, "a link ended");
                        break;
                    }
                }
            }
            link.sender.abort();
            node.caller_lost(link.link);
        });
    }
}
