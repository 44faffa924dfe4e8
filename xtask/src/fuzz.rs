//! Fuzzing: each target for some seconds, from the seeds and what earlier runs found.

use std::process::Stdio;

use crate::run::{Outcome, cargo, has_nightly, nightly, root, run};

/// The names of the targets: the files of `fuzz/fuzz_targets`, so that none is forgotten or misspelt.
fn targets() -> Outcome<Vec<String>> {
    let folder = root().join("fuzz/fuzz_targets");
    let listed = std::fs::read_dir(&folder).and_then(|entries| {
        entries.map(|entry| Ok(entry?.path().file_stem().unwrap_or_default().display().to_string())).collect()
    });
    let mut names: Vec<String> = listed.map_err(|error| format!("listing {}: {error}", folder.display()))?;
    names.sort();
    Ok(names)
}

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
    for target in targets()? {
        let [corpus, seeds] = ["corpus", "seeds"].map(|kind| root().join("fuzz").join(kind).join(&target));
        for folder in [&corpus, &seeds] {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("creating {}: {error}", folder.display()))?;
        }
        let mut command = nightly(&["fuzz", "run", &target]);
        command.arg(corpus).arg(seeds);
        command.args(["--", &format!("-max_total_time={seconds}"), "-max_len=16384", "-verbosity=0"]);
        command.arg("-print_final_stats=1");
        run(command)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cargo fuzz` knows only the binaries of `fuzz/Cargo.toml`.
    #[test]
    fn each_target_is_a_binary_of_the_fuzz_crate() {
        let manifest =
            std::fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("the manifest is there");
        let names = targets().expect("the folder is there");
        assert!(names.len() >= 8, "{names:?}");
        for name in names {
            assert!(
                manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"")),
                "{name}"
            );
        }
    }
}
