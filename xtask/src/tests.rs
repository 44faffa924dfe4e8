//! Tests and models, with the settings with which they are run.

use std::process::Command;

use crate::run::{Outcome, cargo, run, target};

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

/// The tests of the short form that have a longer one in debug builds, where overflows and debug
/// assertions are noticed.
const LONG: [&str; 2] = ["crash", "stress"];

fn tests<'n>(names: &[&'n str]) -> Vec<&'n str> {
    names.iter().flat_map(|name| ["--test", name]).collect()
}

/// The README's command.
pub(crate) fn short() -> Outcome {
    run(cargo(&["test", "--workspace"]))
}

/// The long form of the proofs, in a debug build.
pub(crate) fn long() -> Outcome {
    let mut command = cargo(&[&["test", "-p", "ringway"], &tests(&LONG)[..]].concat());
    command.env("RINGWAY_LONG", "1");
    run(command)
}

fn optimised() -> Command {
    cargo(&[&["test", "-p", "ringway", "--profile", "optimized", "--lib"], &tests(&OPTIMISED)[..]].concat())
}

/// Builds what [`all_optimised`] and [`every_instruction`] run, so that both can run at the same
/// time.
pub(crate) fn build_optimised() -> Outcome {
    let mut command = optimised();
    command.args(["--test", "every_instruction", "--no-run"]);
    run(command)
}

/// The long form of the proofs, optimised.
pub(crate) fn all_optimised() -> Outcome {
    let mut command = optimised();
    command.env("RINGWAY_LONG", "1").env("RINGWAY_KILLS", "10000");
    run(command)
}

/// SIGKILL after every instruction.
pub(crate) fn every_instruction() -> Outcome {
    run(cargo(&["test", "-p", "ringway", "--profile", "optimized", "--test", "every_instruction"]))
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
    let mut command = cargo(&["test", "-p", "ringway", "--profile", "optimized", "--test", "storm"]);
    command.env("RINGWAY_KILLS", kills);
    run(command)
}
