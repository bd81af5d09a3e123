//! A version of the flights application whose airports panic when a flight of the carrier `B6` departs.

#[path = "../../../v1/src/aircraft.rs"]
mod aircraft;
mod airport;
#[path = "../../../v1/src/host.rs"]
mod host;

fn main() -> std::process::ExitCode {
    host::run(env!("CARGO_PKG_VERSION"))
}
