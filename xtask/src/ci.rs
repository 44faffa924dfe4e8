//! All that a commit must pass, in an order that keeps two processors busy: what compiles runs
//! beside tests that mostly wait. tests/README.md says which form of which test runs where.
//!
//! A stage fails as a whole: its failure ends what runs beside it.

use std::process::Command;

use crate::beside::Beside;
use crate::run::{Outcome, output, root, target};
use crate::stages::step;
use crate::{check, formats, fuzz, mutants, python, tests};

pub(crate) fn ci() -> Outcome {
    step("build for the README's test command");
    tests::build_short()?;
    step("the README's test command; beside it: lints, other members");
    let lints = Beside::start(&["ci-part", "lints"])?;
    tests::short()?;
    lints.join()?;
    step("build optimised");
    tests::build_optimised()?;
    step("long forms, optimised; beside them: every instruction, every state, loom, models");
    let stepping = Beside::start(&["ci-part", "stepping"])?;
    tests::optimised()?;
    step("rkyv's formats, still beside those");
    formats::refuse_each_other()?;
    step("fuzzing, still beside those");
    fuzz::fuzz(5)?;
    stepping.join()?;
    step("the benchmark runs, and checks every message");
    bench()
}

/// What runs beside other stages, in a process of its own: `cargo xtask ci-part NAME`.
pub(crate) fn part(name: &str) -> Outcome {
    match name {
        "lints" => {
            step("lints, documentation");
            check::lints()?;
            mutants::check()?;
            step("tests of the other members");
            tests::others()?;
            step("the Python package");
            python::python()
        }
        "stepping" => {
            step("every instruction, every state");
            tests::stepping()?;
            step("loom");
            tests::loom("loom_tests")?;
            step("models");
            tests::model(&["--quick"])
        }
        _ => Err(format!("CI has no part {name}")),
    }
}

/// One short run of everything: all documented cases are there. cli/tests/bench.rs checks the form
/// of its numbers.
fn bench() -> Outcome {
    // Built for the tests of the command. `cargo run` would build it with other features of what it
    // depends on, and so all of it again.
    let mut command = Command::new(target("optimized").join("ringway"));
    command.args(["bench", "--runs", "1", "--json", "--recovery-trials", "20"]).current_dir(root());
    let report = output(command)?;
    let path = target("bench.json");
    std::fs::write(&path, &report).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut names = Vec::new();
    for kind in ["single", "batch"] {
        for size in [8, 64, 256, 1024, 65_536] {
            names.extend(["fixed", "variable"].map(|framing| format!("spsc/{framing}/{size}/{kind}")));
        }
        names.extend(["1p1c", "2p1c", "1p2c", "2p2c", "4p4c"].map(|shape| format!("mpmc/{shape}/64/{kind}")));
    }
    names.extend(["fixed", "variable"].map(|framing| format!("spsc/{framing}/64/spin")));
    match names.iter().find(|name| !report.contains(&format!("\"name\": \"{name}\""))) {
        Some(missing) => Err(format!("the benchmark's report has no case {missing}")),
        None => {
            println!("{} cases", names.len());
            Ok(())
        }
    }
}
