//! Versions that meet in a running cluster: who is let in beside whom, and what operators say of them while it runs.

mod common;

use common::{cluster_name, know_each_other, silo, until};
use quark::{
    actor::Hosted,
    admin::{Admin, AdminError},
    client::Client,
    ident::ActorId,
    placement::{Keys, RuleChange, Switch},
    prelude::*,
    rollout::{REPORT_QUERY, Request, SiloReport},
    silo::{SchemaConflicts, SiloHandle, SiloOptions, StartError},
    version::{Preference, Rule, VersionPolicy, parse},
    wire::{self, MoveFailure, Ran},
};
use std::sync::Arc;

/// Says in which version and where it runs.
#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "clerk.who", reply = (String, String))]
struct Who;

/// A clerk in a version of its own, that keeps a note.
macro_rules! clerk {
    ($name:ident, $version:literal, $note:ty, $message:literal) => {
        mod $name {
            use super::*;

            #[derive(Debug, Message, Serialize, Deserialize)]
            #[message(name = $message)]
            pub(super) struct Note(pub(super) $note);

            #[derive(Debug, Default, Serialize, Deserialize, Shape)]
            pub(super) struct Clerk {
                note: Option<$note>,
            }

            #[actor(kind = "clerk", messages(Who, Note), version = $version, unlisted)]
            impl Actor for Clerk {}

            impl Handler<Who> for Clerk {
                async fn handle(&mut self, _: Who, ctx: &mut Context<Self>) -> (String, String) {
                    (Self::VERSION.to_owned(), ctx.key().to_owned())
                }
            }

            impl Handler<Note> for Clerk {
                async fn handle(&mut self, note: Note, _: &mut Context<Self>) {
                    self.note = Some(note.0);
                }
            }
        }
    };
}

clerk!(first, "1.0.0", u32, "clerk.note");
clerk!(second, "1.1.0", u32, "clerk.note");
clerk!(third, "2.0.0", u32, "clerk.note");
clerk!(breaking, "1.2.0", String, "clerk.note");

/// Another kind, so that something is left where clerks are masked.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Porter;

#[actor(kind = "porter", messages(Who), version = "1.0.0", unlisted)]
impl Actor for Porter {}

impl Handler<Who> for Porter {
    async fn handle(&mut self, _: Who, ctx: &mut Context<Self>) -> (String, String) {
        (Self::VERSION.to_owned(), ctx.key().to_owned())
    }
}

fn options(cluster: &str, name: &str, schema_conflicts: SchemaConflicts) -> SiloOptions {
    SiloOptions {
        name: name.into(),
        cluster: cluster.into(),
        store: format!("memory:{cluster}"),
        workers: 2,
        handle_signals: false,
        schema_conflicts,
        ..SiloOptions::default()
    }
}

async fn start<A: Actor + Hosted>(cluster: &str, name: &str) -> SiloHandle {
    let silo = silo(cluster, name).without_linked().register::<A>();
    silo.start().await.expect("the silo starts")
}

async fn admin(cluster: &str, silos: &[&SiloHandle]) -> (Client, Admin) {
    let seeds = silos.iter().map(|silo| silo.address().to_owned());
    let client = Client::builder()
        .cluster(cluster)
        .seeds(seeds)
        .connect()
        .await
        .expect("connects");
    (client.clone(), Admin::new(client))
}

async fn stop(silos: &[&SiloHandle]) {
    for silo in silos {
        silo.stop().await.expect("stops");
    }
}

/// R138
#[tokio::test(flavor = "multi_thread")]
async fn a_silo_that_living_ones_cannot_read_is_not_let_in_and_is_told_what_and_how() {
    let cluster = cluster_name();
    let a = start::<first::Clerk>(&cluster, "a").await;
    let b = start::<second::Clerk>(&cluster, "b").await;
    know_each_other(&[&a, &b]).await;
    let breaking = || silo(&cluster, "c").without_linked().register::<breaking::Clerk>();
    let Err(StartError::Schemas { conflicts }) = breaking().start().await else {
        panic!("it is refused");
    };
    let text = conflicts.join("\n");
    for part in [
        "clerk 1.2.0 here and 1.0.0 of a",
        "clerk 1.2.0 here and 1.1.0 of b",
        "message clerk.note: Note: it was u32 and is text; take a new field",
        "state: Clerk.note: it was u32 and is text",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    assert_eq!(a.view().rows().count(), 2, "nothing of it is left");
    // Another major version is kept apart by the policy, whatever it looks like.
    let d = start::<third::Clerk>(&cluster, "d").await;
    stop(&[&a, &b, &d]).await;
    let alone = breaking().start().await.expect("nobody is left who could not read it");
    stop(&[&alone]).await;
}

/// A desk in a version of its own, with a state of a name.
macro_rules! desk {
    ($name:ident, $version:literal, $($state:tt)*) => {
        mod $name {
            use super::*;

            #[derive(Debug, Default, Serialize, Deserialize, Shape, State)]
            #[state($($state)*)]
            pub(super) struct Desk {
                notes: Vec<String>,
            }

            #[actor(kind = "desk", messages(Who), version = $version, unlisted)]
            impl Actor for Desk {}

            impl Handler<Who> for Desk {
                async fn handle(&mut self, _: Who, ctx: &mut Context<Self>) -> (String, String) {
                    (Self::VERSION.to_owned(), ctx.key().to_owned())
                }
            }
        }
    };
}

desk!(desk_1, "1.0.0", schema = "desk.1");
desk!(desk_unread, "1.1.0", schema = "desk.2");
desk!(desk_one_way, "1.2.0", schema = "desk.3", from(desk_1::Desk));
desk!(
    desk_both_ways,
    "1.3.0",
    schema = "desk.4",
    from(desk_1::Desk),
    back = desk_1::Desk
);

impl From<desk_1::Desk> for desk_one_way::Desk {
    fn from(_: desk_1::Desk) -> Self {
        Self::default()
    }
}

impl From<desk_1::Desk> for desk_both_ways::Desk {
    fn from(_: desk_1::Desk) -> Self {
        Self::default()
    }
}

impl From<&desk_both_ways::Desk> for desk_1::Desk {
    fn from(_: &desk_both_ways::Desk) -> Self {
        Self::default()
    }
}

/// R138
#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_another_name_is_let_in_where_each_version_that_may_get_it_reads_it() {
    let cluster = cluster_name();
    let a = start::<desk_1::Desk>(&cluster, "a").await;
    let refused = |started| match started {
        Err(StartError::Schemas { conflicts }) => conflicts.join("\n"),
        other => panic!("it is refused: {other:?}"),
    };
    let unread = silo(&cluster, "b").without_linked().register::<desk_unread::Desk>();
    let text = refused(unread.start().await);
    assert!(
        text.contains("desk.1") && text.contains("#[state(from(...))]"),
        "{text}"
    );
    assert!(
        text.contains("desk.2") && text.contains("#[state(back = ...)]"),
        "{text}"
    );
    let one_way = silo(&cluster, "c").without_linked().register::<desk_one_way::Desk>();
    let text = refused(one_way.start().await);
    assert!(!text.contains("from(") && text.contains("desk.3: "), "{text}");
    let d = start::<desk_both_ways::Desk>(&cluster, "d").await;
    stop(&[&a, &d]).await;
}

/// R138
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_cannot_be_read_is_masked_or_let_in_if_the_silo_is_told_to() {
    let cluster = cluster_name();
    let a = start::<first::Clerk>(&cluster, "a").await;
    let with = |name: &str, conflicts| {
        let silo = silo(&cluster, name)
            .options(options(&cluster, name, conflicts))
            .without_linked();
        silo.register::<breaking::Clerk>()
    };
    let masked = with("b", SchemaConflicts::Mask)
        .register::<Porter>()
        .start()
        .await
        .expect("as a porter");
    // Every silo hosts Quark's own kinds.
    let is_own = |kind: &String| kind.starts_with("quark.");
    let hosts = |silo: &SiloHandle| {
        let kinds = silo.status().versions.into_keys();
        kinds.filter(|kind| !is_own(kind)).collect::<Vec<_>>()
    };
    assert_eq!(hosts(&masked), ["porter"]);
    let nothing_left = with("c", SchemaConflicts::Mask).start().await;
    assert!(matches!(nothing_left, Err(StartError::Schemas { .. })));
    let let_in = with("c", SchemaConflicts::Allow).start().await.expect("let in");
    assert_eq!(hosts(&let_in), ["clerk"]);
    let all = [&a, &masked, &let_in];
    know_each_other(&all).await;
    let refused = a
        .plan_rollout(&Request::default())
        .await
        .expect_err("unreadable")
        .to_string();
    assert!(
        refused.contains("\"clerk\" 1.0.0 and 1.2.0 cannot read each other"),
        "{refused}"
    );
    stop(&all).await;
}

/// A silo knows what says where actors belong before it takes any.
#[tokio::test(flavor = "multi_thread")]
async fn a_silo_that_joins_during_a_rollout_knows_it_from_the_start() {
    let cluster = cluster_name();
    let (a, b) = (
        start::<first::Clerk>(&cluster, "a").await,
        start::<second::Clerk>(&cluster, "b").await,
    );
    know_each_other(&[&a, &b]).await;
    let begun = a.start_rollout(&Request::default()).await.expect("possible");
    let c = start::<second::Clerk>(&cluster, "c").await;
    let (client, _) = admin(&cluster, &[&c]).await;
    let report = client
        .query(c.id(), REPORT_QUERY, bytes::Bytes::new())
        .await
        .expect("answered");
    let report: SiloReport = wire::decode(&report).expect("read");
    assert_eq!(report.follows.map(|(number, _)| number), Some(begun.number));
    stop(&[&c, &b, &a]).await;
}

/// The versions in which so many clerks whose keys begin so answer.
async fn versions(client: &Client, prefix: &str) -> Vec<String> {
    let mut versions = Vec::new();
    for n in 0..20 {
        let clerk = client.actor::<first::Clerk>(&format!("{prefix}{n}"));
        versions.push(clerk.ask(Who).await.expect("answered").0);
    }
    versions.sort();
    versions.dedup();
    versions
}

/// Has silos read the rules, of which they may not have heard yet.
async fn hear(silos: &[&SiloHandle]) {
    for silo in silos {
        silo.rules().await.expect("read");
    }
}

fn clerk(key: &str) -> ActorId {
    ActorId::new("clerk", key).expect("valid")
}

fn pin(keys: Keys, to: Option<&str>) -> Vec<RuleChange> {
    let to = to.map(|to| parse(to).expect("valid"));
    vec![RuleChange::Pin {
        kind: "clerk".into(),
        keys,
        to,
    }]
}

/// R92: two versions run side by side, and an operator says who is on which.
#[tokio::test(flavor = "multi_thread")]
async fn pinned_actors_come_up_on_their_version_and_move_to_it() {
    let cluster = cluster_name();
    let (a, b) = (
        start::<first::Clerk>(&cluster, "a").await,
        start::<second::Clerk>(&cluster, "b").await,
    );
    know_each_other(&[&a, &b]).await;
    let (client, admin) = admin(&cluster, &[&a, &b]).await;
    assert_eq!(versions(&client, "vip-").await.len(), 2, "they come up anywhere");
    let prefix = || Keys::Prefix("vip-".into());
    admin.change_rules(pin(prefix(), Some("1.0.0"))).await.expect("hosted");
    until("those that are active move", || {
        a.status().activations.get("clerk") == Some(&20)
    })
    .await;
    hear(&[&a, &b]).await;
    assert_eq!(versions(&client, "vip-").await, ["1.0.0"]);
    assert_eq!(versions(&client, "vip-new-").await, ["1.0.0"]);
    assert_eq!(versions(&client, "other-").await.len(), 2, "others are as before");

    admin.change_rules(pin(prefix(), None)).await.expect("unpinned");
    let rules = admin.rules().await.expect("answered");
    assert!(rules.pins.is_empty());
    let refused = admin
        .change_rules(pin(prefix(), Some("1.7.0")))
        .await
        .expect_err("nobody hosts it");
    assert!(
        matches!(&refused, AdminError::Refused(why) if why[0].contains("in version 1.7.0; hosted: 1.0.0, 1.1.0")),
        "{refused}"
    );
    stop(&[&a, &b]).await;
}

fn switch(to: &str, moves: bool) -> Vec<RuleChange> {
    let to = Arc::new(parse(to).expect("valid"));
    vec![RuleChange::Switch {
        kind: "clerk".into(),
        to: Some(Switch { to, moves }),
    }]
}

/// R95
#[tokio::test(flavor = "multi_thread")]
async fn blue_is_switched_to_green_and_back() {
    let cluster = cluster_name();
    let blue = start::<first::Clerk>(&cluster, "blue").await;
    let green = start::<second::Clerk>(&cluster, "green").await;
    let both = [&blue, &green];
    know_each_other(&both).await;
    let (client, admin) = admin(&cluster, &both).await;
    let here = |silo: &SiloHandle| silo.status().activations.get("clerk").copied().unwrap_or(0);
    admin.change_rules(switch("1.0.0", false)).await.expect("hosted");
    hear(&both).await;
    assert_eq!(versions(&client, "a").await, ["1.0.0"]);
    admin.change_rules(switch("1.1.0", false)).await.expect("hosted");
    hear(&both).await;
    assert_eq!(versions(&client, "b").await, ["1.1.0"], "new ones are green");
    assert_eq!(versions(&client, "a").await, ["1.0.0"], "those that are active stay");
    admin.change_rules(switch("1.1.0", true)).await.expect("hosted");
    until("all are green", || (here(&blue), here(&green)) == (0, 40)).await;
    admin.change_rules(switch("1.0.0", true)).await.expect("hosted");
    until("all are blue", || (here(&blue), here(&green)) == (40, 0)).await;
    hear(&both).await;
    assert_eq!(versions(&client, "c").await, ["1.0.0"]);
    stop(&both).await;
}

/// R89 to R91, guarantee 18
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_required_counts_for_placement_moves_and_messages_as_soon_as_it_is_said() {
    let cluster = cluster_name();
    let (a, b) = (
        start::<first::Clerk>(&cluster, "a").await,
        start::<second::Clerk>(&cluster, "b").await,
    );
    let both = [&a, &b];
    know_each_other(&both).await;
    let (_client, admin) = admin(&cluster, &both).await;
    // Each silo's own clerks are of its own version.
    for n in 0..10 {
        a.actor::<first::Clerk>(&format!("a{n}"))
            .ask(Who)
            .await
            .expect("answered");
        b.actor::<first::Clerk>(&format!("b{n}"))
            .ask(Who)
            .await
            .expect("answered");
    }
    let strict = VersionPolicy {
        preference: Preference::Require,
        ..VersionPolicy::new(Rule::Strict)
    };
    let policy = |policy| {
        vec![RuleChange::Policy {
            kind: Some("clerk".into()),
            policy,
        }]
    };
    admin.change_rules(policy(Some(strict))).await.expect("hosted");
    hear(&both).await;
    let error = b
        .actor::<first::Clerk>("a1")
        .ask(Who)
        .await
        .expect_err("outside the policy");
    assert_eq!(error.ran(), Ran::No, "{error}");
    assert!(
        error
            .to_string()
            .contains("that strict,both,require,fail allows for 1.1.0 (hosted: 1.0.0)"),
        "{error}"
    );
    assert!(b.status().version_mismatches > 0, "they are counted");
    let moved = a
        .migrate(&clerk("a0"), Some(b.id()))
        .await
        .expect_err("outside the policy");
    assert!(matches!(moved, MoveFailure::TargetVersion { .. }), "{moved}");
    assert_eq!(
        a.actor::<first::Clerk>("a1").ask(Who).await.expect("its own").0,
        "1.0.0"
    );

    admin.change_rules(policy(None)).await.expect("forgotten");
    hear(&both).await;
    assert_eq!(
        b.actor::<first::Clerk>("a1").ask(Who).await.expect("allowed again").0,
        "1.0.0"
    );
    a.migrate(&clerk("a0"), Some(b.id())).await.expect("allowed again");
    stop(&both).await;
}
