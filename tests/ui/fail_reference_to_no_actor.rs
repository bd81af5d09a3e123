use quark::prelude::*;

#[derive(Serialize, Deserialize)]
struct Line;

fn reference(ctx: &Context<Line>) {
    let _ = ctx.actor::<Line>("1");
}

fn main() {}
