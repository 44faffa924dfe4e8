//! Making a file that nobody can see half-made: it gets its name when it is complete.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, posix_fallocate, renameat2};
use nix::unistd::linkat;

/// Only the owner's processes may take part, unless the owner says otherwise with chmod.
const MODE: u32 = 0o600;

/// How long a file is, and how much of it takes space on the disk from the beginning.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) len: u64,
    pub(crate) allocated: u64,
}

/// Creates `path` with that size, writes `contents` (offset, bytes), and only then gives it its name. Fails with `AlreadyExists` if the name is taken, and leaves nothing behind when it fails.
pub(crate) fn create(path: &Path, size: Size, contents: &[(u64, Vec<u8>)]) -> io::Result<File> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match unnamed(directory) {
        Ok(file) => {
            fill(&file, size, contents)?;
            match link(&file, path) {
                // No /proc, or a kernel without this way to link: make it again under a temporary name.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    named(path, directory, size, contents)
                }
                other => other.map(|()| file),
            }
        }
        Err(error) if lacks_tmpfile(&error) => named(path, directory, size, contents),
        Err(error) => Err(error),
    }
}

fn unnamed(directory: &Path) -> io::Result<File> {
    let flags = OFlag::O_TMPFILE | OFlag::O_CLOEXEC;
    OpenOptions::new().read(true).write(true).mode(MODE).custom_flags(flags.bits()).open(directory)
}

/// Filesystems without O_TMPFILE say EOPNOTSUPP; kernels without it say EISDIR.
fn lacks_tmpfile(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL)
    )
}

fn fill(file: &File, size: Size, contents: &[(u64, Vec<u8>)]) -> io::Result<()> {
    allocate(file, 0, size.allocated)?;
    if size.len > size.allocated {
        file.set_len(size.len)?;
    }
    contents.iter().try_for_each(|(offset, bytes)| file.write_all_at(bytes, *offset))
}

/// Gives these bytes their space on the disk now: a full disk is an error here, not a SIGBUS at some later store.
pub(crate) fn allocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let too_large = |_| io::Error::from(Errno::EFBIG);
    let (offset, len) = (i64::try_from(offset).map_err(too_large)?, i64::try_from(len).map_err(too_large)?);
    loop {
        match posix_fallocate(file, offset, len) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn link(file: &File, path: &Path) -> io::Result<()> {
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(AT_FDCWD, unnamed.as_str(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW).map_err(io::Error::from)
}

/// Removes a temporary name unless it was renamed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; `gc` looks for leftovers.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn named(path: &Path, directory: &Path, size: Size, contents: &[(u64, Vec<u8>)]) -> io::Result<File> {
    let suffix = u64::from_ne_bytes(random_uuid()?[..8].try_into().expect("eight bytes"));
    let temporary = Temporary(directory.join(format!(".ringway-{suffix:016x}.tmp")));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(MODE)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits())
        .open(&temporary.0)?;
    fill(&file, size, contents)?;
    renameat2(AT_FDCWD, &temporary.0, AT_FDCWD, path, RenameFlags::RENAME_NOREPLACE)?;
    std::mem::forget(temporary);
    Ok(file)
}

/// Sixteen random bytes from the kernel.
pub(crate) fn random_uuid() -> io::Result<[u8; 16]> {
    use std::io::Read;
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    // RFC 9562: version 4, variant 10.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_create_give_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        let contents = &[(0, b"head".to_vec()), (4096, b"body".to_vec())];
        let one = directory.path().join("one");
        let size = Size { len: 8192, allocated: 8192 };
        create(&one, size, contents).unwrap();
        let two = directory.path().join("two");
        named(&two, directory.path(), size, contents).unwrap();
        let bytes = std::fs::read(&one).unwrap();
        assert_eq!(bytes.len(), 8192);
        assert_eq!(&bytes[4096..4100], b"body");
        assert_eq!(bytes, std::fs::read(&two).unwrap());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn an_existing_name_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue");
        std::fs::write(&path, b"precious").unwrap();
        let size = Size { len: 4096, allocated: 4096 };
        for result in [create(&path, size, &[]), named(&path, directory.path(), size, &[])] {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
