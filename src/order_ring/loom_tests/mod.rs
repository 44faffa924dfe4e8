//! The real core under loom: every interleaving of the participants (preemption-bounded where
//! said), every value that an atomic load may return under the orderings written, every access to
//! payload bytes checked for a data race, and a death at every crash point. Payloads are read at
//! take and at release, as by a guard.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --profile optimized --lib loom_tests`

use std::sync::{Arc, Mutex};

use loom::model::Builder;

#[path = "../tests/participants.rs"]
mod participants;
#[path = "../tests/world.rs"]
mod world;

mod deaths;
mod entries;
mod pairs;
mod redelivery;
mod tasks;
mod triples;

use super::*;
use crate::layout::order::EntryRole;
use participants::{Consumer, Producer};
use world::{GRANULE, Shape, World, over_if};

/// Two slots, entries for the feeder and `more` participants, two frames in a lane.
fn shape(more: usize) -> Shape {
    Shape {
        ring: 2,
        messages: 0,
        entries: 1 + more,
        lane: 2 * GRANULE,
        max_payload: GRANULE,
        start: 1,
        at_most_once: false,
    }
}

fn at_most_once(more: usize) -> Shape {
    Shape { at_most_once: true, ..shape(more) }
}

/// At most `bound` preemptions, or as many as `LOOM_MAX_PREEMPTIONS` says.
fn explore(bound: Option<usize>, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(bound);
    builder.max_branches = 10_000;
    builder.check(test);
}

/// Explores `test` with a death at each crash point, until there are no more; at first without one.
/// `test` is given the number of the crash point, and returns whether a participant died.
fn explore_deaths(bound: Option<usize>, test: impl Fn(u32) -> bool + Send + Sync + 'static) {
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

/// A participant that is alive when a thread is done.
enum Alive {
    Producer(Producer),
    Consumer(Consumer),
}

/// One survivor recovers and drains what is left; then nothing may be missing, and nothing be left
/// over.
fn finish(world: &World, alive: Vec<Alive>) {
    assert!(world.is_within_bound());
    let deaths = world.recover().expect("nobody else recovers").deaths;
    assert!(deaths as usize <= world.log().deaths);
    assert_eq!(world.recover().expect("nobody else recovers").deaths, 0, "all is recovered in one pass");
    let (mut producers, mut consumers) = (Vec::new(), Vec::new());
    for participant in alive {
        match participant {
            Alive::Producer(producer) => producers.push(producer),
            Alive::Consumer(consumer) => consumers.push(consumer),
        }
    }
    producers.into_iter().for_each(Producer::detach);
    consumers.iter_mut().for_each(Consumer::release_all);
    if consumers.is_empty() {
        let entry = world.ring.candidates(EntryRole::Consumer)[0];
        consumers.push(world.consumer(entry).expect("it is clean"));
    }
    // A consumer that was attached all the time finds everything, whatever it has seen before.
    let survivor = &mut consumers[0];
    loop {
        match survivor.recv(1) {
            Ok(()) => survivor.release_all(),
            Err(NotTaken::Empty) => break,
            Err(pending) => panic!("{pending:?}, though nobody is at it"),
        }
    }
    consumers.into_iter().for_each(Consumer::detach);
    check_log(world);
    check_words(world);
}

fn check_log(world: &World) {
    let log = world.log();
    let mut lost = 0;
    for message in &log.committed {
        let redeliveries: Vec<_> =
            log.delivered.iter().filter(|(found, ..)| found == message).map(|(.., count)| *count).collect();
        assert!(redeliveries.is_sorted_by(|one, next| one < next), "counts of {message}: {log:?}");
        let again = redeliveries.len().saturating_sub(1);
        let most = if world.ring.policy.at_most_once { 0 } else { log.deaths + log.rejects };
        assert!(again <= most, "{message} came too often: {log:?}");
        lost += usize::from(redeliveries.is_empty());
    }
    // A consumer that dies between mark and return has received its frames.
    let most = if world.ring.policy.at_most_once { 2 * log.deaths } else { 0 };
    assert!(lost <= most, "lost: {log:?}");
    let uncommitted = log.delivered.iter().find(|(message, ..)| !log.committed.contains(message));
    assert_eq!(uncommitted, None, "{log:?}");
}

fn check_words(world: &World) {
    let ring = &world.ring;
    let done = ring.cursors.done.load(Ordering::Relaxed);
    assert_eq!(ring.unfinished().map(|unfinished| unfinished + done), Ok(world.log().committed.len() as u64));
    let (head, tail) = (ring.head().position(), ring.tail().position());
    assert_eq!(head, tail);
    for position in tail..tail + ring.count() {
        assert_eq!(ring.state(ring.index_of(position)), SlotState::free(ring.lap(position)), "{position}");
    }
    for entry in 0..ring.entries.len() {
        assert!(!ring.entry_word(entry).is_dirty(), "entry {entry}");
        let mut writer = world.adopt(entry).expect("no corruption");
        let room = writer.reserve(writer.tail(), world.geometry.max_payload as usize, over_if(|_| false));
        assert!(room.is_ok(), "an empty lane has room");
    }
}
