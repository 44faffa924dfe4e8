//! The `ringway` command, as a function: for the program of that name, and for the Python package,
//! whose wheel has the command, too.
//!
//! ```text
//! bench/                                  measures
//! stat/  top/  peek/  schema.rs           inspect, through `ringway::inspect`: without writing
//! fields/                                 what is in messages of known types
//! doctor/  gc.rs                          inspect; repair or remove if told to
//! create.rs  send.rs  recv/               participants
//! sync.rs                                 writes to the disk
//! bridge.rs                               runs `ringway-bridge`
//! arguments.rs  ending.rs                 the command line, and exit codes
//! completions.rs                          shell completions and man pages, from the same definitions
//! directory.rs  queue.rs  framing.rs      shared: finding and opening queues, messages in streams,
//! interrupt.rs  output.rs  text.rs        Ctrl-C, standard output and colours, human-readable numbers
//! escape.rs                               what may reach a terminal
//! ```

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "`output` tames what reaches a terminal")]

#[cfg(test)]
use ringway_bound as _;

mod arguments;
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints nothing but its own numbers")]
mod bench;
mod bridge;
mod completions;
mod create;
mod directory;
mod doctor;
mod ending;
mod escape;
mod fields;
mod framing;
mod gc;
mod interrupt;
mod json_path;
mod output;
mod peek;
mod queue;
mod recv;
mod schema;
mod send;
mod stat;
mod sync;
mod text;
mod top;

use std::ffi::OsString;
use std::process::Command as Process;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use ending::Outcome;
use output::complain;

/// Message queues between processes, in mapped files: create, inspect, use, repair and measure them.
///
/// A queue is named by its file: a bare name is a file in /dev/shm, anything with a slash is a path.
#[derive(Parser)]
#[command(name = "ringway", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    success (also if the reader of the output went away)
  1    failure: the message on standard error says what, for which file, and what to do
  2    the arguments cannot be understood
  3    doctor: something is wrong with a queue, and still is
  4    send, recv: the time of --timeout was up, or there were fewer messages than --count
  130  interrupted (Ctrl-C, SIGTERM)";

#[derive(Subcommand)]
enum Command {
    /// Create a queue of bytes.
    Create(create::Arguments),
    /// Show a queue: shape, backlog, participants, what they hold, counters, rates.
    Stat(stat::Arguments),
    /// Watch all queues of a directory.
    Top(top::Arguments),
    /// Send messages: arguments, or lines or records of standard input.
    Send(send::Arguments),
    /// Receive messages: to standard output, or to commands that run for them.
    Recv(recv::Arguments),
    /// Show the oldest messages without consuming them.
    Peek(peek::Peek),
    /// Show the newest messages without consuming them, and those that come.
    Tail(peek::Tail),
    /// Show the type of a queue's messages, and its fields.
    Schema(schema::Arguments),
    /// Find what is wrong with queues, and which repairs are safe; --repair does them.
    Doctor(doctor::Arguments),
    /// Write queues to the disk, and wait for that: what was sent before survives a power loss.
    Sync(sync::Arguments),
    /// Find queues that no live participant is attached to; --remove removes them.
    Gc(gc::Arguments),
    /// Carry a queue to other machines: into a NATS JetStream stream, and back (runs ringway-bridge).
    Bridge(bridge::Arguments),
    /// Measure throughput and latency between two real processes, beside this machine's own limits.
    Bench(bench::Arguments),
    /// Print a completion script for a shell.
    Completions(completions::Completions),
    /// Print the man page, or write those of all commands into a directory.
    Man(completions::Man),
    /// One side of a measurement; started by `bench`.
    #[command(hide = true)]
    BenchWorker {
        /// What to do, as JSON.
        task: String,
    },
}

fn perform(command: Command) -> Result<Outcome> {
    match command {
        Command::Create(arguments) => create::run(&arguments),
        Command::Stat(arguments) => stat::run(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Send(arguments) => send::run(&arguments),
        Command::Recv(arguments) => recv::run(&arguments),
        Command::Peek(arguments) => peek::peek(&arguments),
        Command::Tail(arguments) => peek::tail(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Sync(arguments) => sync::run(&arguments),
        Command::Gc(arguments) => gc::run(&arguments),
        Command::Completions(arguments) => completions::completions(&arguments),
        Command::Man(arguments) => completions::man(&arguments),
        Command::Bridge(arguments) => bridge::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments).map(|()| Outcome::Well),
        Command::BenchWorker { task } => bench::work(&task).map(|()| Outcome::Well),
    }
}

/// Runs the command with these arguments, the first of which is its name, and returns its exit code.
/// May end the process instead.
///
/// `program`: what starts a process of this command, by which `bench` starts others; the program file
/// of this process, if it is empty. The handlers of SIGINT, SIGTERM and SIGHUP are changed.
///
/// ```
/// # let dir = std::env::temp_dir().join(format!("ringway-cli-{}", std::process::id()));
/// # std::fs::create_dir(&dir).unwrap();
/// let queue = dir.join("jobs").into_os_string();
/// let code = ringway_cli::run(["ringway".into(), "create".into(), queue], Vec::new());
/// assert_eq!(code, 0);
/// # std::fs::remove_dir_all(&dir).unwrap();
/// ```
pub fn run(arguments: impl IntoIterator<Item = OsString>, program: Vec<OsString>) -> u8 {
    // Called once in a process; a second call keeps the program.
    let _ = PROGRAM.set(program);
    let outcome = perform(arguments::parse(arguments.into_iter().collect()).command);
    match outcome {
        Ok(outcome) => outcome.exit_code(),
        Err(error) if output::is_broken_pipe(&error) => 0,
        Err(error) => match error.downcast_ref::<bench::Interrupted>() {
            // An interrupted command reports no error.
            Some(interrupted) => {
                complain!("{interrupted}");
                Outcome::Interrupted.exit_code()
            }
            None => {
                complain!("{error:#}");
                1
            }
        },
    }
}

/// What starts a process of this command; empty: the program file of this process.
static PROGRAM: OnceLock<Vec<OsString>> = OnceLock::new();

/// A process of this command, to be started.
fn another() -> Result<Process> {
    match PROGRAM.get().map(Vec::as_slice) {
        Some([program, arguments @ ..]) => {
            let mut process = Process::new(program);
            process.args(arguments);
            Ok(process)
        }
        _ => Ok(Process::new(std::env::current_exe().context("finding this program's file")?)),
    }
}
