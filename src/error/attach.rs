//! Errors of attaching to a queue.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::{Corrupted, OpenError, Role};

/// Why no producer or consumer was attached. The queue is unchanged.
#[derive(Debug)]
#[non_exhaustive]
pub enum AttachError {
    /// An SPSC queue has one producer and one consumer, and the present one is alive.
    RoleTaken {
        /// The file.
        path: PathBuf,
        /// Which role.
        role: Role,
        /// The process that holds it, as it recorded itself: its pid is meaningful in its own pid namespace.
        pid: u32,
        /// That process's name, if this process can see it.
        name: Option<String>,
    },
    /// Every registry entry of an MPMC queue belongs to a live participant.
    TooManyParticipants {
        /// The file.
        path: PathBuf,
        /// The number of entries.
        participants: usize,
    },
    /// Every registry entry of a broadcast queue for this role belongs to a live participant.
    TooManyOfRole {
        /// The file.
        path: PathBuf,
        /// Which role.
        role: Role,
        /// The number of entries for it.
        places: usize,
    },
    /// A broadcast queue that was created with [`gating(false)`](crate::CreateOptions::gating) admits no
    /// consumer that producers may have to wait for.
    NotAdmitted {
        /// The file.
        path: PathBuf,
    },
    /// A position of a broadcast queue from which to read that has not been reached yet.
    NotReached {
        /// The file.
        path: PathBuf,
        /// The position that was asked for.
        position: u64,
        /// The position of the next message.
        newest: u64,
    },
    /// The filesystem has no space for what this participant needs of the file: an MPMC producer's new
    /// lane, or parts of a ring that are holes in this file. Copying a file turns zeros into holes (`cp`,
    /// `tar -S`, `rsync -S`); storing into a hole without space for it would end the process.
    NoSpace {
        /// The file.
        path: PathBuf,
        /// Bytes that it takes; of a section with holes, at most.
        needed: u64,
        /// Whether the space is for holes of a section that once had all its space.
        has_holes: bool,
    },
    /// The queue was unlinked.
    Unlinked {
        /// The file.
        path: PathBuf,
    },
    /// The queue was unlinked or renamed, and another file has its name: a process that opens the
    /// name now gets another queue than this handle's.
    Orphaned {
        /// The file.
        path: PathBuf,
    },
    /// The file was truncated while it was open here
    /// ([`OpenOptions::guard_truncation`](crate::OpenOptions::guard_truncation)).
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// Another process has held the attach lock for seconds, to attach or unlink: it must be
    /// stopped or swapped out.
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// No registry entry of an MPMC queue is free, though not all of their participants are alive, and another
    /// process has held the recovery lock, which is needed to free the entries of the dead: it must be stopped or
    /// swapped out.
    RecoveryBusy {
        /// The file.
        path: PathBuf,
    },
    /// A consumer of a queue with dead letters: the file with the name of its dead-letter queue
    /// cannot be one.
    DeadLetters {
        /// The file with that name.
        path: PathBuf,
        /// Why it was not opened.
        source: Box<OpenError>,
    },
    /// A cursor in the file has an invalid value.
    Corrupted(Box<Corrupted>),
    /// A signal handler ran while this waited for a role.
    Interrupted,
    /// The handle was created before a fork, and this is the child.
    Forked,
    /// The system refused a step.
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoleTaken { path, role, pid, name } => {
                write!(f, "{}: the queue has a live {role} already: process {pid}", path.display())?;
                if let Some(name) = name {
                    write!(f, " ({name})")?;
                }
                write!(f, "; an SPSC queue takes one, so stop that one first")
            }
            Self::TooManyParticipants { path, participants } => write!(
                f,
                "{}: all {participants} places for producers and consumers are taken; stop one, or create the queue \
                 with more participants",
                path.display()
            ),
            Self::TooManyOfRole { path, role, places } => {
                let (some, option) = match role {
                    Role::Producer => ("producers", "max_producers"),
                    Role::Consumer => ("consumers", "max_participants"),
                };
                let takes = match places {
                    1 => "the only place for a producer is taken".to_owned(),
                    places => format!("all {places} places for {some} are taken"),
                };
                write!(f, "{}: {takes}; stop one, or create the queue with more `{option}`", path.display())
            }
            Self::NotAdmitted { path } => write!(
                f,
                "{}: the queue was created with `gating(false)`, so that no producer ever waits for a consumer; attach with \
                 `Subscribe::lossy()`",
                path.display()
            ),
            Self::NotReached { path, position, newest } => write!(
                f,
                "{}: position {position} has not been reached; the next message gets position {newest}: was the position noted \
                 from another queue of this name?",
                path.display()
            ),
            Self::NoSpace { path, needed, has_holes: true } => super::open::write_holes(f, path, *needed),
            Self::NoSpace { path, needed, has_holes: false } => write!(
                f,
                "{}: no space for one more producer's lane of {needed} bytes; free some, or create the queue with \
                 fewer `ring_bytes`",
                path.display()
            ),
            Self::Unlinked { path } => {
                write!(f, "{}: the queue was unlinked; create it anew", path.display())
            }
            Self::Orphaned { path } => write!(
                f,
                "{}: the queue that was opened is no longer the one of this name: it was unlinked or renamed, and another \
                 file is in its place; open it again",
                path.display()
            ),
            Self::Truncated { path } => super::transfer::write_truncated(f, path),
            Self::Busy { path } => write!(
                f,
                "{}: another process has been attaching to it for seconds; it may be stopped: continue or kill it",
                path.display()
            ),
            Self::RecoveryBusy { path } => write!(
                f,
                "{}: all places for producers and consumers are taken, some of them by participants that are dead, and \
                 another process that is recovering from them does not go on; it may be stopped: continue or kill it",
                path.display()
            ),
            Self::DeadLetters { path, source } => {
                let (letters, queue) = (path.display(), path.with_extension(""));
                write!(
                    f,
                    "{letters}: this cannot be the dead-letter queue of {}, so that messages which fail would be delivered \
                     again for ever: {source}; if it is left from an earlier version of the queue, look into it \
                     (`ringway peek {letters}`) or receive what is in it with the program that made it, then move it away \
                     (`mv {letters} {letters}.old`)",
                    queue.display()
                )
            }
            Self::Corrupted(corrupted) => corrupted.fmt(f),
            Self::Interrupted => {
                f.write_str("a signal came while waiting for a role; call again to go on waiting")
            }
            Self::Forked => f.write_str(super::transfer::FORKED),
            Self::Io { path, step, source } => write!(f, "{}: {step} failed: {source}", path.display()),
        }
    }
}

impl Error for AttachError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => source.source(),
            Self::DeadLetters { source, .. } => source.source(),
            _ => None,
        }
    }
}
