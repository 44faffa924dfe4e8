//! The `ringway` program: see the library beside.

#[cfg(test)]
use ringway_bound as _;

use std::process::ExitCode;

fn main() -> ExitCode {
    ringway_cli::run(std::env::args_os(), Vec::new()).into()
}
