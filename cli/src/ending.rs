//! How commands end.

use std::process::ExitCode;

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Well,
    /// `doctor` found something that is still wrong.
    Findings,
    /// The time of `--timeout` expired, or there were fewer messages than `--count`.
    Short,
    /// By SIGINT, SIGTERM or SIGHUP.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(ending: Outcome) -> Self {
        Self::from(match ending {
            Outcome::Well => 0,
            Outcome::Findings => 3,
            Outcome::Short => 4,
            Outcome::Interrupted => 130,
        })
    }
}
