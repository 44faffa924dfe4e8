//! An eventcount that tasks wait for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::{Reactor, discard, lock, wake};
use crate::park::{Armed, EventCount, Key, Watched};
use crate::shm::fork::ForkGuard;
use crate::sync::{Ordering, PrivateWord};

/// The first attempt without a wake comes after this; each further one takes twice as long. Never,
/// where wakes are tested.
const FIRST_SLEEP: Duration =
    if cfg!(test) { Duration::from_secs(24 * 60 * 60) } else { Duration::from_millis(2) };

/// What tasks wait for on an eventcount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// Messages: each is for one task.
    Messages,
    /// Room: each producer has room of its own.
    Room,
}

impl Waits {
    /// The longest sleep: the same as for handles that sleep themselves.
    fn max_sleep(self) -> Duration {
        match self {
            Self::Messages => Duration::from_millis(100),
            Self::Room => Duration::from_millis(20),
        }
    }
}

/// An eventcount, and the tasks that wait for it.
pub(crate) struct Source {
    event: EventCount,
    waits: Waits,
    guard: ForkGuard,
    reactor: &'static Reactor,
    /// The longest sleep timeout in nanoseconds, as set by the last task that waited here.
    max_sleep: PrivateWord,
    state: Mutex<State>,
}

/// Invariant: if a task is enlisted, the source is watched.
#[derive(Default)]
struct State {
    next_key: u64,
    /// Enlisted tasks that are notified one after the other: by keys, which grow.
    in_turn: BTreeMap<u64, Waker>,
    /// Enlisted tasks that are notified by every wake.
    always: BTreeMap<u64, Waker>,
    armed: Option<Armed>,
    /// Set while a thread sleeps on the eventcount, or is about to.
    watched: Option<Watch>,
}

#[derive(Clone, Copy)]
struct Watch {
    key: Key,
    timeout: Duration,
    /// The end of the timeout.
    next_check: Instant,
}

impl Watch {
    fn new(key: Key, timeout: Duration, now: Instant) -> Self {
        Self { key, timeout, next_check: now + timeout }
    }
}

impl State {
    /// Removes the task that is next in turn.
    fn next_in_turn(&mut self) -> Option<Waker> {
        self.in_turn.pop_first().map(|(_, waker)| waker)
    }

    /// Adds the tasks that a wake notifies to `wakers`; false if there are none.
    fn notified(&mut self, wakers: &mut Vec<Waker>) -> bool {
        let before = wakers.len();
        wakers.extend(self.next_in_turn());
        wakers.extend(std::mem::take(&mut self.always).into_values());
        wakers.len() > before
    }
}

impl Source {
    pub(super) fn new(event: EventCount, waits: Waits, guard: ForkGuard, reactor: &'static Reactor) -> Self {
        let max_sleep = PrivateWord::new(u64::MAX);
        Self { event, waits, guard, reactor, max_sleep, state: Mutex::default() }
    }

    /// False in a forked child, where no other method here may be called.
    pub(super) fn is_own_process(&self) -> bool {
        self.guard.is_intact()
    }

    /// Whether the task with this key is enlisted, that is, has not been notified.
    pub(super) fn is_registered(&self, key: u64) -> bool {
        let state = lock(&self.state);
        state.in_turn.contains_key(&key) || state.always.contains_key(&key)
    }

    /// Enlists a task and arms the eventcount. The caller attempts once more after this.
    pub(super) fn register(self: &Arc<Self>, waker: Waker, always: bool) -> u64 {
        let mut state = lock(&self.state);
        let key = state.next_key;
        state.next_key += 1;
        let always = always || self.waits == Waits::Room;
        let _ = if always { &mut state.always } else { &mut state.in_turn }.insert(key, waker);
        // Under the lock: a task that finds it armed relies on the barrier.
        let armed = self.event.rearm(state.armed);
        state.armed = Some(armed);
        let is_new = state.watched.is_none();
        if is_new {
            state.watched = Some(Watch::new(armed.key(), FIRST_SLEEP, Instant::now()));
        }
        drop(state);
        if is_new {
            self.reactor.watch(Arc::clone(self));
        }
        key
    }

    /// Replaces a task's waker; false if the task was notified already.
    pub(super) fn update(&self, key: u64, waker: &Waker) -> bool {
        // Dropping a waker runs unknown code: none is dropped under the lock.
        let mut new = waker.clone();
        let mut state = lock(&self.state);
        let State { in_turn, always, .. } = &mut *state;
        let found = in_turn.get_mut(&key).or_else(|| always.get_mut(&key));
        let is_registered = found.map(|old| std::mem::swap(old, &mut new)).is_some();
        drop(state);
        is_registered
    }

    /// Removes a task that stops waiting. False if it was notified meanwhile.
    pub(super) fn leave(&self, key: u64) -> bool {
        let mut state = lock(&self.state);
        let waker = state.in_turn.remove(&key).or_else(|| state.always.remove(&key));
        drop(state);
        let is_registered = waker.is_some();
        discard(waker);
        is_registered
    }

    /// Notifies the next task; false if there is none.
    pub(super) fn pass(&self) -> bool {
        let next = lock(&self.state).next_in_turn();
        let found = next.is_some();
        if let Some(waker) = next {
            wake(waker);
        }
        found
    }

    /// Notifies the next task, or a sleeper in another process.
    pub(super) fn pass_anywhere(&self) {
        if !self.pass() && self.waits == Waits::Messages {
            self.event.notify(1);
        }
    }

    /// Checks whether it was notified, or the timeout is over, and if so adds the tasks that are to
    /// be woken to `wakers`. Returns when the next check is due at the latest; `None` if no task is
    /// enlisted: then it need not be watched.
    pub(super) fn tend(&self, now: Instant, wakers: &mut Vec<Waker>) -> Option<(Key, Instant)> {
        let mut state = lock(&self.state);
        let Watch { key, timeout, next_check } = state.watched?;
        let current = self.event.key();
        let was_notified = current != key;
        if !was_notified && now < next_check {
            return Some((key, next_check));
        }
        if !state.notified(wakers) {
            state.watched = None;
            drop(state);
            if was_notified && self.waits == Waits::Messages {
                // The notification may have been for a sleeper in another process.
                self.event.notify(1);
            }
            return None;
        }
        let timeout = if was_notified { FIRST_SLEEP } else { (timeout * 2).min(self.max_sleep()) };
        let watch = Watch::new(current, timeout, now);
        state.watched = Some(watch);
        Some((watch.key, watch.next_check))
    }

    pub(super) fn limit_slices(&self, most: Duration) {
        self.max_sleep.store(u64::try_from(most.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn max_sleep(&self) -> Duration {
        self.waits.max_sleep().min(Duration::from_nanos(self.max_sleep.load(Ordering::Relaxed)))
    }

    /// The word to sleep on.
    pub(super) fn watched(&self, key: Key) -> Watched<'_> {
        self.event.watched(key)
    }
}
