//! What the engine hears and what it wants done.

use super::View;
use crate::{
    clock::Moment,
    ident::SiloId,
    store::{Change, MemberRow, MembershipTable, SiloStatus, StoreError},
};

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The silo listens and may join. First event of an engine.
    Started,
    /// A moment that [`Command::WakeAt`] named has come. Harmless at any time.
    Tick,
    /// [`Command::ReadTable`] ended.
    TableRead {
        /// As in the command.
        read: u64,
        /// What the store answered.
        answer: Result<MembershipTable, StoreError>,
    },
    /// [`Command::WriteRow`] ended.
    RowWritten {
        /// As in the command.
        write: u64,
        /// What the store answered: the table after the change, or as found where it conflicted.
        answer: Result<Result<MembershipTable, MembershipTable>, StoreError>,
    },
    /// [`Command::Heartbeat`] ended.
    HeartbeatWritten {
        /// As in the command.
        n: u64,
        /// What the store answered: the own row, if there is one.
        answer: Result<Option<MemberRow>, StoreError>,
    },
    /// The peer answered [`Command::Probe`].
    ProbeAnswered {
        /// Which.
        silo: SiloId,
    },
    /// It did not, or could not be reached.
    ProbeFailed {
        /// Which.
        silo: SiloId,
    },
    /// A peer answered [`Command::AskSecondOpinion`]: it probed the silo itself.
    OpinionGiven {
        /// Who answers.
        from: SiloId,
        /// About whom.
        about: SiloId,
        /// Whether the silo answered its probe.
        alive: bool,
    },
    /// A peer knows this view. Everything that one membership service says to another carries
    /// [`super::Membership::known_view`] and is heard as this event first: pushes, probes, questions and answers.
    PeerSaysViewChanged {
        /// The number.
        view: u64,
    },
    /// A peer asks by its [`Command::AskStoreReach`].
    StoreReachAsked {
        /// Who asks.
        peer: SiloId,
        /// To be given back.
        round: u64,
    },
    /// A peer answered [`Command::AskStoreReach`] with "no, I cannot reach it".
    StoreUnreachableConfirmed {
        /// Who says so.
        peer: SiloId,
        /// As in the command.
        round: u64,
    },
    /// The directory names an owner that the view does not know ([`View::knows`]). The table is read; the next
    /// [`Command::ViewChanged`] knows the silo, as a member or as gone.
    OwnerUnknown {
        /// Whom.
        silo: SiloId,
    },
    /// What the silo wants to be: [`SiloStatus::Active`] when its start is complete or a drain is called off,
    /// [`SiloStatus::ShuttingDown`] when it drains. Others are ignored.
    SetStatus(SiloStatus),
    /// The silo has stopped and wants its row removed. It holds no lease from then on. Ends in [`Command::Left`].
    Leave,
}

/// What the engine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Read the table; answer by [`Event::TableRead`].
    ReadTable {
        /// Names the read.
        read: u64,
    },
    /// Change a row; answer by [`Event::RowWritten`].
    WriteRow {
        /// Names the write.
        write: u64,
        /// The view that the change is for.
        expected_view: u64,
        /// The change.
        change: Change,
    },
    /// Write the own heartbeat; answer by [`Event::HeartbeatWritten`].
    Heartbeat {
        /// The heartbeat.
        n: u64,
    },
    /// Ask a silo whether it is there; answer by [`Event::ProbeAnswered`] or [`Event::ProbeFailed`].
    Probe {
        /// Whom.
        silo: SiloId,
        /// Where.
        address: String,
    },
    /// Ask a peer to probe a silo; answer by [`Event::OpinionGiven`].
    AskSecondOpinion {
        /// Whom to ask.
        peer: SiloId,
        /// Where.
        address: String,
        /// Whom it is about.
        about: SiloId,
    },
    /// Ask a peer whether it reaches the store; it hears [`Event::StoreReachAsked`], and its "no" is
    /// [`Event::StoreUnreachableConfirmed`] here.
    AskStoreReach {
        /// Whom.
        peer: SiloId,
        /// Where.
        address: String,
        /// To be given back with the answer.
        round: u64,
    },
    /// Answer a peer's [`Event::StoreReachAsked`].
    AnswerStoreReach {
        /// Who asked.
        peer: SiloId,
        /// As it came.
        round: u64,
        /// Whether this silo cannot reach the store. "Yes" is a promise that was noted: not to be sent again later.
        unreachable: bool,
    },
    /// Tell every peer that this view exists.
    PushView {
        /// The number.
        view: u64,
    },
    /// The silo's view is now this one.
    ViewChanged(View),
    /// A silo is Dead, for good: close its links, refuse it, then conclude. Once for each; follows the view that says so.
    SiloDied(SiloId),
    /// A silo has left: its row was removed. Once for each; follows the view that says so.
    SiloLeft(SiloId),
    /// The silo may serve until then. At first and at each extension.
    LeaseHeld {
        /// Until when.
        until: Moment,
    },
    /// The silo must stop serving now: no turn, no write, errors that prove that nothing ran. A
    /// [`Command::LeaseHeld`] may follow.
    LeaseLost,
    /// The store has lost writes. The engine repairs the own row; the silo repairs its entries before it changes others.
    StoreWentBack {
        /// The view that was known.
        known: u64,
        /// The view that was found.
        found: u64,
    },
    /// This incarnation has ended: stop, and come back as a new one. Nothing follows.
    Fenced(FenceReason),
    /// The own row is removed. Nothing follows.
    Left,
    /// Send [`Event::Tick`] at this moment; replaces the last one.
    WakeAt(Moment),
}

#[cfg(feature = "testkit")]
impl Command {
    /// What tests call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::ReadTable { .. } => "member: read the table",
            Self::WriteRow { .. } => "member: write a row",
            Self::Heartbeat { .. } => "member: heartbeat",
            Self::Probe { .. } => "member: probe",
            Self::AskSecondOpinion { .. } => "member: ask for a second opinion",
            Self::AskStoreReach { .. } => "member: ask who reaches the store",
            Self::AnswerStoreReach { .. } => "member: say whether the store is reached",
            Self::PushView { .. } => "member: push a view",
            Self::ViewChanged(_) => "member: take a view",
            Self::SiloDied(_) => "member: conclude from a death",
            Self::SiloLeft(_) => "member: conclude from a departure",
            Self::LeaseHeld { .. } => "member: hold the lease",
            Self::LeaseLost => "member: lose the lease",
            Self::StoreWentBack { .. } => "member: repair the store",
            Self::Fenced(_) => "member: be fenced",
            Self::Left => "member: have left",
            Self::WakeAt(_) => "member: sleep",
        }
    }
}

/// Why an incarnation has ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FenceReason {
    /// Its peers saw no heartbeat and could not reach it.
    #[error("the other silos have declared this one dead; it must start again as a new incarnation")]
    DeclaredDead,
    /// Its row is no more.
    #[error("the row of this silo was removed from the membership table; it must start again as a new incarnation")]
    RowRemoved,
    /// Another of its name has started after it.
    #[error(
        "another silo of this name has started, {by}; give each silo a name of its own, or, if this one is the newer, an \
         incarnation above that"
    )]
    Succeeded {
        /// Which.
        by: SiloId,
    },
    /// Another of its name and incarnation has joined before it.
    #[error("another silo of this name and incarnation has joined; give each silo a name of its own")]
    Taken,
}
