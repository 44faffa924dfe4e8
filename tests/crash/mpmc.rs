//! MPMC queues: each kind of residue that a participant can leave, and which participant finds it.
//! (Random points: `storm`; every point: `every_instruction`.)

mod consumer;
mod forks;
mod letters;
mod namespaces;
mod places;
mod producer;
mod stopped;
mod survivors;
mod tasks;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringway::mpmc::{BytesConsumer, BytesQueue};
use ringway::{CreateOptions, RecvError, Stats};

use super::both::wait_for;
use crate::process::{Child, Outcome, Test, TestDir, Words, ensure};

/// All residue of dead participants is found in far less.
const SOON: Duration = Duration::from_secs(10);
/// Nothing should arrive within this time.
const MOMENT: Duration = Duration::from_millis(20);

type Row = fn() -> Outcome;

pub(crate) fn tests() -> Vec<Test> {
    let rows: [(&str, Row); 46] = [
        ("producer: dead between claim and commit, found by a consumer", producer::detected_by_consumer),
        ("producer: dead between claim and commit, found by a producer", producer::detected_by_producer),
        ("producer: dead between claim and commit, found by attaching", producer::detected_by_attaching),
        ("producer: alive between claim and commit", producer::alive_between),
        ("producer: a living one's intent does not cover for a dead one's", producer::others_go_on),
        ("producer: its lane is taken over with its messages", producer::lane_is_taken_over),
        ("producer: its lane is taken over while its messages are held", producer::held_in_a_lane),
        ("everybody: dead, and others go on", producer::all_participants_die),
        ("tasks: join recovers from a dead producer", tasks::join_recovers),
        ("tasks: a consumer dies before its message is done", tasks::consumer_dies),
        ("tasks: join in a forked child", tasks::forked),
        ("consumer: dead with messages, found by attaching", consumer::detected_by_attaching),
        ("consumer: dead with messages, found by an idle consumer", consumer::detected_by_an_idle_consumer),
        ("consumer: dead with messages, found by a waiting consumer", consumer::detected_by_waiting),
        (
            "consumer: dead with messages, found by a producer out of slots",
            consumer::detected_when_out_of_slots,
        ),
        (
            "consumer: dead with messages, found by a producer out of room",
            consumer::detected_when_out_of_room,
        ),
        ("consumer: dead between taking and holding", consumer::dead_before_holding),
        ("consumer: deaths are counted", consumer::deaths_are_counted),
        ("at most once: held by a dead consumer", consumer::at_most_once),
        ("at most once: dead between taking and holding", consumer::at_most_once_before_holding),
        ("stopped: a consumer keeps what it holds", stopped::consumer_keeps),
        ("stopped: a producer keeps its place", stopped::producer_keeps),
        ("stopped: one that recovers holds up no one else", stopped::one_that_recovers),
        ("stopped: at random while it recovers", stopped::at_random_while_it_recovers),
        ("places: all taken, and free after SIGKILL", places::free_after_death),
        ("places: all free when everybody dies at once", places::all_participants_at_once),
        ("places: a dead one's is free while another process recovers", places::free_while_others_recover),
        ("places: a thousand participants", places::a_thousand),
        ("fork: handles are refused", forks::handles_are_refused),
        ("fork: drops change nothing", forks::drops_change_nothing),
        ("fork: the child takes part anew", forks::child_takes_part_anew),
        ("fork: a child does not keep its parent's places", forks::child_does_not_keep_places),
        ("letters: rejected too often", letters::rejected),
        ("letters: its consumers died too often", letters::killed),
        ("letters: the consumer that dead-letters dies", letters::dead_lettering_dies),
        ("letters: there can be none", letters::there_can_be_none),
        ("letters: without descriptors", letters::no_descriptors),
        ("namespaces: two with pids of their own", namespaces::two),
        ("survivors: without descriptors", survivors::without_descriptors),
        ("survivors: without memory", survivors::without_memory),
        ("survivors: as another user", survivors::another_user),
        ("survivors: with another root", survivors::another_root),
        ("survivors: in a sandbox", survivors::sandbox),
        ("survivors: a producer without descriptors", survivors::producer_without_descriptors),
        ("survivors: among thousands", survivors::among_thousands),
        ("survivors: all of a crowd", survivors::all_of_a_crowd),
    ];
    rows.into_iter().map(|(name, body)| Test::new(format!("mpmc: {name}"), body)).collect()
}

/// A queue with few slots.
fn small() -> CreateOptions {
    CreateOptions::new().max_messages(4).ring_bytes(4096).max_participants(8)
}

fn with_queue(options: &CreateOptions, body: impl FnOnce(&TestDir, &BytesQueue) -> Outcome) -> Outcome {
    let place = TestDir::new()?;
    let queue = place.create_mpmc(options)?;
    body(&place, &queue)?;
    drop(queue);
    place.leave()
}

/// A process that takes `count` messages and holds them until it is killed.
fn holder(place: &TestDir, count: usize) -> Outcome<Child> {
    living(|ready| {
        let consumer = place.open_mpmc()?.consumer()?;
        let _frames = (0..count).map(|_| consumer.recv()).collect::<Result<Vec<_>, _>>()?;
        ready()
    })
}

/// A process that sends these messages and stays.
fn sender(place: &TestDir, messages: &[&[u8]]) -> Outcome<Child> {
    living(|ready| {
        let mut producer = place.open_mpmc()?.producer()?;
        producer.send_many(messages)?;
        ready()
    })
}

/// A process that runs `body`; by calling its argument `body` reports that it is ready, and stays.
fn living(body: impl FnOnce(&dyn Fn() -> Outcome) -> Outcome) -> Outcome<Child> {
    let words = Words::new(1);
    let ready = || {
        words[0].store(1, Ordering::SeqCst);
        loop {
            std::thread::sleep(SOON);
        }
    };
    let child = Child::fork(|| body(&ready));
    wait_for(|| words[0].load(Ordering::SeqCst) == 1)?;
    Ok(child)
}

/// Polls until the counters have the given values.
fn until(queue: &BytesQueue, mut act: impl FnMut() -> Outcome, are_so: impl Fn(&Stats) -> bool) -> Outcome {
    let start = Instant::now();
    while !are_so(&queue.stats()) {
        ensure!(start.elapsed() < SOON, "still {:?}", queue.stats());
        act()?;
    }
    Ok(())
}

/// Takes the next message, checks it, and releases it.
fn comes(consumer: &BytesConsumer, expected: &[u8], redeliveries: u64) -> Outcome {
    let frame = consumer.recv_timeout(SOON).map_err(|error| format!("instead of {expected:?}: {error}"))?;
    ensure!(*frame == *expected, "expected {expected:?}, found {:?}", &*frame);
    let found = frame.redeliveries();
    ensure!(found == redeliveries, "{expected:?} has {found} redeliveries, expected {redeliveries}");
    Ok(())
}

fn nothing_comes(consumer: &BytesConsumer) -> Outcome {
    match consumer.recv_timeout(MOMENT) {
        Err(RecvError::Timeout) => Ok(()),
        other => Err(format!("expected nothing, found {other:?}").into()),
    }
}
