//! Many processes sleep and wake a great many times, with random delays, signals and stops among
//! them: none sleeps for ever, and every message is delivered once.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGCONT, SIGSTOP, SIGUSR1};
use ringway::kind::{BytesConsumer, BytesProducer, Kind, Mpmc, Spsc};
use ringway::{CreateOptions, RecvError, SendError, WaitStrategy};

use super::asleep::{EventCounts, HANGS};
use super::peer::{create, number_of, open};
use super::signals::note_signals;
use crate::process::{Child, Outcome, Random, Test, TestDir, Words, ensure, number_from, progress};

pub(crate) fn tests() -> Vec<Test> {
    let default = if cfg!(debug_assertions) { 10_000 } else { 40_000 };
    let parks = number_from("RINGWAY_PARKS", default);
    vec![
        Test::new("stress: four producers, four consumers", move || {
            stress::<Mpmc>(
                CreateOptions::new().max_messages(16).ring_bytes(4096).max_participants(16),
                4,
                4,
                parks,
            )
        }),
        Test::new("stress: one and one", move || {
            stress::<Spsc>(CreateOptions::new().ring_bytes(1024), 1, 1, parks / 16)
        }),
    ]
}

/// The maximum number of messages in one call.
const RUN: u64 = 5;

// What a process notes.
const EVENTS: usize = 0;
/// Producers: how many it has sent. Consumers: the same words, one for each producer, and the sums
/// of their numbers.
const SENT: usize = 1;
const LATEST: usize = 1;
const TALLY: usize = 2;
const WORDS: usize = 16;

struct Field<'p> {
    place: &'p TestDir,
    notes: Words,
    end: Words,
    producers: usize,
}

impl Field<'_> {
    fn notes(&self, process: usize) -> &[std::sync::atomic::AtomicU64] {
        &self.notes[process * WORDS..(process + 1) * WORDS]
    }

    fn get(&self, process: usize, index: usize) -> u64 {
        self.notes(process)[index].load(Ordering::SeqCst)
    }

    fn is_over(&self) -> bool {
        self.end[0].load(Ordering::SeqCst) != 0
    }
}

fn stress<K: Kind>(options: CreateOptions, producers: usize, consumers: usize, parks: u64) -> Outcome {
    let place = TestDir::new()?;
    let queue = create::<K>(&place, &options)?;
    let all = producers + consumers;
    let field = Field { place: &place, notes: Words::new(all * WORDS), end: Words::new(1), producers };
    // Inherited: the first signal may come before a child has run at all.
    note_signals(0)?;
    let children: Vec<_> = (0..all)
        .map(|process| {
            Child::fork(|| {
                if process < producers {
                    produce::<K>(&field, process)
                } else {
                    consume::<K>(&field, process)
                }
            })
        })
        .collect();
    let start = Instant::now();
    let (signals, stops) = chaos(&field, &children, parks)?;
    field.end[0].store(1, Ordering::SeqCst);
    let mut children = children.into_iter();
    for child in children.by_ref().take(producers) {
        progress();
        child.join_within(HANGS)?;
    }
    queue.close();
    for child in children {
        progress();
        child.join_within(HANGS)?;
    }
    let took = start.elapsed();
    let mut messages = 0;
    for producer in 0..producers {
        let sent = field.get(producer, SENT);
        let tally =
            |index: usize| (producers..all).map(|test_consumer| field.get(test_consumer, index)).sum::<u64>();
        let (came, sum) = (tally(TALLY + 2 * producer), tally(TALLY + 2 * producer + 1));
        ensure!(came == sent, "{came} messages of producer {producer} came, {sent} were sent");
        ensure!(
            sum == sent * sent.saturating_sub(1) / 2,
            "others came than were sent by producer {producer}"
        );
        messages += sent;
    }
    let latest = (producers..all).map(|test_consumer| field.get(test_consumer, LATEST)).max().unwrap_or(0);
    let event_counts = EventCounts::of(&place)?;
    let armed = [event_counts.consumers_armed()?, event_counts.producers_armed()?];
    println!(
        "     {messages} messages in {took:.1?}; consumers went to sleep {} times, producers {}; {signals} signals, {stops} \
         stops; the slowest message took {:.1?}",
        armed[0],
        armed[1],
        Duration::from_nanos(latest),
    );
    drop(queue);
    place.leave()
}

/// Sends signals and stops processes, until the number of sleeps is reached. No process may be
/// without progress for long.
fn chaos(field: &Field<'_>, children: &[Child], parks: u64) -> Outcome<(u64, u64)> {
    let mut random = Random::new(parks);
    let event_counts = EventCounts::of(field.place)?;
    let (mut signals, mut stops) = (0, 0);
    let mut last: Vec<_> = children.iter().map(|_| (0, Instant::now())).collect();
    while event_counts.consumers_armed()? + event_counts.producers_armed()? < parks {
        progress();
        std::thread::sleep(Duration::from_nanos(random.below(400_000)));
        let child = &children[random.below(children.len() as u64) as usize];
        if random.below(8) == 0 {
            stops += 1;
            child.signal(SIGSTOP)?;
            std::thread::sleep(Duration::from_nanos(random.below(2_000_000)));
            child.signal(SIGCONT)?;
        } else {
            signals += 1;
            child.signal(SIGUSR1)?;
        }
        for (process, child) in children.iter().enumerate() {
            let events = field.get(process, EVENTS);
            if events != last[process].0 {
                last[process] = (events, Instant::now());
            }
            let stuck = last[process].1.elapsed();
            ensure!(stuck < HANGS, "process {process} is stuck after {events} events");
            ensure!(!child.has_ended()?, "process {process} has ended");
        }
    }
    Ok((signals, stops))
}

fn now() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("the clock");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

/// Sometimes does nothing, mostly sleeps or is busy for some time.
fn dawdle(random: &mut Random) {
    match random.below(8) {
        0..=2 => {}
        3..=4 => {
            let end = Instant::now() + Duration::from_nanos(random.below(20_000));
            while Instant::now() < end {
                std::hint::spin_loop();
            }
        }
        _ => std::thread::sleep(Duration::from_nanos(random.below(150_000))),
    }
}

/// Most sleep immediately.
fn some_wait(random: &mut Random) -> WaitStrategy {
    [
        WaitStrategy::Spin,
        WaitStrategy::SpinThenPark,
        WaitStrategy::Park,
        WaitStrategy::Park,
        WaitStrategy::Park,
    ][random.below(5) as usize]
}

/// A message: its producer, its number, and when it was sent.
fn message(producer: usize, number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&((producer as u64) << 48 | number).to_ne_bytes());
    bytes[8..].copy_from_slice(&now().to_ne_bytes());
    bytes
}

fn produce<K: Kind>(field: &Field<'_>, me: usize) -> Outcome {
    let mut random = Random::new(me as u64);
    let mut producer = open::<K>(field.place)?.producer()?;
    let notes = field.notes(me);
    let mut next = 0;
    while !field.is_over() {
        if random.below(16) == 0 {
            producer.set_wait_strategy(some_wait(&mut random));
            producer.set_interruptible(random.below(2) == 0);
        }
        dawdle(&mut random);
        let sent = match send(&mut producer, me, next, &mut random) {
            Ok(sent) => sent,
            Err(SendError::Interrupted | SendError::Timeout { .. } | SendError::Full) => 0,
            Err(error) => return Err(error.into()),
        };
        next += sent;
        notes[SENT].store(next, Ordering::SeqCst);
        notes[EVENTS].fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

/// Sends in one of the ways. Returns how many.
fn send<K: Kind>(
    producer: &mut BytesProducer<K>,
    me: usize,
    next: u64,
    random: &mut Random,
) -> Result<u64, SendError> {
    match random.below(4) {
        0 => {
            let messages: Vec<_> =
                (next..next + 1 + random.below(RUN)).map(|number| message(me, number)).collect();
            producer.try_send_many(&messages).map(|sent| sent as u64)
        }
        1 => producer.send_timeout(&message(me, next), Duration::from_millis(1)).map(|()| 1),
        _ => producer.send(&message(me, next)).map(|()| 1),
    }
}

fn consume<K: Kind>(field: &Field<'_>, me: usize) -> Outcome {
    note_signals(0)?;
    let mut random = Random::new(me as u64);
    let consumer = open::<K>(field.place)?.consumer()?;
    let notes = field.notes(me);
    loop {
        if random.below(16) == 0 {
            consumer.set_wait_strategy(some_wait(&mut random));
            consumer.set_interruptible(random.below(2) == 0);
        }
        match receive(&consumer, &mut random, |bytes| tally(field, notes, bytes)) {
            Ok(()) | Err(RecvError::Interrupted | RecvError::Timeout) => {}
            Err(RecvError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        notes[EVENTS].fetch_add(1, Ordering::SeqCst);
        dawdle(&mut random);
    }
}

/// Receives in one of the ways.
fn receive<K: Kind>(
    consumer: &BytesConsumer<K>,
    random: &mut Random,
    mut each: impl FnMut(&[u8]),
) -> Result<(), RecvError> {
    match random.below(4) {
        0 => consumer.recv_many(1 + random.below(RUN) as usize)?.iter().for_each(each),
        1 => each(&consumer.recv_timeout(Duration::from_millis(1))?),
        _ => each(&consumer.recv()?),
    }
    Ok(())
}

fn tally(field: &Field<'_>, notes: &[std::sync::atomic::AtomicU64], bytes: &[u8]) {
    let number = number_of(&bytes[..8]).expect("eight bytes");
    let (producer, number) = ((number >> 48) as usize, number & ((1 << 48) - 1));
    assert!(producer < field.producers, "a message of a producer that does not exist");
    notes[TALLY + 2 * producer].fetch_add(1, Ordering::SeqCst);
    notes[TALLY + 2 * producer + 1].fetch_add(number, Ordering::SeqCst);
    let took = now().saturating_sub(number_of(&bytes[8..]).expect("eight bytes"));
    notes[LATEST].fetch_max(took, Ordering::SeqCst);
}
