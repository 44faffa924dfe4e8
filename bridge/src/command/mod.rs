//! What the subcommands share: the runtime, signals, logs and exit codes.

pub(crate) mod check;
pub(crate) mod file;
pub(crate) mod inbound;
pub(crate) mod links;
pub(crate) mod out;
pub(crate) mod servers;

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use ringway_nats::failure::{Failure, exit};
use ringway_nats::stop::{self, Stop};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Logs to standard error; `RUST_LOG` sets what. The client's own messages are of no use beside the bridge's.
pub(crate) fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,async_nats=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
}

/// Runs links until they end. SIGTERM and SIGINT ask them to; a second one ends the process.
pub(crate) fn run_until_stopped<F>(links: impl FnOnce(Stop) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("starting the runtime")?;
    let outcome = runtime.block_on(async {
        let (stopper, stop) = stop::pair();
        let mut term = signal(SignalKind::terminate()).context("registering a signal handler")?;
        let mut int = signal(SignalKind::interrupt()).context("registering a signal handler")?;
        let links = links(stop);
        tokio::pin!(links);
        let mut signals = 0;
        loop {
            tokio::select! {
                outcome = &mut links => return outcome,
                _ = term.recv() => signals += 1,
                _ = int.recv() => signals += 1,
            }
            match signals {
                1 => {
                    tracing::info!("ending: waiting for acknowledgements; a second signal ends at once");
                    stopper.stop();
                }
                // What is not acknowledged stays in the queue, as after a crash.
                _ => std::process::exit(exit::INTERRUPTED.into()),
            }
        }
    });
    // A thread may be looking up a server's name, for as long as the network is away: nothing is waited for any more, and
    // no signal would be heeded.
    runtime.shutdown_background();
    outcome
}

/// The exit code; a failure is told on standard error.
pub(crate) fn end(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => exit::SUCCESS.into(),
        Err(failure) => {
            // There is no way to report that this failed.
            let _ = writeln!(std::io::stderr(), "ringway-bridge: {}", tame(&failure.to_string()));
            failure.exit_code().into()
        }
    }
}

/// The exit code for a configuration that cannot be understood; why is told on standard error.
pub(crate) fn misconfigured(error: &anyhow::Error) -> ExitCode {
    // There is no way to report that this failed.
    let _ = writeln!(std::io::stderr(), "ringway-bridge: {}", tame(&format!("{error:#}")));
    exit::ARGUMENTS.into()
}

/// The next beat; never, if there are none.
pub(crate) async fn tick(beat: &mut Option<tokio::time::Interval>) {
    match beat {
        Some(beat) => drop(beat.tick().await),
        None => std::future::pending().await,
    }
}

/// The text with characters escaped that a terminal would obey or hide, or that turn the text after them around.
fn tame(text: &str) -> String {
    let is_format = |c: char| {
        matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
    };
    text.chars().fold(String::new(), |mut tamed, c| {
        match c.is_control() || is_format(c) {
            true => tamed.extend(c.escape_default()),
            false => tamed.push(c),
        }
        tamed
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn the_end_does_not_wait_for_what_blocks_a_thread() {
        // Such as the lookup of a name while the network is away.
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let begin = Instant::now();
        let outcome = run_until_stopped(async |_stop| {
            drop(tokio::task::spawn_blocking(move || receiver.recv_timeout(Duration::from_secs(30))));
            Ok(())
        });
        assert!(outcome.is_ok() && begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
        drop(sender);
    }

    #[test]
    fn what_turns_text_around_or_hides_it_is_written_as_its_number() {
        assert_eq!(
            tame("a\u{1b}[2J\n\u{202e}b\u{2066}\u{200f}\u{61c}é"),
            "a\\u{1b}[2J\\n\\u{202e}b\\u{2066}\\u{200f}\\u{61c}é"
        );
    }
}
