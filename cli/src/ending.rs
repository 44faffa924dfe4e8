//! How commands end.

use std::process::ExitCode;

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Well,
    /// `doctor` found something that is still wrong.
    Findings,
    /// The time that `--timeout` gives was up, or there were fewer messages than `--count` asks for.
    Short,
    /// By SIGINT, SIGTERM or SIGHUP.
    Interrupted,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(match ending {
            Ending::Well => 0,
            Ending::Findings => 3,
            Ending::Short => 4,
            Ending::Interrupted => 130,
        })
    }
}
