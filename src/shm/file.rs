//! Opening, reading and unlinking queue files.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

#[cfg(test)]
use super::boot::pretend;
use super::size_limit::without_signal;

/// The identity of a file, independent of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl FileIdentity {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// Opens an existing file for reading and writing. Follows no symbolic link, waits for no FIFO,
/// gets no terminal.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(path)
}

/// Opens the same file once more, as an open file description of its own: through `/proc`, or where that
/// does not work, by its name `path`, if it still has that. Another file is never opened in its place.
pub(crate) fn reopen(file: &File, path: &Path) -> io::Result<File> {
    use std::os::fd::AsRawFd;
    let magic = format!("/proc/self/fd/{}", file.as_raw_fd());
    // Through the magic link, which `open` of this module would not follow.
    let again = OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_CLOEXEC.bits()).open(magic);
    let by_proc = match again.and_then(|again| same(file, again)) {
        Err(error) if !is_exhausted(&error) => error,
        done => return done,
    };
    open(path).and_then(|again| same(file, again)).map_err(|by_name| match is_exhausted(&by_name) {
        true => by_name,
        false => not_reopened(&by_proc, &by_name),
    })
}

/// Whether a second attempt by another way would fail for the same reason.
fn is_exhausted(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw);
    matches!(number, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM))
}

fn same(file: &File, again: File) -> io::Result<File> {
    if FileIdentity::of(&again)? == FileIdentity::of(file)? {
        Ok(again)
    } else {
        Err(io::Error::other("it leads to another file by now"))
    }
}

/// A missing `/proc` must not be reported as a missing file.
fn not_reopened(by_proc: &io::Error, by_name: &io::Error) -> io::Error {
    let kind = match by_proc.kind() {
        io::ErrorKind::NotFound => io::ErrorKind::Unsupported,
        kind => kind,
    };
    io::Error::new(
        kind,
        format!(
            "the file has to be opened once more, for a lock of its own, and could not be: through /proc/self/fd: {by_proc}; \
             by its name: {by_name}. Attach before the process changes its root, its user or its name space or lets a \
             sandbox forbid opening files, or mount /proc"
        ),
    )
}

/// Stores one word in a file that is not mapped.
pub(crate) fn write_word(file: &File, word: u64, offset: u64) -> io::Result<()> {
    write_at(file, &word.to_ne_bytes(), offset)
}

/// Writes bytes to a file that is not mapped.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(test)]
    pretend::record(pretend::FileOperation::Write { offset, bytes: bytes.to_vec() });
    without_signal(|| file.write_all_at(bytes, offset))
}

/// The offset of the next byte from `at` on that is in no hole, as far as the filesystem tells; none if there is none.
/// Moves the description's own offset, which nothing else uses.
pub(crate) fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    let offset = i64::try_from(at).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    match nix::unistd::lseek64(file, offset, nix::unistd::Whence::SeekData) {
        Ok(next) => Ok(Some(next as u64)),
        Err(Errno::ENXIO) => Ok(None),
        Err(Errno::EINVAL | Errno::EOPNOTSUPP) => Ok(Some(at)),
        Err(error) => Err(error.into()),
    }
}

/// Flushes the file to the disk and waits until that is done.
pub(crate) fn sync_file(file: &File) -> io::Result<()> {
    #[cfg(test)]
    pretend::record(pretend::FileOperation::Sync);
    file.sync_all()
}

/// Flushes the directory that contains `path` to the disk and waits until that is done.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// Fills `buffer` from `offset`; false if the file ends before.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
    match file.read_exact_at(buffer, offset) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a path names at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    ThisFile,
    AnotherFile,
    Nothing,
}

/// Checks whether `path` names `file`. A symbolic link counts as another file.
pub(crate) fn named_by(path: &Path, file: &File) -> io::Result<Named> {
    let there = match std::fs::symlink_metadata(path) {
        Ok(metadata) => FileIdentity { device: metadata.dev(), inode: metadata.ino() },
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Named::Nothing);
        }
        Err(error) => return Err(error),
    };
    Ok(if there == FileIdentity::of(file)? { Named::ThisFile } else { Named::AnotherFile })
}

/// Removes `path` if it still names `file`; false if it names another file or nothing.
///
/// Between the check and the removal another process could put another file there; the caller holds
/// the attach lock of this queue, so no participant that follows the protocol does.
pub(crate) fn unlink_if_same(path: &Path, file: &File) -> io::Result<bool> {
    if named_by(path, file)? != Named::ThisFile {
        return Ok(false);
    }
    std::fs::remove_file(path)?;
    Ok(true)
}
