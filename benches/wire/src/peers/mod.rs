//! Who is measured.

mod limit;
mod quark;
mod ractor;
mod tarpc;

use crate::caller::Scenario;
use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// Two silos on an embedded store.
    Quark,
    /// tarpc over TCP with bincode. It has no tells.
    Tarpc,
    /// Two nodes of ractor_cluster.
    Ractor,
    /// Made by hand: frames with their length, MessagePack, batched writes, a task for the actor.
    Limit,
}

impl Peer {
    pub(crate) const ALL: [Self; 4] = [Self::Quark, Self::Tarpc, Self::Ractor, Self::Limit];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Quark => "quark",
            Self::Tarpc => "tarpc",
            Self::Ractor => "ractor",
            Self::Limit => "limit",
        }
    }

    pub(crate) fn knows(self, scenario: Scenario) -> bool {
        self != Self::Tarpc || scenario != Scenario::Tell
    }

    /// Hosts the actor until standard input ends; `folder` is for its files.
    pub(crate) fn serve(self, folder: &str) -> anyhow::Result<()> {
        match self {
            Self::Quark => quark::serve(folder),
            Self::Tarpc => tarpc::serve(),
            Self::Ractor => ractor::serve(),
            Self::Limit => limit::serve(),
        }
    }

    /// The figure of calling the actor at `place`, which its host printed.
    pub(crate) fn call(self, place: &str, scenario: Scenario, seconds: f64) -> anyhow::Result<f64> {
        match self {
            Self::Quark => quark::call(place, scenario, seconds),
            Self::Tarpc => tarpc::call(place, scenario, seconds),
            Self::Ractor => ractor::call(place, scenario, seconds),
            Self::Limit => limit::call(place, scenario, seconds),
        }
    }
}

/// A runtime of one thread: on two cores and two processes the faster one for the limit and for tarpc.
fn one_thread() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
