//! Tests and models, with the settings with which they are run.

use std::process::Command;

use crate::run::{Outcome, cargo, run, run_unbounded, target};
use crate::servers;

/// Tests for which it matters that they are optimised.
const OPTIMISED: [&str; 11] = [
    "asynchronous",
    "crash",
    "mpmc",
    "no_allocation",
    "no_syscalls",
    "storm",
    "stress",
    "truncation",
    "typed",
    "untrusted",
    "waiting",
];

/// Tests that step a process through operations: optimised, they try each point.
const STEPPING: [&str; 2] = ["every_instruction", "every_state"];

/// The tests of the short form that have a longer one in debug builds, where overflows and debug
/// assertions are noticed.
const LONG: [&str; 4] = ["crash", "every_instruction", "every_state", "stress"];

/// Members that the README's test command leaves out: it is for who uses the library and the command.
const OTHERS: [&str; 8] = [
    "ringway-derive",
    "ringway-model",
    "ringway-nats",
    "ringway-value",
    "ringway-workload",
    "ringway-bound",
    "rivals",
    "xtask",
];

/// `cargo test` of the default members. Naming one alone would build its dependencies anew, with
/// fewer features.
fn test(profile: &str, names: &[&str]) -> Command {
    let mut command = cargo(&["test", "--no-fail-fast", "--profile", profile]);
    command.args(names.iter().flat_map(|name| ["--test", name]));
    command
}

/// The README's command, to its end: all failures of one run are seen.
pub(crate) fn short() -> Outcome {
    run(cargo(&["test", "--no-fail-fast"]))
}

pub(crate) fn build_short() -> Outcome {
    run(cargo(&["test", "--no-run"]))
}

/// The tests of the members that [`short`] leaves out.
pub(crate) fn others() -> Outcome {
    servers::install()?;
    let members = OTHERS.iter().flat_map(|name| ["-p", name]);
    run(cargo(&[&["test", "--no-fail-fast"], &members.collect::<Vec<_>>()[..]].concat()))
}

/// The long form of the proofs, in a debug build.
pub(crate) fn long() -> Outcome {
    let mut command = test("test", &LONG);
    command.env("RINGWAY_LONG", "1");
    run(command)
}

/// Builds what [`optimised`] and [`stepping`] run, so that both can run at the same time.
pub(crate) fn build_optimised() -> Outcome {
    let mut command = test("optimized", &[&OPTIMISED[..], &STEPPING].concat());
    command.args(["--lib", "--no-run"]);
    run(command)
}

/// The long form of the proofs, optimised.
pub(crate) fn optimised() -> Outcome {
    let mut command = test("optimized", &OPTIMISED);
    command.arg("--lib").env("RINGWAY_LONG", "1");
    run(command)
}

/// SIGKILL after every instruction, and what the tools say then.
pub(crate) fn stepping() -> Outcome {
    run(test("optimized", &STEPPING))
}

/// The loom models whose names contain this.
pub(crate) fn loom(filter: &str) -> Outcome {
    let mut command = cargo(&["test", "-p", "ringway", "--profile", "optimized", "--lib", filter]);
    command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", target("loom"));
    run(command)
}

/// The models of the protocols.
pub(crate) fn model(arguments: &[&str]) -> Outcome {
    let mut command =
        cargo(&["run", "--profile", "optimized", "--quiet", "-p", "ringway-model", "--", "all"]);
    // A folder of its own, so that it does not wait for what is built beside it.
    command.args(arguments).env("CARGO_TARGET_DIR", target("loom"));
    run(command)
}

/// Kills and stops at random.
pub(crate) fn storm(kills: &str) -> Outcome {
    let mut command = test("optimized", &["storm"]);
    command.env("RINGWAY_KILLS", kills);
    run_unbounded(command)
}

#[cfg(test)]
mod checks {
    use super::*;
    use crate::run::{output, root};

    /// CI tests every member: by the README's command, or by [`others`].
    #[test]
    fn no_member_is_forgotten() {
        let metadata = output(cargo(&["metadata", "--no-deps", "--format-version=1"])).unwrap();
        let members = metadata.split("\"manifest_path\":\"").skip(1).map(|rest| {
            let path = std::path::Path::new(rest.split('"').next().expect("a path"));
            let manifest = std::fs::read_to_string(path).expect("it is there");
            let folder = path.parent().expect("a folder").to_path_buf();
            let name = manifest.lines().find_map(|line| line.strip_prefix("name = ")).expect("a name");
            (folder, name.trim_matches('"').to_owned())
        });
        let members: Vec<_> = members.collect();
        assert!(members.len() >= 8, "{members:?}");
        for (folder, name) in members {
            let is_default = folder == root() || folder == root().join("cli");
            let is_tested = is_default || OTHERS.contains(&&*name);
            assert!(is_tested, "no stage of CI tests {name}");
        }
    }
}
