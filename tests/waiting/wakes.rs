//! Consumers are woken: by every way to send, out of every way to receive, and no more of them than
//! there are messages.

use std::time::Duration;

use ringway::kind::{BytesConsumer, BytesProducer, Kind, Mpmc, Spsc};
use ringway::{RecvError, WaitStrategy};

use super::asleep::{is_asleep, sleeps, until};
use super::calls::{Call, Watched, mark};
use super::passed_on;
use super::peer::{Notes, Peer, Tried, create, number_of, open, receive_all, rest, with_queue};
use crate::process::{Outcome, Test, TestDir, ensure};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("wakes: every way to send and to receive, SPSC", every_way::<Spsc>),
        Test::new("wakes: every way to send and to receive, MPMC", every_way::<Mpmc>),
        Test::new("wakes: one message wakes one of five processes", || herd(5, 1)),
        Test::new("wakes: one message wakes one of five threads", || herd(1, 5)),
        Test::new("wakes: one in vain is the last, SPSC", in_vain::<Spsc>),
        Test::new("wakes: one in vain is the last, MPMC", in_vain::<Mpmc>),
        Test::new("wakes: a message behind one that is not committed yet", passed_on::after_another),
        Test::new("wakes: a dead letter", dead_letter),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Sending {
    Try,
    Send,
    Claim,
    Batch,
    Many,
}

#[derive(Clone, Copy, Debug)]
enum Receiving {
    Recv,
    Timeout,
    Many,
    Iter,
}

/// Until the queue is closed.
fn receive<K: Kind>(consumer: &BytesConsumer<K>, way: Receiving, notes: &Notes) -> Outcome {
    let long = Duration::from_secs(60);
    loop {
        let received = match way {
            Receiving::Recv => return receive_all(consumer, notes),
            Receiving::Iter => {
                for frame in consumer.iter() {
                    notes.note(number_of(&frame?)?);
                }
                notes.end();
                return Ok(());
            }
            Receiving::Timeout => {
                consumer.recv_timeout(long).map(|frame| notes.note(number_of(&frame).unwrap_or(!1)))
            }
            Receiving::Many => consumer.recv_many(2).map(|frames| {
                frames.iter().for_each(|frame| notes.note(number_of(frame).unwrap_or(!1)));
            }),
        };
        match received {
            Ok(()) => {}
            Err(RecvError::Closed) => {
                notes.end();
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Returns how many.
fn send<K: Kind>(producer: &mut BytesProducer<K>, way: Sending, first: u64) -> Outcome<u64> {
    let data: Vec<_> = (first..first + 3).map(u64::to_ne_bytes).collect();
    match way {
        Sending::Try => producer.try_send(&data[0])?,
        Sending::Send => producer.send(&data[0])?,
        Sending::Claim => {
            let mut claim = producer.reserve(8)?;
            claim.copy_from_slice(&data[0]);
            claim.commit()?;
        }
        Sending::Batch => {
            let mut batch = producer.batch()?;
            for message in &data {
                batch.try_reserve(8)?.copy_from_slice(message);
            }
            ensure!(batch.commit()? == 3, "a batch went in parts");
            return Ok(3);
        }
        Sending::Many => {
            producer.send_many(&data)?;
            return Ok(3);
        }
    }
    Ok(1)
}

/// Two processes: each call that sends makes exactly one system call, which wakes the sleeper, and
/// the sleeper gets everything.
fn every_way<K: Tried>() -> Outcome {
    use {Receiving::*, Sending::*};
    let pairs = [
        (Send, Recv),
        (Try, Timeout),
        (Claim, Receiving::Many),
        (Batch, Iter),
        (Sending::Many, Recv),
        (Batch, Receiving::Many),
    ];
    for wait in [WaitStrategy::Park, WaitStrategy::SpinThenPark] {
        for (sending, receiving) in pairs {
            on_sleepers(|| {
                let mut woken = false;
                with_queue::<K>(|place, queue| {
                    let peer = Peer::start(|notes| {
                        let consumer = open::<K>(place)?.consumer()?;
                        consumer.set_wait_strategy(wait);
                        receive(&consumer, receiving, notes)
                    });
                    peer.wait_until_asleep()?;
                    let (calls, count) = calls_of_send::<K>(place, sending, || peer.wait_until_asleep())?;
                    woken = wakes_all(&calls, count, 1)
                        .map_err(|error| format!("{wait:?}, {sending:?}, {receiving:?}: {error}"))?;
                    peer.wait_for_count(count)?;
                    queue.close();
                    peer.ends_with(&(7..7 + count).collect::<Vec<_>>())
                })?;
                Ok(woken)
            })?;
        }
    }
    Ok(())
}

/// A process attaches, waits until others are asleep, and sends numbers from 7 on; records the
/// system calls of that, and how many.
fn calls_of_send<K: Kind>(
    place: &TestDir,
    way: Sending,
    mut others_asleep: impl FnMut() -> Outcome,
) -> Outcome<(Vec<Call>, u64)> {
    let notes = Notes::new();
    let mut watched = Watched::start(|| {
        let mut producer = open::<K>(place)?.producer()?;
        notes.set_state(1);
        notes.wait_for_go(1);
        mark();
        let count = send(&mut producer, way, 7)?;
        mark();
        notes.note(count);
        rest()
    })?;
    until("a producer", || watched.record().map(|()| notes.state() == 1))?;
    // Attaching has woken them.
    others_asleep()?;
    notes.go();
    let calls = watched.finish()?.to_vec();
    until("how many were sent", || watched.record().map(|()| notes.count() == 1))?;
    watched.kill()?;
    Ok((calls, notes.numbers()[0]))
}

/// Makes trials until one wakes all sleepers. Now and then a sleeper ends its sleep by itself, to
/// check whether its peers live; on a busy machine it may still wait for a processor when the wake
/// comes, which then finds one less.
pub(crate) fn on_sleepers(trial: impl Fn() -> Outcome<bool>) -> Outcome {
    for _ in 0..5 {
        if trial()? {
            return Ok(());
        }
        println!("     a sleeper had ended its sleep before the wake: once more");
    }
    Err("five times, a wake found fewer sleepers than there were just before it".into())
}

/// One wake was made and no other system call, for that many sleepers. Whether it found that many,
/// and not fewer.
pub(crate) fn wakes_all(calls: &[Call], wanted: u64, sleepers: i64) -> Outcome<bool> {
    match calls.iter().map(Call::wake).collect::<Vec<_>>()[..] {
        [Some((number, woken))] if number == wanted && (0..=sleepers).contains(&woken) => {
            Ok(woken == sleepers)
        }
        _ => Err(format!("expected one wake for {wanted} and nothing else, found {calls:?}").into()),
    }
}

/// These system calls were made and no others: wakes, with how many were to be woken and how many were.
pub(crate) fn expect_wakes(calls: &[Call], expected: &[(u64, i64)]) -> Outcome {
    let found: Option<Vec<_>> = calls.iter().map(Call::wake).collect();
    ensure!(
        found.as_deref() == Some(expected),
        "expected the wakes {expected:?} and nothing else, found {calls:?}"
    );
    Ok(())
}

/// Five sleep; one message wakes one of them, three wake three, as the kernel reports; the others
/// go on sleeping.
fn herd(processes: usize, threads: usize) -> Outcome {
    with_queue::<Mpmc>(|place, queue| {
        let peers: Vec<_> = (0..processes)
            .map(|_| {
                Peer::start(|notes| {
                    let queue = open::<Mpmc>(place)?;
                    std::thread::scope(|scope| {
                        for _ in 0..threads {
                            let consumer = queue.consumer().expect("a place");
                            consumer.set_wait_strategy(WaitStrategy::Park);
                            scope.spawn(move || receive_all(&consumer, notes).expect("messages"));
                        }
                    });
                    Ok(())
                })
            })
            .collect();
        let all = processes * threads;
        let asleep = || -> Outcome<usize> {
            peers.iter().try_fold(0, |count, peer| Ok(count + sleeps(peer.pid())?.len()))
        };
        let all_asleep = || until("all asleep", || Ok(asleep()? == all));
        let got = || peers.iter().map(|peer| peer.notes.count()).sum::<u64>();
        let mut sum = 0;
        for (way, wakes) in [(Sending::Send, 1), (Sending::Batch, 3), (Sending::Try, 1), (Sending::Many, 3)] {
            let (calls, count) = calls_of_send::<Mpmc>(place, way, all_asleep)?;
            expect_wakes(&calls, &[(count, wakes)])?;
            sum += count;
            until("the messages", || Ok(got() == sum))?;
        }
        all_asleep()?;
        ensure!(got() == sum, "{} messages came, not {sum}", got());
        queue.close();
        let mut ended = 0;
        for Peer { child, notes } in peers {
            child.join_within(super::asleep::HANGS)?;
            ended += notes.ended();
        }
        ensure!(ended == all as u64, "{ended} of {all} were told that the queue is closed");
        Ok(())
    })
}

/// The sleeper is dead: the first message checks for sleepers, the second does not any more.
fn in_vain<K: Tried>() -> Outcome {
    with_queue::<K>(|place, queue| {
        let peer = Peer::consumer::<K>(place, WaitStrategy::Park);
        let notes = Notes::new();
        let mut watched = Watched::start(|| {
            let mut producer = open::<K>(place)?.producer()?;
            notes.set_state(1);
            notes.wait_for_go(1);
            mark();
            producer.send(&1_u64.to_ne_bytes())?;
            producer.send(&2_u64.to_ne_bytes())?;
            mark();
            rest()
        })?;
        until("a producer", || watched.record().map(|()| notes.state() == 1))?;
        peer.wait_until_asleep()?;
        peer.child.kill()?;
        notes.go();
        expect_wakes(watched.finish()?, &[(1, 0)])?;
        watched.kill()?;
        let consumer = queue.consumer()?;
        for number in 1..=2_u64 {
            ensure!(*consumer.try_recv()? == number.to_ne_bytes(), "another message than {number} came");
        }
        Ok(())
    })
}

/// A consumer that waits for dead letters is woken by one.
fn dead_letter() -> Outcome {
    let place = TestDir::new()?;
    let queue = create::<Mpmc>(&place, &Mpmc::options().max_redeliveries(1))?;
    let mut producer = queue.producer()?;
    let consumer = queue.consumer()?;
    let dead_letter =
        |producer: &mut BytesProducer<Mpmc>, consumer: &BytesConsumer<Mpmc>, number: u64| -> Outcome {
            producer.send(&number.to_ne_bytes())?;
            for _ in 0..2 {
                consumer.try_recv()?.reject();
            }
            let empty = consumer.try_recv();
            ensure!(matches!(empty, Err(RecvError::Empty)), "it was not dead-lettered: {empty:?}");
            Ok(())
        };
    dead_letter(&mut producer, &consumer, 1)?;
    let notes = Notes::new();
    let mut watched = Watched::start(|| {
        let letters = open::<Mpmc>(&place)?.dead_letters()?.consumer()?;
        letters.set_wait_strategy(WaitStrategy::Park);
        ensure!(*letters.recv()? == 1_u64.to_ne_bytes(), "another letter");
        mark();
        let frame = letters.recv()?;
        mark();
        notes.note(number_of(&frame)?);
        rest()
    })?;
    until("one that waits for a letter", || {
        watched.record()?;
        let slept = watched.calls().iter().filter(|call| call.was_notified() == Some(false)).count();
        // Enough times that it would not wake up by itself for a while.
        Ok(slept >= 4 && is_asleep(watched.pid())?)
    })?;
    dead_letter(&mut producer, &consumer, 2)?;
    let last = watched.finish()?.iter().rev().find_map(Call::was_notified);
    ensure!(last == Some(true), "it has woken up by itself: {:?}", watched.calls());
    until("the letter", || watched.record().map(|()| notes.count() == 1))?;
    ensure!(notes.numbers() == [2], "letters {:?} came", notes.numbers());
    watched.kill()?;
    drop((producer, consumer, queue));
    place.leave()
}
