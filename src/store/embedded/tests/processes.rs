//! Several processes: this one runs its own test program again, which plays a part in the same file.

use super::{Place, actor, block_on};
use crate::{
    ident::SiloId,
    store::{EmbeddedStore, RegisterOutcome, Store, embedded::job::Access},
};
use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

/// The part that this process plays: `PART:NUMBER:PATH`. Set only by the tests below.
const PART: &str = "QUARK_TEST_STORE_PART";

/// What several processes contend for.
const CONTESTED: u32 = 300;

/// How often each of several processes writes without pause.
const HURRIED: u32 = 500;

/// Not a law, but the other process: it plays its part and ends, and does nothing where none is given.
#[test]
fn another_process() {
    let Ok(part) = env::var(PART) else { return };
    let [part, number, path] = <[_; 3]>::try_from(part.splitn(3, ':').collect::<Vec<_>>()).unwrap();
    let store = EmbeddedStore::open(Path::new(path), "test").unwrap();
    let silo = SiloId::new("silo", number.parse().unwrap());
    match part {
        "contend" => contend(&store, &silo),
        "write" => write_until_killed(&store, &silo),
        "hurry" => write_without_pause(&store, &silo),
        other => panic!("there is no part {other}"),
    }
}

/// Registers what others register too, and tells what it won.
fn contend(store: &EmbeddedStore, silo: &SiloId) {
    for key in 0..CONTESTED {
        let outcomes = block_on(store.register(silo, vec![actor(&key.to_string())])).unwrap();
        if let RegisterOutcome::Registered(_) = outcomes[0] {
            tell(&key.to_string());
        }
    }
}

/// Registers one actor after the other and tells each that was answered.
fn write_until_killed(store: &EmbeddedStore, silo: &SiloId) {
    for key in 0_u64.. {
        block_on(store.register(silo, vec![actor(&key.to_string())])).unwrap();
        tell(&key.to_string());
    }
}

/// Writes as fast as it can, and tells how many turns of others it has waited for at most.
fn write_without_pause(store: &EmbeddedStore, silo: &SiloId) {
    // All begin together, or the last ones would find the others gone.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    for key in 0..HURRIED {
        let key = format!("{}-{key}", silo.incarnation());
        block_on(store.register(silo, vec![actor(&key)])).unwrap();
    }
    let longest = store.submit(Access::Reads, 1, |file| Ok(file.longest_line.get()));
    tell(&block_on(longest).unwrap().to_string());
}

/// A line to the process that started this one. The test harness writes to the standard output, so this does not.
fn tell(line: &str) {
    writeln!(std::io::stderr(), "{line}").unwrap();
}

fn start(place: &Place, part: &str, number: u64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([
            &format!("{}::another_process", module_path!().split_once("::").unwrap().1),
            "--exact",
            "--nocapture",
        ])
        .env(PART, format!("{part}:{number}:{}", place.path().display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap)
}

#[test]
fn of_processes_that_register_one_actor_one_wins() {
    let place = Place::new();
    let mut processes: Vec<Child> = (1..=3).map(|number| start(&place, "contend", number)).collect();
    let mut won = BTreeSet::new();
    for (number, process) in (1..).zip(&mut processes) {
        let told: BTreeSet<String> = lines(process).collect();
        assert!(process.wait().unwrap().success(), "process {number}: {told:?}");
        let owned = block_on(place.open().owned_by(&SiloId::new("silo", number))).unwrap();
        let owned: BTreeSet<String> = owned.iter().map(|actor| actor.key().to_owned()).collect();
        assert_eq!(told, owned, "what process {number} was told that it owns");
        for key in told {
            assert!(won.insert(key.clone()), "{key} was won twice");
        }
    }
    assert_eq!(won.len(), CONTESTED as usize);
}

#[test]
fn what_was_answered_survives_the_kill_of_the_process() {
    let place = Place::new();
    let mut process = start(&place, "write", 1);
    let mut told = lines(&mut process);
    let seen: Vec<String> = told.by_ref().take(200).collect();
    process.kill().unwrap();
    process.wait().unwrap();
    let answered: Vec<String> = seen.into_iter().chain(told).collect();
    assert!(answered.len() >= 200, "the process ended by itself: {answered:?}");

    let store = place.open();
    let owned = block_on(store.owned_by(&SiloId::new("silo", 1))).unwrap();
    let owned: BTreeSet<&str> = owned.iter().map(|actor| actor.key()).collect();
    let lost: Vec<&String> = answered.iter().filter(|key| !owned.contains(key.as_str())).collect();
    assert_eq!(lost, Vec::<&String>::new());
    assert!(owned.len() <= answered.len() + 1, "one at most was under way");
}

/// Counted in the others' transactions: what they take depends on the disk.
#[test]
fn of_processes_that_write_as_fast_as_they_can_each_gets_its_turn() {
    const PROCESSES: u64 = 4;
    let place = Place::new();
    drop(place.open());
    let mut processes: Vec<Child> = (1..=PROCESSES).map(|number| start(&place, "hurry", number)).collect();
    for process in &mut processes {
        process.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
    for process in &mut processes {
        let told: Vec<String> = lines(process).collect();
        assert!(process.wait().unwrap().success(), "{told:?}");
        let longest: u64 = told[0].parse().unwrap();
        println!("waited for {longest} turns of others at most");
        // In order it is one of each other. More, if the machine does not let one take a lock that is free: 20 ms are enough.
        assert!(longest <= 20 * PROCESSES, "it waited for {longest} turns of others");
    }
}
