//! `quark lock`: what a program says over the wire, against what was recorded and against what runs.

use super::{
    connection::Connection,
    output::{Colour, Output, coloured},
};
use quark::schema::{Difference, Lock};
use std::path::PathBuf;

/// Compare what programs say over the wire, as their lock files record it
#[derive(Debug, clap::Args)]
pub(crate) struct LockFiles {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Compare the newest versions in a lock file with an older lock file: what changed, and whether it is compatible
    Check {
        /// The lock file
        #[arg(default_value = "quark.lock")]
        file: PathBuf,
        /// The older one, say that of the last release
        #[arg(long, value_name = "FILE")]
        against: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Compare the newest versions in a lock file with the silos that run: whether they would be let in
    Live {
        /// The lock file
        #[arg(default_value = "quark.lock")]
        file: PathBuf,
        #[command(flatten)]
        connection: Connection,
        #[command(flatten)]
        output: Output,
    },
}

impl LockFiles {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (old, new, output) = match self.command {
            What::Check { file, against, output } => (Lock::read(&against)?, Lock::read(&file)?, output),
            What::Live {
                file,
                connection,
                output,
            } => {
                let new = Lock::read(&file)?;
                let live = connection.open().await?.live_shapes().await?;
                (live, new, output)
            }
        };
        let differences = old.differences(&new.newest());
        output.print(&differences, || text(&differences))?;
        let bad = differences.iter().filter(|one| !one.is_compatible()).count();
        anyhow::ensure!(bad == 0, "{bad} of the kinds cannot run beside what was recorded");
        Ok(())
    }
}

fn text(differences: &[Difference]) -> String {
    if differences.is_empty() {
        return coloured("nothing has changed", Colour::Green);
    }
    let line = |difference: &Difference| {
        let colour = match difference {
            Difference::Breaking { .. } => Colour::Red,
            Difference::NeedsVersion { .. } | Difference::Gone { .. } => Colour::Yellow,
            _ => Colour::Green,
        };
        coloured(&difference.to_string(), colour)
    };
    differences.iter().map(line).collect::<Vec<_>>().join("\n")
}
