//! Files without a name, whose size is sealed: no process can truncate them under a mapping.
#![allow(unsafe_code, reason = "takes ownership of a duplicated descriptor")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl, openat};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use super::create::{Plan, write};
use super::step::{StepError, at};

/// The seals that fix the size for good. Holes can still be filled.
fn sealed_size() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL
}

/// Creates a file by `plan` that is reachable only through its descriptors. `name` is shown in /proc.
pub(crate) fn create_memfd(name: &str, plan: Plan<'_>) -> Result<File, StepError> {
    let file = File::from(new_memfd(name).map_err(at("creating the memfd"))?);
    write(&file, plan)?;
    plan.sharing.apply(&file).map_err(at("setting the mode of the memfd"))?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(sealed_size())).map_err(at("sealing the memfd"))?;
    Ok(file)
}

fn new_memfd(name: &str) -> nix::Result<OwnedFd> {
    /// MFD_NOEXEC_SEAL: nothing in it is ever executed. Kernels before 6.3 do not know it; later
    /// ones warn if it is missing.
    const NEVER_EXECUTED: MFdFlags = MFdFlags::from_bits_retain(0x0008);
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    match memfd_create(name, flags | NEVER_EXECUTED) {
        Err(Errno::EINVAL) => memfd_create(name, flags),
        other => other,
    }
}

/// Why a file cannot be that of a memfd queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsealed {
    /// Its size could change.
    Size,
    /// Writing to it is forbidden for good.
    Writing,
}

impl Unsealed {
    /// The text for messages, after "found".
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Size => "a file whose size can still change",
            Self::Writing => "one that can no longer be written to",
        }
    }
}

/// Duplicates the descriptor so that programs started by this process inherit it.
pub(crate) fn inheritable_fd(file: &File) -> io::Result<OwnedFd> {
    // Above standard input, output and error, which programs replace.
    const LEAST: i32 = 3;
    let raw = retry(|| fcntl(file, FcntlArg::F_DUPFD(LEAST)))?;
    // SAFETY: the kernel has just created it for this process, and nothing else uses it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Checks that the size of this file is sealed, and its contents are not.
pub(crate) fn check_seals(file: impl AsFd) -> io::Result<Result<(), Unsealed>> {
    let seals = match fcntl(file, FcntlArg::F_GET_SEALS) {
        Ok(seals) => SealFlag::from_bits_retain(seals),
        // Not a file in memory.
        Err(Errno::EINVAL) => SealFlag::empty(),
        Err(error) => return Err(error.into()),
    };
    let no_writing = SealFlag::F_SEAL_WRITE | SealFlag::from_bits_retain(libc::F_SEAL_FUTURE_WRITE);
    Ok(match seals {
        _ if !seals.contains(sealed_size()) => Err(Unsealed::Size),
        _ if seals.intersects(no_writing) => Err(Unsealed::Writing),
        _ => Ok(()),
    })
}

/// Splits a path of the form `/proc/<pid>/fd/<number>`, a process's descriptor, into directory and number.
pub(crate) fn process_descriptor(path: &Path) -> Option<(&Path, &str)> {
    let (directory, number) = (path.parent()?, path.file_name()?.to_str()?);
    let mut parts = directory.iter().map(|part| part.to_str());
    let is_process = |part: &str| matches!(part, "self" | "thread-self") || is_number(part);
    let is_descriptors = parts.next() == Some(Some("/"))
        && parts.next() == Some(Some("proc"))
        && parts.next().flatten().is_some_and(is_process)
        && parts.next() == Some(Some("fd"))
        && parts.next().is_none();
    (is_descriptors && is_number(number)).then_some((directory, number))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Opens the file that a process's descriptor refers to, as an open file description of its own.
/// The entries of such a directory are magic links, through which the kernel follows the descriptor
/// and not a path; so no other process can swap them.
pub(crate) fn open_process_descriptor(directory: &Path, number: &str) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = retry(|| nix::fcntl::open(directory, flags, Mode::empty()))?;
    if fstatfs(&directory)?.filesystem_type() != PROC_SUPER_MAGIC {
        return Err(io::Error::other("/proc is not the kernel's"));
    }
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    Ok(retry(|| openat(&directory, number, flags, Mode::empty()))?.into())
}

fn retry<R>(mut call: impl FnMut() -> nix::Result<R>) -> nix::Result<R> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::{Sharing, Size};

    fn plan(len: u64) -> Plan<'static> {
        Plan { size: Size { len, allocated: 4096 }, contents: &[], sharing: Sharing::Owner }
    }

    #[test]
    fn the_size_of_a_memfd_is_settled_and_its_holes_can_be_filled() {
        let file = create_memfd("test", plan(1 << 16)).unwrap();
        assert_eq!(check_seals(&file).unwrap(), Ok(()));
        assert!(file.set_len(0).is_err());
        assert!(file.set_len(1 << 20).is_err());
        let upper_half = crate::shm::Section { offset: 1 << 15, len: 1 << 15 };
        crate::shm::allocate(&file, upper_half).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 1 << 16);
    }

    #[test]
    fn other_files_are_not_sealed() {
        assert_eq!(check_seals(tempfile::tempfile().unwrap()).unwrap(), Err(Unsealed::Size));
        assert_eq!(check_seals(tempfile::tempfile_in("/dev/shm").unwrap()).unwrap(), Err(Unsealed::Size));
        let some = memfd_create("test", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
        fcntl(&some, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW)).unwrap();
        assert_eq!(check_seals(&some).unwrap(), Err(Unsealed::Size));
        fcntl(&some, FcntlArg::F_ADD_SEALS(sealed_size() | SealFlag::F_SEAL_WRITE)).unwrap();
        assert_eq!(check_seals(&some).unwrap(), Err(Unsealed::Writing));
    }

    #[test]
    fn paths_of_descriptors() {
        for (path, found) in [
            ("/proc/self/fd/3", Some(("/proc/self/fd", "3"))),
            ("/proc/17/fd/120", Some(("/proc/17/fd", "120"))),
            ("/proc/thread-self/fd/0", Some(("/proc/thread-self/fd", "0"))),
            ("/proc/17/fd/", None),
            ("/proc/17/fd/x", None),
            ("/proc/17/fd/3/4", None),
            ("/proc/17/task/17/fd/3", None),
            ("/proc/../17/fd/3", None),
            ("proc/17/fd/3", None),
            ("/dev/fd/3", None),
            ("/dev/shm/3", None),
        ] {
            let found = found.map(|(directory, number)| (Path::new(directory), number));
            assert_eq!(process_descriptor(Path::new(path)), found, "{path}");
        }
    }
}
