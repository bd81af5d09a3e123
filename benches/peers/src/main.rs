//! Quark's local path beside actix, kameo, ractor, xtra, a plain tokio channel and a hand-made limit: one process, one run,
//! peer after peer in each round. See README.md.

mod counting;
mod peer;
mod peers;
mod scenarios;

use clap::{CommandFactory, Parser, Subcommand, builder::PossibleValuesParser, error::ErrorKind};
use scenarios::{ALL, Effort, Kind};
use std::{fs::File, io::Write, path::PathBuf, process::ExitCode, time::Instant};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// Measures Quark's local path beside its peers.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    /// Measures this scenario only; may be given more than once.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(ALL.iter().map(|scenario| scenario.name)))]
    scenario: Vec<String>,

    /// How often each peer is measured; the table shows medians.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// Short samples and small crowds: shows that it works, not where it stands.
    #[arg(long, conflicts_with = "full")]
    quick: bool,

    /// A million idle actors of quark, and the instructions of all peers.
    #[arg(long)]
    full: bool,

    /// Writes a line of JSON for each figure, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Special>,
}

#[derive(Debug, Subcommand)]
enum Special {
    /// Runs messages of one peer and nothing else: for callgrind and other profilers.
    Work {
        /// A peer of the table: quark, actix, ...
        peer: String,
        /// What is sent.
        kind: Kind,
        /// How many of them, besides 5,000 that warm up.
        messages: u64,
    },
}

fn options() -> Options {
    Options::try_parse().unwrap_or_else(|error| {
        if error.kind() == ErrorKind::UnknownArgument {
            let command = Options::command();
            let names = command.get_arguments().filter_map(clap::Arg::get_long);
            let names: Vec<_> = names.map(|name| format!("--{name}")).collect();
            eprintln!("{error}\nthe options are {}, --help", names.join(", "));
            std::process::exit(2);
        }
        error.exit()
    })
}

fn main() -> ExitCode {
    let options = options();
    if let Some(Special::Work { peer, kind, messages }) = options.command {
        return done(scenarios::work(&peer, kind, messages));
    }
    let mut json = match options.json.as_ref().map(|path| (path, File::create(path))) {
        None => None,
        Some((_, Ok(file))) => Some(file),
        Some((path, Err(error))) => return done(Err(format!("cannot write {}: {error}", path.display()))),
    };
    let effort = Effort {
        rounds: options.rounds.into(),
        quick: options.quick,
        full: options.full,
    };
    let chosen = ALL
        .iter()
        .filter(|scenario| options.scenario.is_empty() || options.scenario.iter().any(|name| name == scenario.name));
    let start = Instant::now();
    let mut rows = Vec::new();
    for scenario in chosen {
        let begin = Instant::now();
        let measured = scenario.run(effort);
        eprintln!("{:<20} {:>5.1} s", scenario.name, begin.elapsed().as_secs_f64());
        if let Some(file) = &mut json {
            for line in measured.iter().flat_map(report::Row::json) {
                if let Err(error) = writeln!(file, "{line}") {
                    return done(Err(format!("cannot write the JSON lines: {error}")));
                }
            }
        }
        rows.extend(measured);
    }
    println!("{}", report::table(&rows));
    println!(
        "Medians of {} rounds in {:.0} s; ratios are taken within a round: median (least-most). Products: quark, actix, kameo, \
         ractor, xtra.",
        options.rounds,
        start.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}

fn done(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
