//! Warnings: deviations from what was asked for that do no harm. A library does not print; it records them.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Unproven;

/// A non-fatal fact about a handle: an option that could not be honoured, or a caveat. The queue
/// works nevertheless.
///
/// [`Queue::warnings`](crate::kind::Queue::warnings) lists the warnings of one handle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// ringway does not know the filesystem. It assumes a local one, with coherent mappings and file locks.
    UnknownFilesystem {
        /// Its number in `statfs` (`f_type`).
        number: u64,
    },
    /// The filesystem copies on write: it stores rewritten data elsewhere, so that if the disk gets
    /// full later, a process that writes is ended with SIGBUS.
    CopyOnWrite {
        /// Its name.
        filesystem: &'static str,
    },
    /// A section of the file has no huge pages, though they were asked for
    /// ([`OpenOptions::huge_pages`](crate::OpenOptions::huge_pages)).
    NoHugePages {
        /// What the kernel said.
        reason: String,
    },
    /// The queue that was opened is closed: nothing is sent any more, and receiving ends once
    /// everything was taken.
    Closed,
    /// A size was rounded to one that is possible.
    Rounded {
        /// The option.
        option: &'static str,
        /// What was asked for.
        asked: u64,
        /// What the queue has.
        made: u64,
    },
    /// An option has no effect, because the queue exists already and was created with another value.
    Ignored {
        /// The option.
        option: &'static str,
        /// What was asked for.
        asked: u64,
        /// What the queue has; 0 for none.
        found: u64,
    },
    /// The system did not say which file the queue's name refers to, which
    /// [`OpenOptions::end_when_orphaned`](crate::OpenOptions::end_when_orphaned) needs. The check is repeated.
    NameUnknown {
        /// What the system said.
        reason: String,
    },
    /// The current boot of the machine could not be determined: whether the queue has outlived a
    /// power loss is not checked.
    UnknownBoot {
        /// What the system said.
        reason: String,
    },
    /// The machine was started again since the queue was last used, nothing proves that all of it
    /// reached the disk, and it was opened with its contents as they are
    /// ([`AfterPowerLoss::Keep`](crate::AfterPowerLoss::Keep)).
    KeptUnproven {
        /// What is missing.
        found: Unproven,
        /// How many messages there seem to be.
        kept: u64,
        /// How many could not be read at all.
        dropped: u64,
    },
    /// The machine was started again since the queue was last used, nothing proves that all of it
    /// reached the disk, and its messages were dropped
    /// ([`AfterPowerLoss::Discard`](crate::AfterPowerLoss::Discard)); of a queue with checksums
    /// ([`Checksummed`](crate::kind::Checksummed)), only those that their checksums do not prove.
    Discarded {
        /// What is missing.
        found: Unproven,
        /// How many messages there seemed to be that are not there any more.
        dropped: u64,
        /// How many are still there; each may have been delivered before.
        kept: u64,
    },
    /// The last participant detached, and the file could not be sealed: if the machine is started
    /// again before the next participant detaches, nothing proves that all of it is there, and
    /// opening it is an error ([`OpenError::Unproven`](crate::OpenError::Unproven)).
    NotSealed {
        /// Why it could not be sealed.
        reason: String,
    },
    /// Pages of the file are mapped one by one, when they are first used, although mapping in
    /// advance was asked for ([`OpenOptions::prefault`](crate::OpenOptions::prefault)).
    NotPrefaulted {
        /// What the kernel said.
        reason: String,
    },
    /// At some time, a participant of this handle could not find out whether its peers are alive,
    /// or could not remove the residue of a dead one. Calls that wait report that as well
    /// ([`RecoveryFailed`](crate::RecoveryFailed)).
    RecoveryFailed {
        /// What failed, and what the kernel said.
        reason: String,
    },
    /// The dead-letter queue cannot be used now: messages that should be dead-lettered are
    /// delivered once more instead.
    NoDeadLetters {
        /// The file of the dead-letter queue.
        path: PathBuf,
        /// The reason, and what to do.
        reason: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFilesystem { number } => write!(
                f,
                "the filesystem (number {number:#x}) is unknown to ringway and taken for a local one; if other machines \
                 can write to it, move the queue to /dev/shm"
            ),
            Self::CopyOnWrite { filesystem } => write!(
                f,
                "{filesystem} copies what is written again, so that a disk that gets full ends the process that writes; \
                 /dev/shm does not"
            ),
            Self::NoHugePages { reason } => {
                write!(f, "no huge pages: {reason}; /dev/shm and memfd queues of some MiB can have them")
            }
            Self::Closed => f.write_str(
                "the queue is closed: nothing can be sent, and receiving ends when everything was taken; unlink it to begin anew, or \
                 open it with `CreateOptions::replace_closed`",
            ),
            Self::Rounded { option, asked, made } => {
                write!(f, "`{option}` was rounded: {asked} was asked for, and the queue has {made}")
            }
            Self::Ignored { option, asked, found } => write!(
                f,
                "`{option}` was ignored, since the queue exists already: {asked} was asked for, and it has {found}; create it anew \
                 to change that"
            ),
            Self::NameUnknown { reason } => {
                write!(
                    f,
                    "whether the queue's name still leads to it could not be found out: {reason}; it is asked again"
                )
            }
            Self::UnknownBoot { reason } => write!(
                f,
                "which boot of the machine this is could not be told ({reason}), so that messages may be torn if the power \
                 failed; make /proc/sys/kernel/random/boot_id readable"
            ),
            Self::KeptUnproven { found, kept, .. } => write!(
                f,
                "the machine was started again since the queue was last used, and its {kept} messages were taken as they \
                 are: {found}; some may be missing, torn, or old ones"
            ),
            Self::Discarded { found, dropped, kept } => write!(
                f,
                "the machine was started again since the queue was last used: {found}; {dropped} messages were dropped, and \
                 {kept} are kept that are whole"
            ),
            Self::NotSealed { reason } => write!(
                f,
                "the queue could not be sealed when its last participant left: {reason}; it will be refused if the machine is \
                 started again; `Queue::sync` or `ringway sync` seals it"
            ),
            Self::RecoveryFailed { reason } => {
                write!(f, "what a dead participant has left could not be looked after here: {reason}")
            }
            Self::NotPrefaulted { reason } => {
                write!(f, "the pages were not mapped in advance: {reason}; each is at its first use")
            }
            Self::NoDeadLetters { path, reason } => write!(
                f,
                "{}: no message can become a dead letter now, they are delivered once more instead: {reason}",
                path.display()
            ),
        }
    }
}

/// The warnings of one handle and of the participants attached through it; each is kept once.
#[derive(Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<Warning>>>);

impl Warnings {
    pub(crate) fn add(&self, warning: Warning) {
        let mut warnings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    pub(crate) fn list(&self) -> Vec<Warning> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
