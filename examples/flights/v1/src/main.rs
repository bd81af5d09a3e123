//! Version 1 of the flights application: a silo that hosts aircraft and airports.

mod aircraft;
mod airport;
mod host;

fn main() -> std::process::ExitCode {
    host::run(env!("CARGO_PKG_VERSION"))
}
