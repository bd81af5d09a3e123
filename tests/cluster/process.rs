//! A silo's process as its test has it: told, heard, killed, stopped; gone when dropped.

use crate::{
    PATIENCE,
    program::{Order, Outcome, SETTINGS, Said, Settings},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
};
use tokio::{sync::mpsc, time};

/// A silo's process.
pub(crate) struct Process {
    pub(crate) settings: Settings,
    pub(crate) address: String,
    child: Child,
    input: ChildStdin,
    said: mpsc::UnboundedReceiver<Said>,
    /// What it was told of what it asked from within, as far as it was heard.
    asked: Vec<(u64, Outcome)>,
}

impl Process {
    /// What it says of an actor that it asks from within.
    pub(crate) async fn look(&mut self, key: &str) -> Result<(String, u64), String> {
        self.tell(&Order::Look { key: key.into() });
        let looked = self.hear(|said| match said {
            Said::Looked(answer) => Some(answer),
            _ => None,
        });
        looked.await.expect("it says what it heard")
    }

    /// Has it append to an actor from within.
    pub(crate) async fn ask(&mut self, key: &str, n: u64) -> Outcome {
        self.tell(&Order::Ask { key: key.into(), n });
        let asked = self.hear(|said| match said {
            Said::Asked { n: of, outcome } if of == n => Some(outcome),
            _ => None,
        });
        asked.await.expect("it says what it heard")
    }

    /// Starts a silo; its log goes into the folder. `wrapper`: what is run with the program as its arguments.
    pub(crate) fn start(settings: &Settings, logs: &Path, wrapper: &[String]) -> Starting {
        let log = File::create(logs.join(format!("{}.log", settings.name))).expect("a log");
        let program = std::env::current_exe().expect("this program");
        let mut words = wrapper.to_vec();
        words.push(program.to_str().expect("a plain path").to_owned());
        words.extend(["--ignored", "--exact", "--nocapture", "program::the_silo_program"].map(String::from));
        let settings_text = serde_json::to_string(settings).expect("plain values");
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .env(SETTINGS, settings_text)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl+C in a terminal is this process's affair.
            .process_group(0)
            .spawn()
            .expect("the program runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (tell, said) = mpsc::unbounded_channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // The test harness of that process speaks too.
                if let Ok(said) = serde_json::from_str(&line) {
                    let _nobody_listens = tell.send(said);
                }
            }
        });
        Starting {
            settings: settings.clone(),
            input: child.stdin.take().expect("piped"),
            child,
            said,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Tells it something. One that is gone is told nothing.
    pub(crate) fn tell(&mut self, order: &Order) {
        let line = serde_json::to_string(order).expect("plain values");
        let _gone = writeln!(self.input, "{line}").and_then(|()| self.input.flush());
    }

    /// What it says next that `wanted` picks; `None` if it ends, or says nothing for long.
    pub(crate) async fn hear<T>(&mut self, mut wanted: impl FnMut(Said) -> Option<T>) -> Option<T> {
        let heard = async {
            loop {
                let said = self.said.recv().await?;
                if let Said::Asked { n, outcome } = &said {
                    self.asked.push((*n, outcome.clone()));
                }
                if let Some(found) = wanted(said) {
                    return Some(found);
                }
            }
        };
        time::timeout(PATIENCE, heard).await.ok().flatten()
    }

    /// Whether it ends by itself, and what it says then.
    pub(crate) async fn end(&mut self) -> Option<Result<quark::wire::ShutdownReport, String>> {
        self.hear(|said| match said {
            Said::Ended(report) => Some(Ok(*report)),
            Said::Failed(why) => Some(Err(why)),
            _ => None,
        })
        .await
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let process = Pid::from_child(&self.child);
        kill_process(process, signal).expect("its process is there");
        if signal == Signal::STOP {
            // Its threads stop one after the other: until they have, they may answer.
            while !stands_still(process) {
                std::thread::yield_now();
            }
        }
    }

    /// Kills it; what it has said by then of what it asked from within.
    pub(crate) async fn asked(mut self) -> Vec<(u64, Outcome)> {
        self.kill();
        self.hear(|_| None::<()>).await;
        self.take_asked()
    }

    /// What it has said, as far as it was heard, of what it asked from within.
    pub(crate) fn take_asked(&mut self) -> Vec<(u64, Outcome)> {
        std::mem::take(&mut self.asked)
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(&mut self) {
        // It may have ended.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process that has not said that it is ready.
pub(crate) struct Starting {
    settings: Settings,
    child: Child,
    input: ChildStdin,
    said: mpsc::UnboundedReceiver<Said>,
}

impl Starting {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Writes a line to what runs the program, which waits for it.
    pub(crate) fn let_go(&mut self) {
        writeln!(self.input).expect("it waits");
    }

    /// What a silo says that does not start.
    pub(crate) async fn refused(mut self) -> String {
        let said = time::timeout(PATIENCE, self.said.recv()).await;
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        match said {
            Ok(Some(Said::Failed(why))) => why,
            other => panic!("{} does not refuse: {other:?}", self.settings.name),
        }
    }

    pub(crate) async fn ready(mut self) -> Process {
        match time::timeout(PATIENCE, self.said.recv()).await {
            Ok(Some(Said::Ready { address, .. })) => Process {
                settings: self.settings,
                address,
                child: self.child,
                input: self.input,
                said: self.said,
                asked: Vec::new(),
            },
            other => {
                let _gone = self.child.kill();
                panic!("{} is not ready: {other:?}", self.settings.name)
            }
        }
    }
}

/// Whether all threads of a process are stopped.
fn stands_still(process: Pid) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).expect("its process is there");
    tasks.flatten().all(|task| {
        // "NUMBER (NAME) STATE ...", where the name may hold anything.
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with(['T', 'Z', 'X']) || stat.is_empty())
    })
}
