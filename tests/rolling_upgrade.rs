//! The example `rolling_upgrade` as its users run it: real processes, in small; and everything that can be wrong with what it
//! is told. However it ends, no process is left.

#[allow(dead_code, reason = "the example uses the rest")]
#[path = "../examples/rolling_upgrade/process_group.rs"]
mod process_group;
#[allow(dead_code, reason = "the example uses the rest")]
#[path = "../examples/rolling_upgrade/programs.rs"]
mod programs;
#[cfg(feature = "redis")]
#[path = "common/redis.rs"]
mod redis;

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
};
use tempfile::TempDir;

const FLIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/flights-2013-01.csv");

/// Where the example's programs are, built as this test was.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let built = runtime
            .expect("a runtime")
            .block_on(programs::build(programs::Beside::Tests))
            .expect("the example builds");
        built.v1.parent().expect("a folder").to_owned()
    })
}

/// A place of its own for a run: its temporary folder, its store, and so what its processes are known by.
struct Run {
    folder: TempDir,
}

impl Run {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("tmp")).expect("a folder");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A flights file of the first `count` flights and these lines.
    fn flights(&self, count: usize, more: &str) -> PathBuf {
        let all = fs::read_to_string(FLIGHTS).expect("the flights are there");
        let mut cut: String = all.split_inclusive('\n').take(count + 1).collect();
        cut.push_str(more);
        let path = self.path("flights.csv");
        fs::write(&path, cut).expect("a file");
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(programs().join("examples/rolling_upgrade"));
        command
            .env("TMPDIR", self.path("tmp"))
            .arg("--programs")
            .arg(programs())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if !arguments.contains(&"--store") {
            command
                .arg("--store")
                .arg(format!("embedded:{}", self.path("quark.db").display()));
        }
        command
    }

    /// The silos of this run: they have its folder on their command line.
    fn silos(&self) -> Vec<Pid> {
        let known_by = self.folder.path().to_str().expect("a plain path");
        let processes = fs::read_dir("/proc").expect("processes can be listed");
        let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let silos = numbers.filter(|number| {
            let line = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.contains(known_by) && line.contains("--exit-with-parent")
        });
        silos.filter_map(Pid::from_raw).collect()
    }

    /// Runs it to its end; then nothing may be left.
    fn output(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().expect("it runs");
        assert_eq!(self.silos(), [], "processes are left");
        output
    }

    /// Runs it with something that it must refuse, and answers what it says.
    fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
        self.assert_tidy();
        String::from_utf8(output.stderr).expect("text")
    }

    /// Starts it and waits until the load runs.
    fn start(&self) -> Child {
        let flights = self.flights(300, "");
        let flights = flights.to_str().expect("a plain path");
        let mut child = self
            .command(&["--silos", "2", "--flights", flights])
            .spawn()
            .expect("it runs");
        let mut lines = BufReader::new(child.stdout.as_mut().expect("is piped")).lines();
        let is_running = lines.any(|line| line.is_ok_and(|line| line.contains("replaying")));
        if !is_running {
            panic!("it did not start: {:?}", child.wait_with_output());
        }
        assert_eq!(self.silos().len(), 2);
        child
    }

    fn assert_tidy(&self) {
        let left: Vec<_> = fs::read_dir(self.path("tmp")).expect("a folder").collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Waits for the end of a process that is no child of this one.
fn wait_for_end(pid: Pid) {
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    let limit = Timespec { tv_sec: 30, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)).expect("it can be waited for");
    assert_eq!(ended, 1, "process {pid:?} goes on");
}

/// R97, R134
#[test]
fn an_upgrade_under_load_fails_loses_repeats_and_reorders_nothing() {
    let run = Run::new();
    let (flights, json) = (run.flights(400, ""), run.path("receipt.json"));
    let output = run.output(&[
        "--silos",
        "2",
        "--flights",
        flights.to_str().unwrap(),
        "--json",
        json.to_str().unwrap(),
    ]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("1.0.0") && said.contains("1.1.0"), "{said}");
    run.assert_tidy();

    let receipt: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let keys: BTreeSet<&str> = receipt.as_object().unwrap().keys().map(String::as_str).collect();
    let promised = [
        "sent",
        "answered",
        "failed",
        "lost",
        "duplicated",
        "reordered",
        "wrong_totals",
        "actors",
        "moved",
        "moved_twice",
        "pause_us",
        "latency_us",
        "drain_ms",
        "silos",
    ];
    assert_eq!(keys, BTreeSet::from(promised));
    for zero in [
        "failed",
        "lost",
        "duplicated",
        "reordered",
        "wrong_totals",
        "moved_twice",
    ] {
        assert_eq!(receipt[zero], 0, "{zero} in {receipt}");
    }
    assert_eq!(receipt["sent"], receipt["answered"]);
    let number = |pointer: &str| receipt.pointer(pointer).and_then(Value::as_u64).expect(pointer);
    // Three messages a flight, but for those without a tail number, and the plain asks.
    assert!(number("/sent") > 3 * 400 - 10, "{receipt}");
    assert!(
        number("/moved") > 50 && number("/moved") <= number("/actors"),
        "{receipt}"
    );
    for measured in [
        "/pause_us/p50",
        "/pause_us/p99",
        "/pause_us/max",
        "/latency_us/before/p50",
        "/latency_us/after/p99",
    ] {
        assert!(number(measured) > 0, "{measured} in {receipt}");
    }
    assert_eq!(receipt["drain_ms"].as_array().unwrap().len(), 2);
    let silos = receipt["silos"].as_array().unwrap();
    let versions: Vec<_> = silos.iter().map(|silo| silo["version"].as_str().unwrap()).collect();
    assert_eq!(versions, ["1.0.0", "1.0.0", "1.1.0", "1.1.0"]);
    let moves = |what: &str| silos.iter().map(|silo| silo[what].as_u64().unwrap()).sum::<u64>();
    assert_eq!(
        (moves("moved_out"), moves("moved_in")),
        (number("/moved"), number("/moved")),
        "{receipt}"
    );
}

/// R88, R97: the receipt is the same, or the example fails.
#[cfg(feature = "redis")]
#[test]
fn silos_that_share_a_redis_are_upgraded_alike() {
    let server = redis::RedisServer::start();
    let run = Run::new();
    let flights = run.flights(400, "");
    let output = run.output(&[
        "--silos",
        "2",
        "--flights",
        flights.to_str().unwrap(),
        "--store",
        &server.url(),
    ]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("nothing was lost"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        server.command::<i64>(&["DBSIZE"]) > 100,
        "the actors' records are elsewhere"
    );
    run.assert_tidy();
}

#[test]
fn receipt_on_standard_output_stands_alone() {
    let run = Run::new();
    let flights = run.flights(40, "");
    let output = run.output(&["--silos", "1", "--flights", flights.to_str().unwrap(), "--json", "-"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let receipt: Value = serde_json::from_slice(&output.stdout).expect("one JSON value and nothing else");
    assert_eq!(receipt["lost"], 0);
}

#[test]
fn bad_options_are_refused_by_name() {
    let run = Run::new();
    for (arguments, parts) in [
        (&["--silos", "0"][..], &["--silos", "0"][..]),
        (&["--silos", "many"], &["--silos", "many"]),
        (&["--rate", "-1"], &["-1"]),
        (&["--rate", "0"], &["--rate", "0"]),
        (&["--port", "65534"], &["--port 65534", "65535"]),
        (&["--store", "memory:"], &["--store memory:", "embedded:"]),
        (&["--faster"], &["--faster"]),
    ] {
        let said = run.refusal(arguments);
        for part in parts {
            assert!(said.contains(part), "{said:?} does not say {part:?}");
        }
    }
}

#[test]
fn flights_that_cannot_be_used_are_refused_with_file_and_line() {
    let run = Run::new();
    let said = run.refusal(&["--flights", run.path("none.csv").to_str().unwrap()]);
    assert!(said.contains("none.csv") && said.contains("No such file"), "{said}");

    let broken = run.flights(2, "1,1,600,oops,0,700,700,0,UA,1,N1,EWR,IAH,60,100\n");
    let said = run.refusal(&["--flights", broken.to_str().unwrap()]);
    for part in ["flights.csv", "line 4", "dep_time", "oops"] {
        assert!(said.contains(part), "{said:?} does not say {part:?}");
    }
}

#[test]
fn a_folder_or_port_that_cannot_be_used_is_named() {
    let run = Run::new();
    let json = run.path("none/receipt.json");
    let said = run.refusal(&["--json", json.to_str().unwrap()]);
    assert!(said.contains("none/receipt.json"), "{said}");

    let store = format!("embedded:{}", run.path("none/quark.db").display());
    let said = run.refusal(&["--store", &store]);
    assert!(said.contains("v1-") && said.contains("none"), "{said}");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    if port < 65000 {
        let said = run.refusal(&["--port", &port.to_string()]);
        assert!(said.contains("v1-1") && said.contains(&port.to_string()), "{said}");
    }
}

#[test]
fn stopped_by_a_signal_it_leaves_nothing() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let run = Run::new();
        let mut child = run.start();
        kill_process(Pid::from_child(&child), signal).expect("it runs");
        let mut said = String::new();
        child
            .stderr
            .take()
            .expect("is piped")
            .read_to_string(&mut said)
            .expect("text");
        assert_eq!(child.wait().expect("it ends").code(), Some(code), "{said}");
        assert_eq!(run.silos(), [], "processes are left");
        run.assert_tidy();
    }
}

#[test]
fn killed_it_takes_its_silos_with_it() {
    let run = Run::new();
    let mut child = run.start();
    let silos = run.silos();
    child.kill().expect("it runs");
    assert_eq!(child.wait().expect("it ends").signal(), Some(9));
    silos.into_iter().for_each(wait_for_end);
    assert_eq!(run.silos(), [], "processes are left");
}
