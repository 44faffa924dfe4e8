//! Opens queues to attach to them.

use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use ringway::inspect::{Inspector, QueueKind};
use ringway::{OpenError, OpenOptions, Sharing, broadcast, mpmc, spsc};

/// A queue of bytes, of any kind.
pub(crate) enum BytesQueue {
    Spsc(spsc::BytesQueue),
    Mpmc(mpmc::BytesQueue),
    Broadcast(broadcast::BytesQueue),
    SpscChecksums(spsc::checksummed::BytesQueue),
    MpmcChecksums(mpmc::checksummed::BytesQueue),
}

/// Which users may attach to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Users {
    /// Processes of the same user: mode 0600
    Owner,
    /// And those of the file's group: mode 0660
    Group,
    /// All users of the machine: mode 0666
    Everybody,
}

impl From<Users> for Sharing {
    fn from(users: Users) -> Self {
        match users {
            Users::Owner => Self::Owner,
            Users::Group => Self::Group,
            Users::Everybody => Self::Everybody,
        }
    }
}

/// Arguments of a command that attaches.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct SharingArguments {
    /// Which users may write to the queue's file, and are therefore trusted; a file that more users
    /// can write to is refused
    #[arg(long, value_name = "WHO", value_enum, default_value_t = Users::Owner)]
    pub(crate) sharing: Users,
}

/// Opens a queue of bytes. Its participants get an error when its name leads to another file.
pub(crate) fn open(name: &Path, arguments: SharingArguments) -> Result<BytesQueue> {
    let inspector = Inspector::open(name)?;
    let (kind, has_checksums) = (inspector.header().kind, inspector.header().has_checksums);
    drop(inspector);
    let options = OpenOptions::new().sharing(arguments.sharing.into()).end_when_orphaned(true);
    let queue = match (kind, has_checksums) {
        (QueueKind::Spsc, false) => {
            // SAFETY: the user who runs this command on a queue vouches that only programs that use
            // ringway write to the file. This code does not write to the file in any other way, and
            // children that `recv` forks only replace their program.
            unsafe { spsc::BytesQueue::open_with(name, &options) }.map(BytesQueue::Spsc)
        }
        (QueueKind::Mpmc, false) => {
            // SAFETY: as above.
            unsafe { mpmc::BytesQueue::open_with(name, &options) }.map(BytesQueue::Mpmc)
        }
        (QueueKind::Broadcast, false) => {
            // SAFETY: as above.
            unsafe { broadcast::BytesQueue::open_with(name, &options) }.map(BytesQueue::Broadcast)
        }
        (QueueKind::Broadcast, true) => {
            bail!(
                "{}: it is a broadcast queue whose messages have checksums, which this version does not support",
                name.display()
            )
        }
        (QueueKind::Spsc, true) => {
            // SAFETY: as above.
            unsafe { spsc::checksummed::BytesQueue::open_with(name, &options) }.map(BytesQueue::SpscChecksums)
        }
        (QueueKind::Mpmc, true) => {
            // SAFETY: as above.
            unsafe { mpmc::checksummed::BytesQueue::open_with(name, &options) }.map(BytesQueue::MpmcChecksums)
        }
    };
    let advice = match &queue {
        Err(OpenError::WrongType { .. }) => {
            Some("this command works on queues of bytes only; `ringway peek` shows others")
        }
        Err(OpenError::WrongOwnerOrMode { .. }) => Some(
            "others can write to this queue; if they are trusted, say `--sharing group` or `--sharing everybody`",
        ),
        _ => None,
    };
    match advice {
        Some(advice) => queue.context(advice),
        None => queue.map_err(anyhow::Error::from),
    }
}
