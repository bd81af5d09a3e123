//! A child process with all its descendants: killed when dropped.

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus},
    time::Duration,
};

/// A child in a process group of its own, so that Ctrl+C in a terminal reaches this program alone and it decides.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    child: Child,
    ended: Option<ExitStatus>,
}

impl ProcessGroup {
    /// Starts a command.
    ///
    /// # Errors
    /// If the system cannot.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        Ok(Self {
            child: command.process_group(0).spawn()?,
            ended: None,
        })
    }

    /// What the child writes. Taken once, of a command that pipes it.
    pub(crate) fn take_stdout(&mut self) -> ChildStdout {
        self.child
            .stdout
            .take()
            .expect("invariant: standard output is piped and taken once")
    }

    /// What the child reads. Taken once, of a command that pipes it.
    pub(crate) fn take_stdin(&mut self) -> ChildStdin {
        self.child
            .stdin
            .take()
            .expect("invariant: standard input is piped and taken once")
    }

    /// Asks the child to end.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn terminate(&mut self) -> Result<()> {
        if let Some(status) = self.ended() {
            bail!("it has ended already: {status}");
        }
        Ok(kill_process(self.pid(), Signal::TERM)?)
    }

    /// Kills it as a crash would: nothing is cleaned up.
    pub(crate) fn kill(&mut self) {
        if self.ended.is_none() {
            // Fails if all of them are gone, which is what is wanted.
            let _ = kill_process_group(self.pid(), Signal::KILL);
            self.ended = self.child.wait().ok();
        }
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits for its end; to be called when its output has ended, which happens just before.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub(crate) async fn wait(mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}
