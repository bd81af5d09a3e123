//! A rollout as its controller sees it: two silos of the old version, two of the new.

use super::{Command, Criteria, Observed, OnBad, Phase, Plan, PlanError, Request, Rollout, SiloReport};
use crate::{
    ident::{ActorId, SiloId, Weight},
    schema::{Form, Hash, Schema},
    store::{KindManifest, MemberRow, conformance},
    telemetry::KindFigures,
    version::{Rule, VersionPolicy, parse},
    wire,
};
use std::{collections::BTreeMap, time::Duration};

const OLD: &str = "1.0.0";
const NEW: &str = "1.1.0";

fn silo(name: &str) -> SiloId {
    SiloId::new(name, 1)
}

fn row(name: &str, version: &str, messages: &[&str]) -> MemberRow {
    let manifest = KindManifest {
        messages: messages.iter().map(|message| (*message).to_owned()).collect(),
        ..KindManifest::new(parse(version).expect("valid"))
    };
    let mut row = conformance::row(&silo(name));
    row.manifest.kinds.insert("cart".to_owned(), manifest);
    row
}

fn rows() -> Vec<MemberRow> {
    let old = ["a", "b"].map(|name| row(name, OLD, &["add"]));
    let new = ["c", "d"].map(|name| row(name, NEW, &["add", "remove"]));
    old.into_iter().chain(new).collect()
}

fn report(name: &str, version: &str, actors: u64) -> SiloReport {
    SiloReport {
        silo: silo(name),
        follows: None,
        misplaced: 0,
        stuck: Vec::new(),
        left: Vec::new(),
        versions: BTreeMap::from([("cart".to_owned(), parse(version).expect("valid"))]),
        activations: BTreeMap::from([("cart".to_owned(), actors)]),
        figures: BTreeMap::from([("cart".to_owned(), KindFigures::default())]),
        arrived: Default::default(),
        departed: 0,
    }
}

/// A message that holds something of this form.
fn of(form: Form) -> Schema {
    Schema {
        root: Form::Tuple(vec![form, Form::Unit]),
        types: BTreeMap::new(),
    }
}

/// What is recorded in the store.
fn schemas() -> BTreeMap<Hash, Schema> {
    [Form::Text, Form::Bool, Form::Unsigned(8)]
        .map(of)
        .map(|schema| (schema.hash(), schema))
        .into()
}

/// The cluster, and the record that its store has.
struct Cluster {
    rollout: Rollout,
    reports: Vec<SiloReport>,
    now: u64,
}

impl Cluster {
    fn with(criteria: Criteria) -> Self {
        let reports = vec![
            report("a", OLD, 500),
            report("b", OLD, 500),
            report("c", NEW, 0),
            report("d", NEW, 0),
        ];
        let request = Request {
            criteria,
            ..Request::default()
        };
        let plan = plan(&request, None, &rows(), &reports).expect("possible");
        Self {
            rollout: plan.rollout,
            reports,
            now: 1,
        }
    }

    /// Looks, having seen the record unchanged for so long, and writes what follows.
    fn look(&mut self, unchanged_for: Duration) -> bool {
        self.now += 1;
        let active: Vec<_> = self.reports.iter().map(|report| report.silo.clone()).collect();
        let seen = Observed {
            at_micros: self.now,
            unchanged_for,
            active: &active,
            reports: &self.reports,
        };
        let next = self.rollout.advance(&seen);
        let changed = next.is_some();
        if let Some(next) = next {
            assert!(next.revision > self.rollout.revision, "every change is a new revision");
            self.rollout = next;
        }
        changed
    }

    /// All silos have read the record and moved what it moves.
    fn settle(&mut self) {
        for report in &mut self.reports {
            report.follows = Some((self.rollout.number, self.rollout.revision));
            report.misplaced = 0;
        }
        assert!(self.look(Duration::from_secs(1)));
    }

    /// Turns at every silo; a number of them panic at the new ones.
    fn work(&mut self, turns: u64, panics_of_new: u64) {
        for report in &mut self.reports {
            let is_new = report.versions["cart"] == parse(NEW).expect("valid");
            let figures = report.figures.get_mut("cart").expect("there");
            figures.turns += turns;
            figures.panics += if is_new { panics_of_new } else { 0 };
        }
    }

    fn command(&mut self, command: &Command) {
        self.rollout = self.rollout.obey(command, "a test", self.now).expect("it fits");
    }

    fn log(&self) -> String {
        let log: Vec<_> = self.rollout.log.iter().map(|entry| entry.what.as_str()).collect();
        log.join("\n")
    }
}

fn plan(
    request: &Request,
    last: Option<&Rollout>,
    rows: &[MemberRow],
    reports: &[SiloReport],
) -> Result<Plan, Vec<PlanError>> {
    Plan::new(
        request,
        last,
        rows.iter(),
        reports,
        |_| VersionPolicy::default(),
        &schemas(),
        1,
    )
}

const SOON: Duration = Duration::from_secs(1);
const WATCHED: Duration = Duration::from_secs(31);

#[test]
fn a_good_version_goes_to_all_actors_step_by_step_and_is_finalized() {
    let mut cluster = Cluster::with(Criteria::default());
    let mut weights = vec![cluster.rollout.weight.to_string()];
    while cluster.rollout.phase != Phase::Complete {
        cluster.settle();
        cluster.work(200, 0);
        assert!(!cluster.look(SOON), "a step is watched for its time");
        assert!(cluster.look(WATCHED));
        weights.push(cluster.rollout.weight.to_string());
    }
    assert_eq!(weights, ["10 %", "50 %", "100 %", "100 %"]);
    cluster.command(&Command::Finalize);
    assert!(cluster.rollout.is_over());
    let turns: Vec<_> = cluster
        .rollout
        .receipts
        .iter()
        .map(|receipt| receipt.new["cart"].turns)
        .collect();
    assert_eq!(turns, [400, 400, 400], "each step is judged by what happened in it");
}

#[test]
fn nothing_is_good_as_long_as_a_silo_does_not_say_how_it_does() {
    let mut cluster = Cluster::with(Criteria::default());
    cluster.settle();
    cluster.work(200, 0);
    let active: Vec<_> = cluster.reports.iter().map(|report| report.silo.clone()).collect();
    let advance = |cluster: &Cluster, unchanged_for, silent: usize| {
        let seen = Observed {
            at_micros: 9,
            unchanged_for,
            active: &active,
            reports: &cluster.reports[silent..],
        };
        cluster.rollout.advance(&seen)
    };
    assert!(advance(&cluster, WATCHED, 1).is_none(), "it may answer yet");
    let limit = cluster.rollout.criteria.watch_limit + SOON;
    let paused = advance(&cluster, limit, 1).expect("it waits no longer");
    assert!(matches!(paused.phase, Phase::Paused { .. }), "{:?}", paused.phase);
    let why = &paused.log.last().expect("it says why").what;
    assert!(why.contains(&format!("no word from {}", active[0])), "{why}");
    assert!(advance(&cluster, WATCHED, 0).is_some(), "all have spoken");
}

#[test]
fn the_receipt_says_what_was_expected_and_that_as_many_came_as_left() {
    let mut cluster = Cluster::with(Criteria::default());
    assert_eq!(cluster.rollout.forecast.moves, [100, 400, 500]);
    assert!(
        cluster.rollout.forecast.takes >= Duration::from_secs(90),
        "three steps are watched"
    );
    for (step, moves) in [100, 400, 500].into_iter().enumerate() {
        cluster.reports[step % 2].departed += moves;
        cluster.reports[2].arrived.actors += moves;
        cluster.settle();
        cluster.work(200, 0);
        assert!(cluster.look(WATCHED));
    }
    let receipt = cluster.rollout.receipt();
    assert_eq!((receipt.arrived, receipt.departed), (1_000, Some(1_000)));
    assert_eq!(receipt.expected.moves.iter().sum::<u64>(), receipt.arrived);
}

#[test]
fn a_silo_that_is_gone_takes_its_count_with_it() {
    let mut cluster = Cluster::with(Criteria::default());
    cluster.reports.remove(0);
    cluster.settle();
    assert_eq!(cluster.rollout.receipts[0].departed, None);
    assert_eq!(cluster.rollout.receipt().departed, None);
}

/// Guarantee 19.
#[test]
fn the_weight_only_grows_on_the_way_forward() {
    let mut cluster = Cluster::with(Criteria::default());
    let mut last = Weight::NONE;
    for _ in 0..3 {
        assert!(cluster.rollout.weight > last);
        last = cluster.rollout.weight;
        cluster.command(&Command::Pause);
        cluster.command(&Command::Resume);
        assert_eq!(cluster.rollout.weight, last, "a pause changes nothing");
        cluster.settle();
        cluster.command(&Command::Promote);
    }
    assert_eq!(cluster.rollout.phase, Phase::Complete);
}

#[test]
fn nothing_moves_on_before_all_silos_have_settled() {
    let mut cluster = Cluster::with(Criteria::default());
    let record = (cluster.rollout.number, cluster.rollout.revision);
    assert!(!cluster.look(SOON), "nobody knows of it");
    for report in &mut cluster.reports {
        report.follows = Some(record);
    }
    cluster.reports[0].misplaced = 3;
    assert!(!cluster.look(SOON), "one has actors left to move");
    cluster.reports[0].misplaced = 0;
    cluster.reports[1].follows = Some((record.0, record.1 - 1));
    assert!(!cluster.look(SOON), "one goes by an older record");
    let silent = cluster.reports.remove(1);
    let active: Vec<_> = ["a", "b", "c", "d"].map(silo).into();
    let seen = Observed {
        at_micros: 1,
        unchanged_for: SOON,
        active: &active,
        reports: &cluster.reports,
    };
    assert_eq!(cluster.rollout.advance(&seen), None, "one does not answer");
    cluster.reports.push(silent);
    cluster.settle();
    assert_eq!(cluster.rollout.phase, Phase::Watching { step: 0 });
}

#[test]
fn silos_that_do_not_settle_in_time_pause_it_and_are_named() {
    let mut cluster = Cluster::with(Criteria::default());
    cluster.reports[0].follows = Some((1, 1));
    cluster.reports[0].misplaced = 2;
    assert!(cluster.look(Duration::from_secs(601)));
    let Phase::Paused { step: 0, why } = &cluster.rollout.phase else {
        panic!("{:?}", cluster.rollout.phase);
    };
    assert!(
        why.contains("a#1 has 2 actors left to move") || why.contains("has 2 actors left to move"),
        "{why}"
    );
    assert!(why.contains("does not know the rollout yet"), "{why}");
}

#[test]
fn a_way_back_that_takes_too_long_is_paused_names_who_is_left_and_can_be_resumed() {
    let mut cluster = Cluster::with(Criteria::default());
    cluster.command(&Command::RollBack {
        why: "cold feet".into(),
    });
    for report in &mut cluster.reports {
        report.follows = Some((cluster.rollout.number, cluster.rollout.revision));
    }
    let actor = |key: &str| ActorId::new("cart", key).expect("valid");
    cluster.reports[2].misplaced = 2;
    cluster.reports[2].stuck = vec![(actor("alice"), "its turn does not end".to_owned())];
    cluster.reports[2].left = vec![actor("bob")];
    assert!(!cluster.look(Duration::from_secs(600)));
    assert!(cluster.look(Duration::from_secs(601)));
    let Phase::PausedBack { why, stopped } = &cluster.rollout.phase else {
        panic!("{:?}", cluster.rollout.phase);
    };
    assert!(why.contains("cold feet"), "{why}");
    let left = "has 2 actors left to move (cart/alice: its turn does not end, cart/bob)";
    assert!(stopped.contains(left) && cluster.log().contains(left), "{stopped}");
    assert!(!cluster.look(Duration::from_secs(6000)), "until somebody decides");
    let promote = cluster.rollout.obey(&Command::Promote, "a test", 1);
    let refused = promote.expect_err("an actor would move a third time");
    assert!(refused.to_string().ends_with("it can be resumed"), "{refused}");
    cluster.command(&Command::Resume);
    cluster.settle();
    assert!(matches!(&cluster.rollout.phase, Phase::RolledBack { why } if why.contains("cold feet")));
}

/// R96
#[test]
fn a_bad_verdict_rolls_back_by_itself() {
    let mut cluster = Cluster::with(Criteria::default());
    cluster.settle();
    cluster.work(100, 50);
    assert!(cluster.look(SOON), "it does not wait for the end of the watch");
    assert!(
        matches!(cluster.rollout.phase, Phase::RollingBack { .. }),
        "{}",
        cluster.log()
    );
    assert_eq!(cluster.rollout.weight, Weight::NONE);
    assert!(!cluster.look(SOON), "until all are back");
    cluster.settle();
    let Phase::RolledBack { why } = &cluster.rollout.phase else {
        panic!("{}", cluster.log());
    };
    assert!(
        why.contains("cart: panics: 100 of 200 (the old version: 0 of 200)"),
        "{why}"
    );
    assert_eq!(cluster.rollout.receipts[0].findings["cart"].len(), 1);
}

#[test]
fn a_bad_verdict_pauses_if_the_criteria_say_so() {
    let mut cluster = Cluster::with(Criteria {
        on_bad: OnBad::Pause,
        ..Criteria::default()
    });
    cluster.settle();
    cluster.work(100, 50);
    assert!(cluster.look(SOON));
    assert!(matches!(cluster.rollout.phase, Phase::Paused { step: 0, .. }));
    assert_eq!(
        cluster.rollout.weight.to_string(),
        "10 %",
        "everything stays where it is"
    );
}

#[test]
fn what_happened_before_the_watch_does_not_count() {
    let mut cluster = Cluster::with(Criteria::default());
    cluster.work(100, 100);
    cluster.settle();
    cluster.work(200, 0);
    assert!(cluster.look(WATCHED));
    assert_eq!(cluster.rollout.phase, Phase::Moving { step: 1 }, "{}", cluster.log());
}

#[test]
fn a_new_version_that_nobody_uses_pauses_it_when_the_time_is_up() {
    let mut cluster = Cluster::with(Criteria::default());
    cluster.settle();
    for report in &mut cluster.reports[..2] {
        report.figures.get_mut("cart").expect("there").turns += 1_000;
    }
    assert!(!cluster.look(WATCHED));
    assert!(cluster.look(Duration::from_secs(601)));
    assert!(cluster.log().contains("cart: 0 turns of 100"), "{}", cluster.log());
}

#[test]
fn a_kind_without_any_turns_holds_nothing_up() {
    let mut cluster = Cluster::with(Criteria::default());
    cluster.settle();
    assert!(cluster.look(WATCHED));
    assert_eq!(cluster.rollout.phase, Phase::Moving { step: 1 });
    assert!(cluster.log().contains("nothing was judged"), "{}", cluster.log());
}

/// The last step leaves nobody with the old version: it is compared with what the old one did before.
#[test]
fn the_last_step_is_compared_with_what_the_old_version_did_last() {
    let mut cluster = Cluster::with(Criteria::default());
    for _ in 0..2 {
        cluster.settle();
        cluster.work(200, 0);
        assert!(cluster.look(WATCHED));
    }
    cluster.settle();
    for report in &mut cluster.reports[2..] {
        let figures = report.figures.get_mut("cart").expect("there");
        (figures.turns, figures.panics) = (figures.turns + 200, figures.panics + 60);
    }
    assert!(cluster.look(SOON));
    assert!(
        matches!(&cluster.rollout.phase, Phase::RollingBack { why } if why.contains("0 of 400")),
        "{}",
        cluster.log()
    );
}

/// All that a controller knows is in the record, which the store keeps; it is read as it was written.
#[test]
fn a_controller_that_takes_over_goes_on_where_the_record_stands() {
    let mut cluster = Cluster::with(Criteria::default());
    cluster.settle();
    cluster.work(200, 0);
    let read: Rollout = wire::decode(&wire::encode(&cluster.rollout).expect("written")).expect("read");
    assert_eq!(read, cluster.rollout);
    cluster.rollout = read;
    assert!(!cluster.look(SOON), "the watch begins anew with the controller");
    assert!(cluster.look(WATCHED));
    assert_eq!(
        cluster.rollout.receipts[0].new["cart"].turns, 400,
        "by the marks of the one before"
    );
}

#[test]
fn a_silo_that_joins_during_a_watch_counts_from_its_start() {
    let mut cluster = Cluster::with(Criteria::default());
    cluster.settle();
    cluster.work(60, 0);
    let mut joined = report("e", NEW, 0);
    joined.figures.get_mut("cart").expect("there").turns = 30;
    cluster.reports.push(joined);
    assert!(cluster.look(WATCHED));
    assert_eq!(cluster.rollout.receipts[0].new["cart"].turns, 150);
}

#[test]
fn commands_that_do_not_fit_say_what_does() {
    let mut cluster = Cluster::with(Criteria::default());
    let error = cluster
        .rollout
        .obey(&Command::Finalize, "a test", 1)
        .expect_err("too early");
    assert_eq!(
        error.to_string(),
        "rollout 1 cannot be finalized while it is moving; it can be paused or rolled back"
    );
    assert!(cluster.rollout.obey(&Command::Promote, "a test", 1).is_err());
    cluster.command(&Command::RollBack {
        why: "cold feet".into(),
    });
    assert!(cluster.rollout.obey(&Command::Resume, "a test", 1).is_err());
    cluster.settle();
    assert!(matches!(&cluster.rollout.phase, Phase::RolledBack { why } if why.contains("cold feet")));
    assert!(cluster.rollout.obey(&Command::Pause, "a test", 1).is_err());
}

#[test]
fn nothing_happens_by_itself_while_it_is_paused_complete_or_over() {
    let mut cluster = Cluster::with(Criteria::default());
    cluster.command(&Command::Pause);
    for report in &mut cluster.reports {
        report.follows = Some((cluster.rollout.number, cluster.rollout.revision));
    }
    assert!(!cluster.look(Duration::from_secs(10_000)));
    cluster.command(&Command::RollBack { why: "w".into() });
    cluster.settle();
    assert!(!cluster.look(Duration::from_secs(10_000)));
}

#[test]
fn a_plan_says_what_moves_in_each_step() {
    let reports = [report("a", OLD, 1_000), report("c", NEW, 0)];
    let plan = plan(&Request::default(), None, &rows(), &reports).expect("possible");
    assert_eq!(plan.rollout.number, 1);
    assert_eq!(plan.kinds.len(), 1);
    let cart = &plan.kinds[0];
    assert_eq!(
        (cart.actors, cart.moves.as_slice()),
        (1_000, [100, 400, 500].as_slice())
    );
    assert_eq!((cart.silos_with_old, cart.silos_with_new), (2, 2));
    assert_eq!(cart.target.to.to_string(), NEW, "the newest");
    assert_eq!(plan.bytes_per_actor, None, "nothing has moved yet");
}

#[test]
fn a_plan_is_refused_with_everything_that_is_wrong() {
    let rows = [row("a", OLD, &["add", "empty"]), row("c", "2.0.0", &["add"])];
    let ten = Weight::new(1_000).expect("valid");
    let request = Request {
        steps: vec![ten, ten],
        criteria: Criteria {
            slower_percent: 50,
            ..Criteria::default()
        },
        ..Request::default()
    };
    let running = Cluster::with(Criteria::default()).rollout;
    let wrong = plan(&request, Some(&running), &rows, &[]).expect_err("impossible");
    let text: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    let text = text.join("\n");
    for part in [
        "rollout 1 is moving; finalize it or roll it back first",
        "the steps are 10 %, 10 %; each must be greater than the one before, and the last 100 %",
        "slower_percent is below 100",
        "forbids moving \"cart\" from 1.0.0 to 2.0.0",
        "forbids moving \"cart\" from 2.0.0 to 1.0.0",
        "\"cart\" 2.0.0 does not take empty, which 1.0.0 takes",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    assert_eq!(wrong.len(), 6);
}

/// R138
#[test]
fn a_plan_is_refused_if_the_versions_cannot_read_each_other() {
    let with = |name, version, form| {
        let mut row = row(name, version, &["add"]);
        let kind = row.manifest.kinds.get_mut("cart").expect("there");
        kind.schemas.messages.insert("add".into(), of(form).hash());
        row
    };
    let why = |rows: &[MemberRow]| {
        let wrong = plan(&Request::default(), None, rows, &[]).expect_err("unreadable");
        assert!(matches!(wrong[..], [PlanError::Unreadable { .. }]), "{wrong:?}");
        wrong[0].to_string()
    };
    let text = why(&[with("a", OLD, Form::Text), with("c", NEW, Form::Bool)]);
    assert!(
        text.contains("\"cart\" 1.0.0 and 1.1.0 cannot read each other: message add: bool: it was text and is bool"),
        "{text}"
    );
    let text = why(&[with("a", OLD, Form::Text), with("c", NEW, Form::Char)]);
    assert!(text.contains("is not recorded"), "{text}");
    let same = [with("a", OLD, Form::Char), with("c", NEW, Form::Char)];
    plan(&Request::default(), None, &same, &[]).expect("the same needs no record");
    let silent = [row("a", OLD, &["add"]), with("c", NEW, Form::Char)];
    plan(&Request::default(), None, &silent, &[]).expect("older programs say nothing");
}

#[test]
fn a_plan_without_silos_of_the_version_names_what_there_is() {
    let request = |version: &str| Request {
        kinds: BTreeMap::from([("cart".to_owned(), parse(version).expect("valid"))]),
        ..Request::default()
    };
    let only_old = [row("a", OLD, &["add"])];
    let text =
        |request: &Request, rows: &[MemberRow]| plan(request, None, rows, &[]).expect_err("impossible")[0].to_string();
    assert!(text(&request(NEW), &only_old).contains("in version 1.1.0; hosted: 1.0.0"));
    assert!(text(&request(OLD), &only_old).contains("there is nothing to move"));
    assert!(text(&Request::default(), &only_old).contains("no kind is hosted in two versions"));
}

#[test]
fn the_next_rollout_follows_one_that_is_over_and_may_lead_back() {
    let mut cluster = Cluster::with(Criteria::default());
    cluster.command(&Command::RollBack { why: "w".into() });
    cluster.settle();
    let back = Request {
        kinds: BTreeMap::from([("cart".to_owned(), parse(OLD).expect("valid"))]),
        steps: vec![Weight::ALL],
        ..Request::default()
    };
    let rows = [row("a", OLD, &["add"]), row("c", NEW, &["add"])];
    let plan = plan(&back, Some(&cluster.rollout), &rows, &cluster.reports).expect("possible");
    assert_eq!(plan.rollout.number, 2);
}

#[test]
fn a_policy_of_the_kind_counts() {
    let strict = |_: &str| VersionPolicy::new(Rule::Strict);
    let schemas = schemas();
    let wrong = Plan::new(&Request::default(), None, rows().iter(), &[], strict, &schemas, 1).expect_err("forbidden");
    assert!(wrong.iter().all(|error| matches!(error, PlanError::Forbidden { .. })));
}
