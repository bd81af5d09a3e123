//! The drain of a silo.

use crate::clock::Moment;
use std::time::Duration;

/// What a drain is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The others are told to place nothing here.
    Cordon,
    /// Actors move to other silos.
    Migrate,
    /// Those that cannot are deactivated.
    Deactivate,
    /// Everybody who talks to the silo finishes with it.
    Flush,
    /// Links are closed.
    Close,
    /// The row is removed.
    Leave,
    /// Over.
    Done,
    /// Over before the barrier: the silo stays.
    CalledOff,
}

impl Phase {
    /// The phase's name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cordon => "cordon",
            Self::Migrate => "migrate",
            Self::Deactivate => "deactivate",
            Self::Flush => "flush",
            Self::Close => "close",
            Self::Leave => "leave",
            Self::Done => "done",
            Self::CalledOff => "called off",
        }
    }
}

/// What a drain learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The silo is to leave.
    Begin,
    /// The others know.
    Published,
    /// How the silo stands. To be given every few milliseconds.
    Looked(Snapshot),
    /// The silo is to stay. Heard until the barrier; afterwards its peers count on its leaving.
    Uncordon,
    /// The links are closed.
    Closed,
    /// The row is removed.
    Left,
}

/// How a silo stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Actors that are here, in whatever phase.
    pub actors: usize,
    /// Of these, the ones that could move and are neither moving nor given up.
    pub to_move: usize,
    /// Moves that are wanted or under way.
    pub moving: usize,
    /// Actors that run and are not told to end.
    pub running: usize,
    /// Forwarding entries and open predecessors.
    pub passing_on: usize,
    /// Processes that have not acknowledged that the silo leaves.
    pub unacknowledged: usize,
}

/// What a drain wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Take no new actors, and publish that.
    Cordon,
    /// Move every actor that can move.
    Migrate,
    /// Give up the moves that have not begun.
    StopMigrating,
    /// Take new actors again, and publish that.
    Uncordon,
    /// Deactivate every actor that is settled.
    Deactivate,
    /// Stop what is left, without saving, and list it.
    Force,
    /// Say on every link that the silo leaves, and take no new links.
    SendLeaving,
    /// Say on every link that all has come to rest; `complete`: it has.
    SendFlushed {
        /// Whether the barrier held.
        complete: bool,
    },
    /// Close the links when everything is written.
    Close,
    /// Remove the row.
    Leave,
}

#[cfg(feature = "testkit")]
impl Command {
    /// What tests call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Cordon => "leave: cordon",
            Self::Migrate => "leave: migrate",
            Self::StopMigrating => "leave: stop migrating",
            Self::Uncordon => "leave: uncordon",
            Self::Deactivate => "leave: deactivate",
            Self::Force => "leave: force",
            Self::SendLeaving => "leave: send leaving",
            Self::SendFlushed { .. } => "leave: send flushed",
            Self::Close => "leave: close",
            Self::Leave => "leave: remove the row",
        }
    }
}

/// The drain of a silo.
#[derive(Clone, Debug)]
pub struct Drain {
    phase: Phase,
    begun: Moment,
    timeout: Duration,
    migrates: bool,
}

impl Drain {
    /// A drain of `timeout` at most. `migrates`: actors move to other silos.
    pub fn new(begun: Moment, timeout: Duration, migrates: bool) -> Self {
        Self {
            phase: Phase::Cordon,
            begun,
            timeout,
            migrates,
        }
    }

    /// What is being done.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// When the silo was told to leave.
    pub fn begun(&self) -> Moment {
        self.begun
    }

    /// When what is left is stopped by force.
    pub fn deadline(&self) -> Moment {
        self.begun + self.timeout
    }

    /// By when all actors should be on their way: early enough that those whose moves fail are tried again.
    pub fn all_moving_by(&self) -> Moment {
        self.begun + self.timeout * 4 / 10
    }

    /// Until when a phase may take: cordoning a tenth of the time, migrating seven tenths, deactivating nine.
    fn share(&self, phase: Phase) -> Moment {
        let tenths = match phase {
            Phase::Cordon => 1,
            Phase::Migrate => 7,
            Phase::Deactivate => 9,
            _ => 10,
        };
        self.begun + self.timeout * tenths / 10
    }

    /// Takes an event; answers what is to be done, in order.
    pub fn on(&mut self, now: Moment, event: Event) -> Vec<Command> {
        let late = now >= self.share(self.phase);
        match (self.phase, event) {
            (Phase::Cordon | Phase::Migrate | Phase::Deactivate, Event::Uncordon) => {
                self.phase = Phase::CalledOff;
                vec![Command::StopMigrating, Command::Uncordon]
            }
            (Phase::Cordon, Event::Begin) => vec![Command::Cordon],
            (Phase::Cordon, Event::Published) => self.cordoned(),
            (Phase::Cordon, Event::Looked(_)) if late => self.cordoned(),
            (Phase::Migrate, Event::Looked(_)) if late => {
                self.phase = Phase::Deactivate;
                vec![Command::StopMigrating, Command::Deactivate]
            }
            (Phase::Migrate, Event::Looked(look)) if look.to_move > 0 => vec![Command::Migrate],
            (Phase::Migrate, Event::Looked(look)) if look.moving == 0 => {
                self.phase = Phase::Deactivate;
                self.deactivating(look)
            }
            (Phase::Deactivate, Event::Looked(look)) if late && look.actors > 0 => {
                self.phase = Phase::Flush;
                vec![Command::Force, Command::SendLeaving]
            }
            (Phase::Deactivate, Event::Looked(look)) => self.deactivating(look),
            (Phase::Flush, Event::Looked(look)) => {
                let complete = look.unacknowledged == 0 && look.passing_on == 0;
                if complete || late {
                    self.phase = Phase::Close;
                    vec![Command::SendFlushed { complete }, Command::Close]
                } else {
                    Vec::new()
                }
            }
            (Phase::Close, Event::Closed) => {
                self.phase = Phase::Leave;
                vec![Command::Leave]
            }
            (Phase::Leave, Event::Left) => {
                self.phase = Phase::Done;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn cordoned(&mut self) -> Vec<Command> {
        if self.migrates {
            self.phase = Phase::Migrate;
            vec![Command::Migrate]
        } else {
            self.phase = Phase::Deactivate;
            vec![Command::Deactivate]
        }
    }

    fn deactivating(&mut self, look: Snapshot) -> Vec<Command> {
        if look.actors == 0 {
            self.phase = Phase::Flush;
            vec![Command::SendLeaving]
        } else if look.running > 0 {
            vec![Command::Deactivate]
        } else {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    fn drain() -> Drain {
        Drain::new(at(0), TIMEOUT, true)
    }

    fn look(change: impl FnOnce(&mut Snapshot)) -> Event {
        let mut look = Snapshot::default();
        change(&mut look);
        Event::Looked(look)
    }

    /// R7
    #[test]
    fn the_steps_come_in_the_order_of_the_contract() {
        let mut drain = drain();
        assert_eq!(drain.on(at(0), Event::Begin), [Command::Cordon]);
        assert_eq!(drain.on(at(0), Event::Published), [Command::Migrate]);
        let moving = |s: &mut Snapshot| (s.actors, s.moving) = (5, 5);
        assert_eq!(drain.on(at(1), look(moving)), []);
        let stuck = |s: &mut Snapshot| (s.actors, s.running) = (1, 1);
        assert_eq!(drain.on(at(2), look(stuck)), [Command::Deactivate]);
        assert_eq!(drain.on(at(3), look(|_| ())), [Command::SendLeaving]);
        let waits = |s: &mut Snapshot| s.unacknowledged = 1;
        assert_eq!(drain.on(at(3), look(waits)), []);
        let flushed = Command::SendFlushed { complete: true };
        assert_eq!(drain.on(at(4), look(|_| ())), [flushed, Command::Close]);
        assert_eq!(drain.on(at(4), Event::Closed), [Command::Leave]);
        assert_eq!(drain.on(at(4), Event::Left), []);
        assert_eq!(drain.phase(), Phase::Done);
    }

    /// R10
    #[test]
    fn a_drain_ends_whatever_hangs() {
        let mut drain = drain();
        drain.on(at(0), Event::Begin);
        let hangs = |s: &mut Snapshot| {
            *s = Snapshot {
                actors: 9,
                to_move: 0,
                moving: 4,
                running: 5,
                passing_on: 3,
                unacknowledged: 2,
            };
        };
        assert_eq!(drain.on(at(3), look(hangs)), [Command::Migrate]);
        assert_eq!(
            drain.on(at(21), look(hangs)),
            [Command::StopMigrating, Command::Deactivate]
        );
        assert_eq!(drain.on(at(27), look(hangs)), [Command::Force, Command::SendLeaving]);
        assert_eq!(drain.on(at(29), look(hangs)), []);
        let flushed = Command::SendFlushed { complete: false };
        assert_eq!(drain.on(at(30), look(hangs)), [flushed, Command::Close]);
    }

    /// R59
    #[test]
    fn actors_that_cannot_move_are_deactivated_before_the_silo_leaves() {
        let mut drain = drain();
        drain.on(at(0), Event::Begin);
        drain.on(at(0), Event::Published);
        let none_to_take_them = |s: &mut Snapshot| (s.actors, s.running) = (3, 3);
        assert_eq!(drain.on(at(1), look(none_to_take_them)), [Command::Deactivate]);
        let ending = |s: &mut Snapshot| s.actors = 3;
        assert_eq!(drain.on(at(2), look(ending)), []);
        assert_eq!(drain.phase(), Phase::Deactivate);
    }

    #[test]
    fn a_drain_can_be_called_off_until_the_barrier() {
        let called_off = [Command::StopMigrating, Command::Uncordon];
        for before in [Phase::Cordon, Phase::Migrate, Phase::Deactivate] {
            let mut drain = drain();
            drain.on(at(0), Event::Begin);
            if before > Phase::Cordon {
                drain.on(at(0), Event::Published);
            }
            if before > Phase::Migrate {
                drain.on(at(1), look(|s| (s.actors, s.running) = (3, 3)));
            }
            assert_eq!(drain.phase(), before);
            assert_eq!(drain.on(at(1), Event::Uncordon), called_off);
            assert_eq!(drain.phase(), Phase::CalledOff);
            assert_eq!(
                drain.on(at(29), look(|s| s.actors = 1)),
                [],
                "nothing is forced any more"
            );
        }
        let mut drain = drain();
        drain.on(at(0), Event::Begin);
        drain.on(at(0), Event::Published);
        assert_eq!(drain.on(at(1), look(|_| ())), [Command::SendLeaving]);
        assert_eq!(drain.on(at(1), Event::Uncordon), [], "the peers count on it");
        assert_eq!(drain.phase(), Phase::Flush);
    }

    #[test]
    fn without_live_migration_nothing_moves() {
        let mut drain = Drain::new(at(0), TIMEOUT, false);
        drain.on(at(0), Event::Begin);
        assert_eq!(drain.on(at(0), Event::Published), [Command::Deactivate]);
    }
}
