//! The network between silos, which a test can part and heal: network namespaces where the machine allows them, else proxies of the
//! test's own.

use crate::{
    cluster::Cluster,
    process::{Process, Starting},
    program::Settings,
    proxy::Proxy,
    redis::RedisServer,
};
use std::{
    fs,
    process::{Command, Stdio},
};

/// Set in the process that a test runs itself in again, within namespaces of its own.
const INSIDE: &str = "QUARK_TEST_NAMESPACE";

/// Does what namespaces are wanted for, and takes it away with them.
const TRY: &str = "ip link set lo up && ip link add t0 type bridge && ip link add t1 type veth peer name t2";

/// Leads into a network namespace of one's own, for whoever may or for anybody as the root of a user namespace.
fn ways_in() -> [&'static [&'static str]; 2] {
    [
        &["unshare", "--net"],
        &["unshare", "--user", "--map-root-user", "--net"],
    ]
}

/// Where the silos of a test are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    Namespaces,
    Proxies,
}

/// Runs `test` where namespaces can be made: by running it again there. `None`: it has been run, and passed.
pub(crate) fn choose(test: &str) -> Option<Make> {
    if std::env::var_os(INSIDE).is_some() {
        return Some(Make::Namespaces);
    }
    let works = |way: &&[&str]| {
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).args(["sh", "-c", TRY]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let Some(way) = ways_in().into_iter().find(works) else {
        println!("no network namespaces here: proxies stand in for them");
        return Some(Make::Proxies);
    };
    let again = Command::new(way[0])
        .args(&way[1..])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", "--nocapture", test])
        .env(INSIDE, "yes")
        .output()
        .expect("it runs");
    print!("{}", String::from_utf8_lossy(&again.stdout));
    eprint!("{}", String::from_utf8_lossy(&again.stderr));
    assert!(again.status.success(), "in namespaces of its own: {}", again.status);
    None
}

fn ip(words: &str) {
    run(&format!("ip {words}"));
}

fn run(words: &str) {
    let output = Command::new("sh").args(["-c", words]).output().expect("a shell");
    assert!(
        output.status.success(),
        "{words}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A silo's place in the network.
struct Node {
    name: String,
    /// Its process, for namespaces.
    pid: i32,
    before: Option<Proxy>,
    before_store: Option<Proxy>,
}

/// The network of a cluster.
pub(crate) struct Network {
    make: Make,
    nodes: Vec<Node>,
    /// The silos that cannot reach each other.
    parted: Vec<(usize, usize)>,
    alone: Option<usize>,
}

impl Network {
    /// A server that silos reach wherever they are.
    pub(crate) fn redis() -> RedisServer {
        RedisServer::start_with(&["--save", "", "--bind", "0.0.0.0", "--protected-mode", "no"])
    }

    /// A cluster of these silos on its network. `server`: what their store is, else a file of theirs.
    pub(crate) async fn cluster(
        make: Make,
        mut settings: Settings,
        names: &[&str],
        server: Option<&RedisServer>,
    ) -> (Self, Cluster) {
        if make == Make::Namespaces {
            ip("link set lo up");
            ip("link add br0 type bridge");
            ip("addr add 10.77.0.254/24 dev br0");
            ip("link set br0 up");
        }
        let folder = tempfile::tempdir().expect("a folder");
        if server.is_none() {
            settings.store = format!("embedded:{}", folder.path().join("quark.db").display());
        }
        let mut network = Self {
            make,
            nodes: Vec::new(),
            parted: Vec::new(),
            alone: None,
        };
        for name in names {
            network.add_node(name, names, server).await;
        }
        let mut cluster = Cluster::empty(folder, settings);
        for name in names {
            network.start(&mut cluster, name, server).await;
        }
        cluster.know_each_other().await;
        (network, cluster)
    }

    async fn add_node(&mut self, name: &str, names: &[&str], server: Option<&RedisServer>) {
        let mut node = Node {
            name: name.into(),
            pid: 0,
            before: None,
            before_store: None,
        };
        if self.make == Make::Proxies {
            node.before = Some(Proxy::start(names).await);
            if let Some(server) = server {
                let proxy = Proxy::start(&[]).await;
                proxy.stand_before(&format!("127.0.0.1:{}", server.port()));
                node.before_store = Some(proxy);
            }
        }
        self.nodes.push(node);
    }

    fn at(&self, name: &str) -> usize {
        let found = self.nodes.iter().position(|node| node.name == name);
        found.expect("a silo of this name")
    }

    /// Starts a silo at its place, or a new one of its name.
    pub(crate) async fn start(&mut self, cluster: &mut Cluster, name: &str, server: Option<&RedisServer>) {
        let at = self.at(name);
        let mut settings = cluster.settings_of(name);
        let process = match self.make {
            Make::Proxies => {
                let node = &self.nodes[at];
                let proxy = node.before.as_ref().expect("made with the node");
                settings.advertise = Some(proxy.address());
                if let Some(proxy) = &node.before_store {
                    settings.store = format!("redis://{}/0", proxy.address());
                }
                let process = Process::start(&settings, cluster.logs(), &[]).ready().await;
                proxy.stand_before(&process.address);
                process
            }
            Make::Namespaces => {
                settings.listen = format!("10.77.0.{}:7000", at + 1);
                if let Some(server) = server {
                    settings.store = format!("redis://10.77.0.254:{}/0", server.port());
                }
                let wrapper = ["unshare", "--net", "sh", "-c", "read go; exec \"$@\"", "sh"].map(String::from);
                let mut starting = Process::start(&settings, cluster.logs(), &wrapper);
                self.plug_in(at, &starting);
                starting.let_go();
                starting.ready().await
            }
        };
        cluster.silos.push(process);
    }

    /// Connects the namespace of a process that waits to begin.
    fn plug_in(&mut self, at: usize, starting: &Starting) {
        let pid = starting.pid().as_raw_nonzero().get();
        let space = |of: &str| fs::read_link(format!("/proc/{of}/ns/net")).ok();
        let own = space("self");
        // It comes to be in its own.
        while space(&pid.to_string()) == own {
            std::thread::yield_now();
        }
        self.nodes[at].pid = pid;
        // That of a silo before goes with its namespace, but not at once.
        run(&format!("ip link del v{at} 2>/dev/null || true"));
        ip(&format!("link add v{at} type veth peer name e{at}"));
        ip(&format!("link set e{at} netns {pid}"));
        ip(&format!("link set v{at} master br0"));
        ip(&format!("link set v{at} up"));
        self.within(at, "ip link set lo up");
        self.within(at, &format!("ip addr add 10.77.0.{}/24 dev e{at}", at + 1));
        self.within(at, &format!("ip link set e{at} up"));
    }

    fn within(&self, at: usize, words: &str) {
        run(&format!("nsenter --target {} --net {words}", self.nodes[at].pid));
    }

    /// Parts one silo from the others, which all still reach the store, and the test them.
    pub(crate) fn part(&mut self, one: &str) {
        let one = self.at(one);
        for other in (0..self.nodes.len()).filter(|other| *other != one) {
            self.parted.push((one, other));
        }
        match self.make {
            Make::Namespaces => {
                for (one, other) in self.parted.clone() {
                    self.within(one, &format!("ip route add blackhole 10.77.0.{}/32", other + 1));
                    self.within(other, &format!("ip route add blackhole 10.77.0.{}/32", one + 1));
                }
            }
            Make::Proxies => {
                let others: Vec<&str> = self.others(one);
                self.proxy(one).block(&others);
                for (_, other) in &self.parted {
                    self.proxy(*other).block(&[&self.nodes[one].name]);
                }
            }
        }
    }

    /// Parts one silo from everything: the others, the store, and the test.
    pub(crate) fn isolate(&mut self, one: &str) {
        let one = self.at(one);
        self.alone = Some(one);
        match self.make {
            Make::Namespaces => ip(&format!("link set v{one} down")),
            Make::Proxies => {
                let mut all = self.others(one);
                all.push("");
                self.proxy(one).block(&all);
                for at in (0..self.nodes.len()).filter(|at| *at != one) {
                    self.proxy(at).block(&[&self.nodes[one].name]);
                }
                let store = self.nodes[one].before_store.as_ref();
                store.expect("a store behind a proxy").block(&[""]);
            }
        }
    }

    /// Parts one silo from the test alone; by proxies.
    pub(crate) fn hide(&mut self, one: &str) {
        self.proxy(self.at(one)).block(&[""]);
    }

    /// All reach all again.
    pub(crate) fn heal(&mut self) {
        match self.make {
            Make::Namespaces => {
                for (one, other) in std::mem::take(&mut self.parted) {
                    self.within(one, &format!("ip route del blackhole 10.77.0.{}/32", other + 1));
                    self.within(other, &format!("ip route del blackhole 10.77.0.{}/32", one + 1));
                }
                if let Some(one) = self.alone.take() {
                    ip(&format!("link set v{one} up"));
                }
            }
            Make::Proxies => {
                for node in &self.nodes {
                    for proxy in node.before.iter().chain(&node.before_store) {
                        proxy.block(&[]);
                    }
                }
            }
        }
    }

    fn proxy(&self, at: usize) -> &Proxy {
        self.nodes[at].before.as_ref().expect("made with the node")
    }

    fn others(&self, one: usize) -> Vec<&str> {
        let others = self.nodes.iter().enumerate().filter(|(at, _)| *at != one);
        others.map(|(_, node)| node.name.as_str()).collect()
    }
}
