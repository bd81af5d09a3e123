//! What an idle actor costs, all of it counted: what the allocator was asked for and did not get back.

use super::{Contender, Effort, Part, rounds};
use crate::{
    counting,
    peer::{self, Peer, Place, STARTED, TOUCHED},
    peers::{Actix, Channel, Kameo, Quark, Ractor, Xtra},
};
use report::{Goal, Row, Unit};

/// Bytes per actor: started, after one message more, and at the most.
fn bytes<P: Peer>(actors: u64) -> Vec<f64> {
    let run = move |world: P::World| async move {
        let per_actor = || counting::read().live_bytes as f64 / actors as f64;
        // What holds an actor is counted with it.
        let mut kept = Vec::new();
        counting::start_when_still().await;
        if !P::VIRTUAL {
            kept.reserve_exact(actors as usize);
        }
        STARTED.expect(actors);
        TOUCHED.expect(actors);
        let mut most: f64 = 0.0;
        for key in 0..actors {
            let idle = P::idle(&world, key).await;
            if P::VIRTUAL {
                P::touch(&idle).await;
            } else {
                kept.push(idle);
            }
            if key % 256 == 255 {
                most = most.max(per_actor());
                tokio::task::yield_now().await;
            }
        }
        STARTED.reached().await;
        if P::VIRTUAL {
            TOUCHED.reached().await;
        }
        most = most.max(per_actor());
        tokio::time::sleep(P::SETTLES_IN).await;
        let before = per_actor();
        TOUCHED.expect(actors);
        for key in 0..actors {
            if P::VIRTUAL {
                P::touch(&P::idle(&world, key).await).await;
            } else {
                P::touch(&kept[key as usize]).await;
            }
            if key % 256 == 255 {
                tokio::task::yield_now().await;
            }
        }
        TOUCHED.reached().await;
        tokio::time::sleep(P::SETTLES_IN).await;
        let after = per_actor();
        counting::stop();
        vec![before, after, most]
    };
    P::afresh(Place::Main, peer::job(run))
}

/// Counts do not vary: one round.
pub(super) fn memory(effort: Effort) -> Vec<Row> {
    let (own, large, small) = match effort {
        Effort { full: true, .. } => (1_000_000, 200_000, 20_000),
        Effort { quick: true, .. } => (10_000, 10_000, 5_000),
        _ => (200_000, 200_000, 20_000),
    };
    let goal = Goal::ShareOfBest {
        at_least: 0.35,
        aim: 0.2,
    };
    let title = format!("idle actor, one of {} k", own / 1000);
    let parts = vec![
        Part::new("idle", title, Unit::BytesPerActor, goal),
        Part::new(
            "after_message",
            "  the same, after a message",
            Unit::BytesPerActor,
            goal,
        ),
        Part::new("peak", "  the most while they start", Unit::BytesPerActor, Goal::None),
    ];
    let contenders = vec![
        Contender::product(Quark::NAME, move || bytes::<Quark>(own)),
        Contender::product(Actix::NAME, move || bytes::<Actix>(large)),
        Contender::product(Kameo::NAME, move || bytes::<Kameo>(small)),
        Contender::product(Ractor::NAME, move || bytes::<Ractor>(small)),
        Contender::product(Xtra::NAME, move || bytes::<Xtra>(large)),
        Contender::beside(Channel::NAME, move || bytes::<Channel>(large)),
    ];
    rounds("memory", parts, 1, contenders)
}
