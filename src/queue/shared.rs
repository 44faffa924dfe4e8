//! An open queue file: what every handle of it shares.
#![allow(unsafe_code, reason = "places shared words in the mapped header")]

use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use nix::errno::Errno;

use super::Schema;
use super::options::Resolved;
use super::schema::Mismatch;
use crate::error::{AttachError, CreateError, Damaged, OpenError, Role, UnlinkError};
use crate::lane::{Damage, LaneMemory, Ref};
use crate::layout::{
    self, ConsumerWords, Cursors, Entry, Geometry, PREAMBLE_LEN, Preamble, PreambleError, Rare,
};
use crate::shm::fork::ForkGuard;
use crate::shm::{self, Access, AttachLock, AttachLockError, Lease, Mapping};
use crate::sync::Ordering;

/// `open_or_create` takes a file for dead after finding it unlinked and in its way so often.
const MOST_TRIES: u32 = 100;

/// An open queue file with its mapped header.
pub(crate) struct Shared {
    path: PathBuf,
    file: File,
    header: Arc<Mapping>,
    geometry: Geometry,
    guard: ForkGuard,
}

/// A role that was taken, with all that its holder needs.
pub(crate) struct Attached {
    pub(crate) memory: LaneMemory,
    pub(crate) cursors: Ref<Cursors>,
    pub(crate) lease: Lease,
}

impl Shared {
    pub(crate) fn create(name: &Path, options: &Resolved, schema: &Schema) -> Result<Arc<Self>, CreateError> {
        let path = resolve(name).map_err(|reason| CreateError::BadName { reason })?;
        let geometry = options.geometry;
        let failed = |step| {
            let path = path.clone();
            move |source| create_error(path, step, source, geometry.file_len())
        };
        let contents = initial_contents(options, schema).map_err(failed("reading random bytes"))?;
        let file = shm::create(&path, geometry.file_len(), &contents).map_err(failed("creating the file"))?;
        let created = file.try_clone();
        Self::map(path.clone(), file, geometry).map(Arc::new).map_err(|source| {
            // Nothing is left behind: the file has its name already.
            let _ = created.and_then(|file| shm::unlink_if_same(&path, &file));
            failed("mapping the header")(source)
        })
    }

    pub(crate) fn open(name: &Path, schema: &Schema) -> Result<Arc<Self>, OpenError> {
        let (path, file, preamble, geometry) = open_any(name)?;
        schema.check(&preamble, &geometry).map_err(|mismatch| match mismatch {
            Mismatch::Geometry { field, found } => OpenError::Damaged { path: path.clone(), field, found },
            Mismatch::Type { found, expected } => {
                OpenError::WrongType { path: path.clone(), found, expected }
            }
            Mismatch::Format { found, expected } => {
                OpenError::WrongFormat { path: path.clone(), found, expected }
            }
        })?;
        let shared = Self::map(path.clone(), file, geometry).map_err(|source| OpenError::Io {
            path,
            step: "mapping the header",
            source,
        })?;
        match shared.is_unlinked() {
            Ok(false) => Ok(Arc::new(shared)),
            Ok(true) => Err(OpenError::Unlinked { path: shared.path }),
            Err(source) => Err(OpenError::Io { path: shared.path, step: "looking at the file", source }),
        }
    }

    pub(crate) fn open_or_create(
        name: &Path,
        options: &Resolved,
        schema: &Schema,
    ) -> Result<Arc<Self>, OpenError> {
        // Somebody may create it between our look and our creation, or unlink it just after; but not for ever. What
        // stays there and stays unlinked has a second name.
        let mut tries = 0;
        loop {
            let unlinked = match Self::open(name, schema) {
                Err(OpenError::NotFound { .. }) => None,
                Err(error @ OpenError::Unlinked { .. }) => Some(error),
                other => return other,
            };
            match (Self::create(name, options, schema), unlinked) {
                (Err(CreateError::AlreadyExists { .. }), Some(error)) if tries >= MOST_TRIES => {
                    return Err(error);
                }
                (Err(CreateError::AlreadyExists { .. }), _) => tries += 1,
                (other, _) => return other.map_err(OpenError::Create),
            }
        }
    }

    pub(crate) fn unlink(name: &Path) -> Result<(), UnlinkError> {
        let (path, file, _, geometry) = open_any(name).map_err(UnlinkError::Open)?;
        let io = |step| {
            let path = path.clone();
            move |source| UnlinkError::Io { path, step, source }
        };
        let shared = Self::map(path.clone(), file, geometry).map_err(io("mapping the header"))?;
        let _lock = AttachLock::take(&shared.file).map_err(|error| match error {
            AttachLockError::Busy => UnlinkError::Busy { path: path.clone() },
            AttachLockError::Io(source) => io("locking the file")(source),
        })?;
        // The name first: were we killed in between, the file would have no name and no links, which attaching looks
        // at as well; the other way round, a dead queue would keep its name.
        shm::unlink_if_same(&path, &shared.file).map_err(io("removing the file"))?;
        shared.rare().dead.store(1, Ordering::Release);
        Ok(())
    }

    fn map(path: PathBuf, file: File, geometry: Geometry) -> io::Result<Self> {
        let header = Arc::new(Mapping::new(&file, 0, geometry.lane_offset, Access::ReadWrite)?);
        Ok(Self { path, file, header, geometry, guard: ForkGuard::new()? })
    }

    /// Takes the role's lease and maps the lane.
    pub(crate) fn attach(&self, role: Role) -> Result<Attached, AttachError> {
        if !self.guard.is_intact() {
            return Err(AttachError::Forked);
        }
        let io = |step| move |source| AttachError::Io { path: self.path.clone(), step, source };
        let lock = AttachLock::take(&self.file).map_err(|error| match error {
            AttachLockError::Busy => AttachError::Busy { path: self.path.clone() },
            AttachLockError::Io(source) => io("locking the file")(source),
        })?;
        if self.is_unlinked().map_err(io("looking at the file"))? {
            return Err(AttachError::Unlinked { path: self.path.clone() });
        }
        let (index, access) = match role {
            Role::Producer => (layout::ENTRY_PRODUCER, Access::ReadWrite),
            Role::Consumer => (layout::ENTRY_CONSUMER, Access::Read),
        };
        let entry = self.entry(index);
        let byte = layout::LOCK_ENTRY + index as i64;
        let Some(lease) = Lease::take(&self.file, byte).map_err(io("taking the lease"))? else {
            return Err(self.role_taken(role, &entry));
        };
        entry.pid.store(std::process::id().into(), Ordering::Relaxed);
        entry.generation.fetch_add(1, Ordering::Relaxed);
        // The role is ours now; mapping a large lane may take long, and need not keep others from theirs.
        drop(lock);
        let memory = self.map_lane(access).map_err(io("mapping the lane"))?;
        Ok(Attached { memory, cursors: self.words(layout::CURSORS_OFFSET), lease })
    }

    fn map_lane(&self, access: Access) -> io::Result<LaneMemory> {
        let Geometry { lane_offset, lane_len, .. } = self.geometry;
        let lane = Mapping::new(&self.file, lane_offset, lane_len, access)?;
        let len = self.geometry.ring_bytes() as usize;
        let ring = lane.at(layout::LEAD, len);
        // SAFETY: the section holds LEAD >= 8 bytes before the ring and `len` bytes of it; the mapping lives as
        // long as the Arc; LEAD keeps `ring` 8-aligned; a producer's mapping is writable; all access by other
        // processes keeps to the protocol by the contract of `create` and `open`, and the lease that the caller
        // takes makes this process the only one in its role.
        Ok(unsafe { LaneMemory::new(ring, len, Arc::new(lane)) })
    }

    fn role_taken(&self, role: Role, entry: &Entry) -> AttachError {
        let pid = entry.pid.load(Ordering::Relaxed) as u32;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        let name = name.map(|name| name.trim_end().to_owned()).filter(|name| !name.is_empty());
        AttachError::RoleTaken { path: self.path.clone(), role, pid, name }
    }

    /// Whether somebody alive holds the role.
    pub(crate) fn is_role_taken(&self, role: Role) -> io::Result<bool> {
        let index = match role {
            Role::Producer => layout::ENTRY_PRODUCER,
            Role::Consumer => layout::ENTRY_CONSUMER,
        };
        shm::is_locked(&self.file, layout::LOCK_ENTRY + index as i64)
    }

    /// Whether the file was removed, by `unlink` or otherwise.
    fn is_unlinked(&self) -> io::Result<bool> {
        Ok(self.rare().dead.load(Ordering::Acquire) != 0 || self.file.metadata()?.nlink() == 0)
    }

    fn rare(&self) -> Ref<Rare> {
        self.words(layout::RARE_OFFSET)
    }

    fn entry(&self, index: usize) -> Ref<Entry> {
        self.words(layout::REGISTRY_OFFSET + index * size_of::<Entry>())
    }

    /// Shared words in the header, which stays mapped for as long as the reference lives.
    fn words<T: Send + Sync + 'static>(&self, offset: usize) -> Ref<T> {
        let words: NonNull<T> = self.header.at(offset, size_of::<T>()).cast();
        assert!(words.is_aligned(), "header sections are aligned");
        let keep: Arc<Mapping> = Arc::clone(&self.header);
        // SAFETY: in bounds (`at` checks) and aligned (checked above); the types placed here consist of atomics
        // only, for which any bytes are valid; the mapping lives as long as `keep`.
        unsafe { Ref::new(words, keep) }
    }

    pub(crate) fn damaged(&self, damage: Damage) -> Box<Damaged> {
        let Damage { word, position, found } = damage;
        Box::new(Damaged { path: self.path.clone(), word, position, found })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub(crate) fn guard(&self) -> ForkGuard {
        self.guard
    }
}

/// Turns a name into a path; the error is a sentence.
fn resolve(name: &Path) -> Result<PathBuf, String> {
    shm::resolve(name).map_err(|error| error.to_string())
}

/// What stands in a new file besides zeros.
fn initial_contents(options: &Resolved, schema: &Schema) -> io::Result<Vec<(u64, Vec<u8>)>> {
    let mut preamble = Preamble::spsc(&options.geometry);
    schema.record(&mut preamble);
    preamble.uuid = match options.uuid {
        Some(uuid) => uuid,
        None => shm::random_uuid()?,
    };
    if options.uuid.is_none() {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        preamble.created_ns = since_epoch.map_or(0, |time| time.as_nanos() as u64);
    }
    let mut contents = vec![(0, preamble.encode().to_vec())];
    if options.start_position != 0 {
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
    Ok(contents)
}

fn create_error(path: PathBuf, step: &'static str, source: io::Error, needed: u64) -> CreateError {
    use io::ErrorKind;
    match source.kind() {
        ErrorKind::AlreadyExists => CreateError::AlreadyExists { path },
        ErrorKind::NotFound | ErrorKind::NotADirectory => CreateError::NoDirectory { path },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => CreateError::PermissionDenied { path },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            CreateError::NoSpace { path, needed }
        }
        _ => CreateError::Io { path, step, source },
    }
}

/// Opens a file and checks that it is a whole queue, of whatever type.
fn open_any(name: &Path) -> Result<(PathBuf, File, Preamble, Geometry), OpenError> {
    let path = resolve(name).map_err(|reason| OpenError::BadName { reason })?;
    let file = shm::open(&path).map_err(|error| open_error(&path, error))?;
    let io = |step| {
        let path = path.clone();
        move |source| OpenError::Io { path, step, source }
    };
    let metadata = file.metadata().map_err(io("looking at the file"))?;
    if !metadata.is_file() {
        return Err(OpenError::NotAFile { path, found: kind_of_file(metadata.file_type()) });
    }
    let found = metadata.len();
    let mut bytes = [0; PREAMBLE_LEN];
    let whole = shm::read_exact_at(&file, &mut bytes, 0).map_err(io("reading the header"))?;
    if !whole {
        // A short file that does not even begin like a queue is something else altogether.
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
        return Err(OpenError::Damaged { path, field: "file length", found });
    }
    if preamble.kind != layout::KIND_SPSC {
        let found = format!("number {}", preamble.kind);
        return Err(OpenError::WrongKind { path, found, expected: "SPSC".into() });
    }
    Ok((path, file, preamble, geometry))
}

fn open_error(path: &Path, source: io::Error) -> OpenError {
    let path = path.to_path_buf();
    // `ErrorKind` has no stable names for these.
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ELOOP) => return OpenError::NotAFile { path, found: "a symbolic link" },
        Some(Errno::ENXIO) => return OpenError::NotAFile { path, found: "a socket or an unattached device" },
        _ => {}
    }
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => OpenError::NotFound { path },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::PermissionDenied { path }
        }
        io::ErrorKind::IsADirectory => OpenError::NotAFile { path, found: "a directory" },
        _ => OpenError::Io { path, step: "opening the file", source },
    }
}

fn kind_of_file(kind: std::fs::FileType) -> &'static str {
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
        PreambleError::NotReady => OpenError::Unfinished { path },
        PreambleError::Incompatible { bits } => OpenError::UnknownFeatures { path, bits },
        PreambleError::Checksum { found, .. } => OpenError::Damaged { path, field: "checksum", found },
        PreambleError::Field { name, found } => OpenError::Damaged { path, field: name, found },
    }
}
