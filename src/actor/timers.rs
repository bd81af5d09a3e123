//! The timers of one activation: messages of the actor to itself that are due later.

use super::{Message, panic_text};
use crate::{
    clock::Moment,
    mailbox::{Body, Chain, Letter, ReplyTo, TypedMessage},
    wire::{EncodeError, PackedTimer},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

/// The shortest time between two ticks of an interval.
pub(super) const SHORTEST: Duration = Duration::from_millis(1);

/// A message that can be sent again and again.
trait Repeat: Send {
    fn name(&self) -> &'static str;
    fn encode(&self) -> Result<Bytes, EncodeError>;
    fn again(&self) -> Box<dyn TypedMessage>;
}

impl<M: Message + Clone> Repeat for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn encode(&self) -> Result<Bytes, EncodeError> {
        crate::wire::encode(self)
    }

    fn again(&self) -> Box<dyn TypedMessage> {
        Box::new(self.clone())
    }
}

/// What a timer sends.
enum Sends {
    Typed(Box<dyn Repeat>),
    /// As it came with a move.
    Encoded {
        name: Arc<str>,
        bytes: Bytes,
    },
}

struct Timer {
    /// Names its ticks: those of a timer that was replaced are not its own.
    number: u64,
    /// Of a tick that is queued: when that was due.
    due: Moment,
    every: Option<Duration>,
    sends: Sends,
}

/// The timers of one activation. Every operation is O(log n).
///
/// A timer has one tick at a time: from the moment it is due until the tick runs, no other is made.
#[derive(Default)]
pub struct Timers {
    by_name: BTreeMap<Arc<str>, Timer>,
    /// Those without a tick in the mailbox.
    by_due: BTreeSet<(Moment, Arc<str>)>,
    /// Ticks in the mailbox.
    queued: BTreeMap<u64, Arc<str>>,
    last: u64,
}

impl Timers {
    pub(super) fn set<M: Message + Clone>(
        &mut self,
        name: &str,
        due: Moment,
        every: Option<Duration>,
        message: M,
    ) -> bool {
        self.insert(name.into(), due, every, Sends::Typed(Box::new(message)))
    }

    /// Answers whether it replaced one.
    fn insert(&mut self, name: Arc<str>, due: Moment, every: Option<Duration>, sends: Sends) -> bool {
        let replaced = self.cancel(&name);
        self.last += 1;
        let timer = Timer {
            number: self.last,
            due,
            every,
            sends,
        };
        self.by_due.insert((due, name.clone()));
        self.by_name.insert(name, timer);
        replaced
    }

    /// Ends a timer; a tick that is queued does not run. Answers whether it was set.
    pub(super) fn cancel(&mut self, name: &str) -> bool {
        let Some((name, timer)) = self.by_name.remove_entry(name) else {
            return false;
        };
        self.queued.remove(&timer.number);
        self.by_due.remove(&(timer.due, name));
        true
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// When the first tick is to be made.
    pub fn next(&self) -> Option<Moment> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// When the first tick after `now` is to be made.
    pub fn next_after(&self, now: Moment) -> Option<Moment> {
        let later = (
            Bound::Included((now + Duration::from_nanos(1), "".into())),
            Bound::Unbounded,
        );
        self.by_due.range(later).next().map(|(due, _)| *due)
    }

    /// Makes the ticks that are due, the oldest first, until `send` does not take one: that is made again later. `send` is told
    /// whether no other tick is in the mailbox.
    pub fn send_due(&mut self, now: Moment, mut send: impl FnMut(Letter, bool) -> bool) {
        while let Some((due, name)) = self.by_due.pop_first() {
            let Some(timer) = self.by_name.get(&name).filter(|_| due <= now) else {
                self.by_due.insert((due, name));
                return;
            };
            // The user's code clones the message.
            match catch_unwind(AssertUnwindSafe(|| timer.tick())) {
                Ok(tick) => {
                    if !send(tick, self.queued.is_empty()) {
                        self.by_due.insert((due, name));
                        return;
                    }
                    self.queued.insert(timer.number, name);
                }
                Err(panic) => {
                    let panic = panic_text(&*panic);
                    tracing::error!(
                        timer = &*name,
                        panic,
                        "the message of a timer cannot be cloned; the timer is ended"
                    );
                    self.by_name.remove(&name);
                }
            }
        }
    }

    /// A tick is about to run. Answers whether it is to: its timer may have been ended or replaced meanwhile.
    pub fn begins(&mut self, number: u64, now: Moment) -> bool {
        let Some(name) = self.queued.remove(&number) else {
            return false;
        };
        let Some(timer) = self.by_name.get_mut(&name) else {
            return false;
        };
        match timer.every {
            None => {
                self.by_name.remove(&name);
            }
            Some(every) => {
                timer.due = next_due(timer.due, every, now);
                self.by_due.insert((timer.due, name));
            }
        }
        true
    }

    /// The timers as they travel. A tick that is queued is made again where they arrive.
    ///
    /// # Errors
    /// If a message cannot be serialized.
    pub fn pack(&self, now: Moment) -> Result<Vec<PackedTimer>, EncodeError> {
        let pack = |(name, timer): (&Arc<str>, &Timer)| {
            let (message, body) = match &timer.sends {
                Sends::Typed(message) => (message.name().to_owned(), message.encode()?),
                Sends::Encoded { name, bytes } => ((**name).to_owned(), bytes.clone()),
            };
            Ok(PackedTimer {
                name: (**name).to_owned(),
                left_micros: micros(timer.due.since(now)) - micros(now.since(timer.due)),
                every_micros: timer.every.map(|every| micros(every).unsigned_abs()),
                message,
                body,
            })
        };
        self.by_name.iter().map(pack).collect()
    }

    /// Timers that have arrived; `None` for none.
    pub fn arrived(packed: Vec<PackedTimer>, now: Moment) -> Option<Box<Self>> {
        if packed.is_empty() {
            return None;
        }
        let mut timers = Box::<Self>::default();
        for timer in packed {
            let every = timer
                .every_micros
                .map(|every| Duration::from_micros(every).max(SHORTEST));
            let due = match u64::try_from(timer.left_micros) {
                Ok(left) => now + Duration::from_micros(left),
                Err(_) => Moment(
                    now.0
                        .saturating_sub(timer.left_micros.unsigned_abs().saturating_mul(1000)),
                ),
            };
            let sends = Sends::Encoded {
                name: timer.message.into(),
                bytes: timer.body,
            };
            timers.insert(timer.name.into(), due, every, sends);
        }
        Some(timers)
    }
}

impl Timer {
    fn tick(&self) -> Letter {
        Letter {
            body: match &self.sends {
                Sends::Typed(message) => Body::Typed(message.again()),
                Sends::Encoded { name, bytes } => Body::Encoded {
                    name: name.clone(),
                    bytes: bytes.clone(),
                },
            },
            reply: ReplyTo::Timer(self.number),
            deadline: None,
            chain: Chain::NONE,
        }
    }
}

/// The first moment after `now` that is a multiple of `every` after `due`: what was missed is left out.
fn next_due(due: Moment, every: Duration, now: Moment) -> Moment {
    let every = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX).max(1);
    let missed = now.0.saturating_sub(due.0) / every;
    Moment(due.0.saturating_add(every.saturating_mul(missed + 1)))
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.by_name.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Serialize, Deserialize)]
    struct Tick(u32);

    impl Message for Tick {
        type Reply = ();
        const NAME: &'static str = "tick";
    }

    const fn at(seconds: u64) -> Moment {
        Moment(seconds * 1_000_000_000)
    }

    fn sent(timers: &mut Timers, now: Moment) -> Vec<u64> {
        let mut numbers = Vec::new();
        timers.send_due(now, |letter, _| {
            let ReplyTo::Timer(number) = letter.reply else {
                unreachable!("a tick")
            };
            numbers.push(number);
            true
        });
        numbers
    }

    /// R122, R123
    #[test]
    fn an_interval_keeps_to_its_grid_and_leaves_out_what_it_missed() {
        let mut timers = Timers::default();
        timers.set("i", at(10), Some(Duration::from_secs(10)), Tick(0));
        assert!(sent(&mut timers, at(9)).is_empty());
        let ticks = sent(&mut timers, at(12));
        assert_eq!(ticks.len(), 1);
        assert!(sent(&mut timers, at(25)).is_empty(), "one at a time");
        assert!(timers.begins(ticks[0], at(47)));
        assert_eq!(timers.next(), Some(at(50)));
    }

    /// R123
    #[test]
    fn a_name_is_of_one_timer_and_a_tick_of_an_ended_one_does_not_run() {
        let mut timers = Timers::default();
        assert!(!timers.set("t", at(1), None, Tick(0)));
        let old = sent(&mut timers, at(1));
        assert!(timers.set("t", at(2), None, Tick(1)), "replaced");
        assert!(!timers.begins(old[0], at(1)));
        let new = sent(&mut timers, at(2));
        assert!(timers.cancel("t") && !timers.cancel("t"));
        assert!(!timers.begins(new[0], at(2)));
        assert!(timers.is_empty() && timers.next().is_none());
    }

    #[test]
    fn a_tick_that_is_not_taken_is_made_again() {
        let mut timers = Timers::default();
        timers.set("t", at(1), None, Tick(0));
        timers.send_due(at(1), |_, is_first| !is_first);
        assert_eq!((timers.next(), timers.next_after(at(1))), (Some(at(1)), None));
        assert_eq!(sent(&mut timers, at(2)).len(), 1);
    }

    /// A source's clock says nothing at the target: what is left travels, less than nothing for what is overdue.
    #[test]
    fn timers_travel_with_what_is_left_of_them() {
        let mut timers = Timers::default();
        timers.set("once", at(30), None, Tick(7));
        timers.set("every", at(10), Some(Duration::from_secs(10)), Tick(8));
        assert_eq!(sent(&mut timers, at(12)).len(), 1, "queued when it is packed");
        let packed = timers.pack(at(13)).expect("can be serialized");
        let left: Vec<_> = packed.iter().map(|timer| (&*timer.name, timer.left_micros)).collect();
        assert_eq!(left, [("every", -3_000_000), ("once", 17_000_000)]);
        let mut arrived = Timers::arrived(packed, at(1000)).expect("some");
        let ticks = sent(&mut arrived, at(1000));
        assert!(arrived.begins(ticks[0], at(1000)));
        assert_eq!(arrived.next(), Some(at(1007)), "on the grid that it had");
        assert!(arrived.cancel("every"));
        assert_eq!(arrived.next(), Some(at(1017)));
        assert!(Timers::arrived(Vec::new(), at(0)).is_none());
    }
}
