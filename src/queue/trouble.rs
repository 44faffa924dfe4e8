//! What keeps a survivor from dealing with the dead, until it works again: so that it is never taken for "nothing there".

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use crate::error::RecoveryFailed;
use crate::shm::Warning;
use crate::sync::{Ordering, PrivateWord};

/// A call without a time limit ends with the cause after this; so does any attempt that finds it this old.
const PATIENCE: Duration = Duration::from_secs(1);
/// That another process had the recovery lock twice says something about the time in between only if that was no longer.
const MAX_BETWEEN: Duration = Duration::from_secs(5);

/// What failed last, and has not worked since; of one participant, whose guards may be on other threads.
#[derive(Default)]
pub(crate) struct Trouble {
    /// 1 while something is there.
    flag: PrivateWord,
    found: Mutex<Option<QueueFile>>,
}

struct QueueFile {
    /// When it was found first, and last.
    since: Instant,
    last: Instant,
    step: &'static str,
    source: io::Error,
    /// Another process may be at it, and about to be done. What it does is often done before this participant asks again, if
    /// it ever has a reason to: that the lock was taken once says nothing about later.
    may_pass: bool,
}

impl QueueFile {
    /// What was found last is still so, as far as can be known.
    fn holds(&self) -> bool {
        !self.may_pass || self.last.elapsed() <= MAX_BETWEEN
    }

    /// For how long it is known to last.
    fn lasted(&self) -> Duration {
        if self.may_pass { self.last - self.since } else { self.since.elapsed() }
    }
}

impl Trouble {
    /// That failed. It is counted in the file, and noted when it begins.
    #[cold]
    pub(crate) fn note(&self, shared: &Shared, step: &'static str, source: io::Error) {
        let rare = shared.rare();
        rare.recovery_failures.fetch_add(1, Ordering::Relaxed);
        rare.recovery_errno.store(source.raw_os_error().unwrap_or(0) as u64, Ordering::Relaxed);
        if self.put(step, copy(&source), false) {
            shared.add_warning(Warning::RecoveryFailed { reason: format!("{step}: {source}") });
        }
    }

    /// Another process has the recovery lock, while a participant is dead.
    #[cold]
    pub(crate) fn note_busy(&self) {
        let words =
            "another process has it, and does not give it back; it may be stopped: continue or kill it";
        let busy = io::Error::new(io::ErrorKind::ResourceBusy, words);
        self.put("taking the recovery lock", busy, true);
    }

    /// True if there was none.
    fn put(&self, step: &'static str, source: io::Error, may_pass: bool) -> bool {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let before = found.take().filter(QueueFile::holds);
        let (is_new, last) = (before.is_none(), Instant::now());
        *found =
            Some(QueueFile { since: before.map_or(last, |found| found.since), last, step, source, may_pass });
        self.flag.store(1, Ordering::Relaxed);
        is_new
    }

    /// It works.
    #[inline(always)]
    pub(crate) fn clear(&self) {
        if self.flag.load(Ordering::Relaxed) != 0 {
            self.clear_slowly();
        }
    }

    #[cold]
    fn clear_slowly(&self) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        *found = None;
        self.flag.store(0, Ordering::Relaxed);
    }

    /// What a call says that ends without what it waited for; none if all is well.
    #[inline(always)]
    pub(crate) fn cause(&self, shared: &Shared) -> Option<Box<RecoveryFailed>> {
        self.is_there().then(|| self.look(shared, Duration::ZERO)).flatten()
    }

    /// The same, once it has lasted: what ends a call that would go on waiting.
    #[inline(always)]
    pub(crate) fn lasting_cause(&self, shared: &Shared) -> Option<Box<RecoveryFailed>> {
        self.is_there().then(|| self.look(shared, PATIENCE)).flatten()
    }

    #[inline(always)]
    fn is_there(&self) -> bool {
        self.flag.load(Ordering::Relaxed) != 0
    }

    #[cold]
    fn look(&self, shared: &Shared, at_least: Duration) -> Option<Box<RecoveryFailed>> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let found = found.as_ref().filter(|found| found.holds())?;
        let least = if found.may_pass { PATIENCE } else { at_least };
        let QueueFile { step, source, .. } = found;
        let failed = || RecoveryFailed { path: shared.path().to_path_buf(), step, source: copy(source) };
        (found.lasted() >= least).then(|| Box::new(failed()))
    }
}

/// Errors of the system cannot be cloned.
fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
