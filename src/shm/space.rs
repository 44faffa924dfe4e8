//! Allocates disk space in advance, so that a full filesystem is an error of a call and not a
//! SIGBUS of some later store.
//!
//! A new file gets its space when it is created. A copy of one may have holes where the original
//! has zeros (`cp`, `tar -S`, `rsync -S` make them), and holes can be punched into a file; so each
//! mapping of a section calls this module first.
//!
//! While holes are filled, the contents must not change, and space that is reserved must stay
//! reserved: other participants may be using the section. On disks `fallocate` guarantees that, and
//! takes a microsecond where nothing is missing. On tmpfs it does not: when it fails or a signal
//! interrupts it, it frees every page of its range that was reserved and not accessed yet,
//! including those of an earlier call. There the pages are mapped for writing instead
//! ([`Mapping::ready`](super::Mapping::ready)), which never frees any; and not even that is done if
//! the file already holds as much as it should. The C library's `posix_fallocate` is for new
//! sections only: if the filesystem does not support it, it writes zeros over zeros, which a
//! participant may just have replaced.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate, posix_fallocate};

use super::size_limit::without_signal;

/// A part of a file, in whole pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// Allocates the space of a section that no participant uses yet.
pub(crate) fn allocate(file: &File, section: Section) -> io::Result<()> {
    let (offset, len) = signed(section)?;
    without_signal(|| retry(|| posix_fallocate(file, offset, len)))
}

/// Bytes that are allocated to the file.
pub(crate) fn allocated(file: &File) -> io::Result<u64> {
    /// The unit of `st_blocks`, independent of the filesystem's block size.
    const BLOCK: u64 = 512;
    Ok(file.metadata()?.blocks() * BLOCK)
}

/// Allocates the space that a section on a disk lacks, while other participants may be using it;
/// its contents stay. False if the filesystem does not support that.
pub(super) fn reserve(file: &File, section: Section) -> io::Result<bool> {
    let (offset, len) = signed(section)?;
    match retry(|| fallocate(file, FallocateFlags::empty(), offset, len)) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the system refused for lack of space.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    use io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

fn signed(Section { offset, len }: Section) -> io::Result<(i64, i64)> {
    let too_large = |_| io::Error::from(Errno::EFBIG);
    Ok((i64::try_from(offset).map_err(too_large)?, i64::try_from(len).map_err(too_large)?))
}

fn retry(mut call: impl FnMut() -> nix::Result<()>) -> io::Result<()> {
    loop {
        match call() {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn holes_are_filled_and_what_is_there_stays() {
        let section = Section { offset: 0, len: 1 << 20 };
        let file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        file.set_len(section.len).unwrap();
        file.write_all_at(b"here", 12_288).unwrap();
        assert!(allocated(&file).unwrap() < section.len);
        if !reserve(&file, section).unwrap() {
            return;
        }
        assert!(allocated(&file).unwrap() >= section.len);
        let mut bytes = vec![1; section.len as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes[12_288..12_292], b"here");
        assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 4);
    }
}
