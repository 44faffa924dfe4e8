//! Producers that wait for room are woken: when a frame is released, when a message is dropped for
//! good, and when the consumer that kept the room is dead.

use std::time::{Duration, Instant};

use ringway::kind::{BytesConsumer, Kind, Mpmc, Spsc};
use ringway::{CreateOptions, Delivery, WaitStrategy};

use super::asleep::{HANGS, until};
use super::calls::{Call, Watched, mark};
use super::peer::{Notes, Peer, Tried, create, number_of, open, rest};
use super::wakes::{on_sleepers, wakes_all};
use crate::process::{Outcome, Test, TestDir, ensure, progress};

/// All producers there are.
const ALL: u64 = i32::MAX as u64;

/// Messages in a run: a sixteenth of the ring, and all slots.
const RUN: u64 = 4;

/// Messages in a lane of that size.
const LANE: u64 = 64;

/// The room of a lane ends long before the slots do.
fn lane() -> CreateOptions {
    Mpmc::options().max_messages(1024).align(64)
}

pub(crate) fn tests() -> Vec<Test> {
    use Giving::{Detach, Drop, DropRun, Reject};
    let mut tests = Vec::new();
    for way in [Drop, DropRun] {
        let (spsc, slots) = (Spsc::options, Mpmc::options);
        tests.push(Test::new(format!("room: SPSC, {way:?}"), move || {
            given_back::<Spsc>(spsc(), Spsc::FULL, 1, way)
        }));
        tests.push(Test::new(format!("room: MPMC, slots, {way:?}"), move || {
            given_back::<Mpmc>(slots(), Mpmc::FULL, 3, way)
        }));
        tests.push(Test::new(format!("room: MPMC, a lane, {way:?}"), move || {
            given_back::<Mpmc>(lane(), LANE, 1, way)
        }));
    }
    for way in [Reject, Detach] {
        tests.push(Test::new(format!("room: MPMC, at most once, {way:?}"), move || {
            given_back::<Mpmc>(at_most_once(Mpmc::options()), Mpmc::FULL, 2, way)
        }));
    }
    tests.extend([
        Test::new("room: a consumer is dead that kept it, slots", || {
            dead_holder(Mpmc::options(), Mpmc::FULL)
        }),
        Test::new("room: a consumer is dead that kept it, a lane", || dead_holder(lane(), LANE)),
        Test::new("room: recovered by somebody who takes no part", recovered),
        Test::new("room: asking more than fits", asking_more_than_fits),
    ]);
    tests
}

fn at_most_once(options: CreateOptions) -> CreateOptions {
    options.delivery(Delivery::AtMostOnce)
}

/// How room is released.
#[derive(Clone, Copy, Debug)]
enum Giving {
    Drop,
    DropRun,
    Reject,
    Detach,
}

/// The queue is full, its producers sleep; a consumer releases room, which wakes all of them once,
/// and they continue.
fn given_back<K: Tried>(options: CreateOptions, full: u64, producers: usize, way: Giving) -> Outcome {
    on_sleepers(|| wakes_producers::<K>(&options, full, producers, way))
}

/// Whether all of them were woken by the one wake.
fn wakes_producers<K: Tried>(
    options: &CreateOptions,
    full: u64,
    producers: usize,
    way: Giving,
) -> Outcome<bool> {
    let place = TestDir::new()?;
    let queue = create::<K>(&place, options)?;
    let senders: Vec<_> = (0..producers)
        .map(|index| Peer::producer::<K>(&place, WaitStrategy::Park, index as u64 * 1000))
        .collect();
    let sent = || senders.iter().map(|sender| sender.notes.count()).sum::<u64>();
    until("a full queue", || Ok(sent() == full))?;
    let all_asleep = || senders.iter().try_for_each(Peer::wait_until_asleep);
    all_asleep()?;
    let notes = Notes::new();
    let mut watched = Watched::start(|| {
        let consumer = open::<K>(&place)?.consumer()?;
        give_back(consumer, way, &notes)
    })?;
    until("a consumer", || watched.record().map(|()| notes.state() == 1))?;
    // Attaching has woken them.
    all_asleep()?;
    notes.go();
    let calls = watched.finish()?.to_vec();
    let all = match way {
        // Less than a sixteenth of the ring is not worth a wake: the producer finds it when its
        // sleep timeout ends.
        Giving::Drop if K::NAME == Spsc::NAME => {
            ensure!(calls.len() <= 1, "{calls:?}");
            true
        }
        Giving::Drop | Giving::DropRun => wakes_all(&calls, ALL, producers as i64)?,
        // Consumers are woken by these too, and detaching does more.
        Giving::Reject | Giving::Detach => {
            let woken: i64 = calls.iter().filter_map(Call::wake).map(|(_, woken)| woken).sum();
            ensure!((0..=producers as i64).contains(&woken), "{woken} were woken: {calls:?}");
            woken == producers as i64
        }
    };
    until("what was given back", || watched.record().map(|()| notes.count() == 1))?;
    let given = notes.numbers()[0];
    until("producers that get on", || Ok(sent() == full + given))?;
    watched.kill()?;
    queue.close();
    for Peer { child, notes } in senders {
        child.join_within(HANGS)?;
        ensure!(notes.ended() == 1, "a producer was not told that the queue is closed");
    }
    drop(queue);
    place.leave()?;
    Ok(all)
}

/// Notes for how many messages there is room now.
fn give_back<K: Kind>(consumer: BytesConsumer<K>, way: Giving, notes: &Notes) -> Outcome {
    let ready = || {
        notes.set_state(1);
        notes.wait_for_go(1);
        mark();
    };
    match way {
        Giving::Drop => {
            let frame = consumer.try_recv()?;
            ready();
            drop(frame);
        }
        Giving::DropRun => {
            let frames = consumer.try_recv_many(RUN as usize)?;
            ensure!(frames.len() as u64 == RUN, "{} came", frames.len());
            ready();
            drop(frames);
        }
        Giving::Reject => {
            let frame = consumer.try_recv()?;
            ready();
            frame.reject();
        }
        Giving::Detach => {
            std::mem::forget(consumer.try_recv()?);
            ready();
            drop(consumer);
            mark();
            notes.note(1);
            rest()
        }
    }
    mark();
    notes.note(if matches!(way, Giving::DropRun) { RUN } else { 1 });
    rest()
}

/// A full queue, whose messages are not redelivered: a producer sleeps, and a consumer holds
/// everything.
fn with_holder(
    options: CreateOptions,
    full: u64,
    body: impl FnOnce(&TestDir, &Peer, Peer) -> Outcome,
) -> Outcome {
    let place = TestDir::new()?;
    let queue = create::<Mpmc>(&place, &at_most_once(options))?;
    let sender = Peer::producer::<Mpmc>(&place, WaitStrategy::Park, 0);
    sender.wait_for_count(full)?;
    let holder = Peer::start(|notes| {
        let consumer = open::<Mpmc>(&place)?.consumer()?;
        let frames: Vec<_> = (0..full).map(|_| consumer.try_recv()).collect::<Result<_, _>>()?;
        notes.note(frames.len() as u64);
        rest()
    });
    holder.wait_for_count(1)?;
    sender.wait_until_asleep()?;
    ensure!(sender.notes.count() == full, "there was room");
    body(&place, &sender, holder)?;
    queue.close();
    sender.child.join_within(HANGS)?;
    drop(queue);
    place.leave()
}

/// The consumer that holds everything is killed: the producer finds out by itself.
fn dead_holder(options: CreateOptions, full: u64) -> Outcome {
    const ROUNDS: u32 = 20;
    let mut latest = Duration::ZERO;
    for _ in 0..ROUNDS {
        with_holder(options.clone(), full, |_, sender, holder| {
            holder.child.kill()?;
            let killed = Instant::now();
            sender.wait_for_count(2 * full)?;
            latest = latest.max(killed.elapsed());
            Ok(())
        })?;
    }
    println!("     {ROUNDS} times, {latest:.1?} after the kill at the latest");
    Ok(())
}

/// The consumer is killed, and a process that only has the queue open recovers: if it was the first
/// to find the dead consumer, that wakes the producer.
fn recovered() -> Outcome {
    let (mut rounds, mut first) = (0, 0_i64);
    while first < 3 {
        rounds += 1;
        ensure!(rounds < 100, "the producer was faster each time");
        with_holder(Mpmc::options(), Mpmc::FULL, |place, sender, holder| {
            let notes = Notes::new();
            let mut watched = Watched::start(|| {
                let queue = open::<Mpmc>(place)?;
                notes.set_state(1);
                notes.wait_for_go(1);
                mark();
                let done = queue.recover();
                mark();
                notes.note(done.map_or(0, |done| done.requeued));
                rest()
            })?;
            until("a queue", || watched.record().map(|()| notes.state() == 1))?;
            holder.child.kill()?;
            notes.go();
            let woken: i64 = watched.finish()?.iter().filter_map(Call::wake).map(|(_, woken)| woken).sum();
            until("what it found", || watched.record().map(|()| notes.count() == 1))?;
            // Otherwise the producer was about to make an attempt by itself.
            first += i64::from(notes.numbers() == [Mpmc::FULL]).min(woken);
            sender.wait_for_count(2 * Mpmc::FULL)?;
            watched.kill()
        })?;
    }
    println!("     {first} of {rounds} times");
    Ok(())
}

/// Two processes send requests and replies through queues of little room, and request more than
/// fits: all sleep for room and for messages in turn, and none is forgotten.
fn asking_more_than_fits() -> Outcome {
    let (there, back) = (TestDir::new()?, TestDir::new()?);
    let there_queue = create::<Spsc>(&there, &Spsc::options())?;
    let back_queue = create::<Mpmc>(&back, &Mpmc::options())?;
    let count: u64 = if cfg!(debug_assertions) { 2000 } else { 10_000 };
    let echo = Peer::start(|_| {
        let consumer = open::<Spsc>(&there)?.consumer()?;
        let mut producer = open::<Mpmc>(&back)?.producer()?;
        consumer.set_wait_strategy(WaitStrategy::Park);
        producer.set_wait_strategy(WaitStrategy::Park);
        for number in 0..count {
            let frame = consumer.recv()?;
            ensure!(number_of(&frame)? == number, "another than {number} came");
            producer.send(&frame)?;
        }
        Ok(())
    });
    let asker = Peer::start(|_| {
        let mut producer = open::<Spsc>(&there)?.producer()?;
        producer.set_wait_strategy(WaitStrategy::Park);
        Ok((0..count).try_for_each(|number| producer.send(&number.to_ne_bytes()))?)
    });
    let consumer = back_queue.consumer()?;
    consumer.set_wait_strategy(WaitStrategy::Park);
    for number in 0..count {
        progress();
        ensure!(number_of(&consumer.recv()?)? == number, "another than {number} came back");
    }
    echo.child.join_within(HANGS)?;
    asker.child.join_within(HANGS)?;
    drop((consumer, back_queue, there_queue));
    there.leave()?;
    back.leave()
}
