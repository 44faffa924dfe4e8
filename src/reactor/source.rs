//! A eventcount that tasks wait for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::{Reactor, discard, lock, wake};
use crate::park::{Armed, EventCount, Key, Watched};
use crate::shm::fork::ForkGuard;
use crate::sync::{Ordering, PrivateWord};

/// The first look without a ring comes after this; each one after it takes twice as long. Never, where wakes are tested.
const FIRST_SLEEP: Duration =
    if cfg!(test) { Duration::from_secs(24 * 60 * 60) } else { Duration::from_millis(2) };

/// What is waited for at a eventcount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// Each message is for one.
    Messages,
    /// Everybody has room of its own.
    Room,
}

impl Waits {
    /// As for those who sleep themselves.
    fn max_sleep(self) -> Duration {
        match self {
            Self::Messages => Duration::from_millis(100),
            Self::Room => Duration::from_millis(20),
        }
    }
}

/// A eventcount, and the tasks that wait for it.
pub(crate) struct Source {
    event: EventCount,
    waits: Waits,
    guard: ForkGuard,
    reactor: &'static Reactor,
    /// Nanoseconds of a timeout at most, as the last task to wait here has said.
    max_sleep: PrivateWord,
    state: Mutex<State>,
}

/// Invariant: if somebody is enlisted, the source is watched.
#[derive(Default)]
struct State {
    next_key: u64,
    /// Enlisted, to be notified one after the other: by keys, which grow.
    in_turn: BTreeMap<u64, Waker>,
    /// Enlisted, to be notified by every ring.
    always: BTreeMap<u64, Waker>,
    armed: Option<Armed>,
    /// A thread sleeps on the eventcount, or is about to.
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
    /// Somebody who is enlisted, who no longer is then.
    fn next_in_turn(&mut self) -> Option<Waker> {
        self.in_turn.pop_first().map(|(_, waker)| waker)
    }

    /// Those whom a ring notifies; false if there are none.
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

    /// False in a forked child, where nothing else here may be called.
    pub(super) fn is_own_process(&self) -> bool {
        self.guard.is_intact()
    }

    /// Whether the task with this key is enlisted, that is, was not notified.
    pub(super) fn is_registered(&self, key: u64) -> bool {
        let state = lock(&self.state);
        state.in_turn.contains_key(&key) || state.always.contains_key(&key)
    }

    /// Enlists a task and arms the eventcount. Look once more after this.
    pub(super) fn register(self: &Arc<Self>, waker: Waker, always: bool) -> u64 {
        let mut state = lock(&self.state);
        let key = state.next_key;
        state.next_key += 1;
        let always = always || self.waits == Waits::Room;
        let _ = if always { &mut state.always } else { &mut state.in_turn }.insert(key, waker);
        // Under the lock: who finds it armed relies on the barrier.
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

    /// Has another waker woken; false if the task was notified already.
    pub(super) fn update(&self, key: u64, waker: &Waker) -> bool {
        // What dropping a waker does is not known here: none is dropped under the lock.
        let mut new = waker.clone();
        let mut state = lock(&self.state);
        let State { in_turn, always, .. } = &mut *state;
        let found = in_turn.get_mut(&key).or_else(|| always.get_mut(&key));
        let is_registered = found.map(|old| std::mem::swap(old, &mut new)).is_some();
        drop(state);
        is_registered
    }

    /// The task waits no longer. False if it was notified meanwhile.
    pub(super) fn leave(&self, key: u64) -> bool {
        let mut state = lock(&self.state);
        let waker = state.in_turn.remove(&key).or_else(|| state.always.remove(&key));
        drop(state);
        let is_registered = waker.is_some();
        discard(waker);
        is_registered
    }

    /// Notifies the next task.
    pub(super) fn pass(&self) -> bool {
        let next = lock(&self.state).next_in_turn();
        let found = next.is_some();
        if let Some(waker) = next {
            wake(waker);
        }
        found
    }

    /// Notifies the next task, or somebody in another process.
    pub(super) fn pass_anywhere(&self) {
        if !self.pass() && self.waits == Waits::Messages {
            self.event.notify(1);
        }
    }

    /// Looks whether it was notified, or the timeout is over, and hands over who is to be woken then. Returns when to look again at
    /// the latest; none if nobody is enlisted: then it need not be watched.
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
                // It may have been for somebody in another process.
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

    /// What to sleep on.
    pub(super) fn watched(&self, key: Key) -> Watched<'_> {
        self.event.watched(key)
    }
}
