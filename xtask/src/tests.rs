//! Tests and models, with the settings with which they are run.

use std::process::Command;

use crate::run::{Outcome, cargo, run, run_unbounded, target};

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

/// Members that the README's test command leaves out, because users do not need them.
const OTHERS: [&str; 5] = ["ringway-derive", "ringway-model", "ringway-workload", "rivals", "xtask"];

/// `cargo test` of the default members. Naming one alone would build its dependencies anew, with
/// fewer features.
fn test(profile: &str, names: &[&str]) -> Command {
    let mut command = cargo(&["test", "--profile", profile]);
    command.args(names.iter().flat_map(|name| ["--test", name]));
    command
}

/// The README's command.
pub(crate) fn short() -> Outcome {
    run(cargo(&["test"]))
}

pub(crate) fn build_short() -> Outcome {
    run(cargo(&["test", "--no-run"]))
}

/// The tests of the members that [`short`] leaves out.
pub(crate) fn others() -> Outcome {
    let members = OTHERS.iter().flat_map(|name| ["-p", name]);
    run(cargo(&[&["test"], &members.collect::<Vec<_>>()[..]].concat()))
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
