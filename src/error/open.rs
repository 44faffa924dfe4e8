//! Errors of opening queues.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::{CreateError, SchemaMismatch, Unproven};

/// Writes that a file has holes that cannot be filled.
pub(super) fn write_holes(f: &mut fmt::Formatter<'_>, path: &Path, needed: u64) -> fmt::Result {
    write!(
        f,
        "{}: the file has holes, as copies have (of zeros), and the filesystem no space for up to {needed} bytes of them; free \
         some space, or copy the queue to where there is more",
        path.display()
    )
}

pub(super) fn wrong_filesystem(
    f: &mut fmt::Formatter<'_>,
    path: &Path,
    filesystem: &str,
    reason: &str,
) -> fmt::Result {
    write!(
        f,
        "{}: the filesystem there is {filesystem}, which cannot hold a queue: {reason}; put it into /dev/shm, or on a \
         local disk",
        path.display()
    )
}

/// Why a queue was not opened. The file is unchanged.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The name cannot name a file.
    InvalidName {
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such file.
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The filesystem is mounted read-only; every process that opens a queue writes to it, even to receive.
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file may not be read and written.
    PermissionDenied {
        /// The file.
        path: PathBuf,
    },
    /// The path names a directory, a symbolic link, a FIFO or a device.
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The filesystem cannot hold a queue.
    WrongFilesystem {
        /// The file.
        path: PathBuf,
        /// What filesystem it is.
        filesystem: &'static str,
        /// Why it cannot.
        reason: &'static str,
    },
    /// More users can write to the file than [`OpenOptions::sharing`](crate::OpenOptions::sharing) allows.
    WrongOwnerOrMode {
        /// The file.
        path: PathBuf,
        /// The user that it belongs to.
        owner: u32,
        /// The user that this process runs as.
        own: u32,
        /// Its mode.
        mode: u32,
    },
    /// The descriptor is no sealed memfd.
    NotSealed {
        /// What it is called.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The other end of the socket sent no queue.
    NotReceived {
        /// What it did instead.
        reason: String,
    },
    /// The file does not begin as a queue file does.
    NotAQueue {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: [u8; 8],
    },
    /// The file is shorter than its header says, or than any header.
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes that there are.
        found: u64,
        /// Bytes that there should be.
        expected: u64,
    },
    /// The file was written on a machine of the other endianness.
    WrongEndianness {
        /// The file.
        path: PathBuf,
    },
    /// The file has another version of the format.
    WrongVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that this library reads.
        expected: u32,
    },
    /// The file uses features that this version of the library does not know.
    UnknownFeatures {
        /// The file.
        path: PathBuf,
        /// The unknown feature bits.
        bits: u64,
    },
    /// The file is incomplete: its creator did not finish.
    Incomplete {
        /// The file.
        path: PathBuf,
    },
    /// A field of the header is corrupted.
    Corrupted {
        /// The file.
        path: PathBuf,
        /// Which field.
        field: &'static str,
        /// What it holds.
        found: u64,
    },
    /// The queue is of another kind.
    WrongKind {
        /// The file.
        path: PathBuf,
        /// Its kind.
        found: String,
        /// The kind that was asked for.
        expected: String,
    },
    /// The queue holds messages of another type.
    WrongType {
        /// The file.
        path: PathBuf,
        /// The type that it holds.
        found: String,
        /// The type that was asked for.
        expected: String,
    },
    /// The queue holds messages of a different type with the same name.
    WrongSchema {
        /// The file.
        path: PathBuf,
        /// How the types differ.
        mismatch: SchemaMismatch,
        /// The backlog, such as "12 messages"; `None` if that is not known.
        waiting: Option<Box<str>>,
    },
    /// Its archives were written with other rkyv format features, or another version of rkyv.
    WrongFormat {
        /// The file.
        path: PathBuf,
        /// Its rkyv format.
        found: String,
        /// The rkyv format of this program.
        expected: String,
    },
    /// The header has holes, as a copy may have (`cp`, `tar -S` and `rsync -S` turn zeros into holes), and
    /// the filesystem has no space for them. Writing to them without space would end the process.
    NoSpace {
        /// The file.
        path: PathBuf,
        /// Bytes that it takes, at most.
        needed: u64,
    },
    /// The file is larger than the limit for files of untrusted peers
    /// ([`Limits::file`](crate::untrusted::Limits::file)).
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What is too large: the file, or the tables of slots and participants.
        what: &'static str,
        /// How large it is.
        found: u64,
        /// How large it may be.
        limit: u64,
    },
    /// The machine was started again since the queue was last used, and nothing proves that all of
    /// it reached the disk ([`OpenOptions::after_power_loss`](crate::OpenOptions::after_power_loss)). Or
    /// the machine was not: containers of systemd-nspawn and LXC have boot ids of their own, so
    /// that a queue can seem to be from another boot although all of its messages are there.
    Unproven {
        /// The file.
        path: PathBuf,
        /// What is missing.
        found: Unproven,
    },
    /// The queue was unlinked while it was being opened.
    Unlinked {
        /// The file.
        path: PathBuf,
    },
    /// The queue did not exist and could not be created (`open_or_create`).
    Create(CreateError),
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

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName { reason } => write!(f, "cannot open a queue: {reason}"),
            Self::NotFound { path } => {
                write!(f, "{}: no such file; create the queue first, or check the name", path.display())
            }
            Self::ReadOnly { path } => write!(
                f,
                "{}: the filesystem is mounted read-only, and taking part in a queue writes to its file, also to receive; mount \
                 it for writing (containers: without `:ro`)",
                path.display()
            ),
            Self::PermissionDenied { path } => write!(
                f,
                "{}: no permission to read and write it; run as its owner, or have its creator share it: with \
                 `sharing(Sharing::Group)` in all programs (`--sharing` of the command) it gets mode 660, and is \
                 trusted by each of them. To change its mode alone leads to the next refusal, because every user who can write to a queue \
                 has to be trusted",
                path.display()
            ),
            Self::NotAFile { path, found } => {
                write!(f, "{}: expected a queue file, found {found}; choose another name", path.display())
            }
            Self::WrongFilesystem { path, filesystem, reason } => {
                wrong_filesystem(f, path, filesystem, reason)
            }
            Self::WrongOwnerOrMode { path, owner, own, mode } => write!(
                f,
                "{}: more can write to it than this process trusts: expected a file of user {own} with mode 600, found one \
                 of user {owner} with mode {mode:o}; every user who can write to a queue is trusted; if that is intended, say \
                 `OpenOptions::sharing` here too (`--sharing` of the command), else change its mode, or create it anew",
                path.display()
            ),
            Self::NotSealed { path, found } => write!(
                f,
                "{}: expected a sealed memfd, found {found}; hand over a queue made by `create_memfd`, or open the file \
                 by its name",
                path.display()
            ),
            Self::NotReceived { reason } => write!(
                f,
                "no queue was received: {reason}; the other end has to call `send_fd` on this socket"
            ),
            Self::NotAQueue { path, found } => write!(
                f,
                "{}: not a ringway queue: expected it to begin with \"{}\", found \"{}\"; choose another \
                 name",
                path.display(),
                crate::layout::MAGIC.escape_ascii(),
                found.escape_ascii()
            ),
            Self::Truncated { path, found, expected } => write!(
                f,
                "{}: the file is truncated: it has {found} bytes, expected {expected}; create it anew",
                path.display()
            ),
            Self::WrongEndianness { path } => write!(
                f,
                "{}: it was written on a machine of the other endianness; a queue cannot be moved between them",
                path.display()
            ),
            Self::WrongVersion { path, found, expected } => write!(
                f,
                "{}: its format has version {found}, this library reads version {expected}; use the same version \
                 of ringway in all programs; or receive what is in it with the version of ringway that made it, remove \
                 the file and create it anew",
                path.display()
            ),
            Self::UnknownFeatures { path, bits } => write!(
                f,
                "{}: it uses features (bits {bits:#x}) that this version of ringway does not know; use the newest \
                 version in all programs",
                path.display()
            ),
            Self::Incomplete { path } => write!(
                f,
                "{}: its header was never completed, because its creator died; remove the file and create it anew",
                path.display()
            ),
            Self::Corrupted { path, field, found } => write!(
                f,
                "{}: the header is corrupted: field `{field}` (found {found:#x}) fails its check; remove the file and \
                 create it anew",
                path.display()
            ),
            Self::WrongKind { path, found, expected } => write!(
                f,
                "{}: it is a queue of kind {found}, expected {expected}; open it as the kind that it is",
                path.display()
            ),
            Self::WrongType { path, found, expected } => write!(
                f,
                "{}: it holds messages of type {found}, expected {expected}; all programs must use the same type, \
                 or the queue be created anew",
                path.display()
            ),
            Self::WrongSchema { path, mismatch, waiting } => {
                write!(f, "{}: its messages are not those of this program: {mismatch}", path.display())?;
                match waiting {
                    Some(waiting) if waiting.starts_with("0 ") => {
                        write!(f, ". It holds {waiting} of the file's type: creating it anew loses none")
                    }
                    Some(waiting) => write!(
                        f,
                        ". It holds {waiting} of the file's type; creating it anew loses what is in it: receive that first, with a program of \
                         that type"
                    ),
                    None => Ok(()),
                }
            }
            Self::WrongFormat { path, found, expected } => write!(
                f,
                "{}: its archives have the rkyv format {found}, this program uses {expected}; build all programs \
                 with the same rkyv version and features",
                path.display()
            ),
            Self::NoSpace { path, needed } => write_holes(f, path, *needed),
            Self::TooLarge { path, what, found, limit } => write!(
                f,
                "{}: {what} is too large to be opened without trust: {found}, and the limit is {limit}; raise the limit, or \
                 create it smaller",
                path.display()
            ),
            Self::Unproven { path, found } => write!(
                f,
                "{}: its boot id is not the one that is seen here: the machine was started again since the queue was last used, \
                 or this is a container with a boot id of its own (systemd-nspawn, LXC); {found}. After a restart of the machine \
                 messages may be missing or torn; after that of such a container alone all are there. \
                 OpenOptions::after_power_loss(AfterPowerLoss::Keep) takes them as they are; `ringway doctor --repair` drops all \
                 of them, as `Discard` does, and so does it to remove the file and create it anew. Containers that share the \
                 host's boot id, or a queue on tmpfs (/dev/shm), never get here",
                path.display()
            ),
            Self::Unlinked { path } => {
                write!(f, "{}: the queue was unlinked; create it anew", path.display())
            }
            Self::Create(error) => error.fmt(f),
            Self::Io { path, step, source } => write!(f, "{}: {step} failed: {source}", path.display()),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Create(error) => error.source(),
            Self::Io { source, .. } => source.source(),
            _ => None,
        }
    }
}
