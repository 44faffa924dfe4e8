//! Reads a queue file without attaching.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::error::{Corrupted, InspectError, OpenError};
use crate::layout::{Geometry, Preamble, REGISTRY_OFFSET};
use crate::queue::{kind_of_file, open_error, read_preamble, resolve};
use crate::shm;
use crate::sync::{Ordering, fence};

/// A queue file, open for reading only, whose geometry was checked.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) geometry: Geometry,
    pub(super) uuid: [u8; 16],
    /// Whether the file is in memory, and lost with the machine.
    pub(super) is_memory: bool,
}

impl Source {
    pub(super) fn open(name: &Path) -> Result<(Self, Preamble), InspectError> {
        let path = resolve(name).map_err(|reason| InspectError::Open(OpenError::InvalidName { reason }))?;
        let file = open_for_reading(&path).map_err(|error| InspectError::Open(open_error(&path, error)))?;
        let (preamble, geometry) = check(&path, &file).map_err(InspectError::Open)?;
        // If that is unknown, the file counts as one on a disk, for which more is checked.
        let is_memory = matches!(shm::check_file(&file, false), Ok(Ok(ground)) if ground.is_memory);
        let uuid = preamble.uuid;
        Ok((Self { path, file, geometry, uuid, is_memory }, preamble))
    }

    /// Fills `buffer` from `offset` of the file.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), InspectError> {
        let result = match shm::read_exact_at(&self.file, buffer, offset) {
            Ok(true) => Ok(()),
            Ok(false) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            Err(source) => Err(source),
        };
        // What is read next is no older than this.
        fence(Ordering::Acquire);
        result.map_err(self.failed("reading the queue"))
    }

    /// The length of the message in a payload of `payload` bytes.
    pub(super) fn message_len(&self, payload: u64) -> u64 {
        payload.saturating_sub(self.geometry.trailer)
    }

    /// Reads a single word: eight aligned bytes, which the kernel copies in one piece.
    pub(super) fn word(&self, offset: u64) -> Result<u64, InspectError> {
        let mut bytes = [0; 8];
        self.read(&mut bytes, offset)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Reads everything before the registry: preamble, cold words, cursors.
    pub(super) fn head_page(&self) -> Result<Words, InspectError> {
        self.words(0, REGISTRY_OFFSET)
    }

    pub(super) fn words(&self, offset: u64, len: usize) -> Result<Words, InspectError> {
        let mut bytes = vec![0; len];
        self.read(&mut bytes, offset)?;
        Ok(Words(bytes))
    }

    pub(super) fn failed(&self, step: &'static str) -> impl FnOnce(io::Error) -> InspectError {
        let path = self.path.clone();
        move |source| InspectError::Io { path, step, source }
    }

    pub(super) fn corrupted(&self, word: &'static str, position: u64, found: u64) -> Corrupted {
        Corrupted { path: self.path.clone(), word, position, found }
    }
}

/// Bytes of the file, from one read.
pub(super) struct Words<B = Vec<u8>>(B);

impl<B: AsRef<[u8]>> Words<B> {
    /// The word at byte `at`.
    ///
    /// # Panics
    /// If it lies outside of what was read: the callers' offsets are constants.
    pub(super) fn at(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.0.as_ref()[at..at + 8].try_into().expect("eight bytes"))
    }

    /// Pieces of `len` bytes each.
    pub(super) fn pieces(&self, len: usize) -> impl Iterator<Item = Words<&[u8]>> {
        self.0.as_ref().chunks_exact(len).map(Words)
    }
}

/// Follows no symbolic link, waits for no FIFO, gets no terminal. What lies below /proc is a
/// symbolic link by nature: another process's descriptor.
fn open_for_reading(path: &Path) -> io::Result<File> {
    let mut flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    if !path.starts_with("/proc") {
        flags |= OFlag::O_NOFOLLOW;
    }
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

/// Checks that the file is a complete queue, of any kind and type.
fn check(path: &Path, file: &File) -> Result<(Preamble, Geometry), OpenError> {
    let io = |source| OpenError::Io { path: path.to_path_buf(), step: "checking the file", source };
    let file_type = file.metadata().map_err(io)?.file_type();
    if !file_type.is_file() {
        return Err(OpenError::NotAFile { path: path.to_path_buf(), found: kind_of_file(file_type) });
    }
    read_preamble(path, file)
}
