//! The silos of a cluster as processes, on a Redis of the cluster's own.

use crate::redis::RedisServer;
use quark::{admin::Admin, client::Client, clock::Clock, store::SiloStatus};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

/// How long something may take that nothing should hold up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The programs, built as this test was.
fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let own = env::current_exe().expect("this program");
        // target/debug/deps/flights-...
        let folder = own.parent().and_then(Path::parent).expect("a target folder").to_owned();
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") => "dev",
            other => other.expect("a profile"),
        };
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // Cargo describes the package to what it runs; a build must not see another than before.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(name);
            }
        }
        let built = cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["build", "--quiet", "--profile", profile, "--target-dir"])
            .arg(folder.parent().expect("a target folder"))
            // As all tests were, so that nothing is built again that they were built from.
            .args(["--workspace", "--all-features", "--tests", "--bins", "--examples"])
            .status();
        assert!(built.expect("cargo runs").success(), "the programs do not build");
        folder
    });
    folder.join(name)
}

/// A silo's process. It ends with its input.
struct Silo {
    child: Child,
    _leash: ChildStdin,
}

impl Drop for Silo {
    fn drop(&mut self) {
        // It may be gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Silos on a Redis, and somebody who looks after them.
pub(crate) struct Cluster {
    redis: RedisServer,
    silos: BTreeMap<String, Silo>,
    admin: Option<(Client, Admin)>,
    logs: tempfile::TempDir,
}

impl Cluster {
    /// Starts silos of a program.
    pub(crate) async fn start(program: &str, names: &[&str]) -> Self {
        let mut cluster = Self {
            redis: RedisServer::start(),
            silos: BTreeMap::new(),
            admin: None,
            logs: tempfile::tempdir().expect("a folder"),
        };
        let mut seeds = Vec::new();
        for name in names {
            seeds.push(cluster.add(program, name, &[]).await.expect("the silo starts"));
        }
        let client = Client::builder()
            .cluster("flights")
            .seeds(seeds)
            // Nothing is lost by impatience, however slow the machine.
            .ask_timeout(PATIENCE * 3)
            .connect();
        let client = client.await.expect("connects");
        cluster.admin = Some((client.clone(), Admin::new(client)));
        cluster.know_each_other().await;
        cluster
    }

    /// Starts a silo; answers its address, or why it did not start.
    pub(crate) async fn add(&mut self, name: &str, silo: &str, more: &[&str]) -> Result<String, String> {
        let program = program(name);
        let log = std::fs::File::create(self.logs.path().join(silo)).expect("a log");
        let mut child = Command::new(program)
            .args(["--exit-with-parent", "--save", "each", "--failure-timeout-ms", "3000"])
            .args(["--name", silo, "--store", &self.redis.url()])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program runs");
        let leash = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let process = Silo { child, _leash: leash };
        let (tell, told) = mpsc::channel::<Value>();
        thread::spawn(move || {
            // To its end, so that the silo never waits.
            for line in output.lines().map_while(Result::ok) {
                let said = serde_json::from_str(&line).expect("JSON");
                let _nobody_waits = tell.send(said);
            }
        });
        let said = tokio::task::spawn_blocking(move || told.recv_timeout(PATIENCE));
        let said = said.await.expect("no panic").expect("it says how it started");
        if let Some(address) = said["ready"]["address"].as_str() {
            self.silos.insert(silo.to_owned(), process);
            return Ok(address.to_owned());
        }
        Err(said["error"].as_str().expect("an error").to_owned())
    }

    /// Kills a silo as a crash would.
    pub(crate) fn kill(&mut self, silo: &str) {
        drop(self.silos.remove(silo).expect("it runs"));
    }

    pub(crate) fn client(&self) -> &Client {
        &self.admin.as_ref().expect("started").0
    }

    pub(crate) fn admin(&self) -> &Admin {
        &self.admin.as_ref().expect("started").1
    }

    /// Waits until every silo knows of all.
    pub(crate) async fn know_each_other(&self) {
        let clock = Clock::system();
        let end = clock.now() + PATIENCE;
        loop {
            let statuses = self.admin().statuses().await;
            let active = statuses
                .iter()
                .filter(|(silo, _)| silo.status == SiloStatus::Active)
                .count();
            let views: Vec<_> = statuses
                .iter()
                .map(|(_, report)| report.as_ref().ok().map(|report| report.view))
                .collect();
            if active == self.silos.len() && views.iter().all(|view| view.is_some() && *view == views[0]) {
                return;
            }
            assert!(clock.now() < end, "{statuses:?}");
            clock.sleep(Duration::from_millis(50)).await;
        }
    }
}
