//! Directories for the files of one measurement, in memory.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

const MEMORY: &str = "/dev/shm";

/// A directory that is removed when this is dropped, with all that has its name.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(MEMORY).join(format!("rivals-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = clean(&self.0);
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Removes the contents of the directory, and what has its name beside it, as shared memory of some
/// systems does.
pub(crate) fn clean(directory: &Path) -> Result<()> {
    let entries = |path: &Path| -> Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(path).with_context(|| format!("looking into {}", path.display()))?;
        Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
    };
    let name = format!("{}-", directory.file_name().unwrap_or_default().to_string_lossy());
    let beside = entries(Path::new(MEMORY))?.into_iter();
    let ours =
        beside.filter(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&name)));
    for path in entries(directory)?.into_iter().chain(ours) {
        let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
    }
    Ok(())
}
