//! The files of the measurements.
#![allow(unsafe_code, reason = "creates queues that only this benchmark's processes know")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use ringway::{CreateOptions, mpmc, spsc};

use super::plan::{Case, Framing};
use super::words::with_words;

/// The files of a measurement; removed when dropped.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    /// Whether workers need the names to the end.
    keep_names: bool,
}

impl Files {
    fn fresh(count: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = |_| {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            PathBuf::from(format!("/dev/shm/ringway-bench-{}-{number}", std::process::id()))
        };
        Self { paths: (0..count).map(path).collect(), keep_names: false }
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.paths.clone()
    }

    /// Unlinks the files unless their names are needed: a file without a name cannot outlive the
    /// processes that have it open.
    pub(super) fn unlink(&self) -> Result<()> {
        for path in self.paths.iter().filter(|_| !self.keep_names) {
            std::fs::remove_file(path).with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(())
    }

    pub(super) fn queue(case: &Case, capacity: Option<usize>) -> Result<Self> {
        let files = Self::fresh(1);
        create_queue(&files.paths[0], case, capacity)?;
        Ok(files)
    }

    pub(super) fn two_queues(case: &Case, capacity: Option<usize>) -> Result<Self> {
        let files = Self::fresh(2);
        for path in &files.paths {
            create_queue(path, case, capacity)?;
        }
        Ok(files)
    }

    /// A file of zeros to map.
    pub(super) fn memory(bytes: u64) -> Result<Self> {
        let files = Self::fresh(1);
        create_memory(&files.paths[0], bytes)?;
        Ok(files)
    }

    /// An MPMC queue that workers may open at any time.
    pub(super) fn mpmc_with_name() -> Result<Self> {
        let mut files = Self::fresh(1);
        files.keep_names = true;
        // SAFETY: only this benchmark's own processes know the file.
        unsafe { mpmc::BytesQueue::create(&files.paths[0]) }?;
        Ok(files)
    }

    /// An MPMC queue, and a file of zeros to map.
    pub(super) fn mpmc(capacity: Option<usize>, bytes: u64) -> Result<Self> {
        let files = Self::fresh(2);
        // SAFETY: only this benchmark's own processes know the file.
        unsafe { mpmc::BytesQueue::create_with(&files.paths[0], &options(capacity)) }?;
        create_memory(&files.paths[1], bytes)?;
        Ok(files)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for path in &self.paths {
            // The file may be gone already; any other failure cannot be handled here.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn create_memory(path: &Path, bytes: u64) -> Result<()> {
    let create = || File::create_new(path)?.set_len(bytes);
    create().with_context(|| format!("creating {}", path.display()))
}

fn options(capacity: Option<usize>) -> CreateOptions {
    capacity.map_or_else(CreateOptions::new, |capacity| CreateOptions::new().ring_bytes(capacity))
}

fn create_queue(path: &Path, case: &Case, capacity: Option<usize>) -> Result<()> {
    let options = options(capacity);
    let options = match case.framing {
        Framing::Fixed => options.framing(ringway::Framing::Fixed(case.bytes)),
        Framing::Variable => options,
        Framing::Typed => {
            return create_typed(path, case.bytes, &options.framing(ringway::Framing::FixedByType));
        }
    };
    // SAFETY: only this benchmark's own processes know the file.
    unsafe { spsc::BytesQueue::create_with(path, &options) }?;
    Ok(())
}

/// Creates the queue of a typed case.
fn create_typed(path: &Path, bytes: usize, options: &CreateOptions) -> Result<()> {
    with_words!(bytes, create_typed_in_words(path, options))
}

fn create_typed_in_words<const W: usize>(path: &Path, options: &CreateOptions) -> Result<()> {
    // SAFETY: only this benchmark's own processes know the file.
    unsafe { spsc::Queue::<[u64; W]>::create_with(path, options) }?;
    Ok(())
}
