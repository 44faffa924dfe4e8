//! All that a commit must pass besides the README's test command: some fifteen minutes on two
//! cores, half of it building.

use std::path::PathBuf;

use crate::run::{Beside, Outcome, cargo, output, step};
use crate::{check, mutants, tests};

pub(crate) fn ci() -> Outcome {
    step("format, lints, documentation");
    check::lints()?;
    mutants::check()?;
    step("the long form of the proofs, debug; beside them the loom models and those of the protocols");
    let loom = Beside::start(&["loom"])?;
    tests::long()?;
    loom.join()?;
    step("optimised tests; beside them every instruction");
    tests::build_optimised()?;
    let others = Beside::start(&["ci-beside"])?;
    tests::all_optimised()?;
    others.join()?;
    step("the benchmark runs, and checks every message");
    bench()?;
    Ok(())
}

/// What runs beside the optimised tests, one after another.
pub(crate) fn beside_optimised() -> Outcome {
    tests::every_instruction()?;
    tests::model(&["--quick"])?;
    crate::formats::refuse_each_other()?;
    crate::fuzz::fuzz(5)
}

/// One short run of everything: all documented cases are there. cli/tests/bench.rs checks the form
/// of its numbers.
fn bench() -> Outcome {
    let bench = ["run", "--profile", "optimized", "--quiet", "--", "bench", "--runs", "1", "--json"];
    let mut command = cargo(&bench);
    command.args(["--recovery-trials", "20"]);
    let report = output(command)?;
    let path = PathBuf::from("target/bench.json");
    std::fs::write(crate::run::root().join(&path), &report)
        .map_err(|error| format!("{}: {error}", path.display()))?;
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
