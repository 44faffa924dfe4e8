//! Three operations concurrently, with few preemptions, the first of them killed at each of its
//! crash points.

use loom::thread;

use super::*;

type Step = fn(&World, Alive) -> Alive;

fn send_one(_: &World, alive: Alive) -> Alive {
    let Alive::Producer(mut producer) = alive else { unreachable!() };
    let message = producer.me as u8 * 10;
    producer.send(&[message], 1);
    Alive::Producer(producer)
}

fn send_two(_: &World, alive: Alive) -> Alive {
    let Alive::Producer(mut producer) = alive else { unreachable!() };
    let message = producer.me as u8 * 10;
    producer.send(&[message, message + 1], 1);
    Alive::Producer(producer)
}

fn receive_one(_: &World, alive: Alive) -> Alive {
    let Alive::Consumer(mut consumer) = alive else { unreachable!() };
    let _ = consumer.recv(1);
    consumer.release_all();
    Alive::Consumer(consumer)
}

fn receive_two(_: &World, alive: Alive) -> Alive {
    let Alive::Consumer(mut consumer) = alive else { unreachable!() };
    let _ = consumer.recv(2);
    consumer.release_all();
    Alive::Consumer(consumer)
}

fn recover(world: &World, alive: Alive) -> Alive {
    world.recover();
    alive
}

/// Runs three participants in entries 1, 2 and 3; `prefilled` frames are there before.
fn triple(shape: Shape, prefilled: u8, steps: [(EntryRole, Step); 3]) {
    explore_deaths(Some(2), move |at| {
        let world = World::new(shape);
        let mut feeder = world.producer(0).unwrap();
        for message in 0..prefilled {
            assert_eq!(feeder.send(&[100 + message], 1), 1);
        }
        let mut own = 0;
        let [one, two, three] = steps.map(|(role, step)| {
            own += 1;
            let participant = match role {
                EntryRole::Producer => Alive::Producer(world.producer(own).unwrap()),
                EntryRole::Consumer => Alive::Consumer(world.consumer(own).unwrap()),
            };
            let world = world.clone();
            move || step(&world, participant)
        });
        let here = world.clone();
        let one = thread::spawn(move || {
            let done = here.until_crash(1, at, one);
            (done.is_none(), done)
        });
        let two = thread::spawn(two);
        let three = three();
        let (died, one) = one.join().unwrap();
        let mut alive = vec![Alive::Producer(feeder), two.join().unwrap(), three];
        alive.extend(one);
        finish(&world, alive);
        died
    });
}

use EntryRole::{Consumer as C, Producer as P};

#[test]
fn two_producers_and_a_consumer() {
    triple(shape(3), 0, [(P, send_two), (P, send_one), (C, receive_one)]);
}

#[test]
fn a_consumer_and_two_producers() {
    triple(shape(3), 1, [(C, receive_two), (P, send_one), (P, send_one)]);
}

#[test]
fn a_producer_and_two_consumers() {
    triple(shape(3), 1, [(P, send_one), (C, receive_one), (C, receive_one)]);
}

#[test]
fn a_consumer_beside_a_producer_and_a_consumer() {
    triple(shape(3), 1, [(C, receive_two), (P, send_one), (C, receive_one)]);
}

#[test]
fn a_producer_a_consumer_and_a_recoverer() {
    triple(shape(3), 0, [(P, send_two), (C, receive_one), (C, recover)]);
}

#[test]
fn a_consumer_a_producer_and_a_recoverer() {
    triple(shape(3), 1, [(C, receive_two), (P, send_one), (C, recover)]);
}

/// More slots than the lane has room for: reusable frames are found by their slots, also if
/// released out of order.
#[test]
fn a_lane_that_is_full_before_the_slots_are() {
    explore_deaths(Some(3), |at| {
        let world = World::new(Shape { ring: 4, ..shape(1) });
        let mut producer = world.producer(0).unwrap();
        let mut consumer = world.consumer(1).unwrap();
        assert_eq!(producer.send(&[1, 2], 2), 2);
        consumer.recv(2).unwrap();
        let here = world.clone();
        let thread = thread::spawn(move || {
            let done = here.until_crash(0, at, || {
                producer.send(&[3, 4], 1);
                producer.send(&[5], 1);
                producer
            });
            (done.is_none(), done)
        });
        consumer.release(1);
        consumer.release(0);
        let _ = consumer.recv(1);
        let (died, producer) = thread.join().unwrap();
        let alive = [producer.map(Alive::Producer), Some(Alive::Consumer(consumer))];
        finish(&world, alive.into_iter().flatten().collect());
        died
    });
}

/// The opposite case: a producer whose lane holds more frames than there are slots does not know
/// all of them. Those that it has forgotten are over, as a later claim, possibly by another
/// producer, has shown.
#[test]
fn frames_that_the_writer_has_forgotten() {
    explore(Some(3), || {
        let world = World::new(Shape { ring: 1, lane: 2 * GRANULE, ..shape(2) });
        let mut producer = world.producer(0).unwrap();
        let mut other = world.producer(1).unwrap();
        let mut consumer = world.consumer(2).unwrap();
        assert_eq!(producer.send(&[1], 1), 1);
        let thread = thread::spawn(move || {
            for _ in 0..2 {
                let _ = consumer.recv(1);
                consumer.release_all();
            }
            consumer
        });
        let sends = thread::spawn(move || {
            other.send(&[11], 1);
            other
        });
        producer.send(&[2], 1);
        producer.send(&[3], 1);
        let alive = [Alive::Producer(producer), Alive::Producer(sends.join().unwrap())];
        let mut alive = Vec::from(alive);
        alive.push(Alive::Consumer(thread.join().unwrap()));
        finish(&world, alive);
    });
}

/// A ring of two slots for one message, which is there: producers that follow its release, one after
/// the other, and one that dies.
#[test]
fn one_message_in_two_slots() {
    let bound = |more| Shape { messages: 1, ..shape(more) };
    triple(
        bound(3),
        1,
        [
            (EntryRole::Producer, send_one),
            (EntryRole::Producer, send_one),
            (EntryRole::Consumer, receive_one),
        ],
    );
    triple(
        bound(3),
        1,
        [(EntryRole::Consumer, receive_one), (EntryRole::Producer, send_one), (EntryRole::Producer, recover)],
    );
}

/// Three messages in four slots.
#[test]
fn three_messages_in_four_slots() {
    let bound = Shape { ring: 4, messages: 3, lane: 4 * GRANULE, ..shape(3) };
    triple(
        bound,
        2,
        [
            (EntryRole::Producer, send_two),
            (EntryRole::Producer, send_one),
            (EntryRole::Consumer, receive_two),
        ],
    );
}
