//! A `redis-server` of a test's own: on a free port of this machine, with a folder of its own, ended with its holder or, if
//! that cannot be, with the process.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test uses a part, and nobody else sees it"
)]

use deadpool_redis::redis;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    process::{self, Child, ChildStdin, Command, Stdio},
    sync::{
        atomic::{AtomicU16, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// Runs the server and waits. When its input ends, because it is told so or because the test's process is gone, it ends
/// the server, and takes the folder away unless told to keep it.
const GUARDIAN: &str = r#"
folder=$1; shift
redis-server "$@" &
server=$!
echo "server $server"
read -r wish
kill -9 $server
wait $server
[ "$wish" = keep ] || rm -rf "$folder"
"#;

/// A long time for a server to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A server.
pub struct RedisServer {
    folder: TempDir,
    port: u16,
    arguments: Vec<String>,
    running: Option<Running>,
}

struct Running {
    guardian: Child,
    input: Option<ChildStdin>,
    server: Pid,
}

impl RedisServer {
    /// A server that keeps nothing when it ends, but what it is told to [save](Self::save_snapshot).
    pub fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"])
    }

    /// A server that keeps all that it answered.
    pub fn durable() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
    }

    /// A server with these arguments besides; `{port}` stands for its port.
    pub fn start_with(arguments: &[&str]) -> Self {
        assert!(
            Command::new("redis-server")
                .arg("--version")
                .stdout(Stdio::null())
                .status()
                .is_ok(),
            "redis-server is missing: install it with `apt-get install redis-server` (or `make prerequisites`)"
        );
        let mut server = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            port: 0,
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            running: None,
        };
        // A port that was free may have been taken meanwhile.
        let mut seen = String::new();
        for _ in 0..5 {
            server.port = free_port();
            match server.run() {
                Ok(running) => {
                    server.running = Some(running);
                    return server;
                }
                Err(said) => seen = said,
            }
        }
        panic!("redis-server does not start: {seen}");
    }

    fn run(&self) -> Result<Running, String> {
        let folder = self.folder.path().to_str().expect("an UTF-8 path");
        let port = self.port.to_string();
        let mut guardian = Command::new("sh")
            .args(["-c", GUARDIAN, "guardian", folder])
            .args(["--bind", "127.0.0.1", "--dir", folder, "--port", &port])
            .args(self.arguments.iter().map(|argument| argument.replace("{port}", &port)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let input = guardian.stdin.take().expect("piped");
        let output = BufReader::new(guardian.stdout.take().expect("piped"));
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            // To its end: a server whose log nobody reads would stand still.
            for line in output.lines().map_while(Result::ok) {
                let _nobody_waits_any_more = tell.send(line);
            }
        });
        let mut running = Running {
            guardian,
            input: Some(input),
            server: Pid::INIT,
        };
        let mut said = String::new();
        while let Ok(line) = told.recv_timeout(START_TIMEOUT) {
            if let Some(pid) = line.strip_prefix("server ") {
                let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
                running.server = pid.expect("a process id");
            }
            if line.contains("Ready to accept connections") {
                return Ok(running);
            }
            said = said + &line + "\n";
            if line.contains("Address already in use") || line.contains("FATAL") {
                break;
            }
        }
        running.end("keep");
        Err(said)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection to look behind the store.
    pub fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).expect("its URL");
        client.get_connection().expect("it answers")
    }

    /// Runs a command.
    pub fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut self.connection()).expect("it is done")
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        self.running.take().expect("it runs").end("keep");
    }

    /// Starts it again where it was, with what it has kept.
    pub fn restart(&mut self) {
        assert!(self.running.is_none(), "it runs");
        match self.run() {
            Ok(running) => self.running = Some(running),
            Err(said) => panic!("redis-server does not start again: {said}"),
        }
    }

    /// Starts it again where it was, with these arguments instead.
    pub fn restart_with(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self.restart();
    }

    /// Has it write all that it holds to its file, which it reads when it is started again.
    pub fn save_snapshot(&self) {
        let () = self.command(&["SAVE"]);
        assert!(fs::exists(self.folder.path().join("dump.rdb")).expect("a folder"));
    }

    /// Stops its process, which keeps its connections.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let running = self.running.as_ref().expect("it runs");
        kill_process(running.server, signal).expect("its process is there");
    }
}

impl Running {
    fn end(&mut self, wish: &str) {
        if let Some(mut input) = self.input.take() {
            // A guardian that is gone has ended its server.
            let _gone = writeln!(input, "{wish}");
        }
        let _gone = self.guardian.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end("keep");
    }
}

/// A port that nobody listens on, and that the system gives to nobody who asks for any: a client that looks for a server that
/// is down would at times find itself there.
pub fn free_port() -> u16 {
    static LAST: AtomicU16 = AtomicU16::new(0);
    let first = process::id().wrapping_mul(997) % 20_000;
    loop {
        let number = u32::from(LAST.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(10_000 + (first + number) % 20_000).expect("below 30,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
