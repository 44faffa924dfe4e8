//! What did not go as it was asked for, and does no harm: a library does not print.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Unproven;

/// Something that was asked for and could not be had, or that is good to know. The queue works all the same.
///
/// [`Queue::warnings`](crate::Queue::warnings) lists those of one handle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The filesystem is none that ringway knows. It is taken for a local one, with coherent mappings and file locks.
    UnknownFilesystem {
        /// What `statfs` calls it (`f_type`).
        number: u64,
    },
    /// The filesystem writes elsewhere what is written again, so that a disk that gets full later ends the process that
    /// writes with SIGBUS.
    CopyOnWrite {
        /// Its name.
        filesystem: &'static str,
    },
    /// A section of the file has no huge pages, though they were asked for
    /// ([`Options::huge_pages`](crate::Options::huge_pages)).
    NoHugePages {
        /// What the kernel said.
        reason: String,
    },
    /// The queue that was opened is closed: nothing is sent any more, and receiving ends once everything was taken.
    Closed,
    /// A size was rounded to what a queue can have.
    Rounded {
        /// The option.
        option: &'static str,
        /// What was asked for.
        asked: u64,
        /// What the queue has.
        made: u64,
    },
    /// An option has no effect, because the queue exists already and was made otherwise.
    Ignored {
        /// The option.
        option: &'static str,
        /// What was asked for.
        asked: u64,
        /// What the queue has; 0 for none.
        found: u64,
    },
    /// The system did not say what the queue's name leads to, which is to be known
    /// ([`Options::end_when_orphaned`](crate::Options::end_when_orphaned)). It is asked again.
    NameUnknown {
        /// What the system said.
        reason: String,
    },
    /// Which boot of the machine this is could not be told: whether the queue has outlived a power loss is not looked at.
    UnknownBoot {
        /// What the system said.
        reason: String,
    },
    /// The machine was started again since the queue was last used, nothing proves that all of it reached the disk, and it was
    /// taken as it is ([`AfterPowerLoss::Keep`](crate::AfterPowerLoss::Keep)).
    KeptUnproven {
        /// What is missing.
        found: Unproven,
        /// How many messages there seem to be.
        kept: u64,
        /// How many could not be read at all.
        dropped: u64,
    },
    /// As above, and its messages were dropped ([`AfterPowerLoss::Discard`](crate::AfterPowerLoss::Discard)); of a queue with
    /// checksums ([`Checksummed`](crate::Checksummed)), those that do not prove themselves.
    Discarded {
        /// What is missing.
        found: Unproven,
        /// How many messages there seemed to be that are not there any more.
        dropped: u64,
        /// How many are still there; each may have been delivered before.
        kept: u64,
    },
    /// The last participant left, and the file could not be sealed: if the machine is started again before the next
    /// participant leaves, nothing proves that all of it is there, and opening it is an error
    /// ([`OpenError::Unproven`](crate::OpenError::Unproven)).
    NotSealed {
        /// What kept it from being sealed.
        reason: String,
    },
    /// Pages of the file are mapped one by one, when they are first used, though they were to be mapped in advance
    /// ([`Options::prefault`](crate::Options::prefault)).
    NotPrefaulted {
        /// What the kernel said.
        reason: String,
    },
    /// A participant here could not find out whether others are alive, or not give back what a dead one has left; at that time.
    /// Calls that wait say so as well ([`RecoveryFailed`](crate::RecoveryFailed)).
    RecoveryFailed {
        /// What failed, and what the kernel said.
        reason: String,
    },
    /// The dead-letter queue cannot be used now: messages that should become dead letters are delivered once more instead.
    NoDeadLetters {
        /// The file of the dead-letter queue.
        path: PathBuf,
        /// What keeps them, and what to do.
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
                 open it with `Options::replace_closed`",
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

/// The warnings of one handle and of whoever takes part through it; each is kept once.
#[derive(Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<Warning>>>);

impl Warnings {
    pub(crate) fn add(&self, notice: Warning) {
        let mut warnings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&notice) {
            warnings.push(notice);
        }
    }

    pub(crate) fn list(&self) -> Vec<Warning> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
