//! The fast checks, and the packaged form of what is published.

use crate::run::{Outcome, cargo, run};
use crate::stages::step;

/// All members but `rivals`, whose dependencies take longer to build than all the others together.
const MEMBERS: [&str; 9] = [
    "ringway",
    "ringway-bound",
    "ringway-derive",
    "ringway-nats",
    "ringway-value",
    "ringway-cli",
    "ringway-workload",
    "ringway-model",
    "xtask",
];

/// The crates that are published, each after what it depends on.
const PUBLIC: [&str; 6] =
    ["ringway-derive", "ringway", "ringway-value", "ringway-workload", "ringway-cli", "ringway-nats"];

fn packages<'n>(names: &[&'n str]) -> Vec<&'n str> {
    names.iter().flat_map(|name| ["-p", name]).collect()
}

/// The checks before each push: no test that forks, kills or takes long.
pub(crate) fn check() -> Outcome {
    let members = packages(&MEMBERS);
    step("format");
    run(cargo(&["fmt", "--all", "--check"]))?;
    step("lints");
    run(cargo(&[&["clippy"], &members[..], &["--all-targets", "--", "-D", "warnings"]].concat()))?;
    run(cargo(&["clippy", "-p", "ringway", "--no-default-features", "--", "-D", "warnings"]))?;
    step("unit tests, the rules of the code, the list of mutants");
    run(cargo(&[&["test"], &members[..], &["--lib", "--bins", "--test", "rules"]].concat()))?;
    step("documentation");
    documentation(&members)?;
    Ok(())
}

/// Like [`check`], without the unit tests, which the README's test command runs; of all members.
pub(crate) fn lints() -> Outcome {
    run(cargo(&["fmt", "--all", "--check"]))?;
    run(cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    run(cargo(&["clippy", "-p", "ringway", "--no-default-features", "--", "-D", "warnings"]))?;
    documentation(&["--workspace"])
}

fn documentation(members: &[&str]) -> Outcome {
    let mut doc = cargo(&[&["doc", "--no-deps"], members].concat());
    doc.env("RUSTDOCFLAGS", "-D warnings");
    run(doc)
}

/// Packages what is published, and builds it from its packaged form.
pub(crate) fn package() -> Outcome {
    run(cargo(&[&["package", "--allow-dirty"], &packages(&PUBLIC)[..]].concat()))
}
