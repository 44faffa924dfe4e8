//! From a name to a checked file, and from an error of the system to one that users can act on.

use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::options::ResolvedOptions;
use super::shared::CheckedFile;
use crate::error::{CreateError, OpenError};
use crate::layout::order::{Head, SlotState, Tail};
use crate::layout::{
    self, ConsumerWords, Cursors, Geometry, Order, OrderCursors, PREAMBLE_LEN, Preamble, PreambleError,
    RETAINED_OFFSET, Rare, Retained, Slot,
};
use crate::queue::Schema;
use crate::queue::kind::{self, Broadcast, Engine, Mpmc, Spsc};
use crate::shm::{
    self, FilesystemClass, NotCreated, Sharing, StepError, Unsealed, Unsuitable, WrongOwnerOrMode,
};

/// Turns a name into a path; the error is a sentence.
pub(crate) fn resolve(name: &Path) -> Result<PathBuf, String> {
    shm::resolve(name).map_err(|error| error.to_string())
}

/// The preamble of a new file.
pub(in crate::queue) fn new_preamble(options: &ResolvedOptions, schema: &Schema) -> io::Result<Preamble> {
    let mut preamble = Preamble::new(&options.geometry);
    schema.record(&mut preamble);
    preamble.uuid = match options.uuid {
        Some(uuid) => uuid,
        None => shm::random_uuid()?,
    };
    if options.uuid.is_none() {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        preamble.created_ns = since_epoch.map_or(0, |time| time.as_nanos() as u64);
    }
    Ok(preamble)
}

/// The contents of a new file besides zeros.
pub(in crate::queue) fn initial_contents(
    options: &ResolvedOptions,
    preamble: &Preamble,
    schema: &Schema,
) -> Vec<(u64, Vec<u8>)> {
    let mut contents = vec![(0, preamble.encode().to_vec())];
    contents.push((options.geometry.description_offset(), schema.text.as_bytes().to_vec()));
    if let Some(order) = options.geometry.order {
        contents.extend(start_order(order, options.start_position));
    } else if options.start_position != 0 {
        let cursors = layout::CURSORS_OFFSET as u64;
        let consumer = offset_of!(Cursors, consumer);
        for at in [
            offset_of!(Cursors, tail),
            offset_of!(Cursors, head),
            consumer + offset_of!(ConsumerWords, released),
            consumer + offset_of!(ConsumerWords, taken),
        ] {
            contents.push((cursors + at as u64, options.start_position.to_ne_bytes().to_vec()));
        }
    }
    contents
}

/// A queue with an order ring whose cursors begin elsewhere than at 0: each slot is free for the first position
/// from there on.
fn start_order(order: Order, start: u64) -> Vec<(u64, Vec<u8>)> {
    if start == 0 {
        return Vec::new();
    }
    let word = |position: u64| position.to_ne_bytes().to_vec();
    let second = match order.broadcast {
        Some(_) => [
            (RETAINED_OFFSET + offset_of!(Retained, floor), word(start)),
            (RETAINED_OFFSET + offset_of!(Retained, free), word(start)),
        ]
        .to_vec(),
        None => vec![
            (layout::CURSORS_OFFSET + offset_of!(OrderCursors, head), word(Head::at(start).0)),
            (layout::RARE_OFFSET + offset_of!(Rare, skipped), word(start)),
        ],
    };
    let mut links = vec![0; order.slots as usize * size_of::<Slot>()];
    for position in start..start + order.slots {
        let at = (position % order.slots) as usize * size_of::<Slot>() + offset_of!(Slot, state);
        let state = SlotState::free(position / order.slots);
        links[at..at + 8].copy_from_slice(&state.0.to_ne_bytes());
    }
    let tail = layout::CURSORS_OFFSET + offset_of!(OrderCursors, tail);
    let mut contents = vec![(order.slots_offset, links), (tail as u64, word(Tail::at(start).0))];
    contents.extend(second.into_iter().map(|(at, word)| (at as u64, word)));
    contents
}

pub(in crate::queue) fn create_error(
    path: PathBuf,
    step: &'static str,
    source: io::Error,
    needed: u64,
) -> CreateError {
    use io::ErrorKind;
    match source.kind() {
        ErrorKind::AlreadyExists => CreateError::AlreadyExists { path },
        ErrorKind::NotFound | ErrorKind::NotADirectory => CreateError::NoDirectory { path },
        ErrorKind::PermissionDenied => CreateError::PermissionDenied { path },
        ErrorKind::ReadOnlyFilesystem => CreateError::ReadOnly { path },
        ErrorKind::FileTooLarge if shm::file_size_limit().is_some_and(|limit| limit < needed) => {
            let limit = shm::file_size_limit().unwrap_or_default();
            CreateError::FileSizeLimit { path, needed, limit }
        }
        _ if shm::is_no_space(&source) => CreateError::NoSpace { path, needed },
        _ => CreateError::Io { path, step, source },
    }
}

/// Why a file could not be created, as an error that users can act on.
pub(in crate::queue) fn not_created(path: &Path, error: NotCreated, needed: u64) -> CreateError {
    let path = path.to_path_buf();
    match error {
        NotCreated::Unsuitable(Unsuitable { filesystem, reason }) => {
            CreateError::WrongFilesystem { path, filesystem, reason }
        }
        NotCreated::Failed(StepError { step, source }) => create_error(path, step, source, needed),
    }
}

/// The same path, independent of the working directory.
pub(in crate::queue) fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// A file that is a whole queue, of any kind and type.
pub(in crate::queue) struct QueueFile {
    pub(in crate::queue) file: File,
    pub(in crate::queue) preamble: Preamble,
    pub(in crate::queue) checked: CheckedFile,
}

/// Opens a file and checks that it is a whole queue; with `sharing`, also that no other users can
/// write to it.
pub(in crate::queue) fn find(name: &Path, sharing: Option<Sharing>) -> Result<QueueFile, OpenError> {
    let path = absolute(resolve(name).map_err(|reason| OpenError::InvalidName { reason })?);
    let (file, is_memfd) = match shm::process_descriptor(&path) {
        Some((directory, number)) => (shm::open_process_descriptor(directory, number), true),
        None => (shm::open(&path), false),
    };
    let file = file.map_err(|error| open_error(&path, error))?;
    examine(path, file, is_memfd, sharing)
}

/// Checks that an open file is a whole queue. A memfd has to be sealed, and gets its queue's name.
pub(in crate::queue) fn examine(
    path: PathBuf,
    file: File,
    is_memfd: bool,
    sharing: Option<Sharing>,
) -> Result<QueueFile, OpenError> {
    let filesystem = check_place(&path, &file, is_memfd, sharing)?;
    let (preamble, geometry) = read_preamble(&path, &file)?;
    let uuid = preamble.uuid;
    let path = if is_memfd { memfd_name(&uuid).into() } else { path };
    let checked = CheckedFile { path, is_memfd, geometry, uuid, filesystem };
    Ok(QueueFile { file, preamble, checked })
}

/// The name of a memfd queue in messages: it has no name by which it could be found.
pub(in crate::queue) fn memfd_name(uuid: &[u8; 16]) -> String {
    format!("memfd:ringway-{:08x}", u32::from_be_bytes(uuid[..4].try_into().expect("four bytes")))
}

/// Whether it is a regular file, on a suitable filesystem, with the right owner and mode.
fn check_place(
    path: &Path,
    file: &File,
    is_memfd: bool,
    sharing: Option<Sharing>,
) -> Result<FilesystemClass, OpenError> {
    let path = path.to_path_buf();
    let io = |step| {
        let path = path.clone();
        move |source| OpenError::Io { path, step, source }
    };
    let metadata = file.metadata().map_err(io("checking the file"))?;
    if !metadata.is_file() {
        return Err(OpenError::NotAFile { path, found: kind_of_file(metadata.file_type()) });
    }
    if is_memfd {
        let sealed = shm::check_seals(file).map_err(io("checking the seals"))?;
        let not_sealed =
            |unsealed: Unsealed| OpenError::NotSealed { path: path.clone(), found: unsealed.in_words() };
        sealed.map_err(not_sealed)?;
    }
    let suitable = shm::check_file(file, false).map_err(io("checking the filesystem"))?;
    let filesystem = suitable.map_err(|Unsuitable { filesystem, reason }| OpenError::WrongFilesystem {
        path: path.clone(),
        filesystem,
        reason,
    })?;
    if let Some(sharing) = sharing {
        let meant = sharing.check(&metadata).map_err(io("reading the groups of this process"))?;
        meant.map_err(|WrongOwnerOrMode { owner, own, mode }| OpenError::WrongOwnerOrMode {
            path,
            owner,
            own,
            mode,
        })?;
    }
    Ok(filesystem)
}

/// Reads the preamble, and checks it and the length of the file.
pub(crate) fn read_preamble(path: &Path, file: &File) -> Result<(Preamble, Geometry), OpenError> {
    let path = path.to_path_buf();
    let io = |step| {
        let path = path.clone();
        move |source| OpenError::Io { path, step, source }
    };
    let found = file.metadata().map_err(io("checking the file"))?.len();
    let mut bytes = [0; PREAMBLE_LEN];
    let whole = shm::read_exact_at(file, &mut bytes, 0).map_err(io("reading the header"))?;
    if !whole {
        // A short file that does not even begin like a queue is something else.
        let magic: [u8; 8] = bytes[..8].try_into().expect("eight bytes");
        if found == 0 || magic == layout::MAGIC {
            return Err(OpenError::Truncated { path, found, expected: PREAMBLE_LEN as u64 });
        }
        return Err(OpenError::NotAQueue { path, found: magic });
    }
    let (preamble, geometry) = Preamble::decode(&bytes).map_err(|error| preamble_error(&path, error))?;
    let expected = geometry.file_len();
    if found < expected {
        return Err(OpenError::Truncated { path, found, expected });
    }
    if found > expected {
        return Err(OpenError::Corrupted { path, field: "file length", found });
    }
    Ok((preamble, geometry))
}

/// Checks that the file is a queue of this kind.
pub(in crate::queue) fn check_kind<K: Engine>(path: &Path, preamble: &Preamble) -> Result<(), OpenError> {
    if preamble.kind == K::NUMBER && preamble.has_checksums() == (K::TRAILER != 0) {
        return Ok(());
    }
    let found = kind::name_of(preamble.kind, preamble.has_checksums());
    Err(OpenError::WrongKind { path: path.to_path_buf(), found, expected: K::NAME.into() })
}

pub(crate) fn open_error(path: &Path, source: io::Error) -> OpenError {
    let path = path.to_path_buf();
    // `ErrorKind` has no stable names for these.
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ELOOP) => return OpenError::NotAFile { path, found: "a symbolic link" },
        Some(Errno::ENXIO) => return OpenError::NotAFile { path, found: "a socket or an unattached device" },
        _ => {}
    }
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => OpenError::NotFound { path },
        io::ErrorKind::PermissionDenied => OpenError::PermissionDenied { path },
        io::ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnly { path },
        io::ErrorKind::IsADirectory => OpenError::NotAFile { path, found: "a directory" },
        _ => OpenError::Io { path, step: "opening the file", source },
    }
}

pub(crate) fn kind_of_file(kind: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "no regular file"
    }
}

fn preamble_error(path: &Path, error: PreambleError) -> OpenError {
    let path = path.to_path_buf();
    match error {
        PreambleError::Magic { found } => OpenError::NotAQueue { path, found },
        PreambleError::Endianness => OpenError::WrongEndianness { path },
        PreambleError::Version { found } => {
            OpenError::WrongVersion { path, found, expected: layout::FORMAT_VERSION }
        }
        PreambleError::NotReady => OpenError::Incomplete { path },
        PreambleError::Incompatible { bits } => OpenError::UnknownFeatures { path, bits },
        PreambleError::Checksum { found, .. } => OpenError::Corrupted { path, field: "checksum", found },
        PreambleError::Kind { found } => OpenError::WrongKind {
            path,
            found: kind::name_of(found, false),
            expected: format!("{}, {} or {}", Spsc::NAME, Mpmc::NAME, Broadcast::NAME),
        },
        PreambleError::Field { name, found } => OpenError::Corrupted { path, field: name, found },
    }
}
