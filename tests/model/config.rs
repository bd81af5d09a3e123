//! What a scenario is: who moves, crashes, is cut, leaves, how often, and which rule is broken on purpose.

use crate::world::{S, T};

/// A rule that the model's processes break, to show that the checker would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mutant {
    /// The caller does not send its fence and goes on as if it had been answered.
    NoFence,
    /// The caller does not enter after a loss and goes on as if it had been let in.
    NoEnter,
    /// The source resumes without a change of the directory.
    NoResumeBump,
    /// The target runs as soon as it has committed.
    NoGo,
    /// The target runs what it held before the package's queue.
    HeldFirst,
    /// A leaving silo does not wait for acknowledgements and forwards.
    NoBarrier,
    /// A link on which a message was given back is treated like any other.
    NoMark,
    /// A silo acknowledges a forward as soon as it has passed it on.
    HopAck,
    /// What was at rest in the mailbox of an abandoned activation is given back.
    QueueGivenBack,
    /// A death is acted on before the dead silo's links are dropped.
    DeadLinksLater,
    /// The old link of a caller is read after its new one.
    OldLinkAfterNew,
    /// The store compares a write with the epoch of the last write only.
    StoreChecksRow,
    /// A caller routes to a silo whose `Leaving` it has acknowledged.
    ChoosesLeaver,
    /// Nothing is sent again on a new link between silos.
    NoResend,
    /// A forwarder does not send the first forward of a stream.
    DropsForward,
    /// The store takes every change of the entry, whatever was expected.
    BlindUpsert,
    /// The store compares an entry's owner and not its epoch.
    EpochNotCompared,
    /// The target says that it has committed before it has asked the directory.
    CommittedEarly,
    /// The source of a move goes on running what it handed over.
    KeepsCopy,
    /// The queue of a package that comes again is taken again.
    QueueTwice,
    /// A source takes any `Committed` for that of its present move.
    AnyCommitted,
    /// A target does not begin anew when the first part of a package comes again.
    KeepsParts,
}

/// A scenario. Each number bounds how often something happens; where in time it happens is what is explored.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// How many silos there are.
    pub(crate) silos: u8,
    /// Who owns the actor at first, known to all callers; `None`: nobody, and nobody knows.
    pub(crate) owner: Option<u8>,
    /// How many messages each caller sends.
    pub(crate) messages: Vec<u8>,
    /// Moves, in order; each starts when it can.
    pub(crate) moves: Vec<(u8, u8)>,
    /// Who may crash, and how many do.
    pub(crate) crash: Vec<u8>,
    pub(crate) crashes: u8,
    /// Which links (dialler, callee) may be cut, and how many are.
    pub(crate) cut: Vec<(u8, u8)>,
    pub(crate) cuts: u8,
    /// Whether source and target may lose patience at any time.
    pub(crate) timeouts: bool,
    /// Whether the store's answers take a step of their own.
    pub(crate) slow_store: bool,
    /// How many of the store's answers are lost (the request may still be under way).
    pub(crate) lost_answers: u8,
    /// How many packages are refused.
    pub(crate) refusals: u8,
    /// Whether packages are sent twice.
    pub(crate) duplicate_package: bool,
    /// Whether packages go in parts.
    pub(crate) parts: bool,
    /// How many moves are called off by their source, at any time.
    pub(crate) call_off: u8,
    /// Whether freezing takes a step of its own, and how many freezes fail.
    pub(crate) slow_freeze: bool,
    pub(crate) failed_freezes: u8,
    /// Who leaves when all moves are done.
    pub(crate) leave: Option<u8>,
    /// Who stops for longer than the failure timeout.
    pub(crate) pause: Option<u8>,
    /// Who may lose the actor's activation unasked (it cannot begin, or not again after a panic), and how often that is.
    pub(crate) fail: Vec<u8>,
    pub(crate) failures: u8,
    /// Who may deactivate the actor, once.
    pub(crate) deactivate: Vec<u8>,
    /// Where placement puts the actor: the first that is there.
    pub(crate) place: Vec<u8>,
    /// Whether a caller that knows nothing goes where placement points, without asking the directory.
    pub(crate) guess: bool,
    /// Whether a silo that gets a message of an actor which it knows nothing of tries to register it.
    pub(crate) register: bool,
    /// How many messages a mailbox takes from callers.
    pub(crate) room: u8,
    /// How many waiting messages their callers give up.
    pub(crate) give_up: u8,
    /// Whether turns save the state.
    pub(crate) saves: bool,
    /// The rule that is broken, if one is.
    pub(crate) mutant: Option<Mutant>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            silos: 3,
            owner: Some(S),
            messages: vec![2, 2],
            moves: vec![(S, T)],
            crash: Vec::new(),
            crashes: 0,
            cut: Vec::new(),
            cuts: 0,
            timeouts: false,
            slow_store: false,
            lost_answers: 0,
            refusals: 0,
            duplicate_package: false,
            parts: false,
            call_off: 0,
            slow_freeze: false,
            failed_freezes: 0,
            leave: None,
            pause: None,
            fail: Vec::new(),
            failures: 0,
            deactivate: Vec::new(),
            place: vec![S, T, 2, 3],
            guess: false,
            register: true,
            room: 9,
            give_up: 0,
            saves: true,
            mutant: None,
        }
    }
}

impl Config {
    /// Whether this rule is broken.
    pub(crate) fn has(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}
