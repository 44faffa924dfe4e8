//! The `ringway-bridge` command, which `ringway bridge` runs.

#[cfg(test)]
use ringway_bound as _;

mod command;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use command::links::{self, Link};

/// Carry queues past one machine: into NATS JetStream streams, and from them into queues.
#[derive(Parser)]
#[command(name = "ringway-bridge", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    ended as asked: everything taken is stored, or given back to the queue
  1    failure: the message on standard error says what, where, and what to do
  2    the arguments or the configuration cannot be understood
  3    refused: a type, queue, stream or second bridge that would lose or repeat messages
  130  a second signal ended it at once";

#[derive(Subcommand)]
enum Command {
    /// Carry a queue into a stream: everything that is sent to it, in order, each message once
    Out {
        #[command(flatten)]
        link: command::out::Arguments,
        /// Serve /metrics, /healthz and /readyz here
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: Option<SocketAddr>,
    },
    /// Carry a stream into a queue: exactly once if it is an SPSC queue, at least once if MPMC
    In {
        #[command(flatten)]
        link: command::inbound::Arguments,
        /// Serve /metrics, /healthz and /readyz here
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: Option<SocketAddr>,
    },
    /// Run all links of a configuration file; one that fails ends the others
    Run {
        /// The file: TOML, with the same names as the options of `out` and `in`
        file: PathBuf,
    },
    /// Check whether the links of a configuration file could run; connects and compares, and changes nothing
    Check {
        /// The file
        file: PathBuf,
    },
}

fn main() -> std::process::ExitCode {
    let command = Cli::parse().command;
    command::log();
    let outcome = match command {
        Command::Out { link, listen } => links::run(&[Link::Out(link)], listen),
        Command::In { link, listen } => links::run(&[Link::In(link)], listen),
        Command::Run { file } => match command::file::read(&file) {
            Ok(config) => links::run(&config.links, config.listen),
            Err(error) => return command::misconfigured(&error),
        },
        Command::Check { file } => match command::file::read(&file) {
            Ok(config) => command::check::run(&config),
            Err(error) => return command::misconfigured(&error),
        },
    };
    command::end(outcome)
}
