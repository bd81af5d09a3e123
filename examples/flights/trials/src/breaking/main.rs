//! A version of the flights application with a message that the other versions cannot read.

#[path = "../../../v1/src/aircraft.rs"]
mod aircraft;
mod airport;
#[path = "../../../v1/src/host.rs"]
mod host;

fn main() -> std::process::ExitCode {
    host::run(env!("CARGO_PKG_VERSION"))
}
