//! A thread that sleeps on eventcounts.

use std::io;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use super::{Source, lock, wake};
use crate::park::{self, Key, MAX_WATCHED, Watched};
use crate::sync::{AtomicU32, Ordering, PrivateWord};

/// The thread runs only wakers.
const STACK: usize = 256 * 1024;

/// A thread, and the means to add sources to it.
pub(super) struct Shard {
    /// Incremented when there is a new source: slept on like an eventcount.
    kicks: AtomicU32,
    new: Mutex<Vec<Arc<Source>>>,
    /// The number of sources that it watches, new ones included.
    load: PrivateWord,
}

/// The thread's working memory. Allocated at the start: tasks are woken even when no memory is
/// left.
struct Lists {
    sources: Vec<Arc<Source>>,
    keys: Vec<Key>,
    wakers: Vec<Waker>,
}

impl Lists {
    fn with_room() -> Self {
        Self {
            sources: Vec::with_capacity(MAX_WATCHED),
            keys: Vec::with_capacity(MAX_WATCHED),
            wakers: Vec::with_capacity(MAX_WATCHED),
        }
    }
}

impl Shard {
    pub(super) fn start() -> io::Result<Arc<Self>> {
        let (kicks, load) = (AtomicU32::default(), PrivateWord::default());
        let shard = Arc::new(Self { kicks, new: Mutex::new(Vec::with_capacity(MAX_WATCHED)), load });
        let (own, lists) = (Arc::clone(&shard), Lists::with_room());
        let (begun, has_begun) = channel();
        thread::Builder::new().name("ringway-async".into()).stack_size(STACK).spawn(move || {
            block_signals();
            // The other end waits for this message.
            let _ = begun.send(());
            own.run(lists);
        })?;
        // A thread needs memory to begin, and its stack for signals, which may no longer be
        // available once a handle exists.
        has_begun.recv().map_err(|_| io::Error::other("the thread ended before it began"))?;
        Ok(shard)
    }

    /// Whether one source more can be slept on at the same time.
    pub(super) fn has_room(&self) -> bool {
        // One of them is for `kicks`.
        self.load.load(Ordering::Relaxed) < MAX_WATCHED as u64 - 1
    }

    pub(super) fn watch(&self, source: Arc<Source>) {
        self.load.fetch_add(1, Ordering::Relaxed);
        lock(&self.new).push(source);
        self.kicks.fetch_add(1, Ordering::Release);
        park::wake(&self.kicks, 1);
    }

    fn run(&self, lists: Lists) {
        let Lists { mut sources, mut keys, mut wakers } = lists;
        loop {
            let kicks = self.kicks.load(Ordering::Acquire);
            sources.append(&mut lock(&self.new));
            keys.clear();
            let next = self.tend(&mut sources, &mut keys, &mut wakers);
            wakers.drain(..).for_each(wake);
            let timeout = next.map_or(Duration::MAX, |next| next.saturating_duration_since(Instant::now()));
            let own = Watched { word: &self.kicks, expected: kicks };
            let events = sources.iter().zip(&keys).map(|(source, key)| source.watched(*key));
            // However the sleep ends, all sources are checked.
            if sources.len() < MAX_WATCHED {
                let mut all = [own; MAX_WATCHED];
                all[1..].iter_mut().zip(events).for_each(|(place, event)| *place = event);
                park::watch(&all[..=sources.len()], timeout);
            } else {
                park::watch(&std::iter::once(own).chain(events).collect::<Vec<_>>(), timeout);
            }
        }
    }

    /// Checks all of them; returns the end of the first timeout.
    fn tend(
        &self,
        sources: &mut Vec<Arc<Source>>,
        keys: &mut Vec<Key>,
        wakers: &mut Vec<Waker>,
    ) -> Option<Instant> {
        let now = Instant::now();
        let mut next = None;
        sources.retain(|source| {
            let Some((key, next_check)) = source.tend(now, wakers) else {
                self.load.fetch_sub(1, Ordering::Relaxed);
                return false;
            };
            keys.push(key);
            next = Some(next.map_or(next_check, |next: Instant| next.min(next_check)));
            true
        });
        next
    }
}

/// Signals are for the program's own threads, where they end sleeps. All are blocked but those that
/// a fault of this thread raises.
#[allow(unsafe_code, reason = "signal masks")]
fn block_signals() {
    let mut signals = std::mem::MaybeUninit::uninit();
    // SAFETY: fills the set.
    unsafe { libc::sigfillset(signals.as_mut_ptr()) };
    // SAFETY: filled above.
    let mut signals: libc::sigset_t = unsafe { signals.assume_init() };
    for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP] {
        // SAFETY: a valid set, and a valid signal.
        unsafe { libc::sigdelset(&raw mut signals, fault) };
    }
    // SAFETY: a valid set; the old one is not requested. If the call fails, signals run their
    // handlers here, which does no harm.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut()) };
}
