//! The wakes, without a fallback: in these tests sleeps have no timeouts, so that a lost wake
//! hangs.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::{Registration, Source, Waits, source};
use crate::park::{EventCount, Waitable, barrier};
use crate::sync::{AtomicU64, Ordering};

const HANGS: Duration = Duration::from_secs(60);
const ROUNDS: u64 = 20_000;

/// The simplest possible queue: a number of messages.
#[derive(Default)]
struct Queue {
    event: EventCount,
    there: AtomicU64,
    taken: AtomicU64,
    is_reusable: AtomicU64,
    /// The outcomes of the waits: found something, gave up before the wake, or after it.
    found: AtomicU64,
    gave_up: AtomicU64,
    gave_up_woken: AtomicU64,
}

impl Queue {
    /// True if there was a message, false if none will come any more.
    fn take(&self) -> Option<bool> {
        let less = |there: u64| there.checked_sub(1);
        if self.there.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_ok() {
            self.taken.fetch_add(1, Ordering::AcqRel);
            return Some(true);
        }
        (self.is_reusable.load(Ordering::Acquire) != 0).then_some(false)
    }

    /// Passes on as consumers do.
    fn pass_on(&self) {
        if self.there.load(Ordering::Acquire) != 0 {
            self.event.notify(1);
        }
    }

    /// Sends a few messages at a time, and waits until all of them are taken.
    fn send(&self, random: &mut Random) {
        let mut sent = 0;
        for round in 0..ROUNDS {
            let count = 1 + random.below(3);
            if random.below(2) == 0 {
                self.there.fetch_add(count, Ordering::AcqRel);
                self.event.notify(count as u32);
            } else {
                for _ in 0..count {
                    self.there.fetch_add(1, Ordering::AcqRel);
                    self.event.notify(1);
                }
            }
            sent += count;
            let start = Instant::now();
            while self.taken.load(Ordering::Acquire) != sent {
                if start.elapsed() > HANGS {
                    // The others must not wait forever for this thread.
                    self.end();
                    panic!("a wake was lost in round {round}");
                }
                thread::yield_now();
            }
        }
        self.end();
    }

    fn end(&self) {
        self.is_reusable.store(1, Ordering::Release);
        self.event.force_notify_all();
    }

    /// Takes until the end, and sleeps in between like a handle that blocks.
    fn block(&self) {
        loop {
            let key = match self.take() {
                None => self.event.arm(),
                Some(true) => continue,
                Some(false) => return,
            };
            match self.take() {
                None => _ = self.event.sleep(key, HANGS * 2),
                Some(true) => {}
                Some(false) => return,
            }
        }
    }

    /// Takes until the end, as a task that is dropped now and then; then it stays away until
    /// another has taken.
    fn poll(&self, source: &Arc<Source>, random: &mut Random) {
        let unpark = Arc::new(Unpark { thread: thread::current(), wakes: AtomicU64::new(0) });
        let waker = Waker::from(Arc::clone(&unpark));
        let mut context = Context::from_waker(&waker);
        let mut registration = Registration::new(source);
        loop {
            let taken = self.taken.load(Ordering::Acquire);
            let wakes = unpark.wakes.load(Ordering::Acquire);
            match registration.poll(&mut context, false, |_| self.take(), || self.pass_on()) {
                Poll::Ready(false) => return,
                Poll::Ready(true) => {
                    self.found.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                Poll::Pending => {}
            }
            let fate = random.below(4);
            let polls = if fate == 0 { random.below(100) } else { u64::MAX };
            for _ in 0..polls {
                if unpark.wakes.load(Ordering::Acquire) != wakes {
                    break;
                }
                if fate == 0 { std::hint::spin_loop() } else { thread::park() }
            }
            if fate > 1 {
                continue;
            }
            let was_woken = unpark.wakes.load(Ordering::Acquire) != wakes;
            if was_woken { &self.gave_up_woken } else { &self.gave_up }.fetch_add(1, Ordering::Relaxed);
            registration = Registration::new(source);
            while self.taken.load(Ordering::Acquire) == taken && self.is_reusable.load(Ordering::Acquire) == 0
            {
                thread::yield_now();
            }
        }
    }
}

struct Unpark {
    thread: Thread,
    wakes: AtomicU64,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::AcqRel);
        self.thread.unpark();
    }
}

/// Pseudorandom numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// One thread that always blocks, and tasks that give up repeatedly.
fn no_wake_is_lost(tasks: u64) {
    assert!(barrier::register(), "needs membarrier");
    let queue = Queue::default();
    let source = source(&queue.event, Waits::Messages).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| queue.block());
        for task in 1..=tasks {
            let (queue, source) = (&queue, &source);
            scope.spawn(move || queue.poll(source, &mut Random(task.wrapping_mul(0x9e37_79b9_7f4a_7c15))));
        }
        queue.send(&mut Random(4711));
    });
    let [found, gave_up, gave_up_woken] =
        [&queue.found, &queue.gave_up, &queue.gave_up_woken].map(|count| count.load(Ordering::Acquire));
    println!(
        "{tasks} tasks: took {found}, gave up {gave_up} times, {gave_up_woken} times when they were woken"
    );
    assert!(found > 0 && gave_up > 0 && gave_up_woken > 0, "this tests nothing");
}

#[test]
fn no_wake_is_lost_between_a_task_and_a_sleeper() {
    no_wake_is_lost(1);
}

#[test]
fn no_wake_is_lost_between_tasks_and_a_sleeper() {
    no_wake_is_lost(3);
}
