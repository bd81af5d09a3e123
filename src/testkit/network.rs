//! The network of the simulation: who listens where, what is on its way between whom, and what is wrong with it.

use super::{
    host::Host,
    pipe::{Pipe, ReadEnd, WriteEnd},
};
use crate::{
    chance::Dice,
    clock::{Clock, Sleep, WorldTime},
    transport::{Carried, Carrier, TransportError},
};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::mpsc;

/// How long it takes until the system finds that a peer has vanished: what `transport/tcp.rs` asks of it.
const FOUND_SILENT: Duration = Duration::from_secs(60);

/// How a network does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkOptions {
    /// How long bytes are on their way, at the least.
    pub latency: Duration,
    /// By how much longer they may be.
    pub jitter: Duration,
    /// Of 1000 writes so many are lost on their way and sent again by TCP; all behind them wait.
    pub lost_permille: u64,
    /// How long it takes until what was lost is there.
    pub sent_again_after: Duration,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            latency: Duration::from_micros(200),
            jitter: Duration::from_micros(300),
            lost_permille: 0,
            sent_again_after: Duration::from_millis(200),
        }
    }
}

/// The network. Clones are the same one.
#[derive(Clone)]
pub(super) struct Network(Arc<Inner>);

struct Inner {
    time: WorldTime,
    clock: Clock,
    dice: Dice,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    options: NetworkOptions,
    listeners: BTreeMap<String, (Arc<Host>, mpsc::UnboundedSender<Carried>)>,
    pipes: Vec<Weak<Pipe>>,
    /// From whom to whom nothing goes, by the names of the processes.
    parted: BTreeSet<(Arc<str>, Arc<str>)>,
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Network {
    /// A network that works. `clock`: the one that is right.
    pub(super) fn new(time: &WorldTime, clock: &Clock, dice: Dice) -> Self {
        Self(Arc::new(Inner {
            time: time.clone(),
            clock: clock.clone(),
            dice,
            state: Mutex::default(),
        }))
    }

    pub(super) fn now(&self) -> u64 {
        self.0.time.now()
    }

    pub(super) fn sleep_until(&self, at: u64) -> Sleep {
        // The clock that is right shows the world's time.
        self.0.clock.sleep_until(crate::clock::Moment(at))
    }

    pub(super) fn set(&self, options: NetworkOptions) {
        self.0.state.lock().options = options;
    }

    /// How long the next bytes are on their way, in nanoseconds.
    pub(super) fn latency(&self) -> u64 {
        let (latency, jitter, lost, again) = {
            let state = self.0.state.lock();
            let options = &state.options;
            (
                nanos(options.latency),
                nanos(options.jitter),
                options.lost_permille,
                nanos(options.sent_again_after),
            )
        };
        let lost = if lost > 0 && self.0.dice.happens(lost) {
            again
        } else {
            0
        };
        latency + self.0.dice.below(jitter + 1) + lost
    }

    pub(super) fn is_parted(&self, from: &Host, to: &Host) -> bool {
        let state = self.0.state.lock();
        !state.parted.is_empty() && state.parted.contains(&(from.name.clone(), to.name.clone()))
    }

    /// From now on nothing goes from one to the other.
    pub(super) fn part(&self, from: &str, to: &str) {
        self.0.state.lock().parted.insert((from.into(), to.into()));
    }

    /// Everything goes everywhere again.
    pub(super) fn heal(&self) {
        self.0.state.lock().parted.clear();
        self.pipes(|_| true).iter().for_each(|pipe| pipe.look());
    }

    /// Those that are wanted, in the order in which they were made.
    fn pipes(&self, is_wanted: impl Fn(&Pipe) -> bool) -> Vec<Arc<Pipe>> {
        let mut wanted = Vec::new();
        self.0.state.lock().pipes.retain(|pipe| {
            let Some(pipe) = pipe.upgrade() else { return false };
            if is_wanted(&pipe) {
                wanted.push(pipe);
            }
            true
        });
        wanted
    }

    /// Breaks all streams between two: each end of each sees that at another time.
    pub(super) fn cut(&self, one: &str, other: &str) {
        let is_between = |pipe: &Pipe| {
            let (from, to) = (&*pipe.from.name, &*pipe.to.name);
            (from, to) == (one, other) || (to, from) == (one, other)
        };
        for pipe in self.pipes(is_between) {
            let now = self.now();
            let longest = 20 * self.latency() + 1;
            let arrived = now + self.0.dice.below(self.latency() + 1);
            let (reader, writer) = (now + self.0.dice.below(longest), now + self.0.dice.below(longest));
            pipe.cut(arrived, reader.max(arrived), writer);
        }
    }

    /// A process is gone. `silently`: its machine too, so that nobody hears of it before the system asks.
    pub(super) fn forget(&self, host: &Host, silently: bool) {
        self.0
            .state
            .lock()
            .listeners
            .retain(|_, (at, _)| at.number != host.number);
        for pipe in self.pipes(|pipe| pipe.from.number == host.number || pipe.to.number == host.number) {
            let arrived = self.now() + self.0.dice.below(self.latency() + 1);
            let sees = arrived + if silently { nanos(FOUND_SILENT) } else { self.latency() };
            pipe.cut(arrived, sees, sees);
        }
    }

    /// What makes streams for a process.
    pub(super) fn carrier(&self, host: &Arc<Host>) -> impl Carrier {
        HostCarrier {
            network: self.clone(),
            host: host.clone(),
        }
    }
}

struct HostCarrier {
    network: Network,
    host: Arc<Host>,
}

fn carried(from: &Host, reader: ReadEnd, writer: WriteEnd) -> Carried {
    Carried {
        from: format!("sim:({})", from.name),
        reader: Box::new(reader),
        writer: Box::new(writer),
    }
}

impl Carrier for HostCarrier {
    fn listen(&self, address: &str) -> Result<mpsc::UnboundedReceiver<Carried>, TransportError> {
        let (tell, arrivals) = mpsc::unbounded_channel();
        let mut state = self.network.0.state.lock();
        if state.listeners.contains_key(address) {
            return Err(TransportError::AddressInUse {
                address: address.to_owned(),
            });
        }
        state.listeners.insert(address.to_owned(), (self.host.clone(), tell));
        Ok(arrivals)
    }

    fn dial(&self, address: &str) -> BoxFuture<'static, Result<Carried, TransportError>> {
        let (network, host, address) = (self.network.clone(), self.host.clone(), address.to_owned());
        Box::pin(async move {
            network.sleep_until(network.now() + network.latency()).await;
            let listener = network.0.state.lock().listeners.get(&address).cloned();
            let refused = || TransportError::Refused {
                address: address.clone(),
            };
            let (to, tell) = listener.ok_or_else(refused)?;
            if network.is_parted(&host, &to) || network.is_parted(&to, &host) {
                // The first packet is lost again and again: whoever dials loses patience.
                std::future::pending::<()>().await;
            }
            let (there, read_there, write_here) = Pipe::new(&network, &host, &to);
            let (back, read_here, write_there) = Pipe::new(&network, &to, &host);
            let pipes = [Arc::downgrade(&there), Arc::downgrade(&back)];
            network.0.state.lock().pipes.extend(pipes);
            tell.send(carried(&host, read_there, write_there))
                .map_err(|_| refused())?;
            Ok(carried(&to, read_here, write_here))
        })
    }
}
