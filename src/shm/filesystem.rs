//! Which filesystems can hold a queue.
//!
//! A queue needs three things of a file: that all processes that map it see the same memory, that
//! locks on it show which participants are alive, and that allocated space is there when it is
//! written to. Local filesystems have the first two from the kernel's page cache and its file
//! locks. A filesystem that is served over a network, or by a process, may lack them; there a
//! participant could be taken for dead while it lives, so that those are refused. Unknown
//! filesystems are assumed to be local ones, with a warning: there are many of these, and few
//! others, which are all listed here.
#![allow(unsafe_code, reason = "the ioctl for file flags")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::sys::statfs::{fstatfs, statfs};

use super::warning::Warning;

/// Why a filesystem cannot hold a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsuitable {
    pub(crate) filesystem: &'static str,
    pub(crate) reason: &'static str,
}

/// The properties of a filesystem that can hold a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FilesystemClass {
    pub(crate) warning: Option<Warning>,
    /// It is in memory, so that the first write to a page needs no extra work.
    pub(crate) is_memory: bool,
}

impl FilesystemClass {
    pub(crate) const MEMORY: Self = Self { warning: None, is_memory: true };
}

const NETWORK: &str =
    "other machines can write to it, and their memory and their locks are not this machine's";
const SERVED: &str = "a process serves it, so that neither its locks nor its mappings need be the kernel's";
const PLAIN: &str = "it holds no files that can be written and mapped";
const COPIES: &str = "it copies what is written again, which could not be switched off for the file, so that a full disk \
                      would end the process that writes";

/// The numbers in `statfs` of the filesystems that are refused.
const REFUSED: [(u32, Unsuitable); 22] = [
    refused(0x6969, "NFS", NETWORK),
    refused(0x517b, "SMB", NETWORK),
    refused(0xff53_4d42, "CIFS", NETWORK),
    refused(0xfe53_4d42, "SMB2", NETWORK),
    refused(0x564c, "NCP", NETWORK),
    refused(0x5346_414f, "AFS", NETWORK),
    refused(0x6b41_4653, "AFS", NETWORK),
    refused(0x7375_7245, "Coda", NETWORK),
    refused(0x00c3_6400, "Ceph", NETWORK),
    refused(0x0bd0_0bd0, "Lustre", NETWORK),
    refused(0x7461_636f, "OCFS2", NETWORK),
    refused(0x0116_1970, "GFS2", NETWORK),
    refused(0x1983_0326, "BeeGFS", NETWORK),
    refused(0x4750_4653, "GPFS", NETWORK),
    refused(0x6573_5546, "FUSE", SERVED),
    refused(0x0102_1997, "9p", SERVED),
    refused(0x786f_4256, "vboxsf", SERVED),
    refused(0x00c0_ffee, "hostfs", SERVED),
    refused(0x9fa0, "procfs", PLAIN),
    refused(0x6265_6572, "sysfs", PLAIN),
    refused(0x9584_58f6, "hugetlbfs", PLAIN),
    refused(0x9660, "ISO 9660", PLAIN),
];

const fn refused(number: u32, filesystem: &'static str, reason: &'static str) -> (u32, Unsuitable) {
    (number, Unsuitable { filesystem, reason })
}

const TMPFS: u32 = 0x0102_1994;
const BTRFS: u32 = 0x9123_683e;

/// tmpfs, ramfs, ext2 to ext4, XFS, F2FS, overlayfs.
const SUPPORTED: [u32; 6] = [TMPFS, 0x8584_58f6, 0xef53, 0x5846_5342, 0xf2f5_2010, 0x794c_7630];

/// Suitable, except for what happens when the disk gets full.
const COPY_ON_WRITE: [(u32, &str); 3] = [(0x2fc1_2fc1, "ZFS"), (0xca45_1a4e, "bcachefs"), (0x3434, "NILFS2")];

/// On these filesystems a mapping keeps the open file description that was mapped, and with it its locks:
/// tmpfs, ramfs, ext2 to ext4, XFS, F2FS, btrfs. An overlayfs maps the underlying file instead.
const PINNING: [u32; 6] = [TMPFS, 0x8584_58f6, 0xef53, 0x5846_5342, 0xf2f5_2010, BTRFS];

/// Whether a mapping of the file is known to keep the locks of the description that it was created
/// with, when the descriptor is closed.
pub(super) fn pins_locks(file: &File) -> bool {
    // If that is not known, the descriptor is kept, which is always right.
    fstatfs(file).is_ok_and(|found| PINNING.contains(&(found.filesystem_type().0 as u32)))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Btrfs,
    Noted(Warning),
    Refused(Unsuitable),
}

fn judge(number: u32) -> Verdict {
    if let Some((_, unsuitable)) = REFUSED.iter().find(|(refused, _)| *refused == number) {
        return Verdict::Refused(*unsuitable);
    }
    if let Some((_, filesystem)) = COPY_ON_WRITE.iter().find(|(copying, _)| *copying == number) {
        return Verdict::Noted(Warning::CopyOnWrite { filesystem });
    }
    match number {
        BTRFS => Verdict::Btrfs,
        _ if SUPPORTED.contains(&number) => Verdict::Good,
        _ => Verdict::Noted(Warning::UnknownFilesystem { number: number.into() }),
    }
}

/// Checks whether queues can be created in this directory.
pub(super) fn check_directory(directory: &Path) -> io::Result<Result<(), Unsuitable>> {
    // The numbers have 32 bits; the type that carries them depends on the machine.
    let number = statfs(directory)?.filesystem_type().0 as u32;
    Ok(match judge(number) {
        Verdict::Refused(unsuitable) => Err(unsuitable),
        _ => Ok(()),
    })
}

/// Checks whether this file, new and empty or a queue already, can hold a queue; returns the class
/// of its filesystem.
pub(crate) fn check_file(file: &File, is_new: bool) -> io::Result<Result<FilesystemClass, Unsuitable>> {
    let number = fstatfs(file)?.filesystem_type().0 as u32;
    Ok(match judge(number) {
        Verdict::Good if number == TMPFS => Ok(FilesystemClass::MEMORY),
        Verdict::Good => Ok(FilesystemClass::default()),
        Verdict::Noted(warning) => Ok(FilesystemClass { warning: Some(warning), is_memory: false }),
        Verdict::Refused(unsuitable) => Err(unsuitable),
        Verdict::Btrfs => {
            let is_in_place =
                if is_new { disable_copy_on_write(file)? } else { flags(file)? & FS_NOCOW_FL != 0 };
            if is_in_place {
                Ok(FilesystemClass::default())
            } else {
                Err(Unsuitable { filesystem: "btrfs", reason: COPIES })
            }
        }
    })
}

/// FS_NOCOW_FL
const FS_NOCOW_FL: libc::c_int = 0x0080_0000;

fn flags(file: &File) -> io::Result<libc::c_int> {
    let mut flags: libc::c_int = 0;
    // SAFETY: in spite of its name, this ioctl stores an int, and `flags` is one.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &raw mut flags) };
    if result == 0 { Ok(flags) } else { Err(io::Error::last_os_error()) }
}

/// btrfs: turns off copy-on-write, which is possible only for an empty file. False if that had no effect.
fn disable_copy_on_write(file: &File) -> io::Result<bool> {
    let flags_then = flags(file)? | FS_NOCOW_FL;
    // SAFETY: as above, it reads an int.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_SETFLAGS, &raw const flags_then) };
    Ok(result == 0 && flags(file)? & FS_NOCOW_FL != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filesystems_of_other_machines_and_of_processes_are_refused() {
        for (number, name) in
            [(0x6969, "NFS"), (0xff53_4d42, "CIFS"), (0x6573_5546, "FUSE"), (0x0102_1997, "9p")]
        {
            assert!(
                matches!(judge(number), Verdict::Refused(Unsuitable { filesystem, .. }) if filesystem == name)
            );
        }
    }

    #[test]
    fn each_number_is_listed_once() {
        let mut numbers: Vec<u32> = REFUSED.iter().map(|(number, _)| *number).collect();
        numbers.extend(SUPPORTED);
        numbers.extend(COPY_ON_WRITE.map(|(number, _)| number));
        numbers.push(BTRFS);
        let count = numbers.len();
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }

    #[test]
    fn local_filesystems_are_taken_and_unknown_ones_noted() {
        let shared_memory = tempfile::tempfile_in("/dev/shm").unwrap();
        assert_eq!(check_file(&shared_memory, true).unwrap(), Ok(FilesystemClass::MEMORY));
        assert_eq!(check_directory(Path::new("/dev/shm")).unwrap(), Ok(()));
        assert_eq!(judge(0xef53), Verdict::Good);
        assert_eq!(judge(0x1234_5678), Verdict::Noted(Warning::UnknownFilesystem { number: 0x1234_5678 }));
    }

    #[test]
    fn procfs_is_refused_for_what_it_is() {
        let file = File::open("/proc/self/maps").unwrap();
        assert_eq!(check_file(&file, false).unwrap().unwrap_err().filesystem, "procfs");
        assert_eq!(check_directory(Path::new("/proc")).unwrap().unwrap_err().filesystem, "procfs");
    }
}
