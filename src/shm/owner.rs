//! Checks that only the intended users may write to a queue file.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;

use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{getegid, geteuid, getgroups};

/// The users whose processes may attach to a queue.
///
/// Every process that may write to a queue's file is trusted by all others: see the safety section
/// of [`create`](crate::kind::BytesQueue::create). So a file that more users can write to than this
/// option allows is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Processes of the same user: mode 0600.
    #[default]
    Owner,
    /// Processes of the same user, and those of the file's group: mode 0660. A file of another user
    /// is accepted if its group is one of this process's.
    Group,
    /// Every process on the machine: mode 0666. No file is refused.
    Everybody,
}

impl Sharing {
    fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Group => 0o660,
            Self::Everybody => 0o666,
        }
    }

    /// The mode of a file while it is being created.
    pub(super) const FIRST_MODE: u32 = 0o600;

    /// Sets the mode of a new file, independent of the umask.
    pub(super) fn apply(self, file: &File) -> io::Result<()> {
        fchmod(file, Mode::from_bits_truncate(self.mode())).map_err(io::Error::from)
    }

    /// Checks that only the intended users can write to the file.
    pub(crate) fn check(self, metadata: &Metadata) -> io::Result<Result<(), WrongOwnerOrMode>> {
        let own = geteuid().as_raw();
        let owner_is_us = metadata.uid() == own;
        let writers = metadata.mode() & 0o022;
        let is_meant = match self {
            Self::Owner => owner_is_us && writers == 0,
            Self::Group => writers & 0o002 == 0 && (owner_is_us || is_our_group(metadata.gid())?),
            Self::Everybody => true,
        };
        let mismatch = WrongOwnerOrMode { owner: metadata.uid(), own, mode: metadata.mode() & 0o7777 };
        Ok(if is_meant { Ok(()) } else { Err(mismatch) })
    }
}

fn is_our_group(group: u32) -> io::Result<bool> {
    Ok(getegid().as_raw() == group || getgroups()?.iter().any(|ours| ours.as_raw() == group))
}

/// The owner and mode of a file that unintended users can write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrongOwnerOrMode {
    pub(crate) owner: u32,
    pub(crate) own: u32,
    pub(crate) mode: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_refused_that_more_can_write_to_than_was_said() {
        let file = tempfile::tempfile().unwrap();
        let takes = |sharing: Sharing| sharing.check(&file.metadata().unwrap()).unwrap().is_ok();
        for (mode, owner, group) in [
            (0o600, true, true),
            (0o644, true, true),
            (0o660, false, true),
            (0o620, false, true),
            (0o602, false, false),
            (0o666, false, false),
        ] {
            fchmod(&file, Mode::from_bits_truncate(mode)).unwrap();
            assert_eq!(takes(Sharing::Owner), owner, "{mode:o}");
            assert_eq!(takes(Sharing::Group), group, "{mode:o}");
            assert!(takes(Sharing::Everybody), "{mode:o}");
        }
    }

    #[test]
    fn the_mode_does_not_depend_on_the_umask() {
        let file = tempfile::tempfile().unwrap();
        for sharing in [Sharing::Owner, Sharing::Group, Sharing::Everybody] {
            sharing.apply(&file).unwrap();
            assert_eq!(file.metadata().unwrap().mode() & 0o777, sharing.mode());
        }
    }
}
