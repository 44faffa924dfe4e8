//! The real eventcount and the real wait under loom. Sleeps have no timeouts here and end only by a
//! wake, so that every lost wake is a deadlock, which loom reports.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --profile optimized --lib park::loom_tests`

use std::sync::Arc;

use loom::model::Builder;
use loom::thread;

use super::*;
use crate::shared_ref::Ref;
use crate::sync::{AtomicU64, Ordering};
use crate::wait::{Ended, Parking, Until, WaitConfig, WaitStrategy, wait};

/// A queue whose positions are claimed from the start, committed in any order and taken in order,
/// with the orderings of `crate::order_ring`; and its eventcounts.
struct Queue {
    slots: Vec<AtomicU64>,
    head: AtomicU64,
    messages: EventCount,
    room: EventCount,
}

/// The result of a consumer's attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Message(u64),
    Closed,
}

impl Queue {
    fn new(claimed: usize) -> Arc<Self> {
        let event = || EventCount::new(Ref::on_heap(Arc::default()));
        Arc::new(Self {
            slots: (0..claimed).map(|_| AtomicU64::new(0)).collect(),
            head: AtomicU64::new(0),
            messages: event(),
            room: event(),
        })
    }

    fn commit(&self, position: usize) {
        self.slots[position].store(1, Ordering::Release);
    }

    fn send(&self, position: usize) {
        self.commit(position);
        self.messages.notify(1);
    }

    fn is_committed(&self, position: u64) -> bool {
        self.slots.get(position as usize).is_some_and(|slot| slot.load(Ordering::Acquire) == 1)
    }

    fn take(&self) -> Option<Found> {
        loop {
            let head = self.head.load(Ordering::Acquire);
            if !self.is_committed(head) {
                return None;
            }
            let taken = self.head.compare_exchange(head, head + 1, Ordering::AcqRel, Ordering::Relaxed);
            if taken.is_ok() {
                return Some(Found::Message(head));
            }
        }
    }

    fn has_more(&self) -> bool {
        self.is_committed(self.head.load(Ordering::Acquire))
    }

    /// A consumer's attempt.
    fn attempt(&self) -> Option<Found> {
        if let Some(found) = self.take() {
            return Some(found);
        }
        if !self.messages.is_closed() {
            return None;
        }
        barrier::heavy();
        let is_drained = || self.head.load(Ordering::Acquire) == self.slots.len() as u64;
        self.take().or_else(|| is_drained().then_some(Found::Closed))
    }

    /// Receives like a consumer that parks immediately.
    fn recv(&self) -> Found {
        let wait_config = sleeper();
        let parking = parking(&self.messages, &wait_config);
        let found = wait(Until::Forever, 1, &parking, |_| {
            let found = self.attempt()?;
            self.messages.pass_on(|| self.has_more());
            Some(found)
        });
        found.unwrap()
    }

    fn close(&self) {
        self.messages.close();
        self.messages.force_notify_all();
        self.room.force_notify_all();
    }
}

fn sleeper() -> WaitConfig {
    let wait_config = WaitConfig::default();
    wait_config.set(WaitStrategy::Park);
    wait_config
}

fn parking<'a>(event: &'a EventCount, wait_config: &'a WaitConfig) -> Parking<'a> {
    Parking { event, wait_config, max_sleep: Duration::MAX }
}

/// Explores with at most `bound` preemptions, or as many as `LOOM_MAX_PREEMPTIONS` says.
fn explore(bound: Option<usize>, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(bound);
    builder.max_branches = 10_000;
    builder.check(test);
}

/// Runs `recv` in `consumers` threads.
fn receive_in_threads(queue: &Arc<Queue>, consumers: usize) -> Vec<thread::JoinHandle<Found>> {
    let receive = |_| {
        let queue = Arc::clone(queue);
        thread::spawn(move || queue.recv())
    };
    (0..consumers).map(receive).collect()
}

/// The results of the consumers, in order.
fn found(consumers: Vec<thread::JoinHandle<Found>>) -> Vec<Found> {
    let mut found: Vec<_> = consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect();
    found.sort_unstable_by_key(|found| match found {
        Found::Message(position) => *position,
        Found::Closed => u64::MAX,
    });
    found
}

#[test]
fn a_message_wakes_a_sleeper() {
    explore(None, || {
        let queue = Queue::new(1);
        let consumers = receive_in_threads(&queue, 1);
        queue.send(0);
        assert_eq!(found(consumers), [Found::Message(0)]);
    });
}

/// This includes the case that the second message is committed first: a consumer woken for it
/// cannot take it.
#[test]
fn two_messages_wake_two() {
    explore(Some(2), || {
        let queue = Queue::new(2);
        let consumers = receive_in_threads(&queue, 2);
        let second = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.send(1)
        });
        queue.send(0);
        second.join().unwrap();
        assert_eq!(found(consumers), [Found::Message(0), Found::Message(1)]);
    });
}

#[test]
fn a_batch_wakes_as_many_as_it_has_messages() {
    explore(Some(2), || {
        let queue = Queue::new(2);
        let consumers = receive_in_threads(&queue, 2);
        queue.commit(0);
        queue.commit(1);
        queue.messages.notify(2);
        assert_eq!(found(consumers), [Found::Message(0), Found::Message(1)]);
    });
}

/// The waker of the first message meets no sleeper and would remove ARMED; that of the second meets
/// the sleeper.
#[test]
fn a_sleeper_that_arms_meanwhile_stays_armed() {
    explore(Some(3), || {
        let queue = Queue::new(2);
        let consumers = receive_in_threads(&queue, 1);
        let first = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.send(0)
        });
        // This take neither sleeps nor notifies.
        let visitor = queue.take();
        queue.send(1);
        first.join().unwrap();
        let position = u64::from(visitor.is_some());
        assert_eq!(found(consumers), [Found::Message(position)]);
    });
}

/// A wake that has woken as many as it wanted may have left some asleep.
#[test]
fn a_wake_leaves_the_others_armed() {
    explore(Some(2), || {
        let queue = Queue::new(2);
        let consumers = receive_in_threads(&queue, 2);
        queue.send(0);
        queue.send(1);
        assert_eq!(found(consumers), [Found::Message(0), Found::Message(1)]);
    });
}

#[test]
fn without_membarrier_wakers_fence() {
    explore(None, || {
        barrier::refuse();
        let queue = Queue::new(1);
        assert!(!barrier::register());
        queue.messages.need_fence();
        let consumers = receive_in_threads(&queue, 1);
        queue.send(0);
        assert_eq!(found(consumers), [Found::Message(0)]);
    });
}

/// Starts as if there had been a heavy barrier since FENCING was set: the light barrier does
/// nothing here.
#[test]
fn after_a_barrier_both_sides_fence() {
    explore(None, || {
        barrier::refuse();
        let queue = Queue::new(1);
        queue.messages.begin_with_barrier_done();
        let consumers = receive_in_threads(&queue, 1);
        queue.send(0);
        assert_eq!(found(consumers), [Found::Message(0)]);
    });
}

/// A waker whose fences meet no sleeper removes FENCING while a consumer begins to sleep.
#[test]
fn fencing_ends_and_no_wake_is_lost() {
    explore(Some(3), || {
        let queue = Queue::new(3);
        queue.messages.begin_with_barrier_done();
        let consumers = receive_in_threads(&queue, 1);
        let mut taken = Vec::new();
        for position in 0..2 {
            queue.send(position);
            // Takes without sleeping.
            taken.extend(queue.take());
        }
        queue.send(2);
        taken.extend(found(consumers));
        taken.sort_unstable_by_key(|found| format!("{found:?}"));
        assert!(
            taken.windows(2).all(|pair| pair[0] != pair[1]) && !taken.contains(&Found::Closed),
            "{taken:?}"
        );
    });
}

#[test]
fn closing_wakes_sleepers_and_loses_nothing() {
    explore(None, || {
        let queue = Queue::new(1);
        let consumers = receive_in_threads(&queue, 1);
        // Not announced: the notification of all is enough.
        queue.commit(0);
        queue.close();
        assert_eq!(found(consumers), [Found::Message(0)]);
        assert_eq!(queue.recv(), Found::Closed);
    });
}

/// The one consumer of a queue whose producer closes it.
#[test]
fn what_was_sent_before_the_close_is_received() {
    explore(None, || {
        let queue = Queue::new(1);
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                queue.commit(0);
                queue.close();
            }
        });
        let wait_config = sleeper();
        let found = wait(Until::Forever, 1, &parking(&queue.messages, &wait_config), |_| {
            let after_the_end = || {
                barrier::heavy();
                queue.take().unwrap_or(Found::Closed)
            };
            queue.take().or_else(|| queue.messages.is_closed().then(after_the_end))
        });
        assert_eq!(found, Ok(Found::Message(0)));
        producer.join().unwrap();
    });
}

/// The queue was closed while its last message was claimed and not committed.
#[test]
fn the_taker_of_the_last_message_wakes_the_others() {
    explore(Some(2), || {
        let queue = Queue::new(1);
        queue.close();
        let consumers = receive_in_threads(&queue, 2);
        queue.send(0);
        assert_eq!(found(consumers), [Found::Message(0), Found::Closed]);
    });
}

/// The flag is in one eventcount, and producers sleep on the other.
#[test]
fn closing_wakes_producers_that_wait_for_room() {
    explore(None, || {
        let queue = Queue::new(0);
        let producer = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                let wait_config = sleeper();
                wait(Until::Forever, 1, &parking(&queue.room, &wait_config), |_| {
                    queue.messages.is_closed().then_some(())
                })
            }
        });
        queue.close();
        assert_eq!(producer.join().unwrap(), Ok(()));
    });
}

#[test]
fn room_wakes_all_blocked_producers() {
    explore(Some(2), || {
        let queue = Queue::new(2);
        let producers: Vec<_> = (0..2)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let wait_config = sleeper();
                    wait(Until::Forever, 1, &parking(&queue.room, &wait_config), |_| queue.take()).unwrap()
                })
            })
            .collect();
        for slot in [1, 0] {
            queue.commit(slot);
            queue.room.notify_all();
        }
        assert_eq!(found(producers), [Found::Message(0), Found::Message(1)]);
    });
}

#[test]
fn cancelling_wakes_a_sleeper() {
    explore(None, || {
        let queue = Queue::new(0);
        let wait_config = sleeper();
        let canceller = wait_config.canceller(&queue.messages);
        let other = thread::spawn(move || canceller.cancel());
        let ended = wait::<()>(Until::Forever, 1, &parking(&queue.messages, &wait_config), |_| None);
        assert_eq!(ended, Err(Ended::Cancelled));
        other.join().unwrap();
    });
}
