//! Version 2 of the flights application (1.1.0, a compatible minor): airports keep delays per carrier as well.

#[path = "../../v1/src/aircraft.rs"]
mod aircraft;
mod airport;
#[path = "../../v1/src/host.rs"]
mod host;

fn main() -> std::process::ExitCode {
    host::run(env!("CARGO_PKG_VERSION"))
}

/// What goes over the wire, and what is stored, is as recorded: see `quark::lock`.
#[test]
fn the_lock_file_stands_for_the_program() {
    quark::lock::check("quark.lock").expect("as recorded");
}
