//! The commands for developers of ringway: `cargo xtask COMMAND`. CONTRIBUTING.md says when to run
//! which.
#![forbid(unsafe_code)]

#[cfg(test)]
use ringway_bound as _;

mod beside;
mod check;
mod ci;
mod formats;
mod fuzz;
mod jobs;
mod mutants;
mod python;
mod run;
mod servers;
mod stages;
mod tests;

use std::process::ExitCode;

use run::{Outcome, cargo, run_unbounded};

const USAGE: &str = "\
cargo xtask COMMAND

  check                    format, lints, unit tests, rules, mutant list, documentation: before each push (minutes)
  test [long]              the README's test command; long: the long form of the proofs as well
  ci                       all that a commit must pass, the README's test command first; ends with a table of times
  loom [FILTER]            the loom models of lane, order ring and eventcount
  model [ARGUMENTS]        the models of the protocols; `--quick` leaves out the largest
  storm [KILLS]            SIGKILL and SIGSTOP at random among many processes (default 1000000: half an hour)
  mutants [--check] [NAME] weakens one ordering or rule at a time; the loom models must notice (an hour)
  fuzz [SECONDS]           fuzzes each target for so long (default 60; needs nightly)
  hostile [SECONDS]        a hostile process against each kind of queue (default 60; ASan with nightly)
  sanitize                 AddressSanitizer (needs nightly) and valgrind
  python                   builds the Python package, installs it into a new environment, runs its tests (minutes)
  nats-servers             installs the servers that the bridge's tests start: Debian's, and a newer one
  rkyv-formats             programs built with each format of rkyv refuse each other's files
  coverage [--missing]     which lines the tests run (needs llvm-cov)
  bench [NAME]             the yardsticks beside other queues, or the bench of that name
  cost-of waking|recovery  what a promise costs on the hot path, by two builds in turn
  package                  the crates to be published build from their packaged form
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = dispatch(&arguments);
    match stages::table() {
        table if table.is_empty() => {}
        table => println!("\n{table}"),
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[&str]) -> Outcome {
    match *arguments {
        ["check"] => check::check(),
        ["test"] => tests::short(),
        ["test", "long"] => tests::short().and_then(|()| tests::long()),
        ["ci"] => ci::ci(),
        // Not for direct use: `ci` runs it beside other commands.
        ["ci-part", name] => ci::part(name),
        ["loom"] => tests::loom("loom_tests"),
        ["loom", filter] => tests::loom(filter),
        ["model", ref rest @ ..] => tests::model(rest),
        ["storm"] => tests::storm("1000000"),
        ["storm", kills] => tests::storm(kills),
        ["mutants", "--check"] => mutants::check(),
        ["mutants", ref names @ ..] => mutants::run_models(names),
        ["fuzz"] => fuzz::fuzz(60),
        ["fuzz", seconds] => fuzz::fuzz(seconds.parse().map_err(|_| format!("{seconds} is no number"))?),
        ["python"] => python::python(),
        ["nats-servers"] => servers::install(),
        ["rkyv-formats"] => formats::refuse_each_other(),
        ["hostile", ref rest @ ..] => script("hostile.sh", rest),
        ["sanitize"] => script("sanitize.sh", &[]),
        ["coverage", ref rest @ ..] => script("coverage.sh", rest),
        ["cost-of", ref rest @ ..] => script("cost-of.sh", rest),
        ["bench"] => run_unbounded(cargo(&["bench", "--bench", "yardstick", "--bench", "mpmc_yardstick"])),
        ["bench", name] => run_unbounded(cargo(&["bench", "--bench", name])),
        ["package"] => check::package(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("unknown command or arguments: {}\n\n{USAGE}", arguments.join(" "))),
    }
}

/// Those that are a few lines of shell, or need Python for their statistics.
fn script(name: &str, arguments: &[&str]) -> Outcome {
    let mut command = std::process::Command::new(run::root().join("scripts").join(name));
    command.args(arguments);
    run_unbounded(command)
}
