//! Taking a role: the liveness lock on its registry entry, and the lane.
#![allow(unsafe_code, reason = "places the lane in the mapped file")]

use std::io;
use std::sync::Arc;

use crate::error::{AttachError, Role};
use crate::lane::{LaneMemory, Ref};
use crate::layout::{self, Cursors, Geometry, SpscRegistryEntry};
use crate::queue::Shared;
use crate::queue::file::boot::Stay;
use crate::queue::file::exiting::retry_while_exiting;
use crate::shm::{self, Access, LivenessLock, Section};
use crate::sync::Ordering;

/// A role that was taken, with everything that its holder needs.
pub(super) struct TakenRole {
    pub(super) memory: LaneMemory,
    pub(super) cursors: Ref<Cursors>,
    pub(super) stay: Stay,
}

impl Shared {
    /// Takes the role's liveness lock and maps the lane: each role belongs to one participant.
    /// Waits a moment for a participant that is about to end.
    pub(super) fn attach(self: &Arc<Self>, role: Role) -> Result<TakenRole, AttachError> {
        retry_while_exiting(|| self.try_attach(role))
    }

    fn try_attach(self: &Arc<Self>, role: Role) -> Result<TakenRole, AttachError> {
        let lock = self.lock_for_attach()?;
        let (index, access) = match role {
            Role::Producer => (layout::ENTRY_PRODUCER, Access::ReadWrite),
            Role::Consumer => (layout::ENTRY_CONSUMER, Access::Read),
        };
        let entry = self.role_entry(index);
        let byte = layout::LOCK_ENTRY + index as i64;
        let Some(liveness_lock) = LivenessLock::take(self.file(), self.path(), byte)
            .map_err(self.attach_failed("taking the liveness lock"))?
        else {
            return Err(self.role_taken(role, &entry));
        };
        entry.pid.store(std::process::id().into(), Ordering::Relaxed);
        // Wrapping: a corrupt word must not cause a panic.
        let mine = entry.generation.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let is_successor = move || entry.generation.load(Ordering::Relaxed) != mine;
        let consumer = (role == Role::Consumer).then_some(index);
        let stay = Stay::new(liveness_lock, Arc::clone(self), consumer, is_successor);
        // The role is taken now; mapping a large lane may take long, and need not keep others from
        // their roles.
        drop(lock);
        let memory =
            self.map_lane(access).map_err(self.not_mapped("mapping the lane", self.geometry().lane_len))?;
        Ok(TakenRole { memory, cursors: self.words(layout::CURSORS_OFFSET), stay })
    }

    fn map_lane(&self, access: Access) -> io::Result<LaneMemory> {
        let Geometry { lane_offset, lane_len, .. } = *self.geometry();
        let lane = self.map_section(Section { offset: lane_offset, len: lane_len }, access)?;
        let len = self.geometry().ring_bytes() as usize;
        let ring = lane.at(layout::LEAD, len);
        // SAFETY: the section holds LEAD >= 8 bytes before the ring and `len` bytes of it; the
        // mapping lives as long as the Arc; LEAD keeps `ring` 8-aligned; a producer's mapping is
        // writable; all access by other processes keeps to the protocol by the contract of `create`
        // and `open`, and the liveness lock that the caller takes makes this process the only one
        // in its role.
        Ok(unsafe { LaneMemory::new(ring, len, Arc::new(lane)) })
    }

    fn role_taken(&self, role: Role, entry: &SpscRegistryEntry) -> AttachError {
        let pid = entry.pid.load(Ordering::Relaxed) as u32;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        let name = name.map(|name| name.trim_end().to_owned()).filter(|name| !name.is_empty());
        AttachError::RoleTaken { path: self.path().to_path_buf(), role, pid, name }
    }

    /// Whether a live process holds the role.
    pub(super) fn is_role_taken(&self, role: Role) -> io::Result<bool> {
        let index = match role {
            Role::Producer => layout::ENTRY_PRODUCER,
            Role::Consumer => layout::ENTRY_CONSUMER,
        };
        shm::is_locked(self.file(), layout::LOCK_ENTRY + index as i64)
    }

    fn role_entry(&self, index: usize) -> Ref<SpscRegistryEntry> {
        self.words(layout::REGISTRY_OFFSET + index * size_of::<SpscRegistryEntry>())
    }
}
