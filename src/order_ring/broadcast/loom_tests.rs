//! The real engine under loom: payload bytes that are read in place are checked for data races, and
//! copies for being whole; participants die at each crash point.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --profile optimized --lib broadcast::loom_tests`

#[path = "tests/world.rs"]
mod world;

mod copies;
mod deaths;
mod in_place;
mod writers;

use std::sync::{Arc, Mutex};

use loom::cell::UnsafeCell;
use loom::model::Builder;

use super::{ProducerState, Raise, Seen};
use crate::order_ring::crash_point::{any_order, until_crash};
use crate::order_ring::{FrameRef, NotClaimed, Registry};
use crate::sync::{AtomicU64, Ordering};
use world::{TestEntry, World};

/// What offsets are multiples of.
const GRANULE: usize = 8;

/// At most `bound` preemptions, or as many as `LOOM_MAX_PREEMPTIONS` says.
fn explore(bound: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(bound));
    builder.max_branches = 10_000;
    builder.check(test);
}

/// Explores `test` with a death at each crash point, until there are no more; at first without one.
/// `test` is given the number of the crash point, and returns whether a participant died.
fn explore_deaths(bound: usize, test: impl Fn(u32) -> bool + Send + Sync + 'static) {
    let test = Arc::new(test);
    for at in 0.. {
        let died = Arc::new(Mutex::new(false));
        explore(bound, {
            let (test, died) = (Arc::clone(&test), Arc::clone(&died));
            move || {
                if test(at) {
                    *died.lock().unwrap() = true;
                }
            }
        });
        if at > 0 && !*died.lock().unwrap() {
            break;
        }
    }
}

/// The bytes of one frame: two words, and a cell that loom watches for races.
struct Frame {
    halves: [AtomicU64; 2],
    bytes: UnsafeCell<()>,
}

// SAFETY: loom runs one thread at a time, and checks the accesses to the cell itself.
#[allow(unsafe_code)]
unsafe impl Sync for Frame {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Send for Frame {}

/// A queue with lanes of `lane` frames, and what was claimed: position and message.
#[derive(Clone)]
struct Queue {
    world: World,
    lane: usize,
    frames: Arc<Vec<Frame>>,
    claimed: Arc<Mutex<Vec<(u64, u64)>>>,
}

impl Queue {
    /// Two slots.
    fn new(producers: usize, consumers: usize, lane: usize) -> Self {
        let world = World::new(2, 2, producers + consumers, producers, 0);
        let frame = |_| Frame { halves: [AtomicU64::new(0), AtomicU64::new(0)], bytes: UnsafeCell::new(()) };
        let frames = Arc::new((0..producers * lane).map(frame).collect());
        Self { world, lane, frames, claimed: Arc::default() }
    }

    fn writer(&self) -> Writer {
        let (entry, state) = self.world.producer();
        let mut at = vec![0; self.lane];
        let frames = entry.frames_in_lane();
        frames.iter().for_each(|frame| at[frame.offset as usize / GRANULE] = frame.position + 1);
        let next = frames.last().map_or(0, |frame| frame.offset as usize / GRANULE + 1);
        Writer { queue: self.clone(), entry, state, at, next }
    }

    fn index(&self, frame: FrameRef) -> usize {
        frame.lane * self.lane + frame.offset as usize / GRANULE
    }

    /// Two looks at a frame in place, as through a guard, at the message that was claimed for it.
    fn read_in_place(&self, position: u64, frame: FrameRef) {
        let bytes = &self.frames[self.index(frame)];
        for _ in 0..2 {
            any_order();
            bytes.bytes.with(|_| ());
            for half in &bytes.halves {
                assert_eq!(half.load(Ordering::Relaxed), frame.len);
            }
        }
        self.check(position, frame.len);
    }

    /// The message at a position is the one that was claimed for it.
    fn check(&self, position: u64, message: u64) {
        let claimed = self.claimed.lock().unwrap();
        let of = |&&(at, _): &&(u64, u64)| at == position;
        assert_eq!(claimed.iter().rfind(of), Some(&(position, message)), "{claimed:?}");
    }

    /// All that was committed is in the slots, in the newest two of them.
    fn check_slots(&self) {
        let ring = &self.world.ring;
        let tail = ring.newest();
        for position in tail.saturating_sub(2)..tail {
            match ring.see(position) {
                Seen::Frame(frame) => self.check(position, frame.len),
                Seen::Tombstone => {}
                other => panic!("{other:?} at {position}, tail {tail}"),
            }
        }
    }
}

/// A producer with its lane.
struct Writer {
    queue: Queue,
    entry: TestEntry,
    state: ProducerState,
    /// By frame of the lane: its position plus one.
    at: Vec<u64>,
    next: usize,
}

impl Writer {
    /// Sends messages in one batch; `Err` says what is in the way.
    fn send(&mut self, messages: &[u64]) -> Result<u64, Raise> {
        any_order();
        let producer = self.entry.producer(&self.state);
        let lane = self.queue.lane;
        let places: Vec<_> = (0..messages.len()).map(|more| (self.next + more) % lane).collect();
        for place in &places {
            let over = self.at[*place];
            while over > 0 && producer.count_over(over - 1, 1) == 0 {
                done(producer.raise(over))?;
            }
        }
        for (place, message) in places.iter().zip(messages) {
            let frame = &self.queue.frames[self.entry.index() * lane + place];
            frame.bytes.with_mut(|_| ());
            frame.halves.iter().for_each(|half| half.store(*message, Ordering::Relaxed));
        }
        let count = messages.len() as u64;
        let claimed = loop {
            match producer.claim(count, count) {
                Ok(claimed) => break claimed,
                Err(NotClaimed::Full(target)) => done(producer.raise(target))?,
                Err(other) => panic!("{other:?}"),
            }
        };
        let positions = claimed.first..;
        self.queue.claimed.lock().unwrap().extend(positions.clone().zip(messages.iter().copied()));
        let frames: Vec<_> = places
            .iter()
            .zip(messages)
            .map(|(place, message)| producer.frame_ref((*place * GRANULE) as u64, *message))
            .collect();
        producer.commit_run(claimed.first, frames.into_iter());
        for (place, position) in places.iter().zip(positions) {
            self.at[*place] = position + 1;
        }
        self.next += messages.len();
        Ok(claimed.first)
    }
}

fn done(raise: Raise) -> Result<(), Raise> {
    match raise {
        Raise::Done => Ok(()),
        held => Err(held),
    }
}
