//! The `ringway` command.

mod bench;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Message queues between processes, in mapped files.
#[derive(Parser)]
#[command(name = "ringway", version, about, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    all went well
  1    it failed: the message on standard error says what, where, and what to do
  2    the arguments cannot be understood
  130  interrupted (Ctrl-C)";

#[derive(Subcommand)]
enum Command {
    /// Measure throughput and latency between two real processes, beside this machine's own limits.
    Bench(bench::Arguments),
    /// One side of a measurement; started by `bench`.
    #[command(hide = true)]
    BenchWorker {
        /// What to do, as JSON.
        task: String,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Bench(arguments) => bench::run(&arguments),
        Command::BenchWorker { task } => bench::work(&task),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<bench::Interrupted>() {
            // Where it was interrupted is of no interest.
            Some(interrupted) => {
                eprintln!("ringway: {interrupted}");
                ExitCode::from(130)
            }
            None => {
                eprintln!("ringway: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}
