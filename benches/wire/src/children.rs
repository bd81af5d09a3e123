//! The two processes of a sample.

use crate::{caller::Scenario, peers::Peer};
use anyhow::{Context as _, bail};
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

/// Starts a process that hosts the actor and one that calls it; the figure of the second. Both are gone afterwards.
pub(crate) fn sample(peer: Peer, scenario: Scenario, seconds: f64) -> anyhow::Result<f64> {
    let program = std::env::current_exe()?;
    let folder = tempfile::tempdir()?;
    let folder = folder.path().to_string_lossy().into_owned();
    let mut server = Command::new(&program)
        .args(["serve", peer.name(), &folder])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut place = String::new();
    BufReader::new(server.stdout.take().context("its output is piped")?).read_line(&mut place)?;
    let called = Command::new(&program)
        .args([
            "call",
            peer.name(),
            place.trim(),
            scenario.name().trim_start_matches("wire-"),
            &seconds.to_string(),
        ])
        .stderr(Stdio::inherit())
        .output();
    drop(server.stdin.take());
    server.wait()?;
    let called = called?;
    if !called.status.success() {
        bail!("{} ended with {}", peer.name(), called.status);
    }
    let text = String::from_utf8(called.stdout)?;
    text.trim()
        .parse()
        .with_context(|| format!("{} answered {text:?}", peer.name()))
}

/// Tells the parent where the actor is, and waits until it ends standard input. Blocks.
pub(crate) fn serve_until_told(place: &str) {
    println!("{place}");
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {}
}
