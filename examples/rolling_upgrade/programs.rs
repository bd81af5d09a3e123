//! The two programs that are run as silos: has Cargo build them, and says where they are.

use crate::process_group::ProcessGroup;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::{
    collections::HashMap,
    env,
    ffi::OsString,
    io::{self, BufRead, BufReader, ErrorKind},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The name of version 1's program.
pub(crate) const V1: &str = "flights-v1";
/// The name of version 2's program.
pub(crate) const V2: &str = "flights-v2";

/// What Cargo builds beside the programs: that with which this executable was built, so that it is taken as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Beside {
    /// The example, which a user runs by itself.
    Example,
    /// All tests: of all packages, with all features.
    #[allow(dead_code, reason = "the example is not a test")]
    Tests,
}

impl Beside {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Example => &[
                "--package",
                "quark-actors",
                "--example",
                "rolling_upgrade",
                "--package",
                V1,
                "--bin",
                V1,
                "--package",
                V2,
                "--bin",
                V2,
            ],
            Self::Tests => &["--workspace", "--all-features", "--tests", "--bins", "--examples"],
        }
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) v1: PathBuf,
    pub(crate) v2: PathBuf,
}

/// Builds the programs as this executable was built, in the same folder; without Cargo takes what is there.
///
/// # Errors
/// If they do not build, or Cargo is missing and so are they.
pub(crate) async fn build(beside: Beside) -> Result<Programs> {
    let place = Place::of_this()?;
    match start_cargo(&place, beside) {
        Ok((cargo, output)) => {
            // The group is killed when the caller gives up.
            let read = tokio::task::spawn_blocking(move || executables(BufReader::new(output)));
            let built = read.await.context("the build cannot be followed")?;
            let status = cargo.wait().await?;
            ensure!(
                status.success(),
                "cargo could not build {V1} and {V2} ({status}); what it says is above"
            );
            let program = |name: &str| {
                let path = built.get(name).cloned();
                path.with_context(|| format!("cargo built {name} without saying where it is"))
            };
            Ok(Programs {
                v1: program(V1)?,
                v2: program(V2)?,
            })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => present(&place.folder),
        Err(error) => Err(error).context("cannot run cargo to build the programs"),
    }
}

/// Where this executable is, and so how it was built.
struct Place {
    /// `target/release`, or the like.
    folder: PathBuf,
    profile: String,
}

impl Place {
    fn of_this() -> Result<Self> {
        let own = env::current_exe().context("cannot tell where this program is")?;
        // target/release/examples/rolling_upgrade, target/debug/deps/some_test
        let folder = own.parent().and_then(Path::parent).map(Path::to_path_buf);
        let folder = folder.with_context(|| format!("{} is not in a target folder of cargo", own.display()))?;
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") => "dev",
            Some(name) => name,
            None => bail!("{} is not in a target folder of cargo", own.display()),
        };
        Ok(Self {
            profile: profile.to_owned(),
            folder,
        })
    }
}

/// The programs that were built before, in a folder.
///
/// # Errors
/// If they are not there.
pub(crate) fn present(folder: &Path) -> Result<Programs> {
    let program = |name: &str| {
        let path = folder.join(name).with_extension(env::consts::EXE_EXTENSION);
        ensure!(
            path.is_file(),
            "{} is not there; build it with `cargo build --release -p {V1} -p {V2}` in the project",
            path.display()
        );
        Ok(path)
    };
    Ok(Programs {
        v1: program(V1)?,
        v2: program(V2)?,
    })
}

/// Starts the build. The error is of kind `NotFound` if there is no Cargo, or nothing to build from.
fn start_cargo(place: &Place, beside: Beside) -> io::Result<(ProcessGroup, std::process::ChildStdout)> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::metadata(project.join("Cargo.toml"))?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    cargo
        .current_dir(project)
        .args(["build", "--message-format", "json-render-diagnostics"])
        .args(["--profile", &place.profile])
        // This executable is named too, though it is built: so all share the dependencies and their features, and nothing
        // that it was built from is built again.
        .args(beside.arguments());
    if let Some(target) = place.folder.parent() {
        cargo.arg("--target-dir").arg(target);
    }
    // Cargo describes the package to what it runs. A build script that looks at these would see another package than when
    // this program was built, and all that depends on it would be built again.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    cargo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut group = ProcessGroup::start(&mut cargo)?;
    let output = group.take_stdout();
    Ok((group, output))
}

/// Reads what Cargo says of the executables that it has built.
fn executables(messages: impl BufRead) -> HashMap<String, PathBuf> {
    let parsed = messages
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    // A program's own tests have its name.
    let programs = parsed.filter(|message| message["profile"]["test"] != true);
    programs
        .filter_map(|message| {
            let path = message.get("executable")?.as_str()?;
            let name = message.get("target")?.get("name")?.as_str()?;
            Some((name.to_owned(), PathBuf::from(path)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_where_cargo_says() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"flights-v1\"},\"executable\":\"/t/x/flights-v1\"}\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"flights-v1\"},\"profile\":{\"test\":true},\"executable\":\"/t/x/deps/flights_v1-0\"}\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"quark\"},\"executable\":null}\n",
            "not json\n{\"reason\":\"build-finished\",\"success\":true}\n"
        );
        let found = executables(messages.as_bytes());
        assert_eq!(
            found,
            HashMap::from([(V1.to_owned(), PathBuf::from("/t/x/flights-v1"))])
        );
    }
}
