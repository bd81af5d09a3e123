//! Version 1 of the flights application: a silo that hosts aircraft and airports.

mod aircraft;
mod airport;
mod host;

fn main() -> std::process::ExitCode {
    host::run(env!("CARGO_PKG_VERSION"))
}

/// What goes over the wire, and what is stored, is as recorded: see `quark::lock`.
#[test]
fn the_lock_file_stands_for_the_program() {
    quark::lock::check("quark.lock").expect("as recorded");
}
