//! An error that keeps a survivor from recovering after dead participants, until recovery works
//! again. It is kept so that it is never mistaken for "nothing there".

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use crate::error::RecoveryFailed;
use crate::order_ring::EntrySet;
use crate::shm::Warning;
use crate::sync::{Ordering, PrivateWord};

/// A call without a time limit ends with the cause after this time; so does any attempt that finds
/// the cause this old.
const TIME_LIMIT: Duration = Duration::from_secs(1);
/// Two observations that another process has the recovery lock say something about the time between
/// them only if that was no longer than this.
const MAX_BETWEEN: Duration = Duration::from_secs(5);

/// The last failure, which was not followed by a success; of one participant, whose guards may be
/// on other threads.
#[derive(Default)]
pub(crate) struct RecoveryFailures {
    /// 1 while there is a failure.
    flag: PrivateWord,
    found: Mutex<Option<Failure>>,
}

struct Failure {
    /// When it was found first, and last.
    since: Instant,
    last: Instant,
    step: &'static str,
    source: io::Error,
    /// Another process may be recovering, and about to finish. Its work is often done before this
    /// participant asks again, if it ever has a reason to: that the lock was taken once says
    /// nothing about later.
    may_pass: bool,
    /// Participants that were found dead and could not be recovered from.
    unrecovered: EntrySet,
}

impl Failure {
    /// Whether the last failure still holds, as far as can be known.
    fn holds(&self) -> bool {
        !self.may_pass || self.last.elapsed() <= MAX_BETWEEN
    }

    /// How long it is known to have lasted.
    fn lasted(&self) -> Duration {
        if self.may_pass { self.last - self.since } else { self.since.elapsed() }
    }
}

impl RecoveryFailures {
    /// Notes that a step failed, for the sake of the participants in `dead`. It is counted in the file,
    /// and a warning is added when it begins.
    #[cold]
    pub(crate) fn note(&self, shared: &Shared, step: &'static str, source: io::Error, dead: &EntrySet) {
        let rare = shared.rare();
        rare.recovery_failures.fetch_add(1, Ordering::Relaxed);
        rare.recovery_errno.store(source.raw_os_error().unwrap_or(0) as u64, Ordering::Relaxed);
        if self.put(step, copy(&source), false, dead) {
            shared.add_warning(Warning::RecoveryFailed { reason: format!("{step}: {source}") });
        }
    }

    /// Notes that another process has the recovery lock, while the participants in `dead` are dead.
    #[cold]
    pub(crate) fn note_busy(&self, dead: &EntrySet) {
        let words =
            "another process has it, and does not give it back; it may be stopped: continue or kill it";
        let busy = io::Error::new(io::ErrorKind::ResourceBusy, words);
        self.put("taking the recovery lock", busy, true, dead);
    }

    /// Returns true if there was no failure before.
    fn put(&self, step: &'static str, source: io::Error, may_pass: bool, dead: &EntrySet) -> bool {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unrecovered = found.as_ref().map_or(EntrySet::EMPTY, |found| found.unrecovered.clone());
        dead.iter().for_each(|index| {
            unrecovered.insert(index);
        });
        let before = found.take().filter(Failure::holds);
        let (is_new, last) = (before.is_none(), Instant::now());
        let since = before.map_or(last, |found| found.since);
        *found = Some(Failure { since, last, step, source, may_pass, unrecovered });
        self.flag.store(1, Ordering::Relaxed);
        is_new
    }

    /// The participants that could not be recovered from: they may be dead still, or another
    /// participant has recovered from them.
    pub(crate) fn unrecovered(&self) -> EntrySet {
        if !self.is_there() {
            return EntrySet::EMPTY;
        }
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.as_ref().map_or(EntrySet::EMPTY, |found| found.unrecovered.clone())
    }

    /// Notes that recovery works.
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

    /// The error of a call that ends without what it waited for; none if there is no failure.
    #[inline(always)]
    pub(crate) fn cause(&self, shared: &Shared) -> Option<Box<RecoveryFailed>> {
        self.is_there().then(|| self.older_than(shared, Duration::ZERO)).flatten()
    }

    /// The failure once it has lasted: it ends a call that would otherwise go on waiting.
    #[inline(always)]
    pub(crate) fn lasting_cause(&self, shared: &Shared) -> Option<Box<RecoveryFailed>> {
        self.is_there().then(|| self.older_than(shared, TIME_LIMIT)).flatten()
    }

    #[inline(always)]
    pub(crate) fn is_there(&self) -> bool {
        self.flag.load(Ordering::Relaxed) != 0
    }

    #[cold]
    fn older_than(&self, shared: &Shared, at_least: Duration) -> Option<Box<RecoveryFailed>> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let found = found.as_ref().filter(|found| found.holds())?;
        let least = if found.may_pass { TIME_LIMIT } else { at_least };
        let Failure { step, source, .. } = found;
        let failed = || RecoveryFailed { path: shared.path().to_path_buf(), step, source: copy(source) };
        (found.lasted() >= least).then(|| Box::new(failed()))
    }
}

/// `io::Error` cannot be cloned.
fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
