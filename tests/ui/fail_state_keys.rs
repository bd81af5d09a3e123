//! What is wrong with a `#[state(...)]` is said with the cure.

use quark::prelude::*;

#[derive(Default, Serialize, Deserialize, State)]
struct WithoutName;

#[derive(Default, Serialize, Deserialize, State)]
#[state(schema = "cart 1", form(WithoutName))]
struct WithWrongKeys;

fn main() {}
