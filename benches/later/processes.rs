//! Actors that are activated by several processes at once, over one embedded store.

use crate::{
    Found,
    figures::{Figure, Goal},
    states::{Touch, each},
};
use quark::silo::Silo;
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const PROCESSES: usize = 4;

/// The first argument of a child; the others are its number, the folder of the store, how many actors it asks, and how many at a time.
pub(crate) const CHILD: &str = "child";

/// Ends its process.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended, or nobody needs it any more.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Four silos, each of a process of its own. Each asks a fourth of the actors, wherever they are placed.
pub(crate) fn run(count: usize, setters: usize) -> Found {
    let text = |error: std::io::Error| error.to_string();
    let folder = tempfile::tempdir().map_err(text)?;
    let program = std::env::current_exe().map_err(text)?;
    let mut children = Vec::new();
    for number in 0..PROCESSES {
        let child = Command::new(&program)
            .args([CHILD, &number.to_string(), &folder.path().display().to_string()])
            .args([
                (count / PROCESSES).to_string(),
                (setters / PROCESSES).max(1).to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(text)?;
        children.push(Process(child));
    }
    let mut outputs = Vec::new();
    for child in &mut children {
        let output = child.0.stdout.take().ok_or("its output is piped")?;
        outputs.push(BufReader::new(output).lines());
    }
    let mut hear = |what: &str| -> Result<(), String> {
        for output in &mut outputs {
            let line = output.next().ok_or("a silo's process ended")?.map_err(text)?;
            if line != what {
                return Err(line);
            }
        }
        Ok(())
    };
    hear("ready")?;
    let begun = Instant::now();
    for child in &mut children {
        let input = child.0.stdin.as_mut().ok_or("its input is piped")?;
        input.write_all(b"go\n").map_err(text)?;
    }
    hear("done")?;
    let activated = (count / PROCESSES * PROCESSES) as f64 / begun.elapsed().as_secs_f64();
    let what = format!("embedded, {PROCESSES} processes: actors activated, {setters} turns at a time");
    Ok(vec![Figure::new(what, "per s", Goal::AtLeast(10_000.0), activated)])
}

/// What a child does: says when all silos are there, and when all of its actors have answered.
pub(crate) async fn child(arguments: &[String]) -> Result<(), String> {
    let [number, folder, count, setters] = arguments else {
        return Err(format!("{arguments:?} is not what a child is given"));
    };
    let parsed = |text: &str| text.parse::<usize>().map_err(|_| format!("{text:?} is no number"));
    let (count, setters) = (parsed(count)?, parsed(setters)?);
    let silo = Silo::builder()
        .name(format!("bench-{number}"))
        .cluster("processes")
        .store(format!("embedded:{folder}/quark.db"))
        .workers(1)
        .handle_signals(false);
    let silo = silo.start().await.map_err(|error| error.to_string())?;
    while silo.view().active().count() < PROCESSES {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("ready");
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| error.to_string())?;
    each::<Touch>(&silo, &format!("{number}-"), count, setters).await?;
    println!("done");
    // Until the parent has heard it of all: others may still ask for actors here.
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| error.to_string())?;
    Ok(())
}
