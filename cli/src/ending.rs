//! How commands end.

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

impl Outcome {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Findings => 3,
            Self::Short => 4,
            Self::Interrupted => 130,
        }
    }
}
