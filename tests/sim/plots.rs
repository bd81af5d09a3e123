//! Situations that a story brings about on purpose, one after the other: what few seeds come to by chance.

use crate::{
    account::v1::Account,
    history,
    load::{self, Load},
};
use quark::{
    ident::ActorId,
    testkit::{Fleet, World},
};
use std::time::Duration;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A situation that is brought about as long as things go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plot {
    /// A silo is alone, and its own programs read on; the store's answers to its last heartbeats come late. Its peers declare it dead
    /// and take its actors.
    Alone,
    /// What a silo asks of the store is held up, while actors move to it and from it or it leaves, and then all of it is done; or what
    /// it is answered is, while others go and come.
    HeldUp,
}

impl Plot {
    /// Brings it about again and again until `end`.
    pub(crate) async fn happen(self, world: &World, fleet: &Fleet, load: &Load, end: Duration) {
        while world.now() < end {
            world.sleep(millis(500 + world.below(1_500))).await;
            let silos = fleet.silos();
            let one = &silos[usize::try_from(world.below(silos.len() as u64)).unwrap_or(0)];
            if world.silo(one).is_none() {
                continue;
            }
            match self {
                Self::Alone => alone(world, one, load).await,
                Self::HeldUp => match world.below(3) {
                    0 => held_up_in_moves(world, one, &load.accounts).await,
                    1 => held_up_and_leaves(world, one).await,
                    _ => hears_late(world, &silos, one).await,
                },
            }
            // Whoever was declared dead comes back.
            fleet.whole(Duration::from_secs(20)).await;
        }
    }
}

async fn alone(world: &World, one: &str, load: &Load) {
    // A turn that waits for the store would let nobody read.
    load.is_quiet.set(true);
    world.sleep(millis(700)).await;
    // The last heartbeat is written at the end of this, and answered when the lease by its sending is nearly over.
    world.hold_answers(one, millis(3_300));
    world.sleep(millis(600)).await;
    for other in world.processes().iter().filter(|other| *other != one) {
        world.part(one, other);
        world.part(other, one);
    }
    world.part(one, "store");
    load.is_quiet.set(false);
    let until = world.now() + millis(9_000);
    let mut n = 0;
    while world.now() < until {
        world.sleep(millis(150)).await;
        for key in &load.accounts {
            n += 1;
            let (key, sender) = (key.clone(), format!("{one}'s at {:?}", world.now()));
            world.on(one, |handle| async move {
                load::read(handle.actor::<Account>(&key), sender, n).await;
            });
        }
    }
    world.heal();
}

async fn held_up_in_moves(world: &World, one: &str, accounts: &[String]) {
    // Longer than a source of a move has patience; or longer than a silo without heartbeats is not dead.
    let time = millis(3_500 + world.below(9_000));
    world.hold_requests(one, time);
    let until = world.now() + time;
    for _ in 0..10 {
        world.sleep(millis(100)).await;
        let key = accounts[usize::try_from(world.below(accounts.len() as u64)).unwrap_or(0)].clone();
        let to = world.silo(one).map(|handle| handle.id().clone());
        for silo in world.silos() {
            let (key, to) = (key.clone(), to.clone().filter(|_| silo != one));
            world.on(&silo, |handle| async move {
                let actor = ActorId::new("account", key.as_str()).expect("a key");
                // It may be elsewhere, or have nowhere to go.
                let _moved = handle.migrate(&actor, to.as_ref()).await;
            });
        }
    }
    world.sleep((until + millis(1_000)).saturating_sub(world.now())).await;
}

async fn held_up_and_leaves(world: &World, one: &str) {
    let time = millis(9_000 + world.below(3_500));
    world.hold_requests(one, time);
    world.leave(one);
    world.sleep(time + millis(1_000)).await;
}

async fn hears_late(world: &World, silos: &[String], one: &str) {
    let time = millis(3_000 + world.below(3_000));
    world.hold_answers(one, time);
    let until = world.now() + time;
    for other in silos.iter().filter(|other| *other != one) {
        world.sleep(millis(world.below(2_000))).await;
        world.leave(other);
    }
    world.sleep((until + millis(1_000)).saturating_sub(world.now())).await;
}

/// The views of all silos, looked at again and again: none goes back.
pub(crate) async fn watch_views(world: &World, end: impl Fn() -> bool) {
    while !end() {
        world.sleep(millis(25)).await;
        for silo in world.silos() {
            let Some(handle) = world.silo(&silo) else { continue };
            history::seen(handle.id(), handle.view().number(), world.now());
        }
    }
}
