//! Every two operations concurrently, exhaustively, the first of them killed at each of its crash
//! points.

use loom::thread;

use super::*;

/// What a participant does in its own thread. What that needs is prepared before: frames held, dead
/// participants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// Sends this many frames.
    Send(usize),
    /// Takes up to this many frames, then releases them.
    Receive(u64),
    /// Releases what it holds.
    Release,
    Reject,
    /// Recovers after a death of that kind.
    Recover(Corpse),
    LeaveHolding,
    LeaveAfterSending,
    /// Takes over a clean entry whose lane holds a frame, and sends one.
    EnterProducer,
    EnterConsumer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Corpse {
    BeforeCommit,
    BeforeMark,
    Holding,
}

const ACTS: [Act; 13] = [
    Act::Send(1),
    Act::Send(2),
    Act::Receive(1),
    Act::Receive(2),
    Act::Release,
    Act::Reject,
    Act::Recover(Corpse::BeforeCommit),
    Act::Recover(Corpse::BeforeMark),
    Act::Recover(Corpse::Holding),
    Act::LeaveHolding,
    Act::LeaveAfterSending,
    Act::EnterProducer,
    Act::EnterConsumer,
];

enum Actor {
    Ready(Alive),
    /// Will attach to that entry.
    Outside(usize),
    /// Has an entry only so that it can die.
    Recoverer(Consumer),
}

/// Prepares what `act` needs to begin; its own entry is `own`, and its corpse is in entry
/// `entries.len() - own`.
fn prepare(world: &World, feeder: &mut Producer, act: Act, own: usize) -> Actor {
    let message = own as u8 * 10;
    let mut feed = |count: u8| {
        for each in 0..count {
            assert_eq!(feeder.send(&[message + 5 + each], 1), 1, "{act:?}");
        }
    };
    match act {
        Act::Send(_) => Actor::Ready(Alive::Producer(world.producer(own).unwrap())),
        Act::Receive(_) => Actor::Ready(Alive::Consumer(world.consumer(own).unwrap())),
        Act::Release | Act::Reject | Act::LeaveHolding => {
            feed(1);
            let mut consumer = world.consumer(own).unwrap();
            consumer.recv(1).unwrap();
            Actor::Ready(Alive::Consumer(consumer))
        }
        Act::Recover(corpse) => {
            lay(world, corpse, world.ring.entries.len() - own, feed, message + 7);
            Actor::Recoverer(world.consumer(own).unwrap())
        }
        Act::LeaveAfterSending => {
            let mut producer = world.producer(own).unwrap();
            assert_eq!(producer.send(&[message], 1), 1);
            Actor::Ready(Alive::Producer(producer))
        }
        Act::EnterProducer => {
            let mut producer = world.producer(own).unwrap();
            assert_eq!(producer.send(&[message], 1), 1);
            producer.detach();
            Actor::Outside(own)
        }
        Act::EnterConsumer => Actor::Outside(own),
    }
}

fn lay(world: &World, corpse: Corpse, entry: usize, mut feed: impl FnMut(u8), message: u8) {
    match corpse {
        Corpse::BeforeCommit => {
            let mut producer = world.producer(entry).unwrap();
            producer.stage(message, GRANULE as usize).unwrap();
            producer.claim(1).unwrap();
        }
        Corpse::BeforeMark | Corpse::Holding => {
            feed(1);
            let mut consumer = world.consumer(entry).unwrap();
            consumer.take_many(1).unwrap();
            if corpse == Corpse::Holding {
                consumer.mark();
            }
        }
    }
    world.kill(entry);
}

/// Performs `act` as the owner of entry `own`; returns the participant that is alive after that.
fn perform(world: &World, act: Act, actor: Actor, own: usize) -> Option<Alive> {
    let message = own as u8 * 10 + 1;
    match (act, actor) {
        (Act::Send(count), Actor::Ready(Alive::Producer(mut producer))) => {
            producer.send(&[message, message + 1][..count], 1);
            Some(Alive::Producer(producer))
        }
        (Act::Receive(most), Actor::Ready(Alive::Consumer(mut consumer))) => {
            let _ = consumer.recv(most);
            consumer.release_all();
            Some(Alive::Consumer(consumer))
        }
        (Act::Release, Actor::Ready(Alive::Consumer(mut consumer))) => {
            consumer.release_all();
            Some(Alive::Consumer(consumer))
        }
        (Act::Reject, Actor::Ready(Alive::Consumer(mut consumer))) => {
            consumer.reject(0);
            Some(Alive::Consumer(consumer))
        }
        (Act::Recover(_), Actor::Recoverer(consumer)) => {
            world.recover();
            Some(Alive::Consumer(consumer))
        }
        (Act::LeaveHolding, Actor::Ready(Alive::Consumer(consumer))) => {
            consumer.detach();
            None
        }
        (Act::LeaveAfterSending, Actor::Ready(Alive::Producer(producer))) => {
            producer.detach();
            None
        }
        (Act::EnterProducer, Actor::Outside(entry)) => {
            let mut producer = world.producer(entry)?;
            producer.send(&[message], 1);
            Some(Alive::Producer(producer))
        }
        (Act::EnterConsumer, Actor::Outside(entry)) => {
            let mut consumer = world.consumer(entry)?;
            let _ = consumer.recv(1);
            consumer.release_all();
            Some(Alive::Consumer(consumer))
        }
        _ => unreachable!("{act:?}"),
    }
}

/// The number of frames that the feeder sends before `act` begins.
fn fed(act: Act) -> usize {
    match act {
        Act::Recover(Corpse::BeforeCommit) | Act::LeaveAfterSending | Act::EnterProducer => 0,
        act => needs(act),
    }
}

/// The number of positions that are in use before `act` begins.
fn needs(act: Act) -> usize {
    match act {
        Act::Send(_) | Act::Receive(_) | Act::EnterConsumer => 0,
        _ => 1,
    }
}

/// Runs two acts concurrently; `prefilled` frames can be taken in order when both begin.
fn pair(first: Act, second: Act, shape: Shape, prefilled: usize, bound: usize) {
    explore_deaths(Some(bound), move |at| {
        let world = World::new(shape);
        let mut feeder = world.producer(0).unwrap();
        // No consumer can take after a position that is claimed and not committed: acts that are to
        // hold a frame come first.
        let (one, other) = if is_laid_last(first) {
            let other = prepare(&world, &mut feeder, second, 2);
            (prepare(&world, &mut feeder, first, 1), other)
        } else {
            let one = prepare(&world, &mut feeder, first, 1);
            (one, prepare(&world, &mut feeder, second, 2))
        };
        for message in 0..prefilled {
            assert_eq!(feeder.send(&[100 + message as u8], 1), 1);
        }
        let here = world.clone();
        let thread = thread::spawn(move || {
            let done = here.until_crash(1, at, || perform(&here, first, one, 1));
            (done.is_none(), done.flatten())
        });
        let other = perform(&world, second, other, 2);
        let (died, one) = thread.join().unwrap();
        finish(&world, [one, other, Some(Alive::Producer(feeder))].into_iter().flatten().collect());
        died
    });
}

/// Whether preparing `act` leaves something that blocks consumers.
fn is_laid_last(act: Act) -> bool {
    matches!(act, Act::Recover(Corpse::BeforeCommit) | Act::LeaveAfterSending | Act::EnterProducer)
}

/// Whether the policy makes a difference to `act`.
fn may_come_again(act: Act) -> bool {
    matches!(act, Act::Receive(_) | Act::Reject | Act::Recover(_) | Act::LeaveHolding)
}

fn all_beside(second: Act) {
    for first in ACTS {
        let is_recovery = |act| matches!(act, Act::Recover(_));
        // The second corpse's entry is the last but one.
        let corpses = if is_recovery(second) { 2 } else { usize::from(is_recovery(first)) };
        let room = 2 - needs(first) - needs(second);
        for prefilled in 0..=room.min(1) {
            pair(first, second, shape(2 + corpses), prefilled, 3);
        }
        if may_come_again(first) {
            pair(first, second, at_most_once(2 + corpses), room.min(1), 2);
        }
        // The feeder's lane has room for two.
        let prefilled = 2 - fed(first) - fed(second);
        pair(first, second, Shape { ring: 4, start: 3, ..shape(2 + corpses) }, prefilled.min(1), 2);
    }
}

macro_rules! extras {
    ($($name:ident: $act:expr;)*) => {
        $(
            #[test]
            fn $name() {
                all_beside($act);
            }
        )*
    };
}

extras! {
    all_beside_send: Act::Send(1);
    all_beside_send_batch: Act::Send(2);
    all_beside_receive: Act::Receive(1);
    all_beside_receive_batch: Act::Receive(2);
    all_beside_release: Act::Release;
    all_beside_reject: Act::Reject;
    all_beside_recovery_of_a_claimer: Act::Recover(Corpse::BeforeCommit);
    all_beside_recovery_of_a_taker: Act::Recover(Corpse::BeforeMark);
    all_beside_recovery_of_a_holder: Act::Recover(Corpse::Holding);
    all_beside_a_consumer_that_leaves: Act::LeaveHolding;
    all_beside_a_producer_that_leaves: Act::LeaveAfterSending;
    all_beside_a_producer_that_enters: Act::EnterProducer;
    all_beside_a_consumer_that_enters: Act::EnterConsumer;
}
