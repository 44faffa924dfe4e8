//! Why a message was not dead-lettered, as one word in the queue's file, for tools.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::{AttachError, CreateError, OpenError};

/// Why a message could not be dead-lettered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadLetterCause {
    /// The file with the name of the dead-letter queue is no MPMC queue of messages of this type.
    WrongFile,
    /// The file or its directory may not be written to, or unintended users may write to it.
    Permission,
    /// No room on the filesystem.
    NoSpace,
    /// All registry entries of the dead-letter queue are taken.
    TooManyParticipants,
    /// The dead-letter queue is full.
    Full,
    /// The dead-letter queue takes no messages of that size.
    TooLarge,
    /// The dead-letter queue is closed.
    Closed,
    /// The dead-letter queue was removed repeatedly while dead letters were sent to it.
    Removed,
    /// The system refused a step.
    System,
}

const CAUSES: [DeadLetterCause; 9] = [
    DeadLetterCause::WrongFile,
    DeadLetterCause::Permission,
    DeadLetterCause::NoSpace,
    DeadLetterCause::TooManyParticipants,
    DeadLetterCause::Full,
    DeadLetterCause::TooLarge,
    DeadLetterCause::Closed,
    DeadLetterCause::Removed,
    DeadLetterCause::System,
];

impl fmt::Display for DeadLetterCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongFile => {
                "the file with the name of the dead-letter queue is no MPMC queue of messages of this type; receive what is in \
                 it with the program that made it, then unlink it"
            }
            Self::Permission => {
                "the dead-letter queue may not be created or written to; see to the owner and the mode of the file and of its \
                 directory"
            }
            Self::NoSpace => "the filesystem has no room for the dead-letter queue; free some",
            Self::TooManyParticipants => {
                "all places for producers and consumers of the dead-letter queue are taken; stop some of those who receive \
                 from it"
            }
            Self::Full => "the dead-letter queue is full; receive from it",
            Self::TooLarge => {
                "the dead-letter queue was made for smaller messages; receive what is in it, then unlink it: the next dead \
                 letter makes it anew"
            }
            Self::Closed => "the dead-letter queue is closed; receive what is in it, then unlink it",
            Self::Removed => "the dead-letter queue was removed again and again; find out who removes it",
            Self::System => "the system refused a step",
        })
    }
}

/// The last failure to dead-letter a message: the message was delivered once more instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetterFailure {
    /// Why it failed.
    pub cause: DeadLetterCause,
    /// The system's error number, if there was one.
    pub errno: Option<i32>,
    /// When, to the second, by the clock of the consumer that tried.
    pub at: SystemTime,
}

impl fmt::Display for DeadLetterFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)?;
        match self.errno {
            Some(errno) => write!(f, " ({})", std::io::Error::from_raw_os_error(errno)),
            None => Ok(()),
        }
    }
}

const ERRNO_SHIFT: u32 = 8;
const SECONDS_SHIFT: u32 = 24;

impl DeadLetterFailure {
    pub(crate) fn now(cause: DeadLetterCause, errno: Option<i32>) -> Self {
        Self { cause, errno, at: SystemTime::now() }
    }

    /// Seconds since 1970 << 24 | error number << 8 | cause, from 1 on.
    pub(crate) fn to_word(self) -> u64 {
        let code = CAUSES.iter().position(|cause| *cause == self.cause).map_or(0, |index| index as u64 + 1);
        let errno = u64::from(self.errno.and_then(|errno| u16::try_from(errno).ok()).unwrap_or(0));
        let seconds = self.at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        seconds << SECONDS_SHIFT | errno << ERRNO_SHIFT | code
    }

    /// `None` if the word says that there was no failure. A cause that this version does not know
    /// becomes `System`.
    pub(crate) fn from_word(word: u64) -> Option<Self> {
        let code = word as usize & 0xff;
        let cause = CAUSES.get(code.checked_sub(1)?).copied().unwrap_or(DeadLetterCause::System);
        let errno = Some((word >> ERRNO_SHIFT & 0xffff) as i32).filter(|errno| *errno != 0);
        Some(Self { cause, errno, at: SystemTime::UNIX_EPOCH + Duration::from_secs(word >> SECONDS_SHIFT) })
    }
}

/// A cause, and the system's error number.
pub(crate) type Cause = (DeadLetterCause, Option<i32>);

impl OpenError {
    /// Why dead letters cannot be sent to the queue that was not opened.
    pub(crate) fn letter_cause(&self) -> Cause {
        match self {
            Self::PermissionDenied { .. } | Self::ReadOnly { .. } | Self::WrongOwnerOrMode { .. } => {
                (DeadLetterCause::Permission, None)
            }
            Self::NoSpace { .. } => (DeadLetterCause::NoSpace, None),
            Self::Io { source, .. } => (DeadLetterCause::System, source.raw_os_error()),
            Self::Unlinked { .. } | Self::NotFound { .. } => (DeadLetterCause::Removed, None),
            Self::Create(error) => error.letter_cause(),
            _ => (DeadLetterCause::WrongFile, None),
        }
    }
}

impl CreateError {
    fn letter_cause(&self) -> Cause {
        match self {
            Self::NoSpace { .. } => (DeadLetterCause::NoSpace, None),
            Self::FileSizeLimit { .. } => (DeadLetterCause::System, Some(libc::EFBIG)),
            Self::PermissionDenied { .. } | Self::ReadOnly { .. } => (DeadLetterCause::Permission, None),
            Self::Io { source, .. } => (DeadLetterCause::System, source.raw_os_error()),
            Self::AlreadyExists { .. } => (DeadLetterCause::Removed, None),
            _ => (DeadLetterCause::System, None),
        }
    }
}

impl AttachError {
    /// Why dead letters cannot be sent to a queue that is open.
    pub(crate) fn letter_cause(&self) -> Cause {
        match self {
            Self::TooManyParticipants { .. } => (DeadLetterCause::TooManyParticipants, None),
            Self::NoSpace { .. } => (DeadLetterCause::NoSpace, None),
            Self::Unlinked { .. } | Self::Orphaned { .. } => (DeadLetterCause::Removed, None),
            Self::Corrupted(_) | Self::Truncated { .. } => (DeadLetterCause::WrongFile, None),
            Self::Io { source, .. } => (DeadLetterCause::System, source.raw_os_error()),
            _ => (DeadLetterCause::System, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_comes_out_of_its_word_as_it_was_put_in() {
        assert_eq!(DeadLetterFailure::from_word(0), None);
        for cause in CAUSES {
            for errno in [None, Some(24)] {
                let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 33);
                let failure = DeadLetterFailure { cause, errno, at };
                assert_eq!(DeadLetterFailure::from_word(failure.to_word()), Some(failure));
            }
        }
        let unknown = DeadLetterFailure::from_word(0xff).unwrap();
        assert_eq!(unknown.cause, DeadLetterCause::System);
    }
}
