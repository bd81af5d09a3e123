//! Silos for the scenarios: of this process, or a process for each. A child is told by lines on its standard input and answers by
//! lines of JSON.

use quark::{
    ident::ActorId,
    prelude::*,
    silo::{Silo, SiloHandle, SiloOptions},
    wire::ShutdownReport,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// Holds so many bytes, and counts.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Blob {
    text: String,
    count: u64,
}

#[derive(Message, Serialize, Deserialize)]
#[message(name = "blob.fill", reply = u64)]
pub(crate) struct Fill(pub(crate) usize);

#[derive(Message, Serialize, Deserialize)]
#[message(name = "blob.count", reply = u64)]
pub(crate) struct Count;

#[actor(kind = "blob", messages(Fill, Count), volatile)]
impl Actor for Blob {}

impl Handler<Fill> for Blob {
    async fn handle(&mut self, Fill(bytes): Fill, _: &mut Context<Self>) -> u64 {
        self.text = "x".repeat(bytes);
        self.count += 1;
        self.count
    }
}

impl Handler<Count> for Blob {
    async fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 {
        self.count += 1;
        self.count
    }
}

pub(crate) async fn start(cluster: &str, store: &str, name: &str) -> Result<SiloHandle, String> {
    let options = SiloOptions {
        name: name.into(),
        cluster: cluster.into(),
        store: store.into(),
        workers: 1,
        handle_signals: false,
        shutdown_timeout: std::time::Duration::from_secs(300),
        idle_timeout: std::time::Duration::ZERO,
        ..SiloOptions::default()
    };
    let silo = Silo::builder().options(options).start().await;
    silo.map_err(|error| error.to_string())
}

pub(crate) fn id(key: &str) -> ActorId {
    ActorId::new("blob", key).expect("a valid key")
}

/// Activates actors of a kilobyte on a silo that is alone; many at a time.
pub(crate) async fn fill(silo: &SiloHandle, actors: usize) -> Result<(), String> {
    let keys: Vec<usize> = (0..actors).collect();
    for some in keys.chunks(2000) {
        let asks = some
            .iter()
            .map(|key| silo.actor::<Blob>(&key.to_string()).ask(Fill(1000)).owned());
        for answer in futures_util::future::join_all(asks).await {
            answer.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// Stops a silo; answers its report and how long it took, in seconds.
async fn stop(silo: &SiloHandle) -> Result<(ShutdownReport, f64), String> {
    let begun = crate::scenarios::now();
    let report = silo.stop().await.map_err(|error| error.to_string())?;
    Ok((report, begun.elapsed().as_secs_f64()))
}

/// Resident memory of this process, in bytes.
pub(crate) fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0.0);
    pages * 4096.0
}

/// A silo, in this process or in one of its own.
pub(crate) enum Node {
    Here(SiloHandle),
    Child(Box<Remote>),
}

pub(crate) struct Remote {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for Remote {
    fn drop(&mut self) {
        // It has ended, or nobody needs it any more.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Node {
    pub(crate) async fn start(cluster: &str, store: &str, name: &str) -> Result<Self, String> {
        if store.starts_with("memory:") {
            return start(cluster, store, name).await.map(Self::Here);
        }
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new(program)
            .args(["silo-process", cluster, store, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut remote = Box::new(Remote { child, input, output });
        remote.read()?;
        Ok(Self::Child(remote))
    }

    /// Activates actors here; the silo is alone.
    pub(crate) async fn fill(&mut self, actors: usize) -> Result<(), String> {
        match self {
            Self::Here(silo) => fill(silo, actors).await,
            Self::Child(remote) => remote.ask(&format!("fill {actors}")).map(drop),
        }
    }

    /// Stops the silo; answers its report and how long it took, in seconds.
    pub(crate) async fn stop(&mut self) -> Result<(ShutdownReport, f64), String> {
        match self {
            Self::Here(silo) => stop(silo).await,
            Self::Child(remote) => {
                let stopped = remote.ask("stop")?;
                serde_json::from_value(stopped).map_err(|error| error.to_string())
            }
        }
    }

    /// Whether it sees `count` Active silos.
    pub(crate) async fn sees(&mut self, count: usize) -> Result<bool, String> {
        match self {
            Self::Here(silo) => Ok(silo.view().active().count() == count),
            Self::Child(remote) => Ok(remote.ask("active")? == json!(count)),
        }
    }

    /// How many actors are active.
    pub(crate) fn active(&mut self) -> Result<usize, String> {
        match self {
            Self::Here(silo) => Ok(silo.status().activations.values().sum()),
            Self::Child(remote) => {
                let actors = remote.ask("actors")?;
                actors.as_u64().map(|actors| actors as usize).ok_or("no number".into())
            }
        }
    }
}

impl Remote {
    fn read(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| error.to_string())?;
        let answer: Result<Value, String> =
            serde_json::from_str(&line).map_err(|error| format!("{line:?}: {error}"))?;
        answer
    }

    fn ask(&mut self, line: &str) -> Result<Value, String> {
        writeln!(self.input, "{line}").map_err(|error| error.to_string())?;
        self.read()
    }
}

/// What a child does, if this process is one.
pub(crate) fn child() -> Option<Result<(), String>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, command, cluster, store, name] = arguments.as_slice() else {
        return None;
    };
    (command == "silo-process").then(|| serve(cluster, store, name))
}

fn serve(cluster: &str, store: &str, name: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let say = |answer: Result<Value, String>| {
        println!(
            "{}",
            json!(answer.map_or_else(|e| json!({"Err": e}), |v| json!({"Ok": v})))
        )
    };
    let silo = runtime.block_on(start(cluster, store, name));
    let silo = match silo {
        Ok(silo) => silo,
        Err(error) => {
            say(Err(error));
            return Ok(());
        }
    };
    say(Ok(Value::Null));
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match word {
            "fill" => {
                let actors = rest.parse().map_err(|_| "no number".to_owned());
                actors.and_then(|actors| runtime.block_on(fill(&silo, actors)).map(|()| Value::Null))
            }
            "active" => Ok(json!(silo.view().active().count())),
            "actors" => Ok(json!(silo.status().activations.values().sum::<usize>())),
            "stop" => (runtime.block_on(stop(&silo)))
                .and_then(|stopped| serde_json::to_value(stopped).map_err(|error| error.to_string())),
            _ => Err(format!("{word:?} is no command")),
        };
        say(answer);
    }
    Ok(())
}
