//! Traces go with messages, and with what their turns ask and tell, from silo to silo.

mod common;

use common::{cluster_name, know_each_other, start};
use quark::{client::Client, ident::TraceContext, prelude::*};

/// Asks or tells along a path of its like, and remembers which trace it was told with.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Hop {
    told: Vec<String>,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "hop.ask", reply = Vec<String>)]
struct AskOn {
    path: Vec<String>,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "hop.tell")]
struct TellOn {
    path: Vec<String>,
}

#[derive(Debug, Message, Serialize, Deserialize)]
#[message(name = "hop.told", reply = Vec<String>)]
struct Told;

#[actor(kind = "hop", messages(AskOn, TellOn, Told))]
impl Actor for Hop {}

fn trace(ctx: &Context<Hop>) -> String {
    ctx.trace().map_or("none".into(), |trace| trace.to_string())
}

impl Handler<AskOn> for Hop {
    async fn handle(&mut self, mut ask: AskOn, ctx: &mut Context<Self>) -> Vec<String> {
        let mut traces = vec![trace(ctx)];
        if let Some(next) = ask.path.pop() {
            let next = ctx.actor::<Self>(&next);
            traces.extend(next.ask(ask).await.expect("the next one answers"));
            // After a wait it is the same turn.
            traces.push(trace(ctx));
        }
        traces
    }
}

impl Handler<TellOn> for Hop {
    async fn handle(&mut self, mut tell: TellOn, ctx: &mut Context<Self>) {
        self.told.push(trace(ctx));
        match tell.path.pop() {
            Some(next) if next.starts_with("try") => {
                ctx.actor::<Self>(&next).try_tell(tell).expect("there is room");
            }
            Some(next) => ctx.actor::<Self>(&next).tell(tell).await.expect("is sent"),
            None => {}
        }
    }
}

impl Handler<Told> for Hop {
    async fn handle(&mut self, _: Told, _: &mut Context<Self>) -> Vec<String> {
        self.told.clone()
    }
}

const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn path(of: &str) -> Vec<String> {
    (0..6).map(|n| format!("{of}-{n}")).collect()
}

#[tokio::test]
async fn a_trace_goes_with_nested_calls_over_silos_and_with_no_others() {
    let cluster = cluster_name();
    let (one, two) = (start(&cluster, "one").await, start(&cluster, "two").await);
    know_each_other(&[&one, &two]).await;
    let client = Client::builder().cluster(&cluster).seeds([one.address()]);
    let client = client.connect().await.expect("connects");
    let header: TraceContext = HEADER.parse().expect("valid");

    let first = client.actor::<Hop>("first");
    let ask = || AskOn { path: path("asked") };
    let traced = first.ask(ask()).traced(header).await.expect("answers");
    assert_eq!(traced, vec![HEADER; 13]);
    let untraced = first.ask(ask()).await.expect("answers");
    assert_eq!(untraced, vec!["none"; 13]);
    // Within the silo, by the short way.
    let traced = one
        .actor::<Hop>("first")
        .ask(ask())
        .traced(header)
        .await
        .expect("answers");
    assert_eq!(traced, vec![HEADER; 13]);
    let hosted = [&one, &two].map(|silo| silo.status().activations.get("hop").copied());
    assert!(hosted.iter().all(Option::is_some), "both silos are in it: {hosted:?}");

    for of in ["told", "try"] {
        let tell = || TellOn { path: path(of) };
        first.tell(tell()).traced(header).await.expect("is sent");
        // The path is taken from its end.
        let last = client.actor::<Hop>(&format!("{of}-0"));
        let mut told = Vec::new();
        while told.is_empty() {
            told = last.ask(Told).await.expect("answers");
        }
        assert_eq!(told, [HEADER]);
        first.tell(tell()).await.expect("is sent");
        while told.len() < 2 {
            told = last.ask(Told).await.expect("answers");
        }
        assert_eq!(told, [HEADER, "none"]);
    }
    one.stop().await.expect("stops");
    two.stop().await.expect("stops");
}
