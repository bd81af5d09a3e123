//! Version 2 of the flights application (1.1.0, a compatible minor): airports keep delays per carrier as well.

#[path = "../../v1/src/aircraft.rs"]
mod aircraft;
mod airport;
#[path = "../../v1/src/host.rs"]
mod host;

fn main() -> std::process::ExitCode {
    host::run(env!("CARGO_PKG_VERSION"))
}
