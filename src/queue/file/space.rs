//! Allocating space for what this process is about to map: a copy of a queue file may have holes.
//!
//! Everything in a file has its space from the beginning, but for MPMC lanes that no producer has
//! used yet. So a healthy file in memory holds exactly as much as its registry says, and nothing
//! has to be done: most participants find this case. On disks the allocated size includes what the
//! filesystem needs for itself; there each section is checked.

use std::io;

use super::shared::Shared;
use crate::error::{AttachError, OpenError};
use crate::layout::{REGISTRY_OFFSET, RegistryEntry};
use crate::shm::{self, Access, Mapping, Section};
use crate::sync::Ordering;

impl Shared {
    /// Allocates the space that the header lacks, before any of it is touched.
    pub(in crate::queue) fn ready_header(&self, header: &Mapping) -> io::Result<()> {
        const PAGE: u64 = 4096;
        let len = self.geometry().lane_offset;
        // The size that the file should hold follows from the registry, which has to be there for
        // that.
        let registry =
            Section { offset: 0, len: self.geometry().description_offset().next_multiple_of(PAGE).min(len) };
        header.ready(self.file(), registry, false)?;
        let rest = Section { offset: registry.len, len: len - registry.len };
        if rest.len == 0 {
            return Ok(());
        }
        header.ready(self.file(), rest, self.needs_no_check()?)
    }

    /// Maps a section, as the options of this handle say, and allocates the space that it lacks.
    pub(in crate::queue) fn map_section(&self, section: Section, access: Access) -> io::Result<Mapping> {
        let mapping = self.map_sparse(section, access)?;
        mapping.ready(self.file(), Section { offset: 0, len: section.len }, self.needs_no_check()?)?;
        Ok(mapping)
    }

    /// Whether it is known that nothing is missing. Not checked where all pages are touched anyway.
    fn needs_no_check(&self) -> io::Result<bool> {
        Ok(!self.handle_options().prefaults() && self.is_whole()?)
    }

    /// Whether the file holds all that it should; false if that cannot be told.
    pub(in crate::queue) fn is_whole(&self) -> io::Result<bool> {
        Ok(self.is_in_memory() && shm::allocated(self.file())? == self.healthy_len())
    }

    fn healthy_len(&self) -> u64 {
        let geometry = self.geometry();
        let Some(order) = geometry.order else { return geometry.file_len() };
        let registry = self.many_words::<RegistryEntry>(REGISTRY_OFFSET, order.participants as usize);
        let ready = registry.iter().filter(|entry| entry.lane_ready.load(Ordering::Acquire) != 0).count();
        geometry.lane_offset + ready as u64 * geometry.lane_len
    }

    /// Turns the system's refusal to map a section into an error with a cause that users can act
    /// on.
    pub(in crate::queue) fn not_mapped(
        &self,
        step: &'static str,
        len: u64,
    ) -> impl FnOnce(io::Error) -> AttachError {
        let path = self.path().to_path_buf();
        move |source| match shm::is_no_space(&source) {
            true => AttachError::NoSpace { path, needed: len, has_holes: true },
            false => AttachError::Io { path, step, source },
        }
    }
}

/// Why a header could not be mapped.
pub(in crate::queue) fn header_not_mapped(
    path: std::path::PathBuf,
    needed: u64,
    source: io::Error,
) -> OpenError {
    match shm::is_no_space(&source) {
        true => OpenError::NoSpace { path, needed },
        false => OpenError::Io { path, step: "mapping the header", source },
    }
}
