//! An open queue file: what every handle of it shares.
#![allow(unsafe_code, reason = "places shared words in the mapped header")]

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use super::Schema;
use super::opening::{create_error, initial_contents, open_any, resolve};
use super::options::Resolved;
use super::schema::Mismatch;
use crate::error::{AttachError, CreateError, Damaged, OpenError, Role, UnlinkError};
use crate::lane::{Damage, LaneMemory, Ref};
use crate::layout::{self, Cursors, Entry, Geometry, Rare};
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
