//! `quark rollout`: a new version, step by step, and back.

use super::{
    connection::Connection,
    output::{Colour, Output, bar, bytes, clear_line, coloured, table},
};
use anyhow::{Context, bail};
use quark::{
    admin::Admin,
    clock::Clock,
    ident::Weight,
    rollout::{Command, Criteria, OnBad, Phase, Plan, Receipt, Request, Rollout as Record},
    version,
};
use std::{collections::BTreeMap, time::Duration};

/// Bring a new version to the actors, step by step, and back
#[derive(Debug, clap::Args)]
pub(crate) struct Rollout {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show what a rollout would do, and what stands in its way; begins nothing
    Plan(Wanted),
    /// Begin a rollout: it then goes on by itself
    Start(Wanted),
    /// Show how far the rollout is
    Status {
        /// Follow it until it is over, complete or paused
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        shared: Shared,
    },
    /// Leave everything as it is until told otherwise
    Pause(Shared),
    /// Go on with the step that was paused
    Resume(Shared),
    /// On to the next step without a verdict
    Promote(Shared),
    /// Bring all actors back to the old version
    Rollback {
        /// Why, for the log
        #[arg(long, default_value = "no reason given")]
        why: String,
        #[command(flatten)]
        shared: Shared,
    },
    /// Keep the new version: the old silos may go then, and there is no way back
    Finalize(Shared),
}

#[derive(Debug, clap::Args)]
struct Shared {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct Wanted {
    /// A kind and its new version; once for each. Without: every kind that is hosted in several, to its newest
    #[arg(long = "kind", value_name = "KIND=VERSION", value_parser = kind_and_version)]
    kinds: Vec<(String, semver::Version)>,
    /// The shares of the actors that go to the new version, step by step
    #[arg(
        long,
        value_name = "PERCENT,...",
        value_delimiter = ',',
        default_value = "10%,50%,100%"
    )]
    steps: Vec<Weight>,
    /// Turns of the new version without which a step is not good
    #[arg(long, default_value_t = Criteria::default().min_turns)]
    min_turns: u64,
    /// How much higher than the old version's the rate of failures may be, in thousandths
    #[arg(long, default_value_t = Criteria::default().failure_margin)]
    failure_margin: u32,
    /// How many times the old version's turn times the new one's may be, in percent
    #[arg(long, default_value_t = Criteria::default().slower_percent)]
    slower_percent: u32,
    /// How long each step is watched at least, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = Criteria::default().watch_for.as_secs())]
    watch_for: u64,
    /// How long each step is watched at most, in seconds: undecided, the rollout pauses
    #[arg(long, value_name = "SECONDS", default_value_t = Criteria::default().watch_limit.as_secs())]
    watch_limit: u64,
    /// Pause when the new version does worse, rather than roll back
    #[arg(long)]
    pause_on_bad: bool,
    #[command(flatten)]
    shared: Shared,
}

fn kind_and_version(text: &str) -> anyhow::Result<(String, semver::Version)> {
    let (kind, version) = text
        .split_once('=')
        .with_context(|| format!("{text:?} is no kind and version: write KIND=VERSION"))?;
    Ok((kind.to_owned(), version::parse(version)?))
}

impl Wanted {
    fn request(&self) -> Request {
        let kinds: BTreeMap<_, _> = self.kinds.iter().cloned().collect();
        Request {
            kinds,
            steps: self.steps.clone(),
            criteria: Criteria {
                min_turns: self.min_turns,
                failure_margin: self.failure_margin,
                slower_percent: self.slower_percent,
                watch_for: Duration::from_secs(self.watch_for),
                watch_limit: Duration::from_secs(self.watch_limit),
                on_bad: if self.pause_on_bad {
                    OnBad::Pause
                } else {
                    OnBad::RollBack
                },
                ..Criteria::default()
            },
        }
    }
}

impl Rollout {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.command {
            What::Plan(wanted) => {
                let plan = wanted.shared.connection.open().await?.plan(wanted.request()).await?;
                wanted.shared.output.print(&plan, || plan_text(&plan))
            }
            What::Start(wanted) => {
                let rollout = wanted.shared.connection.open().await?.start(wanted.request()).await?;
                wanted.shared.output.print(&rollout, || text(&rollout))
            }
            What::Status { watch: true, shared } => watch(&shared.connection.open().await?, shared.output).await,
            What::Status { watch: false, shared } => {
                let rollout = shared.connection.open().await?.rollout().await?;
                shared.output.print(&rollout, || {
                    rollout.as_ref().map_or("there was no rollout yet".into(), text)
                })
            }
            What::Pause(shared) => steer(shared, Command::Pause).await,
            What::Resume(shared) => steer(shared, Command::Resume).await,
            What::Promote(shared) => steer(shared, Command::Promote).await,
            What::Rollback { why, shared } => steer(shared, Command::RollBack { why }).await,
            What::Finalize(shared) => steer(shared, Command::Finalize).await,
        }
    }
}

async fn steer(shared: Shared, command: Command) -> anyhow::Result<()> {
    let admin = shared.connection.open().await?;
    let seen = admin
        .rollout()
        .await?
        .context("the cluster has no rollout; begin one with `quark rollout start`")?;
    let rollout = admin.steer(&seen, command).await?;
    shared.output.print(&rollout, || text(&rollout))
}

/// Follows a rollout until somebody has to decide, or it is over. Rolled back is a failure.
async fn watch(admin: &Admin, output: Output) -> anyhow::Result<()> {
    let clock = Clock::system();
    let mut told = 0;
    loop {
        let rollout = admin.rollout().await?.context("the cluster has no rollout")?;
        if output.json {
            println!("{}", serde_json::to_string(&rollout)?);
        } else {
            for entry in rollout.log.iter().skip(told) {
                clear_line();
                println!("{}", entry.what);
            }
            progress(&rollout);
        }
        told = rollout.log.len();
        match &rollout.phase {
            Phase::Complete | Phase::Finalized => break clear_line(),
            Phase::Paused { why, .. } => {
                clear_line();
                bail!("the rollout is paused: {why}");
            }
            Phase::PausedBack { stopped, .. } => {
                clear_line();
                bail!("the rollout is paused on the way back: {stopped}");
            }
            Phase::RolledBack { why } => {
                clear_line();
                bail!("the rollout was rolled back: {why}");
            }
            _ => clock.sleep(Duration::from_millis(500)).await,
        }
    }
    Ok(())
}

fn progress(rollout: &Record) {
    let share = usize::try_from(u32::from(rollout.weight)).unwrap_or(0);
    bar(share, 10_000, &format!("{} {}", rollout.weight, rollout.phase.name()));
}

fn plan_text(plan: &Plan) -> String {
    let steps: Vec<_> = plan.rollout.steps.iter().map(ToString::to_string).collect();
    let rows = plan.kinds.iter().map(|kind| {
        let from: Vec<_> = kind.target.from.iter().map(ToString::to_string).collect();
        let moves: Vec<_> = kind.moves.iter().map(ToString::to_string).collect();
        [
            kind.kind.clone(),
            from.join(", "),
            kind.target.to.to_string(),
            kind.actors.to_string(),
            moves.join(" + "),
            format!("{} / {}", kind.silos_with_old, kind.silos_with_new),
        ]
    });
    let mut lines = vec![
        table(
            ["kind", "from", "to", "actors#", "moves by step#", "silos old / new#"],
            rows,
        ),
        String::new(),
    ];
    lines.push(format!("steps: {}", steps.join(", ")));
    let actors: u64 = plan.kinds.iter().map(|kind| kind.actors).sum();
    lines.push(match plan.bytes_per_actor {
        Some(each) => format!(
            "to move: {actors} actors, about {} ({} each, by what has moved so far)",
            bytes(actors * each),
            bytes(each)
        ),
        None => format!("to move: {actors} actors; how large they are is not known: nothing has moved yet"),
    });
    let takes = plan.rollout.forecast.takes;
    lines.push(format!(
        "it takes about {takes:.0?} if every step is found good, most of it to watch"
    ));
    lines.push(match plan.pauses {
        Some((half, most)) => {
            format!("pause of an actor: half below {half:.1?}, 99 of 100 below {most:.1?}, by what has moved so far")
        }
        None => "pause of an actor: not known, nothing has moved yet".into(),
    });
    lines.extend(
        plan.warnings
            .iter()
            .map(|warning| coloured(&format!("note: {warning}"), Colour::Yellow)),
    );
    lines.join("\n")
}

fn receipt(receipt: &Receipt) -> String {
    let expected: u64 = receipt.expected.moves.iter().sum();
    let weight = receipt.expected.bytes.map_or("of unknown size".to_owned(), bytes);
    let kept = match receipt.departed {
        Some(departed) if departed == receipt.arrived => "as many as left their silos".to_owned(),
        Some(departed) => format!("{departed} left their silos"),
        None => "how many left their silos is not known: one is gone".to_owned(),
    };
    format!(
        "expected: {expected} actors, {weight}, {:.0?}; so far: {} actors came ({kept}), {}, {:.0?}",
        receipt.expected.takes,
        receipt.arrived,
        bytes(receipt.bytes),
        receipt.took
    )
}

fn text(rollout: &Record) -> String {
    let colour = match &rollout.phase {
        Phase::Complete | Phase::Finalized => Colour::Green,
        Phase::RollingBack { .. } | Phase::PausedBack { .. } | Phase::RolledBack { .. } => Colour::Red,
        _ => Colour::Yellow,
    };
    let kinds = rollout
        .kinds
        .iter()
        .map(|(kind, target)| format!("{kind} {}", target.to));
    let kinds: Vec<_> = kinds.collect();
    let mut lines = vec![format!(
        "rollout {} of {}: {}, {} of the actors belong to the new version",
        rollout.number,
        kinds.join(", "),
        coloured(rollout.phase.name(), colour),
        rollout.weight
    )];
    if !rollout.receipts.is_empty() {
        let rows = rollout.receipts.iter().map(|receipt| {
            let sum = |figures: &BTreeMap<String, quark::telemetry::KindFigures>| {
                let turns: u64 = figures.values().map(|figures| figures.turns).sum();
                let failures: u64 = figures.values().map(quark::telemetry::KindFigures::failures).sum();
                format!("{failures} of {turns}")
            };
            let pause = |thousandths| {
                (receipt.arrived.pauses.quantile(thousandths)).map_or("-".into(), |pause| format!("{pause:.1?}"))
            };
            [
                receipt.weight.to_string(),
                receipt.arrived.actors.to_string(),
                bytes(receipt.arrived.bytes),
                format!("{} ms", receipt.moving_ms),
                pause(500),
                pause(990),
                sum(&receipt.new),
                sum(&receipt.old),
            ]
        });
        let heads = [
            "share#",
            "moved#",
            "bytes#",
            "took#",
            "pause p50#",
            "p99#",
            "failures new#",
            "old#",
        ];
        lines.extend([
            String::new(),
            table(heads, rows),
            String::new(),
            receipt(&rollout.receipt()),
        ]);
    }
    lines.push(String::new());
    lines.extend(rollout.log.iter().map(|entry| format!("- {}", entry.what)));
    lines.join("\n")
}
