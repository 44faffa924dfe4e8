//! Whether anything has changed since the last time that a killed process leaves, asked after every
//! single instruction: its file, that of the dead letters, and the words that it shares with the test.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::{MmapOptions, MmapRaw};
use nix::libc;

use crate::process::{Outcome, Words};

/// All that a process leaves when it is killed, but for what it did by system calls.
pub(crate) struct WatchAll {
    pub(crate) queue: Watch,
    letters: Watch,
    words: Vec<u64>,
    /// To compare them.
    now: Vec<u64>,
}

impl WatchAll {
    pub(crate) fn new(path: &Path) -> Outcome<Self> {
        let mut letters = path.as_os_str().to_owned();
        letters.push(".dead");
        let (queue, letters) = (Watch::new(path)?, Watch::new(Path::new(&letters))?);
        let mut watch = Self { queue, letters, words: Vec::new(), now: Vec::new() };
        watch.has_changed_beside()?;
        watch.queue.has_changed()?;
        Ok(watch)
    }

    /// Whether anything but the queue's file has changed since the last call.
    pub(crate) fn has_changed_beside(&mut self) -> Outcome<bool> {
        Words::copy_all(&mut self.now);
        let has_changed = self.now != self.words;
        std::mem::swap(&mut self.now, &mut self.words);
        Ok(self.letters.has_changed()? || has_changed)
    }
}

pub(crate) struct Watch {
    file: Option<File>,
    path: PathBuf,
    /// The file, once it has contents; mapped anew when its length changes. Reading it by system
    /// calls took most of the time of all tests here.
    mapped: Option<MmapRaw>,
    /// What it contained the last time.
    bytes: Vec<u8>,
}

impl Watch {
    pub(crate) fn new(path: &Path) -> Outcome<Self> {
        Ok(Self { file: File::open(path).ok(), path: path.into(), mapped: None, bytes: Vec::new() })
    }

    /// Since the last call. A file that is not there has no bytes.
    pub(crate) fn has_changed(&mut self) -> Outcome<bool> {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let Some(file) = &self.file else { return Ok(false) };
        let len = usize::try_from(file.metadata()?.len())?;
        if len != self.mapped.as_ref().map_or(0, MmapRaw::len) {
            self.mapped = if len == 0 { None } else { Some(MmapOptions::new().map_raw_read_only(file)?) };
        }
        let Some(mapped) = &self.mapped else {
            let had_bytes = !self.bytes.is_empty();
            self.bytes.clear();
            return Ok(had_bytes);
        };
        if len == self.bytes.len() && !differs(mapped, &self.bytes) {
            return Ok(false);
        }
        self.bytes.resize(len, 0);
        // SAFETY: both are `len` bytes long, and do not overlap. The file is not shortened: the only
        // process that would do so is stopped.
        unsafe { std::ptr::copy_nonoverlapping(mapped.as_ptr(), self.bytes.as_mut_ptr(), len) };
        Ok(true)
    }
}

/// Whether the file differs from these bytes, which are as many.
fn differs(mapped: &MmapRaw, bytes: &[u8]) -> bool {
    // SAFETY: both are this long. Other processes may write to the file meanwhile; a comparison of
    // bytes by the C library has no notion of that.
    let order = unsafe { libc::memcmp(mapped.as_ptr().cast(), bytes.as_ptr().cast(), bytes.len()) };
    order != 0
}
