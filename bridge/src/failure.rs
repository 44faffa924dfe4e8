//! Why a link ended, and the exit code that says so.

use std::fmt;

/// What the process exits with. docs/cli.md lists the same numbers for the `ringway` command.
pub mod exit {
    /// The link ended as asked, and everything that was taken is stored or given back.
    pub const SUCCESS: u8 = 0;
    /// The link failed: the message says where and what to do.
    pub const FAILED: u8 = 1;
    /// The arguments or the configuration cannot be understood.
    pub const ARGUMENTS: u8 = 2;
    /// The other side is not what it should be (a type, a queue, a stream, a second bridge): going on would lose or
    /// repeat messages, and trying again does not help.
    pub const REFUSED: u8 = 3;
    /// A second signal ended the process before the first one's work was done.
    pub const INTERRUPTED: u8 = 130;
}

/// Why a link ended. Outages do not end a link: it tries again until it is stopped.
#[derive(Debug)]
pub enum Failure {
    /// Going on would lose or repeat messages: exit code 3.
    Refused(String),
    /// The queue, a file or the system failed: exit code 1.
    Failed(anyhow::Error),
}

impl Failure {
    /// The exit code that stands for it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => exit::REFUSED,
            Self::Failed(_) => exit::FAILED,
        }
    }

    /// The same, with what it is about before it.
    #[must_use]
    pub fn context(self, what: &str) -> Self {
        match self {
            Self::Refused(why) => Self::Refused(format!("{what}: {why}")),
            Self::Failed(error) => Self::Failed(error.context(what.to_owned())),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => f.write_str(why),
            Self::Failed(error) => write!(f, "{error:#}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}
