//! The silos that there should be and the program that each should run; what is missing is started, as an orchestrator does.

use super::World;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How often it is looked who is missing.
const LOOK: Duration = Duration::from_millis(250);

/// How long a silo may take to leave and come back before the next one's turn.
const PATIENCE: Duration = Duration::from_secs(90);

/// The silos that there should be. Cheap to clone; clones are the same fleet.
#[derive(Clone)]
pub struct Fleet(Arc<Inner>);

struct Inner {
    world: World,
    wanted: Mutex<BTreeMap<String, String>>,
}

impl Fleet {
    /// Starts silos of these names that run `program`, and sees to it that they are there.
    pub fn start(world: &World, silos: impl IntoIterator<Item = impl Into<String>>, program: &str) -> Self {
        let wanted: BTreeMap<String, String> = silos
            .into_iter()
            .map(|silo| (silo.into(), program.to_owned()))
            .collect();
        let fleet = Self(Arc::new(Inner {
            world: world.clone(),
            wanted: Mutex::new(wanted),
        }));
        fleet.mend();
        let keeper = fleet.clone();
        world.0.sim.spawn(async move {
            let world = &keeper.0.world;
            loop {
                world.sleep(LOOK + Duration::from_millis(world.below(3_000))).await;
                keeper.mend_one();
            }
        });
        fleet
    }

    /// How many silos there should be.
    pub fn len(&self) -> usize {
        self.0.wanted.lock().len()
    }

    /// Whether there should be none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of the silos that there should be.
    pub fn silos(&self) -> Vec<String> {
        self.0.wanted.lock().keys().cloned().collect()
    }

    /// How many are missing.
    pub fn missing(&self) -> usize {
        let there = self.0.world.silos();
        self.0.wanted.lock().keys().filter(|silo| !there.contains(silo)).count()
    }

    /// Starts one that is missing.
    fn mend_one(&self) {
        let there = self.0.world.silos();
        let missing = (self.0.wanted.lock().iter())
            .find(|(silo, _)| !there.contains(silo))
            .map(|(silo, program)| (silo.clone(), program.clone()));
        if let Some((silo, program)) = missing {
            self.0.world.start(&silo, &program);
        }
    }

    /// Starts all that are missing.
    pub fn mend(&self) {
        while self.missing() > 0 {
            self.mend_one();
        }
    }

    /// Another silo, from now on.
    pub fn add(&self, silo: &str, program: &str) {
        self.0.wanted.lock().insert(silo.to_owned(), program.to_owned());
    }

    /// A silo is not wanted any more; it leaves.
    pub fn remove(&self, silo: &str) {
        self.0.wanted.lock().remove(silo);
        self.0.world.leave(silo);
    }

    /// From now on a silo runs this program when it is started. Answers which it was to run before.
    pub fn wants(&self, silo: &str, program: &str) -> Option<String> {
        self.0.wanted.lock().insert(silo.to_owned(), program.to_owned())
    }

    /// Whether all silos are Active and know each other.
    pub fn is_whole(&self) -> bool {
        let silos = self.silos();
        let knows_all = |silo: &String| {
            let handle = self.0.world.silo(silo);
            handle.is_some_and(|handle| handle.view().active().count() == silos.len())
        };
        silos.iter().all(knows_all)
    }

    /// Waits until [`Fleet::is_whole`]; `false` if it is not within `limit`.
    pub async fn whole(&self, limit: Duration) -> bool {
        let end = self.0.world.now() + limit;
        while !self.is_whole() {
            if self.0.world.now() >= end {
                return false;
            }
            self.0.world.sleep(LOOK).await;
        }
        true
    }

    /// One silo after the other leaves, and comes back with `program`: a rolling upgrade, or back. Ends early if `goes_on` says so
    /// before one's turn.
    pub async fn roll(&self, program: &str, mut goes_on: impl FnMut() -> bool) {
        let world = &self.0.world;
        for silo in self.silos() {
            if !goes_on() {
                return;
            }
            self.wants(&silo, program);
            let end = world.now() + PATIENCE;
            while world.now() < end && !self.runs(&silo, program) {
                if world.program_of(&silo).as_deref() != Some(program) {
                    world.leave(&silo);
                }
                world.sleep(LOOK).await;
            }
        }
    }

    /// Whether a silo is Active with this program.
    fn runs(&self, silo: &str, program: &str) -> bool {
        self.0.world.program_of(silo).as_deref() == Some(program) && self.0.world.silo(silo).is_some()
    }
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.0.wanted.lock().iter()).finish()
    }
}
