//! Fuzzing: each target for some seconds, from the seeds and what earlier runs found.

use std::process::Stdio;

use crate::run::{Outcome, cargo, has_nightly, nightly, root, run};

const TARGETS: [&str; 8] =
    ["open", "header", "corrupted", "walk", "hostile", "operations", "crashes", "inspect"];

/// Installs cargo-fuzz if it is missing; does nothing without a nightly toolchain, which libFuzzer
/// needs.
pub(crate) fn fuzz(seconds: u32) -> Outcome {
    if !has_nightly() {
        eprintln!("no nightly toolchain here, and libFuzzer needs one: fuzzing is skipped");
        return Ok(());
    }
    let found = cargo(&["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        run(cargo(&["install", "--quiet", "--locked", "cargo-fuzz"]))?;
    }
    for target in TARGETS {
        let [corpus, seeds] = ["corpus", "seeds"].map(|kind| root().join("fuzz").join(kind).join(target));
        for folder in [&corpus, &seeds] {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("creating {}: {error}", folder.display()))?;
        }
        let mut command = nightly(&["fuzz", "run", target]);
        command.arg(corpus).arg(seeds);
        command.args(["--", &format!("-max_total_time={seconds}"), "-max_len=16384", "-verbosity=0"]);
        command.arg("-print_final_stats=1");
        run(command)?;
    }
    Ok(())
}
