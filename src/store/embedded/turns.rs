//! Whose turn it is to write: the line in which the writers of a file stand, whichever processes they are of.
//!
//! SQLite has no line. Who waits for its write lock looks at it now and then, and who commits without pause has taken it again
//! before anybody looks: others starved for seconds. So whoever wants the lock takes a ticket first, and the lock when its ticket is
//! up; who comes back stands at the end.
//!
//! The line keeps nobody apart, SQLite's lock does. So whatever becomes of the line (a process dies in it, or is stopped; the numbers
//! are lost with the machine) costs some milliseconds and nothing else: a turn that is not taken while the lock is free is passed
//! over.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
    thread,
    time::Duration,
};

/// Where the number of the next ticket is in the file, and where that of the ticket that is up.
const NEXT: u64 = 0;
const UP: u64 = 8;

/// How often a ticket is tried for while others have the file, and how long between: they have it for microseconds, unless stopped.
const ATTEMPTS: u32 = 100;
const ATTEMPT_PAUSE: Duration = Duration::from_micros(50);

/// The shortest and the longest time between two looks: each place in the line adds the shortest, and a turn that takes long makes
/// them fewer.
const SHORTEST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// How long who is up may leave a free lock.
const IDLE: Duration = Duration::from_millis(20);

/// The line of one file's writers.
#[derive(Debug)]
pub(super) struct Turns {
    file: File,
}

/// A place in the line.
#[derive(Debug)]
pub(super) struct Place {
    /// `None`: the line could not be had, and the lock is taken as it comes.
    ticket: Option<u64>,
    /// The ticket that was up when it was looked at last, and for how long it has been.
    up: u64,
    since: Duration,
    /// It was so when the lock was found free.
    was_free: bool,
    /// The ticket that was up at first.
    #[cfg(test)]
    first: u64,
}

/// What who stands in the line does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Take the lock if it is free.
    Take,
    /// See whether the lock is free, and say so: [`Turns::found`].
    Probe,
    /// Look again after so long.
    Wait(Duration),
}

impl Turns {
    /// The line of the database at `path`: a file beside it, made if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push("-turns");
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        Ok(Self {
            file: file.open(path.with_file_name(name))?,
        })
    }

    /// Stands at the end of the line.
    pub(super) fn stand(&self) -> Place {
        let ticket = self.locked(|| {
            let next = self.read(NEXT).max(self.read(UP));
            self.write(NEXT, next.wrapping_add(1)).ok().map(|()| next)
        });
        let up = self.read(UP);
        Place {
            ticket: ticket.flatten(),
            up,
            since: Duration::ZERO,
            was_free: false,
            #[cfg(test)]
            first: up,
        }
    }

    /// What to do now, `waited` after the last time.
    pub(super) fn look(&self, place: &mut Place, waited: Duration) -> Next {
        let Some(ticket) = place.ticket else {
            return Next::Take;
        };
        let up = self.read(UP);
        if up >= ticket {
            return Next::Take;
        }
        if up == place.up {
            place.since += waited;
        } else {
            (place.up, place.since, place.was_free) = (up, Duration::ZERO, false);
        }
        if place.since >= IDLE {
            place.since = Duration::ZERO;
            return Next::Probe;
        }
        Next::Wait(self.pause(place))
    }

    /// How long to wait before the next look.
    pub(super) fn pause(&self, place: &Place) -> Duration {
        let Some(ticket) = place.ticket else {
            return LONGEST_PAUSE;
        };
        let ahead = u32::try_from(ticket.saturating_sub(place.up)).unwrap_or(u32::MAX);
        let shortest = SHORTEST_PAUSE.saturating_mul(ahead.max(1));
        shortest.max(place.since / 4).min(LONGEST_PAUSE)
    }

    /// Says whether the lock was free when it was probed. True: it has been left for long enough, and is this one's now.
    pub(super) fn found(&self, place: &mut Place, is_free: bool) -> bool {
        let was_free = std::mem::replace(&mut place.was_free, is_free);
        was_free && is_free
    }

    /// Leaves the line, after its turn or without one.
    pub(super) fn leave(&self, place: &Place) {
        let Some(ticket) = place.ticket else { return };
        self.locked(|| {
            // Those behind who passed others over have gone by already.
            if self.read(UP) <= ticket {
                let _passed_over_then = self.write(UP, ticket.wrapping_add(1));
            }
        });
    }

    /// How many others have had their turn while this one stood in the line.
    #[cfg(test)]
    pub(super) fn others(&self, place: &Place) -> u64 {
        self.read(UP).saturating_sub(place.first)
    }

    /// Does `work` while nobody else changes the numbers; `None` if they cannot be had.
    fn locked<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        for _ in 0..ATTEMPTS {
            if self.file.try_lock().is_ok() {
                let done = work();
                // One that cannot be unlocked is when its process ends.
                let _locked = self.file.unlock();
                return Some(done);
            }
            thread::sleep(ATTEMPT_PAUSE);
        }
        None
    }

    fn read(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        // What is not there is where a new file begins.
        match self.file.read_exact_at(&mut bytes, at) {
            Ok(()) => u64::from_le_bytes(bytes),
            Err(_) => 0,
        }
    }

    fn write(&self, at: u64, number: u64) -> io::Result<()> {
        self.file.write_all_at(&number.to_le_bytes(), at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> (tempfile::TempDir, Turns) {
        let folder = tempfile::tempdir().unwrap();
        let turns = Turns::open(&folder.path().join("cluster.db")).unwrap();
        (folder, turns)
    }

    fn is_up(turns: &Turns, place: &mut Place) -> bool {
        turns.look(place, Duration::ZERO) == Next::Take
    }

    #[test]
    fn who_comes_back_stands_behind_those_who_wait() {
        let (_folder, turns) = line();
        let (mut a, mut b, mut c) = (turns.stand(), turns.stand(), turns.stand());
        let up = |a: &mut Place, b: &mut Place, c: &mut Place| [a, b, c].map(|place| is_up(&turns, place));
        assert_eq!(up(&mut a, &mut b, &mut c), [true, false, false]);
        turns.leave(&a);
        a = turns.stand();
        assert_eq!(up(&mut a, &mut b, &mut c), [false, true, false]);
        turns.leave(&b);
        assert_eq!(up(&mut a, &mut b, &mut c), [false, true, true]);
        turns.leave(&c);
        assert_eq!(up(&mut a, &mut b, &mut c), [true, true, true]);
        assert_eq!(turns.others(&a), 2);
    }

    #[test]
    fn a_turn_that_is_not_taken_is_passed_over_when_the_lock_was_free_for_long() {
        let (_folder, turns) = line();
        let _dead = turns.stand();
        let (mut b, mut c) = (turns.stand(), turns.stand());
        assert_eq!(turns.look(&mut b, Duration::ZERO), Next::Wait(SHORTEST_PAUSE));
        assert_eq!(turns.look(&mut c, Duration::ZERO), Next::Wait(2 * SHORTEST_PAUSE));
        // A turn that takes long is none that is not taken.
        for is_free in [false, false, true, false, true] {
            assert_eq!(turns.look(&mut b, IDLE), Next::Probe);
            assert!(!turns.found(&mut b, is_free));
        }
        assert_eq!(turns.look(&mut b, IDLE), Next::Probe);
        assert!(turns.found(&mut b, true));
        turns.leave(&b);
        assert!(is_up(&turns, &mut c), "the line goes on behind it");
    }

    #[test]
    fn a_line_whose_numbers_are_lost_goes_on() {
        let (_folder, turns) = line();
        turns.write(UP, 7).unwrap();
        let mut place = turns.stand();
        assert!(is_up(&turns, &mut place));
        turns.leave(&place);
        assert!(is_up(&turns, &mut turns.stand()));
    }

    #[test]
    fn who_cannot_have_a_ticket_takes_the_lock_as_it_comes() {
        let (folder, turns) = line();
        let _stopped = {
            let file = File::open(folder.path().join("cluster.db-turns")).unwrap();
            file.lock().unwrap();
            file
        };
        let mut place = turns.stand();
        assert!(is_up(&turns, &mut place));
        turns.leave(&place);
    }
}
