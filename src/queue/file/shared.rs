//! An open queue file: the state that its handles in this process share.
#![allow(unsafe_code, reason = "places shared words in the mapped header")]

use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::consumers_here::ConsumersHere;
use super::events::QueueEvents;
use super::handle_options::HandleOptions;
use crate::error::{AttachError, Corrupted};
use crate::lane::{Corruption, Ref};
use crate::layout::{self, Geometry, QueueEventWords, Rare};
use crate::park::EventCount;
use crate::queue::Schema;
use crate::queue::mpmc::SharedDeadLetterMover;
use crate::shm::fork::ForkGuard;
use crate::shm::{
    self, Access, AttachLock, AttachLockError, FilesystemClass, LivenessLock, MapOptions, Mapping, Named,
    RecoveryLock, Section, SpareDescription, Tripwire, Warning, Warnings,
};
use crate::sync::Ordering;

/// An open queue file with its mapped header.
pub(crate) struct Shared {
    path: PathBuf,
    is_memfd: bool,
    file: Arc<File>,
    header: Arc<Mapping>,
    geometry: Geometry,
    guard: ForkGuard,
    uuid: [u8; 16],
    schema: Schema,
    handle_options: HandleOptions,
    map_options: MapOptions,
    /// Shared lock of the handles that were opened with `unlink_on_last_drop`.
    owner: Option<LivenessLock>,
    /// For what the last participant does when it leaves.
    spare: SpareDescription,
    /// MPMC: the recovery lock of the participants that are attached through this handle, which
    /// keep it.
    recovery: Mutex<Weak<RecoveryLock>>,
    events: QueueEvents,
    is_trusted: bool,
    /// MPMC: the way to the dead-letter queue.
    dead_letter_mover: SharedDeadLetterMover,
    consumers_here: ConsumersHere,
}

/// The state of a queue's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::queue) enum NameStatus {
    Current,
    /// Another file has it.
    Replaced,
    /// No file has it.
    Unlinked,
}

/// What is known of a file that was checked.
pub(in crate::queue) struct CheckedFile {
    pub(in crate::queue) path: PathBuf,
    pub(in crate::queue) is_memfd: bool,
    pub(in crate::queue) geometry: Geometry,
    pub(in crate::queue) uuid: [u8; 16],
    pub(in crate::queue) filesystem: FilesystemClass,
}

impl Shared {
    /// Maps the header.
    pub(in crate::queue) fn new(
        file: &Arc<File>,
        checked: CheckedFile,
        schema: &Schema,
        handle_options: HandleOptions,
    ) -> io::Result<Self> {
        let CheckedFile { path, is_memfd, geometry, uuid, filesystem } = checked;
        // A memfd cannot be truncated.
        let is_guarded = handle_options.guard_truncation && !is_memfd;
        let tripwire = if is_guarded { Some(Arc::new(Tripwire::new()?)) } else { None };
        let guard = match &tripwire {
            Some(tripwire) => tripwire.guard(),
            None => ForkGuard::new()?,
        };
        let warnings = Warnings::default();
        filesystem.warning.into_iter().for_each(|warning| warnings.add(warning));
        let (prefault, huge_pages) = (handle_options.prefaults(), handle_options.huge_pages);
        let map_options =
            MapOptions { prefault, huge_pages, in_memory: filesystem.is_memory, tripwire, warnings };
        // Words that are read one by one gain nothing from huge pages.
        let small_pages = MapOptions { huge_pages: false, ..map_options.clone() };
        let all = Section { offset: 0, len: geometry.lane_offset };
        let header = Arc::new(Mapping::sparse(file, all, Access::ReadWrite, &small_pages)?);
        let event = |offset| EventCount::new(words(&header, layout::EVENTS_OFFSET + offset));
        let events = QueueEvents {
            messages: event(offset_of!(QueueEventWords, messages)),
            room: event(offset_of!(QueueEventWords, room)),
            tasks: event(offset_of!(QueueEventWords, tasks)),
        };
        let shared = Self {
            path,
            is_memfd,
            file: Arc::clone(file),
            header,
            geometry,
            guard,
            uuid,
            schema: schema.clone(),
            handle_options,
            map_options,
            owner: None,
            spare: SpareDescription::default(),
            recovery: Mutex::default(),
            events,
            is_trusted: true,
            dead_letter_mover: SharedDeadLetterMover::default(),
            consumers_here: ConsumersHere::default(),
        };
        shared.ready_header(&shared.header)?;
        Ok(shared)
    }

    /// Like `new`, for handles that trust no process that can write the file. `self` is not shared
    /// yet.
    pub(in crate::queue) fn into_untrusted(mut self: Arc<Self>) -> Arc<Self> {
        Arc::get_mut(&mut self).expect("just opened").is_trusted = false;
        self
    }

    /// Whether every process that can write the file keeps to the protocol, as the contract of
    /// opening says.
    pub(in crate::queue) fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// Maps a section that may have holes, which must not be touched before they are made ready.
    pub(in crate::queue) fn map_sparse(&self, section: Section, access: Access) -> io::Result<Mapping> {
        Mapping::sparse(&self.file, section, access, &self.map_options)
    }

    /// Keeps other processes from attaching and unlinking. The queue is not unlinked while the lock
    /// is held.
    pub(in crate::queue) fn lock_for_attach(&self) -> Result<AttachLock, AttachError> {
        if !self.guard.is_intact() {
            return Err(match self.is_truncated() {
                true => AttachError::Truncated { path: self.path.clone() },
                false => AttachError::Forked,
            });
        }
        self.events.take_part();
        let lock = AttachLock::take(&self.file, &self.path).map_err(|error| match error {
            AttachLockError::Busy => AttachError::Busy { path: self.path.clone() },
            AttachLockError::Io(source) => self.attach_failed("locking the file")(source),
        })?;
        let failed = |source| self.attach_failed("checking the file")(source);
        match self.name_status().map_err(failed)? {
            NameStatus::Current => {
                self.begin_use(&lock).map_err(self.attach_failed("writing the header to the disk"))?;
                Ok(lock)
            }
            NameStatus::Replaced => Err(AttachError::Orphaned { path: self.path.clone() }),
            NameStatus::Unlinked => Err(AttachError::Unlinked { path: self.path.clone() }),
        }
    }

    /// Opens what [`with_attach_lock`](Self::with_attach_lock) needs.
    pub(in crate::queue) fn keep_spare(&self) {
        self.spare.keep(&self.file, &self.path);
    }

    /// Runs `critical` under the attach lock; needs nothing new of the system, once the spare is there.
    pub(in crate::queue) fn with_attach_lock<R>(
        &self,
        critical: impl FnOnce(&AttachLock) -> R,
    ) -> Result<R, AttachLockError> {
        self.spare.with_lock(&self.file, &self.path, critical)
    }

    /// Returns the recovery lock: that of the participants of this handle, or a new one.
    pub(in crate::queue) fn recovery_lock(&self) -> io::Result<Arc<RecoveryLock>> {
        let mut newest = self.recovery.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = newest.upgrade() {
            return Ok(lock);
        }
        let lock = Arc::new(RecoveryLock::open(&self.file, &self.path)?);
        *newest = Arc::downgrade(&lock);
        Ok(lock)
    }

    /// Turns an error of the system into one with the step that failed.
    pub(in crate::queue) fn attach_failed(
        &self,
        step: &'static str,
    ) -> impl FnOnce(io::Error) -> AttachError {
        let path = self.path.clone();
        move |source| AttachError::Io { path, step, source }
    }

    /// Whether the queue was removed, by `unlink` or otherwise.
    pub(in crate::queue) fn is_unlinked(&self) -> io::Result<bool> {
        let is_dead = self.rare().dead.load(Ordering::Acquire) != 0;
        Ok(is_dead || !self.is_memfd && self.file.metadata()?.nlink() == 0)
    }

    /// Whether peers that open the queue by its name find this one. A name that is gone though the
    /// file still has one (it was renamed, or this process sees another root) is no reason not to
    /// attach.
    pub(in crate::queue) fn name_status(&self) -> io::Result<NameStatus> {
        let named =
            || if self.is_memfd { Ok(Named::ThisFile) } else { shm::named_by(&self.path, &self.file) };
        Ok(match named() {
            Ok(Named::AnotherFile) => NameStatus::Replaced,
            _ if self.is_unlinked()? => NameStatus::Unlinked,
            _ => NameStatus::Current,
        })
    }

    /// Whether the queue is orphaned: no peer finds it by its name any more.
    pub(crate) fn is_orphaned(&self) -> io::Result<bool> {
        if self.is_unlinked()? {
            return Ok(true);
        }
        Ok(!self.is_memfd && shm::named_by(&self.path, &self.file)? != Named::ThisFile)
    }

    /// Whether the file was found to be truncated: only if it is guarded against that.
    pub(crate) fn is_truncated(&self) -> bool {
        self.map_options.tripwire.as_ref().is_some_and(|tripwire| tripwire.is_tripped())
    }

    pub(in crate::queue) fn note(&self, warning: Warning) {
        self.map_options.warnings.add(warning);
    }

    pub(crate) fn warnings(&self) -> Vec<Warning> {
        self.map_options.warnings.list()
    }

    pub(in crate::queue) fn add_warning(&self, warning: Warning) {
        self.map_options.warnings.add(warning);
    }

    /// Whether the file is still there when the machine was started again.
    pub(in crate::queue) fn outlives_boots(&self) -> bool {
        shm::outlives_boots(self.is_memfd || self.map_options.in_memory)
    }

    /// Writes everything before the registry to the disk, and waits for that.
    pub(in crate::queue) fn flush_header(&self) -> io::Result<()> {
        self.header.flush(0, layout::REGISTRY_OFFSET)
    }

    pub(in crate::queue) fn dead_letter_mover(&self) -> &SharedDeadLetterMover {
        &self.dead_letter_mover
    }

    pub(in crate::queue) fn consumers_here(&self) -> &ConsumersHere {
        &self.consumers_here
    }

    pub(in crate::queue) fn rare(&self) -> Ref<Rare> {
        self.words(layout::RARE_OFFSET)
    }

    /// Shared words in the header, which stays mapped for as long as the reference lives.
    pub(in crate::queue) fn words<T: Send + Sync + 'static>(&self, offset: usize) -> Ref<T> {
        words(&self.header, offset)
    }

    /// Like `words`, for several of one type.
    pub(in crate::queue) fn many_words<T: Send + Sync + 'static>(
        &self,
        offset: usize,
        count: usize,
    ) -> Ref<[T]> {
        let first: NonNull<T> = self.header.at(offset, count * size_of::<T>()).cast();
        assert!(first.is_aligned(), "header sections are aligned");
        let keep: Arc<Mapping> = Arc::clone(&self.header);
        // SAFETY: as in `words`, for all of them.
        unsafe { Ref::new(NonNull::slice_from_raw_parts(first, count), keep) }
    }

    pub(crate) fn corrupted(&self, corruption: Corruption) -> Box<Corrupted> {
        let Corruption { word, position, found } = corruption;
        Box::new(Corrupted { path: self.path.clone(), word, position, found })
    }

    pub(crate) fn events(&self) -> &QueueEvents {
        &self.events
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(in crate::queue) fn is_memfd(&self) -> bool {
        self.is_memfd
    }

    /// Whether the file is in memory, not on a disk.
    pub(in crate::queue) fn is_in_memory(&self) -> bool {
        self.map_options.in_memory
    }

    pub(in crate::queue) fn handle_options(&self) -> HandleOptions {
        self.handle_options
    }

    /// The options for opening a queue that belongs to this one.
    pub(in crate::queue) fn derived_handle_options(&self) -> HandleOptions {
        HandleOptions {
            unlink_on_last_drop: false,
            end_when_orphaned: false,
            replace_closed: false,
            ..self.handle_options
        }
    }

    pub(in crate::queue) fn set_owner(&mut self, owner: LivenessLock) {
        self.owner = Some(owner);
    }

    pub(in crate::queue) fn take_owner(&mut self) -> Option<LivenessLock> {
        self.owner.take()
    }

    pub(in crate::queue) fn uuid(&self) -> [u8; 16] {
        self.uuid
    }

    pub(in crate::queue) fn schema(&self) -> &Schema {
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
    // SAFETY: in bounds (`at` checks) and aligned (checked above); the types placed here consist of
    // atomics only, for which any bytes are valid; the mapping lives as long as `keep`.
    unsafe { Ref::new(words, keep) }
}
