//! The sections of a queue file that SPSC does not have.
#![allow(unsafe_code, reason = "places lanes in the mapped file")]

use std::fs::File;
use std::io;
use std::sync::Arc;

use crate::error::AttachError;
use crate::lane::LaneMemory;
use crate::layout::{CURSORS_OFFSET, Geometry, RARE_OFFSET, REGISTRY_OFFSET};
use crate::order_ring::{OrderRing, Registry, SlotExtras};
use crate::queue::Shared;
use crate::queue::file::options::ResolvedOptions;
use crate::shm::{self, Access, Mapping, Section};

/// The words of an order ring in a file.
pub(in crate::queue) trait MappedRing: Registry + Send + Sync + 'static {
    /// The words of this queue.
    ///
    /// # Panics
    /// If the queue is of another kind; the kind was checked when it was opened.
    fn of(shared: &Shared) -> Self;
}

impl MappedRing for OrderRing {
    fn of(shared: &Shared) -> Self {
        shared.ring()
    }
}

/// All lanes of a queue, for reading. Those that are not ready are holes.
pub(in crate::queue) struct Lanes {
    mapping: Arc<Mapping>,
    pub(in crate::queue) memory: LaneMemory,
    pub(in crate::queue) lane_len: u64,
}

impl Lanes {
    /// Lanes that are ready have their space afterwards. A lane that becomes ready later gets its
    /// space from its producer.
    pub(in crate::queue) fn map(shared: &Shared, ring: &OrderRing) -> io::Result<Self> {
        let geometry = shared.geometry();
        let lane_len = geometry.lane_len;
        let len = geometry.file_len() - geometry.lane_offset;
        let section = Section { offset: geometry.lane_offset, len };
        let mapping = Arc::new(shared.map_sparse(section, Access::Read)?);
        // On a disk a hole that is read takes no space.
        if shared.is_in_memory() && !shared.is_whole()? {
            let lanes = (len / lane_len) as usize;
            for lane in (0..lanes.min(ring.entry_count())).filter(|lane| ring.is_lane_ready(*lane)) {
                let part = Section { offset: lane as u64 * lane_len, len: lane_len };
                mapping.ready(shared.file(), part, false)?;
            }
        }
        let memory = memory(&mapping, len as usize);
        Ok(Self { mapping, memory, lane_len })
    }

    /// Makes the first access to each page of a lane that has become ready cheap.
    pub(in crate::queue) fn prepare(&self, lane: usize) {
        self.mapping.prefault(lane * self.lane_len as usize, self.lane_len as usize);
    }
}

/// Maps one lane, for its producer; the lane has its space afterwards.
pub(in crate::queue) fn map_own_lane(shared: &Shared, lane: usize) -> io::Result<LaneMemory> {
    let section = lane_section(shared.geometry(), lane);
    let mapping = shared.map_section(section, Access::ReadWrite)?;
    Ok(memory(&Arc::new(mapping), section.len as usize))
}

/// Allocates the space of a lane that has never been used.
pub(in crate::queue) fn allocate_lane(file: &File, geometry: &Geometry, lane: usize) -> io::Result<()> {
    shm::allocate(file, lane_section(geometry, lane))
}

fn lane_section(geometry: &Geometry, lane: usize) -> Section {
    Section { offset: geometry.lane_offset + lane as u64 * geometry.lane_len, len: geometry.lane_len }
}

fn memory(mapping: &Arc<Mapping>, len: usize) -> LaneMemory {
    let keep: Arc<Mapping> = Arc::clone(mapping);
    // SAFETY: the section has `len` bytes (`at` checks), is page-aligned and mapped as long as the
    // Arc lives; a producer's mapping is writable; these lanes have no commit words; all access by
    // other processes keeps to the protocol by the contract of `create` and `open`, and the
    // liveness lock makes this process the only writer of its lane.
    unsafe { LaneMemory::new(mapping.at(0, len), len, keep) }
}

impl Shared {
    /// Turns the system's refusal of a lane into an error with a cause that users can act on.
    pub(in crate::queue) fn lane_failed(&self, source: io::Error) -> AttachError {
        if shm::is_no_space(&source) {
            let path = self.path().to_path_buf();
            return AttachError::NoSpace { path, needed: self.geometry().lane_len, has_holes: false };
        }
        self.attach_failed("allocating the lane")(source)
    }

    /// Options of this queue's dead-letter queue.
    pub(super) fn options_for_letters(&self) -> ResolvedOptions {
        ResolvedOptions {
            geometry: self.geometry().for_letters(),
            start_position: 0,
            uuid: None,
            handle_options: self.derived_handle_options(),
        }
    }

    /// The slots and the registry of an MPMC or broadcast queue.
    ///
    /// # Panics
    /// If the queue is of another kind; the kind was checked when it was opened.
    pub(in crate::queue) fn ring(&self) -> OrderRing {
        let order = self.geometry().order.expect("a queue with an order ring");
        OrderRing::new(
            self.words(RARE_OFFSET),
            self.words(CURSORS_OFFSET),
            self.many_words(order.slots_offset as usize, order.slots as usize),
            SlotExtras {
                origins: self.many_words(order.extras_offset() as usize, order.origins() as usize),
                holders: self.many_words(order.extras_offset() as usize, order.holders() as usize),
            },
            self.many_words(REGISTRY_OFFSET, order.participants as usize),
            order.policy,
        )
        .bounded(order.max_messages)
    }
}
