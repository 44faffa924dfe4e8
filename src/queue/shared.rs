//! An open queue file: what every handle of it shares.
#![allow(unsafe_code, reason = "places shared words in the mapped header")]

use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use super::Schema;
use super::kind::Engine;
use super::opening::{check_kind, create_error, initial_contents, new_preamble, open_any, resolve};
use super::options::Resolved;
use super::schema::Mismatch;
use crate::error::{AttachError, CreateError, Damaged, OpenError, UnlinkError};
use crate::lane::{Damage, Ref};
use crate::layout::{self, Doorbells, Geometry, Rare};
use crate::park::{Bell, barrier};
use crate::shm::fork::ForkGuard;
use crate::shm::{self, Access, AttachLock, AttachLockError, Mapping, Size};
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
    uuid: [u8; 16],
    schema: Schema,
    bells: Bells,
    is_trusted: bool,
}

/// Where a queue's participants sleep.
#[derive(Clone)]
pub(crate) struct Bells {
    /// For messages: consumers.
    pub(crate) messages: Bell,
    /// For room: producers.
    pub(crate) room: Bell,
}

impl Bells {
    /// Makes this process known to those who sleep; before its first change to the queue.
    fn take_part(&self) {
        if !barrier::register() {
            self.messages.need_fence();
            self.room.need_fence();
        }
    }

    /// Wakes whoever is asleep or about to be, whatever the words say.
    pub(crate) fn wake_everybody(&self) {
        self.messages.ring_for_all();
        self.room.ring_for_all();
    }

    /// Wakes whoever sleeps: much may have changed.
    pub(crate) fn notify_everybody(&self) {
        self.messages.notify_all();
        self.room.notify_all();
    }
}

impl Shared {
    pub(crate) fn create<K: Engine>(
        name: &Path,
        options: &Resolved,
        schema: &Schema,
    ) -> Result<Arc<Self>, CreateError> {
        let path = resolve(name).map_err(|reason| CreateError::BadName { reason })?;
        let geometry = options.geometry;
        let failed = |step| {
            let path = path.clone();
            move |source| create_error(path, step, source, geometry.file_len())
        };
        let preamble = new_preamble(options, schema).map_err(failed("reading random bytes"))?;
        let size = Size { len: geometry.file_len(), allocated: geometry.allocated_len() };
        let file = shm::create(&path, size, &initial_contents(options, &preamble))
            .map_err(failed("creating the file"))?;
        let created = file.try_clone();
        Self::map(path.clone(), file, geometry, preamble.uuid, schema).map(Arc::new).map_err(|source| {
            // Nothing is left behind: the file has its name already.
            let _ = created.and_then(|file| shm::unlink_if_same(&path, &file));
            failed("mapping the header")(source)
        })
    }

    pub(crate) fn open<K: Engine>(name: &Path, schema: &Schema) -> Result<Arc<Self>, OpenError> {
        let (path, file, preamble, geometry) = open_any(name)?;
        check_kind::<K>(&path, &preamble)?;
        schema.check(&preamble, &geometry).map_err(|mismatch| match mismatch {
            Mismatch::Geometry { field, found } => OpenError::Damaged { path: path.clone(), field, found },
            Mismatch::Type { found, expected } => {
                OpenError::WrongType { path: path.clone(), found, expected }
            }
            Mismatch::Format { found, expected } => {
                OpenError::WrongFormat { path: path.clone(), found, expected }
            }
        })?;
        let shared = Self::map(path.clone(), file, geometry, preamble.uuid, schema)
            .map_err(|source| OpenError::Io { path, step: "mapping the header", source })?;
        match shared.is_unlinked() {
            Ok(false) => Ok(Arc::new(shared)),
            Ok(true) => Err(OpenError::Unlinked { path: shared.path }),
            Err(source) => Err(OpenError::Io { path: shared.path, step: "looking at the file", source }),
        }
    }

    pub(crate) fn open_or_create<K: Engine>(
        name: &Path,
        options: &Resolved,
        schema: &Schema,
    ) -> Result<Arc<Self>, OpenError> {
        // Somebody may create it between our look and our creation, or unlink it just after; but not for ever. What
        // stays there and stays unlinked has a second name.
        let mut tries = 0;
        loop {
            let unlinked = match Self::open::<K>(name, schema) {
                Err(OpenError::NotFound { .. }) => None,
                Err(error @ OpenError::Unlinked { .. }) => Some(error),
                other => return other,
            };
            match (Self::create::<K>(name, options, schema), unlinked) {
                (Err(CreateError::AlreadyExists { .. }), Some(error)) if tries >= MOST_TRIES => {
                    return Err(error);
                }
                (Err(CreateError::AlreadyExists { .. }), _) => tries += 1,
                (other, _) => return other.map_err(OpenError::Create),
            }
        }
    }

    pub(crate) fn unlink(name: &Path) -> Result<(), UnlinkError> {
        let (path, file, preamble, geometry) = open_any(name).map_err(UnlinkError::Open)?;
        let io = |step| {
            let path = path.clone();
            move |source| UnlinkError::Io { path, step, source }
        };
        let shared = Self::map(path.clone(), file, geometry, preamble.uuid, &Schema::bytes())
            .map_err(io("mapping the header"))?;
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

    fn map(
        path: PathBuf,
        file: File,
        geometry: Geometry,
        uuid: [u8; 16],
        schema: &Schema,
    ) -> io::Result<Self> {
        let header = Arc::new(Mapping::new(&file, 0, geometry.lane_offset, Access::ReadWrite)?);
        let bell = |which| Bell::new(words(&header, layout::DOORBELLS_OFFSET + which));
        let bells = Bells {
            messages: bell(offset_of!(Doorbells, messages)),
            room: bell(offset_of!(Doorbells, room)),
        };
        Ok(Self {
            path,
            file,
            header,
            geometry,
            guard: ForkGuard::new()?,
            uuid,
            schema: schema.clone(),
            bells,
            is_trusted: true,
        })
    }

    /// The same, for those who believe nobody that can write the file. `self` is not shared with anybody yet.
    pub(super) fn distrusting(mut self: Arc<Self>) -> Arc<Self> {
        Arc::get_mut(&mut self).expect("just opened").is_trusted = false;
        self
    }

    /// Whether everybody who can write the file keeps to the protocol, as the contract of opening says.
    pub(super) fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// Keeps others from attaching and unlinking. The queue is not unlinked then.
    pub(super) fn lock_for_attach(&self) -> Result<AttachLock, AttachError> {
        if !self.guard.is_intact() {
            return Err(AttachError::Forked);
        }
        self.bells.take_part();
        let lock = AttachLock::take(&self.file).map_err(|error| match error {
            AttachLockError::Busy => AttachError::Busy { path: self.path.clone() },
            AttachLockError::Io(source) => self.attach_failed("locking the file")(source),
        })?;
        if self.is_unlinked().map_err(self.attach_failed("looking at the file"))? {
            return Err(AttachError::Unlinked { path: self.path.clone() });
        }
        Ok(lock)
    }

    /// Turns what the system said into an error for people.
    pub(super) fn attach_failed(&self, step: &'static str) -> impl FnOnce(io::Error) -> AttachError {
        let path = self.path.clone();
        move |source| AttachError::Io { path, step, source }
    }

    /// Whether the file was removed, by `unlink` or otherwise.
    fn is_unlinked(&self) -> io::Result<bool> {
        Ok(self.rare().dead.load(Ordering::Acquire) != 0 || self.file.metadata()?.nlink() == 0)
    }

    fn rare(&self) -> Ref<Rare> {
        self.words(layout::RARE_OFFSET)
    }

    /// Shared words in the header, which stays mapped for as long as the reference lives.
    pub(super) fn words<T: Send + Sync + 'static>(&self, offset: usize) -> Ref<T> {
        words(&self.header, offset)
    }

    /// The same, several of a kind.
    pub(super) fn many_words<T: Send + Sync + 'static>(&self, offset: usize, count: usize) -> Ref<[T]> {
        let first: NonNull<T> = self.header.at(offset, count * size_of::<T>()).cast();
        assert!(first.is_aligned(), "header sections are aligned");
        let keep: Arc<Mapping> = Arc::clone(&self.header);
        // SAFETY: as in `words`, for all of them.
        unsafe { Ref::new(NonNull::slice_from_raw_parts(first, count), keep) }
    }

    pub(crate) fn damaged(&self, damage: Damage) -> Box<Damaged> {
        let Damage { word, position, found } = damage;
        Box::new(Damaged { path: self.path.clone(), word, position, found })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn bells(&self) -> &Bells {
        &self.bells
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn uuid(&self) -> [u8; 16] {
        self.uuid
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub(crate) fn guard(&self) -> ForkGuard {
        self.guard
    }
}

fn words<T: Send + Sync + 'static>(header: &Arc<Mapping>, offset: usize) -> Ref<T> {
    let words: NonNull<T> = header.at(offset, size_of::<T>()).cast();
    assert!(words.is_aligned(), "header sections are aligned");
    let keep: Arc<Mapping> = Arc::clone(header);
    // SAFETY: in bounds (`at` checks) and aligned (checked above); the types placed here consist of atomics only, for
    // which any bytes are valid; the mapping lives as long as `keep`.
    unsafe { Ref::new(words, keep) }
}
