//! A whole cluster of real silos on one thread, from one seed after the other, with what must hold of each run. See `docs/testing.md`.
//!
//! `make sim SEEDS=n` runs many; `QUARK_SIM_SEED=n` runs one and prints what happened.

mod account;
mod coverage;
mod determinism;
mod found;
mod history;
mod invariants;
mod laws;
mod load;
mod plots;
mod seeds;
mod speed;
mod story;
mod teeth;
mod users;
mod watcher;

use std::sync::Once;

/// Panics of actors that the tests mean are not reported.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let is_meant = panic.payload_as_str().is_some_and(|text| text.starts_with("sim:"));
            if !is_meant {
                report(panic);
            }
        }));
        if let Some(level) = std::env::var("QUARK_TEST_LOG")
            .ok()
            .and_then(|level| level.parse::<tracing::Level>().ok())
        {
            tracing_subscriber::fmt()
                .with_max_level(level)
                .with_writer(std::io::stderr)
                .init();
        }
    });
}
